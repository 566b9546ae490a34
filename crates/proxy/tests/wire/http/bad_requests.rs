//! Requests that two readers could read in two ways, and octets that are no request at all: each
//! is told so, each is a row, and no server hears of it.

use consoletap_flow::{Kind, Side, State};
use consoletap_simulator::RawOrigin;

use super::{GET, OK, before};

/// Sends octets that must be refused, behind which a second request hides.
async fn refused(request: &str, status: u16) {
    let origin = RawOrigin::answer(OK).await.unwrap();
    let proxy = before(&origin).await;
    let answer = proxy.say(format!("{request}{GET}")).await;
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request:?} gave {answer:?}");
    assert!(answer.contains("\r\nConnection: close\r\n"), "{answer}");
    assert_eq!(
        answer.matches("HTTP/1.1").count(),
        1 + answer.matches("METHOD TARGET HTTP/1.1").count(),
        "{request:?} gave {answer:?}"
    );
    let flow = proxy.flow().await;
    assert_eq!((flow.kind, flow.state()), (Kind::Refused, State::Refused), "{request:?}");
    assert_eq!(flow.status(), Some(status), "{request:?}");
    let failure = flow.finished.unwrap().failure.unwrap();
    assert_eq!(failure.side, Side::Client, "{request:?}");
    assert!(
        flow.request.is_some() || failure.raw.is_some(),
        "{request:?} left no octets in its row"
    );
    assert!(origin.received().is_empty(), "{request:?} reached the server");
}

const HEAD: &str = "POST http://h.test/ HTTP/1.1\r\nHost: h.test\r\n";

