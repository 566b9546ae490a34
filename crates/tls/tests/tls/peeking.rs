use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use consoletap_tls::{Authority, Interceptor, LeafKey, Peek, peek, server_hello};
use proptest::collection::vec;
use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};
use rustls::version::{TLS12, TLS13};

use crate::hellos::{Hello, of_rustls, ps3_475, ps3_482, read, records, vector16, vita_373};

#[test]
fn the_facts_of_a_hello_are_those_that_were_sent() {
    let hello = read(&of_rustls(&[&TLS13, &TLS12]));
    assert_eq!(hello.facts.sni.as_deref(), Some("store.playstation.com"));
    assert_eq!(hello.facts.alpn, ["http/1.1"]);
    assert_eq!(hello.facts.versions, [0x0304, 0x0303]);
    assert!(hello.facts.ja4.starts_with("t13d"), "{}", hello.facts.ja4);
    assert_eq!(hello.facts.ja3.len(), 32);

    let old = ps3_475().parsed();
    assert_eq!((old.facts.sni, old.facts.versions), (None, vec![0x0301]));
    assert_eq!(old.facts.suites, [0x000a, 0x0005, 0x0004]);
}

#[test]
fn what_is_no_tls_is_told_with_the_first_octets() {
    for bytes in ["G", "GET / HTTP/1.1\r\n", "\x05\x01", "SSH-2.0-"] {
        assert!(matches!(peek(bytes.as_bytes()), Peek::NotTls), "{bytes:?}");
    }
    assert!(matches!(peek(&[22, 2]), Peek::NotTls));
    assert!(matches!(peek(&[22, 3, 9]), Peek::NotTls));
    assert!(matches!(peek(&[0x80, 0x2e, 4]), Peek::NotTls));
    assert!(matches!(peek(&[]), Peek::NeedMore));
    assert!(matches!(peek(&[22]), Peek::NeedMore));
    assert!(matches!(peek(&[0x80]), Peek::NeedMore));
}

#[test]
fn broken_tls_is_told_as_soon_as_it_shows() {
    for bytes in [
        &[22, 3, 1, 0, 0][..],                 // an empty record
        &[22, 3, 1, 0x40, 1],                  // a record of more than 16 KiB
        &[22, 3, 1, 0, 4, 2],                  // a ServerHello
        &[22, 3, 1, 0, 4, 1, 1, 0, 1],         // more than 64 KiB
        &[22, 3, 1, 0, 4, 1, 0, 0, 4, 21],     // an alert in the middle
        &[22, 3, 1, 0, 6, 1, 0, 0, 2, 3, 1],   // a hello of two octets
        &[0x80, 9, 1, 3, 1, 0, 0, 0, 0, 0, 0], // SSL 2.0 form, without suites
    ] {
        assert!(matches!(peek(bytes), Peek::Malformed(_)), "{bytes:?}: {:?}", peek(bytes));
    }
}

/// As `openssl s_client` 0.9.8 sends it.
#[test]
fn a_hello_in_the_form_of_ssl_2_is_read() {
    let specs = [[0, 0, 0x39], [0, 0, 0x0a], [1, 0, 0x80], [0, 0, 0x04]].concat();
    let mut message = vec![1, 3, 1];
    message.extend([12_u16, 0, 16].map(u16::to_be_bytes).concat());
    message.extend(&specs);
    message.extend([5; 16]);
    let length = u16::try_from(message.len()).unwrap() | 0x8000;
    let wire = [&length.to_be_bytes(), &message[..]].concat();
    for end in 0..wire.len() {
        assert!(matches!(peek(&wire[..end]), Peek::NeedMore), "{end}");
    }
    let hello = read(&wire);
    assert!(hello.sslv2_framed);
    assert_eq!(hello.facts.suites, [0x0039, 0x000a, 0x0004]);
    assert_eq!(hello.facts.highest_version(), "TLS 1.0");
}

#[test]
fn the_largest_hello_is_read_and_a_larger_one_is_refused() {
    let padding = |octets: usize| {
        let hello = Hello::new(0x0303, &[0x1301]);
        (0..4).fold(hello, |hello, n| hello.with(n + 100, vec![0; octets / 4]))
    };
    let wire = padding(65_000).record();
    assert!(matches!(peek(&wire), Peek::Hello(_)));
    assert!(matches!(peek(&wire[..wire.len() - 1]), Peek::NeedMore));
    // The same in records of one octet each is more than anybody sends.
    let wire = records(&padding(65_000).message(), &[1]);
    assert!(matches!(peek(&wire), Peek::Malformed(_)));
}

#[test]
fn strange_names_are_shown_and_cannot_hurt() {
    let hello = Hello::new(0x0303, &[0x1301]).name("a\u{1b}[2J\u{e9}").parsed();
    assert_eq!(hello.facts.sni.as_deref(), Some("a\\x1b[2J\\xc3\\xa9"));
    // Lengths that lie, inside an extension: it counts as present and empty.
    let hello = Hello::new(0x0303, &[0x1301]).with(0, vec![0, 9, 0, 0, 1]).parsed();
    assert_eq!((hello.facts.sni, hello.extensions), (None, vec![0]));
}

