//! What a person sees while it runs, and what a program reads.

use std::process::Stdio;

use consoletap_simulator::{Console, RawOrigin, Request, TlsVersion, World};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::time::timeout;

use super::clients::speak;
use super::harness::{Home, PATIENCE, eventually};

const LIST: &str = "http://fus01.ps4.update.playstation.net/update/ps4/list/us/ps4-updatelist.xml";

/// What every row has, whatever it is.
const KEYS: [&str; 16] = [
    "id",
    "kind",
    "started",
    "client",
    "method",
    "url",
    "status",
    "platform",
    "category",
    "entry",
    "state",
    "error",
    "request_bytes",
    "response_bytes",
    "duration_ms",
    "rules",
];

#[tokio::test]
async fn the_banner_says_where_it_listens_and_what_to_type_into_the_console() {
    let home = Home::new();
    let tap = home.tap().with_log().start().await;
    let port = tap.address().port();
    assert_ne!(port, 0);
    let banner = tap.stderr();
    assert!(banner.starts_with(&format!("listening on 127.0.0.1:{port}\n")), "{banner}");
    assert!(banner.contains("Only this machine can use it"), "{banner}");
    assert!(banner.contains(&format!("Session: {}\n", home.text("session"))), "{banner}");
    assert!(banner.ends_with("Stop with Ctrl-C.\n"), "{banner}");
    assert_eq!(tap.stop().await.stdout, "", "nothing but data goes to standard output");
}

#[tokio::test]
async fn a_console_is_told_an_address_it_can_reach() {
    let home = Home::new();
    let mut command = home.program(env!("CARGO_BIN_EXE_consoletap"));
    command.args(["--port", "0", "--no-session"]).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let banner = read_until(child.stderr.as_mut().unwrap(), "Stop with Ctrl-C.").await;
    let port = banner.lines().next().unwrap().strip_prefix("listening on 0.0.0.0:").unwrap();
    let line = banner.lines().nth(1).unwrap();
    match line.strip_prefix("On the console: Proxy Server → Address ") {
        Some(rest) => {
            let (address, rest) = rest.split_once("  Port ").unwrap();
            let address: std::net::Ipv4Addr = address.parse().unwrap();
            assert!(!address.is_loopback() && !address.is_unspecified());
            assert_eq!(rest.split(' ').next(), Some(port));
        }
        // A machine without a network, as a container may be.
        None => assert!(line.contains("no address in a network"), "{banner}"),
    }
}

#[tokio::test]
async fn a_flow_is_a_line_of_at_most_80_columns_without_escapes() {
    let (home, world) = (Home::new(), World::start().await.unwrap());
    let tap = home.tap().with_log().world(&world).start().await;
    let console = Console::ps4("1.51");
    let mut client = console.behind(tap.address());
    let list = Request::get(LIST).agent(console.update_agent());
    client.ask(&list).await.unwrap();
    let up = "http://post.net.playstation.net/networktest/post_128";
    client
        .ask(&Request::post(up, vec![0; 1500]).agent(console.network_test_agent()))
        .await
        .unwrap();
    console.tunnel(tap.address(), "fswitch.dl.playstation.net", None).await.unwrap();
    client.ask(&Request::get("http://127.0.0.1:1/nothing")).await.unwrap();

    let text = eventually("four lines and a reason", || {
        let text = tap.stderr();
        let all = text.contains("refused the connection\n") && text.contains(" CONNECT ");
        all.then_some(text)
    })
    .await;
    let log = text.split_once("Stop with Ctrl-C.\n").unwrap().1;
    let line = |part: &str| {
        let line = log.lines().find(|line| line.contains(part));
        line.unwrap_or_else(|| panic!("no line with {part}: {log}"))
    };
    assert!(log.lines().all(|line| line.chars().count() <= 80), "{log}");
    assert!(!text.contains('\x1b'), "{text:?}");

    let words: Vec<&str> = line(" GET fus01").split_whitespace().collect();
    let [time, client, method, place, status, category, size, duration] = words[..] else {
        panic!("{words:?}")
    };
    assert_eq!((client, method, status), ("PS4", "GET", "200"));
    assert_eq!((category, size), ("fw-updatelist", "849"));
    assert!(place.starts_with("fus01.ps4.update.playstation.net/"), "{place}");
    assert!(duration.ends_with("ms") || duration.ends_with('s'), "{duration}");
    let digits: String = time.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    assert_eq!(digits, "00:00:00");

    assert!(line(" POST ").contains(" 1.5k "), "uploads have a size, too: {log}");
    assert!(line(" CONNECT fswitch.dl.playstation.net").ends_with(" ⇄"), "{log}");
    let failed = line("127.0.0.1:1/nothing");
    assert!(failed.contains(" 502 ") && failed.ends_with(" !"), "{log}");
    assert!(log.contains("server: 127.0.0.1 (127.0.0.1:1) refused the connection"), "{log}");
}

