//! Setting, removing and renaming fields of heads.

use consoletap_flow::{Effect, Header, Headers, RuleHit};

use super::Kind;
use crate::template::{Template, Values};

/// Whose head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Message {
    Request,
    Response,
}

/// Changes to heads, in the order in which they are written.
#[derive(Debug, Clone)]
pub(crate) enum HeaderEdit {
    Set(Vec<(Message, String, Vec<Template>)>),
    Remove(Vec<(Message, String)>),
    Rename(Vec<(Message, String, String)>),
}

/// Fields that say where a message ends or whom it concerns: with others of the kind it could be
/// read in two ways.
const FRAMING: [&str; 10] = [
    "content-length",
    "transfer-encoding",
    "connection",
    "proxy-connection",
    "keep-alive",
    "te",
    "trailer",
    "upgrade",
    "proxy-authorization",
    "host",
];

impl Message {
    fn name(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Response => "answer",
        }
    }
}

/// Whether rules may touch a field of this name; why not.
pub(crate) fn check_name(name: &str) -> Result<(), String> {
    Header::new(name, "").map_err(|error| error.to_string())?;
    let lower = name.to_ascii_lowercase();
    if lower == "host" {
        return Err("Host follows the URL; use map-remote to ask somebody else".to_owned());
    }
    if FRAMING.contains(&lower.as_str()) {
        return Err(format!("{name} frames the message, which is up to the proxy"));
    }
    Ok(())
}

impl HeaderEdit {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Set(_) => Kind::SetHeader,
            Self::Remove(_) => Kind::RemoveHeader,
            Self::Rename(_) => Kind::RenameHeader,
        }
    }

    /// Whether it changes heads of this kind.
    fn concerns(&self, message: Message) -> bool {
        match self {
            Self::Set(fields) => fields.iter().any(|(whose, ..)| *whose == message),
            Self::Remove(fields) => fields.iter().any(|(whose, _)| *whose == message),
            Self::Rename(fields) => fields.iter().any(|(whose, ..)| *whose == message),
        }
    }

    /// Changes a head; what was done, where anything was, and what could not be done.
    pub(crate) fn apply(
        &self,
        rule: &str,
        message: Message,
        headers: &mut Headers,
        values: &Values<'_>,
    ) -> (Option<RuleHit>, Vec<String>) {
        let (mut did, mut notes) = (Vec::new(), Vec::new());
        if self.concerns(message) {
            match self {
                Self::Set(fields) => {
                    for (_, name, templates) in
                        fields.iter().filter(|(whose, ..)| *whose == message)
                    {
                        match set(headers, name, templates, values) {
                            Ok(change) => did.extend(change),
                            Err(problem) => notes.push(format!("rule {rule}: {name}: {problem}")),
                        }
                    }
                }
                Self::Remove(fields) => {
                    for (_, name) in fields.iter().filter(|(whose, _)| *whose == message) {
                        if let Some(old) = shown(headers, name) {
                            headers.remove(name);
                            did.push(format!("removed {name}: {old}"));
                        }
                    }
                }
                Self::Rename(fields) => {
                    for (_, from, to) in fields.iter().filter(|(whose, ..)| *whose == message) {
                        if headers.contains(from) {
                            rename(headers, from, to);
                            did.push(format!("renamed {from} to {to}"));
                        }
                    }
                }
            }
        }
        let hit = (!did.is_empty()).then(|| RuleHit {
            name: rule.to_owned(),
            did: format!("{}: {}", message.name(), did.join("; ")),
            effect: Effect::Rewritten,
        });
        (hit, notes)
    }

    pub(super) fn describe(&self) -> String {
        let words: Vec<String> = match self {
            Self::Set(fields) => fields
                .iter()
                .map(|(whose, name, _)| format!("set {name} of the {}", whose.name()))
                .collect(),
            Self::Remove(fields) => fields
                .iter()
                .map(|(whose, name)| format!("remove {name} from the {}", whose.name()))
                .collect(),
            Self::Rename(fields) => fields
                .iter()
                .map(|(whose, from, to)| format!("rename {from} of the {} to {to}", whose.name()))
                .collect(),
        };
        words.join(", ")
    }
}

/// Sets a field to one value or several; in words what changed, where anything did.
fn set(
    headers: &mut Headers,
    name: &str,
    templates: &[Template],
    values: &Values<'_>,
) -> Result<Option<String>, String> {
    let fields = templates.iter().map(|template| {
        let value = template.fill(values)?;
        Header::new(name, value.trim()).map_err(|error| error.to_string())
    });
    let fields = fields.collect::<Result<Vec<_>, _>>()?;
    if headers.all(name).eq(fields.iter().map(Header::value)) {
        return Ok(None);
    }
    let was = shown(headers, name);
    let mut fields = fields.into_iter();
    if let Some(first) = fields.next() {
        headers.set(first);
    }
    fields.for_each(|field| headers.push(field));
    let new = shown(headers, name).unwrap_or_default();
    Ok(Some(match was {
        Some(was) => format!("{name}: {was} -> {new}"),
        None => format!("added {name}: {new}"),
    }))
}

fn rename(headers: &mut Headers, from: &str, to: &str) {
    let renamed = headers.iter().map(|field| {
        if !field.is(from) {
            return field.clone();
        }
        // The name was looked at when the rule was read, and the value stood there.
        Header::new(to, field.value()).unwrap_or_else(|_| field.clone())
    });
    *headers = renamed.collect();
}

/// The values of a field for a person; `None` where there is none.
fn shown(headers: &Headers, name: &str) -> Option<String> {
    const LONGEST: usize = 200;
    let values: Vec<String> =
        headers.all(name).map(|value| String::from_utf8_lossy(value).into_owned()).collect();
    (!values.is_empty()).then(|| {
        let joined = values.join(", ");
        match joined.char_indices().nth(LONGEST) {
            Some((end, _)) => format!("{}…", &joined[..end]),
            None => joined,
        }
    })
}
