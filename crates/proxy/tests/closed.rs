//! A build without TLS: tunnels stay closed, and what passes in them is told all the same.

#![cfg(not(feature = "interception"))]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use consoletap_catalog::Catalog;
use consoletap_flow::{Event, Flow, Happening, Kind, Record, Recorder, State, TlsAction};
use consoletap_proxy::{Listener, Parts, Proxy, Settings, TlsParts, TlsPolicy};
use consoletap_rules::RuleBook;
use consoletap_tls::{Learned, Peek, Trust, TrustSettings, peek};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

#[derive(Default)]
struct Memory(Mutex<Vec<Event>>);

impl Recorder for Memory {
    fn record(&self, record: Record) {
        self.0.lock().unwrap().push(record.event);
        if let Some(written) = record.written {
            written();
        }
    }
}

/// What happens to a client of a proxy that is to open everything, and finds this server under every
/// name in `.test`: the flows, once `client` is through.
async fn flows(origin: SocketAddr, client: impl AsyncFnOnce(TcpStream)) -> Vec<Flow> {
    let memory = Arc::new(Memory::default());
    let parts = Parts {
        catalog: Arc::new(Catalog::builtin()),
        rules: Arc::new(RuleBook::default()),
        tls: TlsParts {
            interceptor: None,
            trust: Arc::new(Trust::new(&TrustSettings::default()).unwrap()),
            learned: Arc::new(Learned::load(None)),
        },
        recorder: memory.clone(),
        seen: None,
        origin: None,
    };
    let settings = Settings {
        redirects: vec![format!("*.test={origin}").parse().unwrap()],
        tls: TlsPolicy { intercept_all: true, ..TlsPolicy::default() },
        ..Settings::default()
    };
    let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let proxy = Proxy::new(listener, settings, parts);
    let address = proxy.local_addr();
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(proxy.run(async {
        let _ = stopped.await;
    }));
    client(TcpStream::connect(address).await.unwrap()).await;
    // A tunnel that is still under way would be cut off.
    let ended = |event: &Event| matches!(event.happening, Happening::Finished(_));
    let begun = std::time::Instant::now();
    while !memory.0.lock().unwrap().iter().any(ended) {
        assert!(begun.elapsed() < Duration::from_secs(30), "no flow came to its end");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    drop(stop);
    running.await.unwrap();
    let mut flows: Vec<Flow> = Vec::new();
    for event in std::mem::take(&mut *memory.0.lock().unwrap()) {
        match flows.iter_mut().find(|flow| flow.id == event.flow) {
            Some(flow) => flow.apply(event),
            None => flows.push(Flow::open(event).unwrap()),
        }
    }
    flows
}

/// A TLS server that sends back what it gets, once; and a client's settings that believe it.
async fn echo() -> (SocketAddr, ClientConfig) {
    let made = rcgen::generate_simple_self_signed(["h.test".to_owned()]).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let provider = Arc::new(default_provider());
    let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (tcp, _) = listener.accept().await.unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(server));
        let mut tls = acceptor.accept(tcp).await.unwrap();
        let mut octets = [0; 4];
        tls.read_exact(&mut octets).await.unwrap();
        tls.write_all(&octets).await.unwrap();
        tls.shutdown().await.unwrap();
        let _ = tls.read_to_end(&mut Vec::new()).await;
    });
    (address, client)
}

async fn head(tcp: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(tcp.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

#[tokio::test]
async fn a_tunnel_stays_closed_and_its_handshake_is_told() {
    let (origin, config) = echo().await;
    let name = ServerName::try_from("h.test").unwrap();
    // A hello of the same client, read beside the proxy.
    let mut same = rustls::ClientConnection::new(Arc::new(config.clone()), name.clone()).unwrap();
    let mut octets = Vec::new();
    same.write_tls(&mut octets).unwrap();
    let Peek::Hello(same) = peek(&octets) else { panic!("a hello") };
    let flows = flows(origin, async |mut tcp| {
        tcp.write_all(b"CONNECT h.test:443 HTTP/1.1\r\nHost: h.test:443\r\n\r\n").await.unwrap();
        assert!(head(&mut tcp).await.starts_with("HTTP/1.1 200 "));
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        // The server's own certificate comes, which this client believes and no other.
        let mut tls = connector.connect(name, tcp).await.unwrap();
        tls.write_all(b"ping").await.unwrap();
        let mut got = String::new();
        tls.read_to_string(&mut got).await.unwrap();
        assert_eq!(got, "ping");
        tls.shutdown().await.unwrap();
    })
    .await;
    let [tunnel] = flows.as_slice() else { panic!("{flows:#?}") };
    assert_eq!((tunnel.kind, tunnel.intercepted), (Kind::Tunnel, false));
    assert_eq!(tunnel.state(), State::Complete);
    let policy = tunnel.policy.as_ref().unwrap();
    assert_eq!(policy.action, TlsAction::Tunnel);
    let why = "not opened: this build opens no TLS; one with the feature interception does";
    assert_eq!(policy.because, why);
    let hello = tunnel.hello.as_ref().unwrap();
    assert_eq!(hello.sni.as_deref(), Some("h.test"));
    assert!(hello.ja4.starts_with("t13d"), "{}", hello.ja4);
    assert_eq!(hello.ja4, same.facts.ja4);
    assert_eq!(hello.ja3.len(), 32);
    assert_eq!(tunnel.server_hello.as_ref().unwrap().version, 0x0304);
}

#[tokio::test]
async fn https_is_not_asked_and_nobody_is_connected_to() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let flows = flows(listener.local_addr().unwrap(), async |mut tcp| {
        let request = b"GET https://h.test/ HTTP/1.1\r\nHost: h.test\r\nConnection: close\r\n\r\n";
        tcp.write_all(request).await.unwrap();
        let mut answer = String::new();
        tcp.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 501 "), "{answer}");
        assert!(answer.contains("one with the feature interception does"), "{answer}");
    })
    .await;
    let [flow] = flows.as_slice() else { panic!("{flows:#?}") };
    assert_eq!(flow.state(), State::Refused);
    let failure = flow.finished.as_ref().unwrap().failure.as_ref().unwrap();
    assert!(failure.cause.starts_with("h.test is asked by HTTPS"), "{}", failure.cause);
    let nobody = tokio::time::timeout(Duration::ZERO, listener.accept()).await;
    assert!(nobody.is_err(), "{nobody:?}");
}
