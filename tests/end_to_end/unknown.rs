//! `session unknown`: what it drafts, the catalog takes and explains by.

use consoletap_simulator::{Console, RawOrigin, Request, World};
use serde_json::Value;

use super::harness::Home;

#[tokio::test]
async fn what_is_unknown_is_drafted_and_then_explained() {
    let (home, world) = (Home::new(), World::start().await.unwrap());
    let origin = RawOrigin::answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi").await.unwrap();
    let redirect = format!("news.game.example={}", origin.address());
    let tap = home.tap().world(&world).args(["--resolve", &redirect]).start().await;
    let mut console = Console::ps4("1.51").behind(tap.address());
    let known = "http://fus01.ps4.update.playstation.net/update/ps4/list/us/ps4-updatelist.xml";
    console.ask(&Request::get(known)).await.unwrap();
    for (title, page) in [("CUSA00001", 1), ("CUSA00002", 2)] {
        let url = format!("http://news.game.example/v1/{title}/{page}.json?lang=en&token=geheim");
        console.ask(&Request::get(&url)).await.unwrap();
    }
    tap.stop().await;
    let session = home.text("session");

    let table = home.run(&["session", "unknown", &session]).await;
    assert_eq!(table.code, Some(0), "{}", table.stderr);
    let pattern = "http://news.game.example/v1/{title_id}/{number:digits}.json";
    assert!(
        table.stdout.contains(&format!("| 2 | `GET {pattern}` | `lang`, `token` | ")),
        "{}",
        table.stdout
    );
    assert!(!table.stdout.contains("geheim") && !table.stdout.contains("CUSA"), "{}", table.stdout);
    assert!(table.stderr.starts_with("2 of 3 flows are not explained."), "{}", table.stderr);
    let wiki = home.run(&["session", "unknown", &session, "--format", "wiki"]).await;
    assert!(wiki.stdout.contains("{| class=\"wikitable"), "{}", wiki.stdout);
    let json = home.run(&["session", "unknown", &session, "--format", "json"]).await;
    let json: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(json["requests"][0]["count"], 2);

    let draft = home.run(&["session", "unknown", &session, "--format", "toml"]).await;
    home.write("tables/draft.toml", &draft.stdout);
    let tables = home.text("tables");
    let again = home.run(&["session", "unknown", &session, "--catalog", &tables]).await;
    assert_eq!((again.code, again.stdout.as_str()), (Some(0), ""), "{}", again.stderr);
    assert_eq!(again.stderr, "Every one of 3 flows is explained.\n");
}

#[tokio::test]
async fn what_is_no_session_or_no_table_is_an_error() {
    let home = Home::new();
    let missing = home.run(&["session", "unknown", &home.text("nothing")]).await;
    assert!(
        missing.code == Some(1) && missing.stderr.contains("is no session"),
        "{}",
        missing.stderr
    );
    let wrong = home.run(&["session", "unknown", ".", "--format", "html"]).await;
    assert_eq!(wrong.code, Some(2));
}
