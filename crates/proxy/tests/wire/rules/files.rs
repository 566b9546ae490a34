//! Map-local: files as consoles download them.

use std::fs::{self, File};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{FileExt as _, symlink};
use std::time::{Duration, SystemTime};

use consoletap_flow::{Effect, Side, State};
use consoletap_simulator::RawOrigin;

use super::{Got, Ruled, alone, answer, did, next_answer, next_head, request, rule};
use crate::wire::harness::LIMIT;

/// Octets that tell their place.
fn pattern(from: u64, count: usize) -> Vec<u8> {
    (from..from + count as u64).map(|at| (at.wrapping_mul(0x9e37_79b9) >> 7) as u8).collect()
}

async fn with_file(octets: &[u8]) -> Ruled {
    let ruled = alone(&rule("map-local = { folder = 'files' }")).await;
    let path = ruled.write("files/x.pkg", octets);
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
    File::options().write(true).open(path).unwrap().set_modified(long_ago).unwrap();
    ruled
}

const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

#[tokio::test]
async fn a_whole_file_comes_with_everything_that_a_console_needs_to_go_on_later() {
    let ruled = with_file(b"0123456789").await;
    let got = ruled.get("/some/where/x.pkg?product=0287&serverIpAddr=1.2.3.4").await;
    assert_eq!((got.status(), got.text().as_str()), (200, "0123456789"));
    for (field, value) in [
        ("content-type", "application/octet-stream"),
        ("content-length", "10"),
        ("accept-ranges", "bytes"),
        ("last-modified", DATE),
    ] {
        assert_eq!(got.field(field), Some(value), "{field}");
    }
    let etag = got.field("etag").unwrap();
    assert!(etag.starts_with('"') && etag.ends_with('"'), "{etag} is strong");
    assert!(got.field("date").is_some_and(|date| date.ends_with(" GMT")));
    let flow = ruled.flow().await;
    assert_eq!((flow.rules[0].effect, flow.state()), (Effect::Mapped, State::Complete));
    assert!(did(&flow)[0].starts_with("r: answered 200 from /"), "{:?}", did(&flow));
    assert_eq!(flow.response_bytes, 10);
}

