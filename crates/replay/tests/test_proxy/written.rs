//! Answers that were written by hand, beside recorded ones.

use std::time::{Duration, Instant};

use consoletap_replay::{Answer, Repeat, TestProxy, TestProxyBuilder};

use super::assertions::{ask, say};
use crate::served::harness::{Recording, field, get, parts};

const URL: &str = "http://game.test/scores?level=1&user=2";

fn recording() -> Recording {
    Recording::of(&[get(URL, "recorded 1"), get(URL, "recorded 2")])
}

/// The bodies that so many requests get.
fn bodies(replay: &TestProxy, url: &str, count: usize) -> Vec<String> {
    (0..count).map(|_| parts(&ask(replay, "GET", url, "")).1.to_owned()).collect()
}

#[test]
fn what_is_written_comes_first_and_then_what_was_recorded() {
    let recording = recording();
    let of = || TestProxy::of(recording.path());
    let two = |proxy: TestProxyBuilder| {
        proxy.answer(Answer::get(URL).body("one")).answer(Answer::get(URL).body("two"))
    };
    let replay = two(of()).start();
    // The order of the keys of a query does not matter, as ever.
    let other_order = "http://game.test/scores?user=2&level=1";
    assert_eq!(bodies(&replay, other_order, 1), ["one"]);
    assert_eq!(replay.unused().len(), 3);
    assert_eq!(bodies(&replay, URL, 4), ["two", "recorded 1", "recorded 2", "recorded 2"]);
    replay.asked("~d game.test").times(5);
    replay.all_answers_used();
    let always = of().answer(Answer::get(URL).body("always").always()).start();
    assert_eq!(bodies(&always, URL, 3), ["always"; 3]);
    assert_eq!(always.unused().len(), 2);
}

#[test]
fn what_was_not_recorded_is_repeated_as_recorded_answers_are() {
    let recording = recording();
    let url = "http://game.test/new";
    for (repeat, expected) in [
        (Repeat::Last, ["one", "two", "two", "two"]),
        (Repeat::Again, ["one", "two", "one", "two"]),
        (Repeat::Never, ["one", "two", "none", "none"]),
    ] {
        let replay = TestProxy::of(recording.path())
            .repeat(repeat)
            .tolerate("~all")
            .answer(Answer::get(url).body("one"))
            .answer(Answer::get(url).body("two"))
            .start();
        let got = bodies(&replay, url, 4);
        let told = "was recorded 2 times, and all of its answers were given";
        let short = got.iter().map(|body| if body.contains(told) { "none" } else { body });
        assert_eq!(short.collect::<Vec<_>>(), expected, "{repeat:?}");
        assert_eq!(replay.unused().len(), 2, "those that were recorded");
    }
}

#[test]
fn it_has_a_status_fields_and_a_body_from_which_ranges_select() {
    let recording = recording();
    let file = Answer::get("http://game.test/file").field("ETag", "\"1\"").body("0123456789");
    let busy = Answer::to("POST", "http://game.test/file").status(503).field("Retry-After", "7");
    let empty = Answer::to("DELETE", "http://game.test/file").status(204).body("never sent");
    let replay =
        TestProxy::of(recording.path()).answer(file.always()).answer(busy).answer(empty).start();
    let url = "http://game.test/file";
    let whole = ask(&replay, "GET", url, "");
    assert_eq!((parts(&whole), field(&whole, "etag")), ((200, "0123456789"), Some("\"1\"")));
    let head = ask(&replay, "HEAD", url, "");
    assert_eq!((parts(&head), field(&head, "content-length")), ((200, ""), Some("10")));
    let part = say(
        &replay,
        &format!(
            "GET {url} HTTP/1.1\r\nHost: game.test\r\nRange: bytes=2-4\r\nConnection: close\r\n\r\n"
        ),
    );
    assert_eq!((parts(&part), field(&part, "content-range")), ((206, "234"), Some("bytes 2-4/10")));
    let posted = ask(&replay, "POST", url, "x");
    assert_eq!((parts(&posted), field(&posted, "retry-after")), ((503, ""), Some("7")));
    assert_eq!(parts(&ask(&replay, "DELETE", url, "")), (204, ""));
    let notes = &replay.asked("~m POST").once().flow().notes.clone();
    assert_eq!(*notes, ["answered by hand, as written for POST http://game.test/file"]);
}

#[test]
fn a_filter_says_for_what_it_is() {
    let recording = recording();
    let replay = TestProxy::of(recording.path())
        .answer(Answer::fitting("~cat fw-updatelist & ~hq \"x-test: yes\"").status(404))
        .answer(Answer::fitting("~m PUT").body("put").always())
        .tolerate("~cat fw-updatelist")
        .start();
    let list = "http://feu01.ps4.update.playstation.net/update/ps4/list/eu/ps4-updatelist.xml";
    assert_eq!(parts(&ask(&replay, "GET", list, "")).0, 504);
    let get = format!("GET {list} HTTP/1.1\r\nHost: feu01.ps4.update.playstation.net\r\n");
    let asked = say(&replay, &format!("{get}X-Test: yes\r\nConnection: close\r\n\r\n"));
    assert_eq!(parts(&asked).0, 404);
    for host in ["a.test", "b.test"] {
        assert_eq!(parts(&ask(&replay, "PUT", &format!("http://{host}/"), "")), (200, "put"));
    }
}

#[test]
fn it_can_take_its_time() {
    let recording = recording();
    let slow = Answer::get("http://game.test/slow").after(Duration::from_millis(200));
    let replay = TestProxy::of(recording.path()).answer(slow).start();
    let begun = Instant::now();
    assert_eq!(parts(&ask(&replay, "GET", "http://game.test/slow", "")).0, 200);
    assert!(begun.elapsed() >= Duration::from_millis(200));
}

#[test]
fn it_may_be_the_nearest_to_what_was_asked() {
    let recording = recording();
    let replay = TestProxy::of(recording.path())
        .answer(Answer::get("http://news.test/today?page=1"))
        .tolerate("~all")
        .start();
    for (url, nearest) in [
        (
            "http://news.test/today?page=2",
            "the nearest answer written by hand is to GET http://news.test/today?…\n  \
             query key page: recorded \"1\", asked \"2\"",
        ),
        (
            "http://game.test/scores",
            "the nearest recorded request is GET http://game.test/scores?…",
        ),
    ] {
        let answer = ask(&replay, "GET", url, "");
        assert!(parts(&answer).1.contains(nearest), "{answer}");
    }
}

#[test]
fn a_mistake_is_told_when_it_starts() {
    let recording = recording();
    for (answer, words) in [
        (Answer::get("game.test/x"), "an answer to GET game.test/x has no URL"),
        (Answer::fitting("~d"), "an answer has a filter that cannot be used"),
        (Answer::fitting("~c 200"), "~c is known only when the answer has come"),
        (Answer::get(URL).field("a b", "c"), "\"a b\" cannot stand as the name of a header field"),
        (Answer::get(URL).status(100), "has the status 100; expected 200 to 599"),
    ] {
        let start = || TestProxy::of(recording.path()).answer(answer).start();
        let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(start())));
        let told = *panic.expect_err("a mistake").downcast::<String>().unwrap();
        assert!(told.contains(words), "{told}");
    }
}
