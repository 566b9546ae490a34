//! What is read from the passing octets of a tunnel: both directions of real handshakes, in any
//! pieces.

use std::sync::Arc;

use consoletap_flow::{Resumption, ServerHelloFacts};
use consoletap_tls::{
    Alpn, Authority, ClientSeen, ClientSide, Interceptor, LeafKey, ServerSeen, ServerSide,
};
use proptest::collection::vec;
use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};

use crate::hellos::{Hello, ps3_482, records, vector8, vector16};

const HOST: &str = "store.playstation.com";

/// Two sides that trust each other.
struct Pair {
    server: Arc<ServerConfig>,
    client: ClientConfig,
}

impl Pair {
    fn new(versions: &[&'static rustls::SupportedProtocolVersion]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::load_or_create(folder.path()).unwrap();
        let mut roots = RootCertStore::empty();
        let root = CertificateDer::from_pem_slice(authority.certificate_pem().as_bytes()).unwrap();
        roots.add(root).unwrap();
        let interceptor = Interceptor::new(authority).unwrap();
        let host = HOST.parse().unwrap();
        let server = interceptor.server_config(&host, LeafKey::Ecdsa, Alpn::Http2AndHttp1).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        client.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Self { server, client }
    }

    /// What each side sends up to the end of the handshake.
    fn shake_hands(&self) -> (Vec<u8>, Vec<u8>) {
        let name = ServerName::try_from(HOST).unwrap();
        let mut client = ClientConnection::new(Arc::new(self.client.clone()), name).unwrap();
        let mut server = ServerConnection::new(Arc::clone(&self.server)).unwrap();
        let (mut up, mut down) = (Vec::new(), Vec::new());
        // Twice more than the handshake takes: tickets come behind it.
        for _ in 0..4 {
            let mut now = Vec::new();
            while client.wants_write() {
                client.write_tls(&mut now).unwrap();
            }
            server.read_tls(&mut &now[..]).unwrap();
            server.process_new_packets().unwrap();
            up.extend(now);
            let mut now = Vec::new();
            while server.wants_write() {
                server.write_tls(&mut now).unwrap();
            }
            client.read_tls(&mut &now[..]).unwrap();
            client.process_new_packets().unwrap();
            down.extend(now);
        }
        assert!(!client.is_handshaking() && !server.is_handshaking());
        (up, down)
    }
}

/// What is seen of a server that sends these pieces.
fn server_seen<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<ServerSeen>, bool) {
    let (mut side, mut seen, mut more) = (ServerSide::new(), Vec::new(), true);
    for piece in pieces {
        more = side.read(piece, |one| seen.push(one));
    }
    (seen, more)
}

fn client_seen<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<ClientSeen>, bool) {
    let (mut side, mut seen, mut more) = (ClientSide::new(), Vec::new(), true);
    for piece in pieces {
        more = side.read(piece, |one| seen.push(one));
    }
    (seen, more)
}

#[test]
fn up_to_tls_1_2_version_suite_protocol_and_certificate_are_seen() {
    let (up, down) = Pair::new(&[&TLS12]).shake_hands();
    let (seen, more) = server_seen([&down[..]]);
    let [ServerSeen::Hello(hello), ServerSeen::Certificate(certificate)] = &seen[..] else {
        panic!("{seen:#?}");
    };
    assert!(!more);
    assert_eq!((hello.version, hello.alpn.as_deref()), (0x0303, Some("h2")));
    assert_eq!((hello.resumed, hello.group, hello.retried), (Some(false), None, false));
    assert!(hello.suite & 0xff00 == 0xc000 || hello.suite & 0xff00 == 0xcc00);
    assert_eq!(certificate.names, [HOST]);
    assert!(certificate.subject.contains(HOST), "{}", certificate.subject);
    assert!(certificate.issuer.contains("consoletap"), "{}", certificate.issuer);
    assert_eq!((certificate.key.as_str(), certificate.chain), ("ECDSA P-256", 2));
    assert!(certificate.not_before < certificate.not_after);
    assert_eq!(certificate.sha256.len(), 64);

    let (seen, more) = client_seen([&up[..]]);
    let [ClientSeen::Hello(hello)] = &seen[..] else { panic!("{seen:#?}") };
    assert!(!more, "behind ChangeCipherSpec there is nothing to see");
    assert_eq!(hello.facts.alpn, ["h2", "http/1.1"]);
    assert!(hello.facts.groups.contains(&0x001d) && !hello.facts.signature_algorithms.is_empty());
    assert_eq!(hello.facts.resumes, None);
}

