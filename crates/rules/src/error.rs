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
    #[error("{file}:{line}:{column}: {problem}{shown}")]
    Invalid {
        /// The file.
        file: String,
        /// The line, from 1.
        line: usize,
        /// The character in the line, from 1.
        column: usize,
        /// What is wrong and what was expected.
        problem: String,
        /// The line with a caret under the place; empty where the problem shows it.
        shown: String,
    },
    /// A setting of a file that is not given, or not there.
    #[error("{file}: {problem}")]
    Setting {
        /// The file or pack.
        file: String,
        /// What is wrong and what was expected.
        problem: String,
    },
}

/// The part of a long line that is shown, and how much of it stands before the place.
const SHOWN: usize = 100;
const SHOWN_BEFORE: usize = 60;

impl RulesError {
    /// A problem at a place of a file.
    pub(crate) fn at(
        file: &str,
        source: &str,
        span: Option<Range<usize>>,
        problem: impl Into<String>,
    ) -> Self {
        let problem = problem.into();
        let offset = span.as_ref().map_or(0, |span| span.start);
        let before = source.get(..offset).unwrap_or(source);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = 1 + before.matches('\n').count();
        let column = 1 + before[line_start..].chars().count();
        let shown = match span {
            Some(span) if !problem.contains('\n') => {
                let text = source[line_start..].lines().next().unwrap_or_default();
                let marked = source.get(span).and_then(|marked| marked.lines().next());
                caret(line, text, column - 1, marked.map_or(1, |marked| marked.chars().count()))
            }
            _ => String::new(),
        };
        Self::Invalid { file: file.to_owned(), line, column, problem, shown }
    }
}

/// The line, and below it a caret under `marked` characters behind the first `before`.
fn caret(line: usize, text: &str, before: usize, marked: usize) -> String {
    let skipped = before.saturating_sub(SHOWN_BEFORE);
    // A tab would move the caret, and what a file holds must not act on a terminal.
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    let shown: String = text.chars().skip(skipped).take(SHOWN).map(plain).collect();
    let before = before - skipped;
    let carets = marked.clamp(1, shown.chars().count().saturating_sub(before).max(1));
    let margin = " ".repeat(line.to_string().len());
    let shown = shown.trim_end();
    format!("\n  {line} | {shown}\n  {margin} | {}{}", " ".repeat(before), "^".repeat(carets))
}
