//! Where a request is for, in every spelling.

use consoletap_flow::{Kind, State};
use consoletap_proxy::Settings;
use consoletap_simulator::{Act, RawOrigin, World};
use consoletap_tls::TrustSettings;

use super::{OK, OK_AND_CLOSE, before, received, send};
use crate::wire::harness::{Tested, Wanted};

#[tokio::test]
async fn the_target_decides_and_host_follows_it() {
    for (line, host, sent) in [
        ("GET http://h.test HTTP/1.1", "h.test", "GET / HTTP/1.1\r\nHost: h.test"),
        ("GET HTTP://H.Test:80/a HTTP/1.1", "h.test", "GET /a HTTP/1.1\r\nHost: h.test"),
        ("GET http://h.test?q HTTP/1.1", "H.TEST", "GET /?q HTTP/1.1\r\nHost: H.TEST"),
        ("GET http://h.test/ HTTP/1.1", "evil.example", "GET / HTTP/1.1\r\nHost: h.test"),
        ("GET http://h.test/ HTTP/1.1", "", "GET / HTTP/1.1\r\nHost: h.test"),
        ("GET http://h.test:81/ HTTP/1.1", "h.test", "GET / HTTP/1.1\r\nHost: h.test:81"),
        ("GET http://h.test./ HTTP/1.1", "h.test.", "GET / HTTP/1.1\r\nHost: h.test."),
        (
            "GET http://h.test//a/../b%2e?u=http://x/ HTTP/1.1",
            "h.test",
            "GET //a/../b%2e?u=http://x/ HTTP/1.1\r\nHost: h.test",
        ),
        ("OPTIONS http://h.test HTTP/1.1", "h.test", "OPTIONS * HTTP/1.1\r\nHost: h.test"),
        ("OPTIONS http://h.test/ HTTP/1.1", "h.test", "OPTIONS / HTTP/1.1\r\nHost: h.test"),
    ] {
        let origin = RawOrigin::answer(OK_AND_CLOSE).await.unwrap();
        let proxy = before(&origin).await;
        let answer =
            proxy.say(format!("{line}\r\nHost: {host}\r\nConnection: close\r\n\r\n")).await;
        assert!(answer.ends_with("ok"), "{line} gave {answer}");
        assert_eq!(received(&origin, 0), format!("{sent}\r\n\r\n"), "{line}");
    }
}

#[tokio::test]
async fn targets_that_lead_nowhere_are_refused() {
    for target in [
        "http:///p",
        "http://:80/p",
        "http://h.test:0/",
        "http://h.test:65536/",
        "http://h.test:+80/",
        "http://h.test:80:80/",
        "http://me:pass@h.test/",
        "http://me@h.test/",
        "http://h\\test/",
        "http://[::1/",
        "http://[::1]x/",
        "http://[fe80::1%25eth0]/",
        "ftp://h.test/",
        "h.test:80",
        "h.test",
        "/p",
        "*",
        "?q",
    ] {
        let origin = RawOrigin::answer(OK).await.unwrap();
        let proxy = before(&origin).await;
        let answer = proxy.say(format!("GET {target} HTTP/1.1\r\nHost: h.test\r\n\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{target} gave {answer}");
        assert!(origin.received().is_empty(), "{target} went on");
        let flow = proxy.flow().await;
        assert_eq!((flow.kind, flow.state()), (Kind::Refused, State::Refused), "{target}");
        assert_eq!(flow.request.unwrap().target, *target);
    }
}

#[tokio::test]
async fn an_ipv6_address_stands_in_brackets() {
    let listener = tokio::net::TcpListener::bind("[::1]:0").await;
    let Ok(listener) = listener else { return };
    let address = listener.local_addr().unwrap();
    let answering = tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let (mut tcp, _) = listener.accept().await.unwrap();
        let mut read = vec![0; 4096];
        let count = tcp.read(&mut read).await.unwrap();
        tcp.write_all(OK_AND_CLOSE.as_bytes()).await.unwrap();
        String::from_utf8(read[..count].to_vec()).unwrap()
    });
    let settings = Settings { via: false, ..Settings::default() };
    let proxy = Tested::with(Wanted { settings, ..Wanted::default() }).await;
    let answer = proxy.say(format!("GET http://{address}/p HTTP/1.0\r\n\r\n")).await;
    assert!(answer.ends_with("ok"), "{answer}");
    assert_eq!(answering.await.unwrap(), format!("GET /p HTTP/1.1\r\nHost: {address}\r\n\r\n"));
}

