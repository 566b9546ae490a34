use std::io;
use std::sync::Arc;

use consoletap_flow::Host;
use consoletap_tls::{Alpn, Authority, Interceptor, LeafKey, Refusal, refusal, server_name};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, HandshakeKind, RootCertStore, ServerConfig, SupportedProtocolVersion};
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

/// What one side of a handshake came to.
type Outcome<T> = io::Result<T>;

/// A handshake over a pipe, and one octet from the server, behind which the tickets come.
pub(crate) async fn handshake(
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
    name: ServerName<'static>,
) -> (
    Outcome<server::TlsStream<tokio::io::DuplexStream>>,
    Outcome<client::TlsStream<tokio::io::DuplexStream>>,
) {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let serve = async {
        let mut stream = TlsAcceptor::from(server).accept(near).await?;
        stream.write_all(b"x").await?;
        stream.flush().await?;
        Ok(stream)
    };
    let connect = async {
        let mut stream = TlsConnector::from(client).connect(name, far).await?;
        stream.read_u8().await?;
        Ok(stream)
    };
    tokio::join!(serve, connect)
}

pub(crate) fn interceptor() -> Interceptor {
    let folder = tempfile::tempdir().unwrap();
    Interceptor::new(Authority::load_or_create(folder.path()).unwrap()).unwrap()
}

/// A console that has our CA installed, or another one.
fn console(
    trusts: CertificateDer<'static>,
    versions: &[&'static SupportedProtocolVersion],
    only_rsa: bool,
) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(trusts).unwrap();
    let mut provider = rustls::crypto::aws_lc_rs::default_provider();
    if only_rsa {
        provider.cipher_suites.retain(|suite| !format!("{:?}", suite.suite()).contains("ECDSA"));
    }
    let config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}

#[tokio::test]
async fn a_console_with_our_ca_is_served_with_either_key_and_version() {
    let interceptor = interceptor();
    for host in ["store.playstation.com", "10.1.2.3", "[fd00::7]", "under_score.example"] {
        let host: Host = host.parse().unwrap();
        for (key, versions, only_rsa) in [
            (LeafKey::Ecdsa, &[&TLS13][..], false),
            (LeafKey::Ecdsa, &[&TLS12], false),
            (LeafKey::Rsa, &[&TLS13], true),
            (LeafKey::Rsa, &[&TLS12], true),
        ] {
            let config = interceptor.server_config(&host, key, Alpn::Http1).unwrap();
            let client = console(interceptor.authority().certificate_der(), versions, only_rsa);
            let (served, connected) = handshake(config, client, server_name(&host).unwrap()).await;
            served.unwrap();
            connected.unwrap_or_else(|error| panic!("{host} {key:?} {versions:?}: {error}"));
        }
    }
}

#[tokio::test]
async fn a_console_resumes_its_session() {
    let interceptor = interceptor();
    for version in [&TLS12, &TLS13] {
        let host: Host = "store.playstation.com".parse().unwrap();
        let client = console(interceptor.authority().certificate_der(), &[version], false);
        for kind in [HandshakeKind::Full, HandshakeKind::Resumed] {
            let config = interceptor.server_config(&host, LeafKey::Ecdsa, Alpn::Http1).unwrap();
            let name = server_name(&host).unwrap();
            let (served, connected) = handshake(config, Arc::clone(&client), name).await;
            assert_eq!(served.unwrap().get_ref().1.handshake_kind(), Some(kind), "{version:?}");
            drop(connected);
        }
    }
}

#[tokio::test]
async fn both_sides_agree_on_a_protocol() {
    let interceptor = interceptor();
    let host: Host = "store.playstation.com".parse().unwrap();
    for (alpn, agreed) in [(Alpn::Http1, &b"http/1.1"[..]), (Alpn::Http2AndHttp1, b"h2")] {
        let config = interceptor.server_config(&host, LeafKey::Ecdsa, alpn).unwrap();
        let mut client =
            (*console(interceptor.authority().certificate_der(), &[&TLS13], false)).clone();
        client.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let name = server_name(&host).unwrap();
        let (served, _) = handshake(config, Arc::new(client), name).await;
        assert_eq!(served.unwrap().get_ref().1.alpn_protocol(), Some(agreed));
    }
}

/// How the handshake ends with a console that has only this CA.
async fn refused_by(ca: CertificateDer<'static>) -> [Option<Refusal>; 2] {
    let ours = interceptor();
    let host: Host = "store.playstation.com".parse().unwrap();
    let mut refusals = [None, None];
    for (version, seen) in [&TLS12, &TLS13].into_iter().zip(&mut refusals) {
        let config = ours.server_config(&host, LeafKey::Ecdsa, Alpn::Http1).unwrap();
        let client = console(ca.clone(), &[version], false);
        let (served, _) = handshake(config, client, server_name(&host).unwrap()).await;
        *seen = refusal(&served.unwrap_err());
    }
    refusals
}

#[tokio::test]
async fn a_console_that_does_not_know_our_ca_is_understood_at_once() {
    let mut params = rcgen::CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let maker = params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
    let reason = "the console rejected our certificate (unknown_ca)".to_owned();
    for refusal in refused_by(maker.into()).await {
        assert_eq!(refusal, Some(Refusal::Certain(reason.clone())));
    }
}

/// The user made a new CA on the same day, and the console still has the old one.
#[tokio::test]
async fn a_console_with_an_older_ca_of_ours_is_understood() {
    for refusal in refused_by(interceptor().authority().certificate_der()).await {
        assert!(matches!(refusal, Some(Refusal::Likely(_))), "{refusal:?}");
    }
}

#[tokio::test]
async fn another_name_or_a_console_that_hangs_up_is_only_likely_a_refusal() {
    let interceptor = interceptor();
    let host: Host = "store.playstation.com".parse().unwrap();
    let config = interceptor.server_config(&host, LeafKey::Ecdsa, Alpn::Http1).unwrap();
    let client = console(interceptor.authority().certificate_der(), &[&TLS13], false);
    let other = "other.example".try_into().unwrap();
    let (served, _) = handshake(Arc::clone(&config), client, other).await;
    let refused = refusal(&served.unwrap_err());
    assert!(
        matches!(&refused, Some(Refusal::Likely(why)) if why.contains("bad_certificate") || why.contains("certificate_unknown")),
        "{refused:?}"
    );

    let (near, mut far) = tokio::io::duplex(64 * 1024);
    let hang_up = async move {
        far.write_all(&crate::hellos::of_rustls(&[&TLS13])).await.unwrap();
        far.read_u8().await.unwrap();
    };
    let (served, ()) = tokio::join!(TlsAcceptor::from(config).accept(near), hang_up);
    let refused = refusal(&served.unwrap_err());
    assert!(matches!(refused, Some(Refusal::Likely(_))), "{refused:?}");
}

#[test]
fn a_trouble_of_our_own_is_no_refusal() {
    assert_eq!(refusal(&io::ErrorKind::TimedOut.into()), None);
    assert_eq!(refusal(&io::Error::other("disk")), None);
    let error = rustls::Error::AlertReceived(rustls::AlertDescription::ProtocolVersion);
    assert_eq!(refusal(&io::Error::other(error)), None);
}
