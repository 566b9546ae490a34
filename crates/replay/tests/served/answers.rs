//! What clients get of what was recorded: methods, versions, conditions, ranges, expectations, rules.

use consoletap_flow::State;
use consoletap_replay::{ReplaySettings, Timing};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::harness::{LIMIT, Recording, Served, field, get, parts, settings};

const URL: &str = "http://game.test/file";

fn file() -> Recording {
    Recording::of(&[get(URL, "0123456789")
        .field("ETag", "\"v1\"")
        .field("Content-Type", "text/plain")
        .field("Server", "recorded")
        .field("Transfer-Encoding", "chunked")
        .field("Connection", "keep-alive")])
}

#[tokio::test]
async fn a_recorded_answer_comes_back_and_nobody_is_connected_to() {
    let recording = file();
    let served = Served::start(recording.path()).await;
    let answer = served.get(URL, "").await;
    assert_eq!(parts(&answer), (200, "0123456789"));
    assert_eq!(field(&answer, "server"), Some("recorded"));
    assert_eq!(field(&answer, "content-length"), Some("10"));
    assert_eq!(field(&answer, "transfer-encoding"), None, "framing is of the connection");
    assert!(served.replay.unused().is_empty());
    let flows = served.stop().await;
    assert_eq!(flows[0].state(), State::Complete);
    assert_eq!(flows[0].notes, ["answered from flow 1 of the session"]);
}

#[tokio::test]
async fn versions_methods_conditions_and_ranges_get_what_they_ask_for() {
    let recording = file();
    let served = Served::start(recording.path()).await;
    let old = served.say(format!("GET {URL} HTTP/1.0\r\n\r\n")).await;
    assert_eq!(parts(&old), (200, "0123456789"));
    assert_eq!(field(&old, "connection"), Some("close"));
    let head = served.ask("HEAD", URL, "", "").await;
    assert_eq!((parts(&head), field(&head, "content-length")), ((200, ""), Some("10")));
    for (fields, expected, range) in [
        ("Range: bytes=2-4\r\n", (206, "234"), Some("bytes 2-4/10")),
        ("Range: bytes=-3\r\n", (206, "789"), Some("bytes 7-9/10")),
        ("Range: bytes=2-4\r\nIf-Range: \"v1\"\r\n", (206, "234"), Some("bytes 2-4/10")),
        ("Range: bytes=2-4\r\nIf-Range: \"v0\"\r\n", (200, "0123456789"), None),
        ("If-None-Match: \"v1\"\r\n", (304, ""), None),
        ("If-None-Match: \"v0\"\r\n", (200, "0123456789"), None),
    ] {
        let answer = served.get(URL, fields).await;
        assert_eq!(parts(&answer), expected, "{fields}");
        assert_eq!(field(&answer, "content-range"), range, "{fields}");
    }
    let unsatisfiable = served.get(URL, "Range: bytes=10-\r\n").await;
    assert_eq!(parts(&unsatisfiable).0, 416);
    assert_eq!(field(&unsatisfiable, "content-range"), Some("bytes */10"));
    assert_eq!(parts(&served.get(URL, "If-Match: \"v0\"\r\n").await).0, 412);
    let several = served.get(URL, "Range: bytes=0-1,8-9\r\n").await;
    let (status, body) = parts(&several);
    assert_eq!(status, 206);
    let boundary = field(&several, "content-type").unwrap().split_once("boundary=").unwrap().1;
    let part = |range: &str, octets: &str| {
        format!(
            "--{boundary}\r\nContent-Type: text/plain\r\nContent-Range: {range}\r\n\r\n{octets}\r\n"
        )
    };
    let expected = part("bytes 0-1/10", "01") + &part("bytes 8-9/10", "89");
    assert_eq!(body, format!("{expected}--{boundary}--\r\n"));
    served.stop().await;
}

#[tokio::test]
async fn a_server_that_knew_no_ranges_knows_none_now() {
    let recording = Recording::of(&[get(URL, "0123456789").asked("Range", "bytes=0-1")]);
    let served = Served::start(recording.path()).await;
    assert_eq!(parts(&served.get(URL, "Range: bytes=2-4\r\n").await), (200, "0123456789"));
    served.stop().await;
}

#[tokio::test]
async fn answers_without_a_body_stay_without_one() {
    let recording = Recording::of(&[
        get("http://game.test/none", "").status(204),
        get("http://game.test/head", "").method("HEAD").field("Content-Length", "77"),
        get("http://game.test/empty", "").field("Content-Length", "0"),
        get("http://game.test/new", "fresh").field("ETag", "\"2\""),
        get("http://game.test/new", "").status(304).field("ETag", "\"2\""),
        get("http://game.test/only304", "").status(304),
    ]);
    let served = Served::start(recording.path()).await;
    let none = served.get("http://game.test/none", "").await;
    assert_eq!((parts(&none), field(&none, "content-length")), ((204, ""), None));
    let head = served.ask("HEAD", "http://game.test/head", "", "").await;
    assert_eq!((parts(&head), field(&head, "content-length")), ((200, ""), Some("77")));
    let empty = served.get("http://game.test/empty", "").await;
    assert_eq!((parts(&empty), field(&empty, "content-length")), ((200, ""), Some("0")));
    // Twice without a condition: the recorded 304 is for who has something.
    for _ in 0..2 {
        assert_eq!(parts(&served.get("http://game.test/new", "").await), (200, "fresh"));
    }
    let again = served.get("http://game.test/new", "If-None-Match: \"2\"\r\n").await;
    assert_eq!(parts(&again), (304, ""));
    let (status, body) = {
        let answer = served.get("http://game.test/only304", "").await;
        (parts(&answer).0, parts(&answer).1.to_owned())
    };
    assert_eq!(status, 504);
    assert!(body.contains("its answers (304) do not fit what is asked now"), "{body}");
    // A GET has no answer where only HEAD was recorded.
    assert_eq!(parts(&served.get("http://game.test/head", "").await).0, 504);
    served.stop().await;
}

