//! What consoletap does with TLS: it reads a ClientHello without consuming it, tells what it
//! shows, opens a connection with a certificate of its own, and judges the servers upstream.
//!
//! It knows no HTTP and no sockets: bytes, streams and `rustls` configurations in and out. Files are
//! touched for the CA, the list of refusals and extra roots only.
//!
//! * [`ClientSide`] → [`ClientHello`] → [`ClientHello::stack`]: can it be opened at all, with which
//!   key? [`ServerSide`]: what the server answers in a tunnel.
//! * [`Authority`] → [`Interceptor`] → [`Acceptor`]: our side towards the console.
//! * [`Learned`] and [`refusal`]: consoles that refuse our certificate are left alone.
//! * [`Trust`]: our side towards the server.
//!
//! rustls and the certificates are there with the feature `interception`. Without it handshakes are
//! read all the same; what would open one has no values then (`absent.rs`), so that whoever uses it
//! needs no conditions of his own.

mod alert;
mod alpn;
mod client_side;
mod export;
mod fingerprint;
mod handshake;
mod hello;
mod learned;
mod server_side;
mod sslv2;
mod stack;
mod wire;

#[cfg(not(feature = "interception"))]
mod absent;

#[cfg(feature = "interception")]
mod acceptor;
#[cfg(feature = "interception")]
mod ca;
#[cfg(feature = "interception")]
mod certificate;
#[cfg(feature = "interception")]
mod client_certificate;
#[cfg(feature = "interception")]
mod intercept;
#[cfg(feature = "interception")]
mod intermediate;
#[cfg(feature = "interception")]
mod key_log;
#[cfg(feature = "interception")]
mod leaf;
#[cfg(feature = "interception")]
mod legacy;
#[cfg(feature = "interception")]
mod negotiated;
#[cfg(feature = "interception")]
mod provider;
#[cfg(feature = "interception")]
mod refusal;
#[cfg(feature = "interception")]
mod stream;
#[cfg(feature = "interception")]
mod upstream;
#[cfg(feature = "interception")]
mod upstream_names;
#[cfg(feature = "interception")]
mod verifier;

#[cfg(not(feature = "interception"))]
use absent as certificate;

pub use alert::alert_name;
pub use alpn::Alpn;
pub use client_side::{ClientSeen, ClientSide};
pub use export::{CertificateForm, ConsoleAdvice, ConsoleFile, P12_PASSWORD, console_advice};
pub use hello::{ClientHello, Peek, peek};
pub use learned::{Learned, Reason, Refusal, Refused};
pub use server_side::{ServerSeen, ServerSide, server_hello};
pub use stack::{Answerer, LeafKey, Stack};

#[cfg(not(feature = "interception"))]
pub use absent::{
    Acceptor, Authority, Interceptor, TlsError, TlsStream, Trust, TrustSettings, UpstreamNames,
    explain_late, refusal,
};

#[cfg(feature = "interception")]
pub use {
    acceptor::Acceptor,
    ca::{Authority, CaError},
    certificate::certificate_facts,
    client_certificate::{ClientCertificate, InvalidClientCertificate},
    intercept::Interceptor,
    key_log::KeyLogFile,
    provider::{TlsError, server_name, warm_up},
    refusal::refusal,
    stream::TlsStream,
    upstream::{ExtraRoots, InvalidRoots, Trust, TrustSettings, explain, explain_late},
    upstream_names::UpstreamNames,
};

/// Whether this build can open TLS, and speak it with servers.
pub const INTERCEPTION_AVAILABLE: bool = cfg!(feature = "interception");

/// Whether it can do so with what is not safe any more, as old consoles speak it.
pub const LEGACY_AVAILABLE: bool = cfg!(feature = "legacy-tls");
