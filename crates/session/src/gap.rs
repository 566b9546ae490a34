//! What a session says of events that it could not take.

use consoletap_flow::Timestamp;
use serde::{Deserialize, Serialize};

/// Events that were lost, since the disk refused them. In the log it is a line of its own:
/// `{"gap":{"events":3,"since":"…","until":"…"}}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// How many.
    pub events: u64,
    /// When the first of them happened.
    pub since: Timestamp,
    /// When the last of them happened.
    pub until: Timestamp,
}

impl Gap {
    /// This gap, or a new one, with one more event in it.
    pub(crate) fn widen(gap: Option<Self>, at: Timestamp) -> Self {
        let Self { events, since, .. } = gap.unwrap_or(Self { events: 0, since: at, until: at });
        Self { events: events + 1, since, until: at }
    }
}
