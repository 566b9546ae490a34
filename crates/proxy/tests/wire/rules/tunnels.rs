//! Rules for tunnels, and rules inside of opened ones.

use std::fs;

use bytes::Bytes;
use consoletap_flow::{Kind, State};
use consoletap_proxy::TlsPolicy;
use http::Request;

use super::{did, rule};
use crate::wire::harness::Tested;
use crate::wire::tls_peers::{self, TlsOrigin, http2, offering, whole};

/// A proxy that opens what rules and this policy want.
async fn ruled(origin: &TlsOrigin, rules: &str, policy: TlsPolicy) -> (Tested, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rules.toml");
    fs::write(&file, rules).unwrap();
    let proxy = origin
        .proxy_with(|wanted| {
            wanted.rules = vec![file.to_str().unwrap().to_owned()];
            wanted.settings.tls = policy;
        })
        .await;
    (proxy, folder)
}

async fn origin() -> TlsOrigin {
    TlsOrigin::http2(|_, mut respond| async move {
        let answer = http::Response::new(());
        let mut stream = respond.send_response(answer, false).unwrap();
        stream.send_data(Bytes::from_static(b"from the server"), true).unwrap();
    })
    .await
}

#[tokio::test]
async fn a_rule_opens_a_tunnel_that_the_settings_leave_alone() {
    let origin = origin().await;
    let (proxy, _folder) = ruled(&origin, &rule("tls = 'intercept'"), TlsPolicy::default()).await;
    let client = http2(&proxy).await;
    drop(client);
    let flows = proxy.flows().await;
    assert!(flows[0].intercepted, "{flows:#?}");
    assert_eq!(did(&flows[0]), ["r: wants the tunnel opened"]);
}

#[tokio::test]
async fn a_rule_keeps_a_tunnel_closed_that_the_settings_open() {
    let origin = origin().await;
    let policy = TlsPolicy { intercept_all: true, ..TlsPolicy::default() };
    let (proxy, _folder) = ruled(&origin, &rule("tls = 'tunnel'"), policy).await;
    // The server's own certificate comes through, which this client does not believe.
    let tls = tls_peers::tls(&proxy, "h.test:443", "h.test", offering(&proxy, &["h2"])).await;
    assert!(tls.is_err());
    let flow = proxy.flow().await;
    assert_eq!((flow.kind, flow.intercepted), (Kind::Tunnel, false));
}

#[tokio::test]
async fn files_and_blocks_reach_clients_with_http_2() {
    let origin = origin().await;
    let rules = rule("url = 'file'\nmap-local = { folder = 'files' }")
        + &rule("url = 'blocked'\nblock = 403").replace("\"r\"", "\"b\"")
        + &rule("url = 'dropped'\nblock = 'reset'").replace("\"r\"", "\"d\"");
    let policy = TlsPolicy { intercept_all: true, ..TlsPolicy::default() };
    let (proxy, folder) = ruled(&origin, &rules, policy).await;
    let content: Vec<u8> = (0..3_000_000_u32).map(|at| (at % 251) as u8).collect();
    fs::create_dir(folder.path().join("files")).unwrap();
    fs::write(folder.path().join("files/file.pkg"), &content).unwrap();
    let mut client = http2(&proxy).await;
    let mut ask = |path: &str, range: &str| {
        let request = Request::get(format!("https://h.test/{path}")).header("range", range);
        client.send_request(request.body(()).unwrap(), true).unwrap().0
    };
    for (range, status, expected) in [
        ("bytes=1000000-1999999", 206, &content[1_000_000..2_000_000]),
        ("bytes=0-", 206, &content[..]),
        ("none", 200, &content[..]),
    ] {
        let answer = ask("file.pkg", range).await.unwrap();
        assert_eq!(answer.status(), status);
        assert_eq!(answer.headers()["content-length"], expected.len().to_string());
        let (octets, _) = whole(answer.into_body()).await.unwrap();
        assert!(octets == expected, "{range}");
    }
    assert_eq!(ask("blocked", "none").await.unwrap().status(), 403);
    assert!(ask("dropped", "none").await.is_err());
    let (octets, _) = whole(ask("other", "none").await.unwrap().into_body()).await.unwrap();
    assert_eq!(octets, b"from the server");
    drop(client);
    let flows = proxy.flows().await;
    assert_eq!(flows[1].state(), State::Complete);
    assert_eq!(flows[1].response_bytes, 1_000_000);
}
