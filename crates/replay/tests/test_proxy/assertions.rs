//! What a test learns of what was asked, and what fails it.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::panic::{AssertUnwindSafe, catch_unwind};

use consoletap_replay::TestProxy;

use crate::served::harness::{LIMIT, Recording, fixture, get, parts};

const LIST: &str = "http://fus01.ps4.update.playstation.net/update/ps4/list/us/ps4-updatelist.xml";

/// Octets on a connection of their own, and all that comes back.
pub(crate) fn say(proxy: &TestProxy, octets: &str) -> String {
    let mut stream = TcpStream::connect(proxy.address()).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.write_all(octets.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

/// A request of a client that goes away afterwards.
pub(crate) fn ask(proxy: &TestProxy, method: &str, url: &str, body: &str) -> String {
    let host = url.split('/').nth(2).unwrap();
    let length = body.len();
    say(
        proxy,
        &format!(
            "{method} {url} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n\
             Connection: close\r\n\r\n{body}"
        ),
    )
}

/// What a panic says, with the port and the folder of this run left out.
fn panics(what: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(what)).expect_err("it has to fail");
    match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(other) => (*other.downcast::<&str>().unwrap()).to_owned(),
    }
}

#[test]
fn a_plain_test_serves_a_session_in_three_lines() {
    let replay = TestProxy::serve(fixture("ps4"));
    let answer = ask(&replay, "GET", LIST, "");
    replay.asked("~cat fw-updatelist").once();
    assert_eq!(parts(&answer).0, 200);
}

#[tokio::test]
async fn and_so_does_an_asynchronous_one_that_blocks() {
    let replay = TestProxy::serve(fixture("ps4"));
    assert_eq!(parts(&ask(&replay, "GET", LIST, "")).0, 200);
    replay.asked("~cat fw-updatelist").once();
}

#[test]
fn requests_are_seen_with_their_fields_and_bodies() {
    let url = "http://game.test/score?user=1";
    let recording = Recording::of(&[get(url, "thanks").post("points=1")]);
    let replay = TestProxy::serve(recording.path());
    assert!(replay.requests().is_empty());
    ask(&replay, "POST", url, "points=2");
    let request = replay.asked("~m POST & ~bq points=2 & ~c 200 & ~bs thanks").once();
    assert_eq!((request.method(), request.url().as_str()), ("POST", url));
    assert_eq!((request.field("host"), request.field("cookie")), (Some("game.test"), None));
    assert_eq!((request.body(), request.status()), (&b"points=2"[..], Some(200)));
    assert_eq!(replay.requests().len(), 1);
    assert_eq!(replay.asked("~m GET").count(), 0);
    replay.all_answers_used();
}

#[test]
fn counts_hold_or_tell_what_was_asked() {
    let recording = Recording::of(&[
        get("http://game.test/one", "1"),
        get("http://game.test/two", "2").status(404),
    ]);
    let replay = TestProxy::of(recording.path()).tolerate("~u /three").start();
    assert_eq!(
        panics(|| replay.asked("~u /one").at_least_once().clear()),
        "`~u /one` was to be asked at least once, and was asked never\nnothing was asked"
    );
    for path in ["one", "one", "two", "three?level=3&token=geheim"] {
        ask(&replay, "GET", &format!("http://game.test/{path}"), "");
    }
    replay.asked("~u /one").times(2);
    replay.asked("~u /one").at_least_once();
    replay.asked("~u /two").once();
    replay.asked("~u /four").never();
    let told = [
        panics(|| drop(replay.asked("~u /one").once())),
        panics(|| replay.asked("~u /two").never()),
        panics(|| drop(replay.asked("~u /one").times(3))),
        panics(|| drop(replay.asked("~u /o("))),
    ];
    insta::assert_snapshot!(told.join("\n---\n"));
}

#[test]
fn what_had_no_answer_fails_the_test_at_its_end() {
    let recording = Recording::of(&[
        get("http://api.game.test/v1/scores?level=3", "scores"),
        get("https://store.test/list", "list"),
    ]);
    let told = panics(|| {
        let replay = TestProxy::serve(recording.path());
        ask(&replay, "GET", "http://api.game.test/v1/scores?level=4&token=geheim", "");
        ask(&replay, "GET", "http://elsewhere.example/", "");
        say(&replay, "CONNECT never.example:443 HTTP/1.1\r\nHost: never.example\r\n\r\n");
        say(&replay, "GET / HTTP/1.1\r\nHost: a.test\r\nHost: b.test\r\n\r\n");
    });
    insta::assert_snapshot!(told);
}

#[test]
fn what_is_tolerated_fails_nothing() {
    let recording = Recording::of(&[get("http://game.test/one", "1")]);
    let replay = TestProxy::of(recording.path())
        .tolerate("~d telemetry.test")
        .tolerate("~m POST")
        .unmatched(404)
        .start();
    assert_eq!(parts(&ask(&replay, "GET", "http://telemetry.test/x", "")).0, 404);
    assert_eq!(parts(&ask(&replay, "POST", "http://game.test/one", "x")).0, 404);
    assert!(replay.unanswered().is_empty());
    assert_eq!(replay.requests().len(), 2);
}

