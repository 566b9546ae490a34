//! Servers that are not to be believed, that want a certificate of the client, and what they are
//! offered. What a test asks for never reaches a server that was not believed.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use consoletap_flow::{Flow, Kind, State};
use consoletap_tls::{Peek, TrustSettings, certificate_facts, peek};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair,
    date_time_ymd,
};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::harness::{LIMIT, Tested};
use super::tls_peers::{self, ServerTls, TlsOrigin, before, offering};

/// An authority that only these tests know, with its root in a file.
pub(crate) struct Service {
    folder: tempfile::TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Service {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "Service");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("root.pem"), issuer.pem()).unwrap();
        Self { folder, issuer }
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.folder.path().join("root.pem")
    }

    /// A certificate of this service and its key.
    pub(crate) fn leaf(&self, name: &str, until: i32) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.not_after = date_time_ymd(until, 1, 1);
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }

    /// Signs a certificate.
    #[cfg(feature = "legacy-tls")]
    pub(crate) fn sign(&self, params: CertificateParams, key: &KeyPair) -> rcgen::Certificate {
        params.signed_by(key, &self.issuer).unwrap()
    }

    /// A client's certificate and key in one PEM file.
    pub(crate) fn client_pem(&self) -> PathBuf {
        let (certificate, key) = self.leaf("console.test", 2060);
        let path = self.folder.path().join("client.pem");
        std::fs::write(&path, format!("{}{}", certificate.pem(), key.serialize_pem())).unwrap();
        path
    }

    /// A server that wants a certificate of this service.
    fn wanting(&self, version: &'static SupportedProtocolVersion) -> ServerConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        let (certificate, key) = self.leaf("h.test", 2060);
        ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_client_cert_verifier(verifier.build().unwrap())
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
            )
            .unwrap()
    }
}

fn config(certificate: &rcgen::Certificate, key: &KeyPair) -> ServerConfig {
    ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        )
        .unwrap()
}

