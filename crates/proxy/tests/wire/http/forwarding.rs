//! What reaches the server of a request, and the client of an answer: everything that was said
//! end to end, and nothing that was said to the proxy alone.

use consoletap_flow::{Kind, State};
use consoletap_simulator::{Act, RawOrigin};

use super::{GET_AND_CLOSE, OK, OK_AND_CLOSE, before, received, send, until};

#[tokio::test]
async fn order_case_and_doubles_stay_as_they_were_sent() {
    let origin = RawOrigin::answer(
        "HTTP/1.1 200 Odd  Reason\r\nx-B: 2\r\nSet-Cookie: a=1\r\nX-A: 1\r\nset-cookie: b=2\r\ncontent-length: 2\r\n\r\nok",
    )
    .await
    .unwrap();
    let proxy = before(&origin).await;
    let answer = proxy
        .say(
            "GET http://h.test/p?a=%2F&b=[|]{}~ HTTP/1.1\r\nX-Z: z\r\nhOsT: h.test\r\ncookie: a\r\n\
             User-Agent: t\r\nCookie: b\r\nx-a:\r\nX-Latin:\t \u{e9} \r\nConnection: close\r\n\r\n",
        )
        .await;
    assert_eq!(
        received(&origin, 0),
        "GET /p?a=%2F&b=[|]{}~ HTTP/1.1\r\nX-Z: z\r\nhOsT: h.test\r\ncookie: a\r\n\
         User-Agent: t\r\nCookie: b\r\nx-a: \r\nX-Latin: \u{e9}\r\n\r\n"
    );
    assert_eq!(
        answer,
        "HTTP/1.1 200 Odd  Reason\r\nx-B: 2\r\nSet-Cookie: a=1\r\nX-A: 1\r\nset-cookie: b=2\r\n\
         content-length: 2\r\nConnection: close\r\n\r\nok"
    );
    let flow = proxy.flow().await;
    assert_eq!((flow.kind, flow.state(), flow.status()), (Kind::Http, State::Complete, Some(200)));
    assert_eq!(flow.request.unwrap().target, "http://h.test/p?a=%2F&b=[|]{}~");
    assert_eq!(flow.response.unwrap().reason, "Odd  Reason");
    assert_eq!(flow.response_bytes, 2);
}

#[tokio::test]
async fn what_was_said_to_the_proxy_alone_goes_no_further() {
    let origin = RawOrigin::answer(
        "HTTP/1.1 200 OK\r\nConnection: X-Mine, close\r\nX-Mine: 1\r\nKeep-Alive: timeout=5\r\n\
         Proxy-Connection: close\r\nUpgrade: h2c\r\nContent-Length: 2\r\nX-Yours: 1\r\n\r\nok",
    )
    .await
    .unwrap();
    let proxy = before(&origin).await;
    let answer = proxy
        .say(
            "GET http://h.test/ HTTP/1.1\r\nHost: h.test\r\nConnection: close, X-Hop\r\nx-hop: 1\r\n\
             Keep-Alive: 300\r\nProxy-Connection: keep-alive\r\nProxy-Authorization: Basic c2VjcmV0\r\n\
             TE: trailers\r\nUpgrade: websocket\r\nX-End: 1\r\n\r\n",
        )
        .await;
    assert_eq!(received(&origin, 0), "GET / HTTP/1.1\r\nHost: h.test\r\nX-End: 1\r\n\r\n");
    assert_eq!(
        answer,
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Yours: 1\r\nConnection: close\r\n\r\nok"
    );
}

#[tokio::test]
async fn a_connection_field_cannot_take_the_framing_or_the_host_away() {
    let origin = RawOrigin::play(vec![until("body"), send(OK_AND_CLOSE)]).await.unwrap();
    let proxy = before(&origin).await;
    let answer = proxy
        .say(
            "POST http://h.test/ HTTP/1.1\r\nHost: h.test\r\nContent-Length: 4\r\n\
             Connection: close, content-length, host, transfer-encoding\r\n\r\nbody",
        )
        .await;
    assert!(answer.ends_with("\r\n\r\nok"), "{answer}");
    assert_eq!(
        received(&origin, 0),
        "POST / HTTP/1.1\r\nHost: h.test\r\nContent-Length: 4\r\n\r\nbody"
    );
}

#[tokio::test]
async fn via_names_the_version_that_was_received_and_is_behind_others() {
    let origin = RawOrigin::answer("HTTP/1.0 200 OK\r\nVia: 1.1 far\r\nContent-Length: 0\r\n\r\n")
        .await
        .unwrap();
    let proxy = super::before_with(&origin, |settings| settings.via = true).await;
    let answer =
        proxy.say("GET http://h.test/ HTTP/1.0\r\nHost: h.test\r\nVia: 1.1 near\r\n\r\n").await;
    let sent = received(&origin, 0);
    assert!(
        sent.starts_with("GET / HTTP/1.1\r\nHost: h.test\r\nVia: 1.1 near\r\nVia: 1.0 consoletap-"),
        "{sent}"
    );
    assert!(
        answer.contains("\r\nVia: 1.1 far\r\nContent-Length: 0\r\nVia: 1.0 consoletap-"),
        "{answer}"
    );
}

