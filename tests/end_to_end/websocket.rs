//! WebSockets: in plain HTTP, inside opened TLS, and refused ones.

use std::net::SocketAddr;
use std::sync::Arc;

use consoletap_simulator::RawOrigin;
use futures_util::{SinkExt as _, StreamExt as _};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::{Bytes, Message};

use super::clients::{connect, handshake, read_head, speak};
use super::harness::{Home, PATIENCE};

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const UPGRADE: &str = "GET http://push.example/events HTTP/1.1\r\nHost: push.example\r\n\
    Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

#[tokio::test]
async fn a_plain_websocket_passes_both_ways() {
    let home = Home::new();
    let (address, _) = echo(None).await;
    let tap =
        home.tap().args(["--resolve".to_owned(), format!("push.example={address}")]).start().await;
    let mut stream = TcpStream::connect(tap.address()).await.unwrap();
    stream.write_all(UPGRADE.as_bytes()).await.unwrap();
    let head = read_head(&mut stream).await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert!(head.to_lowercase().contains("upgrade: websocket"), "{head}");
    assert!(head.contains(&derive_accept_key(KEY.as_bytes())), "{head}");
    converse(WebSocketStream::from_raw_socket(stream, Role::Client, None).await).await;

    let row = tap.rows(1).await.remove(0);
    assert_eq!((&row["kind"], &row["status"]), (&"websocket".into(), &101.into()));
    assert_eq!(
        (&row["url"], &row["state"]),
        (&"http://push.example/events".into(), &"complete".into())
    );
    assert!(row["request_bytes"].as_u64().unwrap() > 200_000, "{row}");
    assert!(row["response_bytes"].as_u64().unwrap() > 200_000, "{row}");
}

#[tokio::test]
async fn a_websocket_in_opened_tls_passes_both_ways() {
    let home = Home::new();
    let certified = rcgen::generate_simple_self_signed(vec!["push.example".to_owned()]).unwrap();
    let pem = home.write("push.pem", certified.cert.pem());
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key)
        .unwrap();
    let (address, _) = echo(Some(TlsAcceptor::from(Arc::new(config)))).await;
    let tap = home
        .tap()
        .args(["--resolve".to_owned(), format!("push.example={address}")])
        .args(["--intercept", "push.example", "--upstream-ca", &pem])
        .start()
        .await;
    let ours = std::fs::read_to_string(home.path("certs/ca.pem")).unwrap();
    let tunnel = connect(&tap, "push.example:443").await;
    let tls = handshake(tunnel, "push.example", &ours, &["http/1.1"]).await.unwrap();
    let joining = tokio_tungstenite::client_async("wss://push.example/events", tls);
    let (socket, answer) = joining.await.unwrap();
    assert_eq!(answer.status(), 101);
    converse(socket).await;

    let row = tap.row("the WebSocket", |row| row["kind"] == "websocket").await;
    assert_eq!(row["url"], "https://push.example/events");
    assert_eq!(row["state"], "complete", "{row}");
    let tunnel = tap.row("its tunnel", |row| row["kind"] == "tunnel").await;
    assert_eq!(row["tunnel"], tunnel["id"]);
}

#[tokio::test]
async fn a_refused_upgrade_stays_refused() {
    let home = Home::new();
    let refusal = "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno";
    let origin = RawOrigin::answer(refusal).await.unwrap();
    let redirect = format!("push.example={}", origin.address());
    let tap = home.tap().args(["--resolve", &redirect]).start().await;
    let upgrade = UPGRADE.replace("Connection: Upgrade", "Connection: Upgrade, close");
    let answer = speak(tap.address(), upgrade).await;
    assert!(answer.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nno"), "{answer}");
    let row = tap.rows(1).await.remove(0);
    assert_eq!((&row["kind"], &row["status"]), (&"http".into(), &403.into()));
    let asked = String::from_utf8(origin.received().concat()).unwrap().to_lowercase();
    assert!(asked.contains("upgrade: websocket\r\n"), "{asked}");
    assert!(asked.contains("sec-websocket-key: dghlihnhbxbszsbub25jzq==\r\n"), "{asked}");
}

/// Says things of several sizes, hears them again, and says good-bye.
async fn converse<S: AsyncRead + AsyncWrite + Unpin>(mut socket: WebSocketStream<S>) {
    let talking = async {
        for message in [
            Message::text("hello"),
            Message::binary(Bytes::new()),
            Message::binary(vec![0xff; 200_000]),
        ] {
            socket.send(message.clone()).await.unwrap();
            assert!(socket.next().await.unwrap().unwrap() == message);
        }
        socket.close(None).await.unwrap();
        while let Some(Ok(_)) = socket.next().await {}
    };
    timeout(PATIENCE, talking).await.expect("the echo answers");
}

/// A server that says again what it hears.
async fn echo(tls: Option<TlsAcceptor>) -> (SocketAddr, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        match tls {
            Some(tls) => repeat(tls.accept(stream).await.unwrap()).await,
            None => repeat(stream).await,
        }
    });
    (address, serving)
}

async fn repeat<S: AsyncRead + AsyncWrite + Unpin>(stream: S) {
    let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
    while let Some(Ok(message)) = socket.next().await {
        if message.is_text() || message.is_binary() {
            socket.send(message).await.unwrap();
        }
    }
}
