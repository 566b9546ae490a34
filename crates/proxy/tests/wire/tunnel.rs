//! Blind tunnels under strain: what moves inside the kernel must come out whole, counted and in
//! order, however the two sides behave.

use std::time::Duration;

use bytes::Bytes;
use consoletap_flow::{Flow, State};
use consoletap_proxy::{Deadlines, Settings};
use consoletap_simulator::{Act, RawOrigin};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::harness::{LIMIT, Tested, Wanted};

/// A tunnel between two sockets that the test holds both.
struct Both {
    proxy: Tested,
    client: TcpStream,
    server: TcpStream,
}

async fn tunnel() -> Both {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let proxy = Tested::start().await;
    let mut client = proxy.connect().await;
    // No TLS can begin so, which is why nothing more is waited for.
    client.send(format!("CONNECT {address} HTTP/1.1\r\nHost: {address}\r\n\r\n>>")).await;
    client.until("\r\n\r\n").await;
    let (mut server, _) = listener.accept().await.unwrap();
    let mut first = [0; 2];
    server.read_exact(&mut first).await.unwrap();
    Both { proxy, client: client.tcp, server }
}

async fn ended(proxy: Tested) -> Flow {
    tokio::time::timeout(LIMIT, proxy.all_finished()).await.expect("the tunnel ends");
    proxy.flow().await
}

fn pattern(length: usize) -> Bytes {
    (0..length).map(|i| (i % 251) as u8).collect::<Vec<_>>().into()
}

async fn take(from: &mut TcpStream, length: usize) -> Vec<u8> {
    let mut octets = vec![0; length];
    tokio::time::timeout(LIMIT, from.read_exact(&mut octets)).await.unwrap().unwrap();
    octets
}

#[tokio::test]
async fn large_and_small_take_turns_both_ways() {
    let Both { proxy, mut client, mut server } = tunnel().await;
    let (large, small) = (pattern(3 << 20), pattern(10));
    let mut sent = 0;
    for octets in [&large, &small, &large, &small, &small, &large] {
        let up = octets.clone();
        let pushing = tokio::spawn(async move {
            client.write_all(&up).await.unwrap();
            client
        });
        assert!(take(&mut server, octets.len()).await == *octets);
        client = pushing.await.unwrap();
        server.write_all(&small).await.unwrap();
        assert!(take(&mut client, small.len()).await == small);
        sent += octets.len() as u64;
    }
    drop((client, server));
    let flow = ended(proxy).await;
    assert_eq!((flow.request_bytes, flow.response_bytes), (sent + 2, 6 * 10));
}

