//! What the user wants done with a flow: rule files, their meaning, the decision.
//!
//! A rule is a condition (a filter) and one action. The catalog knows, rules do. Pure: the wire
//! belongs to the proxy, which asks [`Rules::decide`] when a request has come, and hands the
//! whole decoded body of the answer to [`Decision::rewrite`] where the decision wants it.

mod action;
mod amount;
mod book;
mod decision;
mod edit;
mod error;
mod file;
mod pack;
mod rules;
mod settings;
mod template;
mod written;

pub use action::{Block, Fault, FromHere, Here, LocalFile, Store, Throttle, Tls};
pub use book::RuleBook;
pub use decision::{Acted, By, Context, Decision, Rewritten};
pub use error::RulesError;
pub use pack::Pack;
pub use rules::{Explanation, Rules};

/// Doors for the targets in `fuzz/`; there in fuzz builds only, and in tests so that they keep
/// fitting.
#[cfg(any(fuzzing, test))]
pub mod fuzzing {
    /// Reads a rule file; an error names its place.
    pub fn rule_file(source: &str) {
        if let Err(error) = crate::file::RuleFile::parse("fuzz.toml", source, &[]) {
            drop(error.to_string());
        }
    }
}
