//! Working on rules: checking and trying them, and changing them while the proxy runs.

use std::fs;

use consoletap_simulator::{Console, Request, World};
use insta::assert_snapshot;

use super::harness::{Home, Tap, eventually};

const PS4: &str = "http://fus01.ps4.update.playstation.net/update/ps4/list/us/ps4-updatelist.xml";
const AGENT: &str = "Download/1.00 libhttp/1.50 (PlayStation 4)";
const HIDE: &str =
    "[[rule]]\nname = 'mine'\nwhen = '~cat fw-updatelist'\nrewrite.firmware = 'hide'\n";
const OTHER: &str = "[[rule]]\nname = 'other'\nwhen = '~cat fw-updatelist'\nrewrite.replace = { find = '01\\.720', with = '09.990' }\n";

async fn list(tap: &Tap) -> String {
    let request = Request::get(PS4).agent(AGENT);
    Console::ps4("1.50").behind(tap.address()).ask(&request).await.unwrap().text()
}

#[tokio::test]
async fn files_are_read_again_and_a_broken_edit_changes_nothing() {
    let (home, world) = (Home::new(), World::start().await.unwrap());
    let file = home.write("mine.toml", HIDE);
    let tap = home.tap().with_log().world(&world).args(["--rules", &file]).start().await;
    assert!(!list(&tap).await.contains("01.720.000"));

    home.write("mine.toml", "[[rule]]\nname = 'mine'\nwhen = '~cta fw'\nblock = 404\n");
    let told = "mine.toml:3:9: in `when`: ~cta is no operator";
    eventually("the mistake", || tap.stderr().contains(told).then_some(())).await;
    assert!(tap.stderr().contains("The rules stay as they were: "), "{}", tap.stderr());
    assert!(tap.stderr().contains("^^^^ did you mean ~cat fw-updatelist?"), "{}", tap.stderr());
    assert!(!list(&tap).await.contains("01.720.000"), "the last good rules are in force");

    // As editors do it: beside the file, and renamed over it.
    let beside = home.write("mine.toml~", OTHER);
    fs::rename(beside, &file).unwrap();
    let told = "Rules read again: 1 rule\n";
    eventually("the new rules", || tap.stderr().contains(told).then_some(())).await;
    assert!(list(&tap).await.contains("09.990.000"));

    let said = tap.stop().await.stderr;
    let (_, rules) = said.split_once("\n  rule  ").unwrap();
    assert!(rules.contains("\n  mine ") && rules.contains("\n  other "), "{said}");
    let counted = home.run(&["rules", "list", "--session", &home.text("session")]).await.stdout;
    assert!(counted.contains("mine        2 "), "{counted}");
}

#[tokio::test]
async fn files_are_checked() {
    let home = Home::new();
    home.write("good.toml", HIDE);
    home.write("bad.toml", "[[rule]]\nname = 'x'\nwhen = '~all'\nblok = 404\n");
    let good = home.run(&["rules", "check", "good.toml", "firmware-guard"]).await;
    assert_eq!((good.code, &*good.stderr), (Some(0), ""));
    assert_eq!(good.stdout, "good.toml: 1 rule\nfirmware-guard: 3 rules\n");
    let bad = home.run(&["rules", "check", "good.toml", "bad.toml", "none.toml"]).await;
    assert_eq!(bad.code, Some(1));
    assert!(bad.stderr.starts_with("bad.toml:4:1: unknown field `blok`, expected "), "{bad:?}");
    assert!(bad.stderr.contains("\n  4 | blok = 404\n    | ^^^^\n"), "{bad:?}");
    assert!(bad.stderr.contains("the rule file none.toml cannot be read"), "{bad:?}");
    home.write("twin.toml", HIDE);
    let twins = home.run(&["rules", "check", "good.toml", "twin.toml"]).await;
    assert_eq!(twins.code, Some(1), "each is good, both together are not");
    assert!(twins.stderr.contains("a rule \"mine\" is already at good.toml:1"), "{twins:?}");
    let folder = home.run(&["rules", "check", "local-packages"]).await;
    assert!(folder.stderr.contains("it needs to know folder"), "{folder:?}");
}

#[tokio::test]
async fn rules_are_tried_on_a_request_that_is_made_up() {
    let home = Home::new();
    let list = include_bytes!("../../crates/documents/samples/ps4-updatelist.xml");
    let body = home.write("list.xml", list);
    let args = ["rules", "test", "--url", PS4, "--user-agent", AGENT, "--body", &body];
    let tried = home.run(&[&args[..], &["firmware-guard", "quiet"]].concat()).await;
    assert_eq!(tried.code, Some(0), "{tried:?}");
    assert_snapshot!("a_request_that_is_made_up", home.hide(&tried.stdout));

    let blocked = "telemetry-console.api.playstation.com:443";
    let tried = home.run(&["rules", "test", "--url", blocked, "quiet"]).await;
    assert_snapshot!("a_tunnel_that_is_refused", tried.stdout);

    let wrong = home.run(&["rules", "test", "quiet"]).await;
    assert_eq!(wrong.code, Some(2), "a session or a URL must be named");
}

#[tokio::test]
async fn rules_are_tried_on_what_was_recorded() {
    let (home, world) = (Home::new(), World::start().await.unwrap());
    let tap = home.tap().world(&world).start().await;
    list(&tap).await;
    let other = Request::get("http://ena.net.playstation.net/netstart/icst");
    Console::ps4("1.50").behind(tap.address()).ask(&other).await.unwrap();
    tap.stop().await;
    let session = home.text("session");
    let tried = home.run(&["rules", "test", "--session", &session, "firmware-guard"]).await;
    assert!(tried.stdout.contains("Rules would act on 1 of 2 flows.\n"), "{tried:?}");
    assert!(tried.stdout.contains("  +"), "there is a diff: {tried:?}");
    assert!(tried.stdout.contains("01.500.000"), "{tried:?}");
}
