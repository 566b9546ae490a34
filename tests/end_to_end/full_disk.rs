//! A disk that takes no more: the proxy goes on, says so, and counts what was not kept.

use std::ops::Range;

use consoletap_simulator::{Console, Request, World};
use rustix::process::{Resource, Rlimit, prlimit};

use super::harness::{Ended, Home, Tap, eventually};

const TITLE: &str = "http://tmdb.np.dl.playstation.net/tmdb2/CUSA00080_00_4ED0D1374CB128AC8E277C9A3145505220D6D93A/CUSA00080_00.json";

/// A write beyond the limit shall fail as on a full disk, and not end the process.
const NO_SIGNAL: &str = r#"trap "" XFSZ; exec "$@""#;

/// A title's metadata is `opened`, `response`, `document` and `finished`.
const EVENTS: u64 = 4;

async fn ask(tap: &Tap, numbers: Range<u64>) {
    let mut client = Console::ps4("1.51").behind(tap.address());
    for number in numbers {
        let url = format!("{TITLE}?{number}");
        let answer = client.ask(&Request::get(&url)).await.expect("the proxy goes on");
        assert_eq!(answer.head.status, 200);
    }
}

/// From now on files may grow to this size and no further.
fn limit(tap: &Tap, bytes: Option<u64>) {
    prlimit(Some(tap.pid()), Resource::Fsize, Rlimit { current: bytes, maximum: None }).unwrap();
}

/// What the last words say of lost events.
fn lost(ended: &Ended) -> u64 {
    let line = ended.stderr.lines().find_map(|line| line.strip_prefix("Not in the session: "));
    let line = line.unwrap_or_else(|| panic!("no loss is told: {}", ended.stderr));
    line.split(' ').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_disk_that_takes_no_more_is_told_and_counted_and_nothing_else_stops() {
    let (home, world) = (Home::new(), World::start().await.unwrap());
    let tap = home.tap().world(&world).by_shell(NO_SIGNAL).start().await;
    ask(&tap, 0..5).await;
    limit(&tap, Some(0));
    ask(&tap, 5..30).await;
    let rows = tap.rows(30).await;
    assert!(rows.iter().all(|row| row["state"] == "complete"), "every flow is shown");
    let told = eventually("a word about it", || {
        let text = tap.stderr();
        text.contains("the session cannot be written").then_some(text)
    });
    assert_eq!(told.await.matches("the session cannot be written").count(), 1, "said once");

    let ended = tap.stop().await;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert_eq!(lost(&ended), 25 * EVENTS);
    let overview = home.session().overview();
    assert_eq!((overview.flows, overview.events, overview.problems), (5, 5 * EVENTS, 0));
}

#[tokio::test]
async fn a_disk_that_has_room_again_is_written_again_with_the_gap_told() {
    let (home, world) = (Home::new(), World::start().await.unwrap());
    let tap = home.tap().world(&world).by_shell(NO_SIGNAL).start().await;
    ask(&tap, 0..5).await;
    limit(&tap, Some(0));
    ask(&tap, 5..10).await;
    limit(&tap, None);
    let mut asked = 10;
    while !tap.stderr().contains("the session is written again") {
        ask(&tap, asked..asked + 1).await;
        asked += 1;
    }
    ask(&tap, asked..asked + 5).await;
    let ended = tap.stop().await;
    assert_eq!(ended.code, Some(1), "not all of it is there: {}", ended.stderr);
    let overview = home.session().overview();
    assert_eq!(overview.lost_events, lost(&ended), "the session itself knows what it lacks");
    assert_eq!(overview.events + overview.lost_events, (asked + 5) * EVENTS);
    assert_eq!(overview.problems, 0);
    let shown = home.run(&["session", "show", &home.text("session")]).await;
    assert!(shown.stderr.contains("missing: the disk did not take them"), "{}", shown.stderr);
    let last = home.flows().pop().unwrap().target.unwrap().to_string();
    assert_eq!(last, format!("{TITLE}?{}", asked + 4));
}

#[tokio::test]
async fn a_segment_that_fails_on_a_disk_that_does_not_is_no_loss_and_no_alarm() {
    let (home, world) = (Home::new(), World::start().await.unwrap());
    let tap = home.tap().world(&world).by_shell(NO_SIGNAL).start().await;
    limit(&tap, Some(8 << 10));
    ask(&tap, 0..30).await;
    let ended = tap.stop().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(!ended.stderr.contains("cannot be written"), "{}", ended.stderr);
    assert_eq!(home.flows().len(), 30);
    assert!(home.path("session/log-000002.jsonl").exists());
}

#[tokio::test]
async fn with_sync_always_a_session_that_is_gone_is_told_with_the_first_answer() {
    let (home, world) = (Home::new(), World::start().await.unwrap());
    let tap = home.tap().world(&world).args(["--sync", "always"]).start().await;
    ask(&tap, 0..5).await;
    assert!(!tap.stderr().contains("did not sync"), "{}", tap.stderr());
    std::fs::remove_dir_all(home.path("session")).unwrap();
    // Its segment is still written to, and no sync brings that to a place where it can be read.
    ask(&tap, 5..6).await;
    let told = eventually("a word about it", || {
        let text = tap.stderr();
        text.contains("the disk did not sync the session").then_some(text)
    })
    .await;
    assert!(told.contains("the session was removed while it was being written"), "{told}");
    ask(&tap, 6..10).await;
    let ended = tap.stop().await;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert_eq!(ended.stderr.matches("did not sync the session").count(), 1, "said once");
    assert!(lost(&ended) >= 4 * EVENTS, "{}", ended.stderr);
}

#[tokio::test]
async fn a_small_file_system_that_is_full_is_told_and_counted() {
    let (home, world) = (Home::new(), World::start().await.unwrap());
    let mount = "mkdir -p small && mount -t tmpfs -o size=128k none small";
    let able = home.program("unshare").args(["-rm", "sh", "-c", mount]).output().await;
    if !able.is_ok_and(|output| output.status.success()) {
        eprintln!("NOT TESTED: this user cannot mount a small file system");
        return;
    }
    // The mount goes away with the process: it is seen by that alone.
    let script = r#"mkdir -p small && exec unshare -rm sh -c '
        mount -t tmpfs -o size=128k none small && exec "$@"' sh "$@""#;
    let tap = home.tap().session("small/session").world(&world).by_shell(script).start().await;
    let mut asked = 0;
    while !tap.stderr().contains("the session cannot be written") {
        ask(&tap, asked..asked + 10).await;
        asked += 10;
        assert!(asked < 2000, "128 kB hold no {asked} flows");
    }
    let rows = tap.rows(usize::try_from(asked).unwrap()).await;
    assert!(rows.iter().all(|row| row["state"] == "complete"));
    let ended = tap.stop().await;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("No space left on device"), "{}", ended.stderr);
    assert!(lost(&ended) > 0);
}
