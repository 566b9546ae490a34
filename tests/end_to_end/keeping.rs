//! How much is kept: old sessions go, and bodies stop at a quota and at a floor of free space. What is
//! done is told with its numbers.

use consoletap_flow::{Kept, State};
use consoletap_simulator::{Console, Request, Sizes, World};

use super::fixtures::{copy, fixture};
use super::harness::{Home, Tap, eventually};

const PIECE: &str = "http://gs2.ww.prod.dl.playstation.net/gs2/ppkgo/prod/CUSA00001_00/1/f_1/f/IP9100-CUSA00001_00-PLAYROOM00000000-A0107-V0100.pkg";
const SLICE: u64 = 60_000;

/// Slices with other octets each.
async fn download(tap: &Tap, slices: u64) {
    let mut client = Console::ps4("1.51").behind(tap.address());
    for number in 0..slices {
        let first = number * SLICE;
        let range = format!("bytes={first}-{}", first + SLICE - 1);
        let answer = client.ask(&Request::get(PIECE).header("Range", &range)).await;
        assert_eq!(answer.unwrap().body.len() as u64, SLICE);
    }
}

async fn world() -> World {
    World::start_with(Sizes { package_piece: 1 << 20, ..Sizes::default() }).await.unwrap()
}

/// The number before these words.
fn number_before(text: &str, words: &str) -> u64 {
    let (before, _) = text.split_once(words).unwrap_or_else(|| panic!("no {words:?}: {text}"));
    before.rsplit(' ').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_run_removes_old_sessions_says_which_and_leaves_those_that_are_recorded() {
    let (home, world) = (Home::new(), world().await);
    let root = "data/consoletap/sessions";
    let recorded = "data/consoletap/sessions/recorded.psession";
    let tap = home.tap().session(recorded).world(&world).start().await;
    download(&tap, 1).await;
    for console in ["ps3", "vita", "ps5"] {
        copy(&fixture(console), &home.path(&format!("{root}/{console}.psession")));
    }
    let begin = |limit: [&'static str; 2]| {
        let mut command = home.program(env!("CARGO_BIN_EXE_consoletap"));
        command.args(["run", "--listen-host", "127.0.0.1", "--port", "0", "--json", "--certs"]);
        command.arg(home.path("certs")).args(limit);
        home.spawn(command)
    };
    // Its own is the newest, and the recorded one counts as well.
    let ended = begin(["--retain-count", "3"]).await.stop().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let removed: Vec<&str> =
        ended.stderr.lines().filter(|line| line.starts_with("Removed the session ")).collect();
    assert_eq!(removed.len(), 2, "{}", ended.stderr);
    for line in removed {
        assert!(
            line.ends_with("kB): there are too many.") && line.contains(".psession ("),
            "{line}"
        );
    }
    // All that are old go, and the one that is recorded stays though it is too large.
    let ended = begin(["--retain-age", "1d"]).await.stop().await;
    assert_eq!(ended.stderr.matches(": it is too old.").count(), 1, "{}", ended.stderr);
    let ended = begin(["--retain-size", "1"]).await.stop().await;
    assert!(ended.stderr.contains(": together they are too large."), "{}", ended.stderr);
    assert!(!ended.stderr.contains("recorded.psession"), "{}", ended.stderr);

    download(&tap, 3).await;
    let ended = tap.stop().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let session = consoletap_session::Session::open(&home.path(recorded)).unwrap();
    let flows: Vec<_> = session.flows().map(Result::unwrap).collect();
    assert_eq!(flows.len(), 4);
    assert!(flows.iter().all(|flow| flow.state() == State::Complete));
    let left = std::fs::read_dir(home.path(root)).unwrap().count();
    assert_eq!(left, 2, "the recorded one and that of the last run");
}

#[tokio::test]
async fn bodies_stop_at_the_quota_which_is_told_once_with_the_numbers() {
    let (home, world) = (Home::new(), world().await);
    let tap = home.tap().world(&world).args(["--session-quota", "200000"]).start().await;
    download(&tap, 8).await;
    let rows = tap.rows(8).await;
    assert!(rows.iter().all(|row| row["state"] == "complete"));
    let words = " of the 200000 bytes that it may; bodies are no longer kept";
    let told = eventually("a word about it", || Some(tap.stderr()).filter(|it| it.contains(words)));
    let told = told.await;
    let held = number_before(&told, words);
    assert!((200_000 - SLICE..=200_000).contains(&held), "{held}");
    let ended = tap.stop().await;
    let before_the_end = ended.stderr.split("Not in the session").next().unwrap();
    assert_eq!(before_the_end.matches(words).count(), 1, "said once");
    let lost = number_before(&ended.stderr, " bodies (the session holds ");
    let kept = home.flows().iter().filter(|flow| flow_is_kept(flow)).count() as u64;
    assert_eq!((lost + kept, home.session().overview().lost_events), (8, 0));
    assert!((2..=3).contains(&kept), "{kept}");
}

fn flow_is_kept(flow: &consoletap_flow::Flow) -> bool {
    flow.finished.as_ref().unwrap().response_body.kept == Kept::Whole
}

#[tokio::test]
async fn bodies_stop_above_the_floor_of_free_space_and_events_go_on() {
    let (home, world) = (Home::new(), world().await);
    let tap = home.tap().world(&world).args(["--min-free-disk", "1000000g"]).start().await;
    download(&tap, 3).await;
    let words = " bytes free, and ";
    let told = eventually("a word about it", || Some(tap.stderr()).filter(|it| it.contains(words)));
    let told = told.await;
    assert!(number_before(&told, words) > 0);
    assert!(told.contains(" are to stay so; bodies are no longer kept"), "{told}");
    let ended = tap.stop().await;
    assert!(
        ended.stderr.contains("Not in the session: 3 bodies (the disk has "),
        "{}",
        ended.stderr
    );
    let flows = home.flows();
    assert_eq!(flows.len(), 3);
    for flow in flows {
        let body = flow.finished.unwrap().response_body;
        assert_eq!((body.bytes, body.kept), (SLICE, Kept::Lost));
    }
}
