//! Recorded sessions as tests.
//!
//! * [`Replay`]: a session stands in for the servers; a proxy answers from it.
//! * [`send`]: the recorded requests go out again, and what comes is compared with what was
//!   recorded.

mod capture;
mod compare;
mod send;
mod serve;
mod structure;

pub use compare::{Comparison, Difference, Fields};
pub use send::{
    Order, Outcome, Places, SendError, SendSettings, Sent, Tally, Variable, Variables, send,
};
pub use serve::{
    AddError, Additions, Ask, InvalidMatchKeys, MatchKeys, Mode, Repeat, Replay, ReplayError,
    ReplaySettings, Seen, Served, Spied, Spy, Timing,
};
