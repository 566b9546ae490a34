//! The client, tested with what a PS4 said and was told: no console and no network are needed.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::{Path, PathBuf};

use consoletap_replay::{Answer, TestProxy};
use update_checker::UpdateChecker;

/// A session that `consoletap session trim` made.
fn session() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/sessions/ps4")
}

const TITLE: &str = "http://tmdb.np.dl.playstation.net/tmdb2/\
                     CUSA00080_00_4ED0D1374CB128AC8E277C9A3145505220D6D93A/CUSA00080_00.json";

#[test]
fn it_finds_what_the_console_found() {
    let replay = TestProxy::serve(session());
    let checker = UpdateChecker::through(&replay.url(), replay.ca_pem()).unwrap();
    assert_eq!(checker.newest_firmware("eu").unwrap().label, "1.72");
    replay.asked("~cat fw-updatelist").once();
}

#[test]
fn titles_and_services_are_found_as_well() {
    let replay = TestProxy::serve(session());
    let checker = checker(&replay);
    assert_eq!(checker.title(TITLE).unwrap(), "Simulated title CUSA00080");
    // Over HTTPS, with a certificate that was made on the spot.
    assert_eq!(checker.services().unwrap(), 5);
    let asked = replay.asked("scheme:https").once();
    assert_eq!(asked.field("user-agent"), Some("update-checker/0.1"));
    replay.asked("~m POST").never();
}

#[test]
fn a_server_that_is_down_is_told_of() {
    let down = Answer::fitting("~cat fw-updatelist").status(503).always();
    let replay = TestProxy::of(session()).answer(down).start();
    let told = checker(&replay).newest_firmware("us").unwrap_err().to_string();
    assert!(told.contains("503"), "{told}");
}

#[test]
fn a_list_that_is_none_is_told_of() {
    let list = "http://fus01.ps4.update.playstation.net/update/ps4/list/us/ps4-updatelist.xml";
    let replay = TestProxy::of(session()).answer(Answer::get(list).body("<html/>")).start();
    let checker = checker(&replay);
    let told = checker.newest_firmware("us").unwrap_err().to_string();
    assert_eq!(told, "the update list said something else than expected");
    // From now on it is the recorded one again.
    assert_eq!(checker.newest_firmware("us").unwrap().label, "1.72");
}

fn checker(replay: &TestProxy) -> UpdateChecker {
    UpdateChecker::through(&replay.url(), replay.ca_pem()).unwrap()
}

/// What the page shows is what is tested here.
#[test]
fn the_page_about_it_shows_these_tests() {
    let page = include_str!("../../../docs/replay.md");
    let these = include_str!("recorded.rs");
    let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let shown: Vec<&str> = page
        .split("```rust\n")
        .skip(1)
        .filter_map(|block| block.split_once("\n```"))
        .map(|(block, _)| block)
        .filter(|block| block.contains("TestProxy"))
        .collect();
    assert_eq!(shown.len(), 2);
    for block in shown {
        assert!(squeezed(these).contains(&squeezed(block)), "not here: {block}");
    }
}
