//! TLS opened with a certificate of ours: by curl, by HTTP/2, and by consoles that refuse it.

use std::os::unix::fs::PermissionsExt;

use bytes::Bytes;
use consoletap_simulator::{Console, Error, Request, TlsVersion, World};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};

use super::clients::{connect, curl, handshake, have_curl};
use super::harness::{Home, eventually, json_lines};

const HOST: &str = "fswitch.dl.playstation.net";
const OTHER: &str = "asm.np.community.playstation.net";

#[tokio::test]
async fn curl_is_read_where_it_trusts_our_ca_and_the_host_is_named() {
    if !have_curl() {
        return;
    }
    let (home, world) = (Home::new(), World::start().await.unwrap());
    let tap = home.tap().trusted_world(&world).args(["--intercept", "fswitch.*"]).start().await;
    assert!(tap.stderr().contains(&home.text("certs/ca.pem")), "{}", tap.stderr());
    let ours = home.text("certs/ca.pem");
    let url = format!("https://{HOST}/?token=geheim");
    let got = curl(&home, &tap, &["--http1.1", "--cacert", &ours, &url]).await;
    assert_eq!((got.code, got.status), (0, 200), "{got:?}");

    let rows = tap.rows(2).await;
    let inside = rows.iter().find(|row| row["kind"] == "http").unwrap();
    assert_eq!(inside["url"], format!("https://{HOST}/?token=***"));
    assert_eq!((&inside["category"], &inside["status"]), (&"feature-switch".into(), &200.into()));
    let tunnel = rows.iter().find(|row| row["kind"] == "tunnel").unwrap();
    assert_eq!((&tunnel["intercepted"], &inside["tunnel"]), (&true.into(), &tunnel["id"]));
    let seen = world.requests().remove(0);
    assert!(seen.tls);
    assert_eq!((seen.target.as_str(), seen.host()), ("/?token=geheim", HOST));

    // A host that is not named keeps its own certificate.
    let roots = home.text("world.pem");
    let got = curl(&home, &tap, &["--cacert", &roots, &format!("https://{OTHER}/")]).await;
    assert_eq!((got.code, got.status), (0, 200), "{got:?}");
    let row = tap.row("the other host", |row| row["sni"] == OTHER).await;
    assert_eq!(row["intercepted"], false);
}

#[tokio::test]
async fn curl_speaks_http2_through_it() {
    if !have_curl() {
        return;
    }
    let (home, world) = (Home::new(), World::start().await.unwrap());
    let features = home.program("curl").arg("--version").output().await.unwrap().stdout;
    if !String::from_utf8_lossy(&features).contains("HTTP2") {
        eprintln!("NOT TESTED: this curl speaks no HTTP/2");
        return;
    }
    let tap = home.tap().trusted_world(&world).arg("--intercept-all").start().await;
    let ours = home.text("certs/ca.pem");
    let (one, two) = (format!("https://{HOST}/?1"), format!("https://{HOST}/?2"));
    let got = curl(&home, &tap, &["--http2", "--cacert", &ours, &one]).await;
    assert_eq!((got.code, got.status), (0, 200), "{got:?}");
    assert!(got.heads.contains("HTTP/2 200"), "{}", got.heads);
    let upload = ["--http2", "--cacert", &ours, "--data-binary", "x=1", &two];
    let got = curl(&home, &tap, &upload).await;
    assert_eq!((got.code, got.status), (0, 200), "{got:?}");
    let seen = world.requests();
    assert_eq!(seen.iter().map(|seen| seen.body_length).collect::<Vec<_>>(), [0, 3]);
}

