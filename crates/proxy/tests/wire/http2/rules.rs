//! Rules for what is said in HTTP/2.

use std::fs;

use bytes::Bytes;
use consoletap_flow::State;
use http::{Request, Response};

use super::peers::{http2, whole};
use crate::wire::rules::rule;
use crate::wire::tls_peers::{self, TlsOrigin, offering};

#[tokio::test]
async fn files_and_blocks_reach_clients_with_http_2() {
    let origin = TlsOrigin::http2(|_, mut respond| async move {
        let mut stream = respond.send_response(Response::new(()), false).unwrap();
        stream.send_data(Bytes::from_static(b"from the server"), true).unwrap();
    })
    .await;
    let rules = rule("url = 'file'\nmap-local = { folder = 'files' }")
        + &rule("url = 'blocked'\nblock = 403").replace("\"r\"", "\"b\"")
        + &rule("url = 'dropped'\nblock = 'reset'").replace("\"r\"", "\"d\"");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rules.toml");
    fs::write(&file, rules).unwrap();
    let named = vec![file.to_str().unwrap().to_owned()];
    let proxy = origin.proxy_with(|wanted| wanted.rules = named).await;
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

#[tokio::test]
async fn a_rule_changes_an_answer_over_http2() {
    const HOST: &str = "fus01.ps4.update.playstation.net";
    const LIST: &str = include_str!("../../../../documents/samples/ps4-updatelist.xml");
    let origin = TlsOrigin::start(HOST, &["h2"], |tls| async move {
        let mut connection = h2::server::handshake(tls).await.unwrap();
        let (_, mut respond) = connection.accept().await.unwrap().unwrap();
        let head = Response::builder().header("content-length", LIST.len()).body(()).unwrap();
        let mut stream = respond.send_response(head, false).unwrap();
        stream.send_data(LIST.into(), true).unwrap();
        while connection.accept().await.is_some() {}
    })
    .await;
    let proxy = origin
        .proxy_with(|wanted| {
            wanted.rules = vec!["firmware-guard".to_owned()];
            wanted.settings.redirects = vec![format!("*={}", origin.address).parse().unwrap()];
        })
        .await;
    let config = offering(&proxy, &["h2"]);
    let tls = tls_peers::tls(&proxy, &format!("{HOST}:443"), HOST, config).await.unwrap();
    let (mut client, connection) = h2::client::handshake::<_>(tls).await.unwrap();
    tokio::spawn(connection);
    let uri = format!("https://{HOST}/update/ps4/list/us/ps4-updatelist.xml");
    let answer = client.send_request(Request::get(uri).body(()).unwrap(), true).unwrap().0;
    let answer = answer.await.unwrap();
    let length = answer.headers()["content-length"].to_str().unwrap().to_owned();
    let (octets, _) = whole(answer.into_body()).await.unwrap();
    assert_ne!(octets, LIST.as_bytes());
    assert_eq!(length, octets.len().to_string());
    drop(client);
    assert_eq!(proxy.flows().await[1].rules.len(), 1);
}
