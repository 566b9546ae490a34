//! Connections that live on, on both sides, and those that must not.

use std::time::Duration;

use consoletap_flow::{Side, State};
use consoletap_simulator::{Act, RawOrigin};
use tokio::io::AsyncWriteExt;

use super::{GET, GET_AND_CLOSE, GET_SENT_ON, OK, before, received, send};

fn kept_once_then_closed() -> Vec<Vec<Act>> {
    // The second head is read before the connection ends: no look at the socket can warn of it.
    vec![vec![Act::ReadHead, send(OK), Act::ReadHead], vec![Act::ReadHead, send(OK)]]
}

#[tokio::test]
async fn one_connection_serves_clients_one_after_the_other() {
    let origin = RawOrigin::play(vec![
        Act::ReadHead,
        send(OK),
        Act::ReadHead,
        send(OK),
        Act::ReadHead,
        send(OK),
    ])
    .await
    .unwrap();
    let proxy = before(&origin).await;
    for _ in 0..3 {
        let answer = proxy.say(GET_AND_CLOSE).await;
        assert!(answer.ends_with("\r\nConnection: close\r\n\r\nok"), "{answer}");
    }
    assert_eq!(origin.received().len(), 1);
    assert_eq!(received(&origin, 0), GET_SENT_ON.repeat(3));
    assert_eq!(proxy.flows().await.len(), 3);
}

#[tokio::test]
async fn a_server_that_closes_is_believed() {
    for answer in [super::OK_AND_CLOSE, "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"] {
        // It says so and yet would go on: the connection is not used again all the same.
        let origin =
            RawOrigin::play(vec![Act::ReadHead, send(answer), Act::ReadHead, send(answer)])
                .await
                .unwrap();
        let proxy = before(&origin).await;
        let mut client = proxy.connect().await;
        for _ in 0..2 {
            client.send(GET).await;
            assert_eq!(client.until("ok").await, OK, "the client's own connection stays");
        }
        assert_eq!(origin.received().len(), 2);
    }
}

