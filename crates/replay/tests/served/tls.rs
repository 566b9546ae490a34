//! HTTPS is replayed as HTTPS; what was recorded blind is refused, with words.

use std::process::Stdio;

use consoletap_flow::{Kind, State};
use tokio::process::Command;

use super::harness::{LIMIT, Recording, Served, fixture, get, parts};

/// curl through the proxy; nothing where there is no curl.
async fn curl(served: &Served, args: &[&str]) -> Option<(i32, String)> {
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, &served.ca_pem).unwrap();
    let child = Command::new("curl")
        .args(["--silent", "--show-error", "--noproxy", "", "--proxy"])
        .arg(format!("http://{}", served.address))
        .arg("--cacert")
        .arg(&ca)
        .args(args)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .stdin(Stdio::null())
        .output();
    let Ok(output) = tokio::time::timeout(LIMIT, child).await.unwrap() else {
        return None;
    };
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    Some((output.status.code().unwrap_or(-1), text))
}

#[tokio::test]
async fn intercepted_https_comes_back_as_https() {
    let recording = Recording::of(&[get("https://store.test/list", "from the session")]);
    let served = Served::start(recording.path()).await;
    for version in ["--http1.1", "--http2"] {
        let Some(got) = curl(&served, &[version, "https://store.test/list"]).await else { return };
        assert_eq!(got, (0, "from the session".to_owned()), "{version}");
    }
    let flows = served.stop().await;
    assert!(flows.iter().any(|flow| flow.kind == Kind::Tunnel && flow.intercepted));
}

#[tokio::test]
async fn a_blind_tunnel_is_refused_with_words() {
    let served = Served::start(&fixture("ps4")).await;
    let connect = |host: &str| format!("CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\n\r\n");
    let blind = served.say(connect("fswitch.dl.playstation.net")).await;
    let never = served.say(connect("never.example")).await;
    assert_eq!((parts(&blind).0, parts(&never).0), (504, 504));
    insta::assert_snapshot!(format!("{}---\n{}", parts(&blind).1, parts(&never).1));
    let flows = served.stop().await;
    let end = flows[0].finished.as_ref().unwrap();
    assert_eq!(end.state, State::Refused);
    let cause = &end.failure.as_ref().unwrap().cause;
    assert!(cause.contains("nobody opened"), "{cause}");
}

#[tokio::test]
async fn curl_gets_from_a_fixture_what_the_console_got() {
    let served = Served::start(&fixture("ps4")).await;
    let url = "http://fus01.ps4.update.playstation.net/update/ps4/list/us/ps4-updatelist.xml";
    let Some((code, text)) = curl(&served, &[url]).await else { return };
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("<update_data_list>") && text.len() == 849, "{text}");
    served.stop().await;
}

#[tokio::test]
async fn http_in_a_tunnel_is_answered_as_outside_of_one() {
    let recording = Recording::of(&[
        get("http://game.test/one", "1"),
        get("http://game.test:8080/two", "2"),
        get("https://store.test/list", "list"),
    ]);
    let served = Served::start(recording.path()).await;
    let tunnelled = |to: &str, path: &str| {
        let host = to.trim_end_matches(":80");
        format!(
            "CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n\r\n\
             GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        )
    };
    for (to, path, status, body) in [
        ("game.test:80", "/one", 200, "1"),
        ("game.test:8080", "/two", 200, "2"),
        ("game.test:80", "/two", 504, "GET http://game.test/two was not recorded"),
        // What was HTTPS is not given to who speaks HTTP.
        ("store.test:443", "/list", 504, "scheme: recorded \"https\", asked \"http\""),
        ("store.test:443", "CONNECT", 400, ""),
    ] {
        let answer = served.say(tunnelled(to, path)).await;
        let (tunnel, inside) = answer.split_once("\r\n\r\n").unwrap();
        assert!(tunnel.starts_with("HTTP/1.1 200 "), "{answer}");
        let (got, text) = parts(inside);
        assert_eq!(got, status, "{answer}");
        assert!(text.contains(body), "{answer}");
    }
    let flows = served.stop().await;
    let tunnels = flows.iter().filter(|flow| flow.kind == Kind::Tunnel).count();
    assert_eq!(tunnels, 5);
    assert!(flows.iter().all(|flow| flow.kind != Kind::Http || flow.tunnel.is_some()));
}

#[tokio::test]
async fn what_would_connect_is_kept_from_it_and_counted() {
    let recording = Recording::of(&[get("https://store.test/list", "from the session")]);
    let served = Served::start(recording.path()).await;
    let answer = served
        .say("CONNECT store.test:443 HTTP/1.1\r\nHost: store.test\r\n\r\n\x16\x03\x01\x00\x04none")
        .await;
    assert!(answer.ends_with("\r\n\r\n"), "the tunnel stood, and nothing came of it: {answer}");
    assert_eq!(served.replay.refused_dials(), 1);
}
