//! A session is one recording on disk: a directory with an append-only log of events and the
//! bodies they name. This crate writes it and reads it back; the format is told in
//! `docs/session-format.md`.
//!
//! * [`Writer`] takes events while the proxy runs and never makes it wait for the disk.
//! * [`Session`] reads, also while somebody writes; [`list`] finds sessions below a folder.
//! * [`PlainWriter`] writes a small one for people to read and edit.
//!
//! It does not redact (a raw session holds secrets, mode 0600) and knows no network.

mod about;
mod bodies;
mod busy;
mod by_hand;
mod compress;
mod disk;
mod downloads;
mod error;
mod gap;
mod json;
mod layout;
mod line;
mod list;
mod lock;
mod log;
mod manifest;
mod plain;
mod prepared;
mod queue;
mod ranges;
mod read_ahead;
mod reader;
mod recent;
mod recording;
mod retain;
mod small_bodies;
mod space;
mod stitch;
mod streams;
mod sync;
#[cfg(test)]
mod torture;
mod writer;

pub use about::About;
pub use downloads::{Download, Slice};
pub use error::{CreateError, OpenError, ReadProblem};
pub use gap::Gap;
pub use layout::default_root;
pub use list::{Listed, list};
pub use manifest::Expected;
pub use plain::PlainWriter;
pub use reader::{Body, Flows, Overview, Session};
pub use recording::Stats;
pub use retain::{Removed, Retention, retain};
pub use stitch::Check;
pub use sync::Sync;
pub use writer::{Options, Writer};

/// Doors for the targets in `fuzz/`; there in fuzz builds only, and in tests so that they keep
/// fitting.
#[cfg(any(fuzzing, test))]
pub mod fuzzing {
    use crate::line::{Cut, cut, parse};

    /// Reads a segment of a log to its end.
    pub fn log(mut segment: &[u8]) {
        let mut line = Vec::new();
        while let Ok(Cut::Line | Cut::TooLong) = cut(&mut segment, &mut line) {
            drop(parse(&line));
        }
    }
}
