//! What is too much or takes too long, and who may not come in at all.

use std::time::Duration;

use consoletap_flow::{Kind, State};
use consoletap_proxy::Settings;
use consoletap_simulator::{Act, RawOrigin};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::{GET_AND_CLOSE, OK, OK_AND_CLOSE, before, before_with, received, send};
use crate::wire::harness::{Tested, Wanted};

const SHORT: Duration = Duration::from_millis(50);

async fn status_of(request: String) -> String {
    let origin = RawOrigin::answer(OK_AND_CLOSE).await.unwrap();
    let proxy = before(&origin).await;
    let answer = proxy.say(request).await;
    let status = answer.lines().next().unwrap_or_default().to_owned();
    let flow = proxy.flow().await;
    assert_eq!(status.contains(" 200 "), flow.state() == State::Complete, "{status}: {flow:?}");
    status
}

#[tokio::test]
async fn a_request_line_may_be_16_kib_long() {
    let request = |length: usize| {
        let around = "GET http://h.test/ HTTP/1.1".len();
        format!(
            "GET http://h.test/{} HTTP/1.1\r\nHost: h.test\r\nConnection: close\r\n\r\n",
            "a".repeat(length - around)
        )
    };
    assert_eq!(status_of(request((16 << 10) - 1)).await, "HTTP/1.1 200 OK");
    assert_eq!(status_of(request((16 << 10) + 1)).await, "HTTP/1.1 414 URI Too Long");
    assert_eq!(status_of("A".repeat(100 << 10)).await, "HTTP/1.1 414 URI Too Long");
}

#[tokio::test]
async fn a_head_may_have_64_kib_and_100_fields() {
    let head = "GET http://h.test/ HTTP/1.1\r\nHost: h.test\r\nConnection: close\r\n";
    let long = |length: usize| {
        format!("{head}X: {}\r\n\r\n", "x".repeat(length - head.len() - "X: \r\n\r\n".len()))
    };
    assert_eq!(status_of(long(64 << 10)).await, "HTTP/1.1 200 OK");
    assert_eq!(
        status_of(long((64 << 10) + 1)).await,
        "HTTP/1.1 431 Request Header Fields Too Large"
    );
    let many = |count: usize| format!("{head}{}\r\n", "X: 1\r\n".repeat(count - 2));
    assert_eq!(status_of(many(100)).await, "HTTP/1.1 200 OK");
    assert_eq!(status_of(many(101)).await, "HTTP/1.1 431 Request Header Fields Too Large");
    let endless = format!("{head}{}", "X: 1\r\n".repeat(50_000));
    assert_eq!(status_of(endless).await, "HTTP/1.1 431 Request Header Fields Too Large");
}

#[tokio::test]
async fn a_head_that_comes_too_slowly_is_a_408_with_what_came_of_it() {
    let origin = RawOrigin::answer(OK).await.unwrap();
    let proxy = before_with(&origin, |settings| settings.deadlines.head = SHORT).await;
    let answer = proxy.say("GET http://h.test/ HTTP/1.1\r\nHost:").await;
    assert!(answer.starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{answer}");
    let flow = proxy.flow().await;
    assert_eq!(
        (flow.kind, flow.state(), flow.status()),
        (Kind::Refused, State::Refused, Some(408))
    );
    let raw = flow.finished.unwrap().failure.unwrap().raw.unwrap();
    assert_eq!(raw, r"GET http://h.test/ HTTP/1.1\r\nHost:");
}

#[tokio::test]
async fn a_client_that_says_nothing_is_a_row_and_one_that_is_done_is_none() {
    let origin = RawOrigin::play(vec![Act::ReadHead, send(OK)]).await.unwrap();
    let proxy = before_with(&origin, |settings| settings.deadlines.idle_client = SHORT).await;
    let answer = proxy.say("").await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert_eq!(proxy.say(super::GET).await, OK, "an idle connection ends without a word");
    let flows = proxy.flows().await;
    assert_eq!(flows.len(), 2);
    assert_eq!(flows[0].kind, Kind::Refused);
}

#[tokio::test]
async fn a_connection_that_is_closed_at_once_is_a_row_too() {
    let origin = RawOrigin::answer(OK).await.unwrap();
    let proxy = before(&origin).await;
    for reset in [false, true] {
        let client = proxy.connect().await;
        if reset {
            client.tcp.set_zero_linger().unwrap();
        }
    }
    proxy.say(GET_AND_CLOSE).await;
    proxy.finished(3).await;
    let mut flows = proxy.flows().await;
    assert_eq!(flows.len(), 3);
    flows.retain(|flow| flow.kind == Kind::Refused);
    assert_eq!(flows.len(), 2);
    assert!(flows.iter().all(|flow| flow.finished.as_ref().unwrap().failure.is_some()));
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_in_time_is_a_504() {
    // A listener whose queue is full lets nobody in: the kernel drops what asks to come.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener: TcpListener = socket.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    while let Ok(Ok(tcp)) = tokio::time::timeout(SHORT, TcpStream::connect(address)).await {
        waiting.push(tcp);
    }
    let mut settings = Settings::default();
    settings.deadlines.connect = SHORT;
    let proxy = Tested::with(Wanted { settings, ..Wanted::default() }).await;
    let answer = proxy.say(format!("GET http://{address}/ HTTP/1.0\r\n\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 504 Gateway Timeout\r\n"), "{answer}");
    let flow = proxy.flow().await;
    assert_eq!((flow.state(), flow.status()), (State::UpstreamError, Some(504)));
}

#[tokio::test]
async fn an_upload_that_stands_still_is_given_up() {
    let origin = RawOrigin::play(vec![Act::Hold]).await.unwrap();
    let proxy = before_with(&origin, |settings| settings.deadlines.idle = SHORT).await;
    let answer = proxy
        .say("POST http://h.test/ HTTP/1.1\r\nHost: h.test\r\nContent-Length: 10\r\n\r\nhalf")
        .await;
    assert_eq!(answer, "", "the connection is gone");
    assert!(received(&origin, 0).ends_with("\r\n\r\nhalf"));
    let flow = proxy.flow().await;
    assert_eq!((flow.state(), flow.request_bytes), (State::AbortedByClient, 4));
}

#[tokio::test]
async fn an_answer_that_stands_still_is_cut_off() {
    let origin = RawOrigin::play(vec![
        Act::ReadHead,
        send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"),
        Act::Hold,
    ])
    .await
    .unwrap();
    let proxy = before_with(&origin, |settings| settings.deadlines.idle = SHORT).await;
    let answer = proxy.say(super::GET).await;
    assert!(answer.ends_with("\r\n\r\nhalf"), "{answer}");
    let flow = proxy.flow().await;
    assert_eq!((flow.state(), flow.response_bytes), (State::Truncated, 4));
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_given_up() {
    let endless: Vec<Act> = std::iter::once(Act::ReadHead)
        .chain([send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")])
        .chain((0..64).map(|_| send(vec![b'x'; 1 << 20])))
        .collect();
    let origin = RawOrigin::play(endless).await.unwrap();
    let proxy =
        before_with(&origin, |settings| settings.deadlines.idle = Duration::from_millis(200)).await;
    let mut client = proxy.connect().await;
    client.send(super::GET).await;
    client.until("\r\n\r\n").await;
    tokio::time::timeout(crate::wire::harness::LIMIT, proxy.all_finished())
        .await
        .expect("it is given up");
    assert_eq!(proxy.flow().await.state(), State::AbortedByClient);
}