/// One connection, asked again and again: every answer ends where it says.
#[tokio::test]
async fn ranges_and_conditions_are_answered_as_their_standard_says() {
    let content = pattern(0, 1000);
    let ruled = with_file(&content).await;
    let etag = ruled.ask("HEAD", "/x.pkg", "").await.field("etag").unwrap().to_owned();
    let weak = format!("W/{etag}");
    let mut client = ruled.proxy.connect().await;
    let tagged = |text: &str| text.replace("TAG", &etag).replace("WEAK", &weak);
    let wholly = 0..1000;
    for (fields, status, range) in [
        ("Range: bytes=0-0", 206, 0..1),
        ("Range: bytes=0-499", 206, 0..500),
        ("Range: bytes=500-999", 206, 500..1000),
        ("Range: bytes=500-", 206, 500..1000),
        ("Range: bytes=0-", 206, 0..1000),
        ("Range: bytes=999-", 206, 999..1000),
        ("Range: bytes=-1", 206, 999..1000),
        ("Range: bytes=-1000", 206, 0..1000),
        ("Range: bytes=-5000", 206, 0..1000),
        ("Range: bytes=900-5000", 206, 900..1000),
        ("Range: bytes=0-18446744073709551615", 206, 0..1000),
        ("Range: bytes=0-99999999999999999999999", 206, 0..1000),
        ("Range: BYTES=1-2", 206, 1..3),
        ("Range: bytes=0-4,5-9", 206, 0..10),
        ("Range: bytes=0-9,2-3", 206, 0..10),
        ("Range: bytes=3000-,7-8", 206, 7..9),
        ("Range: bytes=1000-", 416, 0..0),
        ("Range: bytes=1000-1001", 416, 0..0),
        ("Range: bytes=-0", 416, 0..0),
        ("Range: bytes=18446744073709551615-", 416, 0..0),
        ("Range: bytes=9-8", 200, wholly.clone()),
        ("Range: bytes=x", 200, wholly.clone()),
        ("Range: bytes=1-2-3", 200, wholly.clone()),
        ("Range: items=0-1", 200, wholly.clone()),
        ("Range: bytes=0-1\r\nRange: bytes=3-4", 200, wholly.clone()),
        ("Range: bytes=0-9\r\nIf-Range: TAG", 206, 0..10),
        ("Range: bytes=0-9\r\nIf-Range: WEAK", 200, wholly.clone()),
        ("Range: bytes=0-9\r\nIf-Range: \"other\"", 200, wholly.clone()),
        ("Range: bytes=0-9\r\nIf-Range: Sun, 06 Nov 1994 08:49:37 GMT", 206, 0..10),
        ("Range: bytes=0-9\r\nIf-Range: Sun, 06 Nov 1994 08:49:38 GMT", 200, wholly.clone()),
        ("Range: bytes=0-9\r\nIf-Range: nonsense", 200, wholly.clone()),
        ("Range: bytes=5000-\r\nIf-Range: \"other\"", 200, wholly.clone()),
        ("If-None-Match: TAG", 304, 0..0),
        ("If-None-Match: WEAK", 304, 0..0),
        ("If-None-Match: *", 304, 0..0),
        ("If-None-Match: \"a\", TAG", 304, 0..0),
        ("If-None-Match: \"a\"", 200, wholly.clone()),
        ("If-None-Match: TAG\r\nRange: bytes=0-9", 304, 0..0),
        ("If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT", 304, 0..0),
        ("If-Modified-Since: Sunday, 06-Nov-94 08:49:37 GMT", 304, 0..0),
        ("If-Modified-Since: Sun Nov  6 08:49:37 1994", 304, 0..0),
        ("If-Modified-Since: Sun, 06 Nov 1994 08:49:36 GMT", 200, wholly.clone()),
        (
            "If-None-Match: \"a\"\r\nIf-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT",
            200,
            wholly.clone(),
        ),
        ("If-Match: TAG", 200, wholly.clone()),
        ("If-Match: WEAK", 412, 0..0),
        ("If-Match: \"a\"", 412, 0..0),
        ("If-Match: *\r\nRange: bytes=2-3", 206, 2..4),
        ("If-Unmodified-Since: Sun, 06 Nov 1994 08:49:37 GMT", 200, wholly.clone()),
        ("If-Unmodified-Since: Sun, 06 Nov 1994 08:49:36 GMT", 412, 0..0),
    ] {
        let fields = tagged(fields);
        client.send(request("GET", "/x.pkg", &format!("{fields}\r\n"))).await;
        let got = next_answer(&mut client).await;
        assert_eq!(got.status(), status, "{fields}\n{}", got.head);
        match status {
            200 | 206 => assert_eq!(got.body, content[range.clone()], "{fields}"),
            304 => assert_eq!((got.body.len(), got.field("etag")), (0, Some(&*etag)), "{fields}"),
            _ => {}
        }
        let said = got.field("content-range");
        match status {
            206 => {
                let range = format!("bytes {}-{}/1000", range.start, range.end - 1);
                assert_eq!(said, Some(&*range), "{fields}");
            }
            416 => assert_eq!(said, Some("bytes */1000"), "{fields}"),
            _ => assert_eq!(said, None, "{fields}"),
        }
    }
}

#[tokio::test]
async fn several_ranges_come_in_parts_of_one_body() {
    let content = pattern(0, 1000);
    let ruled = with_file(&content).await;
    let got = ruled.ask("GET", "/x.pkg", "Range: bytes=900-901, 0-4,-1\r\n").await;
    assert_eq!(got.status(), 206);
    let media_type = got.field("content-type").unwrap();
    let boundary = media_type.strip_prefix("multipart/byteranges; boundary=").unwrap();
    let part = |first: usize, last: usize| {
        let head = format!(
            "--{boundary}\r\nContent-Type: application/octet-stream\r\n\
             Content-Range: bytes {first}-{last}/1000\r\n\r\n"
        );
        [head.as_bytes(), &content[first..=last]].concat()
    };
    let between = b"\r\n".to_vec();
    let end = format!("\r\n--{boundary}--\r\n").into_bytes();
    let expected =
        [part(900, 901), between.clone(), part(0, 4), between, part(999, 999), end].concat();
    assert_eq!(got.body.escape_ascii().to_string(), expected.escape_ascii().to_string());
    assert_eq!(got.field("content-length"), Some(&*expected.len().to_string()));
    let many = vec!["1-1"; 65].join(",");
    let got = ruled.ask("GET", "/x.pkg", &format!("Range: bytes={many}\r\n")).await;
    assert_eq!(got.status(), 416);
}

