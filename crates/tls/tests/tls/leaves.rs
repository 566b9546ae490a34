use std::collections::HashSet;
use std::sync::Arc;

use consoletap_flow::Host;
use consoletap_tls::{Alpn, Authority, Interceptor, LeafKey, Peek, UpstreamNames, peek};
use proptest::prelude::{ProptestConfig, prop_assert, proptest};
use rustls::client::danger::ServerCertVerifier as _;
use rustls::version::{TLS12, TLS13};
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::handshakes::interceptor;
use crate::hellos::of_rustls;

/// The certificate that a server with this configuration shows.
fn shown(config: Arc<rustls::ServerConfig>) -> Vec<u8> {
    shown_chain(config).swap_remove(0)
}

/// The certificates that it shows, its own first (TLS 1.2 shows them in the clear).
fn shown_chain(config: Arc<rustls::ServerConfig>) -> Vec<Vec<u8>> {
    let mut server = rustls::ServerConnection::new(config).unwrap();
    server.read_tls(&mut &of_rustls(&[&TLS12])[..]).unwrap();
    server.process_new_packets().unwrap();
    let mut answer = Vec::new();
    server.write_tls(&mut answer).unwrap();
    // Records without their heads, then the message of type 11: two lengths of three octets, and
    // certificates with theirs.
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
    let (mut at, end) = (certificate + 7, certificate + 7 + length(certificate + 4));
    let mut chain = Vec::new();
    while at < end {
        chain.push(messages[at + 3..at + 3 + length(at)].to_vec());
        at += 3 + length(at);
    }
    chain
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
        let chain = shown_chain(config);
        assert_eq!(chain.len(), 2, "the root is known to whoever believes it");
        let (_, leaf) = X509Certificate::from_der(&chain[0]).unwrap();
        let (_, between) = X509Certificate::from_der(&chain[1]).unwrap();

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
        // The authority's word for the key of this run, and that key's for the leaf.
        for (signed, by) in [(&leaf, &between), (&between, &authority)] {
            assert!(identifier(signed, true).is_some());
            assert_eq!(identifier(signed, true), identifier(by, false));
            assert_eq!(signed.issuer(), by.subject());
        }
        let constraints = between.basic_constraints().unwrap().unwrap().value;
        assert_eq!((constraints.ca, constraints.path_len_constraint), (true, Some(0)));
        assert_eq!(between.validity(), authority.validity());
        let keys: HashSet<_> = [&leaf, &between, &authority].map(|one| one.public_key().raw).into();
        assert_eq!(keys.len(), 3, "each has a key of its own");
    }
}

/// An authority that takes none below itself (as those that the first versions made), one with a key
/// for which nothing is gained, and one that is no root sign each leaf themselves.
#[test]
fn an_authority_that_takes_no_other_signs_itself() {
    let root = rcgen::CertifiedIssuer::self_signed(
        of_an_authority("root", rcgen::BasicConstraints::Unconstrained),
        rcgen::KeyPair::generate().unwrap(),
    )
    .unwrap();
    let rsa = || {
        let size = rcgen::RsaKeySize::_2048;
        rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, size).unwrap()
    };
    let (first, second) = (rsa(), rcgen::KeyPair::generate().unwrap());
    let none = of_an_authority("none", rcgen::BasicConstraints::Constrained(0));
    let any = of_an_authority("any", rcgen::BasicConstraints::Unconstrained);
    for (certificate, key, shows) in [
        (none.self_signed(&first).unwrap().pem(), &first, 2),
        (any.self_signed(&second).unwrap().pem(), &second, 2),
        (any.signed_by(&first, &root).unwrap().pem() + &root.pem(), &first, 3),
    ] {
        let interceptor = Interceptor::new(own(&certificate, key)).unwrap();
        let config = |kind| {
            interceptor.server_config(&"a.example".parse().unwrap(), kind, Alpn::Http1).unwrap()
        };
        let chain = shown_chain(config(LeafKey::Ecdsa));
        assert_eq!(chain.len(), shows);
        let (_, leaf) = X509Certificate::from_der(&chain[0]).unwrap();
        let (_, authority) = X509Certificate::from_der(&chain[1]).unwrap();
        assert_eq!(leaf.issuer(), authority.subject());
        assert_eq!(chain[1], *interceptor.authority().certificate_der());
    }
}

/// Who takes RSA alone may know of no other key at all.
#[test]
fn an_rsa_leaf_is_signed_by_the_authority_itself() {
    let interceptor = interceptor();
    let host = "a.example".parse().unwrap();
    let chain = shown_chain(interceptor.server_config(&host, LeafKey::Rsa, Alpn::Http1).unwrap());
    assert_eq!(chain.len(), 2);
    assert_eq!(chain[1], *interceptor.authority().certificate_der());
}

