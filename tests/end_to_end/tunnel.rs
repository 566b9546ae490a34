//! CONNECT, passed on blind.

use consoletap_simulator::{Act, Console, LegacyHello, RawOrigin, TlsVersion, World};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::clients::{connect, curl, have_curl, speak};
use super::harness::Home;

const HOST: &str = "fswitch.dl.playstation.net";

#[tokio::test]
async fn curl_goes_through_a_blind_tunnel_with_the_servers_own_certificate() {
    if !have_curl() {
        return;
    }
    let (home, world) = (Home::new(), World::start().await.unwrap());
    let tap = home.tap().world(&world).start().await;
    let roots = home.write("world.pem", world.ca_pem());
    let url = format!("https://{HOST}/");
    let got = curl(&home, &tap, &["--cacert", &roots, &url]).await;
    assert_eq!((got.code, got.status), (0, 200), "{got:?}");
    assert!(world.requests()[0].tls);

    let row = tap.rows(1).await.remove(0);
    assert_eq!(row["kind"], "tunnel");
    assert_eq!((&row["status"], &row["intercepted"]), (&200.into(), &false.into()));
    assert_eq!((&row["platform"], &row["category"]), (&"ps4".into(), &"feature-switch".into()));
    assert_eq!((&row["sni"], &row["state"]), (&HOST.into(), &"complete".into()));
    let flow = home.flows().remove(0);
    assert_eq!(flow.server_hello.unwrap().version, 0x0304, "curl speaks TLS 1.3");
    assert_eq!(flow.finished.unwrap().server, Some(world.address()));

    let distrusts = curl(&home, &tap, &[&url]).await;
    assert_eq!(distrusts.code, 60, "curl checks certificates: {}", distrusts.complaint);
}

#[tokio::test]
async fn what_is_in_a_tunnel_comes_out_to_the_octet() {
    let home = Home::new();
    let acts = vec![Act::Read(5), Act::Send("hello back".into()), Act::FinishSending, Act::Hold];
    let origin = RawOrigin::play(acts).await.unwrap();
    let redirect = format!("a.example={}", origin.address());
    let tap = home.tap().args(["--resolve", &redirect]).start().await;
    let mut tunnel = connect(&tap, "a.example:9999").await;
    tunnel.write_all(b"\0\x01\xff\n\r").await.unwrap();
    let mut answer = String::new();
    tunnel.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, "hello back");
    tunnel.write_all(b"still here").await.unwrap();
    tunnel.shutdown().await.unwrap();
    let row = tap.rows(1).await.remove(0);
    assert_eq!(origin.received(), [b"\0\x01\xff\n\rstill here"], "a closed half is one half");
    assert_eq!((&row["request_bytes"], &row["response_bytes"]), (&15.into(), &10.into()));
    assert_eq!(row["state"], "complete", "{row}");
}

#[tokio::test]
async fn a_server_may_speak_first() {
    let home = Home::new();
    let acts = vec![Act::Send("220 welcome\r\n".into()), Act::Hold];
    let origin = RawOrigin::play(acts).await.unwrap();
    let redirect = format!("a.example={}", origin.address());
    // Even where TLS is to be opened: there is none here.
    let tap = home.tap().args(["--intercept-all", "--resolve", &redirect]).start().await;
    let mut tunnel = connect(&tap, "a.example:25").await;
    let mut greeting = [0; 13];
    tunnel.read_exact(&mut greeting).await.unwrap();
    assert_eq!(&greeting, b"220 welcome\r\n");
}

#[tokio::test]
async fn an_old_console_is_told_by_its_hello_and_passed_on() {
    let (home, world) = (Home::new(), World::start().await.unwrap());
    let tap = home.tap().arg("--intercept-all").world(&world).start().await;
    let tunnel = Console::ps3("4.81").tunnel(tap.address(), HOST, None).await.unwrap();
    let reply = tunnel.send_hello(&LegacyHello::ps3_4_81()).await.unwrap();
    assert_ne!(reply, consoletap_simulator::HelloReply::Closed, "the server itself answers");
    let row = tap.rows(1).await.remove(0);
    assert_eq!(row["kind"], "tunnel");
    assert_eq!(row["intercepted"], false);
    assert_eq!(row["ja3"].as_str().unwrap().len(), 32);
    let flow = home.flows().remove(0);
    let because = flow.policy.unwrap().because;
    assert!(because.starts_with("not opened: "), "{because}");
    assert_eq!(row["tls"]["policy"]["because"], because);
    assert_eq!(row["tls"]["offered"]["versions"], serde_json::json!(["TLS 1.0"]));
}

#[tokio::test]
async fn a_tunnel_to_nowhere_is_a_502_that_says_why() {
    let home = Home::new();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let tap = home.tap().start().await;
    let own = tap.address();
    for (authority, status, why) in [
        ("console.invalid:443".to_owned(), 502, "console.invalid is not known"),
        (nobody.to_string(), 502, "refused the connection"),
        (own.to_string(), 508, "leads back to this proxy"),
    ] {
        let request = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n");
        let answer = speak(own, request).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{authority}: {answer}");
        assert!(answer.contains(why), "{authority}: {answer}");
        let row = tap.row(&authority, |row| row["url"] == authority.as_str()).await;
        assert!(row["error"].as_str().unwrap().contains(why), "{row}");
    }
}

#[tokio::test]
async fn both_versions_of_tls_pass() {
    let (home, world) = (Home::new(), World::start().await.unwrap());
    let tap = home.tap().world(&world).start().await;
    let console = Console::ps4("1.51").trusting(world.roots());
    for (number, version) in [TlsVersion::Tls12, TlsVersion::Tls13].into_iter().enumerate() {
        let tunnel = console.tunnel(tap.address(), HOST, None).await.unwrap();
        tunnel.handshake(version).await.unwrap().close().await.unwrap();
        tap.rows(number + 1).await;
    }
    let flows = home.flows();
    let versions = flows.iter().map(|flow| flow.server_hello.as_ref().unwrap().version);
    assert_eq!(versions.collect::<Vec<_>>(), [0x0303, 0x0304]);
    // Up to TLS 1.2 the certificate passes in the clear.
    let [old, new] = &flows[..] else { panic!("{flows:#?}") };
    let certificate = old.certificate.as_ref().unwrap();
    assert!(certificate.names.iter().any(|name| name == HOST), "{certificate:?}");
    assert_eq!(new.certificate, None);
}
