//! `replay send`: recorded requests go out again, and what comes is compared.

use std::io::Write as _;
use std::time::Duration;

use consoletap_simulator::{Act, RawOrigin, World};
use insta::assert_snapshot;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::time::timeout;

use super::clients::{read_head, speak};
use super::exports::files_below;
use super::fixtures::{CONSOLES, SIZES, fixture};
use super::harness::{Ended, Home, json_lines};

/// An answer of this status with this body and these fields.
fn answer(status: &str, fields: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nDate: Mon, 23 Nov 2026 20:43:00 GMT\r\n{fields}Content-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    )
}

fn get(path: &str, fields: &str) -> String {
    format!(
        "GET http://game.example{path} HTTP/1.1\r\nHost: game.example\r\n{fields}Connection: close\r\n\r\n"
    )
}

/// Servers that answer one request after the other with these, each on a connection of its own.
async fn origin(answers: &[String]) -> RawOrigin {
    let script = |answer: &String| vec![Act::ReadHead, Act::Send(answer.clone().into())];
    RawOrigin::play_in_turn(answers.iter().map(script).collect()).await.unwrap()
}

/// Records these requests, answered by these.
async fn record(home: &Home, exchanges: &[(String, String)]) {
    let answers: Vec<String> = exchanges.iter().map(|(_, answer)| answer.clone()).collect();
    let server = origin(&answers).await;
    let tap = home.tap().args(["--resolve", &format!("*={}", server.address())]).start().await;
    for (request, answer) in exchanges {
        let got = speak(tap.address(), request).await;
        assert!(got.starts_with(&answer[..12]), "{got}");
    }
    tap.stop().await;
}

async fn send(home: &Home, to: &RawOrigin, args: &[&str]) -> Ended {
    let (session, to) = (home.text("session"), to.address().to_string());
    home.run(&[&["replay", "send", &session, "--to", &to], args].concat()).await
}

/// Neither side holds all of it, and both know its hash.
#[tokio::test]
async fn a_large_body_that_was_kept_whole_is_compared_to_its_end() {
    let home = Home::new();
    let large: String = (0..300_000).map(|number| format!("{number:08}\n")).collect();
    let other = large.replace("00299999", "0029999X");
    let answers = [&large, &large, &other].map(|body| answer("200 OK", "", body));
    let server = origin(&answers).await;
    let to = format!("*={}", server.address());
    let tap = home.tap().args(["--store", "full", "--resolve", &to]).start().await;
    assert!(speak(tap.address(), &get("/large", "")).await.ends_with(&large));
    tap.stop().await;
    let same = send(&home, &server, &[]).await;
    assert_eq!(same.code, Some(0), "{same:?}");
    assert!(!same.stdout.contains("were compared"), "all of it was: {}", same.stdout);
    let differs = send(&home, &server, &[]).await;
    assert_eq!(differs.code, Some(1), "{differs:?}");
    assert!(differs.stdout.contains("the hash is another one"), "{}", differs.stdout);
}

const JSON: &str = "Content-Type: application/json\r\n";