#[tokio::test]
async fn ranges_and_their_answers_pass_to_the_octet() {
    let origin = RawOrigin::answer(
        b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 10-13/4294967296\r\nETag: \"x\"\r\n\
          Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x00\xff\r\n"
            .to_vec(),
    )
    .await
    .unwrap();
    let proxy = before(&origin).await;
    let mut client = proxy.connect().await;
    client
        .send("GET http://h.test/g.pkg HTTP/1.1\r\nHost: h.test\r\nRange: bytes=10-13\r\nIf-Range: \"x\"\r\nConnection: close\r\n\r\n")
        .await;
    let head = client.until("\r\n\r\n").await;
    assert_eq!(
        head,
        "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 10-13/4294967296\r\nETag: \"x\"\r\n\
         Content-Encoding: gzip\r\nContent-Length: 4\r\nConnection: close\r\n\r\n"
    );
    assert_eq!(client.rest_octets().await, b"\x00\xff\r\n");
    assert_eq!(
        received(&origin, 0),
        "GET /g.pkg HTTP/1.1\r\nHost: h.test\r\nRange: bytes=10-13\r\nIf-Range: \"x\"\r\n\r\n"
    );
}

#[tokio::test]
async fn a_1_0_request_goes_on_as_1_1_with_a_host_and_without_an_expectation() {
    // RFC 9110 10.1.1: in HTTP/1.0 the expectation is to be ignored; nobody waits for a 100.
    let origin =
        RawOrigin::play(vec![until("hello"), send("HTTP/1.1 100 Continue\r\n\r\n"), send(OK)])
            .await
            .unwrap();
    let proxy = before(&origin).await;
    let answer = proxy
        .say("POST http://h.test/ HTTP/1.0\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello")
        .await;
    assert_eq!(answer, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
    assert_eq!(
        received(&origin, 0),
        "POST / HTTP/1.1\r\nContent-Length: 5\r\nHost: h.test\r\n\r\nhello"
    );
}

#[tokio::test]
async fn bodies_go_with_any_method() {
    let origin = RawOrigin::play(vec![
        until("with get"),
        send(OK),
        until("0\r\n\r\n"),
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
    client
        .send("GET http://h.test/1 HTTP/1.1\r\nHost: h.test\r\nContent-Length: 8\r\n\r\nwith get")
        .await;
    client.until("\r\n\r\nok").await;
    client
        .send("DELETE http://h.test/2 HTTP/1.1\r\nHost: h.test\r\nTransfer-Encoding: chunked\r\n\r\n3;x=\"y\"\r\nabc\r\n00\r\n\r\n")
        .await;
    client.until("\r\n\r\nok").await;
    client.send("POST http://h.test/3 HTTP/1.1\r\nHost: h.test\r\nContent-Length: 0\r\n\r\n").await;
    client.until("\r\n\r\nok").await;
    client.send("PROPFIND http://h.test/4 HTTP/1.1\r\nHost: h.test\r\n\r\n").await;
    client.until("\r\n\r\nok").await;
    assert_eq!(
        received(&origin, 0),
        "GET /1 HTTP/1.1\r\nHost: h.test\r\nContent-Length: 8\r\n\r\nwith get\
         DELETE /2 HTTP/1.1\r\nHost: h.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n\
         POST /3 HTTP/1.1\r\nHost: h.test\r\nContent-Length: 0\r\n\r\n\
         PROPFIND /4 HTTP/1.1\r\nHost: h.test\r\n\r\n"
    );
    drop(client);
    let bodies: Vec<u64> = proxy.flows().await.iter().map(|flow| flow.request_bytes).collect();
    assert_eq!(bodies, [8, 3, 0, 0]);
}

#[tokio::test]
async fn trailers_pass_both_ways_but_none_that_would_change_the_framing() {
    let origin = RawOrigin::play(vec![
        until("X-Sum: 1\r\n\r\n"),
        send(
            "HTTP/1.1 200 OK\r\nTrailer: X-Hash\r\nTransfer-Encoding: chunked\r\n\r\n\
             2\r\nok\r\n0\r\nX-Hash: 9\r\nContent-Length: 7\r\nx-hash: 8\r\n\r\n",
        ),
    ])
    .await
    .unwrap();
    let proxy = before(&origin).await;
    let answer = proxy
        .say(
            "POST http://h.test/ HTTP/1.1\r\nHost: h.test\r\nConnection: close\r\nTrailer: X-Sum\r\n\
             Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nTransfer-Encoding: chunked\r\nHost: evil\r\nX-Sum: 1\r\n\r\n",
        )
        .await;
    assert_eq!(
        received(&origin, 0),
        "POST / HTTP/1.1\r\nHost: h.test\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n\
         1\r\na\r\n0\r\nX-Sum: 1\r\n\r\n"
    );
    assert_eq!(
        answer,
        "HTTP/1.1 200 OK\r\nTrailer: X-Hash\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n\
         2\r\nok\r\n0\r\nX-Hash: 9\r\nx-hash: 8\r\n\r\n"
            .replace("Connection: close\r\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked\r\nConnection: close")
    );
}

#[tokio::test]
async fn a_request_that_came_through_us_before_is_a_loop() {
    // Two rounds through a server that sends what it gets back to us would show it; the name that
    // we put into `Via` is enough.
    let origin = RawOrigin::answer(OK_AND_CLOSE).await.unwrap();
    let proxy = super::before_with(&origin, |settings| settings.via = true).await;
    proxy.say(GET_AND_CLOSE).await;
    let sent = received(&origin, 0);
    let via = sent.lines().find(|line| line.starts_with("Via: ")).unwrap();
    let again = format!("GET http://h.test/p HTTP/1.1\r\nHost: h.test\r\n{via}, 1.1 other\r\n\r\n");
    let answer = proxy.say(again).await;
    assert!(answer.starts_with("HTTP/1.1 508 Loop Detected\r\n"), "{answer}");
    assert_eq!(origin.received().len(), 1, "it was not sent on again");
}
