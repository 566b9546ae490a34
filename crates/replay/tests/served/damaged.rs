//! Sessions that are cut, damaged, edited wrongly, from another time, or served twice.

use std::fs;

use consoletap_replay::{Replay, ReplayError};

use super::harness::{Recording, Served, get, parts, settings};

fn two() -> Recording {
    Recording::of(&[get("http://a.test/1", "one"), get("http://a.test/2", "two")])
}

#[test]
fn a_session_cut_at_any_byte_is_served_or_told() {
    let recording = two();
    let whole = fs::read(recording.log()).unwrap();
    let about = fs::read_to_string(recording.path().join("session.json")).unwrap();
    // As a crash leaves it, and as an editor does.
    for (trimmed, about) in [(true, about.clone()), (false, about.replace("true", "false"))] {
        fs::write(recording.path().join("session.json"), about).unwrap();
        for length in 0..whole.len() {
            fs::write(recording.log(), &whole[..length]).unwrap();
            match Replay::open(recording.path(), settings()) {
                Ok(replay) => assert!(replay.exchanges() <= 2),
                Err(ReplayError::Edited(problem)) => assert!(trimmed && problem.line > 0),
                Err(ReplayError::Empty(_)) => {}
                Err(error) => panic!("{length}: {error}"),
            }
        }
    }
}

#[test]
fn a_mistake_of_an_editor_is_told_with_its_line() {
    let recording = two();
    let edited =
        fs::read_to_string(recording.log()).unwrap().replacen("\"response\"", "\"respond\"", 1);
    fs::write(recording.log(), edited).unwrap();
    let error = Replay::open(recording.path(), settings()).err().expect("a mistake").to_string();
    assert!(error.contains("log-000001.jsonl:2: `respond` is no kind of event"), "{error}");
    let about = recording.path().join("session.json");
    let newer = fs::read_to_string(&about).unwrap().replace("\"format\":1", "\"format\":99");
    fs::write(&about, newer).unwrap();
    let error = Replay::open(recording.path(), settings()).err().expect("too new").to_string();
    assert!(error.contains("99"), "{error}");
    let nowhere = recording.path().join("nowhere");
    assert!(matches!(Replay::open(&nowhere, settings()), Err(ReplayError::Open(_))));
}

#[tokio::test]
async fn a_body_that_is_gone_is_told_to_who_asks_for_it() {
    let recording = two();
    let about = recording.path().join("session.json");
    let recorded = fs::read_to_string(&about).unwrap().replace("true", "false");
    fs::write(&about, recorded).unwrap();
    let log = fs::read_to_string(recording.log()).unwrap();
    let without: String = log
        .lines()
        .filter(|line| !line.contains("\"text\":\"one\""))
        .flat_map(|line| [line, "\n"])
        .collect();
    fs::write(recording.log(), without).unwrap();
    let served = Served::start(recording.path()).await;
    let answer = served.get("http://a.test/1", "").await;
    assert_eq!(parts(&answer).0, 504);
    assert!(parts(&answer).1.contains("is not in this session"), "{answer}");
    assert_eq!(parts(&served.get("http://a.test/2", "").await), (200, "two"));
    served.stop().await;
}

#[tokio::test]
async fn two_may_serve_one_session() {
    let recording = two();
    let before = fs::read(recording.log()).unwrap();
    let (one, other) =
        (Served::start(recording.path()).await, Served::start(recording.path()).await);
    for served in [&one, &other] {
        assert_eq!(parts(&served.get("http://a.test/1", "").await), (200, "one"));
    }
    one.stop().await;
    other.stop().await;
    assert_eq!(fs::read(recording.log()).unwrap(), before);
    assert_eq!(fs::read_dir(recording.path()).unwrap().count(), 2, "it is only read");
}