#[tokio::test]
async fn what_says_the_same_in_another_order_is_the_same() {
    let home = Home::new();
    let before = answer("200 OK", JSON, r#"{"id":1,"names":["a","b"],"at":{"x":1,"y":null}}"#);
    record(&home, &[(get("/a", ""), before)]).await;
    let now = "{\n \"at\": {\"y\": null, \"x\": 1},\n \"names\": [\"a\", \"b\"], \"id\": 1 }";
    let server = origin(&[answer("200 OK", &format!("{JSON}Server: other\r\n"), now)]).await;
    let ended = send(&home, &server, &[]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ended.stdout, "same        1 GET http://game.example/a\n");
    assert_eq!(ended.stderr, "1 request was sent: 1 the same.\n");
    let got = String::from_utf8(server.received().remove(0)).unwrap();
    assert_eq!(got, "GET /a HTTP/1.1\r\nHost: game.example\r\n\r\n", "as it was recorded");
}

#[tokio::test]
async fn what_differs_is_told_field_by_field() {
    let home = Home::new();
    let list = "<update_data_list><region id=\"us\"><system_pup version=\"05.050.000\" label=\"5.05\">\
                <update_data update_type=\"full\"/></system_pup></region></update_data_list>";
    let xml = "Content-Type: application/xml\r\nCache-Control: max-age=300\r\nETag: \"1\"\r\n";
    let plain = "Content-Type: text/plain\r\n";
    let before = [
        answer("200 OK", xml, list),
        answer("200 OK", JSON, r#"{"id":1,"token":"SECRET-1","names":["a"]}"#),
        answer("200 OK", plain, "one\ntwo\nthree\n"),
        answer("302 Found", "Location: http://game.example/x\r\nSet-Cookie: s=1\r\n", ""),
        answer("200 OK", "Content-Type: application/octet-stream\r\n", "\x01\x02\x03"),
        answer("200 OK", plain, "gone"),
    ];
    let requests: Vec<_> =
        (1..).zip(before).map(|(n, answer)| (get(&format!("/{n}"), ""), answer)).collect();
    record(&home, &requests).await;
    let newer = list.replace("05.050.000", "11.000.000").replace("5.05\"", "11.00\"");
    let now = [
        answer("200 OK", &xml.replace("300", "60").replace("\"1\"", "\"2\""), &newer),
        answer("200 OK", JSON, r#"{"id":2,"token":"SECRET-2","names":["a","b"]}"#),
        answer("200 OK", plain, "one\n2\nthree\nfour\n"),
        answer("302 Found", "Location: http://game.example/y\r\nSet-Cookie: s=2\r\n", ""),
        answer("200 OK", "Content-Type: application/octet-stream\r\n", "\x01\x02\x04\x1b[2J"),
        answer("404 Not Found", plain, "gone"),
    ];
    let ended = send(&home, &origin(&now).await, &[]).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_snapshot!(ended.stdout + "---\n" + &ended.stderr);

    let etags = ["1", "--header", "ETag", "--ignore-header", "Cache-Control"];
    let ended = send(&home, &origin(&now[..1]).await, &etags).await;
    assert!(ended.stdout.contains("- etag: \\\"1\\\"") || ended.stdout.contains("- etag: \"1\""));
    assert!(!ended.stdout.contains("cache-control"), "{}", ended.stdout);

    let ended = send(&home, &origin(&now).await, &["--json"]).await;
    let rows = json_lines(&ended.stdout);
    assert_eq!((rows.len(), &rows[5]["result"]), (6, &"different".into()));
    let status = serde_json::json!({ "place": "status", "before": "200", "after": "404" });
    assert_eq!(rows[5]["differences"][0], status);
    assert!(!ended.stdout.contains("SECRET-2"), "a secret of now: {}", ended.stdout);
}

#[tokio::test]
async fn heads_codings_and_broken_answers_count_for_what_they_are() {
    let home = Home::new();
    let head = get("/head", "").replacen("GET", "HEAD", 1);
    let length = |length: u32| {
        format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n")
    };
    let text = answer("200 OK", "Content-Type: text/plain\r\n", "the same");
    record(&home, &[(head, length(10)), (get("/a", ""), text.clone()), (get("/b", ""), text)])
        .await;
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(b"the same").unwrap();
    let packed = packed.finish().unwrap();
    let fields = "Content-Type: text/plain\r\nContent-Encoding: gzip\r\n";
    let coded = [
        format!(
            "HTTP/1.1 200 OK\r\n{fields}Content-Length: {}\r\nConnection: close\r\n\r\n",
            packed.len()
        )
        .into_bytes(),
        packed,
    ]
    .concat();
    let script = |octets: Vec<u8>| vec![Act::ReadHead, Act::Send(octets.into())];
    let broken = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 8\r\n\r\nthe";
    let scripts = vec![script(length(12).into()), script(coded), script(broken.into())];
    let server = RawOrigin::play_in_turn(scripts).await.unwrap();
    let ended = send(&home, &server, &[]).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(server.received()[0].starts_with(b"HEAD /head HTTP/1.1\r\n"));
    assert_snapshot!(ended.stdout);
}

#[tokio::test]
async fn secrets_are_asked_for_and_filled_in_where_they_stood() {
    let home = Home::new();
    let ok = || answer("200 OK", JSON, r#"{"access_token":"SECRET-given-out","ttl":5}"#);
    let post = "{\"npsso\":\"SECRET-npsso\"}";
    let request = format!(
        "POST http://game.example/b HTTP/1.1\r\nHost: game.example\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{post}",
        post.len()
    );
    let fields = "Cookie: lang=SECRET-lang; s=SECRET-s\r\nAuthorization: Bearer SECRET-bearer\r\n";
    record(&home, &[(get("/a?sid=SECRET-sid&x=1", fields), ok()), (request, ok())]).await;
    let (from, to) = (home.text("session"), home.text("clean"));
    assert_eq!(home.run(&["session", "trim", &from, &to]).await.code, Some(0));
    std::fs::rename(home.path("clean"), home.path("session2")).unwrap();

    let server = origin(&[ok(), ok()]).await;
    let send = async |args: &[&str]| {
        let (session, to) = (home.text("session2"), server.address().to_string());
        home.run(&[&["replay", "send", &session, "--to", &to], args].concat()).await
    };
    let ended = send(&[]).await;
    assert_eq!((ended.code, server.received().len()), (Some(2), 0), "nothing goes out");
    let mut told = ended.stderr.clone();
    for (index, word) in ended
        .stderr
        .split([' ', '\n', ':'])
        .filter(|word| word.starts_with("redacted-"))
        .enumerate()
    {
        told = told.replace(word, &format!("redacted-{index}"));
    }
    assert_snapshot!(told);

    let ended = send(&["--var", "sidd=1"]).await;
    assert_eq!(ended.code, Some(2));
    assert!(
        ended.stderr.contains(
            "no request needs a variable sidd; there is Authorization, lang, npsso, s, sid"
        ),
        "{}",
        ended.stderr
    );

    let values = [
        "--var",
        "sid=a b",
        "--var",
        "s=S",
        "--var",
        "Authorization=B",
        "--var",
        "npsso=\"q\"",
        "--var",
        "lang=en",
    ];
    let ended = send(&values).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(!ended.stdout.contains("a b"), "{}", ended.stdout);
    let got: Vec<String> =
        server.received().into_iter().map(|octets| String::from_utf8(octets).unwrap()).collect();
    assert!(got[0].starts_with("GET /a?sid=a%20b&x=1 HTTP/1.1\r\n"), "{}", got[0]);
    assert!(got[0].contains("Cookie: lang=en; s=S\r\nAuthorization: Bearer B\r\n"), "{}", got[0]);
    assert!(got[1].ends_with("Content-Length: 17\r\n\r\n{\"npsso\":\"\\\"q\\\"\"}"), "{}", got[1]);
}

#[tokio::test]
async fn a_body_that_was_kept_in_part_is_compared_as_far_as_it_was() {
    let home = Home::new();
    let plain = "Content-Type: application/octet-stream\r\n";
    let body = "x".repeat(2 << 20);
    record(&home, &[(get("/large", ""), answer("200 OK", plain, &body))]).await;
    let (from, to) = (home.text("session"), home.text("t"));
    assert_eq!(home.run(&["session", "trim", &from, &to]).await.code, Some(0));

    // The hash of all of it is known.
    let ended = send(&home, &origin(&[answer("200 OK", plain, &body)]).await, &[]).await;
    assert_eq!((ended.code, ended.stdout.lines().count()), (Some(0), 1), "{ended:?}");
    let other = format!("{}y", &body[1..]);
    let ended = send(&home, &origin(&[answer("200 OK", plain, &other)]).await, &[]).await;
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.stdout.contains("- body behind byte 65536: what was recorded"),
        "{}",
        ended.stdout
    );

    // It is not, and what was kept is all that can be compared.
    let log = std::fs::read_to_string(home.path("t/log-000001.jsonl")).unwrap();
    let at = log.find("\"digest\":\"blake3:").unwrap();
    let without = format!("{}{}", &log[..at], &log[at + 83..]);
    std::fs::remove_dir_all(home.path("session")).unwrap();
    std::fs::rename(home.path("t"), home.path("session")).unwrap();
    home.write("session/log-000001.jsonl", without);
    let ended = send(&home, &origin(&[answer("200 OK", plain, &other)]).await, &[]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(
        ended.stdout.contains("of the body 1024 of 2097152 bytes were compared: no more was kept"),
        "{}",
        ended.stdout
    );
}

#[tokio::test]
async fn the_fixtures_are_sent_again_over_plain_and_tls_connections() {
    let world = World::start_with(SIZES).await.unwrap();
    for console in CONSOLES {
        let home = Home::new();
        let session = fixture(console).into_os_string().into_string().unwrap();
        let roots = home.write("world.pem", world.ca_pem());
        let to = world.address().to_string();
        let base =
            ["replay", "send", &session, "--to", &to, "--upstream-ca", &roots, "--keep-stand-ins"];
        for more in [&[][..], &["--parallel", "recorded"]] {
            let ended = home.run(&[&base[..], more].concat()).await;
            assert_eq!(ended.code, Some(0), "{console}: {}{}", ended.stdout, ended.stderr);
            let numbers: Vec<u64> = ended
                .stdout
                .lines()
                .filter(|line| !line.starts_with(' '))
                .map(|line| line[8..].split_whitespace().next().unwrap().parse().unwrap())
                .collect();
            assert!(numbers.is_sorted(), "in the order they were recorded: {}", ended.stdout);
        }
        // A server whose certificate nobody believes, and no file was changed.
        if console == "ps3" {
            let ended = home.run(&["replay", "send", &session, "--to", &to]).await;
            assert_eq!(ended.code, Some(1), "{ended:?}");
            assert!(ended.stdout.contains("failed "), "{}", ended.stdout);
        }
        let left = files_below(&fixture(console));
        assert!(
            !left.iter().any(|file| file.ends_with("pseudonyms.key") || file.ends_with("lock"))
        );
    }
}

#[tokio::test]
async fn what_was_under_way_at_once_is_sent_at_once() {
    let home = Home::new();
    // Two requests that were answered while a third waited: it is answered once they are.
    let ok = answer("200 OK", "", "x");
    let line = |flow: u64, at: u64, event: &str| {
        format!(
            "{{\"flow\":{flow},\"at\":\"2026-01-01T00:00:00.{at:03}000Z\",\"event\":{event}}}\n"
        )
    };
    let opened = |flow: u64| {
        format!(
            "{{\"opened\":{{\"kind\":\"http\",\"client\":{{\"address\":\"192.168.0.1:1\",\"connection\":{flow}}},\
             \"target\":\"http://game.example/{flow}\",\"request\":{{\"method\":\"GET\",\
             \"target\":\"http://game.example/{flow}\",\"version\":\"HTTP/1.1\",\"headers\":[]}},\
             \"classification\":{{\"platform\":\"unknown\",\"category\":\"unknown\",\"entry\":null,\
             \"summary\":null,\"environment\":\"retail\",\"documented\":false}}}}}}"
        )
    };
    let response =
        "{\"response\":{\"status\":200,\"reason\":\"OK\",\"version\":\"HTTP/1.1\",\"headers\":[]}}";
    let digest = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881";
    let finished = format!(
        "{{\"finished\":{{\"state\":\"complete\",\"response_body\":{{\"bytes\":1,\
         \"digest\":\"sha256:{digest}\",\"kept\":\"whole\"}}}}}}"
    );
    let mut log = format!("{{\"body\":{{\"sha256\":\"{digest}\",\"text\":\"x\"}}}}\n");
    for (flow, begins, ends) in [(1, 0, 9), (2, 1, 5), (3, 6, 8)] {
        log += &line(flow, begins, &opened(flow));
        log += &line(flow, ends, response);
        log += &line(flow, ends, &finished);
    }
    home.write("session/log-000001.jsonl", log);
    home.write(
        "session/session.json",
        r#"{"format":1,"tool":"hand","version":"0","started":"2026-01-01T00:00:00Z","trimmed":true}"#,
    );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = listener.local_addr().unwrap().to_string();
    let serving = tokio::spawn(async move {
        let next = async || {
            let (mut stream, _) = listener.accept().await.unwrap();
            let head = read_head(&mut stream).await;
            (head[..6].to_owned(), stream)
        };
        let (one, other) = (next().await, next().await);
        let (first, mut second) = if one.0 == "GET /1" { (one, other) } else { (other, one) };
        assert_eq!((&*first.0, &*second.0), ("GET /1", "GET /2"));
        assert!(timeout(Duration::from_millis(50), next()).await.is_err(), "the third waits");
        second.1.write_all(ok.as_bytes()).await.unwrap();
        // The first is under way still.
        let mut third = next().await;
        assert_eq!(third.0, "GET /3");
        for (_, stream) in [&mut third, &mut { first }] {
            stream.write_all(ok.as_bytes()).await.unwrap();
        }
    });
    let session = home.text("session");
    let ended =
        home.run(&["replay", "send", &session, "--to", &to, "--parallel", "recorded"]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    serving.await.unwrap();
    let numbers: Vec<&str> =
        ended.stdout.lines().map(|line| line.rsplit('/').next().unwrap()).collect();
    assert_eq!(numbers, ["1", "2", "3"], "told in the order they were recorded in");
}

#[tokio::test]
async fn what_cannot_be_sent_or_asked_is_said() {
    let home = Home::new();
    record(&home, &[(get("/a", ""), answer("200 OK", "", "x"))]).await;
    let session = home.text("session");
    for (args, code, told) in [
        (vec![&*session, "~nonsense"], 2, "the filter cannot be read"),
        (vec![&*session, "~d nowhere"], 2, "no request of HOME/session fits"),
        (vec!["none"], 2, "is no session"),
        (vec![&*session, "--to", "ftp://a"], 2, "neither http nor https"),
        (vec![&*session, "--upstream-ca", "none.pem"], 2, "none.pem"),
        (vec![&*session, "--var", "x"], 2, "write NAME=VALUE"),
    ] {
        let args = [vec!["replay", "send"], args].concat();
        let ended = home.run(&args).await;
        assert_eq!(ended.code, Some(code), "{args:?}: {}", ended.stderr);
        assert!(home.hide(&ended.stderr).contains(told), "{args:?}: {}", ended.stderr);
    }
    // Nobody listens there.
    let closed = RawOrigin::answer("").await.unwrap().address().to_string();
    let ended = home.run(&["replay", "send", &session, "--to", &closed]).await;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(
        ended.stdout.starts_with("failed      1 GET http://game.example/a\n"),
        "{}",
        ended.stdout
    );
    assert!(ended.stderr.contains("1 without an answer"), "{}", ended.stderr);
}
