//! Our side towards the servers: whom to believe, what to show, and what to say when a handshake
//! fails.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, OnceLock};

use consoletap_flow::{Host, HostGlob};
use quick_cache::sync::Cache;
use rustls::client::danger::ServerCertVerifier;
use rustls::client::{ClientSessionMemoryCache, Resumption};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, Error, KeyLog, PeerIncompatible,
    RootCertStore,
};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, TrustAnchor};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::LEGACY_AVAILABLE;
use crate::alert::alert_name;
use crate::alpn::Alpn;
use crate::client_certificate::{ClientCertificate, Identity, Shown};
use crate::legacy::LegacyConnector;
use crate::provider::{TlsError, provider, server_name};
use crate::stream::TlsStream;
use crate::verifier::{Anybody, Roots, SystemRoots};

/// Servers whose sessions are kept to be resumed, and whose settings are kept ready.
const SERVERS: usize = 1024;

/// Whom to believe, and what to show.
#[derive(Debug, Clone, Default)]
pub struct TrustSettings {
    /// Roots beside those of the system.
    pub extra_roots: Vec<ExtraRoots>,
    /// Hosts that need no valid certificate.
    pub insecure: Vec<HostGlob>,
    /// Hosts with which TLS may be spoken that is not safe any more.
    pub legacy: Vec<HostGlob>,
    /// Certificates for servers that ask for one; the first that fits is shown.
    pub client_certificates: Vec<ClientCertificate>,
    /// Where the secrets of connections go.
    pub key_log: Option<Arc<dyn KeyLog>>,
}

/// A PEM file with roots: `FILE` for all servers, or `GLOB=FILE` for some.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtraRoots {
    /// The servers; all, where there is none.
    pub hosts: Option<HostGlob>,
    /// The file.
    pub file: PathBuf,
}

/// Text that names no file with roots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidRoots(String);

impl fmt::Display for InvalidRoots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} names no certificates: write FILE, or HOST-GLOB=FILE", self.0)
    }
}

impl std::error::Error for InvalidRoots {}

impl From<PathBuf> for ExtraRoots {
    fn from(file: PathBuf) -> Self {
        Self { hosts: None, file }
    }
}

impl FromStr for ExtraRoots {
    type Err = InvalidRoots;

    /// A file whose name has a `=` in it is written with a path before it: `./a=b.pem`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let scoped = text.split_once('=').filter(|(hosts, _)| !hosts.contains(['/', '\\']));
        let (hosts, file) = match scoped {
            Some((hosts, file)) => {
                (Some(hosts.parse().map_err(|_| InvalidRoots(text.to_owned()))?), file)
            }
            None => (None, text),
        };
        if file.is_empty() {
            return Err(InvalidRoots(text.to_owned()));
        }
        Ok(Self { hosts, file: file.into() })
    }
}

impl fmt::Display for ExtraRoots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(hosts) = &self.hosts {
            write!(f, "{hosts}=")?;
        }
        write!(f, "{}", self.file.display())
    }
}

/// Whom we believe upstream, as `rustls` configurations that are ready.
pub struct Trust {
    insecure: Vec<HostGlob>,
    roots: Arc<Roots>,
    /// Roots for some hosts, each file with the roots for all before it.
    scoped: Vec<(HostGlob, Arc<Roots>)>,
    anybody: Arc<Anybody>,
    certificates: Vec<(HostGlob, Identity)>,
    legacy: Vec<HostGlob>,
    /// What all configurations have in common: versions, sessions, the log of secrets.
    base: ClientConfig,
    servers: Cache<Host, Arc<Server>>,
}

/// What is ready for one server: a configuration for each set of protocols. They share verifier
/// and client certificate, without which rustls resumes no session.
struct Server {
    verifier: Arc<dyn ServerCertVerifier>,
    identity: Option<Identity>,
    shown: Arc<Shown>,
    configs: [OnceLock<Arc<ClientConfig>>; Alpn::ALL.len()],
    legacy: [OnceLock<LegacyConnector>; Alpn::ALL.len()],
}

