//! Rules for tunnels, and rules inside of opened ones.

use std::fs;
use std::time::{Duration, Instant};

use consoletap_flow::{Flow, Kind, State};
use consoletap_proxy::TlsPolicy;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::{did, rule};
use crate::wire::harness::{LIMIT, Tested};
use crate::wire::tls_peers::{self, ClientTls, TlsOrigin, offering};

/// A proxy that opens what rules and this policy want.
async fn ruled(origin: &TlsOrigin, rules: &str, policy: TlsPolicy) -> (Tested, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rules.toml");
    fs::write(&file, rules).unwrap();
    let proxy = origin
        .proxy_with(|wanted| {
            wanted.rules = vec![file.to_str().unwrap().to_owned()];
            wanted.settings.tls = policy;
        })
        .await;
    (proxy, folder)
}

#[tokio::test]
async fn a_rule_opens_a_tunnel_that_the_settings_leave_alone() {
    let origin = sending(0).await;
    let (proxy, _folder) = ruled(&origin, &rule("tls = 'intercept'"), TlsPolicy::default()).await;
    let client = tls_peers::http1(&proxy).await;
    drop(client);
    let flows = proxy.flows().await;
    assert!(flows[0].intercepted, "{flows:#?}");
    assert_eq!(did(&flows[0]), ["r: wants the tunnel opened"]);
}

#[tokio::test]
async fn a_rule_keeps_a_tunnel_closed_that_the_settings_open() {
    let origin = sending(0).await;
    let policy = TlsPolicy { intercept_all: true, ..TlsPolicy::default() };
    let (proxy, _folder) = ruled(&origin, &rule("tls = 'tunnel'"), policy).await;
    // The server's own certificate comes through, which this client does not believe.
    let tls = tls_peers::tls(&proxy, "h.test:443", "h.test", offering(&proxy, &["http/1.1"])).await;
    assert!(tls.is_err());
    let flow = proxy.flow().await;
    assert_eq!((flow.kind, flow.intercepted), (Kind::Tunnel, false));
}

/// A server that takes a word, and then sends so many octets.
async fn sending(count: usize) -> TlsOrigin {
    TlsOrigin::start("h.test", &[], move |mut tls| async move {
        let mut word = [0; 4];
        let _ = tls.read_exact(&mut word).await;
        let _ = tls.write_all(&vec![b'x'; count]).await;
        let _ = tls.shutdown().await;
        let _ = tls.read_to_end(&mut Vec::new()).await;
    })
    .await
}

/// Real TLS in a tunnel that stays closed, to a server that was told to send.
async fn closed(origin: &TlsOrigin, rules: &str) -> (Tested, tempfile::TempDir, ClientTls) {
    let (proxy, folder) = ruled(origin, rules, TlsPolicy::default()).await;
    let config = tls_peers::offering_directly(&[]);
    let mut tls = tls_peers::tls(&proxy, "h.test:443", "h.test", config).await.unwrap();
    tls.write_all(b"send").await.unwrap();
    (proxy, folder, tls)
}

/// What comes until the end, and how that was.
async fn rest(tls: &mut ClientTls) -> (usize, std::io::Result<usize>) {
    let mut got = Vec::new();
    let end = tokio::time::timeout(LIMIT, tls.read_to_end(&mut got)).await.expect("it ends");
    assert!(got.iter().all(|octet| *octet == b'x'));
    (got.len(), end)
}

async fn ended(proxy: Tested) -> Flow {
    tokio::time::timeout(LIMIT, proxy.all_finished()).await.expect("the tunnel ends");
    let flow = proxy.flow().await;
    assert_eq!((flow.kind, flow.intercepted), (Kind::Tunnel, false));
    assert!(flow.hello.is_some() && flow.server_hello.is_some(), "the handshake is told: {flow:?}");
    flow
}

