//! HAR files as other tools write them: each peculiarity by itself, made up in the shape in which the
//! tool writes it.

#![expect(clippy::unwrap_used, reason = "a test may stop")]

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use consoletap_catalog::Catalog;
use consoletap_flow::{Flow, Kept, Kind, State, Timestamp, Version};
use consoletap_interchange::{Imported, import};
use consoletap_session::Session;
use proptest::prelude::*;
use serde_json::{Value, json};

fn imported(octets: &[u8], folder: &Path) -> (Result<Imported, String>, Session) {
    static CATALOG: OnceLock<Arc<Catalog>> = OnceLock::new();
    let catalog = Arc::clone(CATALOG.get_or_init(|| Arc::new(Catalog::builtin())));
    let (file, out) = (folder.join("file.har"), folder.join("session"));
    fs::write(&file, octets).unwrap();
    let told = import(&file, catalog, &out).map_err(|error| error.to_string());
    (told, Session::open(&out).unwrap())
}

fn file(entries: &[Value]) -> Vec<u8> {
    json!({ "log": { "version": "1.2", "entries": entries } }).to_string().into_bytes()
}

/// The flows of a file that is read without a remark, with the octets of their answers.
fn flows(octets: &[u8]) -> Vec<(Flow, Vec<u8>)> {
    let folder = tempfile::tempdir().unwrap();
    let (told, session) = imported(octets, folder.path());
    let told = told.unwrap();
    assert_eq!(told.remarks, [""; 0]);
    let flows: Vec<Flow> = session.flows().map(Result::unwrap).collect();
    assert_eq!(told.flows, flows.len() as u64);
    let body = |flow: &Flow| {
        let body = flow.finished.as_ref()?.response_body;
        session.body(&body.digest?).ok()
    };
    flows.into_iter().map(|flow| (flow.clone(), body(&flow).unwrap_or_default())).collect()
}

fn only(entry: Value) -> (Flow, Vec<u8>) {
    let mut all = flows(&file(&[entry]));
    assert_eq!(all.len(), 1);
    all.remove(0)
}

/// An exchange with nothing peculiar about it, and this in the place of what it has.
fn entry(other: Value) -> Value {
    let mut entry = json!({
        "startedDateTime": "2026-11-23T20:43:00.000Z", "time": 10,
        "request": { "method": "GET", "url": "http://a.example/x", "httpVersion": "HTTP/1.1",
            "cookies": [], "headers": [], "queryString": [], "headersSize": -1, "bodySize": 0 },
        "response": { "status": 200, "statusText": "OK", "httpVersion": "HTTP/1.1", "cookies": [],
            "headers": [], "redirectURL": "", "headersSize": -1, "bodySize": 2,
            "content": { "size": 2, "mimeType": "text/plain", "text": "ok" } },
        "cache": {}, "timings": { "send": 0, "wait": 8, "receive": 2 },
    });
    merge(&mut entry, other);
    entry
}

fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (name, value) in from {
                merge(into.entry(name).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}

fn at(second: u32, path: &str) -> Value {
    let started = format!("2026-11-23T20:43:{second:02}.000Z");
    entry(json!({ "startedDateTime": started,
        "request": { "url": format!("http://a.example/{path}") } }))
}

fn paths(flows: &[(Flow, Vec<u8>)]) -> Vec<&str> {
    flows.iter().map(|(flow, _)| flow.target.as_ref().unwrap().path().unwrap()).collect()
}

#[test]
fn entries_come_in_the_order_in_which_they_began() {
    let mut timeless = at(0, "behind-2");
    timeless.as_object_mut().unwrap().remove("startedDateTime");
    let other_zone = entry(json!({ "startedDateTime": "2026-11-23T22:43:04.5+02:00",
        "request": { "url": "http://a.example/4.5" } }));
    // Without a zone, with seven digits (Fiddler), and a number.
    let odd = ["2026-11-23T20:43:06", "2026-11-23T20:43:06.1234567+00:00"].map(|started| {
        entry(json!({ "startedDateTime": started, "request": { "url": "http://a.example/6" } }))
    });
    let millis = entry(json!({ "startedDateTime": 1_795_466_587_000_i64,
        "request": { "url": "http://a.example/7" } }));
    let [six, six_and_more] = odd;
    let all = [
        millis,
        at(5, "5"),
        at(2, "2"),
        timeless,
        other_zone,
        six_and_more,
        six,
        at(5, "5-again"),
        at(1, "1"),
    ];
    for packed in [false, true] {
        let mut octets = file(&all);
        if packed {
            let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), Default::default());
            encoder.write_all(&octets).unwrap();
            octets = encoder.finish().unwrap();
        }
        let flows = flows(&octets);
        let order = ["/1", "/2", "/behind-2", "/4.5", "/5", "/5-again", "/6", "/6", "/7"];
        assert_eq!(paths(&flows), order);
        assert_eq!(flows[0].0.id.0, 1);
        assert!(flows.is_sorted_by_key(|(flow, _)| flow.started));
        assert_eq!(flows[8].0.started, Timestamp(1_795_466_587_000_000));
    }
}

