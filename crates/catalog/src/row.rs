//! A compiled row: what is told of it, and when it matches.

use consoletap_flow::{Category, EntryId, SmolStr};
use serde::Deserialize;

use crate::entry::{Entry, Place};
use crate::field::FieldName;
use crate::hosts::HostMatch;
use crate::pattern::Pattern;
use crate::table::{Defaults, OneOrMany, RowText, SecretText};

#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) entry: Entry,
    pub(crate) hosts: Vec<(Box<str>, HostMatch)>,
    pub(crate) paths: Vec<Pattern>,
    pub(crate) agents: Vec<Pattern>,
    pub(crate) headers: Vec<HeaderMatch>,
    pub(crate) ja3: Vec<SmolStr>,
    pub(crate) ja4: Vec<SmolStr>,
    pub(crate) path_alone: bool,
    pub(crate) method: Option<String>,
    pub(crate) port: Option<u16>,
    pub(crate) environment: Option<SmolStr>,
    /// The servers that this row is about, where they are not the public ones.
    pub(crate) nonretail: Option<SmolStr>,
    pub(crate) fields: Vec<(FieldName, SmolStr)>,
    pub(crate) query: Vec<FieldName>,
    pub(crate) hash: Option<HashRule>,
}

/// A header field that a request must have; with any value where there is no pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HeaderMatch {
    /// In small letters.
    pub(crate) name: SmolStr,
    pub(crate) value: Option<Pattern>,
}

/// Which hash a field must hold: a key of the tables, over text with fields in braces.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HashRule {
    pub(crate) key: String,
    pub(crate) of: String,
    pub(crate) field: String,
    /// How many hex digits of it, where not all.
    pub(crate) digits: Option<usize>,
    /// Whether the service writes it in capitals.
    #[serde(default)]
    pub(crate) capitals: bool,
}

impl Row {
    pub(crate) fn compile(
        text: RowText,
        defaults: &Defaults,
        place: Place,
    ) -> Result<Self, String> {
        let id = text.id.get_ref();
        if id.is_empty() || !id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)) {
            return Err(format!("id `{id}`: expected letters, digits, `-`, `_` and `.`"));
        }
        let matches = Matches::compile(&text).map_err(|error| format!("row `{id}`: {error}"))?;
        let platform = match &text.platform {
            None => defaults.platform,
            Some(text) => text.parse().map_err(|error| format!("row `{id}`: {error}"))?,
        };
        let secret = match text.secret {
            SecretText::Given(secrets) => secrets.into(),
            SecretText::Named(name) => defaults.secrets.get(&name).cloned().ok_or_else(|| {
                format!("row `{id}`: secret: expected the name of a [secrets] table of this file, found `{name}`")
            })?,
        };
        let names = |map: std::collections::BTreeMap<String, _>| {
            map.into_iter().map(|(name, value)| (SmolStr::from(name), value))
        };
        let fields = text.fields.into_iter();
        let Matches { hosts, paths, agents, headers } = matches;
        let row = Self {
            entry: Entry {
                id: EntryId(id.as_str().into()),
                platform,
                category: Category::from(&*text.category),
                service: text.service,
                summary: text.summary.into(),
                source: text.source.unwrap_or_else(|| defaults.source.clone()),
                confidence: text.confidence.unwrap_or(defaults.confidence),
                documented: text.documented,
                pinned: text.pinned,
                secret,
                noise: text.noise,
                download: text.download,
                rewritable: text.rewritable,
                document: text.document,
                limits: text.limits.into_iter().map(|(name, most)| (name.into(), most)).collect(),
                defaults: names(text.defaults).collect(),
                underivable: text.underivable,
                format: text.format,
                examples: text.examples,
                place,
            },
            hosts,
            paths,
            agents,
            headers,
            ja3: text.ja3.0.into_iter().map(SmolStr::from).collect(),
            ja4: text.ja4.0.into_iter().map(SmolStr::from).collect(),
            path_alone: text.path_alone,
            method: text.method,
            port: text.port,
            environment: text.environment.map(SmolStr::from),
            nonretail: text.nonretail.map(SmolStr::from),
            fields: fields.map(|(name, value)| (name.as_str().into(), value.into())).collect(),
            query: text.query.iter().map(|name| name.as_str().into()).collect(),
            hash: text.hash,
        };
        row.check().map_err(|error| format!("row `{}`: {error}", row.entry.id))?;
        Ok(row)
    }

    /// Every name that a field of this row can have.
    pub(crate) fn field_names(&self) -> impl Iterator<Item = &str> {
        let hosts = self.hosts.iter().filter_map(|(_, host)| match host {
            HostMatch::Pattern(pattern) => Some(pattern),
            HostMatch::Exact | HostMatch::Below => None,
        });
        let patterns = hosts.chain(&self.paths).chain(&self.agents);
        let values = self.headers.iter().filter_map(|header| header.value.as_ref());
        let constants = self.fields.iter().map(|(name, _)| name);
        let names = patterns.chain(values).flat_map(Pattern::names);
        names.chain(constants).chain(&self.query).map(FieldName::as_str)
    }

    fn check(&self) -> Result<(), String> {
        let by_path = !self.paths.is_empty() && self.path_alone;
        let by_client = self.paths.is_empty()
            && (!self.agents.is_empty()
                || !self.headers.is_empty()
                || !self.ja3.is_empty()
                || !self.ja4.is_empty());
        if self.hosts.is_empty() && !by_path && !by_client && self.entry.document.is_none() {
            return Err(
                "expected a host, a user_agent, a header, a ja3, a ja4, a document, or a path with `path_alone = true`"
                    .into(),
            );
        }
        let is_small_hex = |text: &str, len: usize| {
            text.len() == len
                && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        };
        if let Some(bad) = self.ja3.iter().find(|text| !is_small_hex(text, 32)) {
            return Err(format!("ja3 `{bad}`: expected 32 small hex digits"));
        }
        let is_ja4 = |text: &SmolStr| {
            let parts: Vec<&str> = text.split('_').collect();
            matches!(parts[..], [a, b, c] if a.len() == 10 && is_small_hex(b, 12) && is_small_hex(c, 12))
        };
        if let Some(bad) = self.ja4.iter().find(|text| !is_ja4(text)) {
            return Err(format!(
                "ja4 `{bad}`: expected its three parts, as t12d260500_f64c77d06cfa_b289314254d8"
            ));
        }
        let known = |wanted: &str| self.field_names().any(|name| name == wanted);
        let named = self.entry.limits.keys().chain(self.entry.defaults.keys());
        if let Some(bad) = named.into_iter().find(|name| !known(name)) {
            return Err(format!(
                "limits and defaults: expected names of fields, `{bad}` is no field of the row"
            ));
        }
        Ok(())
    }
}

