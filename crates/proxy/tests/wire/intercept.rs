//! Tunnels that are opened with our certificate.

use std::sync::Arc;

use bytes::Bytes;
use consoletap_flow::{Kind, State};
use consoletap_proxy::{Redirect, Settings, TlsPolicy};
use consoletap_simulator::World;
use consoletap_tls::TrustSettings;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::harness::{Tested, Wanted};

const HOST: &str = "ps4-eb.ww.np.dl.playstation.net";

/// A proxy that opens everything, in front of the simulated internet.
async fn opened(world: &World, trusting: bool) -> Tested {
    let redirects: Vec<Redirect> =
        world.resolve_rules().iter().map(|rule| rule.parse().unwrap()).collect();
    let tls = TlsPolicy { intercept_all: true, ..TlsPolicy::default() };
    let settings = Settings { redirects, tls, ..Settings::default() };
    let folder = tempfile::tempdir().unwrap();
    let roots = folder.path().join("roots.pem");
    std::fs::write(&roots, world.ca_pem()).unwrap();
    let extra_roots = if trusting { vec![roots.into()] } else { Vec::new() };
    let trust = TrustSettings { extra_roots, ..TrustSettings::default() };
    Tested::with(Wanted { settings, trust, ..Wanted::default() }).await
}

/// TLS through the proxy, by a client that believes these roots.
async fn tls(
    proxy: &Tested,
    roots_pem: &str,
    alpn: &[&[u8]],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut client = proxy.connect().await;
    client.send(format!("CONNECT {HOST}:443 HTTP/1.1\r\nHost: {HOST}:443\r\n\r\n")).await;
    let head = client.until("\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    let mut roots = rustls::RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(roots_pem.as_bytes()) {
        roots.add(root.unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    let name = ServerName::try_from(HOST).unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, client.tcp).await
}

async fn get_http1(stream: TlsStream<TcpStream>, path: &str) -> (u16, Bytes) {
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request =
        http::Request::get(path).header("host", HOST).body(Full::<Bytes>::default()).unwrap();
    let answer = sender.send_request(request).await.unwrap();
    (answer.status().as_u16(), answer.into_body().collect().await.unwrap().to_bytes())
}

#[tokio::test]
async fn http1_inside_is_a_row_of_its_own() {
    let world = World::start().await.unwrap();
    let proxy = opened(&world, true).await;
    let ca = proxy.ca_pem.clone();
    let stream = tls(&proxy, &ca, &[b"http/1.1"]).await.unwrap();
    let (status, body) = get_http1(stream, "/servicelist.xml").await;
    assert_eq!(status, 200, "{body:?}");
    assert!(body.windows(11).any(|part| part == b"servicelist"), "{body:?}");
    let flows = proxy.flows().await;
    let [tunnel, inside] = flows.as_slice() else { panic!("{flows:#?}") };
    assert_eq!((tunnel.kind, tunnel.intercepted), (Kind::Tunnel, true));
    assert_eq!(tunnel.hello.as_ref().unwrap().sni.as_deref(), Some(HOST));
    assert_eq!((inside.kind, inside.state()), (Kind::Http, State::Complete));
    assert_eq!(inside.tunnel, Some(tunnel.id));
    let url = inside.target.as_ref().unwrap().to_string();
    assert_eq!(url, format!("https://{HOST}/servicelist.xml"));
}

#[cfg(feature = "http2")]
#[tokio::test]
async fn http2_inside_goes_on_as_http2() {
    let world = World::start().await.unwrap();
    let proxy = opened(&world, true).await;
    let ca = proxy.ca_pem.clone();
    let stream = tls(&proxy, &ca, &[b"h2", b"http/1.1"]).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let executor = hyper_util::rt::TokioExecutor::new();
    let (mut sender, connection) = hyper::client::conn::http2::Builder::new(executor)
        .handshake(TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    let ask = |path: &str| {
        http::Request::get(format!("https://{HOST}{path}")).body(Full::<Bytes>::default()).unwrap()
    };
    // Two streams at once.
    let one = sender.send_request(ask("/servicelist.xml"));
    let mut again = sender.clone();
    let two = again.send_request(ask("/applaunchlink.xml"));
    let (one, two) = tokio::join!(one, two);
    for answer in [one.unwrap(), two.unwrap()] {
        assert_eq!(answer.status(), 200);
        assert!(!answer.into_body().collect().await.unwrap().to_bytes().is_empty());
    }
    drop((sender, again));
    let flows = proxy.flows().await;
    assert_eq!(flows.len(), 3, "{flows:#?}");
    assert!(flows[1..].iter().all(|flow| flow.state() == State::Complete));
    let request = flows[1].request.as_ref().unwrap();
    assert_eq!(request.version, consoletap_flow::Version::Http2);
    assert_eq!(flows[1].response.as_ref().unwrap().version, request.version);
}

#[tokio::test]
async fn a_server_that_cannot_be_verified_is_a_502_that_says_so() {
    let world = World::start().await.unwrap();
    let proxy = opened(&world, false).await;
    let ca = proxy.ca_pem.clone();
    let stream = tls(&proxy, &ca, &[b"http/1.1"]).await.unwrap();
    let (status, body) = get_http1(stream, "/servicelist.xml").await;
    assert_eq!(status, 502);
    let body = String::from_utf8_lossy(&body).into_owned();
    assert!(body.contains(HOST) && body.contains("TLS"), "{body}");
    assert!(world.requests().is_empty(), "no request may leave");
    let flows = proxy.flows().await;
    assert_eq!(flows[1].state(), State::UpstreamError);
}

#[tokio::test]
async fn a_client_that_refuses_us_is_tunnelled_from_then_on() {
    let world = World::start().await.unwrap();
    let proxy = opened(&world, true).await;
    // It believes the world's own authority and not ours.
    let refused = tls(&proxy, world.ca_pem(), &[b"http/1.1"]).await;
    assert!(refused.is_err());
    let stream = tls(&proxy, world.ca_pem(), &[b"http/1.1"]).await.expect("tunnelled now");
    let (status, _) = get_http1(stream, "/servicelist.xml").await;
    assert_eq!(status, 200);
    let flows = proxy.flows().await;
    let [failed, tunnel] = flows.as_slice() else { panic!("{flows:#?}") };
    assert_eq!((failed.kind, failed.intercepted), (Kind::TlsFailure, false));
    let cause = &failed.finished.as_ref().unwrap().failure.as_ref().unwrap().cause;
    assert!(cause.contains("unknown_ca") && cause.contains("tunnelled"), "{cause}");
    assert_eq!((tunnel.kind, tunnel.intercepted), (Kind::Tunnel, false));
    let because = &tunnel.policy.as_ref().unwrap().because;
    assert!(because.contains("refused our certificate before"), "{because}");
}

#[tokio::test]
async fn connections_to_the_server_are_used_again() {
    let world = World::start().await.unwrap();
    let proxy = opened(&world, true).await;
    let ca = proxy.ca_pem.clone();
    for _ in 0..3 {
        let stream = tls(&proxy, &ca, &[b"http/1.1"]).await.unwrap();
        assert_eq!(get_http1(stream, "/servicelist.xml").await.0, 200);
    }
    assert_eq!(world.connections(), 1);
}
