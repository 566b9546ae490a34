//! Texts with places to fill in: `{value} [{np_title_id}]`.

use std::borrow::Cow;
use std::fmt::Write as _;

use consoletap_flow::Target;
use regex::Regex;

use crate::decision::Context;

/// A text with places to fill in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Place(Place),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Known(&'static str),
    /// A group of a regex of the rule.
    Captured(Box<str>),
    /// A field that a row of the catalog names in its pattern.
    Catalog(Box<str>),
}

/// What stood there; only where something is replaced.
const VALUE: &str = "value";

/// What a request tells, whatever it is for.
const KNOWN: [&str; 15] = [
    "np_title_id",
    "title_id",
    "content_id",
    "region",
    "firmware",
    "console",
    "category",
    "method",
    "scheme",
    "host",
    "port",
    "path",
    "file",
    "query",
    "client",
];

/// Fields of the catalog are named `{catalog.NAME}`.
const CATALOG: &str = "catalog.";

/// Which places a text may have.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Places<'a> {
    /// Whether there is a `{value}`.
    pub(crate) value: bool,
    /// The groups of the rule's regexes.
    pub(crate) captures: &'a [String],
}

/// What places are filled with.
#[derive(Clone, Copy)]
pub(crate) struct Values<'v> {
    pub(crate) context: &'v Context<'v>,
    /// What stood there.
    pub(crate) value: Option<&'v str>,
    /// The groups of the rule's `url`.
    pub(crate) url: Option<&'v Captured>,
}

/// Groups of a regex that fitted, by name.
#[derive(Debug, Default)]
pub(crate) struct Captured(Vec<(String, String)>);

impl Captured {
    pub(crate) fn of(regex: &Regex, text: &str) -> Option<Self> {
        let captures = regex.captures(text)?;
        let groups = captures.iter().zip(regex.capture_names()).enumerate();
        let named = groups.filter_map(|(number, (group, name))| {
            let name = name.map_or_else(|| number.to_string(), str::to_owned);
            Some((name, group?.as_str().to_owned()))
        });
        Some(Self(named.collect()))
    }

    /// The groups of a regex for octets; what is not UTF-8 among them is shown as well as it can be.
    pub(crate) fn of_octets(
        regex: &regex::bytes::Regex,
        captures: &regex::bytes::Captures<'_>,
    ) -> Self {
        let groups = captures.iter().zip(regex.capture_names()).enumerate();
        let named = groups.filter_map(|(number, (group, name))| {
            let name = name.map_or_else(|| number.to_string(), str::to_owned);
            Some((name, String::from_utf8_lossy(group?.as_bytes()).into_owned()))
        });
        Self(named.collect())
    }

    /// These groups, and of others those that have another name.
    pub(crate) fn or(mut self, other: Option<&Self>) -> Self {
        let others = other.into_iter().flat_map(|other| &other.0);
        let new: Vec<_> = others.filter(|(name, _)| self.get(name).is_none()).cloned().collect();
        self.0.extend(new);
        self
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// The groups of a regex, as they are written in a template.
pub(crate) fn groups(regex: &Regex) -> Vec<String> {
    let names = regex.capture_names().enumerate();
    names.map(|(number, name)| name.map_or_else(|| number.to_string(), str::to_owned)).collect()
}

impl Template {
    /// Reads a text.
    pub(crate) fn parse(text: &str, places: Places<'_>) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            literal.push_str(&rest[..at]);
            let brace = &rest[at..=at];
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix(brace) {
                literal.push_str(brace);
                rest = after;
                continue;
            }
            let end = rest.find('}').filter(|_| brace == "{");
            let Some(end) = end else {
                return Err(format!(
                    "a single {brace} in {text:?}; write {brace}{brace} for a brace"
                ));
            };
            let place = Place::parse(&rest[..end], places)?;
            if !literal.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut literal)));
            }
            parts.push(Part::Place(place));
            rest = &rest[end + 1..];
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Text(literal));
        }
        Ok(Self(parts))
    }

    /// The text where nothing is to be filled in.
    pub(crate) fn fixed(&self) -> Option<&str> {
        match self.0.as_slice() {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// The parts of the text that are always the same, joined.
    pub(crate) fn literals(&self) -> String {
        let texts = self.0.iter().filter_map(|part| match part {
            Part::Text(text) => Some(text.as_str()),
            Part::Place(_) => None,
        });
        texts.collect()
    }

    /// The text, filled in; or what is not known.
    pub(crate) fn fill(&self, values: &Values<'_>) -> Result<String, String> {
        self.fill_with(values, |value| Ok(value.to_owned()))
    }

    /// The same with every value made into something else before it is put in.
    pub(crate) fn fill_with(
        &self,
        values: &Values<'_>,
        make: impl Fn(&str) -> Result<String, String>,
    ) -> Result<String, String> {
        let mut text = String::new();
        for part in &self.0 {
            match part {
                Part::Text(literal) => text.push_str(literal),
                Part::Place(place) => {
                    let value = place.of(values);
                    let value =
                        value.ok_or_else(|| format!("{} is not known here", place.name()))?;
                    text.push_str(&make(&value)?);
                }
            }
        }
        Ok(text)
    }
}

impl std::fmt::Display for Template {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|part| match part {
            Part::Text(text) => f.write_str(text),
            Part::Place(place) => write!(f, "{{{}}}", place.name()),
        })
    }
}