/// The patterns of a row.
struct Matches {
    hosts: Vec<(Box<str>, HostMatch)>,
    paths: Vec<Pattern>,
    agents: Vec<Pattern>,
    headers: Vec<HeaderMatch>,
}

impl Matches {
    fn compile(text: &RowText) -> Result<Self, String> {
        fn each<T, E: std::fmt::Display>(
            what: &str,
            texts: &OneOrMany,
            parse: impl Fn(&str) -> Result<T, E>,
        ) -> Result<Vec<T>, String> {
            let says = |text: &String| {
                parse(text).map_err(|want| format!("{what} `{text}`: expected {want}"))
            };
            texts.0.iter().map(says).collect()
        }
        let path = |text: &str| {
            if !text.starts_with(['/', '*']) {
                return Err("a path from its first `/`".to_owned());
            }
            Pattern::parse(text).map_err(|error| error.to_string())
        };
        Ok(Self {
            hosts: each("host", &text.host, HostMatch::parse)?,
            paths: each("path", &text.path, path)?,
            agents: each("user_agent", &text.user_agent, Pattern::parse)?,
            headers: each("header", &text.header, HeaderMatch::parse)?,
        })
    }
}

impl HeaderMatch {
    fn parse(text: &str) -> Result<Self, String> {
        let (name, value) = match text.split_once(':') {
            Some((name, value)) => (name, Some(value.trim())),
            None => (text, None),
        };
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
            return Err("a header name, or `Name: PATTERN`".into());
        }
        let value = value.map(Pattern::parse).transpose().map_err(|error| error.to_string())?;
        Ok(Self { name: name.to_ascii_lowercase().into(), value })
    }

    /// Whether this value of the header fits.
    pub(crate) fn fits(&self, value: &[u8]) -> bool {
        self.value.as_ref().is_none_or(|pattern| {
            std::str::from_utf8(value).is_ok_and(|value| pattern.read(value.trim()).is_some())
        })
    }
}
