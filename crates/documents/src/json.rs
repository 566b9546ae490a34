//! JSON with the place of every value on the way to a field.
//!
//! serde_json reads; its `RawValue`s lend from the source, so that a value is also a span of it.
//! Only the objects and arrays on the way to an asked field are taken apart.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use serde::Deserialize;
use serde::de::{Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::edit::{Form, Slot};
use crate::error::{DocumentError, text, without_mark};

/// A field's place in a JSON document: names and numbers joined by points, as `names.0.name`. A
/// star stands for every element of an array or every value of an object.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct JsonPath(Vec<Box<str>>);

/// Text that is no path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidPath(String);

impl fmt::Display for InvalidPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is no path: write names joined by points, as `names.0.name`", self.0)
    }
}

impl std::error::Error for InvalidPath {}

/// More steps than any of these documents has.
const MAX_STEPS: usize = 16;

impl FromStr for JsonPath {
    type Err = InvalidPath;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let steps: Vec<Box<str>> = text.split('.').map(Into::into).collect();
        if steps.len() > MAX_STEPS || steps.iter().any(|step| step.is_empty()) {
            return Err(InvalidPath(text.to_owned()));
        }
        Ok(Self(steps))
    }
}

impl fmt::Display for JsonPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("."))
    }
}

impl JsonPath {
    /// Whether a field can be of both paths, or lie inside a field of the other: then both
    /// cannot be replaced at once.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).all(|(a, b)| a == b || &**a == "*" || &**b == "*")
    }
}

/// A JSON document.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Json<'a> {
    format: &'static str,
    pub(crate) source: &'a str,
    root: &'a RawValue,
}

impl<'a> Json<'a> {
    /// Reads a whole document; `format` names it in errors.
    pub(crate) fn parse(format: &'static str, bytes: &'a [u8]) -> Result<Self, DocumentError> {
        let source = text(format, bytes, crate::MAX_BYTES)?;
        let (body, base) = without_mark(source);
        // The first pass refuses what is nested deeper than serde_json's 128 levels and what has
        // a name twice: nobody can say which of the two a console takes.
        let checked = serde_json::from_str::<Unique>(body);
        let root = checked.and_then(|_| serde_json::from_str::<&RawValue>(body));
        match root {
            Ok(root) => Ok(Self { format, source, root }),
            Err(error) => Err(place(format, source, base, body, &error)),
        }
    }

    /// The whole document as a type.
    pub(crate) fn read<T: Deserialize<'a>>(&self) -> Result<T, DocumentError> {
        let (body, base) = without_mark(self.source);
        serde_json::from_str(body)
            .map_err(|error| place(self.format, self.source, base, body, &error))
    }

    /// The places of the texts and numbers that a path leads to.
    pub(crate) fn slots(&self, path: &str) -> Vec<Slot> {
        let Ok(path) = path.parse() else { return Vec::new() };
        let slot = |value: &RawValue| {
            let span = self.span(value);
            match value.get().as_bytes().first()? {
                b'"' => {
                    let old = serde_json::from_str(value.get()).ok()?;
                    Some(Slot { span, old, form: Form::JsonText })
                }
                b'-' | b'0'..=b'9' => {
                    Some(Slot { span, old: value.get().to_owned(), form: Form::JsonNumber })
                }
                _ => None,
            }
        };
        self.values(&path).into_iter().filter_map(slot).collect()
    }

    /// The values that a path leads to, in the order of the source.
    pub(crate) fn values(&self, path: &JsonPath) -> Vec<&'a RawValue> {
        let mut values = vec![self.root];
        for step in &path.0 {
            values = values.into_iter().flat_map(|value| children(value, step)).collect();
        }
        values
    }

    /// The text that a path leads to.
    pub(crate) fn string(&self, path: &str) -> Option<String> {
        let path = path.parse().ok()?;
        serde_json::from_str(self.values(&path).first()?.get()).ok()
    }

    /// The number that a path leads to.
    pub(crate) fn number(&self, path: &str) -> Option<i64> {
        let path = path.parse().ok()?;
        serde_json::from_str(self.values(&path).first()?.get()).ok()
    }

    /// Where a value stands.
    pub(crate) fn span(&self, value: &RawValue) -> Range<usize> {
        let start = (value.get().as_ptr() as usize).wrapping_sub(self.source.as_ptr() as usize);
        start..start + value.get().len()
    }

    /// An error about the document as a whole.
    pub(crate) fn error(&self, problem: impl Into<String>) -> DocumentError {
        let at = self.span(self.root).start;
        DocumentError::at(self.format, self.source.as_bytes(), at, problem)
    }
}

