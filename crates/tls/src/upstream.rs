//! Our side towards the servers: whom to believe, and what to say when a handshake fails.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use consoletap_flow::{Host, HostGlob};
use rustls::client::danger::ServerCertVerifier;
use rustls::client::{ClientSessionMemoryCache, Resumption};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, Error, PeerIncompatible, RootCertStore,
};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use crate::intercept::Alpn;
use crate::provider::{TlsError, provider};
use crate::verifier::{Anybody, Roots};

/// Servers whose sessions are kept to be resumed.
const SESSIONS: usize = 1024;

/// Whom to believe.
#[derive(Debug, Clone, Default)]
pub struct TrustSettings {
    /// PEM files with roots beside those of the system.
    pub extra_roots: Vec<PathBuf>,
    /// Hosts that need no valid certificate.
    pub insecure: Vec<HostGlob>,
}

/// Whom we believe upstream, as `rustls` configurations that are ready.
pub struct Trust {
    insecure: Vec<HostGlob>,
    roots: Arc<Roots>,
    verified: Variants,
    anybody: Variants,
}

/// One configuration for each set of protocols. They share sessions and verifier.
struct Variants {
    http1: Arc<ClientConfig>,
    http2_and_http1: Arc<ClientConfig>,
}

impl Trust {
    /// Reads the extra files, so that a mistake is told at the start. The system's roots are read
    /// when the first certificate comes, or by [`prepare`](Self::prepare).
    ///
    /// # Errors
    /// When a file cannot be read, or holds no certificate that can be a root.
    pub fn new(settings: &TrustSettings) -> Result<Self, TlsError> {
        let mut extra = RootCertStore::empty();
        let mut shown = Vec::new();
        for path in &settings.extra_roots {
            shown.extend(add_roots(&mut extra, path)?);
        }
        let provider = provider();
        let roots = Arc::new(Roots::new(extra, shown, Arc::clone(&provider)));
        Ok(Self {
            insecure: settings.insecure.clone(),
            verified: Variants::new(Arc::clone(&roots) as _)?,
            anybody: Variants::new(Arc::new(Anybody::new(&provider)))?,
            roots,
        })
    }

    /// Reads the system's roots now. To be called on a thread of its own once the listener is
    /// bound, so that the first handshake does not wait.
    pub fn prepare(&self) {
        // What fails here fails again in the handshake, where there is a row to say so.
        let _ = self.roots.verifier();
    }

    /// The configuration for a connection to the host.
    #[must_use]
    pub fn client_config(&self, host: &Host, alpn: Alpn) -> Arc<ClientConfig> {
        let variants = if self.is_insecure(host) { &self.anybody } else { &self.verified };
        Arc::clone(match alpn {
            Alpn::Http1 => &variants.http1,
            Alpn::Http2AndHttp1 => &variants.http2_and_http1,
        })
    }

    /// Whether the user gave up the checks for this host.
    #[must_use]
    pub fn is_insecure(&self, host: &Host) -> bool {
        self.insecure.iter().any(|glob| glob.matches(host))
    }
}

impl Variants {
    fn new(verifier: Arc<dyn ServerCertVerifier>) -> Result<Self, TlsError> {
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        // Not shared with the other kind of trust: a resumed session is not verified again.
        config.resumption = Resumption::store(Arc::new(ClientSessionMemoryCache::new(SESSIONS)));
        let with = |alpn: Alpn| {
            let mut config = config.clone();
            config.alpn_protocols = alpn.protocols();
            Arc::new(config)
        };
        Ok(Self { http1: with(Alpn::Http1), http2_and_http1: with(Alpn::Http2AndHttp1) })
    }
}

/// Adds the certificates of a file, and gives them.
fn add_roots(
    store: &mut RootCertStore,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read = |source| TlsError::ReadRoots { path: path.to_owned(), source };
    let mut added = Vec::new();
    let certificates = CertificateDer::pem_file_iter(path).map_err(read)?;
    for (index, certificate) in certificates.enumerate() {
        let certificate = certificate.map_err(read)?;
        store.add(certificate.clone()).map_err(|source| TlsError::BadRoot {
            path: path.to_owned(),
            number: index + 1,
            source,
        })?;
        added.push(certificate);
    }
    if added.is_empty() {
        return Err(TlsError::NoRoots { path: path.to_owned() });
    }
    Ok(added)
}

/// A failed handshake with a server, in plain words.
#[must_use]
pub fn explain(error: &io::Error) -> String {
    if let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        return explain_tls(error);
    }
    match error.kind() {
        io::ErrorKind::UnexpectedEof => {
            "the server closed the connection during the TLS handshake".to_owned()
        }
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
            "the server reset the connection during the TLS handshake".to_owned()
        }
        io::ErrorKind::TimedOut => "the server did not finish the TLS handshake in time".to_owned(),
        _ => format!("the TLS handshake with the server failed: {error}"),
    }
}

fn explain_tls(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(error) => explain_certificate(error),
        Error::AlertReceived(alert) => explain_alert(*alert),
        Error::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
        ) => "the server speaks only TLS 1.1 or older, which this proxy does not".to_owned(),
        Error::InvalidMessage(_) => "the server's answer is not TLS".to_owned(),
        Error::NoApplicationProtocol => {
            "the server speaks neither HTTP/2 nor HTTP/1.1 over TLS".to_owned()
        }
        other => format!("the TLS handshake with the server failed: {other}"),
    }
}

fn explain_certificate(error: &CertificateError) -> String {
    let why = match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "it has expired (or the clock of this machine is wrong)"
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "it is not valid yet (or the clock of this machine is wrong)"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "it is for another name"
        }
        CertificateError::UnknownIssuer => {
            "it is signed by an authority that this machine does not know; \
             --upstream-ca FILE adds one"
        }
        CertificateError::Revoked => "it was revoked",
        CertificateError::BadEncoding => "it is not well-formed",
        CertificateError::BadSignature => "its signature is wrong",
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "it is not meant for servers"
        }
        // webpki's own kind of error, of which rustls has no name.
        other if format!("{other:?}").contains("CaUsedAsEndEntity") => {
            "it is self-signed, or an authority's own; --upstream-ca FILE with it believes it"
        }
        other => return format!("the server's certificate is not valid: {other}"),
    };
    format!("the server's certificate is not valid: {why}")
}

fn explain_alert(alert: AlertDescription) -> String {
    let why = match alert {
        AlertDescription::ProtocolVersion => "it does not speak TLS 1.2 or 1.3",
        AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity => {
            "it found no cipher suite in common"
        }
        AlertDescription::UnrecognisedName => "it does not know this host name",
        AlertDescription::CertificateRequired => "it wants a certificate of the console",
        AlertDescription::NoApplicationProtocol => "it speaks neither HTTP/2 nor HTTP/1.1",
        other => return format!("the server refused the TLS handshake (alert {other:?})"),
    };
    format!("the server refused the TLS handshake: {why}")
}
