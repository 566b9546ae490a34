//! A row of the catalog, as the rest of the program sees it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use consoletap_flow::{Category, EntryId, Platforms, SmolStr};
use serde::{Deserialize, Serialize};

/// One row: a service, and what is known of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Its id; a table of the user may replace a row by its id.
    pub id: EntryId,
    /// Who asks, where the user agent does not say.
    pub platform: Platforms,
    /// What kind of service it is.
    pub category: Category,
    /// The name of the service or component.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// What it is, in a few words.
    pub summary: Arc<str>,
    /// Where the knowledge comes from.
    pub source: Arc<str>,
    /// How sure it is.
    pub confidence: Confidence,
    /// Whether it is a row of the documented page itself.
    pub documented: bool,
    /// Whether the client refuses any certificate but the known one: not worth intercepting.
    pub pinned: bool,
    /// Names of what must not leave the machine in a shared session.
    #[serde(skip_serializing_if = "is_nothing")]
    pub secret: Arc<Secrets>,
    /// Keys of the query that mean nothing to what is asked for: two requests that differ in
    /// them alone ask for the same.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub noise: Vec<String>,
    /// Whether answers are large files, fetched in slices. The path alone names the file: caches
    /// and replay leave the query out.
    pub download: bool,
    /// Whether a changed answer is known to work on an unmodified console.
    pub rewritable: bool,
    /// The root element of the document that the row is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document: Option<String>,
    /// The most that the service accepts in a field that holds a number.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub limits: BTreeMap<SmolStr, u64>,
    /// What its fields hold where a URL is written and nothing else is known.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub defaults: BTreeMap<SmolStr, String>,
    /// Why its URL cannot be written from a title alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub underivable: Option<String>,
    /// The URLs as the source writes them, with its placeholders.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub format: Vec<String>,
    /// Requests that this row explains; tests hold it to them.
    pub examples: Vec<String>,
    /// Where it is written.
    pub place: Place,
}

/// Where a row is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The table's file.
    pub file: Arc<str>,
    /// The line, counted from 1.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// How sure a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Confidence {
    /// Computed, or seen in a capture.
    Verified,
    /// Written in the source.
    #[default]
    Documented,
    /// Inferred, or known from one weak source.
    Unconfirmed,
}

impl fmt::Display for Confidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Verified => "verified",
            Self::Documented => "documented",
            Self::Unconfirmed => "unconfirmed",
        })
    }
}

/// Names of what is secret in a request to this service or in its answer. Header names and form
/// fields count in any case.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Secrets {
    /// Keys of the query.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub query: Vec<String>,
    /// Fields of a form.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub form: Vec<String>,
    /// Header names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub header: Vec<String>,
    /// Keys of a JSON body, at any depth.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub json: Vec<String>,
    /// Elements and attributes of an XML body.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub xml: Vec<String>,
}

impl Secrets {
    /// Whether nothing is secret.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Self { query, form, header, json, xml } = self;
        [query, form, header, json, xml].into_iter().all(Vec::is_empty)
    }
}

fn is_nothing(secrets: &Secrets) -> bool {
    secrets.is_empty()
}
