//! Interim answers, expectations, and answers that come before the request is through.

use std::time::Duration;

use consoletap_flow::State;
use consoletap_simulator::{Act, RawOrigin};

use super::{GET, GET_AND_CLOSE, OK, before, before_with, received, send, until};

const EXPECTING: &str = "PUT http://h.test/ HTTP/1.1\r\nHost: h.test\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n";

#[tokio::test]
async fn a_client_waits_for_the_100_of_the_server_and_gets_it() {
    let origin = RawOrigin::play(vec![
        Act::ReadHead,
        send("HTTP/1.1 100 Continue\r\nX: 1\r\n\r\n"),
        until("body"),
        send(OK),
    ])
    .await
    .unwrap();
    let proxy = before(&origin).await;
    let mut client = proxy.connect().await;
    client.send(EXPECTING).await;
    assert_eq!(client.until("\r\n\r\n").await, "HTTP/1.1 100 Continue\r\nX: 1\r\n\r\n");
    assert!(
        received(&origin, 0).ends_with("\r\nExpect: 100-continue\r\n\r\n"),
        "nothing but the head went on"
    );
    client.send("body").await;
    assert_eq!(client.until("ok").await, OK);
    drop(client);
    let flow = proxy.flow().await;
    assert_eq!((flow.state(), flow.request_bytes), (State::Complete, 4));
    assert_eq!(flow.interim[0].status, 100);
}

#[tokio::test]
async fn a_client_that_does_not_wait_for_ever_is_served() {
    let origin = RawOrigin::play(vec![until("body"), send(OK)]).await.unwrap();
    let proxy = before(&origin).await;
    let mut client = proxy.connect().await;
    client.send(EXPECTING).await;
    client.send("body").await;
    assert_eq!(client.until("ok").await, OK);
}

#[tokio::test]
async fn a_refused_expectation_closes_the_connection() {
    // Whether the client sends its body now or its next request cannot be told (RFC 9110 10.1.1).
    let refusal = "HTTP/1.1 417 Expectation Failed\r\nContent-Length: 2\r\n\r\nno";
    let origin =
        RawOrigin::play(vec![Act::ReadHead, send(refusal), Act::ReadHead, send(OK)]).await.unwrap();
    let proxy = before(&origin).await;
    let mut client = proxy.connect().await;
    client.send(EXPECTING).await;
    let answer = client.until("no").await;
    assert_eq!(
        answer,
        "HTTP/1.1 417 Expectation Failed\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno"
    );
    client.send(GET).await;
    assert_eq!(client.rest().await, "", "what follows is not taken for a request");
    drop(client);
    assert!(!received(&origin, 0).contains("GET"));
    assert_eq!(proxy.flow().await.state(), State::Complete);
}

#[tokio::test]
async fn early_hints_are_for_1_1_clients_only() {
    let hints = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nlink: </b>\r\n\r\n";
    let origin = RawOrigin::answer(format!("{hints}{hints}{OK}")).await.unwrap();
    let proxy = before(&origin).await;
    let new = proxy.say(GET_AND_CLOSE).await;
    assert!(new.starts_with(&format!("{hints}{hints}HTTP/1.1 200 OK\r\n")), "{new}");
    let old = proxy.say("GET http://h.test/p HTTP/1.0\r\n\r\n").await;
    assert!(old.starts_with("HTTP/1.1 200 OK\r\n"), "{old}");
    let flows = proxy.flows().await;
    assert!(flows.iter().all(|flow| flow.interim.len() == 2), "both rows show them");
}

#[tokio::test]
async fn interim_answers_have_no_length() {
    let origin = RawOrigin::answer(format!(
        "HTTP/1.1 102 Processing\r\nContent-Length: 5\r\nConnection: X\r\nX: 1\r\n\r\n{OK}"
    ))
    .await
    .unwrap();
    let proxy = before(&origin).await;
    let answer = proxy.say(GET_AND_CLOSE).await;
    assert!(answer.starts_with("HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\n"), "{answer}");
}

