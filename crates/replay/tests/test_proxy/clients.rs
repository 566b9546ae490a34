//! The clients of others, behind a proxy that replays: HTTP, and HTTPS that they trust.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use consoletap_replay::{Answer, TestProxy};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use crate::served::harness::{LIMIT, Recording, fixture, get};

const PLAIN: &str = "http://game.test/news";
const SECURE: &str = "https://store.test/list";
const WRITTEN: &str = "https://by-hand.test/";

fn recording() -> Recording {
    Recording::of(&[get(PLAIN, "news"), get(SECURE, "list")])
}

fn proxy(recording: &Recording) -> TestProxy {
    TestProxy::of(recording.path()).answer(Answer::get(WRITTEN).body("hand")).start()
}

const EXPECTED: [(&str, &str); 3] = [(PLAIN, "news"), (SECURE, "list"), (WRITTEN, "hand")];

/// What every client has done in the end.
fn all_was_asked(replay: &TestProxy) {
    for (url, _) in EXPECTED {
        replay.asked(&format!("~u {url}")).once();
    }
    replay.all_answers_used();
    assert!(replay.unanswered().is_empty());
}

/// TLS for a client that trusts this CA alone, with the crypto provider of this project.
fn trusting(ca_pem: &str, alpn: &[&str]) -> rustls::ClientConfig {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(ca_pem.as_bytes()) {
        roots.add(certificate.unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider);
    let config = config.with_safe_default_protocol_versions().unwrap();
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    config
}

#[tokio::test]
async fn reqwest() {
    let recording = recording();
    let replay = proxy(&recording);
    let client = reqwest::Client::builder()
        .proxy(reqwest::Proxy::all(replay.url()).unwrap())
        .tls_backend_preconfigured(trusting(replay.ca_pem(), &["h2", "http/1.1"]))
        .build()
        .unwrap();
    for (url, expected) in EXPECTED {
        let answer = client.get(url).send().await.unwrap();
        let version = if url.starts_with("https") && cfg!(feature = "http2") {
            reqwest::Version::HTTP_2
        } else {
            reqwest::Version::HTTP_11
        };
        assert_eq!((answer.status().as_u16(), answer.version()), (200, version));
        assert_eq!(answer.text().await.unwrap(), expected);
    }
    all_was_asked(&replay);
}

#[cfg(not(feature = "http2"))]
#[tokio::test]
async fn who_offers_http2_alone_is_refused() {
    let recording = recording();
    let served = crate::served::harness::Served::start(recording.path()).await;
    let client = reqwest::Client::builder()
        .proxy(reqwest::Proxy::all(format!("http://{}", served.address)).unwrap())
        .tls_backend_preconfigured(trusting(&served.ca_pem, &["h2"]))
        .build()
        .unwrap();
    client.get(SECURE).send().await.unwrap_err();
    assert_eq!(served.replay.refused_dials(), 1, "it stayed closed, and led nowhere");
}

/// ureq behind a proxy, which trusts the certificates in this text.
pub(crate) fn ureq_agent(proxy: &str, trusted: &str) -> ureq::Agent {
    use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};
    let trusted = CertificateDer::pem_slice_iter(trusted.as_bytes());
    let trusted = trusted.map(|one| Certificate::from_der(&one.unwrap()).to_owned());
    let tls = TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .root_certs(RootCerts::from(trusted))
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .build();
    let config = ureq::config::Config::builder()
        .proxy(Some(ureq::Proxy::new(proxy).unwrap()))
        .tls_config(tls);
    config.build().into()
}

#[test]
fn ureq_that_blocks() {
    let recording = recording();
    let replay = proxy(&recording);
    let client = ureq_agent(&replay.url(), replay.ca_pem());
    for (url, expected) in EXPECTED {
        let text = client.get(url).call().unwrap().body_mut().read_to_string().unwrap();
        assert_eq!(text, expected);
    }
    all_was_asked(&replay);
}

#[tokio::test]
async fn hyper_with_the_form_that_proxies_take() {
    let replay = TestProxy::serve(fixture("switch"));
    let stream = tokio::net::TcpStream::connect(replay.address()).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    let running = tokio::spawn(connection);
    let url = "http://ctest.cdn.nintendo.net/";
    let request = hyper::Request::get(url).header("Host", "ctest.cdn.nintendo.net");
    let answer = sender.send_request(request.body(Empty::<Bytes>::new()).unwrap()).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["x-organization"], "Nintendo");
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "ok");
    drop(sender);
    running.await.unwrap().unwrap();
    replay.asked("~d ctest.cdn.nintendo.net").once();
}

/// curl, which is told of the proxy and the CA as on a command line.
fn curl(replay: &TestProxy, args: &[&str]) -> Option<(i32, String)> {
    let output = Command::new("curl")
        .args(["-q", "--silent", "--show-error", "--noproxy", "", "--max-time", "20", "--proxy"])
        .arg(replay.url())
        .arg("--cacert")
        .arg(replay.ca_file())
        .args(args)
        .stdin(Stdio::null())
        .output();
    match output {
        Err(_) => {
            eprintln!("NOT TESTED: there is no curl on this machine");
            None
        }
        Ok(output) => {
            let text = [output.stdout, output.stderr].concat();
            Some((output.status.code().unwrap(), String::from_utf8(text).unwrap()))
        }
    }
}

/// Even where the test holds up the only thread of its runtime meanwhile.
#[tokio::test]
async fn curl_as_a_child_process() {
    let recording = recording();
    let replay = proxy(&recording);
    for (url, expected) in EXPECTED {
        let Some(got) = curl(&replay, &[url]) else { return };
        assert_eq!(got, (0, expected.to_owned()));
    }
    all_was_asked(&replay);
}

#[test]
fn who_does_not_trust_the_ca_is_told_of() {
    let recording = recording();
    let replay = proxy(&recording);
    let other = TestProxy::serve(recording.path());
    let other_ca = other.ca_file().to_str().unwrap();
    let Some((code, _)) = curl(&replay, &["--cacert", other_ca, SECURE]) else { return };
    assert_eq!(code, 60, "curl: the certificate cannot be verified");
    let begun = Instant::now();
    let told = loop {
        let asked = std::panic::AssertUnwindSafe(|| drop(replay.asked("~d store.test").once()));
        match std::panic::catch_unwind(asked) {
            Err(told) => break *told.downcast::<String>().unwrap(),
            // curl may be gone before the proxy knows why, and the tunnel counts until then.
            Ok(()) => assert!(begun.elapsed() < LIMIT),
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    assert!(told.contains("TLS failed; does the client trust the CA of `ca_pem()`?"), "{told}");
    assert!(told.contains("store.test:443: "), "{told}");
    assert!(replay.unanswered().is_empty(), "nothing was asked");
}