#[tokio::test]
async fn a_body_that_waits_for_a_100_is_asked_for_where_the_answer_depends_on_it() {
    let recording = Recording::of(&[get(URL, "for a").post("a=1"), get(URL, "for b").post("b=2")]);
    let keys = "method,host,path,body".parse().unwrap();
    let served = Served::with(recording.path(), ReplaySettings { keys, ..settings() }, &[]).await;
    let mut tcp = TcpStream::connect(served.address).await.unwrap();
    let head = format!(
        "POST {URL} HTTP/1.1\r\nHost: game.test\r\nContent-Length: 3\r\n\
         Expect: 100-continue\r\nConnection: close\r\n\r\n"
    );
    tcp.write_all(head.as_bytes()).await.unwrap();
    let mut interim = [0; 25];
    tokio::time::timeout(LIMIT, tcp.read_exact(&mut interim)).await.unwrap().unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    tcp.write_all(b"b=2").await.unwrap();
    let mut rest = String::new();
    tokio::time::timeout(LIMIT, tcp.read_to_string(&mut rest)).await.unwrap().unwrap();
    assert_eq!(parts(&rest), (200, "for b"));
    let flows = served.stop().await;
    assert_eq!(flows[0].request_bytes, 3);
}

#[tokio::test]
async fn a_body_that_waits_and_does_not_matter_is_not_asked_for() {
    let recording = Recording::of(&[get(URL, "fine").post("a=1")]);
    let served = Served::start(recording.path()).await;
    let answer = served
        .say(format!(
            "POST {URL} HTTP/1.1\r\nHost: game.test\r\nContent-Length: 3\r\n\
             Expect: 100-continue\r\n\r\n"
        ))
        .await;
    assert_eq!(parts(&answer), (200, "fine"));
    assert_eq!(field(&answer, "connection"), Some("close"), "whether the body comes is not known");
    served.stop().await;
}

#[tokio::test]
async fn one_connection_serves_many_requests() {
    let recording = file();
    let served = Served::start(recording.path()).await;
    let one = format!("GET {URL} HTTP/1.1\r\nHost: game.test\r\n\r\n");
    let last = format!("GET {URL} HTTP/1.1\r\nHost: game.test\r\nConnection: close\r\n\r\n");
    let answers = served.say(format!("{one}{one}{last}")).await;
    assert_eq!(answers.matches("0123456789").count(), 3, "{answers}");
    assert_eq!(served.stop().await.len(), 3);
}

#[tokio::test]
async fn rules_apply_to_what_is_replayed() {
    let recording = Recording::of(&[get(URL, "version=1").field("Content-Type", "text/plain")]);
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("rules.toml");
    std::fs::write(
        &rules,
        "[[rule]]\nname = 'newer'\nwhen = '~d game.test'\n\
         rewrite = { replace = { find = 'version=1', with = 'version=22' } }\n\
         [[rule]]\nname = 'blocked'\nwhen = '~d blocked.test'\nblock = 403\n",
    )
    .unwrap();
    let rules = [rules.to_str().unwrap().to_owned()];
    let served = Served::with(recording.path(), settings(), &rules).await;
    let answer = served.get(URL, "").await;
    assert_eq!(parts(&answer), (200, "version=22"));
    assert_eq!(field(&answer, "content-length"), Some("10"));
    let part = served.get(URL, "Range: bytes=8-\r\n").await;
    assert_eq!(parts(&part), (206, "22"));
    assert_eq!(parts(&served.get("http://blocked.test/", "").await).0, 403);
    let flows = served.stop().await;
    assert_eq!(flows[0].rules[0].name, "newer");
}

#[tokio::test]
async fn answers_take_the_time_that_they_took() {
    let recording = Recording::of(&[get(URL, "slow").wait(300_000)]);
    for (timing, at_least) in [(Timing::Recorded(1.0), 300), (Timing::Recorded(0.5), 150)] {
        let served =
            Served::with(recording.path(), ReplaySettings { timing, ..settings() }, &[]).await;
        let begun = std::time::Instant::now();
        assert_eq!(parts(&served.get(URL, "").await), (200, "slow"));
        assert!(begun.elapsed().as_millis() >= at_least, "{:?}", begun.elapsed());
        served.stop().await;
    }
}
