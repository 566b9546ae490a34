//! Bodies that rules change, and what becomes of their heads.

use std::io::Write as _;

use consoletap_flow::{Effect, State};
use consoletap_simulator::RawOrigin;

use super::{answer, did, rule, ruled, ruled_with};

const JSON: &str = "\u{feff}{\r\n  \"a\" : [1, 2],\r\n  \"b\": {\"c\":\"d\"}\r\n}\r\n";
const XML: &str = "<?xml version='1.0'?>\r\n<list>\r\n <v id='1'>old</v>\r\n</list>\r\n";

#[tokio::test]
async fn every_way_of_changing_a_body_changes_no_more_than_it_says() {
    for (action, from, to, did_it) in [
        (
            "json-patch = [{ op = 'replace', path = '/a/0', value = 'x' }]",
            JSON,
            JSON.replace("[1, 2]", "[\"x\", 2]"),
            "r: patched the JSON: 1 operation",
        ),
        (
            "json-merge-patch = '{\"b\":{\"c\":null}}'",
            JSON,
            JSON.replace("{\"c\":\"d\"}", "{}"),
            "r: merged the patch into the JSON",
        ),
        (
            "xml = { 'list/v' = '{host}', 'list/v@id' = '2' }",
            XML,
            XML.replace("'1'>old", "'2'>h.test"),
            "r: rewrote the XML: 2 places",
        ),
        (
            "replace = [{ find = '(\\w)\\r\\n', with = '{1}!\\r\\n' }, { find = 'o(?<l>l)d', with = 'n{l}w' }]",
            "old\r\nold\r\n",
            "nlw!\r\nnlw!\r\n".to_owned(),
            "r: rewrote the body: 4 places",
        ),
    ] {
        let action = action.replace("!\\r\\n'", "!\\r\\n\"").replace("with = '{1}", "with = \"{1}");
        let origin = RawOrigin::answer(answer(
            "Connection: close\r\nETag: \"1\"\r\nContent-MD5: x\r\nDigest: y\r\nRepr-Digest: z\r\n",
            from,
        ))
        .await
        .unwrap();
        let ruled = ruled(&origin, &rule(&format!("rewrite = {{ {action} }}"))).await;
        let got = ruled.get("/").await;
        assert_eq!(got.text(), to, "{action}");
        let etag = got.field("etag").unwrap().to_owned();
        assert_ne!(etag, "\"1\"");
        assert_eq!(
            got.head,
            format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nETag: {etag}\r\nAccept-Ranges: bytes\r\n\
                 Connection: close\r\n\r\n",
                to.len()
            )
        );
        let flow = ruled.flow().await;
        assert_eq!(
            (did(&flow), flow.rules[0].effect),
            (vec![did_it.to_owned()], Effect::Rewritten)
        );
    }
}

#[tokio::test]
async fn ranges_and_conditions_are_about_the_changed_body() {
    let origin = RawOrigin::answer(answer(
        "Connection: close\r\nETag: \"1\"\r\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n",
        "0123456789",
    ))
    .await
    .unwrap();
    let ruled =
        ruled(&origin, &rule("rewrite = { replace = { find = '5', with = 'five' } }")).await;
    let etag = ruled.get("/").await.field("etag").unwrap().to_owned();
    for (fields, status, body) in [
        ("Range: bytes=4-9\r\n", 206, "4five6"),
        ("Range: bytes=-3\r\n", 206, "789"),
        ("Range: bytes=13-\r\n", 416, ""),
        ("Range: bytes=4-5\r\nIf-Range: \"1\"\r\n", 200, "01234five6789"),
        ("Range: bytes=4-5\r\nIf-Range: ETAG\r\n", 206, "4f"),
        ("If-None-Match: \"1\"\r\n", 200, "01234five6789"),
        ("If-None-Match: ETAG\r\n", 304, ""),
        ("If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n", 200, "01234five6789"),
        ("If-Match: \"1\"\r\n", 412, ""),
    ] {
        let got = ruled.ask("GET", "/", &fields.replace("ETAG", &etag)).await;
        assert_eq!(got.status(), status, "{fields}{}", got.head);
        if matches!(status, 200 | 206 | 304) {
            assert_eq!(got.text(), body, "{fields}");
            assert_eq!(got.field("etag"), Some(&*etag), "{fields}");
        }
        if status == 206 {
            assert!(got.field("content-range").unwrap().ends_with("/13"), "{}", got.head);
            assert_eq!(got.field("content-length"), Some(&*body.len().to_string()));
        }
    }
    for received in origin.received() {
        let received = String::from_utf8(received).unwrap();
        assert!(!received.contains("Range") && !received.contains("If-"), "{received}");
        assert!(received.contains("Accept-Encoding: identity"), "{received}");
    }
}

