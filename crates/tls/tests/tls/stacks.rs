use std::sync::{Arc, LazyLock};

use consoletap_flow::Host;
#[cfg(feature = "legacy-tls")]
use consoletap_tls::Answerer;
use consoletap_tls::{Alpn, Authority, ClientHello, Interceptor, LeafKey, Peek, Stack, peek};
use proptest::prelude::{Just, Strategy, any, prop_assert, proptest};
use proptest::sample::subsequence;
use rustls::version::{TLS12, TLS13};

use crate::hellos::{Hello, of_rustls, ps3_475, ps3_481, ps3_482, read, vector16, vita, vita_373};

/// Why rustls cannot speak to it.
fn not_rustls(hello: &ClientHello) -> String {
    match hello.stack() {
        Stack::Legacy(reason) | Stack::Unsupported(reason) => reason,
        Stack::Rustls(key) => panic!("{key:?} was not expected"),
    }
}

#[test]
fn old_consoles_are_for_openssl_and_told_in_plain_words() {
    for (hello, reason) in [
        (ps3_475(), "offers TLS 1.0 at most"),
        (ps3_481(), "offers TLS 1.0 at most"),
        (ps3_482(), "offers TLS 1.1 at most"),
        (vita(), "offers TLS 1.1 at most"),
        (vita_373(), "offers only cipher suites with RSA key exchange, as old consoles do"),
    ] {
        assert_eq!(hello.parsed().stack(), Stack::Legacy(reason.to_owned()));
    }
}

#[test]
fn what_nobody_can_open_is_told_too() {
    let ssl3 = Hello::new(0x0300, &[0x0005, 0x0004]).parsed();
    assert_eq!(ssl3.stack(), Stack::Unsupported("offers SSL 3.0 at most".to_owned()));
    // Export ciphers of 40 bits, which no library has any more.
    let export = Hello::new(0x0301, &[0x0003, 0x0006, 0x0008]).parsed();
    assert_eq!(export.stack(), Stack::Unsupported("offers TLS 1.0 at most".to_owned()));
    // TLS 1.2 and its suites cannot be had at a lower version.
    let too_new = Hello::new(0x0302, &[0x003c, 0xc02f]).parsed();
    assert!(matches!(too_new.stack(), Stack::Unsupported(_)));
}

#[test]
fn who_may_be_too_old_for_our_signatures_is_told() {
    assert!(ps3_475().parsed().may_not_check_sha256());
    assert!(Hello::new(0x0303, &[0x002f]).list(13, &[0x0201]).parsed().may_not_check_sha256());
    assert!(!vita_373().parsed().may_not_check_sha256());
    assert!(!read(&of_rustls(&[&TLS12])).may_not_check_sha256());
}

#[test]
fn the_leaf_is_rsa_unless_the_hello_takes_ecdsa() {
    assert_eq!(read(&of_rustls(&[&TLS13, &TLS12])).stack(), Stack::Rustls(LeafKey::Ecdsa));
    assert_eq!(read(&of_rustls(&[&TLS12])).stack(), Stack::Rustls(LeafKey::Ecdsa));
    let rsa_suites = Hello::new(0x0303, &[0xc02f, 0xc030]);
    let both = rsa_suites.list(10, &[0x0017]).list(13, &[0x0403, 0x0401]);
    assert_eq!(both.parsed().stack(), Stack::Rustls(LeafKey::Rsa));
    let ecdsa_suites = Hello::new(0x0303, &[0xc02b, 0xc02f]);
    let rsa_signatures = ecdsa_suites.list(10, &[0x0017]).list(13, &[0x0401, 0x0201]);
    assert_eq!(rsa_signatures.parsed().stack(), Stack::Rustls(LeafKey::Rsa));
}

#[test]
fn what_rustls_would_refuse_for_other_reasons_is_not_tried() {
    let good = || Hello::new(0x0303, &[0xc02f]).list(10, &[0x0017]).list(13, &[0x0401]);
    assert_eq!(good().parsed().stack(), Stack::Rustls(LeafKey::Rsa));
    for (hello, says) in [
        (good().list(10, &[0x0017]), "repeats an extension"),
        (good().name("-dash.example"), "no valid name"),
        (good().with(11, vec![1, 1]), "uncompressed"),
        (good().versions(&[0x0304]), "key share"),
    ] {
        let wire = hello.record();
        assert!(not_rustls(&hello.parsed()).contains(says), "{says}");
        assert!(rustls_takes(&wire, LeafKey::Rsa).is_err(), "{says}: rustls takes it");
    }
}

