//! Which hellos are opened, which are not, and what is learned from clients that do not like it.

use std::sync::Arc;
use std::time::Duration;

use consoletap_flow::{Kind, State};
use consoletap_simulator::{Act, LegacyHello, RawOrigin};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::harness::{Client, LIMIT, Tested};
use super::tls_peers::{ServerTls, TlsOrigin, before, offering, tls};

async fn keep_answering(mut tls: ServerTls) {
    let mut read = Vec::new();
    while tls.read_buf(&mut read).await.unwrap_or(0) > 0 {
        if read.ends_with(b"\r\n\r\n") {
            read.clear();
            tls.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
        }
    }
}

async fn server() -> TlsOrigin {
    TlsOrigin::start("h.test", &["http/1.1"], keep_answering).await
}

/// A client whose tunnel to `h.test` stands.
async fn connected(proxy: &Tested) -> Client {
    let mut client = proxy.connect().await;
    client.send("CONNECT h.test:443 HTTP/1.1\r\nHost: h.test:443\r\n\r\n").await;
    client.until("\r\n\r\n").await;
    client
}

async fn ask(client: &mut (impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin)) {
    client.write_all(b"GET / HTTP/1.1\r\nHost: h.test\r\n\r\n").await.unwrap();
    let mut answer = vec![0; 40];
    let reading = client.read_exact(&mut answer);
    tokio::time::timeout(LIMIT, reading).await.unwrap().unwrap();
    assert!(answer.ends_with(b"\r\n\r\nok"), "{}", answer.escape_ascii());
}

