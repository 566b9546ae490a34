//! A row of the catalog, as the rest of the program sees it.

use std::sync::Arc;

use consoletap_flow::{Category, EntryId, Platforms};
use serde::Deserialize;

/// One row: a service, and what is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its id; a table of the user may replace a row by its id.
    pub id: EntryId,
    /// Who asks, where the user agent does not say.
    pub platform: Platforms,
    /// What kind of service it is.
    pub category: Category,
    /// The name of the service or component.
    pub service: Option<String>,
    /// What it is, in a few words.
    pub summary: Arc<str>,
    /// Where the knowledge comes from.
    pub source: String,
    /// How sure it is.
    pub confidence: Confidence,
    /// Whether it is a row of the documented page itself.
    pub documented: bool,
    /// Whether the client refuses any certificate but the known one.
    pub pinned: bool,
    /// What must not leave the machine in a shared session.
    pub secret: Secrets,
    /// Whether answers are large files.
    pub download: bool,
    /// Whether a changed answer is known to work on an unmodified console.
    pub rewritable: bool,
    /// The root element of the document that the row is about.
    pub document: Option<String>,
    /// The URLs as the source writes them, with its placeholders.
    pub format: Vec<String>,
    /// Requests that this row explains; tests hold it to them.
    pub examples: Vec<String>,
}

/// How sure a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
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

/// Names of what is secret in a request to this service.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Secrets {
    /// Keys of the query.
    pub query: Vec<String>,
    /// Fields of a form.
    pub form: Vec<String>,
    /// Header names.
    pub header: Vec<String>,
    /// Keys of a JSON body.
    pub json: Vec<String>,
}
