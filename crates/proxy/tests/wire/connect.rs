//! CONNECT and blind tunnels.

use std::time::Duration;

use consoletap_flow::{Kind, State};
use consoletap_proxy::{Deadlines, Settings};
use consoletap_simulator::{Act, RawOrigin};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::harness::{LIMIT, Tested, Wanted};

fn connect(to: impl std::fmt::Display) -> String {
    format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n\r\n")
}

#[tokio::test]
async fn a_target_that_cannot_be_is_refused_with_a_row() {
    for target in ["h", "h:", "h:0", "h:65536", ":443", "h:x", "[::1]", "u@h:443", "http://h/", "/"]
    {
        let proxy = Tested::start().await;
        let answer = proxy.say(connect(target)).await;
        assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{target}: {answer}");
        let flow = proxy.flow().await;
        assert_eq!((flow.kind, flow.status()), (Kind::Refused, Some(400)), "{target}");
        assert!(flow.finished.unwrap().failure.unwrap().cause.contains("CONNECT needs host:port"));
    }
}

#[tokio::test]
async fn the_server_is_dialled_before_200_is_said() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = gone.local_addr().unwrap();
    drop(gone);
    let proxy = Tested::start().await;
    let answer = proxy.say(connect(address)).await;
    assert!(answer.starts_with("HTTP/1.1 502 Bad Gateway\r\n"), "{answer}");
    let flow = proxy.flow().await;
    assert_eq!((flow.kind, flow.state()), (Kind::Tunnel, State::UpstreamError));
}

#[tokio::test]
async fn octets_that_are_no_tls_pass_both_ways_and_half_closes_are_kept() {
    let origin = RawOrigin::play(vec![
        Act::ReadUntil("early".into()),
        Act::Send("answer".into()),
        Act::ReadUntil("late".into()),
        Act::FinishSending,
        Act::Hold,
    ])
    .await
    .unwrap();
    let proxy = Tested::start().await;
    let mut client = proxy.connect().await;
    // What comes with the CONNECT itself is part of the tunnel.
    client.send(connect(origin.address()) + "early").await;
    let head = client.until("\r\n\r\n").await;
    assert_eq!(head, "HTTP/1.1 200 Connection established\r\n\r\n");
    client.until("answer").await;
    client.send("late").await;
    assert_eq!(client.rest().await, "", "the server's end came through");
    client.send("still open").await;
    client.tcp.shutdown().await.unwrap();
    drop(client);
    let flow = wait_for_end(proxy).await;
    assert_eq!(origin.received(), [b"earlylatestill open"]);
    assert_eq!((flow.kind, flow.state()), (Kind::Tunnel, State::Complete));
    assert_eq!((flow.request_bytes, flow.response_bytes), (19, 6));
}

/// Lets the tunnel end by itself before the proxy is stopped.
async fn wait_for_end(proxy: Tested) -> consoletap_flow::Flow {
    tokio::time::timeout(LIMIT, proxy.all_finished()).await.expect("the flows end");
    proxy.flow().await
}

#[tokio::test]
async fn a_server_that_speaks_first_is_not_waited_for() {
    let origin = RawOrigin::play(vec![Act::Send("220 hello\r\n".into()), Act::Hold]).await.unwrap();
    let deadlines = Deadlines { hello: Duration::from_secs(60), ..Deadlines::default() };
    let settings = Settings { deadlines, ..Settings::default() };
    let proxy = Tested::with(Wanted { settings, ..Wanted::default() }).await;
    let mut client = proxy.connect().await;
    client.send(connect(origin.address())).await;
    client.until("\r\n\r\n").await;
    assert_eq!(client.until("\r\n").await, "220 hello\r\n");
}

#[tokio::test]
async fn a_large_transfer_comes_through_whole() {
    const SIZE: usize = 96 << 20;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        let (mut tcp, _) = listener.accept().await.unwrap();
        let mut hello = [0; 2];
        tcp.read_exact(&mut hello).await.unwrap();
        let block: Vec<u8> = (0..1 << 20).map(|i: u32| (i % 251) as u8).collect();
        for _ in 0..SIZE >> 20 {
            tcp.write_all(&block).await.unwrap();
        }
    });
    let proxy = Tested::start().await;
    let mut client = proxy.connect().await;
    client.send(connect(address) + "go").await;
    client.until("\r\n\r\n").await;
    let mut hasher = blake3::Hasher::new();
    let mut count = client.read.len();
    hasher.update(&client.read);
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read =
            tokio::time::timeout(LIMIT, client.tcp.read(&mut buffer)).await.unwrap().unwrap();
        if read == 0 {
            break;
        }
        count += read;
        hasher.update(&buffer[..read]);
    }
    server.await.unwrap();
    let block: Vec<u8> = (0..1 << 20).map(|i: u32| (i % 251) as u8).collect();
    let mut expected = blake3::Hasher::new();
    for _ in 0..SIZE >> 20 {
        expected.update(&block);
    }
    assert_eq!(count, SIZE);
    assert_eq!(hasher.finalize(), expected.finalize());
    drop(client);
    let flow = wait_for_end(proxy).await;
    assert_eq!((flow.request_bytes, flow.response_bytes), (2, SIZE as u64));
}

#[tokio::test]
async fn a_hello_is_read_and_passed_on_to_the_octet() {
    let hello = consoletap_simulator::LegacyHello::ps3_4_75();
    let octets = hello.bytes();
    let origin =
        RawOrigin::play(vec![Act::Read(octets.len()), Act::Send("x".into())]).await.unwrap();
    let proxy = Tested::start().await;
    let mut client = proxy.connect().await;
    client.send(connect(origin.address())).await;
    client.until("\r\n\r\n").await;
    // A hello in single octets is a hello too.
    for octet in &octets {
        client.send([*octet]).await;
    }
    client.until("x").await;
    drop(client);
    let flow = wait_for_end(proxy).await;
    assert_eq!(origin.received(), [octets]);
    let seen = flow.hello.unwrap();
    assert_eq!((seen.sni, seen.ja3.as_str()), (None, "020944dd06c6d915f917237ca3ca4c14"));
    assert_eq!(seen.suites, [0x000a, 0x0005, 0x0004]);
}

#[tokio::test]
async fn a_silent_client_is_passed_on_after_the_deadline() {
    let origin =
        RawOrigin::play(vec![Act::ReadUntil("late".into()), Act::Send("ok".into())]).await.unwrap();
    let deadlines = Deadlines { hello: Duration::from_millis(30), ..Deadlines::default() };
    let settings = Settings { deadlines, ..Settings::default() };
    let proxy = Tested::with(Wanted { settings, ..Wanted::default() }).await;
    let mut client = proxy.connect().await;
    client.send(connect(origin.address())).await;
    client.until("\r\n\r\n").await;
    // The beginning of something that could become TLS, and then nothing for a while.
    client.send([0x16]).await;
    tokio::time::sleep(Duration::from_millis(60)).await;
    client.send("late").await;
    client.until("ok").await;
}

#[tokio::test]
async fn a_tunnel_ends_with_the_proxy_and_its_row_says_so() {
    let origin = RawOrigin::play(vec![Act::Send("hi".into()), Act::Hold]).await.unwrap();
    let proxy = Tested::start().await;
    let mut client = proxy.connect().await;
    client.send(connect(origin.address())).await;
    client.until("hi").await;
    let flow = proxy.flow().await;
    assert_eq!(flow.response_bytes, 2);
    assert_eq!(flow.finished.unwrap().failure.unwrap().cause, "the proxy was stopped");
}