#[test]
fn from_tls_1_3_on_the_choice_is_seen_and_the_rest_is_left_alone() {
    let pair = Pair::new(&[&TLS13]);
    let (_, down) = pair.shake_hands();
    let (seen, more) = server_seen([&down[..]]);
    let [ServerSeen::Hello(hello)] = &seen[..] else { panic!("{seen:#?}") };
    assert!(!more);
    assert_eq!((hello.version, hello.suite >> 8), (0x0304, 0x13));
    assert_eq!((hello.resumed, &hello.alpn), (Some(false), &None));
    assert!(hello.group.is_some());
}

#[test]
fn a_session_that_goes_on_is_told_from_a_new_one() {
    for versions in [&[&TLS12][..], &[&TLS13]] {
        let pair = Pair::new(versions);
        pair.shake_hands();
        let (up, down) = pair.shake_hands();
        let (seen, _) = client_seen([&up[..]]);
        let Some(ClientSeen::Hello(hello)) = seen.first() else { panic!("{seen:#?}") };
        let expected = if versions[0] == &TLS13 { Resumption::Psk } else { Resumption::Ticket };
        assert_eq!(hello.facts.resumes, Some(expected));
        let (seen, more) = server_seen([&down[..]]);
        let [ServerSeen::Hello(hello)] = &seen[..] else { panic!("{seen:#?}") };
        assert_eq!((hello.resumed, more), (Some(true), false));
    }
}

/// The hello of a server, octet by octet.
fn server_hello(version: u16, random: [u8; 32], suite: u16, extensions: &[u8]) -> Vec<u8> {
    let mut body = version.to_be_bytes().to_vec();
    body.extend(random);
    body.extend(vector8(&[3; 32]));
    body.extend(suite.to_be_bytes());
    body.push(0);
    body.extend(vector16(extensions));
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&[2], &length[1..], &body].concat()
}

#[test]
fn another_hello_is_asked_for_and_then_the_choice_comes() {
    let retry = [
        0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8,
        0x91, 0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8,
        0x33, 0x9c,
    ];
    let versions = [0, 43, 0, 2, 3, 4];
    let first = [&versions[..], &[0, 51, 0, 2, 0, 0x18]].concat();
    let second = [&versions[..], &[0, 51, 0, 6, 0, 0x18, 0, 2, 9, 9]].concat();
    let wire = [
        records(&server_hello(0x0303, retry, 0x1301, &first), &[usize::MAX]),
        vec![20, 3, 3, 0, 1, 1],
        records(&server_hello(0x0303, [7; 32], 0x1301, &second), &[usize::MAX]),
    ]
    .concat();
    for pieces in [wire.len(), 1, 7] {
        let (seen, more) = server_seen(wire.chunks(pieces));
        let told = |resumed| ServerHelloFacts {
            version: 0x0304,
            suite: 0x1301,
            group: Some(0x18),
            resumed,
            retried: true,
            ..ServerHelloFacts::default()
        };
        assert_eq!(seen, [ServerSeen::Hello(told(None)), ServerSeen::Hello(told(Some(false)))]);
        assert!(!more);
    }
}

#[test]
fn who_gives_a_handshake_up_is_heard() {
    let (seen, more) = server_seen([&[21, 3, 1, 0, 2, 2, 40][..]]);
    assert_eq!((seen, more), (vec![ServerSeen::Alert(40)], false));
    let choice = server_hello(0x0301, [7; 32], 5, &[]);
    let wire = [records(&choice, &[usize::MAX]), vec![21, 3, 1, 0, 2, 2, 70]].concat();
    let (seen, _) = server_seen(wire.chunks(1));
    assert_eq!(seen.last(), Some(&ServerSeen::Alert(70)));

    let hello = ps3_482().record();
    let wire = [&hello[..], &[21, 3, 2, 0, 2, 2, 48]].concat();
    for pieces in [wire.len(), 1] {
        let (seen, more) = client_seen(wire.chunks(pieces));
        assert!(matches!(seen[..], [ClientSeen::Hello(_), ClientSeen::Alert(48)]), "{seen:#?}");
        assert!(!more);
    }
    // Behind ChangeCipherSpec it would be encrypted.
    let wire = [&hello[..], &[20, 3, 2, 0, 1, 1, 21, 3, 2, 0, 2, 2, 48]].concat();
    assert_eq!(client_seen([&wire[..]]).0.len(), 1);
}

