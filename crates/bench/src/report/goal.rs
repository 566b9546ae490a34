//! Goals in the words of the table.

use std::fmt;

use crate::load::Goal;

/// A figure, and its ratios within a round to those of others.
#[derive(Clone, Copy)]
pub(super) struct Reached {
    pub(super) figure: Option<f64>,
    pub(super) to_relay: Option<f64>,
    pub(super) to_unrecorded: Option<f64>,
    pub(super) to_direct: Option<f64>,
}

/// Whether a goal was reached; nothing where it was not measured.
pub(super) fn verdict(goal: Goal, reached: Reached) -> Option<&'static str> {
    let Reached { figure, to_relay, to_unrecorded, to_direct } = reached;
    let reached = match goal {
        Goal::TimesRelay(times) => to_relay? <= times,
        Goal::TimesDirect(times) => to_direct? >= times,
        Goal::ShareOfUnrecorded(share) => to_unrecorded? >= share,
        Goal::AtMost(limit) => figure? <= limit,
        Goal::AtLeast(limit) => figure? >= limit,
    };
    Some(if reached { "yes" } else { "**no**" })
}

impl fmt::Display for Goal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimesRelay(times) => write!(formatter, "≤ {times} × relay"),
            Self::TimesDirect(times) => write!(formatter, "≥ {times} × direct"),
            Self::ShareOfUnrecorded(share) => write!(formatter, "≥ {share} × no session"),
            Self::AtMost(limit) => write!(formatter, "≤ {limit}"),
            Self::AtLeast(limit) => write!(formatter, "≥ {limit}"),
        }
    }
}
