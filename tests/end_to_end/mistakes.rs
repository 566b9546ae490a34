//! Mistakes of the user: what is said, where it points, and the exit code.

use insta::assert_snapshot;

use super::harness::{Ended, Home};

/// What is said of a mistake: exit code, and the text without the folder's name.
async fn told(home: &Home, args: &[&str]) -> String {
    let Ended { code, stdout, stderr } = home.run(args).await;
    assert_eq!(stdout, "", "standard output is for data");
    let said = stderr.lines().filter(|line| !line.starts_with("listening on "));
    let said: Vec<_> = said.collect();
    format!("exit {}\n{}", code.unwrap(), home.hide(&said.join("\n")))
}

const HERE: [&str; 5] = ["--listen-host", "127.0.0.1", "--port", "0", "--no-session"];

async fn told_run(home: &Home, args: &[&str]) -> String {
    told(home, &[&HERE[..], args].concat()).await
}

#[tokio::test]
async fn a_broken_settings_file_is_told_by_line_and_what_was_expected() {
    let home = Home::new();
    let file = home.write("wrong-value.toml", "quiet = true\n\nport = \"eight\"\n");
    assert_snapshot!(told_run(&home, &["--config", &file]).await, @r#"
    exit 2
    consoletap: HOME/wrong-value.toml:3: `port` wants a number from 0 to 65535, and there is "eight"
    "#);
    let file = home.write("wrong-key.toml", "# mine\nprot = 8080\n");
    assert_snapshot!(told_run(&home, &["--config", &file]).await, @r#"
    exit 2
    consoletap: HOME/wrong-key.toml:2: there is no key `prot`; did you mean `port`?
    "#);
    let file = home.write("wrong-toml.toml", "port = 8080\nresolve = [\"a=1.2.3.4\"\n");
    assert_snapshot!(told_run(&home, &["--config", &file]).await, @r#"
    exit 2
    consoletap: HOME/wrong-toml.toml:2: unclosed array, expected `]`
    "#);
    let file = home.text("not-there.toml");
    assert_snapshot!(told_run(&home, &["--config", &file]).await, @r#"
    exit 2
    consoletap: cannot read the settings file HOME/not-there.toml: No such file or directory (os error 2)
    "#);
}

#[tokio::test]
async fn the_usual_settings_file_is_read_without_being_named() {
    let home = Home::new();
    home.write("config/consoletap/config.toml", "\n\nintercept = [\"*.example.net\", 5]\n");
    assert_snapshot!(told_run(&home, &[]).await, @r#"
    exit 2
    consoletap: HOME/config/consoletap/config.toml:3: `intercept` wants host patterns as "*.example.net" or "ps4@*.example.net", and there is 5
    "#);
}

#[tokio::test]
async fn broken_rules_are_told_by_line_and_column() {
    let home = Home::new();
    let text = "[[rule]]\nname = \"a\"\nwhen = \"~cat fw-updatelist & ~nonsense\"\nrewrite = { firmware = \"hide\" }\n";
    let file = home.write("filter.toml", text);
    assert_snapshot!(told_run(&home, &["--rules", &file]).await, @r#"
    exit 2
    consoletap: HOME/filter.toml:3:30: in `when`: ~nonsense is no operator; there are ~all ~u ~d ~m ~port ~cat ~console ~title ~client ~src ~dst ~ip ~http ~tunnel ~tcp ~websocket ~tlsfail ~q ~s ~e ~live ~c ~t ~tq ~ts ~a ~h ~hq ~hs ~b ~bq ~bs ~size ~dur ~since ~sni ~ja3 ~ja4 ~tls ~rule ~comment ~meta ~marked ~marker ~replay ~replayq ~replays ~dns ~udp
      ~cat fw-updatelist & ~nonsense
                           ^^^^^^^^^
    "#);
    let file = home.write(
        "action.toml",
        "[[rule]]\nname = \"a\"\nwhen = \"~all\"\nrewrite = { firmware = \"show\" }\n",
    );
    assert_snapshot!(told_run(&home, &["--rules", &file]).await, @r#"
    exit 2
    consoletap: HOME/action.toml:4:24: unknown variant `show`, expected `hide`
      4 | rewrite = { firmware = "show" }
        |                        ^^^^^^
    "#);
    let file = home.text("gone.toml");
    assert_snapshot!(told_run(&home, &["--rules", &file]).await, @r#"
    exit 2
    consoletap: the rule file HOME/gone.toml cannot be read: No such file or directory (os error 2)
    "#);
}

#[tokio::test]
async fn an_unknown_pack_is_told_with_those_there_are() {
    assert_snapshot!(told_run(&Home::new(), &["--rules", "firmware-gard"]).await, @r#"
    exit 2
    consoletap: there is no rule pack "firmware-gard"; the packs are firmware-guard, local-packages, network-test, pin-game-version, quiet, title-metadata. A file of yours is named with a slash or its ending, as ./firmware-gard.toml
    "#);
}

#[tokio::test]
async fn a_broken_table_is_told_by_line() {
    let home = Home::new();
    home.write("tables/mine.toml", "[[entry]]\nid = \"mine\"\nhost = \"a.example\"\n");
    assert_snapshot!(told_run(&home, &["--catalog", &home.text("tables")]).await, @r#"
    exit 2
    consoletap: HOME/tables/mine.toml:1: missing field `category`
    "#);
    home.write("tables/mine.toml", "[[entry]\n");
    assert_snapshot!(told_run(&home, &["--catalog", &home.text("tables")]).await, @r#"
    exit 2
    consoletap: HOME/tables/mine.toml:1: unclosed array table, expected `]`
    "#);
    assert_snapshot!(told_run(&home, &["--catalog", &home.text("nowhere")]).await, @r#"
    exit 2
    consoletap: HOME/nowhere: the catalog table cannot be read: No such file or directory (os error 2); expected a folder of .toml files
    "#);
}

#[tokio::test]
async fn certificates_to_trust_that_are_none_are_told() {
    let home = Home::new();
    let file = home.write("roots.pem", "nothing\n");
    assert_snapshot!(told_run(&home, &["--upstream-ca", &file]).await, @r#"
    exit 2
    consoletap: HOME/roots.pem holds no certificate to trust: a PEM file with BEGIN CERTIFICATE is expected
    "#);
}

#[tokio::test]
async fn wrong_usage_ends_with_2() {
    let home = Home::new();
    for args in [
        &["--port", "70000"][..],
        &["--no-such-option"],
        &["--resolve", "nothing"],
        &["--allow", "everybody"],
        &["--write", "a", "--no-session"],
        &["no-such-command"],
        &["session", "show"],
        &["explain"],
    ] {
        let ended = home.run(args).await;
        assert_eq!(ended.code, Some(2), "{args:?}: {ended:?}");
        assert_eq!(ended.stdout, "", "{args:?}");
        assert!(ended.stderr.contains("--help"), "{args:?}: {}", ended.stderr);
    }
}

#[tokio::test]
async fn a_port_in_use_is_told_with_what_to_do() {
    let home = Home::new();
    let tap = home.tap().start().await;
    let port = tap.address().port().to_string();
    let args = ["--listen-host", "127.0.0.1", "--port", &port, "--no-session"];
    let told = told(&home, &args).await;
    assert_snapshot!(told.replace(&port, "PORT"), @r#"
    exit 1
    consoletap: 127.0.0.1:PORT is taken: another program, or another consoletap, listens there (choose another with --port)
    "#);
}

#[tokio::test]
async fn a_session_that_somebody_writes_is_told_with_who() {
    let home = Home::new();
    let tap = home.tap().start().await;
    let session = home.text("session");
    let args = ["--listen-host", "127.0.0.1", "--port", "0", "--write", &session];
    let told = told(&home, &args).await;
    let pid = std::fs::read_to_string(home.path("session/lock")).unwrap();
    assert_snapshot!(told.replace(pid.trim(), "PID"), @r#"
    exit 1
    consoletap: HOME/session is being written by another consoletap (process PID); stop that one or name another directory
    "#);
    assert_eq!(tap.stop().await.code, Some(0), "the first one goes on");
}

#[tokio::test]
async fn a_folder_that_holds_something_else_is_left_alone() {
    let home = Home::new();
    home.write("photos/cat.jpg", "miaow");
    let photos = home.text("photos");
    let args = ["--listen-host", "127.0.0.1", "--port", "0", "--write", &photos];
    assert_snapshot!(told(&home, &args).await, @r#"
    exit 1
    consoletap: HOME/photos holds other files and is no session; name a new or an empty directory
    "#);
    assert_eq!(std::fs::read_dir(home.path("photos")).unwrap().count(), 1);
}

#[tokio::test]
async fn a_session_that_is_none_and_a_filter_that_is_none_are_told() {
    let home = Home::new();
    let nowhere = home.text("nowhere");
    assert_snapshot!(told(&home, &["session", "show", &nowhere]).await, @r#"
    exit 1
    consoletap: HOME/nowhere is no session: there is no session.json in it
    "#);
    assert_snapshot!(told(&home, &["session", "show", &nowhere, "~cat"]).await, @r#"
    exit 2
    consoletap: the filter cannot be read: ~cat needs a value, as ~cat fw-updatelist
      ~cat
      ^^^^
    "#);
}
