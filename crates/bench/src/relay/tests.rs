//! The yardstick must be honest: what it does is what a proxy must do.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;
use crate::client::{Reuse, Route, dial, skip};
use crate::origin;

/// An origin and a relay in this process.
struct Bench {
    folder: TempDir,
    origin: SocketAddr,
    relay: SocketAddr,
    relay_authority: AuthorityFiles,
}

impl Bench {
    /// `trusted` is the authority the relay verifies the origin with: `origin` is right.
    async fn start(intercept: bool, trusted: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let origin_authority = AuthorityFiles::create(folder.path(), "origin").unwrap();
        let relay_authority = AuthorityFiles::create(folder.path(), "relay").unwrap();
        let acceptor = origin::acceptor(&Authority::load(&origin_authority).unwrap()).unwrap();
        let (origin, listener) = bind().await;
        tokio::spawn(origin::serve(listener, acceptor, None));
        let tls = client_config(&folder.path().join(format!("{trusted}.pem"))).unwrap();
        let authority = intercept.then(|| Authority::load(&relay_authority).unwrap());
        let (relay, listener) = bind().await;
        tokio::spawn(Relay::new(Upstream::new(origin, tls), authority).serve(listener));
        Self { folder, origin, relay, relay_authority }
    }

    fn route(&self, certificate: Option<&Path>) -> Route {
        let tls = certificate.map(|file| Arc::new(client_config(file).unwrap()));
        let host = "www.bench.test".to_owned();
        Route { origin: self.origin, proxy: Some(self.relay), tls, host }
    }
}

async fn bind() -> (SocketAddr, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    (listener.local_addr().unwrap(), listener)
}

#[tokio::test]
async fn passes_plain_answers_on() {
    let bench = Bench::start(false, "origin").await;
    let route = bench.route(None);
    let mut connection = route.open().await.unwrap();
    for _ in 0..3 {
        let request = route.request("/bytes/300000", Reuse::KeepAlive);
        assert_eq!(connection.exchange(&request).await.unwrap(), 300_000);
    }
}

#[tokio::test]
async fn opens_tls_with_its_own_certificate() {
    let bench = Bench::start(true, "origin").await;
    let route = bench.route(Some(&bench.relay_authority.certificate));
    let mut connection = route.open().await.unwrap();
    let request = route.request("/bytes/300000", Reuse::KeepAlive);
    assert_eq!(connection.exchange(&request).await.unwrap(), 300_000);
    // The origin's own certificate is not what the client sees.
    let origin = bench.folder.path().join("origin.pem");
    assert!(bench.route(Some(&origin)).open().await.is_err());
}

#[tokio::test]
async fn verifies_the_upstream_certificate() {
    let bench = Bench::start(true, "relay").await;
    let route = bench.route(Some(&bench.relay_authority.certificate));
    let mut connection = route.open().await.unwrap();
    let error = connection.exchange(&route.request("/1k", Reuse::KeepAlive)).await.unwrap_err();
    assert!(error.to_string().contains("502"), "{error:#}");
}

#[tokio::test]
async fn tunnels_what_it_does_not_open() {
    let bench = Bench::start(false, "origin").await;
    let origin = bench.folder.path().join("origin.pem");
    let route = bench.route(Some(&origin));
    let mut connection = route.open().await.unwrap();
    let length = connection.exchange(&route.request("/1k", Reuse::Close)).await.unwrap();
    assert_eq!(length, origin::SMALL_BYTES as u64);

    let mut stream = bench.route(None).tunnel().await.unwrap();
    stream.write_all(b"\0bytes 700000\r\n\r\n").await.unwrap();
    skip(&mut stream, 700_000, &mut Vec::new()).await.unwrap();
}

#[tokio::test]
async fn refuses_what_is_no_proxy_request() {
    let bench = Bench::start(false, "origin").await;
    for request in ["GET / HTTP/1.1\r\nHost: a\r\n\r\n", "CONNECT www.bench.test HTTP/1.1\r\n\r\n"]
    {
        let mut stream = dial(bench.relay).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 400", "{request:?}");
    }
}

/// Clients that close do not close the connection above, and nobody's `Connection` travels on.
#[tokio::test]
async fn keeps_one_upstream_connection_for_clients_in_turn() {
    let folder = tempfile::tempdir().unwrap();
    let files = AuthorityFiles::create(folder.path(), "unused").unwrap();
    let (origin, listener) = bind().await;
    let accepted = Arc::new(AtomicUsize::new(0));
    tokio::spawn(count_and_answer(listener, Arc::clone(&accepted)));
    let (relay, listener) = bind().await;
    let tls = client_config(&files.certificate).unwrap();
    tokio::spawn(Relay::new(Upstream::new(origin, tls), None).serve(listener));

    let route = Route { origin, proxy: Some(relay), tls: None, host: "www.bench.test".into() };
    for _ in 0..5 {
        let mut connection = route.open().await.unwrap();
        let request = route.request("/", Reuse::Close);
        assert_eq!(connection.exchange(&request).await.unwrap(), 2);
        // Read to the end: by then the relay has given its upstream connection back.
        connection.end().await;
    }
    assert_eq!(accepted.load(Ordering::SeqCst), 1);
}

/// An origin that answers 200 only to a request without `Connection`.
async fn count_and_answer(listener: TcpListener, accepted: Arc<AtomicUsize>) {
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        accepted.fetch_add(1, Ordering::SeqCst);
        tokio::spawn(async move {
            let mut received = Vec::new();
            while stream.read_buf(&mut received).await.unwrap_or(0) > 0 {
                let head = String::from_utf8_lossy(&received).to_ascii_lowercase();
                if !head.ends_with("\r\n\r\n") {
                    continue;
                }
                let status = if head.contains("\r\nconnection:") { 500 } else { 200 };
                let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: 2\r\n\r\nok");
                stream.write_all(answer.as_bytes()).await.unwrap();
                received.clear();
            }
        });
    }
}
