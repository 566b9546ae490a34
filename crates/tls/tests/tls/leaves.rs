use std::collections::HashSet;
use std::sync::Arc;

use consoletap_flow::Host;
use consoletap_tls::{Alpn, Authority, Interceptor, LeafKey};
use proptest::prelude::{ProptestConfig, prop_assert, proptest};
use rustls::version::{TLS12, TLS13};
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::handshakes::interceptor;
use crate::hellos::of_rustls;

/// The certificate that a server with this configuration shows (TLS 1.2 shows it in the clear).
fn shown(config: Arc<rustls::ServerConfig>) -> Vec<u8> {
    let mut server = rustls::ServerConnection::new(config).unwrap();
    server.read_tls(&mut &of_rustls(&[&TLS12])[..]).unwrap();
    server.process_new_packets().unwrap();
    let mut answer = Vec::new();
    server.write_tls(&mut answer).unwrap();
    // Records without their heads, then the message of type 11: two lengths of three octets, and
    // the first certificate with its own.
    let mut messages = Vec::new();
    while let [_, _, _, high, low, rest @ ..] = &answer[..] {
        let (record, later) = rest.split_at(usize::from(u16::from_be_bytes([*high, *low])));
        messages.extend(record);
        answer = later.to_vec();
    }
    let length = |at: usize| {
        u32::from_be_bytes([0, messages[at], messages[at + 1], messages[at + 2]]) as usize
    };
    let certificate = 4 + length(1);
    assert_eq!(messages[certificate], 11);
    let start = certificate + 7;
    messages[start + 3..start + 3 + length(start)].to_vec()
}

#[test]
fn a_leaf_has_what_clients_ask_for() {
    let interceptor = interceptor();
    let authority = interceptor.authority().certificate_der();
    let (_, authority) = X509Certificate::from_der(&authority).unwrap();
    let mut serials = HashSet::new();
    for host in ["a.example", "10.1.2.3", "[fd00::7]", "b.example"] {
        let host: Host = host.parse().unwrap();
        let config = interceptor.server_config(&host, LeafKey::Ecdsa, Alpn::Http1).unwrap();
        let der = shown(config);
        let (_, leaf) = X509Certificate::from_der(&der).unwrap();

        let serial = leaf.raw_serial();
        assert!(serial.len() >= 16 && serial.len() <= 20 && serial[0] < 0x80 && serial[0] != 0);
        assert!(serials.insert(serial.to_vec()), "a serial was given twice");

        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
        let now = i64::try_from(now).unwrap();
        let (before, after) = (leaf.validity().not_before, leaf.validity().not_after);
        assert!((now - before.timestamp() - 2 * 86_400).abs() < 60);
        assert_eq!(after.timestamp() - before.timestamp(), 197 * 86_400);

        let names = leaf.subject_alternative_name().unwrap().unwrap();
        match (&host, &names.value.general_names[..]) {
            (Host::Name(name), [GeneralName::DNSName(dns)]) => assert_eq!(*dns, &**name),
            (Host::V4(ip), [GeneralName::IPAddress(octets)]) => assert_eq!(*octets, ip.octets()),
            (Host::V6(ip), [GeneralName::IPAddress(octets)]) => assert_eq!(*octets, ip.octets()),
            other => panic!("{other:?}"),
        }
        let usage = leaf.extended_key_usage().unwrap().unwrap().value;
        assert!(usage.server_auth && !usage.client_auth && !usage.any);
        assert!(!leaf.is_ca());
        let usage = leaf.key_usage().unwrap().unwrap().value;
        assert!(usage.digital_signature() && !usage.key_encipherment());

        let identifier = |certificate: &X509Certificate<'_>, authority: bool| {
            certificate.extensions().iter().find_map(|one| match one.parsed_extension() {
                ParsedExtension::AuthorityKeyIdentifier(key) if authority => {
                    key.key_identifier.as_ref().map(|id| id.0.to_vec())
                }
                ParsedExtension::SubjectKeyIdentifier(id) if !authority => Some(id.0.to_vec()),
                _ => None,
            })
        };
        assert!(identifier(&leaf, true).is_some());
        assert_eq!(identifier(&leaf, true), identifier(&authority, false));
        assert_ne!(leaf.public_key().raw, authority.public_key().raw, "the CA's key is its own");
    }
}

