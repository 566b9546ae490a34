//! A filter: an expression that was understood.

use crate::error::FilterError;
use crate::operator::Operator;
use crate::parser;
use crate::subject::Subject;

/// From when on a filter can be asked; each stage knows what those before it know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// The head of the request has come.
    Request,
    /// The head of the answer has come.
    Response,
    /// The flow is over.
    Finished,
}

/// An expression of the filter language.
///
/// ```
/// use consoletap_filter::{Filter, Stage};
///
/// let filter = Filter::parse("~cat fw-updatelist & !~console ps3").unwrap();
/// assert_eq!(filter.needs(), Stage::Request);
/// ```
#[derive(Debug, Clone)]
pub struct Filter {
    expression: String,
    root: Expression,
}

#[derive(Debug, Clone)]
pub(crate) enum Expression {
    Operator(Operator),
    Not(Box<Self>),
    And(Vec<Self>),
    Or(Vec<Self>),
}

impl Filter {
    /// Reads an expression.
    ///
    /// # Errors
    /// When it is none; the error shows where.
    pub fn parse(expression: &str) -> Result<Self, FilterError> {
        let root = parser::parse(expression)?;
        Ok(Self { expression: expression.to_owned(), root })
    }

    /// The expression as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.expression
    }

    /// Whether the filter fits what is known of a flow.
    #[must_use]
    pub fn matches(&self, subject: &Subject<'_>) -> bool {
        self.root.matches(subject)
    }

    /// From when on the filter can be asked.
    #[must_use]
    pub fn needs(&self) -> Stage {
        self.root.needs()
    }
}

impl std::fmt::Display for Filter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.expression)
    }
}

impl Expression {
    fn matches(&self, subject: &Subject<'_>) -> bool {
        match self {
            Self::Operator(operator) => operator.matches(subject),
            Self::Not(inner) => !inner.matches(subject),
            Self::And(parts) => parts.iter().all(|part| part.matches(subject)),
            Self::Or(parts) => parts.iter().any(|part| part.matches(subject)),
        }
    }

    fn needs(&self) -> Stage {
        match self {
            Self::Operator(operator) => operator.needs(),
            Self::Not(inner) => inner.needs(),
            Self::And(parts) | Self::Or(parts) => {
                parts.iter().map(Self::needs).max().unwrap_or(Stage::Request)
            }
        }
    }
}
