//! Answers without a server: no, and what a rule says.

use consoletap_flow::{Effect, State};
use consoletap_simulator::RawOrigin;
use tokio::io::AsyncReadExt as _;

use super::{alone, did, next_answer, next_head, request, rule, ruled};

#[tokio::test]
async fn a_blocked_request_is_answered_and_its_server_never_asked() {
    let origin = RawOrigin::answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
    let ruled = ruled(&origin, &rule("block = 404")).await;
    let got = ruled.get("/x").await;
    let text = "consoletap: 404 Not Found\n\nblocked by the rule r\n";
    assert_eq!(
        format!("{}{}", got.head, got.text()),
        format!(
            "HTTP/1.1 404 Not Found\r\nContent-Type: text/plain; charset=utf-8\r\n\
             X-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{text}",
            text.len()
        )
    );
    assert!(origin.received().is_empty());
    let flow = ruled.flow().await;
    assert_eq!(did(&flow), ["r: answered 404 from here"]);
    assert_eq!((flow.rules[0].effect, flow.state()), (Effect::Blocked, State::Refused));
}

#[tokio::test]
async fn a_connection_is_dropped_or_reset_without_a_word() {
    for (action, is_reset) in [("drop", false), ("reset", true)] {
        let ruled = alone(&rule(&format!("block = \"{action}\""))).await;
        for asked in [request("GET", "/", ""), "CONNECT h.test:443 HTTP/1.1\r\n\r\n".to_owned()] {
            let mut client = ruled.proxy.connect().await;
            client.send(asked).await;
            let mut got = Vec::new();
            let end = client.tcp.read_to_end(&mut got).await;
            assert_eq!((got.len(), end.is_err()), (0, is_reset), "{action}: {end:?}");
        }
        let flows = ruled.proxy.flows().await;
        assert!(flows.iter().all(|flow| flow.state() == State::Refused && flow.rules.len() == 1));
    }
}

#[tokio::test]
async fn a_connect_is_blocked_before_anybody_dials() {
    let ruled = alone(&rule("block = 403")).await;
    let mut client = ruled.proxy.connect().await;
    client.send("CONNECT h.test:443 HTTP/1.1\r\nHost: h.test:443\r\n\r\n").await;
    let got = client.rest().await;
    assert!(got.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{got}");
    assert!(got.ends_with("blocked by the rule r\n"), "{got}");
    let flow = ruled.flow().await;
    assert_eq!(
        (did(&flow), flow.state()),
        (vec!["r: answered 403 from here".into()], State::Refused)
    );
}

#[tokio::test]
async fn an_upload_that_is_blocked_gets_its_answer_all_the_same() {
    let ruled = alone(&rule("block = 403")).await;
    let mut client = ruled.proxy.connect().await;
    client.send(request("POST", "/", "Content-Length: 2000000\r\n")).await;
    client.send(vec![b'x'; 2_000_000]).await;
    let got = next_answer(&mut client).await;
    assert!(got.head.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{}", got.head);
    drop(client);
    assert_eq!(ruled.flow().await.finished.unwrap().request_body.bytes, 2_000_000);
}

#[tokio::test]
async fn an_answer_has_the_status_the_fields_and_the_text_of_its_rule() {
    let rules = r#"
[[rule]]
name = "r"
when = "~m GET|HEAD"
url = '/(?<part>[^/?]+)\.txt'
answer = { status = 203, headers = { "X-Part" = "<{part}>", "Content-Type" = "text/x" , "X-Two" = ["1", "2"] }, body = "{host}{{{query}}}" }
"#;
    let ruled = alone(rules).await;
    let mut client = ruled.proxy.connect().await;
    client.send(request("GET", "/a%20b.txt?q=1", "")).await;
    let got = next_answer(&mut client).await;
    assert_eq!(
        got.head,
        "HTTP/1.1 203 Non Authoritative Information\r\nX-Part: <a%20b>\r\nContent-Type: text/x\r\n\
         X-Two: 1\r\nX-Two: 2\r\nContent-Length: 11\r\n\r\n"
    );
    assert_eq!(got.text(), "h.test{q=1}");
    // The connection goes on, and HEAD has the same head.
    client.send(request("HEAD", "/a%20b.txt?q=1", "")).await;
    assert_eq!(next_head(&mut client).await.head, got.head);
    // What is not known leaves the request to its server, which is not there.
    client.send(request("GET", "/a.txt", "Connection: close\r\n")).await;
    assert!(client.rest().await.starts_with("HTTP/1.1 502 "));
    let flows = ruled.proxy.flows().await;
    assert_eq!(did(&flows[0]), ["r: answered 203 from here with 11 bytes"]);
    assert_eq!(flows[2].notes, ["rule r: query is not known here"]);
    assert_eq!((flows[0].rules[0].effect, flows[0].state()), (Effect::Mapped, State::Complete));
}

#[tokio::test]
async fn a_value_from_a_request_cannot_split_a_head() {
    // Percent-encoding is left alone, so nothing that could split a head ever comes out of a URL.
    let ruled =
        alone(&rule("url = 'test/(.*)'\nanswer = { headers = { 'X-A' = '{1}' }, body = 'x' }"))
            .await;
    let got = ruled.get("/a%0d%0aX-B:%201").await;
    assert_eq!(got.field("x-a"), Some("a%0d%0aX-B:%201"));
    assert_eq!(got.field("x-b"), None);
}

#[tokio::test]
async fn an_old_client_gets_an_answer_that_it_can_read() {
    let ruled = alone(&rule("answer = { body = 'Success' }")).await;
    let got = ruled.proxy.say("GET http://h.test/ HTTP/1.0\r\n\r\n").await;
    assert_eq!(got, "HTTP/1.1 200 OK\r\nContent-Length: 7\r\nConnection: close\r\n\r\nSuccess");
}