#[tokio::test]
async fn a_client_with_tls_1_2_and_rsa_is_opened_and_served_again_and_again() {
    let origin = server().await;
    let proxy = origin.proxy().await;
    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites = vec![aws_lc_rs::cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256];
    let builder = rustls::ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap();
    let mut store = rustls::RootCertStore::empty();
    let ca = CertificateDer::from_pem_slice(proxy.ca_pem.as_bytes()).unwrap();
    store.add(ca).unwrap();
    let config = builder.with_root_certificates(store).with_no_client_auth();
    let mut client = tls(&proxy, "h.test:443", "h.test", config).await.unwrap();
    for _ in 0..3 {
        ask(&mut client).await;
    }
    drop(client);
    let flows = proxy.flows().await;
    assert!(flows[0].intercepted);
    assert_eq!(flows[0].hello.as_ref().unwrap().highest_version(), "TLS 1.2");
    assert_eq!(flows.len(), 4);
    assert_eq!(origin.handshakes.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn an_old_hello_is_passed_on_and_the_row_says_why() {
    let octets = LegacyHello::ps3_4_82("h.test").bytes();
    let origin =
        RawOrigin::play(vec![Act::Read(octets.len()), Act::Send("x".into())]).await.unwrap();
    let proxy = before(origin.address(), |_| {}).await;
    let mut client = connected(&proxy).await;
    client.send(&octets).await;
    client.until("x").await;
    drop(client);
    tokio::time::timeout(LIMIT, proxy.all_finished()).await.unwrap();
    let flow = proxy.flow().await;
    assert_eq!(origin.received(), [octets]);
    assert_eq!((flow.kind, flow.intercepted), (Kind::Tunnel, false));
    let because = flow.policy.unwrap().because;
    assert!(because.starts_with("not opened: the client "), "{because}");
}

#[tokio::test]
async fn http_in_a_tunnel_is_not_touched() {
    let asked = "GET / HTTP/1.1\r\nHost: h.test\r\n\r\n";
    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
    let origin = RawOrigin::answer(answer).await.unwrap();
    let proxy = before(origin.address(), |_| {}).await;
    let mut client = proxy.connect().await;
    client.send("CONNECT h.test:80 HTTP/1.1\r\nHost: h.test:80\r\n\r\n").await;
    client.until("\r\n\r\n").await;
    client.send(asked).await;
    assert_eq!(client.rest().await, answer);
    drop(client);
    tokio::time::timeout(LIMIT, proxy.all_finished()).await.unwrap();
    assert_eq!(origin.received(), [asked.as_bytes()]);
    let flow = proxy.flow().await;
    assert_eq!((flow.kind, flow.request_bytes), (Kind::Tunnel, asked.len() as u64));
}

/// The octets of a real hello.
fn hello(proxy: &Tested, alpn: &[&str]) -> Vec<u8> {
    let name = rustls::pki_types::ServerName::try_from("h.test").unwrap();
    let config = Arc::new(offering(proxy, alpn));
    let mut octets = Vec::new();
    rustls::ClientConnection::new(config, name).unwrap().write_tls(&mut octets).unwrap();
    octets
}

#[tokio::test]
async fn a_client_that_leaves_at_our_certificate_twice_is_left_alone() {
    let origin = server().await;
    let proxy = origin.proxy().await;
    for _ in 0..3 {
        let mut client = connected(&proxy).await;
        client.send(hello(&proxy, &["http/1.1"])).await;
        let mut first = [0; 1];
        client.tcp.read_exact(&mut first).await.unwrap();
        assert_eq!(first, [0x16]);
        // Everything that was sent is read, so that this is a close and no reset.
        let mut more = vec![0; 1 << 16];
        let _ = client.tcp.read(&mut more).await.unwrap();
        drop(client);
        tokio::time::timeout(LIMIT, proxy.all_finished()).await.unwrap();
    }
    let flows = proxy.flows().await;
    let kinds: Vec<_> = flows.iter().map(|flow| flow.kind).collect();
    assert_eq!(kinds, [Kind::TlsFailure, Kind::TlsFailure, Kind::Tunnel]);
    let cause = |at: usize| &flows[at].finished.as_ref().unwrap().failure.as_ref().unwrap().cause;
    assert!(!cause(0).contains("tunnelled"), "{}", cause(0));
    assert!(cause(1).contains("tunnelled for this client from now on"), "{}", cause(1));
    let because = &flows[2].policy.as_ref().unwrap().because;
    assert!(because.contains("refused our certificate before"), "{because}");
}

#[tokio::test]
async fn a_handshake_that_does_not_go_on_is_ended() {
    let origin = server().await;
    let proxy = origin
        .proxy_with(|wanted| wanted.settings.deadlines.handshake = Duration::from_millis(50))
        .await;
    let mut client = connected(&proxy).await;
    client.send(hello(&proxy, &["http/1.1"])).await;
    client.rest_octets().await;
    let flow = proxy.flow().await;
    assert_eq!((flow.kind, flow.state()), (Kind::TlsFailure, State::AbortedByClient));
    let cause = flow.finished.unwrap().failure.unwrap().cause;
    assert!(cause.contains("the TLS handshake did not end within"), "{cause}");
    assert!(cause.contains("said nothing more when it saw our certificate"), "{cause}");
}

#[tokio::test]
async fn a_hello_may_be_long_and_come_in_pieces() {
    let origin = server().await;
    let proxy = origin.proxy().await;
    let many: Vec<String> = (0..300).map(|number| format!("protocol-number-{number}")).collect();
    let mut alpn: Vec<&str> = many.iter().map(String::as_str).collect();
    alpn.push("http/1.1");
    let octets = hello(&proxy, &alpn);
    assert!(octets.len() > 5 << 10, "{}", octets.len());
    let mut client = connected(&proxy).await;
    for piece in octets.chunks(700) {
        client.send(piece).await;
        tokio::task::yield_now().await;
    }
    let mut first = [0; 1];
    client.tcp.read_exact(&mut first).await.unwrap();
    assert_eq!(first, [0x16], "a ServerHello");
    drop(client);
    let flows = proxy.flows().await;
    assert_eq!(flows[0].hello.as_ref().unwrap().alpn.len(), 301);
}
