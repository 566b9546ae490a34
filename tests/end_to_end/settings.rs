//! The settings file, with what it sets seen in a run.

use consoletap_simulator::{Console, Request, World};

use super::harness::{Home, eventually, json_lines};

const TITLE: &str = "http://tmdb.np.dl.playstation.net/tmdb2/CUSA00080_00_4ED0D1374CB128AC8E277C9A3145505220D6D93A/CUSA00080_00.json";

#[tokio::test]
async fn the_usual_file_sets_a_run_and_what_is_typed_wins() {
    let (home, world) = (Home::new(), World::start().await.unwrap());
    let rules: Vec<String> = world.resolve_rules().iter().map(|rule| format!("{rule:?}")).collect();
    let settings = format!(
        "port = 1\nlisten-host = \"127.0.0.1\"\nwrite = \"../../kept\"\njson = true\nresolve = [{}]\n",
        rules.join(", ")
    );
    home.write("config/consoletap/config.toml", settings);
    let mut command = home.program(env!("CARGO_BIN_EXE_consoletap"));
    command.args(["--port", "0"]);
    let tap = home.spawn(command).await;
    assert_ne!(tap.address().port(), 1);
    assert!(tap.address().ip().is_loopback());
    let answer = Console::ps4("1.51").behind(tap.address()).ask(&Request::get(TITLE)).await;
    assert_eq!(answer.unwrap().head.status, 200);
    let ended = tap.stop().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(json_lines(&ended.stdout).len(), 1);
    assert!(home.path("kept/session.json").exists(), "paths are meant from the file's folder");
}

#[tokio::test]
async fn the_printed_template_is_a_settings_file() {
    let home = Home::new();
    let printed = home.run(&["settings"]).await;
    assert_eq!((printed.code, printed.stderr.as_str()), (Some(0), ""));
    let file = home.write("mine.toml", &printed.stdout);
    let tap = home.tap().args(["--config", &file]).start().await;
    assert_eq!(tap.stop().await.code, Some(0));
}

#[tokio::test]
async fn tables_of_ones_own_name_what_is_in_no_other() {
    let home = Home::new();
    let table = "[[entry]]\nid = \"my-service\"\nhost = \"a.example\"\ncategory = \"telemetry\"\n\
                 platform = \"ps4\"\nsummary = \"mine\"\nsource = \"seen at home\"\n";
    home.write("tables/mine.toml", table);
    let tap = home.tap().args(["--catalog", &home.text("tables")]).start().await;
    let url = "http://a.example:1/";
    let _ = Console::ps4("1.51").behind(tap.address()).ask(&Request::get(url)).await;
    let row = eventually("the row", || json_lines(&tap.stdout()).pop()).await;
    assert_eq!((&row["entry"], &row["category"]), (&"my-service".into(), &"telemetry".into()));
}

#[tokio::test]
async fn without_a_session_the_rows_come_and_nothing_is_written() {
    let (home, world) = (Home::new(), World::start().await.unwrap());
    let mut command = home.program(env!("CARGO_BIN_EXE_consoletap"));
    command.args(["--listen-host", "127.0.0.1", "--port", "0", "--no-session", "--json", "-v"]);
    command.args(world.resolve_rules().iter().flat_map(|rule| ["--resolve", rule]));
    let tap = home.spawn(command).await;
    assert!(tap.stderr().contains("No session is written.\n"), "{}", tap.stderr());
    let answer =
        Console::ps4("1.51").behind(tap.address()).ask(&Request::get(TITLE)).await.unwrap();
    let row = tap.rows(1).await.remove(0);
    assert_eq!((&row["id"], &row["state"]), (&1.into(), &"complete".into()));
    assert_eq!(row["response_bytes"], answer.body.len());
    let ended = tap.stop().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stderr.contains(" title-metadata "), "with -v the log stands beside the JSON");
    assert!(!home.path("data/consoletap/sessions").exists());
}

#[tokio::test]
async fn a_client_with_a_name_is_known_to_rules_to_the_log_and_to_what_reads_the_session() {
    let home = Home::new();
    home.write(
        "config/consoletap/config.toml",
        "name-client = [\"living-room=127.0.0.1\", \"tv=10.0.0.1\"]\n",
    );
    let rule = |name: &str, client: &str| {
        format!("[[rule]]\nname = \"{name}\"\nwhen = \"~client {client}\"\ntag = \"{name}\"\n")
    };
    let rules = home.write("mine.toml", rule("not-mine", "tv") + &rule("mine", "Living-Room"));
    let mut command = home.program(env!("CARGO_BIN_EXE_consoletap"));
    command.args(["--listen-host", "127.0.0.1", "--port", "0", "--json", "--rules", &rules]);
    command.args(["--write", &home.text("kept"), "~client living-room"]);
    let tap = home.spawn(command).await;
    let _ = Console::ps4("1.51").behind(tap.address()).ask(&Request::get("http://a.test:1/")).await;
    assert_eq!(tap.rows(1).await[0]["rules"], serde_json::json!(["mine"]));
    assert_eq!(tap.stop().await.code, Some(0));
    for (filter, count) in [("~client living-room", 1), ("!~client living-room", 0)] {
        let shown = home.run(&["session", "show", &home.text("kept"), filter, "--json"]).await;
        assert_eq!(json_lines(&shown.stdout).len(), count, "{filter}: {shown:?}");
    }
}