/// The values of an object or array that a step leads to; none in anything else.
fn children<'a>(value: &'a RawValue, step: &str) -> Vec<&'a RawValue> {
    match value.get().as_bytes().first() {
        Some(b'{') => {
            let Ok(members) = serde_json::from_str::<Members<'a>>(value.get()) else {
                return Vec::new();
            };
            let wanted = |name: &str| step == "*" || step == name;
            members.0.into_iter().filter(|(name, _)| wanted(name)).map(|(_, value)| value).collect()
        }
        Some(b'[') => {
            let Ok(elements) = serde_json::from_str::<Vec<&'a RawValue>>(value.get()) else {
                return Vec::new();
            };
            match step {
                "*" => elements,
                _ => step
                    .parse::<usize>()
                    .ok()
                    .and_then(|index| elements.get(index).copied())
                    .into_iter()
                    .collect(),
            }
        }
        _ => Vec::new(),
    }
}

/// The members of an object, in order.
struct Members<'a>(Vec<(Name<'a>, &'a RawValue)>);

/// A member's name; lent where no escape is in it.
#[derive(Deserialize)]
#[serde(transparent)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl std::ops::Deref for Name<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Vec<(Name<'de>, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(Reader).map(Members)
    }
}

/// Any value in which no object has a name twice; nothing of it is kept.
struct Unique;

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Unique {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self, A::Error> {
        let mut names = HashSet::new();
        while let Some(name) = map.next_key::<Name<'de>>()? {
            if names.contains(&*name) {
                return Err(A::Error::custom(format!("the name {:?} is there twice", &*name)));
            }
            names.insert(name.0);
            map.next_value::<Self>()?;
        }
        Ok(Self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self, A::Error> {
        while elements.next_element::<Self>()?.is_some() {}
        Ok(Self)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(Self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(Self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(Self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(Self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(Self)
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(Self)
    }
}

/// What serde_json says, with its place in our own words.
fn place(
    format: &'static str,
    source: &str,
    base: usize,
    body: &str,
    error: &serde_json::Error,
) -> DocumentError {
    let at = base + byte_of(body, error.line(), error.column());
    let problem = error.to_string();
    let problem = problem.split(" at line ").next().unwrap_or_default();
    DocumentError::at(format, source.as_bytes(), at, problem)
}

/// The byte that serde_json's line and column (both from 1, columns in bytes) mean.
fn byte_of(source: &str, line: usize, column: usize) -> usize {
    let lines = source.split_inclusive('\n').take(line.saturating_sub(1));
    lines.map(str::len).sum::<usize>() + column.saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(source: &str, path: &str) -> Vec<String> {
        let json = Json::parse("x", source.as_bytes()).unwrap();
        let values = json.values(&path.parse().unwrap());
        for value in &values {
            assert_eq!(&source[json.span(value)], value.get());
        }
        values.into_iter().map(|value| value.get().to_owned()).collect()
    }

    #[test]
    fn a_path_leads_to_values_and_their_places() {
        let source =
            "\u{feff} {\"a\" : [ {\"b\": \"x\\u0041\"} , {\"b\":2, \"c\\u0064\": null} ]}\n";
        assert_eq!(found(source, "a.0.b"), ["\"x\\u0041\""]);
        assert_eq!(found(source, "a.*.b"), ["\"x\\u0041\"", "2"]);
        assert_eq!(found(source, "a.1.cd"), ["null"]);
        assert_eq!(found(source, "a.7.b"), [""; 0]);
        assert_eq!(found(source, "a.0.b.c"), [""; 0]);
    }

    #[test]
    fn paths_that_meet_are_known() {
        let overlap =
            |a: &str, b: &str| a.parse::<JsonPath>().unwrap().overlaps(&b.parse().unwrap());
        assert!(overlap("names.*.name", "names.0.name"));
        assert!(overlap("names", "names.0.name"));
        assert!(!overlap("names.0.name", "names.1.name"));
        assert!("a..b".parse::<JsonPath>().is_err() && "".parse::<JsonPath>().is_err());
    }

    #[test]
    fn errors_name_line_and_byte() {
        let problem = |source: &str| Json::parse("a text", source.as_bytes()).unwrap_err();
        let error = problem("{\n \"a\": 1,\n \"a\": 2}");
        assert_eq!(error.position.unwrap().line, 3);
        assert!(error.problem.contains("\"a\" is there twice"), "{error}");
        assert_eq!(problem("{\"a\":").position.unwrap().line, 1);
        assert!(problem(&"[".repeat(100_000)).problem.contains("recursion"));
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_text_never_panics(source in "[\\[\\]{}:,\"a\\\\u0-9.e \n-]{0,50}") {
            if let Ok(json) = Json::parse("x", source.as_bytes()) {
                for path in ["a", "*", "0.*", "a.a"] {
                    let _ = json.values(&path.parse().unwrap());
                }
            }
        }
    }
}
