//! The rules in force, which can be others from one flow to the next.

use std::sync::{Arc, PoisonError, RwLock};

use crate::rules::Rules;

/// The rules in force. Whoever decides takes those of the moment and keeps them, so that a flow
/// ends under the rules with which it began.
#[derive(Debug, Default)]
pub struct RuleBook(RwLock<Arc<Rules>>);

impl RuleBook {
    /// With these rules.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self(RwLock::new(Arc::new(rules)))
    }

    /// The rules in force.
    #[must_use]
    pub fn current(&self) -> Arc<Rules> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// From now on these.
    pub fn replace(&self, rules: Rules) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(rules);
    }
}
