//! Values for what was taken out of a session as a secret.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use consoletap_flow::Kept;
use consoletap_redact::stand_ins;

use crate::send::SendError;
use crate::send::parcel;
use crate::send::plan::{Recorded, Recording};

/// So many places of a variable are told, the others counted.
const TOLD: usize = 3;

/// What stands before the name of a variable in the environment.
const ENVIRONMENT: &str = "CONSOLETAP_VAR_";

/// What was given: by the name of what stands in for the secret, or of where it stands.
#[derive(Debug, Clone, Default)]
pub struct Variables {
    given: BTreeMap<String, String>,
    environment: BTreeMap<String, String>,
    keep: bool,
}

/// A secret that requests need, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// What stands in for it: `redacted-k3jx7q2m4a`.
    pub name: String,
    /// What it is called where it stands: `sid`. More than one name for one value is possible.
    pub called: BTreeSet<String>,
    /// Where it stands.
    pub places: Places,
}

/// Where a secret stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Places {
    /// The first few, in words.
    pub first: Vec<String>,
    /// How many there are beyond them.
    pub more: u64,
}

/// How a place wants values written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    /// A URL, or a form.
    Url,
    /// A header field.
    Field,
    Json,
    Xml,
    Plain,
}

/// A value for each stand-in that requests need.
pub(super) struct Values(BTreeMap<String, String>);

impl Variables {
    /// What is given as `NAME=VALUE`.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.given.insert(name.to_owned(), value.to_owned());
        self
    }

    /// What stands in the environment, as `CONSOLETAP_VAR_NAME`: upper case, with `_` for `-`. What
    /// is given comes first.
    #[must_use]
    pub fn with_environment(mut self, all: impl Iterator<Item = (String, String)>) -> Self {
        let ours = all
            .filter_map(|(name, value)| Some((name.strip_prefix(ENVIRONMENT)?.to_owned(), value)));
        self.environment.extend(ours);
        self
    }

    /// What has no value goes out as it stands: for a server that answers from the same session.
    #[must_use]
    pub fn keeping_stand_ins(self) -> Self {
        Self { keep: true, ..self }
    }

    /// A value for everything that is needed.
    pub(super) fn values(&self, recording: &Recording<'_>) -> Result<Values, SendError> {
        let needed = needed(recording);
        let mut unused: BTreeSet<&String> = self.given.keys().collect();
        let mut values = BTreeMap::new();
        let mut missing = Vec::new();
        for variable in &needed {
            let names = || [&variable.name].into_iter().chain(&variable.called);
            for name in names() {
                unused.remove(name);
            }
            let mut found = names().filter_map(|name| {
                let is_stand_in = *name == variable.name;
                let value =
                    self.given.get(name).or_else(|| self.environment.get(&environment_name(name)));
                value.map(|value| (name, is_stand_in, value))
            });
            match found.next() {
                Some((name, is_stand_in, value)) => {
                    let others = || needed.iter().filter(|other| other.called.contains(name));
                    if !is_stand_in && others().count() > 1 {
                        return Err(SendError::Variable(ambiguous(name, others())));
                    }
                    if value.contains(['\r', '\n', '\0']) {
                        return Err(SendError::Variable(format!(
                            "the value of {name} has an end of line in it, which no request can carry"
                        )));
                    }
                    values.insert(variable.name.clone(), value.clone());
                }
                None if self.keep => {}
                None => missing.push(variable.clone()),
            }
        }
        if let Some(name) = unused.first() {
            let known: Vec<_> = needed.iter().flat_map(|variable| variable.called.iter()).collect();
            let known: BTreeSet<_> = known.into_iter().map(String::as_str).collect();
            return Err(SendError::Variable(format!(
                "no request needs a variable {name}; there {}",
                match known.len() {
                    0 => "are none in these requests".to_owned(),
                    _ => format!("is {}", Vec::from_iter(known).join(", ")),
                }
            )));
        }
        if missing.is_empty() { Ok(Values(values)) } else { Err(SendError::Missing(missing)) }
    }
}

