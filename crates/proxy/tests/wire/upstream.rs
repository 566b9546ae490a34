//! Connections to servers: how long they are kept, for whom, and what they are verified against.

use std::net::SocketAddr;
use std::time::Duration;

use consoletap_flow::State;
use rustls::HandshakeKind;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::harness::{LIMIT, Tested};
use super::tls_peers::{self, ServerTls, TlsOrigin, before};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A server whose connections are handed to the test.
async fn by_hand() -> (SocketAddr, mpsc::UnboundedReceiver<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, receiver) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            if sender.send(tcp).is_err() {
                return;
            }
        }
    });
    (address, receiver)
}

/// Reads a head from a server's connection and answers it.
async fn serve_one(tcp: &mut TcpStream) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        assert!(tcp.read_buf(&mut head).await.unwrap() > 0, "a request comes");
    }
    tcp.write_all(OK).await.unwrap();
}

async fn ask(proxy: &Tested) -> super::harness::Client {
    let mut client = proxy.connect().await;
    client.send("GET http://h.test/ HTTP/1.1\r\nHost: h.test\r\n\r\n").await;
    client
}

#[tokio::test]
async fn a_connection_that_nobody_uses_is_closed() {
    let (address, mut connections) = by_hand().await;
    let proxy = before(address, |wanted| {
        wanted.settings.deadlines.idle_upstream = Duration::from_millis(20);
    })
    .await;
    let mut client = ask(&proxy).await;
    let mut server = connections.recv().await.unwrap();
    serve_one(&mut server).await;
    client.until("ok").await;
    let closed = tokio::time::timeout(LIMIT, server.read_u8()).await.expect("it is closed");
    assert!(closed.is_err());
}

#[tokio::test]
async fn octets_that_nobody_asked_for_end_a_kept_connection() {
    let (address, mut connections) = by_hand().await;
    let proxy = before(address, |_| {}).await;
    let mut client = ask(&proxy).await;
    let mut first = connections.recv().await.unwrap();
    serve_one(&mut first).await;
    client.until("ok").await;
    first.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil").await.unwrap();
    client.send("GET http://h.test/ HTTP/1.1\r\nHost: h.test\r\n\r\n").await;
    let mut second = connections.recv().await.unwrap();
    serve_one(&mut second).await;
    assert!(client.until("ok").await.ends_with("\r\n\r\nok"));
}

#[tokio::test]
async fn a_request_that_cannot_be_repeated_takes_no_old_connection() {
    let (address, mut connections) = by_hand().await;
    let proxy = before(address, |_| {}).await;
    let mut client = ask(&proxy).await;
    let mut first = connections.recv().await.unwrap();
    serve_one(&mut first).await;
    client.until("ok").await;
    // Older than the second for which a server is believed not to be closing it just now.
    tokio::time::sleep(Duration::from_millis(1050)).await;
    let post = "POST http://h.test/ HTTP/1.1\r\nHost: h.test\r\nContent-Length: 0\r\n\r\n";
    client.send(post).await;
    let mut second = connections.recv().await.unwrap();
    serve_one(&mut second).await;
    client.until("ok").await;
}

async fn close_after_one(mut tls: ServerTls) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && tls.read_buf(&mut head).await.unwrap_or(0) > 0 {}
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
    tls.write_all(answer).await.unwrap();
    tls.shutdown().await.unwrap();
}

