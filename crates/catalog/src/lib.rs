//! What is known of console traffic: the tables of `config/catalog`, and what they say of a
//! request.
//!
//! [`Catalog::classify`] is a pure function of the request; it knows no rules, opens nothing and
//! reads no clock. A new service is one row of a table (see `docs/catalog.md`), not code.

mod agents;
mod catalog;
mod check;
mod classify;
mod entry;
mod environment;
mod error;
mod explain;
mod hash;
mod hosts;
mod path;
mod pattern;
mod ports;
mod table;
mod title;

pub use catalog::{Catalog, Query};
pub use check::CheckFinding;
pub use entry::{Confidence, Entry, Secrets};
pub use error::CatalogError;
pub use explain::{Answer, Question, QuestionError};
pub use ports::PortUse;
