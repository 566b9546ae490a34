//! Clients that do not want our certificate, in every way that clients have to say so, and what is
//! learned from each.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use ::aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use consoletap_flow::{Flow, Kind, TlsAction};
use consoletap_proxy::TlsPolicy;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, ConnectionTrafficSecrets, DigitallySignedStruct, Error,
    SignatureScheme, SupportedProtocolVersion,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::harness::{LIMIT, Tested};
use super::tls_peers::{ClientTls, TlsOrigin, offering, tls};

/// Answers nothing, and waits for the end.
async fn server() -> TlsOrigin {
    TlsOrigin::start("h.test", &["http/1.1"], |mut tls| async move {
        let _ = tls.read_to_end(&mut Vec::new()).await;
    })
    .await
}

/// Refuses every certificate, for this reason.
struct Refuses(CertificateError);

impl fmt::Debug for Refuses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Refuses")
    }
}

impl ServerCertVerifier for Refuses {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Err(Error::InvalidCertificate(self.0.clone()))
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        aws_lc_rs::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

fn refusing(why: CertificateError, version: &'static SupportedProtocolVersion) -> ClientConfig {
    ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Refuses(why)))
        .with_no_client_auth()
}

async fn handshake(proxy: &Tested, config: ClientConfig) -> io::Result<ClientTls> {
    tls(proxy, "h.test:443", "h.test", config).await
}

fn cause(flow: &Flow) -> &str {
    flow.finished.as_ref().unwrap().failure.as_ref().map_or("", |failure| &failure.cause)
}

#[tokio::test]
async fn an_alert_is_a_refusal_at_once_or_when_it_comes_again() {
    let origin = server().await;
    let other = || CertificateError::Other(rustls::OtherError(Arc::new(fmt::Error)));
    for (why, alert, certain) in [
        (CertificateError::UnknownIssuer, "unknown_ca", true),
        (CertificateError::BadEncoding, "bad_certificate", false),
        (other(), "certificate_unknown", false),
        (CertificateError::Expired, "certificate_expired", false),
    ] {
        for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
            let proxy = origin.proxy().await;
            let times = if certain { 1 } else { 2 };
            for number in 1..=times {
                assert!(handshake(&proxy, refusing(why.clone(), version)).await.is_err());
                proxy.finished(number).await;
            }
            // The next one meets the server itself, and refuses that just as well.
            assert!(handshake(&proxy, refusing(why.clone(), version)).await.is_err());
            proxy.finished(times + 1).await;
            let flows = proxy.flows().await;
            let (last, refused) = flows.split_last().unwrap();
            for (number, flow) in refused.iter().enumerate() {
                assert_eq!(flow.kind, Kind::TlsFailure, "{alert}");
                assert!(cause(flow).contains(alert), "{alert}: {}", cause(flow));
                let learned = cause(flow).contains("tunnelled for this client from now on");
                assert_eq!(learned, number + 1 == times, "{alert}: {}", cause(flow));
            }
            assert!(cause(&refused[times - 1]).contains("tls learned --clear h.test"));
            assert_eq!((last.kind, last.intercepted), (Kind::Tunnel, false), "{alert}");
            let verdict = last.policy.as_ref().unwrap();
            assert_eq!(verdict.action, TlsAction::Tunnel);
            assert!(verdict.because.contains(alert), "{}", verdict.because);
            if version.version == rustls::ProtocolVersion::TLSv1_2 {
                let note = last.notes.join("; ");
                assert!(note.contains("the console ended the handshake"), "{alert}: {note}");
            }
        }
    }
}

/// A client that checks the certificate when TLS stands, and goes. The third time it meets the
/// server of these tests, which it does not know.
async fn goes(proxy: &Tested, number: usize, how: impl AsyncFn(ClientTls)) {
    match handshake(proxy, offering(proxy, &["http/1.1"])).await {
        Ok(tls) => how(tls).await,
        Err(_) => assert_eq!(number, 3),
    }
}

