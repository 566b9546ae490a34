//! Answers that a rule changes on their way: the server is asked for all of it, and the client
//! gets a head that is true of what it gets.

use std::io::Write as _;

use consoletap_flow::{Effect, Flow, State};
use consoletap_proxy::Settings;
use consoletap_simulator::RawOrigin;

use super::{received, settings};
use crate::wire::harness::{Tested, Wanted};

const LIST: &str = r#"<?xml version="1.0" ?>
<update_data_list>
  <region id="us">
    <force_update><system level0_system_version="04.550.000" level0_system_ex_version="0" level1_system_version="04.550.000" level1_system_ex_version="0"/></force_update>
    <system_pup ex_version="0" label="5.05" sdk_version="05.050.001" version="05.050.000">
      <update_data update_type="full"><image size="467132416">http://dus01.ps4.update.playstation.net/update/ps4/image/2018_0118/sys_0123456789abcdef0123456789abcdef/PS4UPDATE.PUP?dest=us</image></update_data>
    </system_pup>
  </region>
</update_data_list>
"#;

const URL: &str = "http://fus01.ps4.update.playstation.net/update/ps4/list/us/ps4-updatelist.xml";
const HOST: &str = "fus01.ps4.update.playstation.net";

/// What the server was sent, what the client got, and the row, when a console asks for its list.
async fn asked(
    answer: &[u8],
    more: &str,
    change: impl FnOnce(&mut Settings),
) -> (String, Vec<u8>, Flow) {
    let origin = RawOrigin::answer(answer.to_vec()).await.unwrap();
    let redirect = format!("*={}", origin.address()).parse().unwrap();
    let settings = settings(origin.address(), |settings| {
        settings.redirects = vec![redirect];
        change(settings);
    });
    let rules = vec!["firmware-guard".to_owned()];
    let proxy = Tested::with(Wanted { settings, rules, ..Wanted::default() }).await;
    let mut client = proxy.connect().await;
    client
        .send(format!("GET {URL} HTTP/1.1\r\nHost: {HOST}\r\n{more}Connection: close\r\n\r\n"))
        .await;
    let got = client.rest_octets().await;
    drop(client);
    (received(&origin, 0), got, proxy.flow().await)
}

fn answer(fields: &str, body: &[u8]) -> Vec<u8> {
    [format!("HTTP/1.1 200 OK\r\n{fields}\r\n").as_bytes(), body].concat()
}

fn split(got: &[u8]) -> (String, Vec<u8>) {
    let at = got.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    (String::from_utf8(got[..at].to_vec()).unwrap(), got[at..].to_vec())
}

fn gzip(octets: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(octets).unwrap();
    encoder.finish().unwrap()
}

fn chunked(octets: &[u8]) -> Vec<u8> {
    let mut framed = Vec::new();
    for part in octets.chunks(100) {
        framed.extend_from_slice(format!("{:x}\r\n", part.len()).as_bytes());
        framed.extend_from_slice(part);
        framed.extend_from_slice(b"\r\n");
    }
    framed.extend_from_slice(b"0\r\n\r\n");
    framed
}

#[tokio::test]
async fn a_list_is_changed_however_it_comes() {
    let length = |octets: &[u8]| format!("Content-Length: {}\r\n", octets.len());
    let packed = gzip(LIST.as_bytes());
    for (fields, body) in [
        (length(LIST.as_bytes()), LIST.as_bytes().to_vec()),
        ("Transfer-Encoding: chunked\r\n".to_owned(), chunked(LIST.as_bytes())),
        (format!("Content-Encoding: gzip\r\n{}", length(&packed)), packed.clone()),
        ("Content-Encoding: x-gzip\r\nTransfer-Encoding: chunked\r\n".to_owned(), chunked(&packed)),
        (String::new(), LIST.as_bytes().to_vec()),
    ] {
        let fields =
            format!("Content-Type: text/xml\r\nETag: \"x\"\r\nAccept-Ranges: bytes\r\n{fields}");
        let (_, got, flow) = asked(&answer(&fields, &body), "", |_| {}).await;
        let (head, body) = split(&got);
        let text = String::from_utf8(body.clone()).unwrap();
        assert!(
            text.contains("<region id=\"us\">") && !text.contains("05.050.000"),
            "{fields}: {text}"
        );
        assert_eq!(
            head,
            format!(
                "HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: {}\r\nETag: \"{}\"\r\nAccept-Ranges: bytes\r\nConnection: close\r\n\r\n",
                body.len(),
                &blake3::hash(&body).to_hex()[..32]
            )
        );
        assert_eq!((flow.state(), flow.response_bytes), (State::Complete, body.len() as u64));
        assert_eq!(
            flow.rules.iter().map(|hit| hit.effect).collect::<Vec<_>>(),
            [Effect::Rewritten]
        );
    }
}