impl Trust {
    /// Reads the files, so that a mistake is told at the start. The system's roots are read when
    /// the first certificate comes, or by [`prepare`](Self::prepare).
    ///
    /// # Errors
    /// When a file cannot be read, or holds not what it should.
    pub fn new(settings: &TrustSettings) -> Result<Self, TlsError> {
        if !settings.legacy.is_empty() && !LEGACY_AVAILABLE {
            return Err(TlsError::NoLegacyUpstream);
        }
        let provider = provider();
        let system = Arc::new(SystemRoots::default());
        let mut common = Certificates::default();
        for extra in settings.extra_roots.iter().filter(|extra| extra.hosts.is_none()) {
            common.add(&extra.file)?;
        }
        let mut scoped = Vec::new();
        for extra in &settings.extra_roots {
            if let Some(hosts) = &extra.hosts {
                let mut roots = common.clone();
                // Every file whose pattern is the same counts; of different patterns the first.
                let same = settings.extra_roots.iter().filter(|it| it.hosts == extra.hosts);
                for extra in same {
                    roots.add(&extra.file)?;
                }
                let roots = Roots::new(&system, roots.store, roots.shown, &provider);
                scoped.push((hosts.clone(), Arc::new(roots)));
            }
        }
        let certificates = settings.client_certificates.iter();
        Ok(Self {
            insecure: settings.insecure.clone(),
            legacy: settings.legacy.clone(),
            roots: Arc::new(Roots::new(&system, common.store, common.shown, &provider)),
            scoped,
            anybody: Arc::new(Anybody::new(&provider)),
            certificates: certificates
                .map(|one| Ok((one.hosts.clone(), one.read()?)))
                .collect::<Result<_, TlsError>>()?,
            base: base(settings.key_log.clone())?,
            servers: Cache::new(SERVERS),
        })
    }

    /// Reads the system's roots now. To be called on a thread of its own once the listener is
    /// bound, so that the first handshake does not wait.
    pub fn prepare(&self) {
        // What fails here fails again in the handshake, where there is a row to say so.
        let _ = self.roots.verifier();
    }

    /// Begins TLS with the host on this connection.
    ///
    /// # Errors
    /// When the handshake fails, or the host is not believed; see [`explain`](Self::explain).
    pub async fn connect<S>(&self, host: &Host, alpn: Alpn, stream: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let name = server_name(host).map_err(io::Error::other)?;
        if let Some(connector) = self.legacy_connector(host, alpn).map_err(io::Error::other)? {
            return Ok(TlsStream::legacy(connector.connect(&name, stream).await?));
        }
        let connector = tokio_rustls::TlsConnector::from(self.client_config(host, alpn));
        Ok(TlsStream::rustls(connector.connect(name, stream).await?.into()))
    }

    /// The configuration for a connection to the host.
    #[must_use]
    pub fn client_config(&self, host: &Host, alpn: Alpn) -> Arc<ClientConfig> {
        let server = self.server(host);
        Arc::clone(server.configs[alpn as usize].get_or_init(|| {
            let mut config = self.base.clone();
            config.dangerous().set_certificate_verifier(Arc::clone(&server.verifier));
            config.client_auth_cert_resolver = Arc::clone(&server.shown) as _;
            config.alpn_protocols = alpn.protocols();
            Arc::new(config)
        }))
    }

    /// What speaks old TLS with the host, where the user named it for that.
    ///
    /// # Errors
    /// When OpenSSL cannot be set up.
    fn legacy_connector(
        &self,
        host: &Host,
        alpn: Alpn,
    ) -> Result<Option<LegacyConnector>, TlsError> {
        if !self.legacy.iter().any(|glob| glob.matches(host)) {
            return Ok(None);
        }
        let server = self.server(host);
        let ready = &server.legacy[alpn as usize];
        if let Some(connector) = ready.get() {
            return Ok(Some(connector.clone()));
        }
        let verifier = Arc::clone(&server.verifier);
        let identity = server.identity.as_ref();
        let connector = LegacyConnector::new(verifier, identity, alpn, &self.base.key_log)?;
        Ok(Some(ready.get_or_init(|| connector).clone()))
    }

    /// Whether the user gave up the checks for this host.
    #[must_use]
    pub fn is_insecure(&self, host: &Host) -> bool {
        self.insecure.iter().any(|glob| glob.matches(host))
    }

