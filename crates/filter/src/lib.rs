//! The filter language: one small language for choosing flows, the same in rules, in the live
//! log, in queries of a session and wherever else flows are chosen.
//!
//! A superset of mitmproxy's, with its words, precedence and indifference to case, and the keys
//! of Chrome's DevTools. Knows nothing of where flows come from: whoever asks hands over a
//! [`Subject`], and gets an [`Answer`]. The language is described in `docs/filters.md`.

mod answer;
mod category;
mod clients;
mod devtools;
mod error;
mod expression;
mod index;
mod lexer;
mod number;
mod operator;
mod parser;
mod pattern;
mod subject;
mod suggest;

pub use answer::Answer;
pub use clients::NamedClient;
pub use error::FilterError;
pub use expression::{Filter, Stage};
pub use index::FilterIndex;
pub use subject::{Bodies, Subject};