/// Some of each list, as a client might offer them.
fn hello() -> impl Strategy<Value = Hello> {
    let suites = vec![
        0x1301, 0x1303, 0xc02b, 0xc02c, 0xc02f, 0xcca8, 0xcca9, 0xc013, 0xc014, 0x009c, 0x002f,
        0x0005, 0x0067, 0xc011, 0x00ff, 0x1a1a,
    ];
    let groups = vec![0x001d, 0x0017, 0x0018, 0x0019, 0x0100, 0x11ec, 0x2a2a];
    let signatures = vec![0x0403, 0x0503, 0x0401, 0x0501, 0x0804, 0x0806, 0x0201, 0x0203, 0x0807];
    let names = ["dus01.example", "under_score.example", "-dash.example", "*.wild", "10.0.0.1", ""];
    let some = |all: Vec<u16>| {
        let most = all.len();
        proptest::option::weighted(0.9, subsequence(all, 1..=most).prop_shuffle())
    };
    (
        subsequence(suites, 1..16).prop_shuffle(),
        some(groups),
        some(signatures),
        proptest::option::of(proptest::sample::select(names.to_vec())),
        (
            proptest::sample::select(vec![0x0300, 0x0301, 0x0302, 0x0303, 0x0303]),
            some(vec![0x0304, 0x0303, 0x0302]),
        ),
        (proptest::option::weighted(0.3, Just(vec![1, 0])), any::<bool>()),
    )
        .prop_map(
            |(suites, groups, signatures, name, (version, versions), (formats, share))| {
                let mut hello = Hello::new(version, &suites);
                if let Some(name) = name {
                    hello = hello.name(name);
                }
                if let Some(groups) = &groups {
                    hello = hello.list(10, groups);
                }
                if let Some(signatures) = signatures {
                    hello = hello.list(13, &signatures);
                }
                if let Some(versions) = versions {
                    hello = hello.versions(&versions);
                }
                if let Some(formats) = formats {
                    hello = hello.with(11, formats);
                }
                if share { hello.with(51, key_shares(&groups.unwrap_or_default())) } else { hello }
            },
        )
}

/// A share for each group that can be used: rustls judges the rest of a hello only then.
fn key_shares(groups: &[u16]) -> Vec<u8> {
    let ours = rustls::crypto::aws_lc_rs::default_provider().kx_groups;
    let mut shares = Vec::new();
    for &group in groups {
        if let Some(known) = ours.iter().find(|known| u16::from(known.name()) == group) {
            shares.extend(group.to_be_bytes());
            shares.extend(vector16(known.start().unwrap().pub_key()));
        }
    }
    vector16(&shares)
}

static INTERCEPTOR: LazyLock<Interceptor> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    Interceptor::new(Authority::load_or_create(folder.path()).unwrap()).unwrap()
});

/// What rustls itself says of the hello, with a leaf of this key.
fn rustls_takes(wire: &[u8], key: LeafKey) -> Result<(), rustls::Error> {
    let host: Host = "dus01.example".parse().unwrap();
    let config = INTERCEPTOR.server_config(&host, key, Alpn::Http1).unwrap();
    let mut server = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
    server.read_tls(&mut &wire[..]).unwrap();
    server.process_new_packets().map(drop)
}

proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(1500))]
    /// The rule and rustls must agree: a yes that fails costs the console an operation, a no that
    /// would work hides its traffic.
    #[test]
    fn the_rule_says_what_rustls_does(hello in hello()) {
        let wire = hello.record();
        let Peek::Hello(parsed) = peek(&wire) else { panic!("no hello: {hello:x?}") };
        match parsed.stack() {
            Stack::Rustls(key) => {
                let answer = rustls_takes(&wire, key);
                prop_assert!(answer.is_ok(), "{key:?}: {answer:?}");
            }
            Stack::Legacy(reason) | Stack::Unsupported(reason) => {
                for key in [LeafKey::Ecdsa, LeafKey::Rsa] {
                    prop_assert!(rustls_takes(&wire, key).is_err(), "{key:?} works, but: {reason}");
                }
            }
        }
    }
}

/// What OpenSSL itself says of the hello.
#[cfg(feature = "legacy-tls")]
fn openssl_takes(wire: &[u8]) -> bool {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let host: Host = "dus01.example".parse().unwrap();
    let Peek::Hello(hello) = peek(wire) else { panic!("no hello") };
    let acceptor = INTERCEPTOR.acceptor(&host, Answerer::Legacy, Alpn::Nothing, &hello).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let (near, mut far) = tokio::io::duplex(64 * 1024);
        far.write_all(wire).await.unwrap();
        let answer = async {
            let mut head = [0; 6];
            far.read_exact(&mut head).await.is_ok() && head[0] == 22 && head[5] == 2
        };
        tokio::select! {
            _ = acceptor.accept(near) => false,
            is_server_hello = answer => is_server_hello,
        }
    })
}

#[cfg(feature = "legacy-tls")]
proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(700))]
    /// The same agreement with OpenSSL, for what rustls does not take.
    #[test]
    fn the_rule_says_what_openssl_does(hello in hello()) {
        let wire = hello.record();
        let Peek::Hello(parsed) = peek(&wire) else { panic!("no hello: {hello:x?}") };
        match parsed.stack() {
            Stack::Rustls(_) => {}
            Stack::Legacy(reason) => prop_assert!(openssl_takes(&wire), "{reason}"),
            Stack::Unsupported(reason) => {
                prop_assert!(!openssl_takes(&wire), "it would work, but: {reason}");
            }
        }
    }
}