fn self_signed(name: &str) -> ServerConfig {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new([name.to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    config(&params.self_signed(&key).unwrap(), &key)
}

/// Counts the requests that come through, and answers them.
async fn counting(config: ServerConfig) -> (TlsOrigin, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let origin = TlsOrigin::with(config, move |mut tls: ServerTls| {
        let count = Arc::clone(&count);
        async move {
            let mut read = Vec::new();
            while tls.read_buf(&mut read).await.unwrap_or(0) > 0 {
                if read.ends_with(b"\r\n\r\n") {
                    count.fetch_add(1, Ordering::Relaxed);
                    read.clear();
                    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
                    let _ = tls.write_all(answer).await;
                }
            }
        }
    })
    .await;
    (origin, asked)
}

/// Asks for `h.test` through an opened tunnel; the status of the answer, and the flows.
pub(crate) async fn ask(proxy: Tested) -> (u16, String, Vec<Flow>) {
    let mut tls = tls_peers::http1(&proxy).await;
    tls.write_all(b"GET / HTTP/1.1\r\nHost: h.test\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let read = tokio::time::timeout(LIMIT, tls.read_to_end(&mut answer)).await;
    let _ = read.expect("an answer comes");
    let answer = String::from_utf8_lossy(&answer).into_owned();
    drop(tls);
    let status = answer.get(9..12).and_then(|status| status.parse().ok()).unwrap_or(0);
    (status, answer, proxy.flows().await)
}

fn trusting(service: &Service) -> TrustSettings {
    TrustSettings { extra_roots: vec![service.root().into()], ..TrustSettings::default() }
}

#[tokio::test]
async fn a_server_that_is_not_believed_never_sees_the_request() {
    let service = Service::new();
    let leaf = |name: &str, until| {
        let (certificate, key) = service.leaf(name, until);
        config(&certificate, &key)
    };
    for (server, says) in [
        (leaf("h.test", 2020), "has expired"),
        (self_signed("h.test"), "self-signed"),
        (leaf("other.test", 2060), "for another name"),
    ] {
        let (origin, asked) = counting(server).await;
        let proxy = before(origin.address, |wanted| wanted.trust = trusting(&service)).await;
        let (status, answer, flows) = ask(proxy).await;
        assert_eq!(status, 502, "{says}: {answer}");
        assert!(answer.contains(says), "{says}: {answer}");
        assert_eq!(asked.load(Ordering::Relaxed), 0, "{says}");
        assert_eq!(flows[1].state(), State::UpstreamError);
        let cause = &flows[1].finished.as_ref().unwrap().failure.as_ref().unwrap().cause;
        assert!(cause.contains(says), "{cause}");
    }
}

#[tokio::test]
async fn what_was_agreed_with_the_server_is_on_the_row() {
    let service = Service::new();
    let (certificate, key) = service.leaf("h.test", 2060);
    let (origin, asked) = counting(config(&certificate, &key)).await;
    let proxy = before(origin.address, |wanted| wanted.trust = trusting(&service)).await;
    let (status, answer, flows) = ask(proxy).await;
    assert_eq!((status, asked.load(Ordering::Relaxed)), (200, 1), "{answer}");
    let chosen = flows[1].server_hello.as_ref().unwrap();
    assert_eq!((chosen.version, chosen.resumed), (0x0304, Some(false)));
    let shown = flows[1].certificate.as_ref().unwrap();
    assert_eq!(shown.names, ["h.test"]);
    assert!(shown.issuer.contains("Service"), "{}", shown.issuer);
    // And what we agreed with the client, on the row of the tunnel.
    assert_eq!(flows[0].server_hello.as_ref().unwrap().alpn.as_deref(), Some("http/1.1"));
}

#[tokio::test]
async fn roots_can_be_for_some_servers_alone() {
    let service = Service::new();
    let (certificate, key) = service.leaf("h.test", 2060);
    for (hosts, wanted_status) in [("h.*", 200), ("other.*", 502)] {
        let (origin, _) = counting(config(&certificate, &key)).await;
        let roots = format!("{hosts}={}", service.root().display());
        let proxy = before(origin.address, |wanted| {
            wanted.trust.extra_roots = vec![roots.parse().unwrap()];
        })
        .await;
        let (status, answer, _) = ask(proxy).await;
        assert_eq!(status, wanted_status, "{hosts}: {answer}");
    }
}

#[tokio::test]
async fn a_server_that_wants_a_client_certificate_gets_the_one_that_was_named() {
    let service = Service::new();
    let client = service.client_pem();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        for shows in [false, true] {
            let (origin, asked) = counting(service.wanting(version)).await;
            let certificate = format!("*.test={}", client.display()).parse().unwrap();
            let proxy = before(origin.address, |wanted| {
                wanted.trust = trusting(&service);
                if shows {
                    wanted.trust.client_certificates = vec![certificate];
                }
            })
            .await;
            let (status, answer, flows) = ask(proxy).await;
            assert_eq!(status, if shows { 200 } else { 502 }, "{version:?}: {answer}");
            assert_eq!(asked.load(Ordering::Relaxed), usize::from(shows), "{version:?}");
            if !shows {
                let cause = &flows[1].finished.as_ref().unwrap().failure.as_ref().unwrap().cause;
                assert!(cause.contains("wants a client certificate"), "{version:?}: {cause}");
                assert!(cause.contains("--client-cert"), "{version:?}: {cause}");
            }
        }
    }
}

#[tokio::test]
async fn the_server_is_offered_what_the_client_offers() {
    let http2: [&[&str]; 2] = [&["h2"], &["h2", "http/1.1"]];
    let http2 = http2.into_iter().filter(|_| cfg!(feature = "http2"));
    for offers in [&[][..], &["http/1.1"]].into_iter().chain(http2) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(None));
        let noted = Arc::clone(&seen);
        let server = tokio::spawn(async move {
            let (mut tcp, _) = listener.accept().await.unwrap();
            let mut read = Vec::new();
            while tcp.read_buf(&mut read).await.unwrap_or(0) > 0 {
                if let Peek::Hello(hello) = peek(&read) {
                    *noted.lock().unwrap() = Some(hello.facts.alpn);
                    return;
                }
            }
        });
        let proxy = before(address, |_| {}).await;
        let config = offering(&proxy, offers);
        let mut tls = tls_peers::tls(&proxy, "h.test:443", "h.test", config).await.unwrap();
        if offers.first() == Some(&"h2") {
            let (sender, connection) = h2::client::handshake(tls).await.unwrap();
            tokio::spawn(connection);
            let request = http::Request::get("https://h.test/").body(()).unwrap();
            let (_answer, _) = sender.ready().await.unwrap().send_request(request, true).unwrap();
            tokio::time::timeout(LIMIT, server).await.unwrap().unwrap();
        } else {
            tls.write_all(b"GET / HTTP/1.1\r\nHost: h.test\r\n\r\n").await.unwrap();
            tokio::time::timeout(LIMIT, server).await.unwrap().unwrap();
        }
        assert_eq!(seen.lock().unwrap().take().unwrap(), offers);
    }
}

