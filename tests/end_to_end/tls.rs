//! What is learned of TLS, and what is written of its secrets, as a person sees it.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use consoletap_simulator::{Console, TlsVersion, World};

use super::harness::{Home, PATIENCE, json_lines};

const HOST: &str = "fswitch.dl.playstation.net";

#[tokio::test]
async fn a_refusal_is_listed_and_cleared_while_the_proxy_runs() {
    let (home, world) = (Home::new(), World::start().await.unwrap());
    // It believes the servers, and not our CA.
    let console = Console::ps4("1.51").trusting(world.roots());
    let tap = home.tap().world(&world).arg("--intercept-all").start().await;
    let opened = async || {
        let tunnel = console.tunnel(tap.address(), HOST, None).await.unwrap();
        tunnel.handshake(TlsVersion::Tls12).await.is_err()
    };
    assert!(opened().await, "our certificate is refused");
    tap.rows(1).await;
    let certs = home.text("certs");
    let list = home.run(&["tls", "learned", "--certs", &certs, "--json"]).await;
    let [refused] = &json_lines(&list.stdout)[..] else { panic!("{list:?}") };
    assert_eq!((&refused["host"], &refused["client"]), (&HOST.into(), &"127.0.0.1".into()));
    let table = home.run(&["tls", "learned", "--certs", &certs]).await;
    assert!(table.stdout.contains(HOST) && table.stdout.contains("unknown_ca"), "{table:?}");
    assert!(!opened().await, "the server itself is met");

    let cleared = home.run(&["tls", "learned", "--certs", &certs, "--clear", HOST]).await;
    assert_eq!(cleared.code, Some(0), "{cleared:?}");
    assert!(cleared.stderr.contains("Forgot 1 refusal"), "{cleared:?}");
    let noticed = async {
        while !opened().await {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(PATIENCE, noticed).await.expect("the proxy looks at the list again");
    let wrong = home.run(&["tls", "learned", "--certs", &certs, "--clear", "http://x"]).await;
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
}

#[tokio::test]
async fn secrets_are_written_only_when_asked_for_and_that_is_said() {
    let (home, world) = (Home::new(), World::start().await.unwrap());
    for asked in [false, true] {
        let start = home.tap().trusted_world(&world).arg("--intercept-all");
        let start = match asked {
            true => start.by_shell(r#"export SSLKEYLOGFILE="$HOME/keys.txt"; exec "$@""#),
            false => start,
        };
        let tap = start.start().await;
        assert_eq!(tap.stderr().contains("SECRETS ARE WRITTEN"), asked, "{}", tap.stderr());
        if asked {
            let ca = home.text("certs/ca.pem");
            let url = format!("https://{HOST}/");
            if super::clients::have_curl() {
                let args = ["--http1.1", "--cacert", &ca, &url];
                assert_eq!(super::clients::curl(&home, &tap, &args).await.code, 0);
                let text = std::fs::read_to_string(home.path("keys.txt")).unwrap();
                // The console's side and the server's.
                assert_eq!(text.matches("CLIENT_HANDSHAKE_TRAFFIC_SECRET ").count(), 2, "{text}");
            }
            let mode = std::fs::metadata(home.path("keys.txt")).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        } else {
            assert!(!home.path("keys.txt").exists());
        }
        assert_eq!(tap.stop().await.code, Some(0));
    }
}

/// Asked for on the command line and in the settings file, for all hosts or for some.
#[tokio::test]
async fn names_of_servers_are_copied_where_that_is_asked_for() {
    if !super::clients::have_curl() {
        return;
    }
    for (setting, copied) in [
        ("copy-upstream-names = true", true),
        ("copy-upstream-names = [\"*.playstation.net\"]", true),
        ("copy-upstream-names = [\"*.example\"]", false),
    ] {
        let (home, world) = (Home::new(), World::start().await.unwrap());
        let file = home.write("settings.toml", setting);
        let start = home.tap().trusted_world(&world).arg("--intercept-all");
        let tap = start.arg("--config").arg(&file).start().await;
        let args =
            ["--http1.1", "--cacert", &home.text("certs/ca.pem"), &format!("https://{HOST}/")];
        assert_eq!(super::clients::curl(&home, &tap, &args).await.code, 0);
        assert_eq!(tap.stop().await.code, Some(0));
        let flows = home.flows();
        assert!(flows[0].intercepted && flows[0].notes.is_empty(), "{:?}", flows[0].notes);
        // The server was asked for its certificate in the tunnel, or else for the first request.
        let shown = [&flows[0], &flows[1]].map(|flow| flow.certificate.is_some());
        assert_eq!(shown, [copied, !copied], "{setting}");
    }
}

#[tokio::test]
async fn a_client_certificate_that_cannot_be_read_is_told_at_the_start() {
    let home = Home::new();
    let file = home.write("console.p12", "no P12");
    let cert = format!("*.example={file}");
    let ended = home.run(&["--port", "0", "--no-session", "--client-cert", &cert]).await;
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("console.p12"), "{}", ended.stderr);
    assert!(ended.stderr.contains("has it a password?"), "{}", ended.stderr);
    let ended = home.run(&["--port", "0", "--client-cert", "console.p12"]).await;
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("HOST-GLOB=FILE"), "{}", ended.stderr);
}
