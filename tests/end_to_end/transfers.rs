//! Many at once, and clients that leave.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use consoletap_simulator::{Console, Request, Sizes, World};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::clients::read_head;
use super::harness::{Home, PATIENCE};

const CLIENTS: u64 = 64;
const REQUESTS: u64 = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_clients_at_once_get_what_they_ask_for() {
    let sizes = Sizes { package_piece: 128 << 10, ..Sizes::default() };
    let (home, world) = (Home::new(), Arc::new(World::start_with(sizes).await.unwrap()));
    let tap = home.tap().world(&world).start().await;
    let piece =
        "/gs2/ppkgo/prod/CUSA00001_00/1/f_1/f/IP9100-CUSA00001_00-PLAYROOM00000000-A0107-V0100.pkg";
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let (proxy, world) = (tap.address(), Arc::clone(&world));
        clients.spawn(async move {
            let mut console = Console::ps4("1.51").behind(proxy);
            for number in 0..REQUESTS {
                let start = client * 1000 + number * 7;
                let url = format!("http://gs2.ww.prod.dl.playstation.net{piece}?{client}.{number}");
                let range = format!("bytes={start}-{}", start + 4999);
                let answer =
                    console.ask(&Request::get(&url).header("Range", &range)).await.unwrap();
                assert_eq!(answer.head.status, 206);
                let expected = world.sizes().file(piece).unwrap().read(start..start + 5000);
                assert!(answer.body == expected, "{url} has its own octets");
            }
        });
    }
    while let Some(client) = clients.join_next().await {
        client.unwrap();
    }
    let ended = tap.stop().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let rows = home.rows(&[]).await;
    assert_eq!(rows.len() as u64, CLIENTS * REQUESTS);
    let ids: HashSet<u64> = rows.iter().map(|row| row["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), rows.len(), "each has its own number");
    assert!(rows.iter().all(|row| row["state"] == "complete"));
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_ends_the_servers_work_too() {
    let home = Home::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let redirect = format!("a.example={}", listener.local_addr().unwrap());
    let tap = home.tap().args(["--resolve", &redirect]).start().await;

    // A server that sends for as long as it can.
    let serving = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_head(&mut stream).await;
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 100000000000\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        let part = Bytes::from(vec![7; 1 << 16]);
        while stream.write_all(&part).await.is_ok() {}
    });
    let mut client = TcpStream::connect(tap.address()).await.unwrap();
    let request = "GET http://a.example/game.pkg HTTP/1.1\r\nHost: a.example\r\n\r\n";
    client.write_all(request.as_bytes()).await.unwrap();
    read_head(&mut client).await;
    let mut octets = vec![0; 1 << 20];
    client.read_exact(&mut octets).await.unwrap();
    assert!(octets.iter().all(|&octet| octet == 7));
    drop(client);

    timeout(PATIENCE, serving).await.expect("the server's connection ends").unwrap();
    let row = tap.rows(1).await.remove(0);
    assert_eq!(row["state"], "aborted-by-client", "{row}");
    assert!(row["response_bytes"].as_u64().unwrap() >= 1 << 20, "{row}");
    let ended = tap.stop().await;
    assert_eq!(ended.code, Some(0));
}

#[tokio::test]
async fn a_client_that_leaves_before_the_answer_is_told_as_such() {
    let home = Home::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let redirect = format!("a.example={}", listener.local_addr().unwrap());
    let tap = home.tap().args(["--resolve", &redirect]).start().await;
    let mut client = TcpStream::connect(tap.address()).await.unwrap();
    client.write_all(b"GET http://a.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n").await.unwrap();
    let (mut server, _) = listener.accept().await.unwrap();
    read_head(&mut server).await;
    // A reset, as a console that is switched off may send.
    client.set_zero_linger().unwrap();
    drop(client);
    let ended = timeout(PATIENCE, server.read(&mut [0])).await.expect("the server is let go");
    assert!(matches!(ended, Ok(0) | Err(_)));
    let row = tap.rows(1).await.remove(0);
    assert_eq!(row["state"], "aborted-by-client", "{row}");
}