#[tokio::test]
async fn many_http2_streams_share_a_tunnel() {
    let (home, world) = (Home::new(), World::start().await.unwrap());
    let tap = home.tap().trusted_world(&world).arg("--intercept-all").start().await;
    let ours = std::fs::read_to_string(home.path("certs/ca.pem")).unwrap();
    let stream = connect(&tap, &format!("{HOST}:443")).await;
    let tls = handshake(stream, HOST, &ours, &["h2", "http/1.1"]).await.unwrap();
    assert_eq!(tls.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(tls))
            .await
            .unwrap();
    let connection = tokio::spawn(connection);
    let mut streams = tokio::task::JoinSet::new();
    for number in 0..20 {
        let mut sender = sender.clone();
        streams.spawn(async move {
            let request = hyper::Request::get(format!("https://{HOST}/?{number}"));
            let request = request.body(Empty::<Bytes>::new()).unwrap();
            let answer = sender.send_request(request).await.unwrap();
            assert_eq!(answer.status(), 200);
            answer.into_body().collect().await.unwrap();
        });
    }
    while let Some(stream) = streams.join_next().await {
        stream.unwrap();
    }
    drop(sender);
    connection.await.unwrap().unwrap();
    let rows = tap.rows(21).await;
    let tunnel = rows.iter().find(|row| row["kind"] == "tunnel").unwrap();
    assert_eq!(tunnel["alpn"], serde_json::json!(["h2", "http/1.1"]));
    let inside: Vec<_> = rows.iter().filter(|row| row["tunnel"] == tunnel["id"]).collect();
    assert_eq!(inside.len(), 20);
    assert!(inside.iter().all(|row| row["state"] == "complete"));
    assert!(world.requests().iter().all(|seen| seen.version == "HTTP/2.0"), "as the client offers");
    let mut paths: Vec<_> = world.requests().into_iter().map(|seen| seen.target).collect();
    paths.sort();
    paths.dedup();
    assert_eq!(paths.len(), 20);
}

#[tokio::test]
async fn a_server_that_cannot_be_verified_is_a_502_unless_it_is_believed() {
    let (home, world) = (Home::new(), World::start().await.unwrap());
    let tap = home.tap().world(&world).arg("--intercept-all").start().await;
    let ours = std::fs::read_to_string(home.path("certs/ca.pem")).unwrap();
    let console = Console::ps4("1.51").also_trusting_pem(&ours).unwrap();
    let ask = async |tap: &super::harness::Tap| {
        let tunnel = console.tunnel(tap.address(), HOST, None).await.unwrap();
        let mut tls = tunnel.handshake(TlsVersion::Tls12).await.unwrap();
        tls.ask(&Request::get(&format!("https://{HOST}/"))).await.unwrap()
    };
    let answer = ask(&tap).await;
    assert_eq!(answer.head.status, 502);
    assert!(answer.text().contains(HOST), "{}", answer.text());
    let row = tap.row("the request inside", |row| row["kind"] == "http").await;
    assert_eq!((&row["state"], &row["status"]), (&"upstream-error".into(), &502.into()));
    assert!(row["error"].as_str().unwrap().contains(HOST), "{row}");
    assert!(world.requests().is_empty(), "nothing is sent to a server that is not believed");
    tap.stop().await;

    for (number, believed) in
        ["--insecure-upstream", "--insecure-upstream=fswitch.*"].iter().enumerate()
    {
        let tap = home.tap().world(&world).args(["--intercept-all", believed]).start().await;
        assert_eq!(ask(&tap).await.head.status, 200, "{believed}");
        tap.row("the request inside", |row| row["kind"] == "http").await;
        assert_eq!(world.requests().len(), number + 1);
        let flow = home.flows().into_iter().rfind(|flow| flow.tunnel.is_some()).unwrap();
        let told = flow.notes.iter().any(|note| note.contains("certificate"));
        assert!(told, "that it was not verified is told: {:?}", flow.notes);
        tap.stop().await;
    }
    let elsewhere = home.tap().world(&world).args(["--intercept-all", "--insecure-upstream=a.b"]);
    assert_eq!(ask(&elsewhere.start().await).await.head.status, 502);
}

