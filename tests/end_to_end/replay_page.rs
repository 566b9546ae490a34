//! docs/replay.md, tried: from a console at the proxy to a test that needs neither it nor a network.

use consoletap_replay::{Answer, TestProxy};
use consoletap_simulator::{Console, Pace, Request, World, ps4_start_up};

use super::clients::{have_curl, speak};
use super::harness::Home;

const PAGE: &str = include_str!("../../docs/replay.md");
const LIST: &str = "http://fus01.ps4.update.playstation.net/update/ps4/list/us/ps4-updatelist.xml";

/// The filter that the page trims with.
const WANTED: &str = "~cat fw-updatelist | ~d tmdb";

#[tokio::test]
async fn a_captured_session_becomes_a_test() {
    assert!(PAGE.contains(&format!("session trim evening.psession '{WANTED}'")));
    let home = Home::new();
    let world = World::start().await.unwrap();
    let tap = home.tap().trusted_world(&world).session("evening.psession").start().await;
    ps4_start_up(tap.address(), &world, Pace::at_once()).await.unwrap();
    tap.stop().await;
    // The servers are gone for good.
    drop(world);
    let (evening, update) = (home.text("evening.psession"), home.text("update"));
    let note = "A PS4 looks for an update, firmware 11.00, EU";
    let ended = home.run(&["session", "trim", &evening, WANTED, &update, "--note", note]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);

    // The console itself gets from it what it got then, in its order.
    let replay = TestProxy::serve(&update);
    let console = Console::ps4("1.51");
    let mut client = console.behind(replay.address());
    let recorded = replay.unused();
    assert!(recorded.len() > 3, "{recorded:?}");
    for line in &recorded {
        let url = line.split(' ').nth(1).unwrap();
        let answer = client.ask(&Request::get(url).agent(console.agent())).await.unwrap();
        assert_eq!(answer.head.status, 200, "{line}");
    }
    replay.asked(WANTED).times(recorded.len());
    replay.all_answers_used();
}

#[tokio::test]
async fn the_refusal_on_the_page_is_the_one_that_comes() {
    let home = Home::new();
    let url = |level: u8| format!("http://api.game.test/v1/scores?level={level}");
    let other = Answer::get("http://api.game.test/other");
    let replay = TestProxy::of(super::fixtures::fixture("ps4"))
        .answer(other)
        .answer(Answer::get(url(3)))
        .tolerate("~d api.game.test")
        .start();
    let asked =
        format!("GET {} HTTP/1.1\r\nHost: api.game.test\r\nConnection: close\r\n\r\n", url(4));
    let answer = speak(replay.address(), &asked).await;
    let shown = "  query key level: recorded \"3\", asked \"4\"";
    for words in [shown, "GET http://api.game.test/v1/scores?… was not recorded"] {
        assert!(answer.contains(words) && PAGE.contains(words), "{answer}");
    }
    drop(home);
}

#[tokio::test]
async fn curl_is_given_the_proxy_and_the_ca() {
    if !have_curl() {
        return;
    }
    let replay = TestProxy::serve(super::fixtures::fixture("ps4"));
    let mut command = tokio::process::Command::new("curl");
    command.args(["-q", "-sS", "--max-time", "15"]);
    command.arg("--proxy").arg(replay.url()).arg("--cacert").arg(replay.ca_file());
    let secure = "https://ps4-eb.ww.np.dl.playstation.net/ps4-eb/servicelist.xml";
    let output = command.args([LIST, secure]).output().await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("<update_data_list>") && text.contains("<servicelist"), "{text}");
    replay.asked("~m GET").times(2);
}