#[tokio::test]
async fn a_1_0_client_keeps_its_connection_only_when_it_asks() {
    let origin = RawOrigin::play(vec![
        Act::ReadHead,
        send(OK),
        Act::ReadHead,
        send(OK),
        Act::ReadHead,
        send(OK),
    ])
    .await
    .unwrap();
    let proxy = before(&origin).await;
    let mut client = proxy.connect().await;
    for field in ["Connection", "Proxy-Connection"] {
        client.send(format!("GET http://h.test/p HTTP/1.0\r\n{field}: Keep-Alive\r\n\r\n")).await;
        assert_eq!(
            client.until("ok").await,
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok"
        );
    }
    client.send("GET http://h.test/p HTTP/1.0\r\n\r\n").await;
    assert_eq!(
        client.rest().await,
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
    );
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order_even_when_one_fails() {
    let origin = RawOrigin::play(vec![
        Act::ReadHead,
        send("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none"),
        Act::ReadHead,
        send("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\ntwo"),
    ])
    .await
    .unwrap();
    let proxy = before(&origin).await;
    let gone = closed_port().await;
    let third = "GET http://h.test/3 HTTP/1.1\r\nHost: h.test\r\nConnection: close\r\n\r\n";
    let answers = proxy
        .say(format!("{GET}GET http://{gone}/2 HTTP/1.1\r\nHost: {gone}\r\n\r\n{third}{GET}"))
        .await;
    let at = |wanted: &str| answers.find(wanted).unwrap_or_else(|| panic!("{wanted} in {answers}"));
    assert!(at("\r\n\r\none") < at("HTTP/1.1 502 ") && at("HTTP/1.1 502 ") < at("\r\n\r\ntwo"));
    let flows = proxy.flows().await;
    let statuses: Vec<_> = flows.iter().map(|flow| flow.status()).collect();
    assert_eq!(statuses, [Some(200), Some(502), Some(200)], "nothing behind `close` is served");
    assert_eq!(flows[1].finished.as_ref().unwrap().failure.as_ref().unwrap().side, Side::Upstream);
}

/// An address at which nobody listens.
async fn closed_port() -> std::net::SocketAddr {
    tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

#[tokio::test]
async fn a_get_survives_a_kept_connection_that_was_closing() {
    let origin = RawOrigin::play_in_turn(kept_once_then_closed()).await.unwrap();
    let proxy = before(&origin).await;
    let mut client = proxy.connect().await;
    for _ in 0..2 {
        client.send(GET).await;
        assert_eq!(client.until("ok").await, OK);
    }
    assert_eq!(origin.received().len(), 2);
    drop(client);
    let flows = proxy.flows().await;
    assert!(flows.iter().all(|flow| flow.state() == State::Complete), "{flows:?}");
}

#[tokio::test]
async fn a_post_is_never_sent_twice() {
    for body in ["Content-Length: 4\r\n\r\nbody", "Content-Length: 0\r\n\r\n"] {
        let origin = RawOrigin::play_in_turn(kept_once_then_closed()).await.unwrap();
        let proxy = before(&origin).await;
        let mut client = proxy.connect().await;
        client.send(GET).await;
        client.until("ok").await;
        client.send(format!("POST http://h.test/ HTTP/1.1\r\nHost: h.test\r\n{body}")).await;
        let answer = client.until("\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
        let posts: usize = origin
            .received()
            .iter()
            .map(|sent| String::from_utf8_lossy(sent).matches("POST").count())
            .sum();
        assert_eq!(posts, 1);
        drop(client);
        let flows = proxy.flows().await;
        assert_eq!((flows[1].state(), flows[1].status()), (State::UpstreamError, Some(502)));
    }
}

#[tokio::test]
async fn a_first_connection_that_ends_without_an_answer_is_a_502() {
    for end in [vec![Act::ReadHead], vec![Act::ReadHead, Act::Reset]] {
        let origin = RawOrigin::play(end).await.unwrap();
        let proxy = before(&origin).await;
        let answer = proxy.say(GET_AND_CLOSE).await;
        assert!(answer.starts_with("HTTP/1.1 502 Bad Gateway\r\n"), "{answer}");
        assert_eq!(origin.received().len(), 1, "a new connection is no stale one");
        let flow = proxy.flow().await;
        assert_eq!((flow.state(), flow.status()), (State::UpstreamError, Some(502)));
    }
}

#[tokio::test]
async fn a_connection_that_was_logged_in_on_serves_nobody_else() {
    let origin = RawOrigin::play(vec![
        Act::ReadHead,
        send("HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: NTLM abc\r\nContent-Length: 2\r\n\r\nok"),
        Act::ReadHead,
        send(OK),
    ])
    .await
    .unwrap();
    let proxy = before(&origin).await;
    let mut client = proxy.connect().await;
    client.send(GET).await;
    client.until("ok").await;
    client.send(GET).await;
    client.until("ok").await;
    assert_eq!(origin.received().len(), 2);
}

#[tokio::test]
async fn a_client_that_finished_sending_still_gets_its_answer() {
    let origin =
        RawOrigin::play(vec![Act::ReadHead, Act::Trickle(OK.into(), Duration::from_millis(1))])
            .await
            .unwrap();
    let proxy = before(&origin).await;
    let mut client = proxy.connect().await;
    client.send(GET).await;
    client.tcp.shutdown().await.unwrap();
    assert_eq!(client.rest().await, OK);
    assert_eq!(proxy.flow().await.state(), State::Complete);
}

#[tokio::test]
async fn octets_may_come_one_by_one_on_both_sides() {
    let request = "POST http://h.test/ HTTP/1.1\r\nHost: h.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\nX-T: 1\r\n\r\n";
    let answer =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nxyz\r\n0\r\nX-U: 1\r\n\r\n";
    let origin = RawOrigin::play(vec![
        super::until("X-T: 1\r\n\r\n"),
        Act::Trickle(answer.into(), Duration::ZERO),
    ])
    .await
    .unwrap();
    let proxy = before(&origin).await;
    let mut client = proxy.connect().await;
    for octet in request.as_bytes() {
        client.send([*octet]).await;
        tokio::task::yield_now().await;
    }
    let got = client.until("X-U: 1\r\n\r\n").await;
    assert!(got.starts_with("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), "{got}");
    drop(client);
    let flow = proxy.flow().await;
    assert_eq!((flow.request_bytes, flow.response_bytes), (4, 3));
    assert_eq!(flow.state(), State::Complete);
}