#[tokio::test]
async fn lengths_that_can_be_read_in_two_ways() {
    for (fields, status) in [
        ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", 400),
        ("Transfer-Encoding: chunked\r\ncontent-length: 5\r\n", 400),
        ("Content-Length: 5\r\nContent-Length: 6\r\n", 400),
        ("Content-Length: 5, 6\r\n", 400),
        ("Content-Length: +5\r\n", 400),
        ("Content-Length: -5\r\n", 400),
        ("Content-Length: 0x5\r\n", 400),
        ("Content-Length: 5 5\r\n", 400),
        ("Content-Length:\r\n", 400),
        ("Content-Length: 99999999999999999999\r\n", 400),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", 400),
        ("Transfer-Encoding: chunked, identity\r\n", 400),
        ("Transfer-Encoding: xchunked\r\n", 400),
        ("Transfer-Encoding: \x0bchunked\r\n", 400),
        ("Transfer-Encoding: identity\r\n", 400),
        ("Transfer-Encoding:\r\n", 400),
        ("Transfer-Encoding: gzip, chunked\r\n", 501),
    ] {
        refused(&format!("{HEAD}{fields}\r\n0\r\n\r\n"), status).await;
    }
    refused("POST http://h.test/ HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400)
        .await;
}

#[tokio::test]
async fn heads_that_can_be_read_in_two_ways() {
    for fields in [
        "X: a\r\n folded\r\n",
        "X: a\r\n\tfolded\r\n",
        " X: a\r\n",
        "X : a\r\n",
        "X: a\rY: b\r\n",
        "X: a\0b\r\n",
        "X: a\x7fb\r\n",
        "X\r\n",
        ": a\r\n",
        "X\0: a\r\n",
        "Host: h.test\r\n",
        "Host: other.test\r\n",
    ] {
        refused(&format!("{HEAD}{fields}\r\n"), 400).await;
    }
}

#[tokio::test]
async fn request_lines_that_are_none() {
    for (line, status) in [
        ("GET http://h.test/a b HTTP/1.1", 400),
        ("GET  http://h.test/ HTTP/1.1", 400),
        ("GET http://h.test/\tHTTP/1.1", 400),
        ("GET http://h.test/", 400),
        ("G\x01T http://h.test/ HTTP/1.1", 400),
        ("G(T http://h.test/ HTTP/1.1", 400),
        ("GET http://h.test/ HTTP/1.1 ", 400),
        ("GET http://h.test/ HTTP/2.0", 505),
        ("GET http://h.test/ http/1.1", 400),
        ("GET http://h.test/\r HTTP/1.1", 400),
    ] {
        refused(&format!("{line}\r\nHost: h.test\r\n\r\n"), status).await;
    }
}

#[tokio::test]
async fn hosts_that_are_none() {
    for head in [
        "GET http://h.test/ HTTP/1.1\r\n",
        "GET http://h.test/ HTTP/1.1\r\nHost: a b\r\n",
        "GET http://h.test/ HTTP/1.1\r\nHost: h.test, other.test\r\n",
        "GET http://h.test/ HTTP/1.1\r\nHost: me@h.test\r\n",
        "GET http://h.test/ HTTP/1.1\r\nHost: h.test:0\r\n",
        "GET http://h.test/ HTTP/1.1\r\nHost: h.test:port\r\n",
    ] {
        refused(&format!("{head}\r\n"), 400).await;
    }
}

#[tokio::test]
async fn octets_that_are_not_http_are_answered_and_shown() {
    for octets in [
        &b"\x80\x01\x02\x03"[..],
        b"\0\0\0\0",
        b"\xff\xfe",
        b"hello\x00",
        b"{\"a\": 1}\r\n\r\n",
        b"hello\r\n\r\n",
    ] {
        let origin = RawOrigin::answer(OK).await.unwrap();
        let proxy = before(&origin).await;
        let answer = proxy.say(octets).await;
        assert!(
            answer.starts_with("HTTP/1.1 400 Bad Request\r\n"),
            "{} gave {answer}",
            octets.escape_ascii()
        );
        let failure = proxy.flow().await.finished.unwrap().failure.unwrap();
        assert_eq!(failure.raw.unwrap(), octets.escape_ascii().to_string());
    }
}

#[tokio::test]
async fn a_head_that_breaks_off_is_answered_and_shown() {
    use tokio::io::AsyncWriteExt;
    let origin = RawOrigin::answer(OK).await.unwrap();
    let proxy = before(&origin).await;
    let mut client = proxy.connect().await;
    client.send("GET http://h.test/ HTTP/1.1\r\nHos").await;
    client.tcp.shutdown().await.unwrap();
    let answer = client.rest().await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    let failure = proxy.flow().await.finished.unwrap().failure.unwrap();
    assert_eq!(failure.raw.unwrap(), r"GET http://h.test/ HTTP/1.1\r\nHos");
}

#[tokio::test]
async fn other_protocols_are_called_by_their_names() {
    for (octets, name) in [
        (&b"\x16\x03\x01\x02\x00\x01"[..], "TLS"),
        (b"\x05\x01\x00", "SOCKS 5"),
        (b"\x04\x01\x00\x50", "SOCKS 4"),
    ] {
        let origin = RawOrigin::answer(OK).await.unwrap();
        let proxy = before(&origin).await;
        assert_eq!(proxy.say(octets).await, "", "they could not read a page");
        let failure = proxy.flow().await.finished.unwrap().failure.unwrap();
        assert!(failure.cause.contains(name), "{failure:?}");
        assert_eq!(failure.raw.unwrap(), octets.escape_ascii().to_string());
    }
}

/// A chunked request whose body is broken: the server may have got its beginning, but never a
/// whole request, nor anything behind it.
async fn broken_body(body: &str) {
    let origin = RawOrigin::play(vec![consoletap_simulator::Act::Hold]).await.unwrap();
    let proxy = before(&origin).await;
    let answer = proxy.say(format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n{body}{GET}")).await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{body:?} gave {answer:?}");
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{body:?} gave {answer:?}");
    let flow = proxy.flow().await;
    assert_eq!((flow.state(), flow.status()), (State::Refused, Some(400)), "{body:?}");
    for sent in origin.received() {
        let sent = String::from_utf8(sent).unwrap();
        assert!(!sent.contains("GET ") && !sent.ends_with("0\r\n\r\n"), "{body:?} became {sent:?}");
    }
}

#[tokio::test]
async fn chunks_that_can_be_read_in_two_ways() {
    for body in [
        "5\r\nabc\r\n0\r\n\r\n",
        "3\r\nabcde\r\n0\r\n\r\n",
        "3\nabc\n0\n\n",
        "3\r\nabc\n0\r\n\r\n",
        "+3\r\nabc\r\n0\r\n\r\n",
        "0x3\r\nabc\r\n0\r\n\r\n",
        " 3\r\nabc\r\n0\r\n\r\n",
        "3 \r\nabc\r\n0\r\n\r\n",
        "\r\n3\r\nabc\r\n0\r\n\r\n",
        "g\r\nabc\r\n0\r\n\r\n",
        "-1\r\nabc\r\n0\r\n\r\n",
        "10000000000000000003\r\nabc\r\n0\r\n\r\n",
        "3;a\rb\r\nabc\r\n0\r\n\r\n",
        "3;a\0\r\nabc\r\n0\r\n\r\n",
        "3\r\nabc\r\n0\r\n folded: 1\r\n\r\n",
        "3\r\nabc\r\n0\r\nX: 1\n\r\n",
        "3\r\nabc\r\n0\r\nX : 1\r\n\r\n",
        "3\r\nabc\r\n0\r\nX: 1\rY: 2\r\n\r\n",
    ] {
        broken_body(body).await;
    }
}

#[tokio::test]
async fn chunk_lines_and_trailers_have_bounds() {
    broken_body(&format!("3;{}\r\nabc\r\n0\r\n\r\n", "x".repeat(5000))).await;
    broken_body(&format!("3;{}", "x".repeat(20_000))).await;
    broken_body(&format!("1;{}\r\na\r\n", "x".repeat(4000)).repeat(20)).await;
    broken_body(&format!("1\r\na\r\n0\r\nX: {}\r\n\r\n", "x".repeat(66 << 10))).await;
    broken_body(&format!("1\r\na\r\n0\r\n{}\r\n", "X: 1\r\n".repeat(101))).await;
}
