//! The tables as they are written in TOML, and how they become rows. Errors name file and line.

use std::collections::BTreeMap;
use std::sync::Arc;

use consoletap_flow::{Category, EntryId, Platforms};
use serde::Deserialize;
use toml::Spanned;

use crate::entry::{Confidence, Entry, Secrets};
use crate::error::CatalogError;
use crate::hash::KeyedHash;
use crate::hosts::HostMatch;
use crate::pattern::Pattern;
use crate::ports::{PortUse, parse_range};

/// What one file holds, compiled.
#[derive(Debug, Default)]
pub(crate) struct Table {
    pub(crate) rows: Vec<Row>,
    pub(crate) ports: Vec<PortUse>,
    pub(crate) keys: BTreeMap<String, KeyedHash>,
}

/// A compiled row: what is told of it, and when it matches.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) entry: Entry,
    pub(crate) place: Place,
    pub(crate) hosts: Vec<(Box<str>, HostMatch)>,
    pub(crate) paths: Vec<Pattern>,
    pub(crate) agents: Vec<Pattern>,
    pub(crate) path_alone: bool,
    pub(crate) method: Option<String>,
    pub(crate) port: Option<u16>,
    pub(crate) environment: Option<String>,
    pub(crate) fields: Vec<(Arc<str>, String)>,
    pub(crate) query: Vec<Arc<str>>,
    pub(crate) hash: Option<HashRule>,
}

/// Where a row is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) file: Arc<str>,
    pub(crate) line: usize,
}

/// Which hash a field must hold: a key of the tables, over text with fields in braces.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HashRule {
    pub(crate) key: String,
    pub(crate) of: String,
    pub(crate) field: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileText {
    /// Stands in for the `source` of rows that give none.
    #[serde(default)]
    source: String,
    #[serde(default)]
    entry: Vec<Spanned<RowText>>,
    #[serde(default)]
    port: Vec<Spanned<PortText>>,
    #[serde(default)]
    key: BTreeMap<String, Spanned<KeyText>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RowText {
    id: Spanned<String>,
    #[serde(default)]
    host: OneOrMany,
    #[serde(default)]
    path: OneOrMany,
    #[serde(default)]
    path_alone: bool,
    #[serde(default)]
    user_agent: OneOrMany,
    method: Option<String>,
    port: Option<u16>,
    environment: Option<String>,
    document: Option<String>,
    #[serde(default)]
    platform: Option<Spanned<String>>,
    category: String,
    service: Option<String>,
    summary: String,
    source: Option<String>,
    #[serde(default)]
    confidence: Confidence,
    #[serde(default)]
    documented: bool,
    #[serde(default)]
    pinned: bool,
    #[serde(default)]
    secret: Secrets,
    #[serde(default)]
    download: bool,
    #[serde(default)]
    rewritable: bool,
    #[serde(default)]
    format: Vec<String>,
    #[serde(default)]
    examples: Vec<String>,
    #[serde(default)]
    fields: BTreeMap<String, String>,
    #[serde(default)]
    query: Vec<String>,
    hash: Option<HashRule>,
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
    source: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyText {
    algorithm: String,
    hex: String,
}

#[derive(Deserialize, Default)]
#[serde(untagged)]
enum OneOrMany {
    #[default]
    None,
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    fn as_slice(&self) -> &[String] {
        match self {
            Self::None => &[],
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
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
    let place = |at: usize| Place { file: Arc::clone(&name), line: line_of(text, at) };
    let mut table = Table::default();
    for row in file.entry {
        let row = row.into_inner();
        let place = place(row.id.span().start);
        table.rows.push(compile(row, &file.source, place.clone()).map_err(|m| place.error(m))?);
    }
    for port in file.port {
        let place = place(port.span().start);
        table.ports.push(port_use(port.into_inner(), &file.source).map_err(|m| place.error(m))?);
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

fn compile(row: RowText, source: &str, place: Place) -> Result<Row, String> {
    let id = row.id.get_ref();
    if id.is_empty() || !id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)) {
        return Err(format!("id `{id}`: expected letters, digits, `-`, `_` and `.`"));
    }
    let says = |what: &str, text: &str, want: &dyn std::fmt::Display| {
        format!("row `{id}`: {what} `{text}`: expected {want}")
    };
    let patterns = |what: &str, texts: &OneOrMany| {
        let parse = |text: &String| Pattern::parse(text).map_err(|want| says(what, text, &want));
        texts.as_slice().iter().map(parse).collect::<Result<Vec<_>, _>>()
    };
    let paths = patterns("path", &row.path)?;
    if let Some(text) = row.path.as_slice().iter().find(|path| !path.starts_with(['/', '*'])) {
        return Err(says("path", text, &"a path from its first `/`"));
    }
    let agents = patterns("user_agent", &row.user_agent)?;
    let hosts = row.host.as_slice().iter();
    let hosts = hosts
        .map(|text| HostMatch::parse(text).map_err(|want| says("host", text, &want)))
        .collect::<Result<Vec<_>, _>>()?;
    let by_path = !paths.is_empty() && row.path_alone;
    let by_agent = !agents.is_empty() && paths.is_empty();
    let can_match = !hosts.is_empty() || by_path || by_agent || row.document.is_some();
    if !can_match {
        return Err(format!(
            "row `{id}`: expected a host, a user_agent, a document, or a path with `path_alone = true`"
        ));
    }
    let platform = match &row.platform {
        None => Platforms::UNKNOWN,
        Some(text) => text.get_ref().parse().map_err(|error| format!("row `{id}`: {error}"))?,
    };
    let entry = Entry {
        id: EntryId(id.as_str().into()),
        platform,
        category: Category::from(&*row.category),
        service: row.service,
        summary: row.summary.into(),
        source: row.source.unwrap_or_else(|| source.to_owned()),
        confidence: row.confidence,
        documented: row.documented,
        pinned: row.pinned,
        secret: row.secret,
        download: row.download,
        rewritable: row.rewritable,
        document: row.document,
        format: row.format,
        examples: row.examples,
    };
    Ok(Row {
        entry,
        place,
        hosts,
        paths,
        agents,
        path_alone: row.path_alone,
        method: row.method,
        port: row.port,
        environment: row.environment,
        fields: row.fields.into_iter().map(|(name, value)| (name.into(), value)).collect(),
        query: row.query.into_iter().map(Arc::from).collect(),
        hash: row.hash,
    })
}

fn port_use(row: PortText, source: &str) -> Result<PortUse, String> {
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
        source: row.source.unwrap_or_else(|| source.to_owned()),
    })
}

fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|&byte| byte == b'\n').count() + 1
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
            ("path = \"/x\"", "path_alone"),
        ];
        for (row, want) in rows {
            let text =
                format!("\n[[entry]]\nid = \"x\"\ncategory = \"c\"\nsummary = \"s\"\n{row}\n");
            let error = parse("my.toml", &text).unwrap_err().to_string();
            assert!(error.starts_with("my.toml:"), "{error}");
            assert!(error.contains(want), "{error}");
        }
    }

    proptest::proptest! {
        #[test]
        fn hostile_tables_never_panic(text in "[a-z\\[\\]={}\"\n .:*]{0,120}") {
            let _ = parse("x", &text);
        }
    }
}