#[test]
fn a_hello_of_openssl_is_read() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let client = Command::new("openssl")
        .args(["s_client", "-connect", &address, "-servername", "dus01.ps4.update.playstation.net"])
        .args(["-alpn", "h2,http/1.1"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut client) = client else {
        eprintln!("SKIPPED: openssl is not installed, so its hello was not read");
        return;
    };
    let (mut connection, _) = listener.accept().unwrap();
    connection.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut bytes = Vec::new();
    let hello = loop {
        let mut octet = [0];
        connection.read_exact(&mut octet).unwrap();
        bytes.extend(octet);
        match peek(&bytes) {
            Peek::NeedMore => {}
            Peek::Hello(hello) => break hello,
            other => panic!("{other:?} after {} octets", bytes.len()),
        }
    };
    drop(connection);
    client.wait().unwrap();
    assert_eq!(hello.facts.sni.as_deref(), Some("dus01.ps4.update.playstation.net"));
    assert_eq!(hello.facts.alpn, ["h2", "http/1.1"]);
    assert!(hello.facts.versions.contains(&0x0304), "{:?}", hello.facts.versions);
}

/// What the server chose is in the first record of its answer, in the clear.
#[test]
fn the_answer_of_a_real_server_tells_version_and_suite() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::load_or_create(folder.path()).unwrap();
    let interceptor = Interceptor::new(authority).unwrap();
    let config = interceptor
        .server_config(
            &"store.playstation.com".parse().unwrap(),
            LeafKey::Ecdsa,
            consoletap_tls::Alpn::Http1,
        )
        .unwrap();
    for (versions, version) in [(&[&TLS12][..], 0x0303), (&[&TLS13, &TLS12], 0x0304)] {
        let mut server = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
        server.read_tls(&mut &of_rustls(versions)[..]).unwrap();
        server.process_new_packets().unwrap();
        let mut answer = Vec::new();
        server.write_tls(&mut answer).unwrap();
        let facts = server_hello(&answer).unwrap();
        assert_eq!(facts.version, version);
        assert!(facts.suite != 0);
        let end = 5 + usize::from(u16::from_be_bytes([answer[3], answer[4]]));
        for cut in 0..end.min(80) {
            assert_eq!(server_hello(&answer[..cut]), None, "{cut}");
        }
    }
    assert_eq!(server_hello(&of_rustls(&[&TLS12])), None);
    assert_eq!(server_hello(b"HTTP/1.1 400 Bad Request"), None);
}

/// It runs after every read of a new connection: a hello of today in a debug build, best of many.
#[test]
fn looking_takes_no_time_to_speak_of() {
    let wire = of_rustls(&[&TLS13, &TLS12]);
    let best = (0..500)
        .map(|_| {
            let start = Instant::now();
            assert!(matches!(peek(std::hint::black_box(&wire)), Peek::Hello(_)));
            start.elapsed()
        })
        .min()
        .unwrap();
    assert!(best < Duration::from_micros(50), "{best:?}");
}

fn samples() -> Vec<Vec<u8>> {
    vec![
        ps3_475().record(),
        ps3_482().record(),
        vita_373().record(),
        of_rustls(&[&TLS12]),
        of_rustls(&[&TLS13, &TLS12]),
    ]
}

#[test]
fn every_prefix_of_a_hello_wants_more() {
    for wire in samples() {
        for end in 0..wire.len() {
            assert!(matches!(peek(&wire[..end]), Peek::NeedMore), "{end} of {}", wire.len());
        }
        let whole = read(&wire);
        let mut more = wire.clone();
        more.write_all(b"\x14\x03\x03\x00\x01\x01").unwrap();
        assert_eq!(read(&more), whole, "what follows the hello does not matter");
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_do_no_harm(bytes in vec(any::<u8>(), 0..400)) {
        let _ = peek(&bytes);
        let _ = server_hello(&bytes);
        let _ = peek(&[&[22, 3, 1], &bytes[..]].concat());
        let _ = peek(&records(&[&[1, 0, 0], &vector16(&bytes)[1..], &bytes].concat(), &[1 << 14]));
        let _ = peek(&[&[0x80], &bytes[..]].concat());
    }

    #[test]
    fn changed_hellos_do_no_harm(
        sample in 0..5_usize,
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut wire = samples().swap_remove(sample);
        for (place, octet) in changes {
            let place = place.index(wire.len());
            wire[place] = octet;
        }
        if let Peek::Hello(hello) = peek(&wire) {
            let _ = hello.stack();
        }
        wire[5] = 2;
        let _ = server_hello(&wire);
    }

    #[test]
    fn records_do_not_matter(sample in 0..5_usize, sizes in vec(1..600_usize, 1..12)) {
        let wire = samples().swap_remove(sample);
        let whole = read(&wire);
        let split = records(&wire[5..], &sizes);
        for end in 0..split.len() {
            prop_assert!(matches!(peek(&split[..end]), Peek::NeedMore));
        }
        prop_assert_eq!(&read(&split), &whole);
        // The same record may hold what follows the hello.
        let more = [&wire[5..], &[20, 0, 0, 0]].concat();
        prop_assert_eq!(read(&records(&more, &[sizes[0], usize::MAX])), whole);
    }
}
