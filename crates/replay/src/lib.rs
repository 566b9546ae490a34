//! Recorded sessions as tests.
//!
//! * [`TestProxy`]: a session is served for the length of a test, and fails it for what had no answer.
//! * [`Replay`]: a session stands in for the servers; a proxy answers from it.
//! * [`send`]: the recorded requests go out again, and what comes is compared with what was
//!   recorded.

mod capture;
mod compare;
mod secret;
mod send;
mod serve;
mod test_proxy;

pub use compare::{Comparison, Difference, Fields};
pub use send::{
    Order, Outcome, Places, SendError, SendSettings, Sent, Tally, Variable, Variables, send,
};
pub use serve::{
    AddError, Additions, Answer, InvalidAnswer, InvalidMatchKeys, MatchKeys, Mode, Repeat, Replay,
    ReplayError, ReplaySettings, Seen, Spied, Spy, Timing,
};
pub use test_proxy::{Request, Requests, TestProxy, TestProxyBuilder};
