//! Files that were fetched in slices, and bodies of which not everything was kept.

use consoletap_flow::{Flow, State};

use super::harness::{Exchange, Recording, Served, field, fixture, get, parts};

const URL: &str = "http://dl.test/game.pkg";

fn slice(from: usize, octets: &str, total: usize, etag: &str) -> Exchange {
    let last = from + octets.len() - 1;
    get(URL, octets)
        .asked("Range", &format!("bytes={from}-{last}"))
        .status(206)
        .field("ETag", etag)
        .field("Content-Range", &format!("bytes {from}-{last}/{total}"))
}

#[tokio::test]
async fn a_whole_is_stitched_from_slices_and_cut_anew() {
    let recording = Recording::of(&[
        slice(6, "6789", 10, "\"1\""),
        slice(0, "0123", 10, "\"1\""),
        slice(3, "3456", 10, "\"1\""),
    ]);
    let served = Served::start(recording.path()).await;
    let whole = served.get(URL, "").await;
    assert_eq!(parts(&whole), (200, "0123456789"));
    assert_eq!(field(&whole, "content-range"), None);
    let part = served.get(URL, "Range: bytes=2-7\r\n").await;
    assert_eq!(
        (parts(&part), field(&part, "content-range")),
        ((206, "234567"), Some("bytes 2-7/10"))
    );
    let head = served.ask("HEAD", URL, "", "").await;
    assert_eq!((parts(&head), field(&head, "content-length")), ((200, ""), Some("10")));
    let several = served.get(URL, "Range: bytes=0-1,4-5\r\n").await;
    assert!(
        parts(&several).1.contains("\r\n\r\n01\r\n")
            && parts(&several).1.contains("\r\n\r\n45\r\n")
    );
    assert!(served.replay.unused().is_empty(), "all slices were of use");
    served.stop().await;
}

#[tokio::test]
async fn versions_of_a_file_are_not_mixed() {
    let recording = Recording::of(&[
        slice(0, "aaaaa", 10, "\"1\""),
        slice(0, "bbbbb", 10, "\"2\""),
        slice(5, "BBBBB", 10, "\"2\""),
    ]);
    let served = Served::start(recording.path()).await;
    assert_eq!(parts(&served.get(URL, "").await), (200, "bbbbbBBBBB"));
    let named = served.get(URL, "Range: bytes=0-2\r\nIf-Range: \"1\"\r\n").await;
    assert_eq!(parts(&named), (206, "aaa"));
    served.stop().await;
}

#[tokio::test]
async fn a_body_kept_in_part_answers_what_it_has_and_says_what_is_missing() {
    let recording = Recording::of(&[
        get(URL, "0123456789").kept(6).field("ETag", "\"1\""),
        get("http://dl.test/lost", "0123456789").kept(0),
        get("http://dl.test/cut", "0123").state("truncated").field("Content-Length", "10"),
    ]);
    let served = Served::start(recording.path()).await;
    let whole = served.get(URL, "").await;
    assert_eq!(field(&whole, "content-length"), Some("10"), "nobody takes it for all of it");
    assert_eq!(parts(&whole), (200, "012345"));
    let within = served.get(URL, "Range: bytes=1-3\r\n").await;
    assert_eq!(parts(&within), (206, "123"));
    let over = served.get(URL, "Range: bytes=4-8\r\n").await;
    assert_eq!((parts(&over), field(&over, "content-range")), ((206, "45"), Some("bytes 4-5/10")));
    let behind = served.get(URL, "Range: bytes=8-\r\n").await;
    assert_eq!(parts(&behind).0, 504);
    assert!(parts(&behind).1.contains("the session has no bytes 8-9 of these 10"), "{behind}");
    let lost = served.get("http://dl.test/lost", "").await;
    assert!(parts(&lost).1.contains("the session has no bytes 0-9 of these 10"), "{lost}");
    let cut = served.get("http://dl.test/cut", "").await;
    assert_eq!((parts(&cut), field(&cut, "content-length")), ((200, "0123"), Some("10")));
    let flows = served.stop().await;
    assert_eq!(flows[0].state(), State::Truncated);
    let missing = "the session has no bytes 6-9 of these 10".to_owned();
    assert!(flows[0].notes.contains(&missing), "{:?}", flows[0].notes);
}

#[tokio::test]
async fn the_title_update_of_a_ps4_is_fetched_again() {
    let served = Served::start(&fixture("ps4")).await;
    let session = served.replay.session();
    let downloads = session.downloads(|_: &Flow| true).0;
    let pieced = downloads.iter().find(|one| one.slices.len() > 1).expect("one in slices");
    let answer = served.get(&pieced.url, "Range: bytes=0-9\r\n").await;
    let (status, body) = parts(&answer);
    assert_eq!((status, body.chars().count()), (206, 10), "{answer}");
    served.stop().await;
}
