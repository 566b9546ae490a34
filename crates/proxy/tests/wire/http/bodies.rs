//! Bodies: every octet of them, at the pace of the slower side, and never a half one that looks
//! whole.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use consoletap_flow::{Flow, State};
use consoletap_simulator::{Act, RawOrigin};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::{GET, OK, before, received, send, settings, until};
use crate::wire::harness::{Client, LIMIT, Tested, Wanted};

const SIZE: usize = 64 << 20;
const BLOCK: usize = 64 << 10;

/// What sockets and the proxy may hold of a body that nobody reads: the buffers of two loopback
/// connections, which the kernel lets grow to some 10 MiB each, and little more.
const IN_BETWEEN: u64 = 40 << 20;

/// Octets that repeat nowhere near, so that a lost or doubled block changes the hash.
fn block(index: usize) -> Vec<u8> {
    let mut block = vec![0; BLOCK];
    blake3::Hasher::new().update(&index.to_le_bytes()).finalize_xof().fill(&mut block);
    block
}

fn hash_of_all() -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    (0..SIZE / BLOCK).for_each(|index| {
        hasher.update(&block(index));
    });
    hasher.finalize()
}

/// A server that takes one connection, and what is done with it.
async fn server<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    serve: impl FnOnce(TcpStream) -> F + Send + 'static,
) -> (SocketAddr, JoinHandle<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move {
        let (tcp, _) = listener.accept().await.unwrap();
        serve(tcp).await
    });
    (address, serving)
}

async fn before_address(address: SocketAddr) -> Tested {
    Tested::with(Wanted { settings: settings(address, |_| {}), ..Wanted::default() }).await
}

async fn read_head(tcp: &mut TcpStream) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(tcp.read_u8().await.unwrap());
    }
}

async fn hash_of(tcp: &mut TcpStream, mut read: Vec<u8>, size: usize) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    let mut left = size;
    loop {
        hasher.update(&read);
        left -= read.len();
        if left == 0 {
            return hasher.finalize();
        }
        read.clear();
        read.reserve(BLOCK);
        let count = timeout(LIMIT, tcp.read_buf(&mut read)).await.expect("it goes on").unwrap();
        assert!(count > 0, "{left} octets are missing");
    }
}

async fn take_all(client: &mut Client) -> blake3::Hash {
    let read = std::mem::take(&mut client.read);
    hash_of(&mut client.tcp, read, SIZE).await
}

/// Writes all blocks, and counts what the socket took.
async fn send_all(tcp: &mut TcpStream, sent: &AtomicU64) -> io::Result<()> {
    for index in 0..SIZE / BLOCK {
        tcp.write_all(&block(index)).await?;
        sent.fetch_add(BLOCK as u64, Ordering::Relaxed);
    }
    Ok(())
}

