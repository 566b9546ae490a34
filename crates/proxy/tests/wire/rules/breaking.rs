//! What rules do to make a network slow or broken, as a real client sees it.

use std::time::{Duration, Instant};

use consoletap_flow::{Effect, State};
use consoletap_simulator::RawOrigin;

use super::{Ruled, alone, answer, did, next_head, request, rule, ruled};
use crate::wire::harness::LIMIT;

/// Each fault meets an answer of a server, one from here, and one from a file.
async fn each(action: &str, body: &str) -> Vec<Ruled> {
    let origin = RawOrigin::answer(answer("", body)).await.unwrap();
    let second = |action: &str| rule(action).replace("\"r\"", "\"s\"");
    let mut from_server = ruled(&origin, &rule(action)).await;
    from_server.origin = Some(origin);
    let from_here =
        alone(&(rule(action) + &second(&format!("answer = {{ body = '{body}' }}")))).await;
    let from_file = alone(&(rule(action) + &second("map-local = { file = 'file' }"))).await;
    from_file.write("file", body);
    vec![from_server, from_here, from_file]
}

#[tokio::test]
async fn a_cut_answer_is_no_whole_one() {
    for ruled in each("fault = { cut = 5 }", "0123456789").await {
        let mut client = ruled.proxy.connect().await;
        client.send(request("GET", "/", "")).await;
        let got = super::split(client.rest_octets().await);
        assert_eq!((got.field("content-length"), got.text().as_str()), (Some("10"), "01234"));
        let flow = ruled.flow().await;
        assert_eq!(flow.state(), State::Truncated);
        assert_eq!(did(&flow).last().unwrap(), "r: cut the answer off after 5 bytes");
        let failure = flow.finished.unwrap().failure.unwrap();
        assert_eq!(failure.cause, "rule r cut the answer off after 5 bytes");
    }
}

#[tokio::test]
async fn a_stalled_answer_neither_goes_on_nor_ends() {
    for ruled in each("fault = { stall = 5 }", "0123456789").await {
        let mut client = ruled.proxy.connect().await;
        client.send(request("GET", "/", "")).await;
        next_head(&mut client).await;
        assert_eq!(client.exactly(5).await, b"01234");
        let more = tokio::time::timeout(Duration::from_millis(150), client.at_most(1)).await;
        assert!(more.is_err(), "nothing more comes, not even an end: {more:?}");
        drop(client);
        let flow = ruled.flow().await;
        assert_eq!(flow.state(), State::AbortedByClient);
        assert_eq!(did(&flow).last().unwrap(), "r: let the answer stall after 5 bytes");
    }
}

#[tokio::test]
async fn a_corrupt_answer_has_one_wrong_octet() {
    for ruled in each("fault = { corrupt = 5 }", "0123456789").await {
        let got = ruled.get("/").await;
        assert_eq!(got.body, b"01234\xca6789");
        let flow = ruled.flow().await;
        assert_eq!(flow.state(), State::Complete);
        let hit = flow.rules.last().unwrap();
        assert_eq!(
            (hit.did.as_str(), hit.effect),
            ("inverted the byte behind 5", Effect::Rewritten)
        );
    }
}

#[tokio::test]
async fn a_fault_behind_the_end_of_a_body_does_nothing() {
    for action in ["cut = 10", "stall = 10", "corrupt = 10"] {
        let ruled = each(&format!("fault = {{ {action} }}"), "0123456789").await.remove(0);
        assert_eq!(ruled.get("/").await.text(), "0123456789");
        assert_eq!(did(&ruled.flow().await), [""; 0]);
    }
}

#[tokio::test]
async fn a_delayed_request_waits_and_a_client_may_give_up_meanwhile() {
    for ruled in each("delay = '300ms'", "x").await {
        let begun = Instant::now();
        assert_eq!(ruled.get("/").await.text(), "x");
        assert!(begun.elapsed() >= Duration::from_millis(300));
        assert_eq!(did(&ruled.flow().await)[0], "r: waited 300 ms");
    }
    let ruled = alone(&rule("delay = '1h'")).await;
    let mut client = ruled.proxy.connect().await;
    client.send(request("GET", "/", "")).await;
    // The row is there before the client goes.
    while ruled.proxy.memory.count() < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    drop(client);
    tokio::time::timeout(LIMIT, ruled.proxy.all_finished()).await.unwrap();
    assert_eq!(ruled.flow().await.state(), State::AbortedByClient);
}

#[tokio::test]
async fn a_throttled_answer_takes_its_time_and_comes_evenly() {
    let body = "x".repeat(40_000);
    for ruled in each("throttle = { down = 80000 }", &body).await {
        let begun = Instant::now();
        let mut client = ruled.proxy.connect().await;
        client.send(request("GET", "/", "Connection: close\r\n")).await;
        next_head(&mut client).await;
        assert_eq!(client.exactly(20_000).await.len(), 20_000);
        let half = begun.elapsed();
        assert_eq!(client.rest().await.len(), 20_000);
        let all = begun.elapsed();
        // A twentieth of a second goes in advance; how late it is depends on the machine.
        assert!(half >= Duration::from_millis(150), "half after {half:?}");
        assert!(all >= Duration::from_millis(400), "all after {all:?}");
        assert_eq!(did(&ruled.flow().await)[0], "r: at most 80000 bytes a second to the client");
    }
}

#[tokio::test]
async fn a_throttled_upload_takes_its_time() {
    let upload = "x".repeat(30_000);
    for ruled in each("throttle = { up = 60000 }", "done").await {
        let begun = Instant::now();
        let fields = format!("Content-Length: {}\r\nConnection: close\r\n", upload.len());
        let mut client = ruled.proxy.connect().await;
        client.send(request("POST", "/", &fields)).await;
        client.send(&upload).await;
        let got = client.rest().await;
        assert!(got.ends_with("done"), "{got}");
        let flow = ruled.flow().await;
        // The server here answers at once; what it gets comes in its time all the same.
        assert!(begun.elapsed() >= Duration::from_millis(350), "{:?}", begun.elapsed());
        assert_eq!(flow.finished.unwrap().request_body.bytes, 30_000);
    }
}
