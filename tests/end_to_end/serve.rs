//! `replay serve`: the binary answers from a session, adds to one, and compares with one.

use std::path::Path;

use consoletap_flow::{Kept, Kind};
use consoletap_simulator::{Act, RawOrigin, World};
use insta::assert_snapshot;

use super::clients::{curl, have_curl, speak};
use super::fixtures::fixture;
use super::harness::{Home, Tap, eventually};

/// `replay serve` on a free port.
async fn serve(home: &Home, session: &Path, args: &[&str]) -> Tap {
    let mut command = home.program(env!("CARGO_BIN_EXE_consoletap"));
    command.args(["replay", "serve"]).arg(session);
    command.args(["--listen-host", "127.0.0.1", "--port", "0", "--json"]);
    command.arg("--certs").arg(home.path("certs")).args(args);
    home.spawn(command).await
}

fn answer(body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    )
}

fn get(path: &str) -> String {
    format!(
        "GET http://game.example{path} HTTP/1.1\r\nHost: game.example\r\nConnection: close\r\n\r\n"
    )
}

/// Servers that answer one request after the other.
async fn origin(answers: &[&str]) -> RawOrigin {
    let script = |body: &&str| vec![Act::ReadHead, Act::Send(answer(body).into())];
    RawOrigin::play_in_turn(answers.iter().map(script).collect()).await.unwrap()
}

/// A session with these paths and answers.
async fn record(home: &Home, exchanges: &[(&str, &str)]) {
    let bodies: Vec<&str> = exchanges.iter().map(|(_, body)| *body).collect();
    let server = origin(&bodies).await;
    let tap = home.tap().args(["--resolve", &format!("*={}", server.address())]).start().await;
    for (path, body) in exchanges {
        assert!(speak(tap.address(), &get(path)).await.ends_with(body));
    }
    tap.stop().await;
}

#[tokio::test]
async fn curl_gets_from_a_fixture_what_the_console_got() {
    if !have_curl() {
        return;
    }
    let home = Home::new();
    let tap = serve(&home, &fixture("ps4"), &[]).await;
    let url = "http://fus01.ps4.update.playstation.net/update/ps4/list/us/ps4-updatelist.xml";
    let got = curl(&home, &tap, &[url]).await;
    assert_eq!((got.status, got.body.len()), (200, 849), "{got:?}");
    let part = curl(&home, &tap, &["--range", "0-9", url]).await;
    assert_eq!((part.status, part.text().as_str()), (206, "<?xml vers"));
    let old = curl(&home, &tap, &["--http1.0", "--head", url]).await;
    assert_eq!((old.status, old.field("content-length")), (200, Some("849")));
    let blind = curl(&home, &tap, &["https://fswitch.dl.playstation.net/"]).await;
    assert!(blind.code != 0 && blind.heads.contains("504"), "{blind:?}");
    let ended = tap.stop().await;
    assert!(ended.stderr.contains("with answers; nobody is connected to"), "{}", ended.stderr);
    assert!(ended.stderr.contains("No session is written."), "{}", ended.stderr);
}

#[tokio::test]
async fn what_is_missing_is_sent_on_once_and_added() {
    let home = Home::new();
    record(&home, &[("/known", "recorded")]).await;
    let server = origin(&["new"]).await;
    let to = format!("*={}", server.address());
    let tap = serve(&home, &home.path("session"), &["--record", "missing", "--resolve", &to]).await;
    assert!(speak(tap.address(), &get("/known")).await.ends_with("recorded"));
    assert!(speak(tap.address(), &get("/new")).await.ends_with("new"));
    // The server answers once: what comes now is from the session.
    assert!(speak(tap.address(), &get("/new")).await.ends_with("new"));
    let ended = tap.stop().await;
    assert_eq!(server.received().len(), 1);
    assert_eq!(ended.stdout.lines().count(), 3, "all are shown: {}", ended.stdout);
    let urls: Vec<String> =
        home.flows().iter().map(|flow| flow.target.as_ref().unwrap().to_string()).collect();
    assert_eq!(urls, ["http://game.example/known", "http://game.example/new"]);

    let again = serve(&home, &home.path("session"), &[]).await;
    assert!(speak(again.address(), &get("/new")).await.ends_with("new"));
    again.stop().await;
}

#[tokio::test]
async fn a_large_body_is_added_whole_and_one_that_is_known_is_not_added_again() {
    let home = Home::new();
    record(&home, &[("/known", "recorded")]).await;
    let large: String = (0..300_000).map(|number| format!("{number:08}\n")).collect();
    let script = |answered: &str| vec![Act::ReadHead, Act::Send(answer(answered).into())];
    let mut posted = script("thanks");
    posted.insert(1, Act::Read(3 << 20));
    let server = RawOrigin::play_in_turn(vec![script(&large), posted]).await.unwrap();
    let to = format!("*={}", server.address());
    let session = home.path("session");
    let tap = serve(&home, &session, &["--record", "missing", "--resolve", &to]).await;
    let is_added = || home.flows().get(1)?.finished.as_ref().map(|_| ());
    for _ in 0..3 {
        assert!(speak(tap.address(), &get("/large")).await.ends_with(&large));
        // A busy disk may be at its body still: the client does not wait for that.
        eventually("the large answer in the session", is_added).await;
        assert!(speak(tap.address(), &get("/known")).await.ends_with("recorded"));
    }
    let upload = "x".repeat(3 << 20);
    let post = format!(
        "POST http://game.example/up HTTP/1.1\r\nHost: game.example\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{upload}",
        upload.len()
    );
    assert!(speak(tap.address(), &post).await.ends_with("thanks"));
    tap.stop().await;
    let flows = home.flows();
    let sent = flows[2].finished.as_ref().unwrap().request_body;
    assert_eq!((sent.bytes, sent.kept), (3 << 20, Kept::Whole));
    assert_eq!(flows.len(), 3, "what the session answers is not added to it");
    let body = flows[1].finished.as_ref().unwrap().response_body;
    assert_eq!((body.bytes, body.kept), (2_700_000, Kept::Whole));
    let tap = serve(&home, &session, &[]).await;
    assert!(speak(tap.address(), &get("/large")).await.ends_with(&large));
    tap.stop().await;
    let bodies = session.join("bodies");
    let named_for_flows = super::exports::files_below(&bodies);
    assert_eq!(named_for_flows.len(), 2, "{named_for_flows:?}");
}

