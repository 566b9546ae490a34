//! What consoletap does with TLS: it reads a ClientHello without consuming it, tells what it
//! shows, opens a connection with a certificate of its own, and judges the servers upstream.
//!
//! It knows no HTTP and no sockets: bytes and `rustls` configurations in and out. Files are
//! touched for the CA, the list of refusals and extra roots only.
//!
//! * [`ClientSide`] → [`ClientHello`] → [`ClientHello::stack`]: can it be opened at all, with which
//!   key? [`ServerSide`]: what the server answers in a tunnel.
//! * [`Authority`] → [`Interceptor::server_config`]: our side towards the console, and
//!   [`Interceptor::legacy_acceptor`] towards an old one.
//! * [`Learned`] and [`refusal`]: consoles that refuse our certificate are left alone.
//! * [`Trust`] and [`explain`]: our side towards the server.

mod alert;
mod ca;
mod certificate;
mod client_certificate;
mod client_side;
mod export;
mod fingerprint;
mod handshake;
mod hello;
mod intercept;
mod intermediate;
mod key_log;
mod leaf;
mod learned;
mod legacy;
mod negotiated;
mod provider;
mod refusal;
mod server_side;
mod sslv2;
mod stack;
mod upstream;
mod upstream_names;
mod verifier;
mod wire;

pub use alert::alert_name;
pub use ca::{Authority, CaError};
pub use certificate::certificate_facts;
pub use client_certificate::{ClientCertificate, InvalidClientCertificate};
pub use client_side::{ClientSeen, ClientSide};
pub use export::{CertificateForm, ConsoleAdvice, ConsoleFile, P12_PASSWORD, console_advice};
pub use hello::{ClientHello, Peek, peek};
pub use intercept::{Alpn, Interceptor};
pub use key_log::KeyLogFile;
pub use leaf::LeafKey;
pub use learned::{Learned, Reason, Refused};
pub use legacy::{LEGACY_AVAILABLE, LegacyAcceptor, LegacyConnector, LegacyStream};
pub use negotiated::negotiated;
pub use provider::{TlsError, server_name, warm_up};
pub use refusal::{Refusal, refusal};
pub use server_side::{ServerSeen, ServerSide, server_hello};
pub use stack::Stack;
pub use upstream::{ExtraRoots, InvalidRoots, Trust, TrustSettings, explain, explain_late};
pub use upstream_names::UpstreamNames;
