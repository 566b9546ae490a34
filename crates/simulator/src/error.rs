//! What can go wrong for a console.

use std::io;
use std::net::SocketAddr;

use crate::content::Difference;

/// Why a console did not get what it asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The proxy cannot be reached: no step of a script can work.
    #[error("no proxy answers at {proxy}: {source}")]
    Unreachable {
        /// The address that was tried.
        proxy: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The connection failed.
    #[error("{doing}: {source}")]
    Connection {
        /// What the console was about to do.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// Nothing came for so long that a console would give up.
    #[error("nothing came for {0} s")]
    Silence(u64),
    /// The connection ended too early.
    #[error("the connection ended {0}")]
    Ended(&'static str),
    /// The answer is no HTTP that a strict reader takes.
    #[error("not HTTP as RFC 9112 has it: {0}")]
    Malformed(String),
    /// The answer is good HTTP, and not what was asked for.
    #[error("expected {expected}, got {got}")]
    Unexpected {
        /// What the console needs.
        expected: String,
        /// What came.
        got: String,
    },
    /// The body is not the file that the origin has.
    #[error("the body was changed on its way: {0}")]
    Changed(#[from] Difference),
    /// The URL is none that a console asks a proxy for.
    #[error("{0:?} is no http:// URL with a host")]
    Url(String),
    /// The certificate cannot be a root of the console.
    #[error("expected certificates in PEM to trust: {0}")]
    Root(String),
    /// The TLS handshake failed on this side.
    #[error("the console refused the TLS handshake: {0}")]
    Refused(rustls::Error),
    /// The TLS handshake was ended by the other side.
    #[error("the server refused the TLS handshake: {0}")]
    RefusedByServer(rustls::Error),
}

impl Error {
    pub(crate) fn while_doing(doing: &'static str) -> impl Fn(io::Error) -> Self {
        move |source| Self::Connection { doing, source }
    }
}
