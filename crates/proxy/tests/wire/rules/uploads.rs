//! Requests with a body that are answered from here: the answer does not wait for the body, the body
//! is taken in all the same, and the connection goes on behind it.

use std::time::{Duration, Instant};

use consoletap_flow::{Flow, State};

use super::{Ruled, alone, next_answer, request, rule};

/// More than the kernel holds of either direction.
const LARGE: usize = 16 << 20;

fn post(length: usize) -> String {
    request("POST", "/", &format!("Content-Length: {length}\r\n"))
}

/// How much came of each request; all of them ended well.
async fn uploaded(ruled: Ruled) -> Vec<u64> {
    let flows = ruled.proxy.flows().await;
    let bytes = |flow: &Flow| {
        assert_eq!(flow.state(), State::Complete, "{flow:?}");
        flow.finished.as_ref().unwrap().request_body.bytes
    };
    flows.iter().map(bytes).collect()
}

#[tokio::test]
async fn the_answer_is_there_before_the_body_and_the_connection_goes_on() {
    let ruled = alone(&rule("answer = { body = 'Success' }")).await;
    let mut client = ruled.proxy.connect().await;
    client.send(post(4)).await;
    let got = next_answer(&mut client).await;
    assert_eq!((got.text().as_str(), got.field("connection")), ("Success", None));
    client.send("ab").await;
    client.send("cd").await;
    client.send(request("POST", "/", "Transfer-Encoding: chunked\r\n")).await;
    assert_eq!(next_answer(&mut client).await.text(), "Success");
    client.send("3\r\nabc\r\n").await;
    client.send("0\r\n\r\n").await;
    // What comes in one piece with its body, and the next request behind it.
    client.send(format!("{}ab{}", post(2), request("GET", "/", ""))).await;
    assert_eq!(next_answer(&mut client).await.text(), "Success");
    assert_eq!(next_answer(&mut client).await.text(), "Success");
    drop(client);
    assert_eq!(uploaded(ruled).await, [4, 3, 2, 0]);
}

#[tokio::test]
async fn a_client_that_reads_nothing_before_it_has_sent_everything_is_not_stuck() {
    let ruled = alone(&rule("answer = { zeros = '16m' }")).await;
    let mut client = ruled.proxy.connect().await;
    for _ in 0..2 {
        client.send(post(LARGE)).await;
        client.send(vec![b'x'; LARGE]).await;
        assert_eq!(next_answer(&mut client).await.body.len(), LARGE);
    }
    drop(client);
    assert_eq!(uploaded(ruled).await, [LARGE as u64; 2]);
}

#[tokio::test]
async fn a_client_that_sends_nothing_before_it_has_read_everything_is_not_stuck() {
    for rules in [rule("answer = { zeros = '16m' }"), rule("map-local = { file = 'large' }")] {
        let ruled = alone(&rules).await;
        ruled.write("large", vec![0; LARGE]);
        let mut client = ruled.proxy.connect().await;
        for _ in 0..2 {
            client.send(post(LARGE)).await;
            assert_eq!(next_answer(&mut client).await.body.len(), LARGE);
            client.send(vec![b'x'; LARGE]).await;
        }
        client.send(request("GET", "/", "")).await;
        assert_eq!(next_answer(&mut client).await.body.len(), LARGE);
        drop(client);
        assert_eq!(uploaded(ruled).await, [LARGE as u64, LARGE as u64, 0]);
    }
}

#[tokio::test]
async fn an_old_client_is_answered_at_once_too() {
    let ruled = alone(&rule("answer = { body = 'Success' }")).await;
    let mut client = ruled.proxy.connect().await;
    let fields = "Content-Length: 4\r\nConnection: keep-alive\r\n";
    client.send(format!("POST http://h.test/ HTTP/1.0\r\n{fields}\r\n")).await;
    let got = next_answer(&mut client).await;
    assert_eq!((got.text().as_str(), got.field("connection")), ("Success", Some("keep-alive")));
    client.send("abcd").await;
    client.send("POST http://h.test/ HTTP/1.0\r\nContent-Length: 3\r\n\r\n").await;
    let got = next_answer(&mut client).await;
    assert_eq!((got.text().as_str(), got.field("connection")), ("Success", Some("close")));
    client.send("abc").await;
    assert_eq!(client.rest().await, "");
    assert_eq!(uploaded(ruled).await, [4, 3]);
}