async fn get_inside(tls: &mut tls_peers::ClientTls, host: &str) -> String {
    let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
    tls.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // Our own pages end with a line, heads with CRLF.
    let is_page = |octets: &[u8]| octets.ends_with(b"\n") && !octets.ends_with(b"\r\n");
    while !answer.ends_with(b"ok") && !is_page(&answer) {
        let reading = tls.read_buf(&mut answer);
        let count = tokio::time::timeout(LIMIT, reading).await.unwrap().unwrap();
        if count == 0 {
            break;
        }
    }
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn tls_is_resumed_on_a_second_connection() {
    let origin = TlsOrigin::start("h.test", &["http/1.1"], close_after_one).await;
    let proxy = origin.proxy().await;
    let mut client = tls_peers::http1(&proxy).await;
    for _ in 0..3 {
        assert!(get_inside(&mut client, "h.test").await.ends_with("ok"));
    }
    let handshakes: Vec<_> =
        origin.handshakes.lock().unwrap().iter().map(|(kind, _)| *kind).collect();
    assert_eq!(handshakes, [HandshakeKind::Full, HandshakeKind::Resumed, HandshakeKind::Resumed]);
}

#[tokio::test]
async fn a_certificate_that_is_not_checked_is_in_the_row() {
    let origin = TlsOrigin::start("other.name", &["http/1.1"], close_after_one).await;
    for (insecure, status) in [(false, 502), (true, 200)] {
        let proxy = origin
            .proxy_with(|wanted| {
                if insecure {
                    wanted.trust.insecure = vec!["h.test".parse().unwrap()];
                }
            })
            .await;
        let mut client = tls_peers::http1(&proxy).await;
        let answer = get_inside(&mut client, "h.test").await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        drop(client);
        let flows = proxy.flows().await;
        let noted = flows[1].notes.iter().any(|note| note.contains("not checked"));
        assert_eq!(noted, insecure, "{:?}", flows[1].notes);
    }
}

#[tokio::test]
async fn a_client_that_connects_by_address_is_led_there_under_the_name_it_asks_for() {
    let origin = TlsOrigin::start("h.test", &["http/1.1"], close_after_one).await;
    let proxy = origin.proxy().await;
    let target = origin.address.to_string();
    let config = tls_peers::offering(&proxy, &["http/1.1"]);
    let mut client = tls_peers::tls(&proxy, &target, "h.test", config).await.unwrap();
    assert!(get_inside(&mut client, "h.test").await.ends_with("ok"));
    drop(client);
    let seen = origin.handshakes.lock().unwrap().clone();
    assert_eq!(seen[0].1.as_deref(), Some("h.test"));
    let flows = proxy.flows().await;
    assert_eq!(flows[0].target.as_ref().unwrap().to_string(), target);
    assert_eq!(flows[0].hello.as_ref().unwrap().sni.as_deref(), Some("h.test"));
    assert_eq!(flows[1].finished.as_ref().unwrap().server, Some(origin.address));
    assert_eq!((flows[1].state(), flows[1].notes.len()), (State::Complete, 0));
}

#[tokio::test]
async fn a_client_without_a_name_gets_a_certificate_for_the_address() {
    let origin = TlsOrigin::start("127.0.0.1", &["http/1.1"], close_after_one).await;
    let proxy = origin.proxy().await;
    let target = origin.address.to_string();
    let config = tls_peers::offering(&proxy, &["http/1.1"]);
    let mut client = tls_peers::tls(&proxy, &target, "127.0.0.1", config).await.unwrap();
    let answer = get_inside(&mut client, &target).await;
    assert!(answer.ends_with("ok"), "{answer}");
    drop(client);
    let flows = proxy.flows().await;
    assert_eq!(flows[0].hello.as_ref().unwrap().sni, None);
    assert_eq!(flows[1].target.as_ref().unwrap().to_string(), format!("https://{target}/"));
}

#[tokio::test]
async fn a_url_inside_a_tunnel_is_not_sent_over_the_tunnels_connection() {
    let (address, mut connections) = by_hand().await;
    let origin = TlsOrigin::start("h.test", &["http/1.1"], close_after_one).await;
    let proxy = origin
        .proxy_with(|wanted| {
            let redirect = format!("plain.test={address}").parse().unwrap();
            wanted.settings.redirects.insert(0, redirect);
        })
        .await;
    let mut client = tls_peers::http1(&proxy).await;
    let request = "GET http://plain.test/ HTTP/1.1\r\nHost: plain.test\r\n\r\n";
    client.write_all(request.as_bytes()).await.unwrap();
    let mut server = connections.recv().await.unwrap();
    serve_one(&mut server).await;
    let mut answer = vec![0; OK.len()];
    client.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, OK);
    assert!(origin.handshakes.lock().unwrap().is_empty());
}
