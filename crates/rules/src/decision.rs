//! What is to be done with one flow.

use consoletap_flow::{Classification, Effect, RuleHit, Target};

use crate::action::Action;
use crate::file::Rule;

/// The rules that fit a flow, in their order.
#[derive(Debug, Clone, Default)]
pub struct Decision<'a> {
    pub(crate) rules: Vec<&'a Rule>,
}

/// What a rewrite may want to know of the flow.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// What the catalog says of it.
    pub classification: &'a Classification,
    /// What was asked for.
    pub target: &'a Target,
}

/// What became of a body.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rewritten {
    /// The new body; `None` where the old one passes as it is.
    pub body: Option<Vec<u8>>,
    /// The rules that acted.
    pub hits: Vec<RuleHit>,
    /// What a person should know, as why a body was passed on unchanged.
    pub notes: Vec<String>,
}

impl Decision<'_> {
    /// Whether the flow passes as it is: no rule fits.
    #[must_use]
    pub fn is_pass(&self) -> bool {
        self.rules.is_empty()
    }

    /// Whether the body of the answer must be held and given to [`Decision::rewrite`].
    #[must_use]
    pub fn rewrites(&self) -> bool {
        self.rules.iter().any(|rule| matches!(rule.action, Action::Rewrite(_)))
    }

    /// The body of a 200 answer, whole and decoded, through every rule that rewrites; each gets
    /// what the one before it made. A rule whose document this is not leaves it as it is.
    #[must_use]
    pub fn rewrite(&self, body: &[u8], context: &Context<'_>) -> Rewritten {
        let mut result = Rewritten::default();
        for rule in &self.rules {
            let Action::Rewrite(rewrite) = &rule.action;
            match rewrite.apply(result.body.as_deref().unwrap_or(body), context) {
                Ok(outcome) => {
                    result.body = outcome.body.or(result.body);
                    result.notes.extend(outcome.notes);
                    let (name, did) = (rule.name.clone(), outcome.did);
                    result.hits.push(RuleHit { name, did, effect: outcome.effect });
                }
                Err(problem) => result
                    .notes
                    .push(format!("rule {}: the body is {problem}; passed unchanged", rule.name)),
            }
        }
        // Two rules may undo each other.
        if result.body.as_deref() == Some(body) {
            result.body = None;
            result.hits.iter_mut().for_each(|hit| hit.effect = Effect::Noted);
        }
        result
    }
}