#[tokio::test]
async fn an_unchanged_body_keeps_its_own_validators() {
    let origin = RawOrigin::answer(answer(
        "Connection: close\r\nETag: \"1\"\r\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n",
        "0123",
    ))
    .await
    .unwrap();
    let ruled = ruled(&origin, &rule("rewrite = { replace = { find = 'x', with = 'y' } }")).await;
    for (fields, status) in [
        ("If-None-Match: \"1\"\r\n", 304),
        ("If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n", 304),
        ("Range: bytes=1-2\r\n", 206),
        ("", 200),
    ] {
        let got = ruled.ask("GET", "/", fields).await;
        assert_eq!((got.status(), got.field("etag")), (status, Some("\"1\"")), "{fields}");
    }
    let flows = ruled.proxy.flows().await;
    assert_eq!(did(&flows[0]), ["r: left the body: nothing fits"]);
}

#[tokio::test]
async fn codings_are_undone() {
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    zlib.write_all(b"old").unwrap();
    let mut bare = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    bare.write_all(b"old").unwrap();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(b"old").unwrap();
    for (coding, packed) in [
        ("deflate", zlib.finish().unwrap()),
        ("deflate", bare.finish().unwrap()),
        ("gzip", gzip.finish().unwrap()),
        // By the command line tools.
        ("br", b"\x0b\x01\x80old\x03".to_vec()),
        ("zstd", b"\x28\xb5\x2f\xfd\x00\x58\x19\x00\x00old".to_vec()),
    ] {
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\nConnection: close\r\n\
             Content-Length: {}\r\n\r\n",
            packed.len()
        );
        let origin = RawOrigin::answer([head.as_bytes(), &packed].concat()).await.unwrap();
        let rules = rule("rewrite = { replace = { find = 'old', with = 'new' } }");
        let got = ruled(&origin, &rules).await.get("/").await;
        assert_eq!((got.text().as_str(), got.field("content-encoding")), ("new", None), "{coding}");
    }
}

#[tokio::test]
async fn a_packed_body_that_cannot_be_unpacked_here_passes_as_it_is() {
    // A mebibyte of zeros.
    let bomb = b"\x5b\xff\xff\x8f\x7f\x02\x20\x1e\x0b\x04\x72\xef\x1f\x00";
    for (coding, packed, note) in [
        ("br", &bomb[..], "the body unpacks to more than 65536 bytes; passed on unchanged"),
        ("br", &b"\x0b\x01\x80o"[..], "the body is no whole br; passed on unchanged"),
        ("zstd", &b"old"[..], "the body is no whole zstd; passed on unchanged"),
        (
            "lz4",
            &b"old"[..],
            "the body is encoded as lz4, which no rule can read; passed on unchanged",
        ),
    ] {
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\nConnection: close\r\n\
             Content-Length: {}\r\n\r\n",
            packed.len()
        );
        let origin = RawOrigin::answer([head.as_bytes(), packed].concat()).await.unwrap();
        let rules = rule("rewrite = { replace = { find = 'old', with = 'new' } }");
        let ruled = ruled_with(origin.address(), &rules, |settings| {
            settings.limits.held_body = 65_536;
        })
        .await;
        let got = ruled.get("/").await;
        assert_eq!((&*got.body, got.field("content-encoding")), (packed, Some(coding)));
        assert_eq!(ruled.flow().await.notes, [note]);
    }
}

#[tokio::test]
async fn head_tells_nothing_that_get_would_not_give() {
    let head = "HTTP/1.1 200 OK\r\nETag: \"1\"\r\nContent-Length: 9\r\nContent-MD5: x\r\n\
                Content-Type: a/b\r\nConnection: close\r\n\r\n";
    let origin = RawOrigin::answer(head).await.unwrap();
    let ruled = ruled(&origin, &rule("rewrite = { replace = { find = 'a', with = 'b' } }")).await;
    let got = ruled.ask("HEAD", "/", "").await;
    assert_eq!(got.head, "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nConnection: close\r\n\r\n");
}

#[tokio::test]
async fn a_body_that_is_too_large_passes_as_it_is_and_the_row_says_so() {
    let body = "old".repeat(1000);
    let origin =
        RawOrigin::answer(answer("ETag: \"1\"\r\nConnection: close\r\n", &body)).await.unwrap();
    let rules = rule("rewrite = { replace = { find = 'old', with = 'new' } }");
    let ruled =
        ruled_with(origin.address(), &rules, |settings| settings.limits.held_body = 2999).await;
    let got = ruled.get("/").await;
    assert_eq!((got.text(), got.field("etag")), (body, Some("\"1\"")));
    let flow = ruled.flow().await;
    assert_eq!(flow.notes, ["the body is larger than 2999 bytes; passed on unchanged"]);
    assert_eq!((flow.rules.len(), flow.state()), (0, State::Complete));
}
