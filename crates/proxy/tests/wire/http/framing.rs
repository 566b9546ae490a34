//! Where bodies end: every framing of the one side becomes one that the other side can read.

use consoletap_flow::State;
use consoletap_simulator::{Act, RawOrigin};

use super::{GET, GET_AND_CLOSE, GET_SENT_ON, OK, before, received, send};

const GET_1_0: &str = "GET http://h.test/p HTTP/1.0\r\n\r\n";

#[tokio::test]
async fn chunks_are_framed_anew_and_their_octets_stay() {
    let origin = RawOrigin::answer(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;ext=1\r\nabc\r\n0A\r\n0123456789\r\n0000\r\n\r\n",
    )
    .await
    .unwrap();
    let proxy = before(&origin).await;
    let mut client = proxy.connect().await;
    client.send(GET).await;
    let answer = client.until("0\r\n\r\n").await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert_eq!(head, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked");
    assert_eq!(body, "3\r\nabc\r\na\r\n0123456789\r\n0\r\n\r\n");
    drop(client);
    let flow = proxy.flow().await;
    assert_eq!((flow.state(), flow.response_bytes), (State::Complete, 13));
}

#[tokio::test]
async fn a_1_0_client_gets_chunks_as_octets_up_to_the_end_of_the_connection() {
    let origin = RawOrigin::answer(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nX-T: 1\r\n\r\n",
    )
    .await
    .unwrap();
    let proxy = before(&origin).await;
    let answer = proxy.say("GET http://h.test/p HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").await;
    assert_eq!(answer, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabcde");
    assert_eq!(proxy.flow().await.state(), State::Complete);
}

#[tokio::test]
async fn a_body_that_ends_with_the_connection_is_chunked_for_a_1_1_client() {
    let origin = RawOrigin::answer("HTTP/1.0 200 OK\r\n\r\nto the end").await.unwrap();
    let proxy = before(&origin).await;
    let mut client = proxy.connect().await;
    for _ in 0..2 {
        client.send(GET).await;
        let answer = client.until("0\r\n\r\n").await;
        assert_eq!(
            answer.replace("\r\na\r\nto the end\r\n", "BODY"),
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nBODY0\r\n\r\n"
        );
    }
    assert_eq!(
        origin.received().len(),
        2,
        "the client's connection lives on, the server's does not"
    );
    let answer = proxy.say(GET_1_0).await;
    assert_eq!(answer, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nto the end");
}

#[tokio::test]
async fn answers_that_have_no_body_end_with_their_head() {
    let origin = RawOrigin::play(vec![
        Act::ReadHead,
        send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"),
        Act::ReadHead,
        send("HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\nETag: x\r\n\r\n"),
        Act::ReadHead,
        send("HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n"),
        Act::ReadHead,
        send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        Act::ReadHead,
        send(OK),
    ])
    .await
    .unwrap();
    let proxy = before(&origin).await;
    let mut client = proxy.connect().await;
    for (method, answer) in [
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"),
        ("GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\nETag: x\r\n\r\n"),
        ("GET", "HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n"),
        ("HEAD", "HTTP/1.1 200 OK\r\n\r\n"),
    ] {
        client.send(format!("{method} http://h.test/ HTTP/1.1\r\nHost: h.test\r\n\r\n")).await;
        assert_eq!(client.until("\r\n\r\n").await, answer);
    }
    client.send(GET).await;
    assert_eq!(client.until("ok").await, OK);
    assert_eq!(origin.received().len(), 1, "the server's connection served them all");
}

#[tokio::test]
async fn a_204_with_a_body_spoils_its_connection_and_nothing_else() {
    // RFC 9110 8.6: a 204 has no Content-Length. What follows it must not become the next answer.
    let origin = RawOrigin::play_in_turn(vec![
        vec![
            Act::ReadHead,
            send("HTTP/1.1 204 No Content\r\nContent-Length: 60\r\n\r\n"),
            Act::ReadHead,
            send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"),
        ],
        vec![Act::ReadHead, send(OK)],
    ])
    .await
    .unwrap();
    let proxy = before(&origin).await;
    let mut client = proxy.connect().await;
    client.send(GET).await;
    assert_eq!(client.until("\r\n\r\n").await, "HTTP/1.1 204 No Content\r\n\r\n");
    client.send(GET).await;
    assert_eq!(client.until("ok").await, OK);
    assert_eq!(origin.received().len(), 2);
}

#[tokio::test]
async fn octets_behind_an_answer_are_no_answer_to_the_next_request() {
    let origin = RawOrigin::play_in_turn(vec![
        vec![
            Act::ReadHead,
            send(format!("{OK}HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")),
            Act::Hold,
        ],
        vec![Act::ReadHead, send(OK)],
    ])
    .await
    .unwrap();
    let proxy = before(&origin).await;
    let mut client = proxy.connect().await;
    for _ in 0..2 {
        client.send(GET).await;
        assert_eq!(client.until("ok").await, OK);
    }
    assert_eq!(received(&origin, 1), GET_SENT_ON);
}

#[tokio::test]
async fn one_length_said_twice_is_said_once() {
    // RFC 9112 6.3: a recipient that takes it must replace it by one before it sends it on.
    let origin = RawOrigin::play(vec![
        super::until("body"),
        send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: 1\r\nContent-Length: 2\r\n\r\nok"),
    ])
    .await
    .unwrap();
    let proxy = before(&origin).await;
    let answer = proxy
        .say("POST http://h.test/ HTTP/1.1\r\nHost: h.test\r\nContent-Length: 4, 4\r\nConnection: close\r\n\r\nbody")
        .await;
    assert_eq!(
        received(&origin, 0),
        "POST / HTTP/1.1\r\nHost: h.test\r\nContent-Length: 4\r\n\r\nbody"
    );
    assert_eq!(
        answer,
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: 1\r\nConnection: close\r\n\r\nok"
    );
}

#[tokio::test]
async fn what_follows_a_body_is_the_next_request() {
    let origin = RawOrigin::play(vec![super::until("body"), send(OK), Act::ReadHead, send(OK)])
        .await
        .unwrap();
    let proxy = before(&origin).await;
    let answer = proxy
        .say(format!("POST http://h.test/ HTTP/1.1\r\nHost: h.test\r\nContent-Length: 4\r\n\r\nbody\r\n{GET_AND_CLOSE}"))
        .await;
    assert_eq!(
        answer,
        format!("{OK}HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
    );
    assert_eq!(
        received(&origin, 0),
        format!("POST / HTTP/1.1\r\nHost: h.test\r\nContent-Length: 4\r\n\r\nbody{GET_SENT_ON}")
    );
}