#[tokio::test]
async fn head_is_the_head_of_get() {
    let ruled = with_file(b"0123456789").await;
    let mut heads = Vec::new();
    for method in ["GET", "HEAD"] {
        let got = ruled.ask(method, "/x.pkg", "").await;
        assert_eq!(got.body.len(), if method == "HEAD" { 0 } else { 10 });
        let head: Vec<String> = got
            .head
            .lines()
            .filter(|line| !line.starts_with("Date: "))
            .map(str::to_owned)
            .collect();
        heads.push(head);
    }
    assert_eq!(heads[0], heads[1]);
}

#[tokio::test]
async fn a_hundred_gigabytes_are_a_file_like_any_other() {
    let ruled = alone(&rule("map-local = { folder = 'files' }")).await;
    let path = ruled.write("files/title.pkg", "");
    let size = 100_u64 << 30;
    let file = File::options().write(true).open(path).unwrap();
    file.set_len(size).unwrap();
    file.write_all_at(b"the end", size - 7).unwrap();
    let head = ruled.ask("HEAD", "/title.pkg", "").await;
    assert_eq!(head.field("content-length"), Some("107374182400"));
    let got = ruled.ask("GET", "/title.pkg", "Range: bytes=107374182390-\r\n").await;
    assert_eq!(got.text(), "\0\0\0the end");
    let slice = format!("Range: bytes={}-{}\r\n", 80_u64 << 30, (80_u64 << 30) + (16 << 20) - 1);
    let got = ruled.ask("GET", "/title.pkg", &slice).await;
    assert_eq!(got.body.len(), 16 << 20);
    assert!(got.body.iter().all(|&octet| octet == 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_slices_at_once_are_the_file() {
    const SLICE: usize = 300_000;
    let content = pattern(0, 64 * SLICE);
    let ruled = std::sync::Arc::new(with_file(&content).await);
    let slices = (0..64).map(|index| {
        let ruled = std::sync::Arc::clone(&ruled);
        tokio::spawn(async move {
            let range = format!("Range: bytes={}-{}\r\n", index * SLICE, (index + 1) * SLICE - 1);
            ruled.ask("GET", "/x.pkg", &range).await
        })
    });
    for (index, slice) in slices.collect::<Vec<_>>().into_iter().enumerate() {
        let got = slice.await.unwrap();
        assert_eq!(got.status(), 206);
        assert!(got.body == content[index * SLICE..(index + 1) * SLICE], "slice {index}");
    }
}

/// What a client gets of a file to which something happens after its first octets came. It is more
/// than fits into the sockets between.
async fn interrupted(happens: impl FnOnce(&std::path::Path)) -> (Got, consoletap_flow::Flow) {
    let content = pattern(0, 48 << 20);
    let ruled = with_file(&content).await;
    let mut client = ruled.proxy.connect().await;
    client.send(request("GET", "/x.pkg", "")).await;
    let head = next_head(&mut client).await;
    assert_eq!(head.field("content-length"), Some("50331648"));
    happens(&ruled.path("files/x.pkg"));
    // Nothing else is asked, so that a clean end keeps the connection open.
    let mut body = client.at_most(48 << 20).await;
    let whole = body.len() == 48 << 20;
    if !whole {
        body.extend(client.rest_octets().await);
    }
    drop(client);
    (Got { head: head.head, body }, ruled.flow().await)
}

#[tokio::test]
async fn a_file_that_becomes_shorter_ends_in_a_broken_transfer() {
    let shorten = |path: &std::path::Path| {
        File::options().write(true).open(path).unwrap().set_len(40 << 20).unwrap();
    };
    let (got, flow) = interrupted(shorten).await;
    assert!(got.body.len() <= 40 << 20, "{}", got.body.len());
    assert_eq!(flow.state(), State::Truncated);
    let failure = flow.finished.unwrap().failure.unwrap();
    assert_eq!(failure.side, Side::Here);
    assert!(failure.cause.ends_with("files/x.pkg became shorter while it was sent"), "{failure}");
}

#[tokio::test]
async fn a_file_that_is_written_anew_ends_in_a_broken_transfer() {
    let write = |path: &std::path::Path| {
        let mut file = File::options().write(true).open(path).unwrap();
        file.seek(SeekFrom::Start(47 << 20)).unwrap();
        file.write_all(b"something else").unwrap();
    };
    let (got, flow) = interrupted(write).await;
    assert!(got.body.len() < 48 << 20, "{}", got.body.len());
    let failure = flow.finished.unwrap().failure.unwrap();
    assert!(failure.cause.ends_with("files/x.pkg changed while it was sent"), "{failure}");
}

#[tokio::test]
async fn a_file_that_vanishes_is_sent_to_its_end() {
    let (got, flow) = interrupted(|path| fs::remove_file(path).unwrap()).await;
    assert!(got.body == pattern(0, 48 << 20));
    assert_eq!(flow.state(), State::Complete);
}

#[tokio::test]
async fn what_is_not_there_is_not_found_or_taken_from_the_net() {
    let ruled = with_file(b"x").await;
    let got = ruled.get("/other.pkg").await;
    assert_eq!(got.status(), 404);
    assert!(!got.text().contains("files/"), "where files lie is nobody's business: {}", got.text());
    assert!(did(&ruled.flow().await)[0].contains("there is no file /"));

    let origin = RawOrigin::answer(answer("Connection: close\r\n", "from the net")).await.unwrap();
    let ruled =
        super::ruled(&origin, &rule("map-local = { folder = 'files', missing = 'net' }")).await;
    ruled.write("files/here.pkg", "from here");
    assert_eq!(ruled.get("/here.pkg").await.text(), "from here");
    assert_eq!(ruled.get("/there.pkg").await.text(), "from the net");
    let flows = ruled.proxy.flows().await;
    assert_eq!((flows[0].rules.len(), flows[1].rules.len()), (1, 0));
    assert!(flows[1].notes[0].ends_with("taken from the net"), "{:?}", flows[1].notes);
}

#[tokio::test]
async fn no_url_leads_out_of_the_folder() {
    let ruled = alone(&rule("map-local = { folder = 'files', path = '{path}' }")).await;
    ruled.write("secret", "secret");
    ruled.write("files/sub/a b.pkg", "fine");
    symlink("../secret", ruled.path("files/link")).unwrap();
    symlink("..", ruled.path("files/up")).unwrap();
    for path in [
        "/../secret",
        "/sub/../../secret",
        "/%2e%2e/secret",
        "/%2E%2E%2Fsecret",
        "/..%2fsecret",
        "/sub/..%5c..%5csecret",
        "/link",
        "/up/secret",
        "/%00",
        "/secret%00.pkg",
        "//etc/passwd",
        "/",
        "/sub",
        "/sub/",
    ] {
        let got = ruled.get(path).await;
        assert!(got.status() >= 400, "{path}: {}", got.head);
        assert!(!got.text().contains("secret\n") && got.text() != "secret", "{path}");
    }
    assert_eq!(ruled.get("/sub/a%20b.pkg").await.text(), "fine");
    assert_eq!(ruled.get("/./sub//a%20b.pkg").await.text(), "fine");
}

#[tokio::test]
async fn the_folder_may_depend_on_the_url_and_the_type_on_the_rule() {
    let rules = "[[rule]]\nname = 'r'\nwhen = '~all'\nurl = '/(?<title>CUSA\\d+)/(?<name>\\w+)\\.json$'\n\
                 map-local = { folder = 'by', path = '{title}/{name}.old', content-type = 'application/json' }\n";
    let ruled = alone(rules).await;
    ruled.write("by/CUSA00001/manifest.old", "{}");
    let got = ruled.get("/x/CUSA00001/manifest.json").await;
    assert_eq!((got.text().as_str(), got.field("content-type")), ("{}", Some("application/json")));
}

#[tokio::test]
async fn an_answer_may_be_a_file_with_another_status() {
    let ruled = alone(&rule(
        "answer = { status = 503, file = 'page.html', headers = { 'Retry-After' = '5' } }",
    ))
    .await;
    ruled.write("page.html", "<p>");
    let got = ruled.ask("GET", "/", "Range: bytes=0-0\r\n").await;
    assert_eq!((got.status(), got.text().as_str()), (503, "<p>"));
    assert_eq!(
        (got.field("content-type"), got.field("retry-after")),
        (Some("text/html"), Some("5"))
    );
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_is_no_failure_of_ours() {
    let ruled = with_file(&pattern(0, 48 << 20)).await;
    let mut client = ruled.proxy.connect().await;
    client.send(request("GET", "/x.pkg", "")).await;
    next_head(&mut client).await;
    drop(client);
    tokio::time::timeout(LIMIT, ruled.proxy.all_finished()).await.unwrap();
    assert_eq!(ruled.flow().await.state(), State::AbortedByClient);
}