#[tokio::test]
async fn a_throttled_upload_holds_up_what_follows_and_not_its_answer() {
    let throttled = "[[rule]]\nname = \"slow\"\nwhen = \"~all\"\nthrottle = { up = '40k' }\n";
    let ruled = alone(&(rule("answer = { body = 'Success' }") + throttled)).await;
    let mut client = ruled.proxy.connect().await;
    let began = Instant::now();
    client.send(post(20_480)).await;
    client.send(vec![b'x'; 10_240]).await;
    assert_eq!(next_answer(&mut client).await.text(), "Success");
    client.send(vec![b'x'; 10_240]).await;
    client.send(request("GET", "/", "")).await;
    assert_eq!(next_answer(&mut client).await.text(), "Success");
    let took = began.elapsed();
    assert!(took > Duration::from_millis(300), "20 KiB at 40 KiB/s took {took:?}");
    drop(client);
    assert_eq!(uploaded(ruled).await, [20_480, 0]);
}

#[tokio::test]
async fn a_client_that_stops_behind_its_answer_has_had_it() {
    let ruled = alone(&rule("answer = { body = 'Success' }")).await;
    let mut client = ruled.proxy.connect().await;
    client.send(format!("{}abc", post(10))).await;
    assert_eq!(next_answer(&mut client).await.text(), "Success");
    drop(client);
    let flow = ruled.flow().await;
    assert_eq!(flow.notes, ["the client had its answer and stopped sending its request"]);
    let body = &flow.finished.as_ref().unwrap().request_body;
    assert_eq!((flow.state(), body.bytes), (State::Complete, 3));
}

#[tokio::test]
async fn who_asks_for_leave_to_send_gets_the_answer_instead() {
    let ruled = alone(&rule("answer = { body = 'Success' }")).await;
    let fields = "Content-Length: 3\r\nExpect: 100-continue\r\n";
    let expected = "HTTP/1.1 200 OK\r\nContent-Length: 7\r\nConnection: close\r\n\r\nSuccess";
    assert_eq!(ruled.proxy.say(request("POST", "/", fields)).await, expected);
    // Who does not wait for it has said everything.
    let mut client = ruled.proxy.connect().await;
    client.send(format!("{}abc", request("POST", "/", fields))).await;
    assert_eq!(next_answer(&mut client).await.text(), "Success");
    client.send(request("GET", "/", "Connection: close\r\n")).await;
    assert!(client.rest().await.ends_with("Success"));
    assert_eq!(uploaded(ruled).await, [0, 3, 0]);
}

#[tokio::test]
async fn a_body_that_is_broken_from_the_start_is_refused() {
    let ruled = alone(&rule("answer = { body = 'Success' }")).await;
    let broken = request("POST", "/", "Transfer-Encoding: chunked\r\n") + "nonsense\r\n";
    let got = ruled.proxy.say(broken).await;
    assert!(got.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{got}");
    assert_eq!(ruled.flow().await.state(), State::Refused);
}

#[tokio::test]
async fn a_blocked_request_is_answered_at_once_and_what_it_sends_is_noted() {
    let ruled = alone(&rule("block = 403")).await;
    let mut client = ruled.proxy.connect().await;
    client.send(post(4)).await;
    let got = next_answer(&mut client).await;
    assert_eq!((got.status(), got.field("connection")), (403, None));
    client.send("abcd").await;
    // Everything at once, and the next request behind it.
    client.send(format!("{}xy{}", post(2), request("GET", "/", ""))).await;
    assert_eq!(next_answer(&mut client).await.status(), 403);
    assert_eq!(next_answer(&mut client).await.status(), 403);
    // A client that reads nothing before it has sent everything.
    client.send(post(LARGE)).await;
    client.send(vec![b'x'; LARGE]).await;
    assert_eq!(next_answer(&mut client).await.status(), 403);
    drop(client);
    let flows = ruled.proxy.flows().await;
    let bytes: Vec<u64> =
        flows.iter().map(|flow| flow.finished.as_ref().unwrap().request_body.bytes).collect();
    assert_eq!(bytes, [4, 2, 0, LARGE as u64]);
    for flow in &flows {
        assert_eq!(flow.state(), State::Refused);
        let failure = flow.finished.as_ref().unwrap().failure.as_ref().unwrap();
        assert_eq!(failure.cause, "blocked by the rule r");
    }
}

#[tokio::test]
async fn a_blocked_request_that_waits_for_leave_gets_none() {
    let ruled = alone(&rule("block = 403")).await;
    let mut client = ruled.proxy.connect().await;
    let fields = "Content-Length: 4\r\nExpect: 100-continue\r\n";
    client.send(request("POST", "/", fields)).await;
    let got = next_answer(&mut client).await;
    assert_eq!((got.status(), got.field("connection")), (403, Some("close")));
    let flow = ruled.flow().await;
    assert_eq!(flow.finished.unwrap().request_body.bytes, 0);
}
