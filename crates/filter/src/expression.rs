//! A filter: an expression that was understood.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use crate::answer::Answer;
use crate::clients::NamedClient;
use crate::devtools;
use crate::error::FilterError;
use crate::operator::{OPERATORS, Operator, Possible};
use crate::parser;
use crate::subject::Subject;

/// How far a flow is; each stage knows what those before it know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// The head of the request has come.
    Request,
    /// The ClientHello has come, inside a tunnel.
    Hello,
    /// The head of the answer has come.
    Response,
    /// The flow is over.
    Finished,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Request => "when the request has come",
            Self::Hello => "when the ClientHello has come",
            Self::Response => "when the answer has come",
            Self::Finished => "at the end",
        })
    }
}

/// An expression of the filter language.
///
/// ```
/// use consoletap_filter::{Answer, Filter, Stage, Subject};
///
/// let filter = Filter::parse("~m GET & !~c 404").unwrap();
/// assert_eq!(filter.needs(), Stage::Response);
/// let mut asked = Subject::default();
/// asked.method = Some("GET");
/// assert_eq!(filter.answer(&asked), Answer::NotYet);
/// ```
#[derive(Debug, Clone)]
pub struct Filter {
    expression: String,
    root: Expression,
}

#[derive(Debug, Clone)]
pub(crate) enum Expression {
    /// An operator, and where it stands.
    Operator(Operator, Range<usize>),
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

    /// The same with the clients known that have a name in the settings: an address is known when
    /// a request has come, what the log calls a console is not.
    #[must_use]
    pub fn naming_clients(mut self, named: &[NamedClient]) -> Self {
        self.root.name_clients(named);
        self
    }

    /// The expression as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.expression
    }

    /// What the filter says of a flow by what is known so far.
    #[must_use]
    pub fn answer(&self, subject: &Subject<'_>) -> Answer {
        self.root.answer(subject)
    }

    /// Whether the filter fits: what is not known yet does not.
    #[must_use]
    pub fn matches(&self, subject: &Subject<'_>) -> bool {
        self.answer(subject).is_yes()
    }

    /// From when on the filter always says yes or no.
    #[must_use]
    pub fn needs(&self) -> Stage {
        self.root.needs()
    }

    /// Whether the filter can be of use at a stage.
    ///
    /// # Errors
    /// When an operator is never known then, or the whole can never fit then; the error shows
    /// which.
    pub fn check(&self, stage: Stage) -> Result<(), FilterError> {
        if let Some((operator, place)) = self.root.unknown_at(stage) {
            let name = self.expression.get(place.clone()).unwrap_or_default();
            let name = name.split_whitespace().next().unwrap_or_default();
            let needs = operator.needs();
            let problem = match operator.unnamed_client() {
                Some(client) => format!(
                    "no client is called {client} in the settings, and what the log calls a console \
                     is known only {needs}; name it there, as name-client = [\"{client}=192.168.1.20\"]"
                ),
                None => format!("{name} is known only {needs}, and this is asked {stage}"),
            };
            return Err(FilterError::new(&self.expression, place, problem));
        }
        if !self.root.possible(stage).yes {
            let problem = format!(
                "this never fits {stage}: a header that the request does not have may still \
                 come with the answer; ask for ~hq or ~tq"
            );
            return Err(FilterError::new(&self.expression, 0..self.expression.len(), problem));
        }
        Ok(())
    }

    pub(crate) fn root(&self) -> &Expression {
        &self.root
    }

    /// The words of the language with an example value each: operators and keys of DevTools.
    pub fn words() -> impl Iterator<Item = String> {
        let operators = OPERATORS.iter().map(|(name, example)| format!("~{name} {example}"));
        let keys = devtools::KEYS.iter().map(|(name, example)| format!("{name}:{example}"));
        operators.chain(keys).map(|word| word.trim_end().to_owned())
    }
}

impl PartialEq for Filter {
    /// The same expression says the same.
    fn eq(&self, other: &Self) -> bool {
        self.expression == other.expression
    }
}

impl FromStr for Filter {
    type Err = FilterError;

    fn from_str(expression: &str) -> Result<Self, FilterError> {
        Self::parse(expression)
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.expression)
    }
}

impl Expression {
    fn answer(&self, subject: &Subject<'_>) -> Answer {
        match self {
            Self::Operator(operator, _) => operator.answer(subject),
            Self::Not(inner) => !inner.answer(subject),
            Self::And(parts) => Answer::all(parts.iter().map(|part| part.answer(subject))),
            Self::Or(parts) => Answer::any(parts.iter().map(|part| part.answer(subject))),
        }
    }

    fn needs(&self) -> Stage {
        match self {
            Self::Operator(operator, _) => operator.needs(),
            Self::Not(inner) => inner.needs(),
            Self::And(parts) | Self::Or(parts) => {
                parts.iter().map(Self::needs).max().unwrap_or(Stage::Request)
            }
        }
    }

    /// The first operator that is never known at a stage.
    fn unknown_at(&self, stage: Stage) -> Option<(&Operator, Range<usize>)> {
        match self {
            Self::Operator(operator, place) => {
                let possible = operator.possible(stage);
                (!possible.yes && !possible.no).then(|| (operator, place.clone()))
            }
            Self::Not(inner) => inner.unknown_at(stage),
            Self::And(parts) | Self::Or(parts) => {
                parts.iter().find_map(|part| part.unknown_at(stage))
            }
        }
    }

    fn possible(&self, stage: Stage) -> Possible {
        match self {
            Self::Operator(operator, _) => operator.possible(stage),
            Self::Not(inner) => {
                let Possible { yes, no } = inner.possible(stage);
                Possible { yes: no, no: yes }
            }
            Self::And(parts) => Possible {
                yes: parts.iter().all(|part| part.possible(stage).yes),
                no: parts.iter().any(|part| part.possible(stage).no),
            },
            Self::Or(parts) => Possible {
                yes: parts.iter().any(|part| part.possible(stage).yes),
                no: parts.iter().all(|part| part.possible(stage).no),
            },
        }
    }
}
