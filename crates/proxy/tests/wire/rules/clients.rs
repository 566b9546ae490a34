//! Rules for some clients alone: by address, by network, and by the name that the settings give them.

use std::fs;

use consoletap_proxy::Settings;

use super::{did, rule};
use crate::wire::harness::{Tested, Wanted};

/// What a client from this machine gets, and what the row says.
async fn asked(rules: &str) -> (String, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rules.toml");
    fs::write(&file, rules).unwrap();
    let proxy = Tested::with(Wanted {
        // Nobody listens on port 1.
        settings: Settings {
            redirects: vec!["*=127.0.0.1:1".parse().unwrap()],
            ..Settings::default()
        },
        rules: vec![file.to_str().unwrap().to_owned()],
        clients: vec!["here=127.0.0.1", "tv=192.168.1.20", "lab=127.0.0.0/8"],
        ..Wanted::default()
    })
    .await;
    let got =
        proxy.say("GET http://h.test/ HTTP/1.1\r\nHost: h.test\r\nConnection: close\r\n\r\n").await;
    let status = got.lines().next().unwrap_or_default().to_owned();
    (status, did(&proxy.flow().await))
}

#[tokio::test]
async fn a_rule_is_for_the_clients_that_it_names() {
    let blocks = |lines: &str| rule(&format!("{lines}\nblock = 410"));
    for (rules, fits) in [
        (blocks("client = '127.0.0.1'"), true),
        (blocks("client = '192.168.1.20'"), false),
        (blocks("client = '127.0.0.0/8'"), true),
        (blocks("client = ['10.0.0.0/8', '127.0.0.0/30']"), true),
        (blocks("client = '10.0.0.0/8'"), false),
        (blocks("client = 'here'"), true),
        (blocks("client = 'Here'"), true),
        (blocks("client = 'tv'"), false),
        (blocks("client = ['tv', 'lab']"), true),
        (blocks("").replace("~all", "~client here"), true),
        (blocks("").replace("~all", "~client HERE & ~d h.test"), true),
        (blocks("").replace("~all", "~client tv"), false),
        (blocks("").replace("~all", "!~client tv"), true),
        (blocks("").replace("~all", "~client tv|lab"), true),
        (blocks("").replace("~all", "!~client lab"), false),
    ] {
        let (status, did) = asked(&rules).await;
        assert_eq!(status.contains(" 410 "), fits, "{rules}: {status}");
        let hits: &[&str] = if fits { &["r: answered 410 from here"] } else { &[] };
        assert_eq!(did, hits, "{rules}");
    }
}