impl Place {
    fn parse(name: &str, places: Places<'_>) -> Result<Self, String> {
        if name == VALUE && places.value {
            return Ok(Self::Known(VALUE));
        }
        if places.captures.iter().any(|capture| capture == name) {
            return Ok(Self::Captured(name.into()));
        }
        if let Some(known) = KNOWN.iter().find(|known| **known == name) {
            return Ok(Self::Known(known));
        }
        let of_catalog = name.strip_prefix(CATALOG).filter(|field| {
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
            !field.is_empty() && field.bytes().all(fits)
        });
        if let Some(field) = of_catalog {
            return Ok(Self::Catalog(field.into()));
        }
        let mut known = String::new();
        if places.value {
            known.push_str("{value} ");
        }
        let captures = places.captures.iter().map(String::as_str).filter(|name| *name != "0");
        captures.chain(KNOWN).for_each(|name| {
            // Writing to a String cannot fail.
            let _ = write!(known, "{{{name}}} ");
        });
        Err(format!("{{{name}}} cannot be filled in; there are {known}{{catalog.NAME}}"))
    }

    fn name(&self) -> String {
        match self {
            Self::Known(name) => (*name).to_owned(),
            Self::Captured(name) => name.to_string(),
            Self::Catalog(name) => format!("{CATALOG}{name}"),
        }
    }

    fn of<'v>(&self, values: &Values<'v>) -> Option<Cow<'v, str>> {
        let name = match self {
            Self::Captured(name) => return values.url?.get(name).map(Cow::Borrowed),
            Self::Catalog(name) => {
                let fields = &values.context.classification.details.fields;
                let field = fields.iter().find(|(known, _)| **known == **name);
                return field.map(|(_, value)| Cow::Borrowed(value.as_str()));
            }
            Self::Known(name) => *name,
        };
        let Context { classification, target, method, client } = *values.context;
        let details = &classification.details;
        let np_title_id = details.np_title_id.as_deref();
        let borrowed = match name {
            VALUE => values.value,
            "np_title_id" => np_title_id,
            "title_id" => details.title_id.as_deref().or_else(|| np_title_id?.split('_').next()),
            "content_id" => details.content_id.as_deref(),
            "region" => details.region.as_deref(),
            "firmware" => details.firmware.as_deref(),
            "category" => Some(classification.category.as_str()),
            "console" => classification.platform.only().map(|platform| platform.name()),
            "method" => Some(method),
            "path" => path(target).map(|path| path.trim_start_matches('/')),
            "file" => path(target).and_then(|path| path.rsplit('/').next()),
            "query" => target.path().and_then(|path| path.split_once('?')).map(|(_, query)| query),
            _ => None,
        };
        if let Some(value) = borrowed {
            return Some(Cow::Borrowed(value)).filter(|value| !value.is_empty() || name == VALUE);
        }
        match (name, target) {
            ("host", target) => Some(target.authority().host.to_string().into()),
            ("port", target) => Some(target.authority().port.to_string().into()),
            ("scheme", Target::Url(url)) => Some(url.scheme.to_string().into()),
            ("client", _) => Some(client.to_canonical().to_string().into()),
            _ => None,
        }
    }
}

/// The path without the query.
fn path(target: &Target) -> Option<&str> {
    target.path().map(|path| path.split_once('?').map_or(path, |(path, _)| path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use consoletap_flow::{Classification, Details};

    fn fill(text: &str, details: &Details) -> Result<String, String> {
        let regex = Regex::new(r"/(?<name>\w+)\.(\w+)").unwrap();
        let target = Target::Url("http://h.test:81/a/b.pkg?x=1".parse().unwrap());
        let classification =
            Classification { details: details.clone(), ..Classification::default() };
        let context = Context {
            classification: &classification,
            target: &target,
            method: "GET",
            client: [192, 168, 1, 2].into(),
        };
        let url = Captured::of(&regex, "/b.pkg");
        let values = Values { context: &context, value: Some("old"), url: url.as_ref() };
        let places = Places { value: true, captures: &groups(&regex) };
        Template::parse(text, places).unwrap().fill(&values)
    }

    #[test]
    fn places_are_filled_in_and_double_braces_are_braces() {
        let known = Details {
            np_title_id: Some("CUSA00001_00".into()),
            fields: vec![("part".into(), "7".into())],
            ..Details::default()
        };
        for (text, filled) in [
            ("{value} [{np_title_id}] {{{title_id}}}", "old [CUSA00001_00] {CUSA00001}"),
            ("{name}|{2}|{0}", "b|pkg|/b.pkg"),
            ("{host} {port} {path} {file} {query}", "h.test 81 a/b.pkg b.pkg x=1"),
            ("{catalog.part}{method}{client}", "7GET192.168.1.2"),
        ] {
            assert_eq!(fill(text, &known).unwrap(), filled);
        }
        assert_eq!(
            fill("{title_id}", &Details::default()).unwrap_err(),
            "title_id is not known here"
        );
        assert!(fill("{catalog.nothere}", &known).is_err());
    }

    #[test]
    fn what_cannot_be_filled_in_is_told_when_the_rules_are_read() {
        let places = Places { value: true, captures: &[] };
        let told = Template::parse("{nmae}", places).unwrap_err();
        assert!(told.contains("there are {value}"), "{told}");
        for bad in ["{", "}", "a}b", "{value", "{}", "{catalog.}", "{catalog.a b}"] {
            assert!(Template::parse(bad, places).is_err(), "{bad}");
        }
        assert!(Template::parse("{value}", Places::default()).is_err());
    }
}