#[test]
fn what_is_no_handshake_is_let_go_at_once() {
    for octets in [&b"HTTP/1.1 200 OK\r\n"[..], b"SSH-2.0-x", &[0; 64], &[23, 3, 3, 0, 9]] {
        assert_eq!(server_seen([octets]), (vec![], false), "{octets:?}");
        let (seen, more) = client_seen([octets]);
        assert_eq!((&seen[..], more), (&[ClientSeen::NotTls][..], false), "{octets:?}");
    }
}

/// Real hellos and answers, and some that nobody sends.
fn up_and_down() -> Vec<(Vec<u8>, Vec<u8>)> {
    let pq = Hello::new(0x0303, &[0x1301, 0x1302])
        .name("a.example")
        .list(10, &[0x2a2a, 0x11ec, 0x001d])
        .versions(&[0x3a3a, 0x0304])
        .with(51, vector16(&[&[0x11, 0xec], &vector16(&[5; 1216])[..]].concat()))
        .with(0xfe0d, vec![0; 200]);
    let large = Hello::new(0x0303, &[0x1301]).name("a.example").with(21, vec![0; 20_000]);
    vec![
        Pair::new(&[&TLS12]).shake_hands(),
        Pair::new(&[&TLS13]).shake_hands(),
        (pq.record(), Vec::new()),
        (large.record(), Vec::new()),
        (ps3_482().record(), Vec::new()),
    ]
}

#[test]
fn hellos_with_large_keys_and_encrypted_parts_are_read() {
    let samples = up_and_down();
    let hello = |sample: usize| match &client_seen([&samples[sample].0[..]]).0[0] {
        ClientSeen::Hello(hello) => hello.facts.clone(),
        other => panic!("{other:?}"),
    };
    let post_quantum = hello(2);
    assert_eq!(post_quantum.groups, [0x11ec, 0x001d]);
    assert_eq!(post_quantum.versions, [0x0304]);
    assert!(post_quantum.ech && samples[2].0.len() > 1200);
    assert!(samples[3].0.len() > 16 << 10);
    assert_eq!(hello(3).sni.as_deref(), Some("a.example"));
}

/// Cuts octets into pieces of these sizes, again and again.
fn cut<'a>(octets: &'a [u8], sizes: &[usize]) -> Vec<&'a [u8]> {
    let mut rest = octets;
    let mut pieces = Vec::new();
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, later) = rest.split_at((*size).min(rest.len()));
        pieces.push(piece);
        rest = later;
    }
    pieces
}

/// The last word on each subject: a hello may be told twice.
fn last_words(seen: Vec<ServerSeen>) -> Vec<ServerSeen> {
    let mut last: Vec<ServerSeen> = Vec::new();
    for one in seen {
        let same =
            |other: &ServerSeen| std::mem::discriminant(other) == std::mem::discriminant(&one);
        match last.iter().position(same) {
            Some(at) => last[at] = one,
            None => last.push(one),
        }
    }
    last
}

static SAMPLES: std::sync::LazyLock<Vec<(Vec<u8>, Vec<u8>)>> =
    std::sync::LazyLock::new(up_and_down);

proptest! {
    #[test]
    fn pieces_do_not_matter(sample in 0..5_usize, sizes in vec(1..900_usize, 1..9)) {
        let (up, down) = &SAMPLES[sample];
        prop_assert_eq!(client_seen(cut(up, &sizes)), client_seen([&up[..]]));
        let (seen, more) = server_seen(cut(down, &sizes));
        let (whole, whole_more) = server_seen([&down[..]]);
        prop_assert_eq!((last_words(seen), more), (last_words(whole), whole_more));
    }

    #[test]
    fn changed_octets_do_no_harm(
        sample in 0..5_usize,
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cuts in vec(1..400_usize, 1..4),
    ) {
        for (direction, octets) in [&SAMPLES[sample].0, &SAMPLES[sample].1].into_iter().enumerate() {
            let mut octets = octets.clone();
            for (place, octet) in &changes {
                let place = place.index(octets.len().max(1));
                octets.get_mut(place).into_iter().for_each(|old| *old = *octet);
            }
            if direction == 0 {
                let (seen, _) = client_seen(cut(&octets, &cuts));
                if let Some(ClientSeen::Hello(hello)) = seen.first() {
                    let _ = hello.stack();
                }
            } else {
                let _ = server_seen(cut(&octets, &cuts));
            }
        }
    }

    #[test]
    fn no_stream_is_looked_at_for_ever(octets in vec(any::<u8>(), 1..200)) {
        // Records of one octet each, with whatever messages that makes.
        let octets = [&[2, 0, 0xff, 0xff], &octets[..]].concat();
        let wire = records(&octets.repeat(600), &[1]);
        let (_, more) = server_seen(wire.chunks(4096));
        prop_assert!(!more);
    }
}