#[tokio::test]
async fn who_hangs_up_when_tls_stands_is_left_alone_the_second_time() {
    let origin = server().await;
    let close_notify = async |mut tls: ClientTls| tls.shutdown().await.unwrap();
    let fin = async |tls: ClientTls| drop(tls.into_inner().0);
    let reset = async |tls: ClientTls| {
        let tcp = tls.into_inner().0;
        socket2::SockRef::from(&tcp).set_linger(Some(Duration::ZERO)).unwrap();
    };
    for way in 0..3 {
        let proxy = origin.proxy().await;
        for number in 1..=3 {
            match way {
                0 => goes(&proxy, number, close_notify).await,
                1 => goes(&proxy, number, fin).await,
                _ => goes(&proxy, number, reset).await,
            }
            proxy.finished(number).await;
        }
        let flows = proxy.flows().await;
        let kinds: Vec<Kind> = flows.iter().map(|flow| flow.kind).collect();
        assert_eq!(kinds, [Kind::TlsFailure, Kind::TlsFailure, Kind::Tunnel], "{way}");
        assert!(cause(&flows[0]).contains("hung up"), "{way}: {}", cause(&flows[0]));
        assert!(cause(&flows[1]).contains("from now on"), "{way}: {}", cause(&flows[1]));
    }
}

/// TLS 1.3: the client has sent its Finished, so that for the server all is well.
#[tokio::test]
async fn an_alert_behind_finished_is_a_refusal() {
    let origin = server().await;
    let proxy = origin.proxy().await;
    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites = vec![aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256];
    let tls = handshake(&proxy, only(&proxy, provider)).await.unwrap();
    let (mut tcp, connection) = tls.into_inner();
    let (sequence, secrets) = connection.dangerous_extract_secrets().unwrap().tx;
    let ConnectionTrafficSecrets::Aes128Gcm { key, iv } = secrets else { panic!("AES-128") };
    tcp.write_all(&alert(48, key.as_ref(), iv.as_ref(), sequence)).await.unwrap();
    proxy.finished(1).await;
    let flow = proxy.flow().await;
    assert_eq!(flow.kind, Kind::TlsFailure);
    assert!(cause(&flow).contains("unknown_ca"), "{}", cause(&flow));
    assert!(cause(&flow).contains("from now on"), "{}", cause(&flow));
}

/// Believes the proxy, speaks with this provider alone, and gives its secrets out.
fn only(proxy: &Tested, provider: rustls::crypto::CryptoProvider) -> ClientConfig {
    let mut roots = rustls::RootCertStore::empty();
    let ca = rustls::pki_types::pem::PemObject::from_pem_slice(proxy.ca_pem.as_bytes());
    roots.add(ca.unwrap()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.enable_secret_extraction = true;
    config
}

/// A record of TLS 1.3 with a fatal alert in it (RFC 8446 sections 5.2 and 5.3).
fn alert(number: u8, key: &[u8], iv: &[u8], sequence: u64) -> Vec<u8> {
    let mut nonce: [u8; 12] = iv.try_into().unwrap();
    for (octet, counted) in nonce[4..].iter_mut().zip(sequence.to_be_bytes()) {
        *octet ^= counted;
    }
    let head = [23, 3, 3, 0, 3 + 16];
    let mut inner = vec![2, number, 21];
    let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, key).unwrap());
    let nonce = Nonce::assume_unique_for_key(nonce);
    key.seal_in_place_append_tag(nonce, Aad::from(head), &mut inner).unwrap();
    [&head[..], &inner].concat()
}

#[tokio::test]
async fn a_request_in_between_shows_that_all_is_well() {
    let origin = TlsOrigin::start("h.test", &["http/1.1"], |mut tls| async move {
        let mut read = Vec::new();
        while tls.read_buf(&mut read).await.unwrap_or(0) > 0 {
            if read.ends_with(b"\r\n\r\n") {
                read.clear();
                tls.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
            }
        }
    })
    .await;
    let proxy = origin.proxy().await;
    let ask = async |mut tls: ClientTls| {
        tls.write_all(b"GET / HTTP/1.1\r\nHost: h.test\r\n\r\n").await.unwrap();
        let mut answer = [0; 12];
        tokio::time::timeout(LIMIT, tls.read_exact(&mut answer)).await.unwrap().unwrap();
        assert_eq!(&answer, b"HTTP/1.1 204");
    };
    let leave = async |mut tls: ClientTls| tls.shutdown().await.unwrap();
    for _ in 0..2 {
        goes(&proxy, 1, leave).await;
        proxy.finished(1).await;
        goes(&proxy, 2, ask).await;
    }
    tokio::time::timeout(LIMIT, proxy.all_finished()).await.unwrap();
    let flows = proxy.flows().await;
    assert!(flows.iter().all(|flow| flow.kind == Kind::Http || flow.intercepted), "{flows:#?}");
}