/// A certificate for more than one name, of which the common name is none.
fn of_many(service: &Service, names: &[&str]) -> ServerConfig {
    let key = KeyPair::generate().unwrap();
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "Edge of the service");
    config(&params.signed_by(&key, &service.issuer).unwrap(), &key)
}

/// What a client in a tunnel to this host is shown by the proxy: common name and alternative names.
async fn shown(proxy: &Tested, host: &str) -> (String, Vec<String>) {
    let client = offering(proxy, &["http/1.1"]);
    let mut tls = tls_peers::tls(proxy, &format!("{host}:443"), host, client).await.unwrap();
    let facts = certificate_facts(tls.get_ref().1.peer_certificates().unwrap()).unwrap();
    let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    tls.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let read = tokio::time::timeout(LIMIT, tls.read_to_end(&mut answer)).await;
    let _ = read.expect("an answer comes");
    assert!(answer.starts_with(b"HTTP/1.1 200 "), "{}", answer.escape_ascii());
    (facts.subject, facts.names)
}

#[tokio::test]
async fn the_names_of_the_servers_certificate_are_copied_where_asked() {
    let service = Service::new();
    let names = ["*.copied.test", "edge.test", "10.9.8.7"];
    let (origin, asked) = counting(of_many(&service, &names)).await;
    let proxy = before(origin.address, |wanted| {
        wanted.trust = trusting(&service);
        wanted.settings.tls.copy_names = vec!["*.copied.test".parse().unwrap()];
    })
    .await;
    for _ in 0..3 {
        let (subject, alternative) = shown(&proxy, "a.copied.test").await;
        assert_eq!(subject, "CN=Edge of the service");
        assert_eq!(alternative, names);
    }
    // Another host has its own name alone.
    let (subject, alternative) = shown(&proxy, "edge.test").await;
    assert_eq!((&*subject, &alternative[..]), ("CN=edge.test", &["edge.test".to_owned()][..]));
    assert_eq!(asked.load(Ordering::Relaxed), 4);
    let flows = proxy.flows().await;
    // The server was asked once, in the tunnel that came first.
    let greeted = |flow: &&Flow| flow.kind == Kind::Tunnel && flow.certificate.is_some();
    assert_eq!(flows.iter().filter(greeted).count(), 1);
    assert!(flows[0].certificate.is_some() && flows[0].notes.is_empty(), "{:?}", flows[0].notes);
}

/// The connection that was opened to see the certificate is the one that the request goes out on.
#[tokio::test]
async fn asking_for_the_names_costs_no_connection() {
    let service = Service::new();
    let (origin, _) = counting(of_many(&service, &["once.test"])).await;
    let proxy = before(origin.address, |wanted| {
        wanted.trust = trusting(&service);
        wanted.settings.tls.copy_names = vec!["*".parse().unwrap()];
    })
    .await;
    shown(&proxy, "once.test").await;
    assert_eq!(origin.connections(), 1);
}

#[tokio::test]
async fn a_server_that_is_not_believed_gives_no_names() {
    let service = Service::new();
    let (origin, asked) = counting(self_signed("*.strange.test")).await;
    let proxy = before(origin.address, |wanted| {
        wanted.trust = trusting(&service);
        wanted.settings.tls.copy_names = vec!["*".parse().unwrap()];
    })
    .await;
    let client = offering(&proxy, &["http/1.1"]);
    let target = "a.strange.test:443";
    let mut tls = tls_peers::tls(&proxy, target, "a.strange.test", client).await.unwrap();
    let facts = certificate_facts(tls.get_ref().1.peer_certificates().unwrap()).unwrap();
    assert_eq!(facts.names, ["a.strange.test"]);
    tls.write_all(b"GET / HTTP/1.1\r\nHost: a.strange.test\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut answer = String::new();
    let _ = tokio::time::timeout(LIMIT, tls.read_to_string(&mut answer)).await;
    assert!(answer.starts_with("HTTP/1.1 502 ") && answer.contains("self-signed"), "{answer}");
    assert_eq!(asked.load(Ordering::Relaxed), 0);
    let note = &proxy.flows().await[0].notes[0];
    assert!(note.starts_with("the server's names are not copied: TLS with"), "{note}");
}