#[test]
fn a_rule_answers_too() {
    let recording = Recording::of(&[get("http://game.test/one", "1")]);
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("rules.toml");
    std::fs::write(&rules, "[[rule]]\nname = 'no'\nwhen = '~d ads.test'\nblock = 403\n").unwrap();
    let replay = TestProxy::of(recording.path()).rules(rules.to_str().unwrap()).start();
    assert_eq!(parts(&ask(&replay, "GET", "http://ads.test/", "")).0, 403);
}

#[test]
fn answers_that_nobody_asked_for_are_told_on_demand() {
    let recording =
        Recording::of(&[get("http://game.test/one", "1"), get("http://game.test/two?x=1", "2")]);
    let replay = TestProxy::serve(recording.path());
    ask(&replay, "GET", "http://game.test/one", "");
    assert_eq!(replay.unused(), ["GET http://game.test/two?… (flow 2)"]);
    assert_eq!(
        panics(|| replay.all_answers_used()),
        "an answer was never asked for:\n  GET http://game.test/two?… (flow 2)\n\
         what was asked:\n  GET http://game.test/one 200"
    );
}

/// A test of its own process: it fails, and this looks at what it says and that it is not aborted.
#[test]
fn a_test_that_fails_anyway_says_both() {
    const INNER: &str = "CONSOLETAP_FAILS_FOR_A_TEST";
    let name = "test_proxy::assertions::a_test_that_fails_anyway_says_both";
    if let Some(inner) = std::env::var_os(INNER) {
        let recording =
            Recording::of(&[get("http://game.test/one", "1"), get("https://store.test/", "2")]);
        let replay = TestProxy::serve(recording.path());
        if inner == "TLS" {
            // One that trusts nobody.
            let client = super::clients::ureq_agent(&replay.url(), "");
            assert!(client.get("https://store.test/").call().is_err());
        } else {
            ask(&replay, "GET", "http://game.test/two", "");
        }
        panic!("this is why");
    }
    let fails = |what: &str, words: &[&str]| {
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture", "--test-threads=1"])
            .env(INNER, what)
            .output()
            .unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(101), "{told}");
        let why = told.find("this is why");
        for words in words {
            assert!(why.is_some() && why < told.find(words), "{words}: {told}");
        }
    };
    let nearest = "the nearest recorded request is GET http://game.test/one";
    fails("an answer", &["a request had no answer", nearest]);
    fails("TLS", &["TLS failed; does the client trust the CA of `ca_pem()`?", "store.test:443"]);
}

#[test]
fn what_cannot_start_says_why() {
    let recording = Recording::of(&[get("http://game.test/one", "1")]);
    let nowhere = recording.path().join("nowhere");
    assert!(panics(|| drop(TestProxy::serve(&nowhere))).contains("nowhere"));
    let of = || TestProxy::of(recording.path());
    for (proxy, words) in [
        (of().keys("colour"), "`colour` is nothing to match on"),
        (of().tolerate("~d"), "~d"),
        (of().rules("/nowhere.toml"), "/nowhere.toml"),
        (of().certs("/proc/nowhere"), "/proc/nowhere"),
    ] {
        let told = panics(|| drop(proxy.start()));
        assert!(told.contains(words) && told.contains("cannot be served"), "{told}");
    }
}

#[test]
fn ten_run_in_one_process_and_know_nothing_of_each_other() {
    let recordings: Vec<Recording> = (0..10)
        .map(|number| Recording::of(&[get("http://game.test/", &format!("answer {number}"))]))
        .collect();
    let proxies: Vec<TestProxy> =
        recordings.iter().map(|recording| TestProxy::serve(recording.path())).collect();
    std::thread::scope(|scope| {
        for (number, replay) in proxies.iter().enumerate() {
            scope.spawn(move || {
                for _ in 0..=number {
                    let answer = ask(replay, "GET", "http://game.test/", "");
                    assert_eq!(parts(&answer), (200, format!("answer {number}").as_str()));
                }
            });
        }
    });
    for (number, replay) in proxies.iter().enumerate() {
        replay.asked("~d game.test").times(number + 1);
        let others = proxies.iter().filter(|other| other.ca_pem() == replay.ca_pem());
        assert_eq!(others.count(), 1);
    }
}

#[test]
fn nothing_stays_behind() {
    let recording = Recording::of(&[get("http://game.test/one", "1")]);
    let replay = TestProxy::serve(recording.path());
    let (address, file) = (replay.address(), replay.ca_file().to_owned());
    assert_eq!(std::fs::read_to_string(&file).unwrap(), replay.ca_pem());
    // One that is still open, and one in the middle of a request's head: what is asked for counts.
    let idle = TcpStream::connect(address).unwrap();
    let mut busy = TcpStream::connect(address).unwrap();
    busy.write_all(b"POST http://game.test/one HTTP/1.1\r\nContent-Length: 9\r\n").unwrap();
    drop(replay);
    for mut stream in [idle, busy] {
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        assert_eq!(stream.read(&mut [0; 9]).unwrap_or(0), 0, "it is closed, and said nothing");
    }
    assert!(!file.exists());
}

#[test]
fn a_ca_that_stays_is_the_same_again() {
    let recording = Recording::of(&[get("http://game.test/one", "1")]);
    let folder = tempfile::tempdir().unwrap();
    let certs = folder.path().join("certs");
    let pem = || TestProxy::of(recording.path()).certs(&certs).start().ca_pem().to_owned();
    assert_eq!(pem(), pem());
}