#[tokio::test]
async fn quiet_has_no_line_for_a_flow_and_no_summary() {
    let (home, world) = (Home::new(), World::start().await.unwrap());
    let tap = home.tap().with_log().arg("-q").world(&world).start().await;
    Console::ps4("1.51").behind(tap.address()).ask(&Request::get(LIST)).await.unwrap();
    let banner = tap.stderr();
    let ended = tap.stop().await;
    assert_eq!(ended.code, Some(0));
    assert_eq!(ended.stderr.trim_end(), banner.trim_end());
    assert_eq!(home.flows().len(), 1, "the session has it all the same");
}

#[tokio::test]
async fn json_is_one_object_for_each_finished_flow_with_all_promised_keys() {
    let (home, world) = (Home::new(), World::start().await.unwrap());
    let tap = home.tap().world(&world).start().await;
    let console = Console::ps4("1.51").trusting(world.roots());
    let list = Request::get(&format!("{LIST}?sid=geheim")).agent(console.update_agent());
    console.behind(tap.address()).ask(&list).await.unwrap();
    let tunnel = console.tunnel(tap.address(), "asm.np.community.playstation.net", None).await;
    let tls = tunnel.unwrap().handshake(TlsVersion::Tls13).await.unwrap();
    tls.close().await.unwrap();

    let rows = tap.rows(2).await;
    assert!(!tap.stderr().contains("playstation.net"), "the log is off beside JSON");
    let ended = tap.stop().await;
    for row in &rows {
        for key in KEYS {
            assert!(row.get(key).is_some(), "{key} is missing in {row}");
        }
    }
    let http = &rows[0];
    assert_eq!(http["kind"], "http");
    assert_eq!(http["platform"], "ps4");
    assert_eq!(http["category"], "fw-updatelist");
    assert_eq!(http["state"], "complete");
    assert_eq!((&http["status"], &http["response_bytes"]), (&200.into(), &849.into()));
    assert_eq!(http["url"], format!("{LIST}?sid=***"), "secrets are masked");
    assert!(http["started"].as_str().unwrap().ends_with('Z'));
    assert!(http["duration_ms"].as_f64().unwrap() > 0.0);
    assert_eq!((&http["error"], &http["rules"]), (&Value::Null, &Value::Array(vec![])));

    let tunnel = &rows[1];
    assert_eq!((&tunnel["kind"], &tunnel["method"]), (&"tunnel".into(), &"CONNECT".into()));
    assert_eq!(tunnel["url"], "asm.np.community.playstation.net:443");
    assert_eq!(tunnel["sni"], "asm.np.community.playstation.net");
    assert!(tunnel["alpn"].is_array());
    assert_eq!(tunnel["ja3"].as_str().unwrap().len(), 32);
    assert_eq!(tunnel["ja4"].as_str().unwrap().split('_').count(), 3);
    assert_eq!(rows, home.rows(&[]).await, "the same lines from disk");
    assert_eq!(ended.stdout.lines().count(), 2, "and nothing else on standard output");
}

