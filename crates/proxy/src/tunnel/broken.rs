//! Why a tunnel, or a WebSocket, did not end by both sides closing it.

use std::io;
use std::time::Duration;

use consoletap_flow::{Failure, Side, State};

#[derive(Debug)]
pub(crate) enum Broken {
    /// A side's connection failed.
    Side { client: bool, error: io::Error },
    /// Nothing moved for so long.
    Idle(Duration),
    /// A rule ended it.
    Cut(String),
    /// A rule let nothing more through, until the client was gone.
    Stalled(String),
    /// The proxy ends.
    Stopped,
}

/// What became of one direction. `Some` is a side that takes no more, while what it said before
/// may still be on its way to the other: a server that refuses an upload does that.
pub(crate) type Direction = Result<Option<Broken>, Broken>;

/// What became of both, from what became of each.
pub(crate) fn both((up, down): (Option<Broken>, Option<Broken>)) -> Result<(), Broken> {
    up.or(down).map_or(Ok(()), Err)
}

impl Broken {
    /// How the flow ends.
    pub(crate) fn explain(self) -> (State, Option<Failure>) {
        match self {
            // Consoles and servers end tunnels by a reset as often as by a close: TLS inside has
            // its own end, and nothing tells us whether it came.
            Self::Side { client, error } if is_a_close(&error) => {
                let state = if client { State::AbortedByClient } else { State::Complete };
                (state, None)
            }
            Self::Side { client: true, error } => {
                let cause = format!("the client's connection failed: {error}");
                (State::AbortedByClient, Some(Failure::new(Side::Client, cause)))
            }
            Self::Side { client: false, error } => {
                let cause = format!("the server's connection failed: {error}");
                (State::UpstreamError, Some(Failure::new(Side::Upstream, cause)))
            }
            Self::Idle(limit) => {
                let cause = format!("nothing moved for {} minutes", limit.as_secs() / 60);
                (State::Complete, Some(Failure::new(Side::Here, cause)))
            }
            Self::Cut(cause) => (State::Truncated, Some(Failure::new(Side::Here, cause))),
            Self::Stalled(cause) => (State::AbortedByClient, Some(Failure::new(Side::Here, cause))),
            Self::Stopped => {
                let cause = "the proxy was stopped".to_owned();
                (State::AbortedByClient, Some(Failure::new(Side::Here, cause)))
            }
        }
    }
}

fn is_a_close(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionReset
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::NotConnected
    )
}
