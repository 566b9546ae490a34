//! What can go wrong, in words that say what to do.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Why no session can be written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CreateError {
    /// Another process writes to it.
    #[error(
        "{} is being written by another consoletap{}; stop that one or name another directory",
        directory.display(),
        pid.map(|pid| format!(" (process {pid})")).unwrap_or_default()
    )]
    InUse {
        /// The session.
        directory: PathBuf,
        /// Its writer, where it could be read.
        pid: Option<u32>,
    },
    /// The directory holds something else.
    #[error(
        "{} holds other files and is no session; name a new or an empty directory",
        directory.display()
    )]
    NotASession {
        /// The directory.
        directory: PathBuf,
    },
    /// It is a session, and it cannot be continued.
    #[error("the session cannot be continued: {0}")]
    Existing(#[from] OpenError),
    /// The disk refuses.
    #[error("cannot write the session at {}: {source}", path.display())]
    Io {
        /// What was to be written.
        path: PathBuf,
        /// Why it was not.
        source: io::Error,
    },
}

/// Why a session cannot be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// There is none.
    #[error("{} is no session: there is no session.json in it", directory.display())]
    NoSession {
        /// The directory.
        directory: PathBuf,
    },
    /// It was written in another format.
    #[error(
        "{} has format {format}, and this consoletap reads format 1; use a newer one",
        directory.display()
    )]
    Format {
        /// The directory.
        directory: PathBuf,
        /// The format that it has.
        format: u32,
    },
    /// `session.json` is not what it should be.
    #[error("{}: {source}", path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// What is wrong in it.
        source: serde_json::Error,
    },
    /// The disk refuses.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// What was to be read.
        path: PathBuf,
        /// Why it was not.
        source: io::Error,
    },
}

/// A line of the log that could not be read. The lines behind it are read all the same.
#[derive(Debug, Error)]
#[error("{}:{line}: {what}", file.display())]
pub struct ReadProblem {
    /// The segment.
    pub file: PathBuf,
    /// The line in it, counted from 1; 0 where it is the file as a whole.
    pub line: u64,
    /// What is wrong with it.
    pub what: String,
}
