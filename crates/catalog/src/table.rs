//! The tables as they are written in TOML. Errors name file and line.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use consoletap_flow::Platforms;
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer};
use toml::Spanned;

use crate::entry::{Confidence, Place, Secrets};
use crate::error::CatalogError;
use crate::hash::KeyedHash;
use crate::ports::{PortUse, parse_range};
use crate::row::{HashRule, Row};

/// What one file holds, compiled.
#[derive(Debug, Default)]
pub(crate) struct Table {
    pub(crate) rows: Vec<Row>,
    pub(crate) ports: Vec<PortUse>,
    pub(crate) keys: BTreeMap<String, KeyedHash>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileText {
    /// These three stand in for the same key of rows that do not give it.
    #[serde(default)]
    source: Arc<str>,
    platform: Option<Spanned<String>>,
    #[serde(default)]
    confidence: Confidence,
    /// Names of what is secret, for rows that say `secret = "NAME"`.
    #[serde(default)]
    secrets: BTreeMap<String, Arc<Secrets>>,
    #[serde(default)]
    entry: Vec<RowText>,
    #[serde(default)]
    port: Vec<Spanned<PortText>>,
    #[serde(default)]
    key: BTreeMap<String, Spanned<KeyText>>,
}

/// What stands in for a key that a row does not give.
pub(crate) struct Defaults {
    pub(crate) source: Arc<str>,
    pub(crate) platform: Platforms,
    pub(crate) confidence: Confidence,
    pub(crate) secrets: BTreeMap<String, Arc<Secrets>>,
}

/// A row as it is written; `docs/catalog.md` explains the keys.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RowText {
    pub(crate) id: Spanned<String>,
    #[serde(default)]
    pub(crate) host: OneOrMany,
    #[serde(default)]
    pub(crate) path: OneOrMany,
    #[serde(default)]
    pub(crate) path_alone: bool,
    #[serde(default)]
    pub(crate) user_agent: OneOrMany,
    /// `Name`, or `Name: PATTERN`.
    #[serde(default)]
    pub(crate) header: OneOrMany,
    #[serde(default)]
    pub(crate) ja3: OneOrMany,
    #[serde(default)]
    pub(crate) ja4: OneOrMany,
    pub(crate) method: Option<String>,
    pub(crate) port: Option<u16>,
    pub(crate) environment: Option<String>,
    pub(crate) document: Option<String>,
    pub(crate) nonretail: Option<String>,
    pub(crate) platform: Option<String>,
    pub(crate) category: String,
    pub(crate) service: Option<String>,
    pub(crate) summary: String,
    pub(crate) source: Option<Arc<str>>,
    pub(crate) confidence: Option<Confidence>,
    #[serde(default)]
    pub(crate) documented: bool,
    #[serde(default)]
    pub(crate) pinned: bool,
    #[serde(default)]
    pub(crate) secret: SecretText,
    #[serde(default)]
    pub(crate) noise: Vec<String>,
    #[serde(default)]
    pub(crate) download: bool,
    #[serde(default)]
    pub(crate) rewritable: bool,
    #[serde(default)]
    pub(crate) limits: BTreeMap<String, u64>,
    #[serde(default)]
    pub(crate) defaults: BTreeMap<String, String>,
    pub(crate) underivable: Option<String>,
    #[serde(default)]
    pub(crate) format: Vec<String>,
    #[serde(default)]
    pub(crate) examples: Vec<String>,
    #[serde(default)]
    pub(crate) fields: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) query: Vec<String>,
    pub(crate) hash: Option<HashRule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PortText {
    protocol: String,
    range: String,
    usage: String,
    #[serde(default)]
    remarks: String,
    platform: Platforms,
    #[serde(default)]
    documented: bool,
    source: Option<Arc<str>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyText {
    algorithm: String,
    hex: String,
}

/// A text, or a list of them.
#[derive(Default)]
pub(crate) struct OneOrMany(pub(crate) Vec<String>);

impl<'de> Deserialize<'de> for OneOrMany {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // By hand: serde's `untagged` reads everything into a buffer first, which is felt over
        // hundreds of rows.
        struct Texts;

        impl<'de> Visitor<'de> for Texts {
            type Value = OneOrMany;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or a list of texts")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<OneOrMany, E> {
                Ok(OneOrMany(vec![text.to_owned()]))
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<OneOrMany, A::Error> {
                let mut texts = Vec::new();
                while let Some(text) = list.next_element()? {
                    texts.push(text);
                }
                Ok(OneOrMany(texts))
            }
        }

        deserializer.deserialize_any(Texts)
    }
}

/// What is secret: the name of a set of the file, or the set itself.
pub(crate) enum SecretText {
    Named(String),
    Given(Secrets),
}

impl Default for SecretText {
    fn default() -> Self {
        Self::Given(Secrets::default())
    }
}

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl<'de> Visitor<'de> for Text {
            type Value = SecretText;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a [secrets] table, or lists of names by query, form, header, json and xml")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<SecretText, E> {
                Ok(SecretText::Named(text.to_owned()))
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<SecretText, A::Error> {
                Secrets::deserialize(de::value::MapAccessDeserializer::new(map))
                    .map(SecretText::Given)
            }
        }

        deserializer.deserialize_any(Text)
    }
}