    /// A failed handshake with this server, in plain words.
    #[must_use]
    pub fn explain(&self, host: &Host, error: &io::Error) -> String {
        let told = explain(error);
        let alert = matches!(tls_error(error), Some(Error::AlertReceived(_)));
        // Some servers say it with an alert that could mean anything.
        if alert && self.server(host).shown.is_missed() {
            return format!(
                "the server wants a client certificate, and there is none for it; \
                 --client-cert {host}=FILE shows one"
            );
        }
        told
    }

    fn server(&self, host: &Host) -> Arc<Server> {
        let make = || -> Result<Arc<Server>, std::convert::Infallible> {
            let scoped = self.scoped.iter().find(|(hosts, _)| hosts.matches(host));
            let roots = scoped.map_or(&self.roots, |(_, roots)| roots);
            let verifier: Arc<dyn ServerCertVerifier> = if self.is_insecure(host) {
                Arc::clone(&self.anybody) as _
            } else {
                Arc::clone(roots) as _
            };
            let certificate = self.certificates.iter().find(|(hosts, _)| hosts.matches(host));
            let identity = certificate.map(|(_, identity)| identity.clone());
            let shown = identity.as_ref().map(|identity| Arc::clone(&identity.certified));
            let shown = Arc::new(Shown::new(shown));
            let (configs, legacy) = Default::default();
            Ok(Arc::new(Server { verifier, identity, shown, configs, legacy }))
        };
        match self.servers.get_or_insert_with(host, make) {
            Ok(server) => server,
            Err(never) => match never {},
        }
    }
}

fn base(key_log: Option<Arc<dyn KeyLog>>) -> Result<ClientConfig, TlsError> {
    let mut base = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    // One for all: rustls resumes a session only under the verifier and the client certificate
    // that it began under.
    base.resumption = Resumption::store(Arc::new(ClientSessionMemoryCache::new(SERVERS)));
    if let Some(key_log) = key_log {
        base.key_log = key_log;
    }
    Ok(base)
}

/// Roots as they are gathered from files.
#[derive(Clone, Default)]
struct Certificates {
    store: Vec<TrustAnchor<'static>>,
    shown: Vec<CertificateDer<'static>>,
}

impl Certificates {
    fn add(&mut self, path: &Path) -> Result<(), TlsError> {
        let mut store = RootCertStore::empty();
        self.shown.extend(add_roots(&mut store, path)?);
        self.store.extend(store.roots);
        Ok(())
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
    if let Some(error) = tls_error(error) {
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

/// The same of an error behind the handshake, where it is one of TLS.
#[must_use]
pub fn explain_late(error: &io::Error) -> Option<String> {
    tls_error(error).map(explain_tls)
}

fn tls_error(error: &io::Error) -> Option<&Error> {
    error.get_ref().and_then(|inner| inner.downcast_ref::<Error>())
}

fn explain_tls(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(error) => explain_certificate(error),
        Error::AlertReceived(alert) => explain_alert(*alert),
        Error::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
        ) => "the server speaks only TLS 1.1 or older, which this proxy does only where it is told to \
              (--legacy-upstream)"
            .to_owned(),
        Error::InvalidMessage(_) => "the server's answer is not TLS".to_owned(),
        Error::NoApplicationProtocol => {
            "the server speaks none of the protocols that the console offers".to_owned()
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
        CertificateError::UnsupportedSignatureAlgorithmContext { .. }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            "it is signed in a way that nobody believes any more (as with SHA-1, or with a key of 1024 \
             bits); --insecure-upstream HOST does without the check"
        }
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
        AlertDescription::ProtocolVersion => {
            "it does not speak TLS 1.2 or 1.3; --legacy-upstream HOST allows older ones"
        }
        AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity => {
            "it found no cipher suite in common; --legacy-upstream HOST offers old ones"
        }
        AlertDescription::UnrecognisedName => "it does not know this host name",
        AlertDescription::CertificateRequired => {
            "it wants a client certificate; --client-cert HOST=FILE shows one"
        }
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnknownCA => {
            return format!(
                "the server does not accept our client certificate ({})",
                alert_name(alert.into())
            );
        }
        AlertDescription::NoApplicationProtocol => {
            "it speaks none of the protocols that the console offers"
        }
        other => {
            return format!("the server refused the TLS handshake ({})", alert_name(other.into()));
        }
    };
    format!("the server refused the TLS handshake: {why}")
}