#[tokio::test]
async fn both_ways_at_once_and_a_slow_reader() {
    const SIZE: usize = 8 << 20;
    let Both { proxy, client, server } = tunnel().await;
    let (mut client_read, mut client_write) = client.into_split();
    let (mut server_read, mut server_write) = server.into_split();
    let octets = pattern(SIZE);
    let (up, down) = (octets.clone(), octets.clone());
    let upload = tokio::spawn(async move {
        client_write.write_all(&up).await.unwrap();
        client_write
    });
    let download = tokio::spawn(async move {
        server_write.write_all(&down).await.unwrap();
        server_write
    });
    let slow = tokio::spawn(async move {
        let mut read = Vec::with_capacity(SIZE);
        while read.len() < SIZE {
            let before = read.len();
            assert!(server_read.read_buf(&mut read).await.unwrap() > 0);
            if read.len() / (1 << 20) > before / (1 << 20) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        (read, server_read)
    });
    let mut read = vec![0; SIZE];
    client_read.read_exact(&mut read).await.unwrap();
    assert!(read == octets);
    let (read, server_read) = slow.await.unwrap();
    assert!(read == octets);
    drop((upload.await.unwrap(), download.await.unwrap(), client_read, server_read));
    let flow = ended(proxy).await;
    assert_eq!((flow.request_bytes, flow.response_bytes), (SIZE as u64 + 2, SIZE as u64));
    assert_eq!(flow.state(), State::Complete);
}

#[tokio::test]
async fn one_side_may_end_in_the_middle_of_the_others_transfer() {
    const SIZE: usize = 4 << 20;
    let Both { proxy, mut client, mut server } = tunnel().await;
    let octets = pattern(SIZE);
    let sent = octets.clone();
    let sending = tokio::spawn(async move {
        server.write_all(&sent[..SIZE / 2]).await.unwrap();
        // The client's end has come by now, and nothing else.
        let mut rest = Vec::new();
        server.read_to_end(&mut rest).await.unwrap();
        assert!(rest.is_empty());
        server.write_all(&sent[SIZE / 2..]).await.unwrap();
    });
    let mut read = take(&mut client, 1 << 20).await;
    client.shutdown().await.unwrap();
    tokio::time::timeout(LIMIT, client.read_to_end(&mut read)).await.unwrap().unwrap();
    assert!(read == octets);
    sending.await.unwrap();
    let flow = ended(proxy).await;
    assert_eq!((flow.state(), flow.response_bytes), (State::Complete, SIZE as u64));
}

#[tokio::test]
async fn a_reset_in_a_transfer_ends_both_sides() {
    for by_client in [true, false] {
        let Both { proxy, mut client, mut server } = tunnel().await;
        let sending = tokio::spawn(async move {
            let block = pattern(1 << 16);
            for _ in 0..32 {
                server.write_all(&block).await.unwrap();
            }
            if !by_client {
                socket2::SockRef::from(&server).set_linger(Some(Duration::ZERO)).unwrap();
                return 0;
            }
            let mut moved = 32;
            while server.write_all(&block).await.is_ok() {
                moved += 1;
            }
            moved
        });
        if by_client {
            take(&mut client, 1 << 20).await;
            socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
            drop(client);
        } else {
            let mut rest = Vec::new();
            let _ = tokio::time::timeout(LIMIT, client.read_to_end(&mut rest)).await.unwrap();
        }
        tokio::time::timeout(LIMIT, sending).await.expect("the server learns of it").unwrap();
        let state = if by_client { State::AbortedByClient } else { State::Complete };
        assert_eq!(ended(proxy).await.state(), state);
    }
}

#[tokio::test]
async fn a_server_that_refuses_an_upload_is_heard() {
    for _ in 0..10 {
        let Both { proxy, mut client, mut server } = tunnel().await;
        let block = pattern(1 << 20);
        let uploading = async { while client.write_all(&block).await.is_ok() {} };
        let closing = async {
            take(&mut server, 100_000).await;
            // It answers, and closes over what it has not read: a reset follows its answer.
            server.write_all(b"413 too large").await.unwrap();
            drop(server);
        };
        tokio::time::timeout(LIMIT, async { tokio::join!(uploading, closing) }).await.unwrap();
        let mut answer = Vec::new();
        let _ = client.read_to_end(&mut answer).await;
        assert_eq!(answer.escape_ascii().to_string(), "413 too large");
        assert_eq!(ended(proxy).await.response_bytes, 13);
    }
}

#[tokio::test]
async fn a_tunnel_in_which_nothing_moves_is_ended() {
    let origin = RawOrigin::play(vec![Act::Send("hi".into()), Act::Hold]).await.unwrap();
    let idle_tunnel = Duration::from_millis(50);
    let deadlines = Deadlines { idle_tunnel, ..Deadlines::default() };
    let settings = Settings { deadlines, ..Settings::default() };
    let proxy = Tested::with(Wanted { settings, ..Wanted::default() }).await;
    let mut client = proxy.connect().await;
    let address = origin.address();
    client.send(format!("CONNECT {address} HTTP/1.1\r\nHost: {address}\r\n\r\n")).await;
    assert!(client.rest().await.ends_with("hi"));
    let failure = ended(proxy).await.finished.unwrap().failure.unwrap();
    assert!(failure.cause.starts_with("nothing moved for"), "{failure}");
}