#[test]
fn messages_of_a_websocket_are_counted_and_noted() {
    // As Chrome writes them: 5 + 12 octets sent, 3 and 4 received; binary in base64.
    let messages = json!([
        { "type": "send", "time": 1_795_466_580.1, "opcode": 1, "data": "hello" },
        { "type": "receive", "time": 1_795_466_580.2, "opcode": 2, "data": "AAH/" },
        { "type": "send", "time": 1_795_466_580.3, "opcode": 1, "data": "grüße, you!" },
        { "type": "receive", "time": 1_795_466_580.4, "opcode": 2, "data": "3q2+7w==" },
    ]);
    let (flow, _) = only(entry(json!({
        "_resourceType": "websocket", "_webSocketMessages": messages,
        "_webSocketClose": { "code": 1001, "reason": "bye" },
        "request": { "url": "wss://push.example/events?a=1" },
        "response": { "status": 101, "content": { "size": 0, "mimeType": "x-unknown", "text": null } },
    })));
    assert_eq!(flow.kind, Kind::Websocket);
    assert_eq!(flow.target.unwrap().to_string(), "https://push.example/events?a=1");
    assert_eq!((flow.request_bytes, flow.response_bytes), (5 + 13, 3 + 4));
    assert_eq!(
        flow.notes,
        [
            "WebSocket messages: 2 sent (18 bytes), 2 received (7 bytes); what they said is not in the session",
            "it was closed with 1001 (bye)",
        ]
    );
    // Without messages, and without a status: Safari and failed ones.
    for (url, to) in [
        ("ws://push.example:8080/", "http://push.example:8080/"),
        ("WSS://push.example", "https://push.example/"),
    ] {
        let (flow, _) =
            only(entry(json!({ "request": { "url": url }, "response": { "status": 0 } })));
        assert_eq!((flow.kind, flow.target.unwrap().to_string()), (Kind::Websocket, to.to_owned()));
        assert_eq!(flow.notes, [""; 0]);
    }
}

#[test]
fn charles_writes_null_for_words_and_shows_urls_as_they_were_typed() {
    let (flow, body) = only(entry(json!({
        "startedDateTime": "2026-11-23T12:43:00.482-08:00", "_charlesStatus": "COMPLETE",
        "request": { "url": "https://a.example/ä b?q=ü#part" },
        "response": { "statusText": null, "redirectURL": null, "content": { "mimeType": null, "text": "AAH/", "encoding": "base64" },
            "cookies": [{ "name": "a", "value": null, "expires": "Session" }] },
        "timings": { "dns": 43, "connect": 37, "ssl": 26, "send": 1, "wait": 24, "receive": 2 },
    })));
    assert_eq!(flow.target.unwrap().to_string(), "https://a.example/%C3%A4%20b?q=%C3%BC");
    assert_eq!((flow.response.unwrap().reason.as_ref(), body), ("", b"\0\x01\xff".to_vec()));
    let timings = flow.finished.unwrap().timings;
    assert_eq!((timings.connect, timings.tls), (Some(11_000), Some(26_000)));
}

#[test]
fn fiddler_names_ports_of_connections_and_connects_by_http() {
    let all = flows(&[b"\xef\xbb\xbf".as_slice(), &file(&[
        entry(json!({
            "startedDateTime": "2026-11-23T21:43:00.9263942+01:00", "comment": "[#23]",
            "connection": "ClientPort:52111;EgressPort:52112", "serverIPAddress": "203.0.113.9",
            "timings": { "blocked": -1, "dns": 0, "connect": 42, "ssl": -1, "send": 0, "wait": 60, "receive": 1 },
        })),
        entry(json!({ "startedDateTime": "2026-11-23T21:43:01+01:00", "request": { "method": "CONNECT", "url": "http://b.example:443" },
            "response": { "content": { "size": 0, "text": null } } })),
    ])].concat());
    let (flow, _) = &all[0];
    assert_eq!(
        (flow.client.connection.0, flow.started),
        (52_111, Timestamp(1_795_466_580_926_394))
    );
    let end = flow.finished.as_ref().unwrap();
    assert_eq!((end.timings.connect, end.timings.tls), (Some(42_000), None));
    assert_eq!(end.server.unwrap().to_string(), "203.0.113.9:80");
    assert_eq!(flow.notes, ["[#23]"]);
    assert_eq!(
        (all[1].0.kind, all[1].0.target.as_ref().unwrap().to_string()),
        (Kind::Tunnel, "b.example:443".to_owned())
    );
}

