//! What is known of console traffic: the tables of `config/catalog`, and what they say of a
//! request.
//!
//! [`Catalog::classify`] is a pure function of the request; it knows no rules, opens nothing and
//! reads no clock. A new service is one row of a table (see `docs/catalog.md`), not code.

mod builtin;
mod catalog;
mod check;
mod classify;
mod coverage;
mod entry;
mod environment;
mod error;
mod explain;
mod field;
mod hash;
mod hosts;
mod index;
mod path;
mod pattern;
mod ports;
mod prefixes;
mod row;
mod table;
mod title;
mod urls;

pub use catalog::{Catalog, Query};
pub use check::CheckFinding;
pub use coverage::coverage;
pub use entry::{Confidence, Entry, Place, Secrets};
pub use error::CatalogError;
pub use explain::{Answer, OverLimit, Question, QuestionError};
pub use ports::PortUse;
pub use urls::{InvalidTitle, Title, TitleUrl, TitleUrls, Underivable};