#[test]
fn a_host_keeps_its_certificate_and_no_wildcard_is_signed() {
    let interceptor = interceptor();
    let host: Host = "store.playstation.com".parse().unwrap();
    let config = |host: &Host, key| interceptor.server_config(host, key, Alpn::Http1).unwrap();
    let first = config(&host, LeafKey::Ecdsa);
    assert!(Arc::ptr_eq(&first, &config(&host, LeafKey::Ecdsa)));
    assert!(!Arc::ptr_eq(&first, &config(&host, LeafKey::Rsa)));

    let der = shown(config(&"*.wild.example".parse().unwrap(), LeafKey::Ecdsa));
    assert!(!der.contains(&b'*') || !String::from_utf8_lossy(&der).contains("*.wild"));
}

/// RSA key exchange encrypts for the key, which old clients check.
#[test]
fn an_rsa_leaf_may_be_encrypted_for() {
    let host = "a.example".parse().unwrap();
    let der = shown(interceptor().server_config(&host, LeafKey::Rsa, Alpn::Http1).unwrap());
    let (_, leaf) = X509Certificate::from_der(&der).unwrap();
    let usage = leaf.key_usage().unwrap().unwrap().value;
    assert!(usage.digital_signature() && usage.key_encipherment());
}

/// Some clients check that a certificate's days are within its authority's.
#[test]
fn a_leaf_does_not_outlive_its_authority() {
    let folder = tempfile::tempdir().unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
    let now = rcgen::date_time_ymd(1970, 1, 1) + now;
    let hour = std::time::Duration::from_secs(3600);
    (params.not_before, params.not_after) = (now - hour, now + hour * 24);
    let names = (folder.path().join("ca"), folder.path().join("key"));
    std::fs::write(&names.0, params.self_signed(&key).unwrap().pem()).unwrap();
    std::fs::write(&names.1, key.serialize_pem()).unwrap();
    std::fs::set_permissions(&names.1, std::os::unix::fs::PermissionsExt::from_mode(0o600))
        .unwrap();
    let authority = Authority::load(names.0, names.1).unwrap();
    let interceptor = Interceptor::new(authority).unwrap();
    let host = "a.example".parse().unwrap();
    let der = shown(interceptor.server_config(&host, LeafKey::Ecdsa, Alpn::Http1).unwrap());
    let (_, leaf) = X509Certificate::from_der(&der).unwrap();
    let authority = interceptor.authority().certificate_der();
    let (_, authority) = X509Certificate::from_der(&authority).unwrap();
    assert_eq!(leaf.validity(), authority.validity());
}

#[test]
fn many_at_once_get_one_certificate() {
    let interceptor = interceptor();
    let host: Host = "store.playstation.com".parse().unwrap();
    let configs: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| interceptor.server_config(&host, LeafKey::Rsa, Alpn::Http1).unwrap())
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(configs.iter().all(|config| Arc::ptr_eq(config, &configs[0])));
}

#[test]
fn strange_names_get_a_certificate_too() {
    let interceptor = interceptor();
    let longest = "a".repeat(63);
    for name in [
        "under_score.example".to_owned(),
        format!("{longest}.example"),
        format!("{longest}.{longest}.{longest}.{}", "b".repeat(61)),
        "-dash.example".to_owned(),
        "*.wild.example".to_owned(),
        "a..b".to_owned(),
        "a'(b)!$&+,;=%~".to_owned(),
    ] {
        let host: Host = name.parse().unwrap();
        let config = interceptor.server_config(&host, LeafKey::Ecdsa, Alpn::Http1).unwrap();
        assert!(X509Certificate::from_der(&shown(config)).is_ok(), "{name}");
    }
    // What the console asks for need not be a name at all to be answered.
    let host = "dus01.example".parse().unwrap();
    let config = interceptor.server_config(&host, LeafKey::Ecdsa, Alpn::Http1).unwrap();
    let mut server = rustls::ServerConnection::new(config).unwrap();
    server.read_tls(&mut &of_rustls(&[&TLS13])[..]).unwrap();
    server.process_new_packets().unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn every_host_gets_a_certificate(text in "[!-~]{1,80}") {
        static INTERCEPTOR: std::sync::LazyLock<Interceptor> =
            std::sync::LazyLock::new(interceptor);
        if let Ok(host) = text.parse::<Host>() {
            let config = INTERCEPTOR.server_config(&host, LeafKey::Ecdsa, Alpn::Http1);
            prop_assert!(config.is_ok(), "{host}: {:?}", config.err());
        }
    }
}
