//! Answers that two readers could read in two ways, and octets that are no answer at all: the
//! client gets a 502 that says why, and the row has it too.

use std::time::Duration;

use consoletap_flow::{Side, State};
use consoletap_simulator::{Act, RawOrigin};

use super::{GET, GET_AND_CLOSE, OK, before, before_with, send};

async fn is_a_502(answer: &[u8]) {
    let origin = RawOrigin::answer(answer.to_vec()).await.unwrap();
    let proxy = before(&origin).await;
    let shown = answer[..answer.len().min(100)].escape_ascii().to_string();
    let got = proxy.say(GET_AND_CLOSE).await;
    assert!(got.starts_with("HTTP/1.1 502 Bad Gateway\r\n"), "{shown} gave {got}");
    assert_eq!(got.matches("HTTP/1.1 ").count(), 1, "{shown} gave {got}");
    let flow = proxy.flow().await;
    assert_eq!((flow.state(), flow.status()), (State::UpstreamError, Some(502)), "{shown}");
    assert_eq!(flow.finished.unwrap().failure.unwrap().side, Side::Upstream, "{shown}");
}

#[tokio::test]
async fn answers_that_can_be_read_in_two_ways() {
    for fields in [
        "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n",
        "Content-Length: 2\r\nContent-Length: 3\r\n",
        "Content-Length: 2, 3\r\n",
        "Content-Length: -2\r\n",
        "Content-Length: two\r\n",
        "Transfer-Encoding: chunked, chunked\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: gzip\r\n",
        "X : a\r\n",
        "X: a\r\n b\r\n",
        "X: a\rb\r\n",
        "X: a\0b\r\n",
        "X\r\n",
    ] {
        is_a_502(format!("HTTP/1.1 200 OK\r\n{fields}\r\nok").as_bytes()).await;
    }
    is_a_502(b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n").await;
}

#[tokio::test]
async fn octets_that_are_no_answer() {
    for octets in [
        &b"\x16\x03\x01\x02"[..],
        b"<html>not found</html>\n\n",
        b"SSH-2.0-OpenSSH_9\r\n",
        b"ICY 200 OK\r\n\r\n",
        b"HTTP/2.0 200 OK\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 099 OK\r\n\r\n",
        b"HTTP/1.1 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: cut",
        b"",
    ] {
        is_a_502(octets).await;
    }
}

#[tokio::test]
async fn heads_of_answers_have_bounds() {
    is_a_502(format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(66 << 10)).as_bytes()).await;
    is_a_502(format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: 1\r\n".repeat(101)).as_bytes()).await;
    is_a_502(format!("HTTP/1.1 200 {}\r\n\r\n", "x".repeat(17 << 10)).as_bytes()).await;
    is_a_502("X".repeat(200 << 10).as_bytes()).await;
}

#[tokio::test]
async fn a_bad_answer_costs_neither_the_client_nor_the_next_request() {
    let origin = RawOrigin::play_in_turn(vec![
        vec![Act::ReadHead, send("nonsense\r\n\r\n"), Act::Hold],
        vec![Act::ReadHead, send(OK)],
    ])
    .await
    .unwrap();
    let proxy = before(&origin).await;
    let mut client = proxy.connect().await;
    client.send(GET).await;
    let head = client.until("\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 502 ") && !head.contains("close"), "{head}");
    client.send(GET).await;
    client.until(OK).await;
    assert_eq!(origin.received().len(), 2);
}

#[tokio::test]
async fn broken_chunks_break_the_answer_off() {
    for body in [
        "5\r\nabc\r\n0\r\n\r\n",
        "3\nabc\n0\n\n",
        "0x3\r\nabc\r\n0\r\n\r\n",
        "3\r\nabc\r\n0\r\nX : 1\r\n\r\n",
    ] {
        let origin = RawOrigin::answer(format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n{body}"
        ))
        .await
        .unwrap();
        let proxy = before(&origin).await;
        let got = proxy.say(GET).await;
        assert!(got.contains("\r\n\r\n2\r\nok\r\n"), "{body:?} gave {got}");
        assert!(!got.contains("\r\n0\r\n"), "{body:?} looks complete: {got}");
        assert_eq!(proxy.flow().await.state(), State::Truncated, "{body:?}");
    }
}

#[tokio::test]
async fn a_silent_server_is_a_504_and_a_head_that_never_ends_too() {
    for script in [vec![Act::Hold], vec![Act::ReadHead, send("HTTP/1.1 200 OK\r\nX: "), Act::Hold]]
    {
        let origin = RawOrigin::play(script).await.unwrap();
        let proxy =
            before_with(&origin, |settings| settings.deadlines.answer = Duration::from_millis(50))
                .await;
        let got = proxy.say(GET_AND_CLOSE).await;
        assert!(got.starts_with("HTTP/1.1 504 Gateway Timeout\r\n"), "{got}");
        let flow = proxy.flow().await;
        assert_eq!((flow.state(), flow.status()), (State::UpstreamError, Some(504)));
    }
}

#[tokio::test]
async fn empty_lines_without_end_are_no_answer() {
    let origin = RawOrigin::play(vec![
        Act::ReadHead,
        Act::Trickle("\r\n".repeat(500).into(), Duration::from_millis(1)),
        Act::Hold,
    ])
    .await
    .unwrap();
    let proxy =
        before_with(&origin, |settings| settings.deadlines.answer = Duration::from_millis(50))
            .await;
    let got = proxy.say(GET_AND_CLOSE).await;
    assert!(got.starts_with("HTTP/1.1 504 "), "{got}");
}
