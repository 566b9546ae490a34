//! How a session is served, and why it cannot be.

use std::sync::Arc;

use consoletap_catalog::Catalog;
use consoletap_session::{OpenError, ReadProblem};
use thiserror::Error;

use crate::serve::keys::MatchKeys;
use crate::serve::written::{Answer, InvalidAnswer};

/// What happens when a request comes more often than it was recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Repeat {
    /// It gets the last answer again.
    #[default]
    Last,
    /// It gets the first answer, and so on.
    Again,
    /// It gets none.
    Never,
}

/// What a session is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// It is all there is: nobody is connected to.
    #[default]
    Replay,
    /// What is not in it goes to its server.
    Missing,
    /// Everything goes to its server, and what was recorded is only compared with; see
    /// [`Spy`](crate::Spy).
    Spy,
}

/// How fast answers come.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Timing {
    /// At once.
    #[default]
    AtOnce,
    /// With this many times the waits that were recorded: 1 is as it was.
    Recorded(f64),
}

/// How a session is served.
pub struct ReplaySettings {
    /// What is known of console traffic.
    pub catalog: Arc<Catalog>,
    /// What must be the same for an answer to fit.
    pub keys: MatchKeys,
    /// What happens when a request comes again.
    pub repeat: Repeat,
    /// What it is good for.
    pub mode: Mode,
    /// How fast answers come.
    pub timing: Timing,
    /// The status of what has no answer.
    pub unmatched: u16,
    /// Answers that were written by hand, which come before the recorded ones.
    pub answers: Vec<Answer>,
}

impl ReplaySettings {
    /// Everything as it is mostly wanted.
    #[must_use]
    pub fn new(catalog: Arc<Catalog>) -> Self {
        Self {
            catalog,
            keys: MatchKeys::default(),
            repeat: Repeat::default(),
            mode: Mode::default(),
            timing: Timing::default(),
            unmatched: 504,
            answers: Vec::new(),
        }
    }
}

/// Why a session cannot be served.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// There is none, or in a format that is not known.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A session that was edited by hand has a mistake.
    #[error(transparent)]
    Edited(ReadProblem),
    /// Nothing in it was answered.
    #[error("there is no request with an answer in {0}, so that nothing can be replayed")]
    Empty(String),
    /// An answer that was written by hand cannot be given.
    #[error(transparent)]
    Answer(#[from] InvalidAnswer),
}