#[test]
fn mitmproxy_writes_ssl_beside_connect_and_the_size_of_the_wire() {
    let (flow, body) = only(entry(json!({
        "request": { "httpVersion": "HTTP/2.0" },
        "response": { "headers": [{ "name": "content-encoding", "value": "gzip" }],
            "content": { "size": 22, "compression": -20, "mimeType": "text/plain", "text": "ok" } },
        "timings": { "connect": 31.686_782, "ssl": 35.333_156, "send": 0.29, "receive": 0.63, "wait": 33.6 },
    })));
    let timings = flow.finished.unwrap().timings;
    assert_eq!((timings.connect, timings.tls), (Some(31_686), Some(35_333)));
    assert_eq!(flow.request.unwrap().version, Version::Http2);
    // Packed again, as the head says.
    let mut text = String::new();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&*body), &mut text).unwrap();
    assert_eq!((text.as_str(), flow.response_bytes), ("ok", body.len() as u64));
}

#[test]
fn firefox_leaves_numbers_out_and_names_the_port_a_connection() {
    let all = flows(&file(&[
        // A request that it blocked.
        json!({ "startedDateTime": "2026-11-23T20:43:00.303-00:00", "pageref": "page_1",
            "request": { "method": "GET", "url": "https://ads.example/", "bodySize": null, "httpVersion": "", "headers": [], "cookies": [], "queryString": [] },
            "response": { "status": 0, "statusText": "", "headers": [], "content": { "mimeType": "", "text": "" }, "bodySize": null },
            "cache": {}, "timings": {}, "_securityState": "insecure" }),
        entry(
            json!({ "startedDateTime": "2026-11-23T20:43:01Z", "connection": "443", "serverIPAddress": "203.0.113.9", "time": null,
            "request": { "url": "https://a.example/", "httpVersion": "HTTP/3" },
            "response": { "content": { "comment": "Response bodies are not included.", "size": 4000, "text": null }, "bodySize": 900 },
            "timings": { "blocked": 17, "dns": 0, "connect": 0, "ssl": 0, "send": 0, "wait": 6, "receive": 1 } }),
        ),
    ]));
    assert_eq!(all[0].0.state(), State::UpstreamError);
    let (flow, _) = &all[1];
    assert_eq!(flow.latest.since(flow.started).as_micros(), 24_000, "the sum of the parts");
    let end = flow.finished.as_ref().unwrap();
    assert_eq!((end.response_body.bytes, end.response_body.kept), (900, Kept::Nothing));
    assert_eq!(end.server.unwrap().to_string(), "203.0.113.9:443");
    assert_eq!(flow.request.as_ref().unwrap().version, Version::Http2);
    assert_eq!(flow.notes, ["it was spoken over HTTP/3; shown as HTTP/2"]);
}

#[test]
fn safari_writes_a_size_of_zero_and_the_port_apart() {
    let (flow, body) = only(entry(json!({
        "_fetchType": "Network Load", "_serverPort": 8443, "serverIPAddress": "[2001:db8::1]", "connection": "1",
        "response": { "content": { "size": 0, "text": "longer than it says" } },
    })));
    assert_eq!((flow.response_bytes, body.len()), (19, 19));
    assert_eq!(flow.client.connection.0, 1);
    assert_eq!(flow.finished.unwrap().server.unwrap().to_string(), "[2001:db8::1]:8443");
}

#[test]
fn chrome_names_the_port_a_connection_since_it_has_a_name_for_connections() {
    let (flow, _) = only(entry(
        json!({ "connection": "8080", "_connectionId": "159834", "serverIPAddress": "203.0.113.9",
        "request": { "httpVersion": "h3" }, "response": { "_error": "net::ERR_ABORTED", "_transferSize": 300 } }),
    ));
    assert_eq!(flow.client.connection.0, 159_834);
    let end = flow.finished.as_ref().unwrap();
    assert_eq!(end.server.unwrap().to_string(), "203.0.113.9:8080");
    assert_eq!(
        (end.state, end.failure.as_ref().unwrap().cause.as_ref()),
        (State::Truncated, "net::ERR_ABORTED")
    );
}

