//! What can go wrong, in words that say what to do.

use std::io;
use std::path::PathBuf;

use consoletap_session::{CreateError, ReadProblem};
use thiserror::Error;

/// Why a file could not be made into a session.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ImportError {
    /// It is none of the formats that are read.
    #[error(
        "{} is no HAR file, no mitmproxy flow file and no capture (pcap, pcapng): its content is \
         none of these", file.display()
    )]
    Unknown {
        /// The file.
        file: PathBuf,
    },
    /// It is one of them, and broken.
    #[error("{} cannot be read as {format}: {what}", file.display())]
    Broken {
        /// The file.
        file: PathBuf,
        /// What it looks like.
        format: &'static str,
        /// What is wrong, and where.
        what: String,
    },
    /// The disk refuses.
    #[error("cannot read {}: {source}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is no room for what is unpacked of it.
    #[error("cannot unpack it in {}: {source}", place.display())]
    Unpack {
        /// The folder of the session.
        place: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No session can be written there.
    #[error(transparent)]
    Create(#[from] CreateError),
}

/// Why there is no redacted session.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RedactError {
    /// The place is taken.
    #[error("{} exists already; name a new directory", directory.display())]
    Exists {
        /// The directory.
        directory: PathBuf,
    },
    /// No session can be written there.
    #[error(transparent)]
    Create(#[from] CreateError),
    /// The disk did not take all of it.
    #[error("the redacted session is not whole, do not use it: {0}")]
    Lost(String),
}

/// Why there is no trimmed session.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TrimError {
    /// The place is taken.
    #[error("{} exists already; name a new directory", directory.display())]
    Exists {
        /// The directory.
        directory: PathBuf,
    },
    /// No flow is wanted.
    #[error(
        "no flow of {} fits; `consoletap session show` lists those that are there",
        directory.display()
    )]
    Nothing {
        /// The session.
        directory: PathBuf,
    },
    /// A session that was edited by hand has a mistake.
    #[error(transparent)]
    Edited(ReadProblem),
    /// This machine gives no random octets for pseudonyms.
    #[error("no key for pseudonyms can be made: {0}")]
    Key(io::Error),
    /// No session can be written there.
    #[error(transparent)]
    Create(#[from] CreateError),
    /// The disk did not take all of it.
    #[error("{} is not whole, do not use it: {source}", directory.display())]
    Write {
        /// The new session.
        directory: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Why a session could not be packed or unpacked.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PackError {
    /// It holds something that is no part of a session, or is larger than it says.
    #[error("{} is no packed session: {what}", file.display())]
    NotAPack {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// The place is taken.
    #[error("{} exists already; name a new one", place.display())]
    Exists {
        /// The place.
        place: PathBuf,
    },
    /// The disk refuses.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}
