//! Old consoles, opened: TLS 1.0, 1.1 and 1.2 with the suites that nobody else offers any more, and
//! HTTP inside, through a real proxy.

use std::process::Stdio;

use consoletap_flow::{Flow, Kind};
use consoletap_simulator::{LegacyConsole, LegacyHello};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::harness::{LIMIT, Tested, Wanted};
use super::tls_peers::{ServerTls, TlsOrigin};

async fn greet(mut tls: ServerTls) {
    let mut read = Vec::new();
    while tls.read_buf(&mut read).await.unwrap_or(0) > 0 {
        if read.ends_with(b"\r\n\r\n") {
            read.clear();
            tls.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello").await.unwrap();
        }
    }
}

fn allow(wanted: &mut Wanted) {
    wanted.settings.tls.legacy = vec!["*.test".parse().unwrap()];
}

async fn allowing() -> (TlsOrigin, Tested) {
    let origin = TlsOrigin::start("h.test", &["http/1.1"], greet).await;
    let proxy = origin.proxy_with(allow).await;
    (origin, proxy)
}

/// A tunnel to `host`.
async fn tunnel(proxy: &Tested, host: &str) -> TcpStream {
    let mut client = proxy.connect().await;
    client.send(format!("CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\n\r\n")).await;
    let head = client.until("\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    client.tcp
}

/// What the console gets from `https://h.test/`, and the flows: the tunnel and what was in it.
async fn through(console: &LegacyConsole) -> (String, Vec<Flow>) {
    let (_origin, proxy) = allowing().await;
    let ca = proxy.ca_pem.clone();
    let exchange = async {
        let mut tls = console.handshake(tunnel(&proxy, "h.test").await, &ca).await.unwrap();
        let suite = tls.ssl().current_cipher().unwrap().name().to_owned();
        for _ in 0..2 {
            tls.write_all(b"GET /a HTTP/1.1\r\nHost: h.test\r\n\r\n").await.unwrap();
            let mut answer = Vec::new();
            while !answer.ends_with(b"hello") {
                assert!(tls.read_buf(&mut answer).await.unwrap() > 0, "{}", answer.escape_ascii());
            }
            assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"), "{}", answer.escape_ascii());
        }
        suite
    };
    let suite = tokio::time::timeout(LIMIT, exchange).await.expect("the exchange ends");
    (suite, proxy.flows().await)
}

/// Whole exchanges that begin with the octets of the captures.
#[tokio::test]
async fn each_documented_hello_is_opened_and_has_its_published_ja3() {
    for (hello, suite, ja3) in [
        (LegacyHello::ps3_4_75(), 0x000a, "020944dd06c6d915f917237ca3ca4c14"),
        (LegacyHello::ps3_4_81(), 0x0035, "7f340e6caa1fa4c979df919227160ff6"),
        (LegacyHello::ps3_4_82("h.test"), 0x0035, "59566b3606a7fa636a100d2b1693687f"),
        (LegacyHello::vita(), 0x0035, "4f193c90be6e0aed1752e8aa0daee95a"),
        (LegacyHello::vita_3_73("h.test"), 0x003d, "fc2299d5b2964cd242c5a2c8c531a5f0"),
    ] {
        let (_origin, proxy) = allowing().await;
        let ca = proxy.ca_pem.clone();
        let exchange = async {
            let mut tls = hello.handshake(tunnel(&proxy, "h.test").await, &ca).await.unwrap();
            assert_eq!(tls.suite(), suite, "{hello:?}");
            for _ in 0..2 {
                tls.write(b"GET /a HTTP/1.1\r\nHost: h.test\r\n\r\n").await.unwrap();
                let mut answer = Vec::new();
                while !answer.ends_with(b"hello") {
                    answer.extend(tls.read().await.unwrap());
                }
                assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"), "{}", answer.escape_ascii());
            }
        };
        tokio::time::timeout(LIMIT, exchange).await.expect("the exchange ends");
        let flows = proxy.flows().await;
        assert!(flows[0].intercepted);
        assert_eq!(flows[0].hello.as_ref().unwrap().ja3, ja3, "{hello:?}");
        assert_eq!(flows[0].server_hello.as_ref().unwrap().suite, suite);
        let inner: Vec<_> = flows[1..].iter().map(|flow| (flow.kind, flow.status())).collect();
        assert_eq!(inner, [(Kind::Http, Some(200)); 2], "{hello:?}");
    }
}

/// The same with OpenSSL on the other side, which sends the documented hello, too, but for PS3 4.75: 00ff is
/// in it as well.
#[tokio::test]
async fn each_console_is_opened_as_it_speaks() {
    for (console, version, suite, ja3) in [
        (LegacyConsole::ps3_4_75(), "TLS 1.0", "RSA_WITH_3DES_EDE_CBC_SHA", None),
        (
            LegacyConsole::ps3_4_81(),
            "TLS 1.0",
            "RSA_WITH_AES_256_CBC_SHA",
            Some("7f340e6caa1fa4c979df919227160ff6"),
        ),
        (
            LegacyConsole::ps3_4_82("h.test"),
            "TLS 1.1",
            "RSA_WITH_AES_256_CBC_SHA",
            Some("59566b3606a7fa636a100d2b1693687f"),
        ),
        (
            LegacyConsole::vita(),
            "TLS 1.1",
            "RSA_WITH_AES_256_CBC_SHA",
            Some("4f193c90be6e0aed1752e8aa0daee95a"),
        ),
        (
            LegacyConsole::vita_3_73("h.test"),
            "TLS 1.2",
            "RSA_WITH_AES_256_CBC_SHA256",
            Some("fc2299d5b2964cd242c5a2c8c531a5f0"),
        ),
    ] {
        let (chosen, flows) = through(&console).await;
        let first = console.first_suite();
        assert_eq!(chosen, first, "{console:?}: the console's first choice is taken");
        let hello = flows[0].hello.as_ref().unwrap();
        assert_eq!(hello.highest_version(), version, "{console:?}");
        if let Some(ja3) = ja3 {
            assert_eq!(hello.ja3, ja3, "{console:?}");
        }
        assert!(flows[0].intercepted);
        let note = format!("opened with {version} and {suite}, which protects nothing any more");
        let noted = |note: &str| flows[0].notes.iter().any(|one| one.starts_with(note));
        assert!(noted(&note), "{:?}", flows[0].notes);
        // The Vita of 3.73 says that it can check SHA-256; the others do not say.
        let of_sha1 = flows[0].notes.iter().any(|note| note.contains("signed with SHA-1"));
        assert_eq!(of_sha1, version != "TLS 1.2", "{:?}", flows[0].notes);
        let inner: Vec<_> = flows[1..].iter().map(|flow| (flow.kind, flow.status())).collect();
        assert_eq!(inner, [(Kind::Http, Some(200)); 2], "{console:?}");
    }
}

#[tokio::test]
async fn every_suite_of_theirs_works_alone() {
    for suite in ["AES256-SHA", "AES128-SHA", "DES-CBC3-SHA", "RC4-SHA", "RC4-MD5"] {
        for console in [LegacyConsole::ps3_4_81(), LegacyConsole::vita()] {
            let (chosen, flows) = through(&console.with_suites(suite)).await;
            assert_eq!((&*chosen, flows[0].intercepted), (suite, true));
        }
    }
}

/// The octets of the captures, which no library sends: the answer must be a ServerHello with the
/// console's first suite.
#[tokio::test]
async fn the_documented_hellos_are_answered() {
    for (hello, version, suite) in [
        (LegacyHello::ps3_4_75(), 0x0301, 0x000a),
        (LegacyHello::ps3_4_81(), 0x0301, 0x0035),
        (LegacyHello::ps3_4_82("h.test"), 0x0302, 0x0035),
        (LegacyHello::vita(), 0x0302, 0x0035),
        (LegacyHello::vita_3_73("h.test"), 0x0303, 0x003d),
    ] {
        assert_eq!(answered(&hello.bytes()).await, (version, suite), "{hello:?}");
    }
}

/// TLS 1.0 in the framing of SSL 2.0 (RFC 5246 E.2): {35, 2f, 0a} and two of SSL 2.0 itself.
#[tokio::test]
async fn a_hello_in_the_framing_of_ssl_2_is_answered() {
    let specs = [[0x07, 0, 0xc0], [0, 0, 0x35], [0, 0, 0x2f], [0, 0, 0x0a], [0x01, 0, 0x80]];
    let mut message = vec![1, 3, 1, 0, 15, 0, 0, 0, 32];
    message.extend(specs.concat());
    message.extend(1..=32);
    let mut octets = vec![0x80, u8::try_from(message.len()).unwrap()];
    octets.extend(message);
    assert_eq!(answered(&octets).await, (0x0301, 0x0035));
}

/// Version and suite of the ServerHello that answers these octets.
async fn answered(hello: &[u8]) -> (u16, u16) {
    let (_origin, proxy) = allowing().await;
    let mut tcp = tunnel(&proxy, "h.test").await;
    tcp.write_all(hello).await.unwrap();
    let mut head = [0; 5 + 4 + 2 + 32 + 1];
    tokio::time::timeout(LIMIT, tcp.read_exact(&mut head)).await.unwrap().unwrap();
    assert_eq!((head[0], head[5]), (0x16, 2), "a ServerHello: {}", head.escape_ascii());
    let mut rest = vec![0; usize::from(head[43]) + 2];
    tcp.read_exact(&mut rest).await.unwrap();
    let number = |two: &[u8]| u16::from_be_bytes([two[0], two[1]]);
    (number(&head[9..11]), number(&rest[usize::from(head[43])..]))
}

#[tokio::test]
async fn without_the_name_of_the_host_nothing_weak_is_spoken() {
    let origin = TlsOrigin::start("h.test", &["http/1.1"], greet).await;
    let proxy = origin
        .proxy_with(|wanted| wanted.settings.tls.legacy = vec!["other.test".parse().unwrap()])
        .await;
    let ca = proxy.ca_pem.clone();
    // Passed on, to a server that speaks nothing of the kind.
    let refused = LegacyConsole::ps3_4_81().handshake(tunnel(&proxy, "h.test").await, &ca).await;
    assert!(refused.is_err());
    let flow = proxy.flow().await;
    assert_eq!((flow.kind, flow.intercepted), (Kind::Tunnel, false));
    assert_eq!(
        flow.policy.unwrap().because,
        "not opened: the client offers TLS 1.0 at most; --legacy-tls h.test would open it"
    );
}

/// What rustls can speak stays with rustls, even where more is allowed.
#[tokio::test]
async fn a_client_of_today_gets_todays_tls() {
    let (_origin, proxy) = allowing().await;
    let client = super::tls_peers::http1(&proxy).await;
    assert_eq!(client.get_ref().1.protocol_version(), Some(rustls::ProtocolVersion::TLSv1_3));
    drop(client);
    let flows = proxy.flows().await;
    assert!(flows[0].intercepted && flows[0].notes.is_empty(), "{:?}", flows[0].notes);
}

#[tokio::test]
async fn an_old_console_that_does_not_trust_us_is_left_alone() {
    let (_origin, proxy) = allowing().await;
    let maker = tempfile::tempdir().unwrap();
    let maker = consoletap_tls::Authority::load_or_create(maker.path()).unwrap();
    for _ in 0..2 {
        let tcp = tunnel(&proxy, "h.test").await;
        assert!(LegacyConsole::vita().handshake(tcp, maker.certificate_pem()).await.is_err());
        tokio::time::timeout(LIMIT, proxy.all_finished()).await.unwrap();
    }
    let flows = proxy.flows().await;
    assert_eq!(flows[0].kind, Kind::TlsFailure);
    let cause = &flows[0].finished.as_ref().unwrap().failure.as_ref().unwrap().cause;
    assert!(cause.starts_with("the console rejected our certificate (unknown_ca)"), "{cause}");
    assert_eq!(flows[1].kind, Kind::Tunnel);
    let because = &flows[1].policy.as_ref().unwrap().because;
    assert!(because.contains("refused our certificate before"), "{because}");
}

/// The client that everybody has, where it still has the suites.
#[tokio::test]
async fn openssl_s_client_is_opened_from_tls_1_0_up() {
    let found = std::process::Command::new("openssl").arg("version").output();
    if found.is_err() {
        eprintln!("SKIPPED: there is no openssl to test with");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (_origin, proxy) = allowing().await;
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, &proxy.ca_pem).unwrap();
    for (version, suite) in [
        ("-tls1", "AES256-SHA"),
        ("-tls1", "AES128-SHA"),
        ("-tls1_1", "AES256-SHA"),
        ("-tls1_1", "ECDHE-RSA-AES128-SHA"),
        ("-tls1_2", "AES256-SHA256"),
        ("-tls1_2", "AES128-SHA256"),
        ("-tls1_2", "AES128-SHA"),
        ("-tls1_2", "DHE-RSA-AES128-SHA"),
    ] {
        let mut client = tokio::process::Command::new("openssl")
            .args(["s_client", "-quiet", "-connect", "h.test:443", "-servername", "h.test"])
            .args(["-proxy", &proxy.address.to_string(), version])
            .args(["-cipher", &format!("{suite}:@SECLEVEL=0"), "-verify_return_error", "-CAfile"])
            .arg(&ca)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut stdin = client.stdin.take().unwrap();
        let request = b"GET / HTTP/1.1\r\nHost: h.test\r\nConnection: close\r\n\r\n";
        stdin.write_all(request).await.unwrap();
        let output = tokio::time::timeout(LIMIT, client.wait_with_output()).await.unwrap().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.stdout.ends_with(b"hello"), "{version} {suite}: {said}");
    }
    let flows = proxy.flows().await;
    assert_eq!(flows.iter().filter(|flow| flow.intercepted).count(), 8);
}
