//! The filter language: one small language for choosing flows, the same in rules, in queries of
//! a session and wherever else flows are chosen.
//!
//! A superset in the style of mitmproxy's, with its words, precedence and indifference to case.
//! Knows nothing of where flows come from: whoever asks hands over a [`Subject`].

mod error;
mod expression;
mod lexer;
mod number;
mod operator;
mod parser;
mod pattern;
mod subject;

pub use error::FilterError;
pub use expression::{Filter, Stage};
pub use subject::Subject;