/// A client whose network is gone: no FIN, no RST, no acknowledgement. Its kernel is made to throw
/// away all that comes once the tunnel stands.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_client_out_of_reach_is_no_refusal() {
    let origin = server().await;
    let proxy = origin
        .proxy_with(|wanted| wanted.settings.deadlines.handshake = Duration::from_secs(2))
        .await;
    let mut clients = Vec::new();
    for number in 1..=2 {
        let mut client = proxy.connect().await;
        client.send("CONNECT h.test:443 HTTP/1.1\r\nHost: h.test:443\r\n\r\n").await;
        client.until("\r\n\r\n").await;
        // BPF_RET with nothing to keep.
        let nothing = [socket2::SockFilter::new(6, 0, 0, 0)];
        socket2::SockRef::from(&client.tcp).attach_filter(&nothing).unwrap();
        client.send(hello(&proxy)).await;
        proxy.finished(number).await;
        clients.push(client);
    }
    for flow in proxy.flows().await {
        assert_eq!(
            (flow.kind, flow.policy.unwrap().action),
            (Kind::TlsFailure, TlsAction::Intercept)
        );
        let cause = flow.finished.unwrap().failure.unwrap().cause;
        assert!(cause.contains("out of reach"), "{cause}");
        assert!(!cause.contains("again") && !cause.contains("from now on"), "{cause}");
    }
}

/// The hello of a client of today.
fn hello(proxy: &Tested) -> Vec<u8> {
    let name = ServerName::try_from("h.test").unwrap();
    let config = Arc::new(offering(proxy, &["http/1.1"]));
    let mut hello = Vec::new();
    rustls::ClientConnection::new(config, name).unwrap().write_tls(&mut hello).unwrap();
    hello
}

#[tokio::test]
async fn silence_counts_as_a_refusal_when_it_comes_again() {
    let origin = server().await;
    let proxy = origin
        .proxy_with(|wanted| wanted.settings.deadlines.handshake = Duration::from_millis(60))
        .await;
    for number in 1..=2 {
        let mut client = proxy.connect().await;
        client.send("CONNECT h.test:443 HTTP/1.1\r\nHost: h.test:443\r\n\r\n").await;
        client.until("\r\n\r\n").await;
        client.send(hello(&proxy)).await;
        client.rest_octets().await;
        proxy.finished(number).await;
    }
    let flows = proxy.flows().await;
    assert!(cause(&flows[0]).contains("said nothing more"), "{}", cause(&flows[0]));
    assert!(cause(&flows[1]).contains("from now on"), "{}", cause(&flows[1]));
}

#[tokio::test]
async fn what_the_settings_say_is_done_and_shown() {
    let origin = server().await;
    let pick = |text: &str| vec![text.parse().unwrap()];
    let proxy = origin
        .proxy_with(|wanted| {
            wanted.settings.tls = TlsPolicy {
                intercept: pick("127.0.0.1@*.test"),
                tunnel: pick("left.test"),
                block: pick("not.test"),
                ..TlsPolicy::default()
            };
        })
        .await;
    let answer = proxy.say("CONNECT not.test:443 HTTP/1.1\r\nHost: not.test:443\r\n\r\n").await;
    assert!(
        answer.starts_with("HTTP/1.1 403 ") && answer.contains("--block-tls not.test"),
        "{answer}"
    );
    let mut believing = refusing(CertificateError::UnknownIssuer, &rustls::version::TLS13);
    believing.alpn_protocols.clear();
    assert!(tls(&proxy, "left.test:443", "left.test", believing.clone()).await.is_err());
    proxy.finished(2).await;
    assert!(tls(&proxy, "open.test:443", "open.test", believing).await.is_err());
    proxy.finished(3).await;
    let flows = proxy.flows().await;
    let verdicts: Vec<_> = flows
        .iter()
        .map(|flow| flow.policy.as_ref().map(|it| (it.action, it.because.as_str())))
        .collect();
    assert_eq!(
        verdicts,
        [
            Some((TlsAction::Block, "--block-tls not.test")),
            Some((TlsAction::Tunnel, "--tunnel left.test")),
            Some((TlsAction::Intercept, "--intercept 127.0.0.1@*.test")),
        ]
    );
}
