//! Goals in the words of the table.

use std::fmt;

use crate::load::Goal;

/// Whether a goal was reached; nothing where it was not measured.
pub(super) fn verdict(
    goal: Goal,
    figure: Option<f64>,
    to_relay: Option<f64>,
    to_direct: Option<f64>,
) -> Option<&'static str> {
    let reached = match goal {
        Goal::TimesRelay(times) => to_relay? <= times,
        Goal::TimesDirect(times) => to_direct? >= times,
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
            Self::AtMost(limit) => write!(formatter, "≤ {limit}"),
            Self::AtLeast(limit) => write!(formatter, "≥ {limit}"),
        }
    }
}