#[tokio::test]
async fn the_server_is_asked_for_the_whole_list_and_without_conditions() {
    let answer = answer(&format!("Content-Length: {}\r\n", LIST.len()), LIST.as_bytes());
    let more = "Range: bytes=0-9\r\nIf-None-Match: \"x\"\r\nIf-Modified-Since: x\r\naccept-encoding: gzip\r\nX-End: 1\r\n";
    let (sent, got, _) = asked(&answer, more, |_| {}).await;
    assert_eq!(
        sent,
        format!(
            "GET /update/ps4/list/us/ps4-updatelist.xml HTTP/1.1\r\nHost: {HOST}\r\naccept-encoding: identity\r\nX-End: 1\r\n\r\n"
        )
    );
    // The part that it asked for comes from here.
    assert!(got.starts_with(b"HTTP/1.1 206 Partial Content\r\n"));
    assert_eq!(split(&got).1, &LIST.as_bytes()[..10]);
}

/// What cannot be changed passes to the octet, and the row says why.
async fn passes(answer: Vec<u8>, why: &str, cap: usize) {
    let (_, got, flow) = asked(&answer, "", |settings| settings.limits.held_body = cap).await;
    let expected =
        String::from_utf8_lossy(&answer).replacen("\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1);
    assert_eq!(unframed(&String::from_utf8_lossy(&got)), unframed(&expected));
    assert_eq!(flow.state(), State::Complete);
    assert!(flow.notes.iter().any(|note| note.contains(why)), "{why}: {:?}", flow.notes);
    assert!(flow.rules.iter().all(|hit| hit.effect != Effect::Rewritten), "{:?}", flow.rules);
}

/// The same without the lines before and behind chunks, which may be cut elsewhere.
fn unframed(answer: &str) -> String {
    let Some((head, mut body)) = answer.split_once("\r\n\r\n") else { return answer.to_owned() };
    if !head.contains("chunked") {
        return answer.to_owned();
    }
    let mut octets = head.to_owned();
    while let Some((line, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(line, 16).unwrap();
        if size == 0 {
            return octets + rest;
        }
        octets.push_str(&rest[..size]);
        body = &rest[size + 2..];
    }
    panic!("the last chunk is missing: {answer}")
}

#[tokio::test]
async fn what_is_too_large_to_hold_passes_unchanged() {
    let known =
        answer(&format!("ETag: \"x\"\r\nContent-Length: {}\r\n", LIST.len()), LIST.as_bytes());
    passes(known, "larger than 100 bytes", 100).await;
    let framed = chunked(LIST.as_bytes());
    passes(
        answer("ETag: \"x\"\r\nTransfer-Encoding: chunked\r\n", &framed),
        "larger than 250 bytes",
        250,
    )
    .await;
}

#[tokio::test]
async fn what_cannot_be_unpacked_passes_unchanged() {
    let bomb = gzip(&vec![b' '; 1 << 20]);
    let coded = |coding: &str, body: &[u8]| {
        answer(&format!("Content-Encoding: {coding}\r\nContent-Length: {}\r\n", body.len()), body)
    };
    passes(coded("gzip", &bomb), "unpacks to more than", 64 << 10).await;
    passes(coded("gzip", b"no gzip"), "is no whole gzip", 64 << 10).await;
    passes(coded("lz4", b"whatever"), "encoded as lz4", 64 << 10).await;
    passes(coded("br", b"whatever"), "is no whole br", 64 << 10).await;
}

#[tokio::test]
async fn a_list_that_breaks_off_is_a_502() {
    let cut = answer(&format!("Content-Length: {}\r\n", LIST.len() + 1), LIST.as_bytes());
    let (_, got, flow) = asked(&cut, "", |_| {}).await;
    assert!(got.starts_with(b"HTTP/1.1 502 "), "{}", got.escape_ascii());
    assert_eq!((flow.state(), flow.status()), (State::UpstreamError, Some(502)));
}

#[tokio::test]
async fn what_is_no_list_passes_with_its_trailers() {
    let mut page = answer("Transfer-Encoding: chunked\r\n", b"");
    page.extend_from_slice(b"5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n");
    passes(page, "", 1 << 20).await;
}