/// A chain that webpki believes, with the root alone known.
#[test]
fn a_client_that_knows_the_root_believes_both_kinds() {
    let interceptor = interceptor();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(interceptor.authority().certificate_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier =
        rustls::client::WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .unwrap();
    let host = "a.example".parse().unwrap();
    for key in [LeafKey::Ecdsa, LeafKey::Rsa] {
        let chain = shown_chain(interceptor.server_config(&host, key, Alpn::Http1).unwrap());
        let chain: Vec<rustls::pki_types::CertificateDer<'_>> =
            chain.into_iter().map(Into::into).collect();
        let name = rustls::pki_types::ServerName::try_from("a.example").unwrap();
        let now = rustls::pki_types::UnixTime::now();
        let (leaf, others) = chain.split_first().unwrap();
        verifier.verify_server_cert(leaf, others, &name, &[], now).unwrap();
    }
}

fn of_an_authority(name: &str, constraints: rcgen::BasicConstraints) -> rcgen::CertificateParams {
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params.is_ca = rcgen::IsCa::Ca(constraints);
    params
}

/// An authority of the user's own.
fn own(certificate: &str, key: &rcgen::KeyPair) -> Authority {
    let folder = tempfile::tempdir().unwrap();
    let names = (folder.path().join("ca"), folder.path().join("key"));
    std::fs::write(&names.0, certificate).unwrap();
    std::fs::write(&names.1, key.serialize_pem()).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&names.1, mode).unwrap();
    Authority::load(names.0, names.1).unwrap()
}

/// AES-128 first, except for a client whose processor does better without AES; one ticket each time.
#[test]
fn a_suite_is_chosen_that_costs_little_on_both_sides() {
    let interceptor = interceptor();
    let host: Host = "a.example".parse().unwrap();
    for (suites, chosen) in [
        (&[0x1302, 0x1301, 0x1303][..], 0x1301),
        (&[0x1303, 0x1302, 0x1301], 0x1303),
        (&[0x1302], 0x1302),
    ] {
        let mut provider = rustls::crypto::aws_lc_rs::default_provider();
        provider.cipher_suites = suites
            .iter()
            .map(|&number| {
                let all = rustls::crypto::aws_lc_rs::ALL_CIPHER_SUITES;
                *all.iter().find(|suite| u16::from(suite.suite()) == number).unwrap()
            })
            .collect();
        let config = rustls::ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&TLS13])
            .unwrap()
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        let name = rustls::pki_types::ServerName::try_from("a.example").unwrap();
        let mut client = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
        let mut octets = Vec::new();
        client.write_tls(&mut octets).unwrap();
        let Peek::Hello(hello) = peek(&octets) else { panic!("a hello") };
        let config = interceptor.answer(&host, LeafKey::Ecdsa, Alpn::Nothing, &hello).unwrap();
        let mut server = rustls::ServerConnection::new(config).unwrap();
        server.read_tls(&mut &octets[..]).unwrap();
        server.process_new_packets().unwrap();
        let suite = server.negotiated_cipher_suite().unwrap();
        assert_eq!(u16::from(suite.suite()), chosen, "{suites:04x?}");
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
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
    let now = rcgen::date_time_ymd(1970, 1, 1) + now;
    let hour = std::time::Duration::from_secs(3600);
    (params.not_before, params.not_after) = (now - hour, now + hour * 24);
    let authority = own(&params.self_signed(&key).unwrap().pem(), &key);
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

/// Subject and alternative names of the leaf for `a.example` that copies from a certificate with these.
fn copied(common_name: &str, names: &[&str]) -> (String, Vec<String>) {
    let mut params = rcgen::CertificateParams::new(
        names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>(),
    )
    .unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::CommonName, common_name);
    let theirs = params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
    let interceptor = interceptor();
    let host: Host = "a.example".parse().unwrap();
    // One that was made before is not kept.
    interceptor.server_config(&host, LeafKey::Ecdsa, Alpn::Http1).unwrap();
    assert!(!interceptor.has_names(&host));
    interceptor.copy_names(&host, UpstreamNames::of(&[theirs.der().clone()]).unwrap());
    assert!(interceptor.has_names(&host));
    let der = shown(interceptor.server_config(&host, LeafKey::Ecdsa, Alpn::Http1).unwrap());
    let facts = consoletap_tls::certificate_facts(&[der.into()]).unwrap();
    (facts.subject, facts.names)
}

#[test]
fn names_are_copied_and_the_one_that_was_asked_for_is_among_them() {
    let names = |list: &[&str]| list.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    let (subject, all) = copied("Edge", &["*.example", "10.1.2.3", "fd00::7"]);
    assert_eq!((&*subject, all), ("CN=Edge", names(&["*.example", "10.1.2.3", "fd00::7"])));
    // Nobody checked that certificate.
    let (_, all) = copied("Edge", &["other.test", "*.b.example", "*.a.example"]);
    assert_eq!(all, names(&["other.test", "*.b.example", "*.a.example", "a.example"]));
    // A common name holds 64 characters (RFC 5280 appendix A.1).
    let (subject, all) = copied(&"x".repeat(65), &[]);
    assert_eq!((&*subject, all), ("CN=a.example", names(&["a.example"])));
}

#[test]
fn a_thousand_names_are_not_copied() {
    let many: Vec<String> = (0..1000).map(|number| format!("n{number}.test")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let (_, all) = copied("Many", &many);
    // Of which a row tells a hundred; the one that was asked for comes behind them.
    assert_eq!((all.len(), &*all[99]), (100, "n99.test"));
    assert_eq!(UpstreamNames::of(&[vec![0x30, 0x03, 1].into()]), None);
    assert_eq!(UpstreamNames::of(&[]), None);
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
