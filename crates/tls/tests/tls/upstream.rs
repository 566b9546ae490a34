use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use consoletap_flow::Host;
use consoletap_tls::{Alpn, TlsError, Trust, TrustSettings, explain, server_name, warm_up};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, date_time_ymd,
};
use rustls::{HandshakeKind, ServerConfig};
use rustls_pki_types::PrivatePkcs8KeyDer;

use crate::handshakes::handshake;

/// Somebody's own authority, and its root in a file.
struct Service {
    _folder: tempfile::TempDir,
    root: PathBuf,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Service {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root.pem");
        fs::write(&root, format!("# of the service\n{}", issuer.pem())).unwrap();
        Self { _folder: folder, root, issuer }
    }

    fn server(&self, name: &str, until: i32) -> Arc<ServerConfig> {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.not_after = date_time_ymd(until, 1, 1);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let leaf = params.signed_by(&key, &self.issuer).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![leaf.into()],
                PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
            )
            .unwrap();
        Arc::new(config)
    }

    fn trust(&self, insecure: &str) -> Trust {
        let insecure = if insecure.is_empty() { vec![] } else { vec![insecure.parse().unwrap()] };
        Trust::new(&TrustSettings {
            extra_roots: vec![self.root.clone().into()],
            insecure,
            ..TrustSettings::default()
        })
        .unwrap()
    }
}

async fn connect(
    trust: &Trust,
    host: &str,
    server: &Arc<ServerConfig>,
) -> io::Result<HandshakeKind> {
    let host: Host = host.parse().unwrap();
    let config = trust.client_config(&host, Alpn::Http1);
    let (_, connected) = handshake(Arc::clone(server), config, server_name(&host).unwrap()).await;
    Ok(connected?.get_ref().1.handshake_kind().unwrap())
}

#[tokio::test]
async fn an_extra_root_is_believed_and_sessions_resume() {
    let service = Service::new("service");
    let trust = service.trust("");
    let server = service.server("gs-sec.example", 2060);
    assert_eq!(connect(&trust, "gs-sec.example", &server).await.unwrap(), HandshakeKind::Full);
    assert_eq!(connect(&trust, "gs-sec.example", &server).await.unwrap(), HandshakeKind::Resumed);
    let address = service.server("10.1.2.3", 2060);
    connect(&trust, "10.1.2.3", &address).await.unwrap();
}

/// A server that shows an authority's own certificate, as `openssl req -x509` makes them.
fn self_signed(name: &str, until: i32) -> (String, Arc<ServerConfig>) {
    let mut params = CertificateParams::new([name.to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.not_after = date_time_ymd(until, 1, 1);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        )
        .unwrap();
    (certificate.pem(), Arc::new(config))
}

#[tokio::test]
async fn a_self_signed_server_is_believed_where_it_was_named_and_for_its_name_and_time_alone() {
    let folder = tempfile::tempdir().unwrap();
    let trust = |pem: &str| {
        let path = folder.path().join("root.pem");
        fs::write(&path, pem).unwrap();
        Trust::new(&TrustSettings { extra_roots: vec![path.into()], ..TrustSettings::default() })
            .unwrap()
    };
    let (pem, server) = self_signed("a.example", 2060);
    connect(&trust(&pem), "a.example", &server).await.unwrap();
    connect(&trust(&pem), "b.example", &server).await.unwrap_err();
    let (other, _) = self_signed("a.example", 2060);
    let error = connect(&trust(&other), "a.example", &server).await.unwrap_err();
    assert!(explain(&error).contains("it is self-signed"), "{}", explain(&error));
    let (old, expired) = self_signed("a.example", 2020);
    connect(&trust(&old), "a.example", &expired).await.unwrap_err();
}

#[tokio::test]
async fn what_is_wrong_with_a_server_is_told_in_plain_words() {
    let service = Service::new("service");
    let trust = service.trust("");
    let stranger = Service::new("stranger");
    for (server, says) in [
        (service.server("a.example", 2020), "it has expired"),
        (service.server("b.example", 2060), "it is for another name"),
        (stranger.server("a.example", 2060), "does not know; --upstream-ca FILE adds one"),
    ] {
        let error = connect(&trust, "a.example", &server).await.unwrap_err();
        let told = explain(&error);
        assert!(
            told.starts_with("the server's certificate is not valid") && told.contains(says),
            "{told}"
        );
    }
}

#[tokio::test]
async fn an_insecure_host_needs_no_valid_certificate_and_others_do() {
    let service = Service::new("service");
    let trust = service.trust("*.insecure.example");
    assert!(trust.is_insecure(&"a.insecure.example".parse().unwrap()));
    assert!(!trust.is_insecure(&"insecure.example".parse().unwrap()));
    let bad = Service::new("stranger").server("other.example", 2020);
    connect(&trust, "a.insecure.example", &bad).await.unwrap();
    connect(&trust, "a.secure.example", &bad).await.unwrap_err();
}

#[tokio::test]
async fn a_server_that_speaks_no_tls_or_hangs_up_is_told() {
    use tokio::io::AsyncWriteExt as _;
    let trust = Trust::new(&TrustSettings::default()).unwrap();
    let host: Host = "a.example".parse().unwrap();
    for (answer, says) in [(&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], "not TLS"), (b"", "closed")] {
        let (near, mut far) = tokio::io::duplex(64 * 1024);
        far.write_all(answer).await.unwrap();
        far.shutdown().await.unwrap();
        let config = trust.client_config(&host, Alpn::Http2AndHttp1);
        let connector = tokio_rustls::TlsConnector::from(config);
        let error = connector.connect(server_name(&host).unwrap(), near).await.unwrap_err();
        assert!(explain(&error).contains(says), "{}", explain(&error));
    }
}

#[test]
fn files_with_roots_that_cannot_be_used_are_named_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("roots.pem");
    let new = || {
        Trust::new(&TrustSettings {
            extra_roots: vec![path.clone().into()],
            ..TrustSettings::default()
        })
    };
    let refused = || new().err().expect("it must be refused");
    assert!(matches!(refused(), TlsError::ReadRoots { .. }));
    for text in [
        "",
        "just text",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\n&&&&\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\nAAAA\n",
    ] {
        fs::write(&path, text).unwrap();
        let error = refused().to_string();
        assert!(error.contains(path.to_str().unwrap()), "{error}");
    }
}

#[test]
fn a_configuration_is_ready_and_says_which_protocols() {
    warm_up();
    let trust = Trust::new(&TrustSettings::default()).unwrap();
    trust.prepare();
    let host: Host = "a.example".parse().unwrap();
    let one = trust.client_config(&host, Alpn::Http1);
    assert!(Arc::ptr_eq(&one, &trust.client_config(&host, Alpn::Http1)));
    assert_eq!(one.alpn_protocols, [b"http/1.1"]);
    assert_eq!(trust.client_config(&host, Alpn::Http2AndHttp1).alpn_protocols.len(), 2);
}

#[test]
fn a_name_that_no_certificate_can_carry_is_told() {
    assert!(server_name(&"a..b".parse().unwrap()).is_err());
    assert!(server_name(&"under_score.example".parse().unwrap()).is_ok());
}
