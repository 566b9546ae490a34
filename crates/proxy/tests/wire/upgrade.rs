//! WebSockets, and other protocols that clients ask to switch to.

use consoletap_flow::{Flow, Kind, State};
use consoletap_simulator::{Act, RawOrigin};
use futures_util::{SinkExt as _, StreamExt as _};
use http::HeaderValue;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message};
use tokio_tungstenite::{accept_hdr_async, client_async};

use super::harness::{LIMIT, Tested};
use super::tls_peers::{self, TlsOrigin, before};

const ASKED: &str = "GET http://h.test/chat HTTP/1.1\r\nHost: h.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n";
const AGREED: &str =
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

async fn playing(acts: Vec<Act>) -> (RawOrigin, Tested) {
    let origin = RawOrigin::play(acts).await.unwrap();
    let proxy = before(origin.address(), |_| {}).await;
    (origin, proxy)
}

fn send(text: impl Into<String>) -> Act {
    Act::Send(text.into().into())
}

async fn ended(proxy: Tested) -> Flow {
    tokio::time::timeout(LIMIT, proxy.all_finished()).await.expect("the flows end");
    proxy.flow().await
}

#[tokio::test]
async fn a_websocket_inside_tls_says_all_that_its_client_and_server_say() {
    let origin = TlsOrigin::start("h.test", &["http/1.1"], |tls| async move {
        #[expect(clippy::result_large_err, reason = "the signature is that of the library")]
        let choose = |request: &Request, mut response: Response| {
            assert_eq!(request.headers()["sec-websocket-protocol"], "one, two");
            let chosen = HeaderValue::from_static("two");
            response.headers_mut().insert("sec-websocket-protocol", chosen);
            Ok(response)
        };
        let mut socket = accept_hdr_async(tls, choose).await.unwrap();
        while let Some(Ok(message)) = socket.next().await {
            match message {
                Message::Text(_) | Message::Binary(_) => socket.send(message).await.unwrap(),
                Message::Close(frame) => {
                    assert_eq!(u16::from(frame.unwrap().code), 4001);
                }
                _ => {}
            }
        }
    })
    .await;
    let proxy = origin.proxy().await;
    let tls = tls_peers::http1(&proxy).await;
    let mut request = "wss://h.test/chat".into_client_request().unwrap();
    let offered = HeaderValue::from_static("one, two");
    request.headers_mut().insert("sec-websocket-protocol", offered);
    let (mut socket, response) = client_async(request, tls).await.unwrap();
    assert_eq!(response.headers()["sec-websocket-protocol"], "two");
    let large: Vec<u8> = (0..1_u32 << 20).map(|i| (i % 251) as u8).collect();
    for message in [Message::text("hello"), Message::binary(vec![0, 1]), Message::binary(large)] {
        socket.send(message.clone()).await.unwrap();
        assert!(socket.next().await.unwrap().unwrap() == message);
    }
    socket.send(Message::Ping("p".into())).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::Pong("p".into()));
    let close = CloseFrame { code: 4001.into(), reason: "enough".into() };
    socket.close(Some(close.clone())).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::Close(Some(close)));
    while socket.next().await.is_some() {}
    drop(socket);
    tokio::time::timeout(LIMIT, proxy.all_finished()).await.expect("the flows end");
    let flows = proxy.flows().await;
    let (tunnel, websocket) = (&flows[0], &flows[1]);
    assert_eq!((tunnel.kind, websocket.kind), (Kind::Tunnel, Kind::Websocket));
    assert_eq!((websocket.state(), websocket.status()), (State::Complete, Some(101)));
    // What the client sends has four octets more a message, for its mask.
    let down = (2 + 5) + (2 + 2) + (10 + (1 << 20)) + (2 + 1) + (2 + 2 + 6);
    assert_eq!((websocket.request_bytes, websocket.response_bytes), (down + 5 * 4, down));
}