#[tokio::test]
async fn https_is_replayed_without_a_connection_and_what_is_missing_is_added_with_its_tunnel() {
    if !have_curl() {
        return;
    }
    let home = Home::new();
    let world = World::start().await.unwrap();
    let known = "https://fswitch.dl.playstation.net/feature-switch/known";
    let new = "https://fswitch.dl.playstation.net/feature-switch/new";
    let ca = home.text("certs/ca.pem");
    let tap = home.tap().trusted_world(&world).arg("--intercept-all").start().await;
    let live = curl(&home, &tap, &["--cacert", &ca, known]).await;
    assert_eq!(live.code, 0, "{live:?}");
    tap.stop().await;
    let (connections, recorded) = (world.connections(), home.flows().len());

    let mut options = vec!["--record", "missing"];
    let rules = world.resolve_rules();
    rules.iter().for_each(|rule| options.extend(["--resolve", rule]));
    let roots = home.write("world.pem", world.ca_pem());
    options.extend(["--upstream-ca", &roots]);
    let tap = serve(&home, &home.path("session"), &options).await;
    let again = curl(&home, &tap, &["--cacert", &ca, known]).await;
    assert_eq!((again.status, &again.body), (live.status, &live.body));
    assert_eq!(world.connections(), connections, "nobody was connected to");
    let missing = curl(&home, &tap, &["--cacert", &ca, new]).await;
    assert!(missing.code == 0 && world.connections() > connections, "{missing:?}");
    tap.stop().await;
    let flows = home.flows();
    let added: Vec<_> = flows[recorded..].iter().map(|flow| (flow.kind, flow.tunnel)).collect();
    let tunnel = flows[recorded].id;
    assert_eq!(added, [(Kind::Tunnel, None), (Kind::Http, Some(tunnel))]);
    assert!(flows.iter().all(|flow| flow.finished.is_some()), "{flows:#?}");
}

#[tokio::test]
async fn keys_are_chosen_on_the_command_line() {
    let home = Home::new();
    record(&home, &[("/x?time=1&id=1", "one"), ("/x?time=1&id=2", "two")]).await;
    for (keys, path, expected) in [
        ("-query:time", "/x?id=2&time=7", "two"),
        ("path,query:id", "/x?id=1", "one"),
        ("+method", "/x?time=2&id=1", "504"),
    ] {
        let tap = serve(&home, &home.path("session"), &["--match", keys]).await;
        let got = speak(tap.address(), &get(path)).await;
        assert!(got.ends_with(expected) || got.contains(&format!(" {expected} ")), "{keys} {got}");
        tap.stop().await;
    }
}

#[tokio::test]
async fn everything_is_recorded_anew() {
    let home = Home::new();
    record(&home, &[("/known", "recorded")]).await;
    let server = origin(&["live"]).await;
    let to = format!("*={}", server.address());
    let tap = serve(&home, &home.path("session"), &["--record", "all", "--resolve", &to]).await;
    assert!(speak(tap.address(), &get("/known")).await.ends_with("live"));
    tap.stop().await;
    assert_eq!(home.flows().len(), 2);
}

#[tokio::test]
async fn a_spy_tells_what_servers_answer_otherwise() {
    let home = Home::new();
    record(&home, &[("/same", "one\n"), ("/other", "one\n")]).await;
    let server = origin(&["one\n", "two\n", "new\n"]).await;
    let to = format!("*={}", server.address());
    let tap = serve(&home, &home.path("session"), &["--spy", "--resolve", &to]).await;
    for path in ["/same", "/other", "/new"] {
        speak(tap.address(), &get(path)).await;
    }
    let ended = tap.stop().await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let told: Vec<&str> = ended
        .stderr
        .lines()
        .filter(|line| {
            ["differs", "unknown", "  ", "1 answer"].iter().any(|word| line.starts_with(word))
        })
        .filter(|line| {
            line.contains("game.example") || line.contains("body") || line.contains("answer")
        })
        .collect();
    assert_snapshot!(told.join("\n"));
    assert_eq!(home.flows().len(), 2, "the session is only read");
}

#[tokio::test]
async fn what_cannot_be_served_is_told_with_2() {
    let home = Home::new();
    let nothing = home.run(&["replay", "serve", &home.text("nowhere")]).await;
    assert_eq!(nothing.code, Some(2), "{nothing:?}");
    let fixture = fixture("ps4");
    let fixture = fixture.to_str().unwrap();
    for (args, words) in [
        (&["--record", "missing"][..], "trimmed session"),
        (&["--record", "all"], "trimmed session"),
        (&["--match", "colour"], "nothing to match on"),
        (&["--unmatched", "200"], "200"),
        (&["--timing", "fast"], "recorded"),
        (&["--spy", "--record", "all"], "cannot be used with"),
    ] {
        let port = ["--listen-host", "127.0.0.1", "--port", "0"];
        let ended = home.run(&[&["replay", "serve", fixture], args, &port].concat()).await;
        assert_eq!(ended.code, Some(2), "{args:?} {ended:?}");
        assert!(ended.stderr.contains(words), "{args:?} {}", ended.stderr);
    }
}