#[tokio::test]
async fn interim_answers_without_end_are_a_502() {
    let interim = "HTTP/1.1 102 Processing\r\n\r\n";
    for (count, last) in [(32, "HTTP/1.1 200 OK"), (33, "HTTP/1.1 502 Bad Gateway")] {
        let origin = RawOrigin::answer(format!("{}{OK}", interim.repeat(count))).await.unwrap();
        let proxy = before(&origin).await;
        let answer = proxy.say(GET_AND_CLOSE).await;
        assert!(answer.contains(last), "{count}: {answer}");
        assert_eq!(answer.matches("102 Processing").count(), 32);
    }
}

#[tokio::test]
async fn protocols_are_not_switched_unasked() {
    for request in [
        "GET http://h.test/ HTTP/1.1\r\nHost: h.test\r\nConnection: close\r\n\r\n",
        // Upgrade without Connection is for nobody; h2c is HTTP, and retired.
        "GET http://h.test/ HTTP/1.1\r\nHost: h.test\r\nUpgrade: websocket\r\nConnection: close\r\n\r\n",
        "GET http://h.test/ HTTP/1.1\r\nHost: h.test\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\nConnection: Upgrade, HTTP2-Settings, close\r\n\r\n",
        "GET http://h.test/ HTTP/1.0\r\nHost: h.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    ] {
        let origin = RawOrigin::answer(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        )
        .await
        .unwrap();
        let proxy = before(&origin).await;
        let answer = proxy.say(request).await;
        assert!(answer.starts_with("HTTP/1.1 502 Bad Gateway\r\n"), "{answer}");
        assert_eq!(received(&origin, 0), "GET / HTTP/1.1\r\nHost: h.test\r\n\r\n");
    }
}

#[tokio::test]
async fn an_upload_goes_on_behind_an_early_answer() {
    // As at `networktest/post_128`: the server answers at once, and then reads what comes.
    let origin =
        RawOrigin::play(vec![Act::ReadHead, send(OK), until("the end"), Act::ReadHead, send(OK)])
            .await
            .unwrap();
    let proxy = before(&origin).await;
    let mut client = proxy.connect().await;
    client.send("POST http://h.test/post_128 HTTP/1.1\r\nHost: h.test\r\nContent-Length: 17\r\n\r\nbeginning ").await;
    assert_eq!(client.until("ok").await, OK, "the answer is there before the request is through");
    client.send("the end").await;
    client.send(GET).await;
    assert_eq!(client.until("ok").await, OK, "the connection goes on");
    assert!(received(&origin, 0).contains("beginning the endGET /p"), "and so does the server's");
    drop(client);
    let flows = proxy.flows().await;
    assert_eq!((flows[0].state(), flows[0].request_bytes), (State::Complete, 17));
}

#[tokio::test]
async fn a_client_that_has_its_answer_may_stop_sending() {
    let origin = RawOrigin::play(vec![Act::ReadHead, send(OK), Act::Hold]).await.unwrap();
    let proxy = before(&origin).await;
    let mut client = proxy.connect().await;
    client
        .send("POST http://h.test/ HTTP/1.1\r\nHost: h.test\r\nContent-Length: 9\r\n\r\nhalf")
        .await;
    assert_eq!(client.until("ok").await, OK);
    drop(client);
    proxy.finished(1).await;
    let flow = proxy.flow().await;
    assert_eq!((flow.state(), flow.request_bytes), (State::Complete, 4));
    assert_eq!(flow.notes, ["the client had its answer and stopped sending its request"]);
}

#[tokio::test]
async fn a_server_that_wants_no_more_is_left_and_the_client_told() {
    let refusal =
        "HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno";
    let origin = RawOrigin::answer(refusal).await.unwrap();
    let proxy =
        before_with(&origin, |settings| settings.deadlines.idle = Duration::from_millis(100)).await;
    let mut client = proxy.connect().await;
    client.send("POST http://h.test/ HTTP/1.1\r\nHost: h.test\r\nContent-Length: 1000000\r\n\r\nbeginning").await;
    let answer = client.until("no").await;
    assert_eq!(
        answer,
        "HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno"
    );
    assert_eq!(client.rest().await, "");
    let flow = proxy.flow().await;
    assert_eq!((flow.state(), flow.status()), (State::Complete, Some(413)));
}