#[tokio::test]
async fn what_the_wire_wrote_cannot_act_on_the_terminal() {
    let home = Home::new();
    let origin =
        RawOrigin::answer("HTTP/1.1 200 O\x1b[2JK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
    let redirect = format!("a.example={}", origin.address());
    let tap = home.tap().with_log().args(["--resolve", &redirect]).start().await;
    let request = "GET http://a.example/\u{1b}[31m\u{9b}2J HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n";
    speak(tap.address(), request).await;
    let log = eventually("a row", || {
        let log = tap.stderr().split_once("Ctrl-C.\n")?.1.to_owned();
        log.ends_with('\n').then_some(log)
    });
    let log = log.await;
    assert!(!log.replace('\n', "").chars().any(char::is_control), "{log:?}");
}

#[tokio::test]
async fn a_reader_that_had_enough_ends_the_program_in_good_order() {
    let (home, world) = (Home::new(), World::start().await.unwrap());
    // `head` leaves after one line; the pipe breaks with a later one.
    let script = r#"exec 3>&1; { "$@"; echo "exit $?" >&3; } | head -n 1 >/dev/null"#;
    let tap = home.tap().world(&world).by_shell(script).start().await;
    let mut client = Console::ps4("1.51").behind(tap.address());
    let list = Request::get(LIST).close();
    while !tap.stdout().contains("exit") {
        // It refuses once it has stopped.
        let _ = client.ask(&list).await;
    }
    assert_eq!(tap.stdout(), "exit 0\n");
}

#[tokio::test]
async fn a_terminal_gets_colours_unless_it_wants_none() {
    let (home, world) = (Home::new(), World::start().await.unwrap());
    let (coloured, plain) =
        tokio::join!(screen(&home, &world, "TERM=xterm"), screen(&home, &world, "NO_COLOR=1"));
    let (Some(coloured), Some(plain)) = (coloured, plain) else {
        eprintln!("NOT TESTED: there is no `script` (util-linux) to make a terminal");
        return;
    };
    assert!(coloured.contains("\x1b[3"), "{coloured:?}");
    assert!(!plain.contains("\x1b["), "{plain:?}");
}

/// What a terminal shows until a console has asked for something; none where no terminal can be
/// made.
async fn screen(home: &Home, world: &World, wish: &str) -> Option<String> {
    let binary = env!("CARGO_BIN_EXE_consoletap");
    let redirects: Vec<String> =
        world.resolve_rules().iter().map(|rule| format!("--resolve '{rule}'")).collect();
    let options = "--port 0 --listen-host 127.0.0.1 --no-session";
    let line = format!("{wish} exec {binary} {options} {}", redirects.join(" "));
    let mut command = home.program("script");
    command.args(["-qefc", &line, "/dev/null"]);
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    let mut script = command.spawn().ok()?;
    let mut terminal = script.stdout.take().unwrap();
    let seen = read_until(&mut terminal, "Ctrl-C").await;
    let line = seen.lines().find_map(|line| line.strip_prefix("listening on ")).unwrap();
    let list = Request::get(LIST);
    Console::ps4("1.51").behind(line.trim().parse().unwrap()).ask(&list).await.unwrap();
    let row = read_until(&mut terminal, "fw-updatelist").await;
    // With its end the terminal hangs up, and so does the program in it.
    Some(seen + &row)
}

/// Reads until these words have come.
async fn read_until(stream: &mut (impl AsyncRead + Unpin), words: &str) -> String {
    let mut seen = Vec::new();
    let reading = async {
        while !String::from_utf8_lossy(&seen).contains(words) {
            assert_ne!(stream.read_buf(&mut seen).await.unwrap(), 0, "it ended before {words}");
        }
    };
    timeout(PATIENCE, reading).await.expect(words);
    String::from_utf8_lossy(&seen).into_owned()
}
