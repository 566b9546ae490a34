//! The end of a run: everything is written down and told, and the exit code says how it went.

use std::time::{Duration, Instant};

use consoletap_flow::State;
use consoletap_simulator::{Act, Console, RawOrigin, Request, World};
use rustix::process::Signal;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::clients::read_head;
use super::harness::{Home, json_lines};

const LIST: &str = "http://fus01.ps4.update.playstation.net/update/ps4/list/us/ps4-updatelist.xml";

#[tokio::test]
async fn ctrl_c_and_a_polite_kill_end_with_a_summary_and_everything_on_disk() {
    for signal in [Signal::INT, Signal::TERM] {
        let (home, world) = (Home::new(), World::start().await.unwrap());
        let tap = home.tap().with_log().world(&world).start().await;
        let mut client = Console::ps4("1.51").behind(tap.address());
        for number in 0..20 {
            client.ask(&Request::get(&format!("{LIST}?n={number}"))).await.unwrap();
        }
        tap.signal(signal);
        let ended = tap.end().await;
        assert_eq!(ended.code, Some(0), "{signal:?}: {ended:?}");
        let (log, summary) = ended.stderr.split_once("\n20 flows: ").expect(&ended.stderr);
        assert_eq!(log.matches(" fw-updatelist ").count(), 20, "a line each: {log}");
        let row = summary.lines().find(|line| line.starts_with("  fw-updatelist")).unwrap();
        assert_eq!(row.split_whitespace().nth(1), Some("20"), "{row}");
        assert!(summary.contains("  PS4 (127.0.0.1)"), "{summary}");
        assert!(summary.contains(&format!("Session: {}\n", home.text("session"))), "{summary}");
        let flows = home.flows();
        assert_eq!(flows.len(), 20);
        assert!(flows.iter().all(|flow| flow.state() == State::Complete));
    }
}

#[tokio::test]
async fn what_is_under_way_is_told_as_what_it_is() {
    let home = Home::new();
    let endless = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nthe beginning";
    let acts = vec![Act::ReadHead, Act::Send(endless.into()), Act::Hold];
    let origin = RawOrigin::play(acts).await.unwrap();
    let redirect = format!("a.example={}", origin.address());
    let tap = home.tap().args(["--resolve", &redirect]).start().await;
    let mut client = TcpStream::connect(tap.address()).await.unwrap();
    client.write_all(b"GET http://a.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n").await.unwrap();
    let head = read_head(&mut client).await;
    assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");

    let ended = tap.stop().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let rows = json_lines(&ended.stdout);
    assert_eq!(rows.len(), 1, "{ended:?}");
    assert_ne!(rows[0]["state"], "complete");
    assert!(rows[0]["error"].is_string(), "{}", rows[0]);
    assert_eq!(rows, home.rows(&[]).await);
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once_and_the_session_can_be_read() {
    let home = Home::new();
    let acts = vec![Act::ReadHead, Act::Send("HTTP/1.1 200 OK\r\n\r\n".into()), Act::Hold];
    let origin = RawOrigin::play(acts).await.unwrap();
    let redirect = format!("a.example={}", origin.address());
    let mut tap = home.tap().args(["--resolve", &redirect]).start().await;
    let mut client = TcpStream::connect(tap.address()).await.unwrap();
    client.write_all(b"GET http://a.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n").await.unwrap();
    read_head(&mut client).await;
    tap.signal(Signal::INT);
    let begun = Instant::now();
    // Impatiently, until it is gone.
    while !tap.has_ended() {
        tap.signal(Signal::TERM);
        tokio::task::yield_now().await;
    }
    let ended = tap.end().await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(begun.elapsed() < Duration::from_millis(1500), "{:?}", begun.elapsed());
    assert_eq!(home.flows()[0].state(), State::Unfinished);
}

#[tokio::test]
async fn two_signals_in_one_moment_are_one_wish() {
    // `timeout` does so: it signals its child, and then the group that the child is in.
    let (home, world) = (Home::new(), World::start().await.unwrap());
    let tap = home.tap().with_log().world(&world).start().await;
    Console::ps4("1.51").behind(tap.address()).ask(&Request::get(LIST)).await.unwrap();
    tap.signal(Signal::TERM);
    tap.signal(Signal::INT);
    let ended = tap.end().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stderr.contains("\n1 flow: "), "{}", ended.stderr);
}

#[tokio::test]
async fn a_session_is_continued_and_numbers_go_on() {
    let (home, world) = (Home::new(), World::start().await.unwrap());
    for run in 1..=2 {
        let tap = home.tap().world(&world).start().await;
        let mut client = Console::ps4("1.51").behind(tap.address());
        client.ask(&Request::get(LIST)).await.unwrap();
        assert_eq!(tap.rows(1).await[0]["id"], run);
        tap.stop().await;
    }
    let ids: Vec<u64> = home.flows().iter().map(|flow| flow.id.0).collect();
    assert_eq!(ids, [1, 2]);
}

#[tokio::test]
async fn it_stops_while_a_console_keeps_an_idle_connection() {
    let (home, world) = (Home::new(), World::start().await.unwrap());
    let tap = home.tap().world(&world).start().await;
    let console = Console::ps4("1.51");
    let mut idle = console.behind(tap.address());
    idle.ask(&Request::get(LIST)).await.unwrap();
    let tunnel = console.tunnel(tap.address(), "fswitch.dl.playstation.net", None).await.unwrap();
    tap.rows(1).await;
    let ended = tap.stop().await;
    assert_eq!(ended.code, Some(0));
    assert_eq!(json_lines(&ended.stdout).len(), 2, "the tunnel has its row");
    drop(tunnel);
    assert!(home.flows().iter().all(|flow| flow.finished.is_some()));
}
