//! Filters where people type them: before a run, in the settings, and for a session.

use consoletap_simulator::{Console, Request, World};

use super::harness::{Home, Tap, eventually};

const LIST: &str = "http://fus01.ps4.update.playstation.net/update/ps4/list/us/ps4-updatelist.xml";
const CHECK: &str = "http://ena.net.playstation.net/netstart/icst";

async fn ask_both(tap: &Tap) {
    let console = Console::ps4("1.51");
    for url in [CHECK, LIST] {
        let request = Request::get(url).agent(console.update_agent());
        console.behind(tap.address()).ask(&request).await.unwrap();
    }
}

#[tokio::test]
async fn only_what_fits_is_shown_and_all_is_recorded() {
    let (home, world) = (Home::new(), World::start().await.unwrap());
    let words = ["~console", "ps4", "&", "~cat", "firmware"];
    let tap = home.tap().world(&world).with_log().args(words).start().await;
    assert!(tap.stderr().contains("Shown are only flows that fit ~console ps4 & ~cat firmware\n"));
    ask_both(&tap).await;
    eventually("the list's line", || tap.stderr().contains("fus01").then_some(())).await;
    let said = tap.stop().await.stderr;
    assert!(!said.contains("ena.net"), "{said}");
    assert!(said.contains("2 flows"), "all are counted: {said}");
    assert_eq!(home.flows().len(), 2);
}

#[tokio::test]
async fn a_filter_may_ask_for_what_an_answer_held_and_choose_the_json_too() {
    let (home, world) = (Home::new(), World::start().await.unwrap());
    let settings = home.write("tap.toml", "filter = '~bs level1_system | ~c 5xx'\n");
    let tap = home.tap().world(&world).args(["--config".to_owned(), settings]).start().await;
    ask_both(&tap).await;
    let rows = tap.rows(1).await;
    assert_eq!(rows[0]["url"], LIST);
    let out = tap.stop().await.stdout;
    assert_eq!(out.lines().count(), 1, "{out}");

    assert_eq!(home.rows(&["~bs", "level1_system"]).await.len(), 1);
    assert_eq!(home.rows(&["!~bs level1_system"]).await.len(), 1);
    assert_eq!(home.rows(&["~client ps4"]).await.len(), 2);
    assert_eq!(home.rows(&["domain:*.update.playstation.net"]).await.len(), 1);
    assert_eq!(home.rows(&["~since 1h"]).await.len(), 2);
    assert_eq!(home.rows(&["~live"]).await.len(), 0);
}

#[tokio::test]
async fn a_wrong_filter_is_wrong_usage_and_a_misspelt_command_is_no_filter() {
    let home = Home::new();
    let told = async |args: &[&str]| {
        let ended = home.run(args).await;
        assert_eq!(ended.code, Some(2), "{ended:?}");
        ended.stderr
    };
    let wrong = told(&["--port", "0", "~cta update"]).await;
    assert!(wrong.contains("^^^^ did you mean ~cat fw-updatelist?"), "{wrong}");
    let wrong = told(&["run", "--filter", "~c 40x"]).await;
    assert!(wrong.contains("a status was expected"), "{wrong}");
    let misspelt = told(&["sesion"]).await;
    assert!(misspelt.contains("Did you mean `consoletap session`?"), "{misspelt}");
    let settings = home.write("tap.toml", "\nfilter = '~d ['\n");
    let wrong = told(&["run", "--config", &settings]).await;
    assert!(wrong.contains("tap.toml:2: `filter`: this is no regex"), "{wrong}");
}
