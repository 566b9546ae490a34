//! `session trim`: small sessions for tests, which are the same each time.

use std::collections::BTreeMap;
use std::path::Path;

use consoletap_flow::{Flow, Kept};
use consoletap_session::Session;
use consoletap_simulator::{Console, Request, TlsVersion, World};

use super::exports::{assert_clean, files_below, session_with_secrets};
use super::harness::{Ended, Home};

/// Every file of a session, by its name.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let name = |path: &Path| path.strip_prefix(folder).unwrap().display().to_string();
    files_below(folder).into_iter().map(|p| (name(&p), std::fs::read(&p).unwrap())).collect()
}

async fn trim(home: &Home, from: &str, filter: &[&str], out: &str) -> Ended {
    let (from, out) = (home.text(from), home.text(out));
    let args = [&["session", "trim", &from], filter, &[&out]].concat();
    home.run(&args).await
}

fn flows(home: &Home, below: &str) -> Vec<Flow> {
    let session = Session::open(&home.path(below)).unwrap();
    session.flows().map(Result::unwrap).collect()
}

#[tokio::test]
async fn it_holds_no_secret_and_is_the_same_each_time() {
    let home = Home::new();
    session_with_secrets(&home).await;
    for (from, out) in [("s", "one"), ("s", "two"), ("one", "three")] {
        let ended = trim(&home, from, &[], out).await;
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert!(ended.stderr.contains("10 flows"), "{}", ended.stderr);
    }
    let one = files(&home.path("one"));
    for (name, octets) in &one {
        assert_clean(name, octets);
    }
    assert_eq!(one.keys().collect::<Vec<_>>(), ["log-000001.jsonl", "session.json"]);
    let text = |name: &str| String::from_utf8(one[name].clone()).unwrap();
    // What was packed can be read, and stands in for the secret that was in it.
    assert!(text("log-000001.jsonl").contains(r#""text":"{\"npsso\":\"redacted-"#));
    for other in ["two", "three"] {
        let other = files(&home.path(other));
        assert_eq!(other.keys().collect::<Vec<_>>(), one.keys().collect::<Vec<_>>());
        for (name, octets) in &one {
            assert!(other[name] == *octets, "{name} is another one");
        }
    }
    assert!(Session::open(&home.path("one")).unwrap().about().redacted);
    assert!(!home.path("one/pseudonyms.key").exists(), "nothing is left in it to guess with");
    let ended = trim(&home, "s", &[], "one").await;
    assert_eq!(ended.code, Some(1), "the place is taken: {}", ended.stderr);
}

#[tokio::test]
async fn flows_come_with_their_tunnels_from_1_on_at_times_that_are_the_same() {
    let (home, world) = (Home::new(), World::start().await.unwrap());
    let tap = home.tap().trusted_world(&world).arg("--intercept-all").start().await;
    let ours = std::fs::read_to_string(home.path("certs/ca.pem")).unwrap();
    let console = Console::ps4("1.51").also_trusting_pem(&ours).unwrap();
    let mut plain = console.behind(tap.address());
    let list = "http://fus01.ps4.update.playstation.net/update/ps4/list/us/ps4-updatelist.xml";
    plain.ask(&Request::get("http://get.net.playstation.net/networktest/get_2m")).await.unwrap();
    let host = "fswitch.dl.playstation.net";
    let tunnel = console.tunnel(tap.address(), host, None).await.unwrap();
    let mut client = tunnel.handshake(TlsVersion::Tls12).await.unwrap();
    client.ask(&Request::get(&format!("https://{host}/"))).await.unwrap();
    client.close().await.unwrap();
    plain.ask(&Request::get(list)).await.unwrap();
    tap.stop().await;

    let ended = trim(&home, "session", &["~d", "fswitch", "|", "~cat", "fw-updatelist"], "t").await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("3 flows"), "{}", ended.stderr);
    let ended = trim(&home, "session", &["~d fswitch & ~http"], "inner").await;
    assert!(ended.stderr.contains("2 flows (1 tunnel around others)"), "{}", ended.stderr);
    let flows = flows(&home, "t");
    let told: Vec<_> = flows.iter().map(|flow| (flow.id.0, flow.tunnel.map(|id| id.0))).collect();
    assert_eq!(told, [(1, None), (2, Some(1)), (3, None)]);
    assert_eq!(flows[0].started.to_string(), "2026-01-01T00:00:00.000000Z");
    assert!(flows.windows(2).all(|pair| pair[0].started < pair[1].started));
    for flow in &flows {
        let client = flow.client;
        assert_eq!(client.address.ip().to_string(), "192.168.0.1");
        assert_eq!(u64::from(client.address.port()), 49_152 + client.connection.0);
        assert_eq!(flow.finished.as_ref().unwrap().server, None, "a port of this machine");
    }
    let response = flows[2].response.as_ref().unwrap();
    assert_eq!(response.headers.text("date"), Some("Thu, 01 Jan 2026 00:00:00 GMT"));
}

#[tokio::test]
async fn of_large_bodies_the_beginning_stays() {
    let (home, world) = (Home::new(), World::start().await.unwrap());
    let tap = home.tap().world(&world).start().await;
    let url = "http://get.net.playstation.net/networktest/get_2m";
    Console::ps4("1.51").behind(tap.address()).ask(&Request::get(url)).await.unwrap();
    tap.stop().await;
    let ended = trim(&home, "session", &[], "t").await;
    assert!(ended.stderr.contains("Of 1 larger body the beginning is kept"), "{}", ended.stderr);
    let body = flows(&home, "t")[0].finished.as_ref().unwrap().response_body;
    let Kept::Prefix { bytes, digest } = body.kept else { panic!("{body:?}") };
    assert_eq!((body.bytes, bytes), (2 << 20, 1024));
    let session = Session::open(&home.path("t")).unwrap();
    assert_eq!(session.body(&digest).unwrap(), [0; 1024]);
}

#[tokio::test]
async fn an_edit_is_checked_and_made_whole_by_trimming_again() {
    let (home, world) = (Home::new(), World::start().await.unwrap());
    let tap = home.tap().world(&world).start().await;
    let url = "http://fus01.ps4.update.playstation.net/update/ps4/list/us/ps4-updatelist.xml";
    Console::ps4("1.51").behind(tap.address()).ask(&Request::get(url)).await.unwrap();
    tap.stop().await;
    assert_eq!(trim(&home, "session", &[], "t").await.code, Some(0));

    let log = std::fs::read_to_string(home.path("t/log-000001.jsonl")).unwrap();
    home.write("t/log-000001.jsonl", log.replace("label=\\\"1.72\\\"", "label=\\\"11.00\\\""));
    let ended = trim(&home, "t", &[], "again").await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let session = Session::open(&home.path("again")).unwrap();
    let flow = flows(&home, "again").remove(0);
    let body = flow.finished.unwrap().response_body;
    let octets = session.body(&body.digest.unwrap()).unwrap();
    assert!(String::from_utf8_lossy(&octets).contains("label=\"11.00\""));
    let length = flow.response.unwrap().headers.text("content-length").map(str::to_owned);
    assert_eq!(length, Some(octets.len().to_string()));
    let file = home.write("octets", &octets);
    let sum = home.program("sha256sum").arg(file).output().await.unwrap().stdout;
    assert!(sum.starts_with(body.digest.unwrap().hex().as_bytes()), "the name fits again");

    home.write("t/log-000001.jsonl", log.replace("{\"response\":", "{\"respond\":"));
    let ended = trim(&home, "t", &[], "never").await;
    assert_eq!(ended.code, Some(1));
    let said = home.hide(&ended.stderr);
    assert!(
        said.starts_with("consoletap: HOME/t/log-000001.jsonl:2: `respond` is no kind of event"),
        "{said}"
    );
    assert!(!home.path("never").exists());
}

#[tokio::test]
async fn what_cannot_be_done_is_said() {
    let home = Home::new();
    session_with_secrets(&home).await;
    for (from, filter, code, told) in [
        ("s", "~d nowhere.example", 1, "no flow of HOME/s fits"),
        ("s", "~nonsense", 2, "the filter cannot be read"),
        ("none", "~all", 1, "is no session"),
    ] {
        let ended = trim(&home, from, &[filter], "t").await;
        assert_eq!(ended.code, Some(code), "{}", ended.stderr);
        assert!(home.hide(&ended.stderr).contains(told), "{}", ended.stderr);
        assert!(!home.path("t").exists());
    }
    let ended = home.run(&["session", "trim", &home.text("s"), "~all"]).await;
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
}
