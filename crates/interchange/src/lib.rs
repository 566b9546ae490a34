//! Sessions on their way to other people and other tools, and back.
//!
//! * [`Source`] reads a session flow by flow, with bodies, and takes secrets out on the way.
//! * [`export`] writes what it gives: HAR, curl commands, raw HTTP, JSON lines, WARC.
//! * [`redact`] makes a session that may be handed on, [`trim`] a small one for tests.
//! * [`import`] makes a session of a file that another tool wrote; it is recognised by its content.
//! * [`pack`] and [`unpack`]: a session in one file.
//!
//! All of it streams: what is held at a time is a flow and its bodies. Files that come in are
//! hostile until they are read: every length is checked before anything is allocated, and no path
//! is taken from them.

mod error;
pub mod export;
mod import;
mod key;
mod pack;
mod recorder;
mod redact;
mod secretless;
mod source;
mod trim;

pub use error::{ImportError, PackError, RedactError, TrimError};
pub use import::{Imported, import};
pub use key::key;
pub use pack::{pack, unpack};
pub use redact::{RedactedSession, redact};
pub use source::{Body, Exchange, Lessons, Missing, Secrets, Source};
pub use trim::{TrimOptions, TrimmedSession, trim};

/// Doors for the targets in `fuzz/`; there in fuzz builds only, and in tests so that they keep
/// fitting.
#[cfg(any(fuzzing, test))]
pub mod fuzzing {
    pub use crate::import::fuzzing::{capture, har, mitmproxy};
}
