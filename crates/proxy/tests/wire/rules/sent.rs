//! Bodies of requests that rules change on their way to the server.

use std::io::Write as _;

use consoletap_flow::{Effect, State};
use consoletap_simulator::RawOrigin;

use super::{answer, did, next_answer, next_head, request, rule, ruled, ruled_with};

const FORM: &str = "loginid=a%40b&console=PS4&x=1";

async fn origin() -> RawOrigin {
    RawOrigin::answer(answer("Connection: close\r\n", "ok")).await.unwrap()
}

/// What the server got.
fn received(origin: &RawOrigin) -> String {
    let [received] = &origin.received()[..] else { panic!("one request was expected") };
    String::from_utf8(received.clone()).unwrap()
}

fn form() -> String {
    rule("rewrite-request = { form = { console = '{value}5 & {host}', none = 'x' } }")
}

#[tokio::test]
async fn a_field_of_a_form_is_another_and_the_length_is_true() {
    let origin = origin().await;
    let ruled = ruled(&origin, &form()).await;
    let fields = format!(
        "Content-Type: application/x-www-form-urlencoded\r\nContent-MD5: x\r\nContent-Length: {}\r\n",
        FORM.len()
    );
    let mut client = ruled.proxy.connect().await;
    client.send(request("POST", "/", &fields) + FORM).await;
    assert_eq!(next_answer(&mut client).await.text(), "ok");
    drop(client);
    let changed = "loginid=a%40b&console=PS45%20%26%20h.test&x=1";
    assert_eq!(
        received(&origin),
        format!(
            "POST / HTTP/1.1\r\nHost: h.test\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: {}\r\n\r\n{changed}",
            changed.len()
        )
    );
    let flow = ruled.flow().await;
    assert_eq!(did(&flow), ["r: rewrote the form: 1 field"]);
    assert_eq!((flow.rules[0].effect, flow.state()), (Effect::Rewritten, State::Complete));
    assert_eq!(flow.finished.unwrap().request_body.bytes, changed.len() as u64);
}

#[tokio::test]
async fn json_in_chunks_xml_and_text_change_too() {
    for (action, body, changed) in [
        ("json-patch = [{ op = 'replace', path = '/a', value = 2 }]", "{\"a\": 1}", "{\"a\": 2}"),
        ("json-merge-patch = { a = { b = 'c' } }", "{\"a\": {}}", "{\"a\": {\"b\":\"c\"}}"),
        ("xml = { 'a@b' = '2' }", "<a b='1'/>", "<a b='2'/>"),
        ("replace = { find = '1+', with = '' }", "111", ""),
    ] {
        let origin = origin().await;
        let ruled = ruled(&origin, &rule(&format!("rewrite-request = {{ {action} }}"))).await;
        let mut client = ruled.proxy.connect().await;
        client.send(request("POST", "/", "Transfer-Encoding: chunked\r\n")).await;
        client.send(format!("{:x}\r\n{body}\r\n0\r\nX-Sum: 1\r\n\r\n", body.len())).await;
        assert_eq!(next_answer(&mut client).await.text(), "ok", "{action}");
        let length = changed.len();
        assert_eq!(
            received(&origin),
            format!("POST / HTTP/1.1\r\nHost: h.test\r\nContent-Length: {length}\r\n\r\n{changed}")
        );
    }
}

#[tokio::test]
async fn who_waits_for_leave_gets_it_and_the_server_is_not_asked_for_it() {
    let origin = origin().await;
    let ruled = ruled(&origin, &form()).await;
    let mut client = ruled.proxy.connect().await;
    let fields = format!("Expect: 100-continue\r\nContent-Length: {}\r\n", FORM.len());
    client.send(request("POST", "/", &fields)).await;
    assert_eq!(next_head(&mut client).await.status(), 100);
    client.send(FORM).await;
    let got = next_answer(&mut client).await;
    assert_eq!((got.status(), got.text().as_str()), (200, "ok"));
    let received = received(&origin);
    assert!(!received.to_lowercase().contains("expect"), "{received}");
    assert!(received.ends_with("&console=PS45%20%26%20h.test&x=1"), "{received}");
}

#[tokio::test]
async fn a_coding_is_undone_and_gone() {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(FORM.as_bytes()).unwrap();
    let packed = gzip.finish().unwrap();
    let origin = origin().await;
    let ruled = ruled(&origin, &form()).await;
    let mut client = ruled.proxy.connect().await;
    let fields = format!("Content-Encoding: gzip\r\nContent-Length: {}\r\n", packed.len());
    client.send(request("POST", "/", &fields)).await;
    client.send(&packed).await;
    assert_eq!(next_answer(&mut client).await.text(), "ok");
    let received = received(&origin);
    assert!(!received.contains("gzip") && received.ends_with("h.test&x=1"), "{received}");
}

#[tokio::test]
async fn what_cannot_be_changed_goes_on_as_it_is_and_the_row_says_why() {
    for (fields, body, note) in [
        ("", "a=1&console=2345", "the request's body is larger than 10 bytes; sent on unchanged"),
        (
            "Content-Encoding: lz4\r\n",
            "a",
            "the body is encoded as lz4, which no rule can read; passed on unchanged",
        ),
        (
            "",
            "{\"a\":1}",
            "rule r: the body is no form: its fields were expected, as a=b&c=d; passed unchanged",
        ),
    ] {
        for chunked in [false, true] {
            let origin = origin().await;
            let small = |settings: &mut consoletap_proxy::Settings| settings.limits.held_body = 10;
            let ruled = ruled_with(origin.address(), &form(), small).await;
            let mut client = ruled.proxy.connect().await;
            let (framing, sent) = match chunked {
                true => (
                    "Transfer-Encoding: chunked\r\n".to_owned(),
                    format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len()),
                ),
                false => (format!("Content-Length: {}\r\n", body.len()), body.to_owned()),
            };
            client.send(request("POST", "/", &format!("{fields}{framing}")) + &sent).await;
            assert_eq!(next_answer(&mut client).await.text(), "ok");
            let received = received(&origin);
            assert!(received.contains(body), "{received}");
            let flow = ruled.flow().await;
            assert_eq!((flow.notes.as_slice(), flow.rules.len()), (&[note.to_owned()][..], 0));
            assert_eq!(flow.finished.unwrap().request_body.bytes, body.len() as u64);
        }
    }
}
