//! Which flows a command is about: one by its number, those of a filter, or all.

use consoletap_filter::{Filter, Subject};
use consoletap_flow::{Flow, FlowId};

use crate::exit::Usage;

/// What is asked of a session.
pub(crate) enum Wanted {
    One(FlowId),
    Some(Filter),
    All,
}

impl Wanted {
    /// A number is a flow, everything else a filter; its words need no quotes.
    pub(crate) fn parse(words: &[String]) -> Result<Self, Usage> {
        match words {
            [] => Ok(Self::All),
            [number] if number.bytes().all(|byte| byte.is_ascii_digit()) => number
                .parse()
                .map(|id| Self::One(FlowId(id)))
                .map_err(|_| Usage::new(format!("{number} is no number of a flow"))),
            words => Filter::parse(&words.join(" "))
                .map(Self::Some)
                .map_err(|error| Usage::new(format!("the filter cannot be read: {error}"))),
        }
    }

    /// Whether the flow is one of them.
    pub(crate) fn fits(&self, flow: &Flow) -> bool {
        match self {
            Self::All => true,
            Self::One(id) => flow.id == *id,
            Self::Some(filter) => filter.matches(&Subject::from(flow)),
        }
    }
}
