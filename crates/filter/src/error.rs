//! What is wrong with a filter, told with a caret under the place.

use std::fmt;
use std::ops::Range;

/// Why an expression is no filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilterError {
    expression: String,
    span: Range<usize>,
    problem: String,
    suggestion: Option<String>,
}

impl FilterError {
    pub(crate) fn new(expression: &str, span: Range<usize>, problem: impl Into<String>) -> Self {
        Self { expression: expression.to_owned(), span, problem: problem.into(), suggestion: None }
    }

    /// Adds what was probably meant.
    pub(crate) fn meaning(mut self, suggestion: Option<String>) -> Self {
        self.suggestion = suggestion;
        self
    }

    /// What is wrong, without the expression.
    #[must_use]
    pub fn problem(&self) -> &str {
        &self.problem
    }

    /// The bytes of the expression that are wrong.
    #[must_use]
    pub fn span(&self) -> Range<usize> {
        self.span.clone()
    }
}

/// The part of a long expression that is shown around the place.
const SHOWN_BEFORE: usize = 60;
const SHOWN: usize = 100;

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let before = self.expression.get(..self.span.start).unwrap_or_default().chars().count();
        let marked = self.expression.get(self.span.clone()).unwrap_or_default().chars().count();
        let skipped = before.saturating_sub(SHOWN_BEFORE);
        let shown: String = self
            .expression
            .chars()
            .skip(skipped)
            .take(SHOWN)
            // A line break or a tab would move the caret.
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        let carets = marked.clamp(1, SHOWN - (before - skipped).min(SHOWN - 1));
        writeln!(f, "{}", self.problem)?;
        writeln!(f, "  {shown}")?;
        write!(f, "  {}{}", " ".repeat(before - skipped), "^".repeat(carets))?;
        match &self.suggestion {
            Some(suggestion) => write!(f, " did you mean {suggestion}?"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for FilterError {}
