//! The simulated internet: one listener that answers for every host of the consoles.
//!
//! The first byte of a connection tells TLS from HTTP, so that one port serves both the port 80
//! and the port 443 of a host. hyper parses the requests: what a proxy sends on is judged by an
//! implementation that the proxy does not share.

mod answer;
mod authority;
mod head_tap;
#[cfg(feature = "legacy-tls")]
mod legacy_server;
mod raw;
mod seen;

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, Version, header};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

pub(crate) use answer::{Answer, Question};
#[cfg(feature = "legacy-tls")]
pub use legacy_server::{LegacyServer, LegacyVersion};
pub use raw::{Act, RawOrigin};
pub use seen::SeenRequest;

use crate::answers::{self, Sizes};
use crate::origin::answer::AnswerBody;
use crate::origin::authority::Authority;
use crate::origin::head_tap::{HeadTap, Heads};
use crate::origin::seen::{Entry, Log};

/// The servers that consoles talk to, on one port of loopback. They stop when this is dropped.
#[derive(Debug)]
pub struct World {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: AbortHandle,
}

#[derive(Debug)]
struct Shared {
    sizes: Sizes,
    authority: Arc<Authority>,
    log: Log,
    connections: AtomicU64,
}

/// The domains of the documented hosts.
const DOMAINS: [&str; 8] = [
    "*.playstation.net",
    "*.playstation.org",
    "*.playstation.com",
    "*.station.sony.com",
    "*.ribob01.net",
    "*.nintendo.net",
    "*.nintendowifi.net",
    "*.msftncsi.com",
];

impl World {
    /// Starts the servers, with files small enough for a demonstration.
    ///
    /// # Errors
    /// If no port of loopback can be had or no certificate can be made.
    pub async fn start() -> io::Result<Self> {
        Self::start_with(Sizes::default()).await
    }

    /// Starts the servers, with files of the given sizes.
    ///
    /// # Errors
    /// As [`World::start`].
    pub async fn start_with(sizes: Sizes) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let authority = Arc::new(Authority::new().map_err(io::Error::other)?);
        let acceptor = TlsAcceptor::from(Arc::new(authority.server_config()));
        let connections = AtomicU64::new(0);
        let shared = Arc::new(Shared { sizes, authority, log: Log::default(), connections });
        let serving = accept(listener, acceptor, Arc::clone(&shared));
        let accepting = tokio::spawn(serving).abort_handle();
        Ok(Self { address, shared, accepting })
    }

    /// Where it listens, for HTTP and TLS alike.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Rules for `--resolve` that lead every documented host here.
    #[must_use]
    pub fn resolve_rules(&self) -> Vec<String> {
        DOMAINS.iter().map(|domain| format!("{domain}={}", self.address)).collect()
    }

    /// The root under which the servers' certificates hang.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        self.shared.authority.root_pem()
    }

    /// The same root, as a console has it built in.
    #[must_use]
    pub fn roots(&self) -> rustls::RootCertStore {
        self.shared.authority.roots()
    }

    /// Sizes of the files.
    #[must_use]
    pub fn sizes(&self) -> Sizes {
        self.shared.sizes
    }

    /// The requests that have come so far, in the order of their heads.
    #[must_use]
    pub fn requests(&self) -> Vec<SeenRequest> {
        self.shared.log.all()
    }

    /// How many connections have been accepted so far.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::Relaxed)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Ends, with all connections, when the task is aborted.
async fn accept(listener: TcpListener, acceptor: TlsAcceptor, shared: Arc<Shared>) {
    let mut open = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let connection = shared.connections.fetch_add(1, Ordering::Relaxed);
        // A client that goes away or sends nonsense is none of the world's business.
        open.spawn(serve(stream, acceptor.clone(), Arc::clone(&shared), connection));
        while open.try_join_next().is_some() {}
    }
}