fn environment_name(name: &str) -> String {
    name.to_ascii_uppercase().replace(['-', '.'], "_")
}

fn ambiguous<'v>(name: &str, others: impl Iterator<Item = &'v Variable>) -> String {
    let mut text = format!("{name} is the name of more than one secret; name what stands there:");
    for other in others {
        let _ = write!(text, "\n  --var {}=VALUE  {}", other.name, other.places.said());
    }
    text
}

/// Everything that requests need. Lines that cannot be read are told when they are sent.
fn needed(recording: &Recording<'_>) -> Vec<Variable> {
    let mut found: Vec<Variable> = Vec::new();
    let requests = recording.requests().flatten().filter(|recorded| recorded.unfit.is_none());
    for recorded in requests {
        let url = recorded.url.to_string();
        look(&mut found, &recorded, "the URL", None, url.as_bytes());
        for header in &recorded.head.headers {
            look(&mut found, &recorded, header.name(), Some(header.name()), header.value());
        }
        let body = recorded.request_body;
        if let Some(name) = body.digest.filter(|_| body.kept == Kept::Whole)
            && let Ok(octets) = recording.session().body(&name)
            && let Some((plain, _)) = parcel::plain(&recorded.head.headers, &octets)
        {
            look(&mut found, &recorded, "the body", None, &plain);
        }
    }
    found
}

fn look(
    found: &mut Vec<Variable>,
    recorded: &Recorded,
    part: &str,
    field: Option<&str>,
    octets: &[u8],
) {
    for place in stand_ins(octets) {
        let name = String::from_utf8_lossy(&octets[place.clone()]).into_owned();
        let called = called(&octets[..place.start]).or_else(|| field.map(str::to_owned));
        let said = match &called {
            Some(called) if field != Some(called) => {
                format!("{called} in {part} of flow {}", recorded.flow)
            }
            _ => format!("{part} of flow {}", recorded.flow),
        };
        let variable = match found.iter_mut().find(|variable| variable.name == name) {
            Some(variable) => variable,
            None => {
                let (called, places) = (BTreeSet::new(), Places::default());
                found.push(Variable { name, called, places });
                // It was pushed just now.
                let last = found.len() - 1;
                &mut found[last]
            }
        };
        variable.called.extend(called);
        variable.places.add(said);
    }
}

/// The name before a value: `sid` of `?sid=`, `"sid":"`, `<sid>`, ` sid="`.
fn called(before: &[u8]) -> Option<String> {
    let before = before.trim_ascii_end();
    let between = |octet: &u8| b"=:\"'> \t".contains(octet) || octet.is_ascii_whitespace();
    let name_ends = before.iter().rposition(|octet| !between(octet))? + 1;
    // A name, and something between it and the value that is more than white space.
    if before[name_ends..].trim_ascii().is_empty() {
        return None;
    }
    let is_name = |octet: &u8| octet.is_ascii_alphanumeric() || b"_-.".contains(octet);
    let begins =
        before[..name_ends].iter().rposition(|octet| !is_name(octet)).map_or(0, |at| at + 1);
    let name = std::str::from_utf8(&before[begins..name_ends]).ok()?;
    (!name.is_empty()).then(|| name.to_owned())
}

impl Places {
    fn add(&mut self, said: String) {
        if self.first.contains(&said) {
            return;
        }
        if self.first.len() < TOLD {
            self.first.push(said);
        } else {
            self.more += 1;
        }
    }

    fn said(&self) -> String {
        let mut text = self.first.join(", ");
        if self.more > 0 {
            let _ = write!(text, ", and {} more", self.more);
        }
        text
    }
}