#[tokio::test]
async fn every_spelling_that_leads_back_to_us_is_a_loop() {
    let proxy = Tested::start().await;
    let port = proxy.address.port();
    let spellings = [
        "localhost",
        "LOCALHOST",
        "localhost.",
        "0.0.0.0",
        "[::]",
        "2130706433",
        "0x7f.1",
        "127.1",
        "0177.0.0.1",
    ];
    for host in spellings {
        let answer = proxy.say(format!("GET http://{host}:{port}/ HTTP/1.0\r\n\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 508 Loop Detected\r\n"), "{host} gave {answer}");
    }
    // A tunnel to ourselves would ask us for the next one.
    let own = proxy.address;
    let answer = proxy.say(format!("CONNECT {own} HTTP/1.1\r\nHost: {own}\r\n\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 508 Loop Detected\r\n"), "{answer}");
    let flows = proxy.flows().await;
    assert_eq!(flows.len(), spellings.len() + 1, "nothing came back in");
    assert!(flows.iter().all(|flow| flow.state() == State::Refused));
}

#[tokio::test]
async fn a_redirect_back_to_us_is_a_loop_too() {
    // The proxy's port is known only once it listens, so the redirect names no port.
    let settings =
        Settings { redirects: vec!["*.test=127.0.0.1".parse().unwrap()], ..Settings::default() };
    let proxy = Tested::with(Wanted { settings, ..Wanted::default() }).await;
    let answer =
        proxy.say(format!("GET http://h.test:{}/ HTTP/1.0\r\n\r\n", proxy.address.port())).await;
    assert!(answer.starts_with("HTTP/1.1 508 "), "{answer}");
}

/// A name that no resolver has to be asked for: its label is longer than labels are.
fn unknown() -> String {
    format!("{}.example", "x".repeat(64))
}

#[tokio::test]
async fn a_server_that_refuses_and_a_name_that_is_none_are_told_apart() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = listener.local_addr().unwrap();
    drop(listener);
    let proxy = Tested::start().await;
    for (host, cause) in
        [(closed.to_string(), "refused the connection"), (unknown(), "is not known")]
    {
        let answer = proxy
            .say(format!(
                "GET http://{host}/ HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
            ))
            .await;
        assert!(answer.starts_with("HTTP/1.1 502 Bad Gateway\r\n"), "{answer}");
        assert!(answer.contains(cause), "{answer}");
    }
    for flow in proxy.flows().await {
        assert_eq!((flow.state(), flow.status()), (State::UpstreamError, Some(502)));
    }
}

#[tokio::test]
async fn a_failed_get_leaves_the_client_its_connection() {
    let origin = RawOrigin::play(vec![Act::ReadHead, send(OK)]).await.unwrap();
    let proxy = before(&origin).await;
    let mut client = proxy.connect().await;
    client.send(format!("GET http://{0}/ HTTP/1.1\r\nHost: {0}\r\n\r\n", unknown())).await;
    let head = client.until("\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 502 ") && !head.contains("close"), "{head}");
    client.send(super::GET_AND_CLOSE).await;
    let rest = client.rest().await;
    assert!(rest.ends_with("\r\n\r\nok"), "{rest}");
}

#[tokio::test]
async fn an_https_target_is_fetched_over_tls_that_is_verified() {
    let world = World::start().await.unwrap();
    let request = "GET https://get.net.playstation.net/networktest/get_2m HTTP/1.1\r\nHost: get.net.playstation.net\r\nConnection: close\r\n\r\n";
    let redirects = world.resolve_rules().iter().map(|rule| rule.parse().unwrap()).collect();
    let settings = Settings { redirects, ..Settings::default() };
    let certs = tempfile::tempdir().unwrap();
    let root = certs.path().join("root.pem");
    std::fs::write(&root, world.ca_pem()).unwrap();
    let trusting = Wanted {
        settings: settings.clone(),
        trust: TrustSettings { extra_roots: vec![root.into()], ..TrustSettings::default() },
        ..Wanted::default()
    };
    let proxy = Tested::with(trusting).await;
    let answer = proxy.say(request).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer:.200}");
    let proxy = Tested::with(Wanted { settings, ..Wanted::default() }).await;
    let answer = proxy.say(request).await;
    assert!(answer.starts_with("HTTP/1.1 502 Bad Gateway\r\n"), "{answer:.200}");
    assert_eq!(proxy.flow().await.state(), State::UpstreamError);
}