#[test]
fn insomnia_writes_users_in_urls_parts_of_forms_and_a_name_as_comment() {
    let form = |media: &str| {
        json!({ "mimeType": media, "params": [
        { "name": "a b", "value": "1&2" }, { "name": "file", "fileName": "/home/x/a.bin" }] })
    };
    let all = flows(&file(&[
        entry(
            json!({ "comment": "login", "request": { "method": "POST", "url": "http://user:pass@a.example/x",
            "postData": form("application/x-www-form-urlencoded") } }),
        ),
        entry(
            json!({ "request": { "method": "POST", "postData": form("multipart/form-data"), "bodySize": -1 } }),
        ),
    ]));
    assert_eq!(all[0].0.target.as_ref().unwrap().to_string(), "http://a.example/x");
    assert_eq!(all[0].0.request_bytes, "a%20b=1%262&file=".len() as u64);
    assert_eq!(all[0].0.notes, ["login", "its URL had a user name in the file"]);
    assert_eq!(all[1].0.request_bytes, 0);
    assert!(all[1].0.notes[0].contains("parts of a form"));
}

#[test]
fn slack_writes_fields_as_pairs_and_reqable_base64_where_text_stands() {
    let (flow, _) = only(entry(json!({
        "request": { "method": "POST", "headers": [["Host", "a.example"], ["X", null], [":path", "/x"]],
            "postData": { "mimeType": "application/octet-stream", "text": "AAH\n/AA", "encoding": "base64" } },
    })));
    let request = flow.request.unwrap();
    let names: Vec<&str> = request.headers.iter().map(|header| header.name()).collect();
    assert_eq!((names, flow.request_bytes), (vec!["Host", "X"], 4));
}

#[test]
fn http_toolkit_says_what_it_discarded_and_playwright_where_it_put_it() {
    let (flow, _) = only(entry(json!({
        "request": { "method": "PUT", "bodySize": 70_000, "_requestBodyStatus": "discarded:too-large" },
        "response": { "bodySize": -1, "content": { "size": 500, "text": null, "_file": "0a1b.bin" } },
    })));
    assert_eq!((flow.request_bytes, flow.response_bytes), (70_000, 500));
}

#[test]
fn a_beginning_of_our_own_files_stays_a_beginning() {
    let (flow, _) = only(entry(json!({ "response": { "bodySize": 3000,
        "headers": [{ "name": "Content-Length", "value": "3000" }],
        "content": { "size": 3000, "text": "begins", "_bodyState": "truncated" } } })));
    let end = flow.finished.unwrap();
    assert_eq!(end.response_body.bytes, 3000);
    assert!(matches!(end.response_body.kept, Kept::Prefix { bytes: 6, .. }), "{end:?}");
    assert_eq!(flow.response.unwrap().headers.text("content-length"), Some("3000"));
}

#[test]
fn what_cannot_be_read_is_left_out_by_number_and_the_rest_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let mut octets = file(&[
        at(3, "3"),
        at(1, "1"),
        at(2, "BROKEN"),
        json!({ "request": null }),
        entry(json!({ "request": { "url": "chrome-extension://x/y" } })),
    ]);
    let place = octets.windows(6).position(|word| word == b"BROKEN").unwrap();
    octets[place..place + 6].copy_from_slice(b"\"\"\"\"\"\"");
    let (told, session) = imported(&octets, folder.path());
    let told = told.unwrap();
    assert_eq!(told.flows, 2);
    let mut numbers: Vec<&str> =
        told.remarks.iter().map(|remark| remark.split(" was").next().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, ["entry 3", "entry 4", "entry 5"], "{:?}", told.remarks);
    assert_eq!(session.flows().count(), 2);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Cut anywhere, a file is an error that says so, and what is whole before the cut is there.
    #[test]
    fn cut_anywhere_what_is_before_it_is_there(cut in 0_usize..2000, packed in any::<bool>()) {
        let folder = tempfile::tempdir().unwrap();
        let whole = file(&[at(3, "3"), at(1, "1"), at(2, "2")]);
        let cut = cut.clamp(1, whole.len() - 1);
        let mut octets = whole[..cut].to_vec();
        if packed {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), Default::default());
            encoder.write_all(&octets).unwrap();
            octets = encoder.finish().unwrap();
        }
        let (told, session) = imported(&octets, folder.path());
        let word = b"\"receive\":2}}";
        let ends = whole.windows(word.len()).enumerate().filter(|(_, here)| here == word);
        let ends: Vec<usize> = ends.map(|(at, _)| at + word.len()).collect();
        prop_assert_eq!(ends.len(), 3);
        let expected = ends.into_iter().filter(|&end| end <= cut).count();
        prop_assert_eq!(session.flows().count(), expected);
        prop_assert_eq!(told.is_ok(), cut > whole.len() - 3, "{:?}", told);
    }
}