/// What is missing, and how to give it.
pub(super) fn missing_said(missing: &[Variable]) -> String {
    let mut text =
        "secrets were taken out of this session, and these requests need them:".to_owned();
    for variable in missing {
        let called = match Vec::from_iter(&variable.called)[..] {
            [one] if missing.iter().filter(|other| other.called.contains(one)).count() == 1 => one,
            _ => &variable.name,
        };
        let environment = environment_name(called);
        let _ = write!(
            text,
            "\n  {}: {}\n    give it as --var {called}=VALUE, or in {ENVIRONMENT}{environment}",
            variable.name,
            variable.places.said()
        );
    }
    text
}

impl Values {
    /// The octets with values in them, written as the place wants them.
    pub(super) fn fill<'o>(&self, octets: &'o [u8], written: Written) -> Cow<'o, [u8]> {
        if self.0.is_empty() {
            return Cow::Borrowed(octets);
        }
        let mut filled = Vec::new();
        let mut from = 0;
        for place in stand_ins(octets) {
            let name = std::str::from_utf8(&octets[place.clone()]).unwrap_or_default();
            if let Some(value) = self.0.get(name) {
                filled.extend_from_slice(&octets[from..place.start]);
                filled.extend_from_slice(written.value(value).as_bytes());
                from = place.end;
            }
        }
        if from == 0 {
            return Cow::Borrowed(octets);
        }
        filled.extend_from_slice(&octets[from..]);
        Cow::Owned(filled)
    }
}

impl Written {
    fn value(self, value: &str) -> Cow<'_, str> {
        match self {
            Self::Url => url_encoded(value),
            Self::Json => {
                let quoted = serde_json::Value::from(value).to_string();
                let inner = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
                Cow::Owned(inner.unwrap_or_default().to_owned())
            }
            Self::Xml => quick_xml::escape::escape(value),
            Self::Field | Self::Plain => Cow::Borrowed(value),
        }
    }
}

/// Only what cannot stand there is escaped (RFC 3986 3.4), and what would end the value: a value
/// that was copied from a URL is escaped already.
fn url_encoded(value: &str) -> Cow<'_, str> {
    let stands = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$'()*+,;=:@/?%".contains(&byte);
    if value.bytes().all(stands) {
        return Cow::Borrowed(value);
    }
    let mut encoded = String::with_capacity(value.len() * 2);
    for byte in value.bytes() {
        if stands(byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    Cow::Owned(encoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_called_what_stands_before_it() {
        for (before, name) in [
            ("http://a/x?ver=1&sid=", Some("sid")),
            ("{\"a\":1, \"npsso\" : \"", Some("npsso")),
            ("<p sid='", Some("sid")),
            ("<p><ticket>", Some("ticket")),
            ("lang=en; s=", Some("s")),
            ("Bearer ", None),
            ("http://a/", None),
            ("", None),
            ("=", None),
        ] {
            assert_eq!(called(before.as_bytes()).as_deref(), name, "{before}");
        }
    }

    #[test]
    fn values_are_written_as_their_place_wants_them() {
        let name = "redacted-abcdefghij";
        let values = Values([(name.to_owned(), "a&b \"c\" %41".to_owned())].into());
        let fill = |text: &str, written| {
            let text = text.replace("{}", name);
            String::from_utf8(values.fill(text.as_bytes(), written).into_owned()).unwrap()
        };
        assert_eq!(fill("?x={}&y=1", Written::Url), "?x=a%26b%20%22c%22%20%41&y=1");
        assert_eq!(fill("{\"x\":\"{}\"}", Written::Json), "{\"x\":\"a&b \\\"c\\\" %41\"}");
        assert_eq!(fill("<x>{}</x>", Written::Xml), "<x>a&amp;b &quot;c&quot; %41</x>");
        assert_eq!(fill("{} {}", Written::Field), "a&b \"c\" %41 a&b \"c\" %41");
        assert_eq!(fill("redacted-zzzzzzzzzz", Written::Plain), "redacted-zzzzzzzzzz");
    }
}