/// Resolves once a count has not grown for a while: whoever sends has been stopped.
async fn stalled(sent: &AtomicU64) -> u64 {
    let mut before = u64::MAX;
    loop {
        let now = sent.load(Ordering::Relaxed);
        if now == before && now > 0 {
            return now;
        }
        before = now;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn the_flow(proxy: Tested) -> Flow {
    timeout(LIMIT, proxy.all_finished()).await.expect("the flow ends by itself");
    proxy.flow().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_stops_stops_the_server_and_misses_nothing() {
    let sent = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&sent);
    let (address, serving) = server(move |mut tcp| async move {
        read_head(&mut tcp).await;
        tcp.write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n").as_bytes())
            .await
            .unwrap();
        send_all(&mut tcp, &counted).await
    })
    .await;
    let proxy = before_address(address).await;
    let mut client = proxy.connect().await;
    client.send(GET).await;
    client.until("\r\n\r\n").await;
    let held = stalled(&sent).await;
    assert!(held < IN_BETWEEN, "{held} octets went out to a client that reads none");
    assert_eq!(take_all(&mut client).await, hash_of_all());
    serving.await.unwrap().unwrap();
    drop(client);
    let flow = the_flow(proxy).await;
    assert_eq!((flow.state(), flow.response_bytes), (State::Complete, SIZE as u64));
    let digest = flow.finished.unwrap().response_body.digest.unwrap();
    assert_eq!(digest.octets, *hash_of_all().as_bytes());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stops_reading_stops_the_client_and_misses_nothing() {
    let (go, wait) = tokio::sync::oneshot::channel::<()>();
    let (address, serving) = server(move |mut tcp| async move {
        read_head(&mut tcp).await;
        wait.await.unwrap();
        let hash = hash_of(&mut tcp, Vec::new(), SIZE).await;
        tcp.write_all(OK.as_bytes()).await.unwrap();
        hash
    })
    .await;
    let proxy = before_address(address).await;
    let mut client = proxy.connect().await;
    client
        .send(format!(
            "PUT http://h.test/ HTTP/1.1\r\nHost: h.test\r\nContent-Length: {SIZE}\r\n\r\n"
        ))
        .await;
    let sent = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&sent);
    let uploading = tokio::spawn(async move {
        send_all(&mut client.tcp, &counted).await.unwrap();
        client
    });
    let held = stalled(&sent).await;
    assert!(held < IN_BETWEEN, "{held} octets were taken for a server that reads none");
    go.send(()).unwrap();
    assert_eq!(serving.await.unwrap(), hash_of_all());
    let mut client = uploading.await.unwrap();
    assert_eq!(client.until("ok").await, OK);
    drop(client);
    let flow = the_flow(proxy).await;
    assert_eq!((flow.state(), flow.request_bytes), (State::Complete, SIZE as u64));
}

#[tokio::test]
async fn what_has_come_goes_on_at_once() {
    // Each side waits for the other's chunk before it sends its next.
    let origin = RawOrigin::play(vec![
        until("\r\n1\r\na\r\n"),
        send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nA\r\n"),
        until("1\r\nb\r\n"),
        send("1\r\nB\r\n"),
        until("0\r\n\r\n"),
        send("0\r\n\r\n"),
    ])
    .await
    .unwrap();
    let proxy = before(&origin).await;
    let mut client = proxy.connect().await;
    client.send("POST http://h.test/ HTTP/1.1\r\nHost: h.test\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n").await;
    client.until("\r\n\r\n1\r\nA\r\n").await;
    client.send("1\r\nb\r\n").await;
    client.until("1\r\nB\r\n").await;
    client.send("0\r\n\r\n").await;
    client.until("0\r\n\r\n").await;
    drop(client);
    assert_eq!(the_flow(proxy).await.state(), State::Complete);
}

#[tokio::test]
async fn a_client_that_goes_ends_the_download_at_the_server() {
    let (address, serving) = server(|mut tcp| async move {
        read_head(&mut tcp).await;
        tcp.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await.unwrap();
        let chunk = format!("{BLOCK:x}\r\n{}\r\n", "x".repeat(BLOCK));
        while tcp.write_all(chunk.as_bytes()).await.is_ok() {}
    })
    .await;
    let proxy = before_address(address).await;
    let mut client = proxy.connect().await;
    client.send(GET).await;
    client.until("xxx").await;
    drop(client);
    timeout(LIMIT, serving).await.expect("the server is told").unwrap();
    assert_eq!(the_flow(proxy).await.state(), State::AbortedByClient);
}

#[tokio::test]
async fn a_client_that_goes_ends_the_upload_at_the_server() {
    let (begun, beginning) = tokio::sync::oneshot::channel();
    let (address, serving) = server(|mut tcp| async move {
        read_head(&mut tcp).await;
        begun.send(()).unwrap();
        let mut body = Vec::new();
        let _ = tcp.read_to_end(&mut body).await;
        body
    })
    .await;
    let proxy = before_address(address).await;
    let mut client = proxy.connect().await;
    client.send("PUT http://h.test/ HTTP/1.1\r\nHost: h.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n").await;
    beginning.await.unwrap();
    drop(client);
    let body = timeout(LIMIT, serving).await.expect("the server is told").unwrap();
    assert!(!body.ends_with(b"0\r\n\r\n"), "{} looks complete", body.escape_ascii());
    assert_eq!(the_flow(proxy).await.state(), State::AbortedByClient);
}

#[tokio::test]
async fn a_client_that_resets_ends_a_request_that_waits() {
    let (begun, beginning) = tokio::sync::oneshot::channel();
    let (address, serving) = server(|mut tcp| async move {
        read_head(&mut tcp).await;
        begun.send(()).unwrap();
        tcp.read(&mut [0]).await
    })
    .await;
    let proxy = before_address(address).await;
    let mut client = proxy.connect().await;
    client.send(GET).await;
    beginning.await.unwrap();
    client.tcp.set_zero_linger().unwrap();
    drop(client);
    let end = timeout(LIMIT, serving).await.expect("the server is told at once").unwrap();
    assert_eq!(end.unwrap_or(0), 0);
    assert_eq!(the_flow(proxy).await.state(), State::AbortedByClient);
}

/// The end that a client sees of an answer that breaks off.
async fn broken_off(answer: &str, request: &str, last: Act) -> (Vec<u8>, io::Result<usize>) {
    let origin = RawOrigin::play(vec![Act::ReadHead, send(answer), last]).await.unwrap();
    let proxy = before(&origin).await;
    let mut client = proxy.connect().await;
    client.send(request).await;
    let mut read = Vec::new();
    let end = timeout(LIMIT, client.tcp.read_to_end(&mut read)).await.expect("it ends");
    drop(client);
    let flow = the_flow(proxy).await;
    assert_eq!(flow.state(), State::Truncated, "{answer:?}");
    assert!(flow.finished.unwrap().failure.unwrap().cause.contains("broke off"));
    (read, end)
}

#[tokio::test]
async fn a_short_answer_is_short_for_the_client_too() {
    let announced = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf";
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n";
    for last in [Act::FinishSending, Act::Reset] {
        let (read, _) = broken_off(announced, GET, last.clone()).await;
        assert_eq!(String::from_utf8(read).unwrap(), announced, "what came is passed on");
        let (read, _) = broken_off(chunked, GET, last.clone()).await;
        let read = String::from_utf8(read).unwrap();
        assert!(!read.contains("\r\n0\r\n"), "{read}");
        // HTTP/1.0 has nothing but the end of the connection to tell, and a reset is no end.
        let (read, end) = broken_off(chunked, "GET http://h.test/ HTTP/1.0\r\n\r\n", last).await;
        assert_eq!(
            end.unwrap_err().kind(),
            io::ErrorKind::ConnectionReset,
            "{}",
            read.escape_ascii()
        );
    }
}

#[tokio::test]
async fn a_reset_is_no_end_of_a_body_that_ends_with_the_connection() {
    let answer = "HTTP/1.1 200 OK\r\n\r\nhalf";
    let (read, _) = broken_off(answer, GET, Act::Reset).await;
    assert!(!read.ends_with(b"0\r\n\r\n"), "{}", read.escape_ascii());
    let (_, end) = broken_off(answer, "GET http://h.test/ HTTP/1.0\r\n\r\n", Act::Reset).await;
    assert_eq!(end.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_body_of_many_small_chunks_keeps_every_octet() {
    let chunks: String =
        (1..=300).map(|size| format!("{size:x}\r\n{}\r\n", "y".repeat(size))).collect();
    let origin = RawOrigin::play(vec![until("0\r\n\r\n"), send(OK)]).await.unwrap();
    let proxy = before(&origin).await;
    let mut client = proxy.connect().await;
    client.send(format!("POST http://h.test/ HTTP/1.1\r\nHost: h.test\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}0\r\n\r\n")).await;
    client.until("ok").await;
    let sent = received(&origin, 0);
    let octets = sent.split_once("\r\n\r\n").unwrap().1.matches('y').count();
    assert_eq!(octets, 300 * 301 / 2);
    drop(client);
    assert_eq!(the_flow(proxy).await.request_bytes, octets as u64);
}
