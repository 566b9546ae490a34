//! What is wrong with rules, and where.

use std::io;
use std::ops::Range;

use crate::pack;

/// Why rules cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RulesError {
    /// A bare name that no pack has.
    #[error(
        "there is no rule pack {name:?}; the packs are {}. A file of yours is named with a \
         slash or its ending, as ./{name}.toml",
        pack::names()
    )]
    UnknownPack {
        /// The name.
        name: String,
    },
    /// A file that cannot be read.
    #[error("the rule file {file} cannot be read: {error}")]
    Unreadable {
        /// The file.
        file: String,
        /// Why.
        error: io::Error,
    },
    /// Something in a file that is no rule.
    #[error("{file}:{line}:{column}: {problem}")]
    Invalid {
        /// The file.
        file: String,
        /// The line, from 1.
        line: usize,
        /// The character in the line, from 1.
        column: usize,
        /// What is wrong and what was expected.
        problem: String,
    },
}

impl RulesError {
    /// A problem at a place of a file.
    pub(crate) fn at(
        file: &str,
        source: &str,
        span: Option<Range<usize>>,
        problem: impl Into<String>,
    ) -> Self {
        let offset = span.map_or(0, |span| span.start);
        let before = source.get(..offset).unwrap_or(source);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self::Invalid {
            file: file.to_owned(),
            line: 1 + before.matches('\n').count(),
            column: 1 + before[line_start..].chars().count(),
            problem: problem.into(),
        }
    }
}
