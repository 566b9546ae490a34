//! A build without HTTP/2: nobody is offered it, and who speaks nothing else is left alone.

use consoletap_flow::{Kind, TlsAction, Version};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::tls_peers::{TlsOrigin, offering, offering_directly, tls};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";

/// A server that would rather speak HTTP/2, and answers one request of HTTP/1.1.
async fn origin() -> TlsOrigin {
    TlsOrigin::start("h.test", &["h2", "http/1.1"], |mut tls| async move {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") && tls.read_buf(&mut head).await.unwrap_or(0) > 0 {}
        let _ = tls.write_all(ANSWER).await;
        let _ = tls.shutdown().await;
    })
    .await
}

#[tokio::test]
async fn who_offers_both_is_answered_in_http1_and_so_is_its_server_asked() {
    let origin = origin().await;
    let proxy = origin.proxy().await;
    let config = offering(&proxy, &["h2", "http/1.1"]);
    let mut client = tls(&proxy, "h.test:443", "h.test", config).await.unwrap();
    assert_eq!(client.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    let request = b"GET / HTTP/1.1\r\nHost: h.test\r\nConnection: close\r\n\r\n";
    client.write_all(request).await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nok"),
        "{answer}"
    );
    drop(client);
    let flows = proxy.flows().await;
    let [tunnel, inside] = flows.as_slice() else { panic!("{flows:#?}") };
    assert_eq!(tunnel.hello.as_ref().unwrap().alpn, ["h2", "http/1.1"]);
    assert_eq!(inside.response.as_ref().unwrap().version, Version::Http11);
    assert_eq!(inside.server_hello.as_ref().unwrap().alpn.as_deref(), Some("http/1.1"));
}

#[tokio::test]
async fn who_offers_http2_alone_is_tunnelled_and_its_row_says_why() {
    let origin = origin().await;
    let proxy = origin.proxy().await;
    // The server's own certificate comes through.
    let client = tls(&proxy, "h.test:443", "h.test", offering_directly(&["h2"])).await.unwrap();
    assert_eq!(client.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    drop(client);
    let flow = proxy.flow().await;
    assert_eq!((flow.kind, flow.intercepted), (Kind::Tunnel, false));
    let policy = flow.policy.unwrap();
    assert_eq!(policy.action, TlsAction::Tunnel);
    let why =
        "not opened: the client offers HTTP/2 alone, which a build with the feature http2 speaks";
    assert_eq!(policy.because, why);
}
