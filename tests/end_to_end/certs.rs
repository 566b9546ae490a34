//! Our certificate as people get it: exported, and from the proxy's own page.

use std::os::unix::fs::PermissionsExt as _;

use super::clients::{curl, have_curl};
use super::harness::Home;

/// A home with a CA in it.
async fn home() -> Home {
    let home = Home::new();
    home.tap().start().await.stop().await;
    home
}

#[tokio::test]
async fn the_certificate_is_exported_as_each_console_wants_it() {
    let home = home().await;
    let (certs, out) = (home.text("certs"), home.text("out"));
    let ca = std::fs::read_to_string(home.path("certs/ca.pem")).unwrap();
    let export = async |more: &[&str]| {
        home.run(&[&["certs", "export", "--certs", &certs, "-o", &out], more].concat()).await
    };
    for (more, files) in [
        (&[][..], &["consoletap-ca.pem"][..]),
        (&["--for", "ps3"], &["CA60.cer"]),
        (&["--for", "vita"], &["CA_LIST.cer"]),
        (&["--for", "xbox"], &["consoletap-ca.cer"]),
        (&["--format", "all"], &["consoletap-ca.pem", "consoletap-ca.cer", "consoletap-ca.p12"]),
        (&["--for", "switch"], &[]),
    ] {
        let ended = export(more).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let paths: Vec<String> = files.iter().map(|file| format!("{out}/{file}\n")).collect();
        assert_eq!(ended.stdout, paths.concat(), "{more:?}");
    }
    for pem in ["consoletap-ca.pem", "CA60.cer", "CA_LIST.cer"] {
        assert_eq!(std::fs::read_to_string(home.path("out").join(pem)).unwrap(), ca);
    }
    let ended = export(&["--for", "switch"]).await;
    assert!(ended.stderr.contains("disable_ca_verification"), "{}", ended.stderr);
    let exported = std::fs::read_dir(home.path("out")).unwrap();
    for file in exported.map(|file| file.unwrap().path()) {
        let octets = std::fs::read(&file).unwrap();
        assert!(!String::from_utf8_lossy(&octets).contains("PRIVATE"), "{}", file.display());
    }

    let ended = export(&["--with-key"]).await;
    assert!(ended.stderr.contains("give it to nobody"), "{}", ended.stderr);
    let with_key = home.path("out/consoletap-ca-with-key.pem");
    let text = std::fs::read_to_string(&with_key).unwrap();
    assert!(text.starts_with(&ca) && text.contains("PRIVATE KEY"));
    assert_eq!(with_key.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(export(&["--with-key"]).await.code, Some(1), "it is not written over");

    let shown = home.run(&["certs", "show", "--certs", &certs]).await;
    assert!(shown.stdout.contains("CN=consoletap CA "), "{}", shown.stdout);
    assert!(shown.stdout.contains("SHA-256"), "{}", shown.stdout);
}

#[tokio::test]
async fn a_ca_of_the_users_own_is_used_and_checked() {
    let (home, other) = (Home::new(), home().await);
    let (cert, key) = (other.text("certs/ca.pem"), other.text("certs/ca-key.pem"));
    let args = ["--ca-cert", &cert, "--ca-key", &key];
    let shown = home.run(&[&["certs", "show"], &args[..]].concat()).await;
    assert!(shown.stdout.contains(&cert), "{shown:?}");
    let settings = home.write("own.toml", format!("ca-cert = {cert:?}\nca-key = {key:?}\n"));
    let by_file = home.run(&["certs", "show", "--config", &settings]).await;
    assert_eq!(by_file.stdout, shown.stdout);

    let run = ["--listen-host", "127.0.0.1", "--port", "0", "--no-session"];
    let half = home.run(&[&run[..], &["--ca-cert", &cert]].concat()).await;
    assert_eq!(half.code, Some(2), "{half:?}");
    let file = home.write("half.toml", format!("ca-cert = {cert:?}\n"));
    let half = home.run(&[&run[..], &["--config", &file]].concat()).await;
    assert_eq!(half.code, Some(2), "{half:?}");
    assert!(half.stderr.contains("belong together"), "{}", half.stderr);

    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let lax = home.run(&[&run[..], &args].concat()).await;
    assert_eq!(lax.code, Some(1), "a CA that was named must work: {lax:?}");
    assert!(lax.stderr.contains("chmod 600"), "{}", lax.stderr);
}

#[tokio::test]
async fn the_page_is_there_for_curl_and_tests_itself() {
    if !have_curl() {
        return;
    }
    let home = Home::new();
    let tap = home.tap().start().await;
    let page =
        curl(&home, &tap, &["-A", "Mozilla/5.0 (PLAYSTATION 3; 1.00)", "http://consoletap.test/"]);
    let page = page.await;
    assert_eq!(page.status, 200, "{page:?}");
    assert!(page.text().contains("PlayStation 3"), "{}", page.text());
    let ca = curl(&home, &tap, &["http://consoletap.test/consoletap-ca.pem"]).await;
    assert_eq!(ca.body, std::fs::read(home.path("certs/ca.pem")).unwrap());

    let test = "https://test.consoletap.test/";
    let stranger = curl(&home, &tap, &[test]).await;
    assert_eq!(stranger.code, 60, "curl does not know our CA: {stranger:?}");
    let trusting = curl(&home, &tap, &["--cacert", &home.text("certs/ca.pem"), test]).await;
    assert!(trusting.text().contains("It works"), "{trusting:?}");
    let seen = curl(&home, &tap, &["http://consoletap.test/seen"]).await;
    assert!(seen.text().contains("Nothing yet"), "{}", seen.text());
    assert_eq!(tap.stop().await.code, Some(0));
}

#[cfg(not(feature = "legacy-tls"))]
#[tokio::test]
async fn a_build_without_old_tls_says_so() {
    let home = Home::new();
    for option in ["legacy-tls", "legacy-upstream"] {
        let typed = [&format!("--{option}"), "*.example", "--port", "0", "--no-session"];
        let file = home.write("settings.toml", format!("{option} = [\"*.example\"]\n"));
        let written = ["--config", &file, "--port", "0", "--no-session"];
        for args in [typed, written] {
            let ended = home.run(&args).await;
            assert_eq!(ended.code, Some(2), "{ended:?}");
            assert!(ended.stderr.contains(&format!("{option}: this build")), "{}", ended.stderr);
            assert!(ended.stderr.contains("--features legacy-tls"), "{}", ended.stderr);
        }
    }
}
