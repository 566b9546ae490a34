//! The one crypto provider, and what is common to both sides.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use consoletap_flow::Host;
use rustls::CipherSuite;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls_pki_types::ServerName;

use crate::alpn::Alpn;

/// Why TLS could not be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file with extra roots cannot be read.
    #[error("cannot read the certificates to trust in {}: {source}", path.display())]
    ReadRoots {
        /// The file.
        path: PathBuf,
        /// What was wrong with it.
        source: rustls_pki_types::pem::Error,
    },
    /// A file with extra roots holds none.
    #[error(
        "{} holds no certificate to trust: a PEM file with BEGIN CERTIFICATE is expected",
        path.display()
    )]
    NoRoots {
        /// The file.
        path: PathBuf,
    },
    /// A file with extra roots holds one that cannot be used.
    #[error("{}, certificate {number}: it cannot be used as a root: {source}", path.display())]
    BadRoot {
        /// The file.
        path: PathBuf,
        /// Which of the certificates, from 1.
        number: usize,
        /// Why.
        source: rustls::Error,
    },
    /// A client certificate cannot be used.
    #[error("the client certificate in {} cannot be used: {why}", path.display())]
    ClientCertificate {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        why: String,
    },
    /// No certificate could be made.
    #[error("no certificate can be made for {host}: {source}")]
    Mint {
        /// For whom.
        host: Host,
        /// Why.
        source: rcgen::Error,
    },
    /// The leaf keys could not be made.
    #[error("no key for our certificates can be made: {0}")]
    Key(String),
    /// This build does not have what old consoles speak.
    #[error(
        "this build opens TLS 1.2 and 1.3 only; one with the feature legacy-tls opens older ones"
    )]
    NoLegacy,
    /// This build does not have what old servers speak.
    #[error(
        "this build speaks TLS 1.2 and 1.3 with servers; one with the feature legacy-tls speaks older \
         ones, too"
    )]
    NoLegacyUpstream,
    /// OpenSSL refused the settings.
    #[error("OpenSSL cannot be set up: {0}")]
    Legacy(String),
    /// rustls refused the settings.
    #[error("TLS cannot be set up: {0}")]
    Setup(#[from] rustls::Error),
    /// A host that no certificate can name.
    #[error("{0} is no name that a server certificate can carry")]
    Name(Host),
}

impl Alpn {
    #[cfg(feature = "legacy-tls")]
    pub(crate) fn has_http1(self) -> bool {
        matches!(self, Self::Http1 | Self::Http2AndHttp1)
    }

    pub(crate) fn protocols(self) -> Vec<Vec<u8>> {
        match self {
            Self::Nothing => Vec::new(),
            Self::Http1 => vec![b"http/1.1".to_vec()],
            Self::Http2 => vec![b"h2".to_vec()],
            Self::Http2AndHttp1 => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        }
    }
}

/// aws-lc-rs. Always given by hand: with two providers in a tree, rustls' default panics.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// The same for handshakes that we answer, AES-128 first: with it the handshake is hashed with SHA-256,
/// for which processors have instructions, and not with SHA-384. It is a tenth of our share.
pub(crate) fn provider_for_clients() -> Arc<CryptoProvider> {
    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites.sort_by_key(|suite| match suite.suite() {
        CipherSuite::TLS13_AES_128_GCM_SHA256
        | CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
        | CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 => 0,
        _ => 1,
    });
    Arc::new(provider)
}

/// The host as rustls wants it for an upstream handshake. Addresses are checked against the
/// certificate too, and send no SNI.
///
/// # Errors
/// For names that cannot stand in a certificate.
pub fn server_name(host: &Host) -> Result<ServerName<'static>, TlsError> {
    match host {
        Host::Name(name) => {
            ServerName::try_from(String::from(&**name)).map_err(|_| TlsError::Name(host.clone()))
        }
        Host::V4(ip) => Ok(IpAddr::V4(*ip).into()),
        Host::V6(ip) => Ok(IpAddr::V6(*ip).into()),
    }
}

/// Touches aws-lc's random generator, whose first octets take 30 to 45 ms. To be called on a
/// thread of its own once the listener is bound.
pub fn warm_up() {
    // A generator that fails will fail again in the handshake, where there is a row to say so.
    let _ = aws_lc_rs::default_provider().secure_random.fill(&mut [0; 32]);
}