/// Reads a file; `name` is for messages.
pub(crate) fn parse(name: &str, text: &str) -> Result<Table, CatalogError> {
    let file: FileText = toml::from_str(text).map_err(|error| CatalogError::Row {
        file: name.to_owned(),
        line: line_of(text, error.span().map_or(0, |span| span.start)),
        message: error.message().to_owned(),
    })?;
    let name: Arc<str> = name.into();
    let mut lines = Lines { text, at: 0, line: 1 };
    let mut table = Table::default();
    let platform = match &file.platform {
        None => Platforms::UNKNOWN,
        Some(written) => written.get_ref().parse().map_err(|error| {
            let line = line_of(text, written.span().start);
            Place { file: Arc::clone(&name), line }.error(format!("{error}"))
        })?,
    };
    let defaults = Defaults {
        source: file.source,
        platform,
        confidence: file.confidence,
        secrets: file.secrets,
    };
    for row in file.entry {
        let place = Place { file: Arc::clone(&name), line: lines.of(row.id.span().start) };
        let row = Row::compile(row, &defaults, place.clone()).map_err(|m| place.error(m))?;
        table.rows.push(row);
    }
    let place = |at: usize| Place { file: Arc::clone(&name), line: line_of(text, at) };
    for port in file.port {
        let place = place(port.span().start);
        let port = port_use(port.into_inner(), &defaults.source).map_err(|m| place.error(m))?;
        table.ports.push(port);
    }
    for (id, key) in file.key {
        let place = place(key.span().start);
        let KeyText { algorithm, hex } = key.into_inner();
        let key = KeyedHash::parse(&algorithm, &hex)
            .map_err(|want| place.error(format!("key `{id}`: expected {want}")))?;
        table.keys.insert(id, key);
    }
    Ok(table)
}

impl Place {
    pub(crate) fn error(&self, message: String) -> CatalogError {
        CatalogError::Row { file: self.file.to_string(), line: self.line, message }
    }
}

fn port_use(row: PortText, source: &Arc<str>) -> Result<PortUse, String> {
    let (first, last) = parse_range(&row.range).ok_or_else(|| {
        format!("range `{}`: expected a port or FIRST-LAST, from 1 to 65535", row.range)
    })?;
    Ok(PortUse {
        protocol: row.protocol,
        first,
        last,
        usage: row.usage,
        remarks: row.remarks,
        platform: row.platform,
        documented: row.documented,
        source: row.source.unwrap_or_else(|| Arc::clone(source)),
    })
}

/// Counts lines on the way through a text: rows come in order, and so each line is counted once.
struct Lines<'t> {
    text: &'t str,
    at: usize,
    line: usize,
}

impl Lines<'_> {
    fn of(&mut self, at: usize) -> usize {
        if at < self.at {
            return line_of(self.text, at);
        }
        self.line += line_of(&self.text[self.at..], at - self.at) - 1;
        self.at = at;
        self.line
    }
}

fn line_of(text: &str, at: usize) -> usize {
    memchr::memchr_iter(b'\n', &text.as_bytes()[..at.min(text.len())]).count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_row_names_file_line_and_what_was_expected() {
        let rows = [
            ("host = \"a.b\"\npath = \"x\"", "a path from its first `/`"),
            ("host = \"a.b\"\npath = \"/{x}\"", "need no kind"),
            ("host = \"a.b\"\ncolour = 1", "unknown field `colour`"),
            ("host = \"a.b\"\nplatform = \"ps9\"", "is no platform"),
            ("host = 7", "a text or a list of texts"),
            ("host = \"a.b\"\nheader = \"a b\"", "a header name"),
            ("ja3 = \"12\"", "32 small hex digits"),
            ("ja4 = \"t13d\"", "as t12d260500_f64c77d06cfa_b289314254d8"),
            ("path = \"/x\"", "path_alone"),
            ("host = \"a.b\"\nsecret = \"no\"", "the name of a [secrets] table"),
            ("host = \"a.b\"\nlimits = { w = 3 }", "`w` is no field"),
            ("host = \"A.b\"", "small letters"),
        ];
        for (row, want) in rows {
            let text = format!(
                "\n[[entry]]\nid = \"a\"\nhost=\"a.b\"\ncategory = \"c\"\nsummary = \"s\"\n\n[[entry]]\nid = \"x\"\ncategory = \"c\"\nsummary = \"s\"\n{row}\n"
            );
            let error = parse("my.toml", &text).unwrap_err().to_string();
            let line = error.strip_prefix("my.toml:").and_then(|rest| rest.split(':').next());
            let line: usize = line.and_then(|line| line.parse().ok()).expect("a line");
            assert!((9..=13).contains(&line), "{error}");
            assert!(error.contains(want), "{error}");
        }
    }

    #[test]
    fn a_file_may_say_once_what_its_rows_share() {
        let row = "[[entry]]\nid = \"x\"\nhost=\"a.b\"\ncategory = \"c\"\nsummary = \"s\"\n";
        let head = "source = \"me\"\nplatform = \"ps4\"\nconfidence = \"unconfirmed\"\n";
        let table = parse("t", &format!("{head}{row}")).unwrap();
        let entry = &table.rows[0].entry;
        assert_eq!((&*entry.source, &*entry.platform.to_string()), ("me", "ps4"));
        assert_eq!(entry.confidence, Confidence::Unconfirmed);
        let table = parse("t", &format!("{head}{row}confidence = \"verified\"\n")).unwrap();
        assert_eq!(table.rows[0].entry.confidence, Confidence::Verified);
        let error = parse("t", "platform = \"ps9\"").unwrap_err().to_string();
        assert!(error.starts_with("t:1: \"ps9\" is no platform"), "{error}");
    }

    proptest::proptest! {
        #[test]
        fn hostile_tables_never_panic(text in "[a-z\\[\\]={}\"\n .:*]{0,120}") {
            let _ = parse("x", &text);
        }
    }
}
