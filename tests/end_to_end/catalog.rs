//! `consoletap catalog` and `consoletap url`, and tables of one's own, as a person uses them.

use super::harness::{Home, json_lines};

#[tokio::test]
async fn our_tables_are_listed_and_nothing_is_wrong_with_them() {
    let home = Home::new();
    let checked = home.run(&["catalog", "check"]).await;
    assert_eq!((checked.code, &*checked.stdout), (Some(0), ""), "{}", checked.stderr);
    assert!(checked.stderr.contains("rows, nothing wrong with them"), "{}", checked.stderr);

    let all = home.run(&["catalog", "list"]).await;
    assert!(all.stdout.lines().count() >= 600, "{}", all.stdout.lines().count());
    let some = home.run(&["catalog", "list", "--platform", "switch", "--json", "dauth"]).await;
    let rows = json_lines(&some.stdout);
    assert!(rows.iter().any(|row| row["id"] == "switch-dauth" && row["pinned"] == true));
    assert!(rows.iter().all(|row| row["platform"] == "switch"), "{}", some.stdout);
}

#[tokio::test]
async fn tables_of_ones_own_are_read_checked_and_asked() {
    let home = Home::new();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mine.toml");
    let row = |id: &str| {
        format!(
            "[[entry]]\nid = \"{id}\"\nhost = \"my.example\"\nplatform = \"ps4\"\ncategory = \"game-server\"\nsummary = \"Mine\"\n"
        )
    };
    let tables = folder.path().to_str().unwrap();

    std::fs::write(&file, row("mine")).unwrap();
    let said = home.run(&["explain", "--json", "--catalog", tables, "my.example"]).await;
    assert_eq!(json_lines(&said.stdout)[0]["entry"], "mine", "{}", said.stderr);

    std::fs::write(&file, row("mine") + &row("other")).unwrap();
    let tied = home.run(&["catalog", "check", "--catalog", tables]).await;
    assert_eq!(tied.code, Some(1));
    assert!(tied.stdout.contains("row `mine` ties with row `other`"), "{}", tied.stdout);

    std::fs::write(&file, row("mine") + "colour = 1\n").unwrap();
    let wrong = home.run(&["explain", "--catalog", tables, "my.example"]).await;
    assert_eq!(wrong.code, Some(2));
    assert!(wrong.stderr.contains("mine.toml:7: unknown field `colour`"), "{}", wrong.stderr);
}

#[tokio::test]
async fn the_urls_of_a_title_are_written_and_what_cannot_be_is_told() {
    let home = Home::new();
    let ps4 = home.run(&["url", "--json", "CUSA00001"]).await;
    let found = &json_lines(&ps4.stdout)[0];
    let urls: Vec<&str> =
        found["urls"].as_array().unwrap().iter().filter_map(|url| url["url"].as_str()).collect();
    assert!(urls.contains(&"http://gs-sec.ww.np.dl.playstation.net/plo/np/CUSA00001/1123f23c1f00810a5e43fcb409ada7823bc5ad21b357817e314b6c4832cf6f9f/CUSA00001-ver.xml"), "{urls:?}");
    let ps5 = home.run(&["url", "PPSA01590"]).await;
    assert_eq!((ps5.code, &*ps5.stdout), (Some(0), ""));
    assert!(ps5.stderr.contains("param.json"), "{}", ps5.stderr);
    let store = home
        .run(&[
            "url",
            "--country",
            "FR",
            "--language",
            "fr",
            "EP4389-CUSA08652_00-CAR0050000000000",
        ])
        .await;
    assert!(
        store.stdout.contains("/container/FR/fr/19/EP4389-CUSA08652_00-CAR0050000000000/image\n")
    );
    assert_eq!(home.run(&["url", "nonsense"]).await.code, Some(2));
}