async fn serve(
    stream: TcpStream,
    acceptor: TlsAcceptor,
    shared: Arc<Shared>,
    connection: u64,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    stream.set_nodelay(true)?;
    let mut first = [0];
    stream.peek(&mut first).await?;
    let answers = Answers { shared, connection, tls: first[0] == 0x16 };
    if !answers.tls {
        return answers.speak_http1(stream).await;
    }
    let stream = acceptor.accept(stream).await?;
    if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
        return answers.speak_http2(stream).await;
    }
    answers.speak_http1(stream).await
}

/// The answers on one connection.
#[derive(Debug, Clone)]
struct Answers {
    shared: Arc<Shared>,
    connection: u64,
    tls: bool,
}

impl Answers {
    async fn speak_http1<S>(self, stream: S) -> Result<(), Box<dyn std::error::Error + Send + Sync>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let (stream, heads) = HeadTap::new(stream);
        let service = service_fn(move |request| self.clone().answer(request, Some(heads.clone())));
        hyper::server::conn::http1::Builder::new()
            .title_case_headers(true)
            .half_close(true)
            .serve_connection(TokioIo::new(stream), service)
            .await?;
        Ok(())
    }

    async fn speak_http2<S>(self, stream: S) -> Result<(), Box<dyn std::error::Error + Send + Sync>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let service = service_fn(move |request| self.clone().answer(request, None));
        hyper::server::conn::http2::Builder::new(TokioExecutor::new())
            .serve_connection(TokioIo::new(stream), service)
            .await?;
        Ok(())
    }

    async fn answer(
        self,
        request: Request<Incoming>,
        heads: Option<Heads>,
    ) -> Result<Response<AnswerBody>, Infallible> {
        let seen = self.see(&request, heads.and_then(|heads| heads.take()));
        let answer = self.answer_to(&seen);
        let entry = self.shared.log.add(seen);
        let body = request.into_body();
        if answer.at_once {
            tokio::spawn(receive(body, entry));
        } else {
            receive(body, entry).await;
        }
        Ok(answer.into_response())
    }

    fn see(&self, request: &Request<Incoming>, raw_head: Option<Vec<u8>>) -> SeenRequest {
        let raw_head = raw_head.unwrap_or_default();
        let mut seen = SeenRequest {
            connection: self.connection,
            tls: self.tls,
            version: format!("{:?}", request.version()),
            method: request.method().to_string(),
            target: request.uri().to_string(),
            headers: header_lines(&raw_head),
            raw_head,
            body_length: 0,
            body_complete: false,
        };
        if request.version() == Version::HTTP_2 {
            let authority = request.uri().authority().map(|a| ("host".to_owned(), a.to_string()));
            let fields = request.headers().iter().map(|(name, value)| {
                (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
            });
            seen.headers = authority.into_iter().chain(fields).collect();
            seen.target =
                request.uri().path_and_query().map(ToString::to_string).unwrap_or_default();
        }
        seen
    }

    fn answer_to(&self, seen: &SeenRequest) -> Answer {
        let target = match seen.target.split_once("://") {
            Some((_, rest)) => rest.find('/').map_or("/", |slash| &rest[slash..]),
            None => &seen.target,
        };
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let question = Question {
            method: &seen.method,
            host: seen.host(),
            path,
            query,
            agent: seen.header(header::USER_AGENT.as_str()).unwrap_or_default(),
            range: seen.header(header::RANGE.as_str()),
            if_range: seen.header(header::IF_RANGE.as_str()),
        };
        answers::answer(&question, &self.shared.sizes)
    }
}

/// The header lines of a head, names and order as they came.
fn header_lines(head: &[u8]) -> Vec<(String, String)> {
    let text = String::from_utf8_lossy(head);
    let lines = text.split("\r\n").skip(1).filter_map(|line| line.split_once(':'));
    lines.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect()
}

async fn receive(mut body: Incoming, entry: Entry) {
    // hyper may report the end late, or as an error, if the answer went out before it: the length
    // that was announced tells.
    while !body.is_end_stream() {
        match body.frame().await {
            Some(Ok(frame)) => {
                let length = frame.data_ref().map_or(0, bytes::Bytes::len) as u64;
                entry.update(|seen| seen.body_length += length);
            }
            Some(Err(_)) => return,
            None => break,
        }
    }
    entry.update(|seen| seen.body_complete = true);
}
