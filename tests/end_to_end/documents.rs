//! What a body says, wherever a flow is shown.

use consoletap_simulator::{Console, Request, World};

use super::harness::Home;

const LIST: &str = "http://fus01.ps4.update.playstation.net/update/ps4/list/us/ps4-updatelist.xml";
const METADATA: &str = "http://tmdb.np.dl.playstation.net/tmdb2/\
                        CUSA00001_00_C32A667A087A40C2AD1889435907AA4B0D9DBA1F/CUSA00001_00.json";

#[tokio::test]
async fn a_document_is_told_in_the_log_in_json_and_when_a_session_is_shown() {
    let (home, world) = (Home::new(), World::start().await.unwrap());
    let tap = home.tap().world(&world).with_log().start().await;
    let mut console = Console::ps4("1.51").behind(tap.address());
    for url in [LIST, METADATA] {
        assert_eq!(console.ask(&Request::get(url)).await.unwrap().head.status, 200, "{url}");
    }
    let ended = tap.stop().await;

    let list = &home.rows(&["~cat", "fw-updatelist"]).await[0]["document"];
    assert_eq!(list["format"], "update-list");
    let summary = list["summary"].as_str().unwrap();
    assert!(summary.starts_with("offers "), "{summary}");
    let title = &home.rows(&["~cat", "title-metadata"]).await[0]["document"];
    assert_eq!(title["format"], "title-metadata");

    let line = format!("= update-list: {summary}\n");
    assert!(ended.stderr.contains(&line), "{}", ended.stderr);
    let shown = home.run(&["session", "show", &home.text("session")]).await;
    assert!(shown.stdout.contains(&line), "{}", shown.stdout);
    let page = home.run(&["session", "show", &home.text("session"), "1"]).await;
    assert!(
        page.stdout.contains(&format!("document  update-list: {summary}\n")),
        "{}",
        page.stdout
    );
}

#[tokio::test]
async fn a_rewritten_list_is_told_as_the_console_got_it() {
    let (home, world) = (Home::new(), World::start().await.unwrap());
    let tap = home.tap().world(&world).args(["--rules", "firmware-guard"]).start().await;
    let mut console = Console::ps4("1.51").behind(tap.address());
    console.ask(&Request::get(LIST)).await.unwrap();
    let list = tap.row("the list", |row| row["category"] == "fw-updatelist").await;
    assert_eq!(list["document"]["summary"], "offers 0.00, region us");
    tap.stop().await;
}
