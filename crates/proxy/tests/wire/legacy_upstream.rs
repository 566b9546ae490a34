//! Servers that speak TLS 1.0, 1.1, or 1.2 with the suites of long ago, through a real proxy: for
//! hosts that were named for it, and believed as every other server is.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use consoletap_flow::{State, version_name};
use consoletap_simulator::{LegacyServer, LegacyVersion};
use consoletap_tls::TrustSettings;
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use rustls::KeyLog;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::tls_peers::before;
use super::upstream_tls::{Service, ask};

/// An old server; it counts the requests that it is asked.
struct Origin {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
}

/// A certificate for `h.test` with an RSA key, which all of these suites want.
fn rsa(service: &Service) -> (String, String) {
    let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
    let params = CertificateParams::new(["h.test".to_owned()]).unwrap();
    (service.sign(params, &key).pem(), key.serialize_pem())
}

async fn serve(server: LegacyServer) -> Origin {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, asked) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&asked);
    tokio::spawn(async move {
        loop {
            let (tcp, _) = listener.accept().await.unwrap();
            let (server, count) = (server.clone(), Arc::clone(&count));
            tokio::spawn(async move {
                let Ok(mut tls) = server.accept(tcp).await else { return };
                let mut read = Vec::new();
                while tls.read_buf(&mut read).await.unwrap_or(0) > 0 {
                    if read.ends_with(b"\r\n\r\n") {
                        count.fetch_add(1, Ordering::Relaxed);
                        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
                        tls.write_all(answer).await.unwrap();
                        read.clear();
                    }
                }
            });
        }
    });
    Origin { address, asked }
}

fn allowing(service: &Service) -> TrustSettings {
    TrustSettings {
        extra_roots: vec![service.root().into()],
        legacy: vec!["h.*".parse().unwrap()],
        ..TrustSettings::default()
    }
}

#[tokio::test]
async fn old_servers_are_spoken_to_where_they_are_named() {
    let service = Service::new();
    let (certificate, key) = rsa(&service);
    for (version, number, suite, name) in [
        (LegacyVersion::Tls10, 0x0301, "AES128-SHA", "RSA_WITH_AES_128_CBC_SHA"),
        (LegacyVersion::Tls10, 0x0301, "DES-CBC3-SHA", "RSA_WITH_3DES_EDE_CBC_SHA"),
        (LegacyVersion::Tls10, 0x0301, "RC4-SHA", "RSA_WITH_RC4_128_SHA"),
        (LegacyVersion::Tls11, 0x0302, "AES256-SHA", "RSA_WITH_AES_256_CBC_SHA"),
        (LegacyVersion::Tls12, 0x0303, "AES256-SHA256", "RSA_WITH_AES_256_CBC_SHA256"),
    ] {
        let server = LegacyServer::new(version, suite, &certificate, &key, None).unwrap();
        let origin = serve(server).await;
        let proxy = before(origin.address, |wanted| wanted.trust = allowing(&service)).await;
        let (status, answer, flows) = ask(proxy).await;
        assert_eq!((status, origin.asked.load(Ordering::Relaxed)), (200, 1), "{suite}: {answer}");
        let chosen = flows[1].server_hello.as_ref().unwrap();
        assert_eq!(chosen.version, number);
        let shown = flows[1].certificate.as_ref().unwrap();
        assert_eq!((&shown.names[..], &*shown.key), (&["h.test".to_owned()][..], "RSA 2048"));
        let version = version_name(number).unwrap();
        let note = format!(
            "the server was spoken to with {version} and {name}, which protects nothing any more"
        );
        assert_eq!(flows[1].notes, [note]);
        // The client got TLS of today.
        assert_eq!(flows[0].server_hello.as_ref().unwrap().version, 0x0304);
    }
}

/// Remembers secrets.
#[derive(Debug, Default)]
struct Secrets(Mutex<Vec<(String, usize, usize)>>);

impl KeyLog for Secrets {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        let logged = (label.to_owned(), client_random.len(), secret.len());
        self.0.lock().unwrap().push(logged);
    }
}