#[tokio::test]
async fn a_closed_tunnel_is_slow_both_ways() {
    let origin = sending(40_000).await;
    let rules = rule("throttle = { down = 80000 }");
    let (proxy, _folder, mut tls) = closed(&origin, &rules).await;
    let begun = Instant::now();
    let (count, end) = rest(&mut tls).await;
    end.unwrap();
    assert_eq!(count, 40_000);
    // A twentieth of a second goes in advance, and what came with the handshake.
    assert!(begun.elapsed() >= Duration::from_millis(380), "{:?}", begun.elapsed());
    drop(tls);
    let flow = ended(proxy).await;
    assert_eq!(did(&flow), ["r: at most 80000 bytes a second to the client"]);
    assert_eq!(flow.state(), State::Complete);

    let origin = sending(1).await;
    let rules = rule("throttle = { up = 60000 }");
    let (proxy, _folder, mut tls) = closed(&origin, &rules).await;
    let begun = Instant::now();
    tls.write_all(&vec![b'y'; 30_000]).await.unwrap();
    tls.shutdown().await.unwrap();
    rest(&mut tls).await.1.unwrap();
    drop(tls);
    let flow = ended(proxy).await;
    assert!(begun.elapsed() >= Duration::from_millis(380), "{:?}", begun.elapsed());
    assert!(flow.request_bytes > 30_000, "{}", flow.request_bytes);
}

#[tokio::test]
async fn a_closed_tunnel_is_cut_off() {
    let origin = sending(1 << 20).await;
    let (proxy, _folder, mut tls) = closed(&origin, &rule("fault = { cut = 20000 }")).await;
    let (count, end) = rest(&mut tls).await;
    assert!(count < 20_000, "{count}");
    assert!(end.is_err(), "TLS has an end of its own, and it did not come");
    let flow = ended(proxy).await;
    assert_eq!(did(&flow), ["r: cut the tunnel off after 20000 bytes"]);
    assert_eq!((flow.state(), flow.response_bytes), (State::Truncated, 20_000));
    let failure = flow.finished.unwrap().failure.unwrap();
    assert_eq!(failure.cause, "rule r cut the tunnel off after 20000 bytes");
}

#[tokio::test]
async fn a_closed_tunnel_stalls_and_stays() {
    let origin = sending(1 << 20).await;
    let (proxy, _folder, mut tls) = closed(&origin, &rule("fault = { stall = 20000 }")).await;
    let mut got = vec![0; 10_000];
    tls.read_exact(&mut got).await.unwrap();
    let more = tokio::time::timeout(Duration::from_millis(200), tls.read_to_end(&mut got)).await;
    assert!(more.is_err(), "nothing more comes, not even an end: {more:?}");
    // What the client says goes through all the same.
    tls.write_all(b"more").await.unwrap();
    drop(tls);
    let flow = ended(proxy).await;
    assert_eq!(did(&flow), ["r: let the tunnel stall after 20000 bytes"]);
    assert_eq!((flow.state(), flow.response_bytes), (State::AbortedByClient, 20_000));
}

#[tokio::test]
async fn a_wrong_octet_in_a_closed_tunnel_breaks_its_tls() {
    let origin = sending(1 << 20).await;
    let (proxy, _folder, mut tls) = closed(&origin, &rule("fault = { corrupt = 20000 }")).await;
    let (count, end) = rest(&mut tls).await;
    assert!(count < 20_000, "{count}");
    assert_eq!(end.unwrap_err().kind(), std::io::ErrorKind::InvalidData);
    drop(tls);
    assert_eq!(did(&ended(proxy).await), ["r: inverted the byte behind 20000"]);
}

#[tokio::test]
async fn one_octet_of_a_bulk_transfer_is_another_and_every_other_is_the_same() {
    const SIZE: usize = 4 << 20;
    const WRONG: usize = 3 << 20;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rules.toml");
    fs::write(&file, rule("fault = { corrupt = '3m' }")).unwrap();
    let proxy = tls_peers::before(address, |wanted| {
        wanted.rules = vec![file.to_str().unwrap().to_owned()];
        wanted.settings.tls = TlsPolicy::default();
    })
    .await;
    let mut client = proxy.connect().await;
    client.send("CONNECT h.test:443 HTTP/1.1\r\nHost: h.test:443\r\n\r\n>>").await;
    client.until("\r\n\r\n").await;
    let (mut server, _) = listener.accept().await.unwrap();
    let mut expected: Vec<u8> = (0..SIZE).map(|at| (at % 251) as u8).collect();
    let sent = expected.clone();
    let pushing = tokio::spawn(async move {
        server.write_all(&sent).await.unwrap();
    });
    let got = client.exactly(SIZE).await;
    pushing.await.unwrap();
    expected[WRONG] = !expected[WRONG];
    assert!(got == expected);
}
