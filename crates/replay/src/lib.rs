//! Recorded sessions as tests.
//!
//! * [`send`]: the recorded requests go out again, and what comes is compared with what was
//!   recorded.

mod capture;
mod compare;
mod send;
mod structure;

pub use compare::{Comparison, Difference, Fields};
pub use send::{
    Order, Outcome, Places, SendError, SendSettings, Sent, Tally, Variable, Variables, send,
};