#[tokio::test]
async fn a_console_that_refuses_our_certificate_is_tunnelled_from_then_on() {
    let (home, world) = (Home::new(), World::start().await.unwrap());
    let console = Console::ps4("1.51").trusting(world.roots());
    let tap = home.tap().world(&world).arg("--intercept-all").start().await;
    let tunnel = console.tunnel(tap.address(), HOST, None).await.unwrap();
    let refused = tunnel.handshake(TlsVersion::Tls12).await;
    assert!(matches!(refused, Err(Error::Refused(_))), "{:?}", refused.err());
    let row = tap.rows(1).await.remove(0);
    assert_eq!(row["kind"], "tls-failure");
    let error = row["error"].as_str().unwrap();
    assert!(error.contains("certificate") && error.contains("is tunnelled"), "{error}");
    tap.stop().await;

    // It is remembered across a restart, and for this host alone.
    let tap = home.tap().world(&world).arg("--intercept-all").start().await;
    let tunnel = console.tunnel(tap.address(), HOST, None).await.unwrap();
    let mut tls = tunnel.handshake(TlsVersion::Tls12).await.unwrap();
    let answer = tls.ask(&Request::get(&format!("https://{HOST}/"))).await.unwrap();
    assert_eq!(answer.head.status, 200);
    tls.close().await.unwrap();
    let row = tap.rows(1).await.remove(0);
    assert_eq!((&row["kind"], &row["intercepted"]), (&"tunnel".into(), &false.into()));
    let flow = home.flows().pop().unwrap();
    let because = flow.policy.unwrap().because;
    assert!(because.contains("refused our certificate"), "{because}");
    let tunnel = console.tunnel(tap.address(), OTHER, None).await.unwrap();
    assert!(tunnel.handshake(TlsVersion::Tls12).await.is_err());
    let ended = tap.stop().await;
    assert_eq!(json_lines(&ended.stdout)[1]["kind"], "tls-failure");
    let file = home.path("certs/refusals.json");
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn the_ca_is_made_once_and_its_key_is_its_owners() {
    let home = Home::new();
    let ca = || {
        let read = |name: &str| std::fs::read(home.path("certs").join(name)).unwrap();
        (read("ca.pem"), read("ca-key.pem"))
    };
    home.tap().without_ca().start().await.stop().await;
    let first = ca();
    let mode = |name: &str| home.path(name).metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("certs"), mode("certs/ca-key.pem")), (0o700, 0o600));
    home.tap().arg("--intercept-all").start().await.stop().await;
    assert!(ca() == first, "a second start changes nothing");
}

#[tokio::test]
async fn two_that_start_at_once_share_one_ca() {
    let (home, world) = (Home::new(), World::start().await.unwrap());
    let start = |session| {
        home.tap().without_ca().session(session).world(&world).arg("--intercept-all").start()
    };
    let (one, other) = tokio::join!(start("one"), start("other"));
    let ours = std::fs::read_to_string(home.path("certs/ca.pem")).unwrap();
    let console = Console::ps4("1.51").also_trusting_pem(&ours).unwrap();
    for tap in [one, other] {
        let tunnel = console.tunnel(tap.address(), HOST, None).await.unwrap();
        tunnel.handshake(TlsVersion::Tls13).await.expect("its certificates are of the CA on disk");
    }
}

#[tokio::test]
async fn a_key_that_others_can_read_is_refused_where_tls_is_to_be_opened() {
    let home = Home::new();
    home.tap().start().await.stop().await;
    let key = home.path("certs/ca-key.pem");
    let lax = || std::fs::set_permissions(&key, PermissionsExt::from_mode(0o644)).unwrap();
    lax();
    let certs = home.text("certs");
    let args = ["--listen-host", "127.0.0.1", "--port", "0", "--no-session", "--certs", &certs];
    let with_tls = [&args[..], &["--intercept-all"]].concat();
    let ended = home.run(&with_tls).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains(key.to_str().unwrap()), "{}", ended.stderr);
    assert!(ended.stderr.contains("can be read by others (mode 0644)"), "{}", ended.stderr);

    let tap = home.tap().start().await;
    let warning = eventually("a warning", || {
        let text = tap.stderr();
        text.contains("can be read by others").then_some(text)
    });
    assert!(warning.await.contains("TLS cannot be opened in this run"));
    assert_eq!(tap.stop().await.code, Some(0), "plain HTTP works without it");
}

#[tokio::test]
async fn a_broken_or_a_missing_key_is_told_and_nothing_is_overwritten() {
    let home = Home::new();
    home.tap().start().await.stop().await;
    let certs = home.text("certs");
    let args = ["--listen-host", "127.0.0.1", "--port", "0", "--no-session", "--intercept-all"];
    let args = [&args[..], &["--certs", &certs]].concat();
    let key = home.path("certs/ca-key.pem");
    std::fs::write(&key, "broken").unwrap();
    let ended = home.run(&args).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("ca-key.pem"), "{}", ended.stderr);
    assert_eq!(std::fs::read(&key).unwrap(), b"broken");
    std::fs::remove_file(&key).unwrap();
    let ended = home.run(&args).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("is missing"), "{}", ended.stderr);
    assert!(!key.exists());
}