#[tokio::test]
async fn octets_behind_the_heads_are_not_lost() {
    let acts = vec![
        Act::ReadHead,
        send(format!("{AGREED}server early")),
        Act::ReadUntil("late".into()),
        Act::FinishSending,
        Act::Hold,
    ];
    let (origin, proxy) = playing(acts).await;
    let mut client = proxy.connect().await;
    client.send(format!("{ASKED}client early")).await;
    assert_eq!(client.until("\r\n\r\n").await, AGREED);
    client.until("server early").await;
    client.send("late").await;
    assert_eq!(client.rest().await, "", "the server's end came through");
    client.send("still open").await;
    drop(client);
    let flow = ended(proxy).await;
    let received = String::from_utf8(origin.received().remove(0)).unwrap();
    assert_eq!(
        received,
        "GET /chat HTTP/1.1\r\nHost: h.test\r\nSec-WebSocket-Version: 13\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nclient earlylatestill open"
    );
    assert_eq!((flow.kind, flow.state()), (Kind::Websocket, State::Complete));
    assert_eq!((flow.request_bytes, flow.response_bytes), (26, 12));
}

#[tokio::test]
async fn a_refusal_leaves_both_connections_in_use() {
    let refused = "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno";
    let acts = vec![Act::ReadHead, send(refused), Act::ReadHead, send(refused), Act::Hold];
    let (origin, proxy) = playing(acts).await;
    let mut client = proxy.connect().await;
    for request in [ASKED, "GET http://h.test/ HTTP/1.1\r\nHost: h.test\r\n\r\n"] {
        client.send(request).await;
        assert_eq!(client.until("\r\n\r\nno").await, refused);
    }
    drop(client);
    let flows = proxy.flows().await;
    assert!(flows.iter().all(|flow| (flow.kind, flow.status()) == (Kind::Http, Some(403))));
    assert_eq!(origin.received().len(), 1);
}

#[tokio::test]
async fn only_websocket_is_passed_on() {
    for (asked, passed) in [
        ("Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: x\r\nUpgrade: h2c\r\n", ""),
        ("Connection: Upgrade\r\nUpgrade: TLS/1.0\r\n", ""),
        ("Upgrade: websocket\r\n", ""),
        (
            "Connection: Upgrade\r\nUpgrade: h2c, WebSocket\r\n",
            "Connection: Upgrade\r\nUpgrade: WebSocket\r\n",
        ),
    ] {
        let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        let (origin, proxy) = playing(vec![Act::ReadHead, send(ok), Act::Hold]).await;
        let mut client = proxy.connect().await;
        client.send(format!("GET http://h.test/ HTTP/1.1\r\nHost: h.test\r\n{asked}\r\n")).await;
        assert_eq!(client.until("\r\n\r\nok").await, ok);
        let received = String::from_utf8(origin.received().remove(0)).unwrap();
        assert_eq!(received, format!("GET / HTTP/1.1\r\nHost: h.test\r\n{passed}\r\n"));
    }
}

#[tokio::test]
async fn a_server_that_switches_to_something_else_is_a_502() {
    let other = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n";
    let (_origin, proxy) = playing(vec![Act::ReadHead, send(other), Act::Hold]).await;
    let mut client = proxy.connect().await;
    client.send(ASKED).await;
    let answer = client.until("\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
    drop(client);
    let flow = proxy.flow().await;
    let cause = flow.finished.unwrap().failure.unwrap().cause;
    assert_eq!(cause, "the server switched to h2c, and was asked for websocket");
}

#[tokio::test]
async fn a_server_that_resets_is_not_taken_for_the_client() {
    let acts = vec![Act::ReadHead, send(AGREED), Act::ReadUntil("x".into()), Act::Reset];
    let (_origin, proxy) = playing(acts).await;
    let mut client = proxy.connect().await;
    client.send(ASKED).await;
    client.until("\r\n\r\n").await;
    client.send("x").await;
    assert_eq!(client.rest().await, "");
    assert_eq!(ended(proxy).await.state(), State::Complete);
}

#[tokio::test]
async fn a_websocket_ends_with_the_proxy() {
    let (_origin, proxy) = playing(vec![Act::ReadHead, send(AGREED), Act::Hold]).await;
    let mut client = proxy.connect().await;
    client.send(ASKED).await;
    client.until("\r\n\r\n").await;
    let flow = proxy.flow().await;
    assert_eq!(flow.finished.unwrap().failure.unwrap().cause, "the proxy was stopped");
}
