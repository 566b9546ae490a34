//! TLS on both sides of the proxy: servers that do what a test tells them, and clients that speak
//! through an opened tunnel.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};

use consoletap_flow::Host;
use consoletap_proxy::{Settings, TlsPolicy};
use consoletap_tls::{Alpn, Authority, Interceptor, LeafKey, TrustSettings};
use rustls::HandshakeKind;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::harness::{LIMIT, Tested, Wanted};

pub(crate) type ServerTls = tokio_rustls::server::TlsStream<TcpStream>;
pub(crate) type ClientTls = tokio_rustls::client::TlsStream<TcpStream>;

/// The authority of all servers in these tests, which the proxy is told to believe.
static WORLD: LazyLock<(Interceptor, PathBuf, tempfile::TempDir)> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::load_or_create(&folder.path().join("certs")).unwrap();
    let roots = folder.path().join("roots.pem");
    std::fs::write(&roots, authority.certificate_pem()).unwrap();
    (Interceptor::new(authority).unwrap(), roots, folder)
});

/// What each handshake was, and the name it asked for.
type Handshakes = Arc<Mutex<Vec<(HandshakeKind, Option<String>)>>>;

/// A TLS server on loopback; gone when dropped.
pub(crate) struct TlsOrigin {
    pub(crate) address: SocketAddr,
    connections: Arc<AtomicUsize>,
    pub(crate) handshakes: Handshakes,
    accepting: AbortHandle,
}

impl Drop for TlsOrigin {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl TlsOrigin {
    /// Serves each connection with `serve`, with a certificate for `name`.
    pub(crate) async fn start<F>(
        name: &str,
        alpn: &[&str],
        serve: impl Fn(ServerTls) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let host: Host = name.parse().unwrap();
        let config = WORLD.0.server_config(&host, LeafKey::Ecdsa, Alpn::Http1).unwrap();
        let mut config = (*config).clone();
        config.alpn_protocols = alpn.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        Self::with(config, serve).await
    }

    /// The same with a configuration of the test's own.
    pub(crate) async fn with<F>(
        config: rustls::ServerConfig,
        serve: impl Fn(ServerTls) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let handshakes = Handshakes::default();
        let (counted, noted, serve) =
            (Arc::clone(&connections), Arc::clone(&handshakes), Arc::new(serve));
        let accepting = tokio::spawn(async move {
            loop {
                let Ok((tcp, _)) = listener.accept().await else { continue };
                counted.fetch_add(1, Ordering::Relaxed);
                let (acceptor, serve) = (acceptor.clone(), Arc::clone(&serve));
                let noted = Arc::clone(&noted);
                tokio::spawn(async move {
                    let Ok(tls) = acceptor.accept(tcp).await else { return };
                    let seen = tls.get_ref().1;
                    let sni = seen.server_name().map(str::to_owned);
                    noted.lock().unwrap().push((seen.handshake_kind().unwrap(), sni));
                    serve(tls).await;
                });
            }
        })
        .abort_handle();
        Self { address, connections, handshakes, accepting }
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// A proxy that opens everything, and finds this server under every name in `.test`.
    pub(crate) async fn proxy(&self) -> Tested {
        self.proxy_with(|_| {}).await
    }

    pub(crate) async fn proxy_with(&self, change: impl FnOnce(&mut Wanted)) -> Tested {
        before(self.address, change).await
    }
}

/// A proxy that opens everything and believes the servers of these tests.
pub(crate) async fn before(origin: SocketAddr, change: impl FnOnce(&mut Wanted)) -> Tested {
    let settings = Settings {
        redirects: vec![format!("*.test={origin}").parse().unwrap()],
        tls: TlsPolicy { intercept_all: true, ..TlsPolicy::default() },
        via: false,
        ..Settings::default()
    };
    let trust =
        TrustSettings { extra_roots: vec![WORLD.1.clone().into()], ..TrustSettings::default() };
    let mut wanted = Wanted { settings, trust, ..Wanted::default() };
    change(&mut wanted);
    Tested::with(wanted).await
}

/// What a client that believes the proxy's authority offers.
pub(crate) fn offering(proxy: &Tested, alpn: &[&str]) -> rustls::ClientConfig {
    believing(proxy.ca_pem.as_bytes(), alpn)
}

/// What a client that believes the servers of these tests offers.
pub(crate) fn offering_directly(alpn: &[&str]) -> rustls::ClientConfig {
    believing(&std::fs::read(&WORLD.1).unwrap(), alpn)
}

fn believing(authority: &[u8], alpn: &[&str]) -> rustls::ClientConfig {
    let mut roots = rustls::RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(authority) {
        roots.add(root.unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    config
}

/// TLS for `name` in a tunnel to `target`.
pub(crate) async fn tls(
    proxy: &Tested,
    target: &str,
    name: &str,
    config: rustls::ClientConfig,
) -> io::Result<ClientTls> {
    let mut client = proxy.connect().await;
    client.send(format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n")).await;
    let head = client.until("\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let connecting = TlsConnector::from(Arc::new(config)).connect(name, client.tcp);
    tokio::time::timeout(LIMIT, connecting).await.expect("the handshake ends")
}

/// A client in a tunnel to `h.test` that speaks HTTP/1.1.
pub(crate) async fn http1(proxy: &Tested) -> ClientTls {
    tls(proxy, "h.test:443", "h.test", offering(proxy, &["http/1.1"])).await.unwrap()
}