#[tokio::test]
async fn the_secrets_of_old_connections_are_logged_too() {
    let service = Service::new();
    let (certificate, key) = rsa(&service);
    let server =
        LegacyServer::new(LegacyVersion::Tls10, "AES128-SHA", &certificate, &key, None).unwrap();
    let origin = serve(server).await;
    let secrets = Arc::new(Secrets::default());
    let key_log = Arc::clone(&secrets);
    let proxy = before(origin.address, |wanted| {
        wanted.trust = TrustSettings { key_log: Some(key_log), ..allowing(&service) };
    })
    .await;
    let (status, answer, _) = ask(proxy).await;
    assert_eq!(status, 200, "{answer}");
    // Of RSA key exchange there is a line of an older kind, too: eight octets of what was encrypted.
    let wanted = [("RSA".to_owned(), 8, 48), ("CLIENT_RANDOM".to_owned(), 32, 48)];
    assert_eq!(*secrets.0.lock().unwrap(), wanted);
}

#[tokio::test]
async fn a_server_that_is_not_named_is_not_spoken_to() {
    let service = Service::new();
    let (certificate, key) = rsa(&service);
    for (version, suite) in
        [(LegacyVersion::Tls10, "AES128-SHA"), (LegacyVersion::Tls12, "AES128-SHA256")]
    {
        let server = LegacyServer::new(version, suite, &certificate, &key, None).unwrap();
        let origin = serve(server).await;
        let proxy = before(origin.address, |wanted| {
            wanted.trust = allowing(&service);
            wanted.trust.legacy = vec!["other.test".parse().unwrap()];
        })
        .await;
        let (status, answer, flows) = ask(proxy).await;
        assert_eq!((status, origin.asked.load(Ordering::Relaxed)), (502, 0), "{answer}");
        assert!(answer.contains("--legacy-upstream"), "{answer}");
        assert_eq!(flows[1].state(), State::UpstreamError);
    }
}

#[tokio::test]
async fn an_old_server_is_believed_no_sooner_than_others() {
    let service = Service::new();
    let (certificate, key) = rsa(&service);
    for (trust, host, status, says) in [
        (
            TrustSettings { extra_roots: Vec::new(), ..allowing(&service) },
            "h.test",
            502,
            "does not know",
        ),
        (
            TrustSettings {
                extra_roots: Vec::new(),
                insecure: vec!["h.test".parse().unwrap()],
                ..allowing(&service)
            },
            "h.test",
            200,
            "ok",
        ),
    ] {
        let server =
            LegacyServer::new(LegacyVersion::Tls10, "AES128-SHA", &certificate, &key, None)
                .unwrap();
        let origin = serve(server).await;
        let proxy = before(origin.address, |wanted| wanted.trust = trust).await;
        let (got, answer, _) = ask(proxy).await;
        assert_eq!(got, status, "{host}: {answer}");
        assert!(answer.contains(says), "{answer}");
        assert_eq!(origin.asked.load(Ordering::Relaxed), usize::from(status == 200));
    }
}

#[tokio::test]
async fn an_old_server_gets_the_client_certificate_that_was_named() {
    let service = Service::new();
    let (certificate, key) = rsa(&service);
    let root = std::fs::read_to_string(service.root()).unwrap();
    let named = format!("h.test={}", service.client_pem().display());
    for (shows, status) in [(true, 200), (false, 502)] {
        let suite = "ECDHE-RSA-AES128-SHA";
        let server =
            LegacyServer::new(LegacyVersion::Tls11, suite, &certificate, &key, Some(&root))
                .unwrap();
        let origin = serve(server).await;
        let proxy = before(origin.address, |wanted| {
            wanted.trust = allowing(&service);
            if shows {
                wanted.trust.client_certificates = vec![named.parse().unwrap()];
            }
        })
        .await;
        let (got, answer, _) = ask(proxy).await;
        assert_eq!(got, status, "{answer}");
    }
}
