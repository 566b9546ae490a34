//! Connections to servers: opened with verified TLS where there is TLS, kept for the next
//! request, and never used twice where that could do harm.

use std::collections::HashMap;
use std::future::Future as _;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::BytesMut;
use consoletap_flow::{Authority, Scheme, Timings};
use consoletap_tls::{Alpn, Trust};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::dial::{DialError, Dialer, micros};
use crate::http1::{Reader, Writer};
use crate::http2::{Http2Sender, RequestBodyStream};
use crate::stream::{Prefixed, Stream};

/// Idle connections kept for one target, and in all.
const IDLE_EACH: usize = 128;
const IDLE_ALL: usize = 512;

/// A request that may not be sent twice is not sent on a connection that was idle for longer:
/// the server may be closing it just now, and nobody could tell whether it saw the request.
const FRESH: Duration = Duration::from_secs(1);

/// What a connection was opened for. Only a request for the same may use it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) scheme: Scheme,
    pub(crate) authority: Authority,
    /// Whether HTTP/2 was offered.
    pub(crate) http2: bool,
    /// Whether the client is this machine itself, which may go where others may not.
    pub(crate) local: bool,
}

/// A connection that speaks HTTP/1.1.
#[derive(Debug)]
pub(crate) struct Http1Connection {
    pub(crate) reader: Reader,
    pub(crate) writer: Writer,
    pub(crate) server: Option<SocketAddr>,
    /// Whether it served a request before.
    pub(crate) reused: bool,
    idle_since: Instant,
}

/// A connection, by what it speaks.
pub(crate) enum Upstream {
    Http1(Box<Http1Connection>),
    Http2(Http2Sender, Option<SocketAddr>),
}

/// All connections to servers.
pub(crate) struct Upstreams {
    dialer: Dialer,
    trust: Arc<Trust>,
    idle: Mutex<Idle>,
    handshake: Duration,
    idle_limit: Duration,
}

#[derive(Default)]
struct Idle {
    http1: HashMap<Key, Vec<Http1Connection>>,
    http2: HashMap<Key, (Http2Sender, Option<SocketAddr>)>,
    count: usize,
}

impl Upstreams {
    pub(crate) fn new(
        dialer: Dialer,
        trust: Arc<Trust>,
        handshake: Duration,
        idle_limit: Duration,
    ) -> Self {
        Self { dialer, trust, idle: Mutex::default(), handshake, idle_limit }
    }

    /// A kept connection that is still open. `repeatable` says whether the request could be sent
    /// again if the connection turns out to be closing.
    pub(crate) fn reuse(&self, key: &Key, repeatable: bool) -> Option<Upstream> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((sender, server)) = idle.http2.get(key) {
            if !sender.is_closed() {
                return Some(Upstream::Http2(sender.clone(), *server));
            }
            idle.http2.remove(key);
        }
        loop {
            // The one used last is the likeliest to be open still.
            let mut connection = idle.http1.get_mut(key)?.pop()?;
            idle.count -= 1;
            let age = connection.idle_since.elapsed();
            let young = age < self.idle_limit && (repeatable || age < FRESH);
            if young && is_open(&mut connection) {
                connection.reused = true;
                return Some(Upstream::Http1(Box::new(connection)));
            }
        }
    }

    /// Whether a connection for this is kept, open as far as anyone knows.
    pub(crate) fn has_open(&self, key: &Key) -> bool {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.http2.get(key).is_some_and(|(sender, _)| !sender.is_closed())
            || idle.http1.get(key).is_some_and(|kept| !kept.is_empty())
    }

    /// A new connection, on top of `spare` where a TCP connection stands already.
    pub(crate) async fn open(
        &self,
        key: &Key,
        client: IpAddr,
        spare: Option<TcpStream>,
        timings: &mut Timings,
    ) -> Result<Upstream, DialError> {
        let tcp = match spare {
            Some(tcp) => tcp,
            None => self.dialer.connect(&key.authority, client, timings).await?,
        };
        let server = tcp.peer_addr().ok();
        if key.scheme == Scheme::Http {
            return Ok(http1(Stream::Tcp(tcp), server));
        }
        let tls = self.secure(key, tcp, timings).await?;
        if tls.get_ref().1.alpn_protocol() == Some(b"h2") {
            let sender = http2(tls).await?;
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            idle.http2.insert(key.clone(), (sender.clone(), server));
            return Ok(Upstream::Http2(sender, server));
        }
        Ok(http1(Stream::Tls(Box::new(tls.into())), server))
    }

    /// A plain connection, for a tunnel.
    pub(crate) async fn tunnel(
        &self,
        target: &Authority,
        client: IpAddr,
        timings: &mut Timings,
    ) -> Result<TcpStream, DialError> {
        self.dialer.connect(target, client, timings).await
    }

    async fn secure(
        &self,
        key: &Key,
        tcp: TcpStream,
        timings: &mut Timings,
    ) -> Result<tokio_rustls::client::TlsStream<Prefixed>, DialError> {
        let host = &key.authority.host;
        let alpn = if key.http2 { Alpn::Http2AndHttp1 } else { Alpn::Http1 };
        let name =
            consoletap_tls::server_name(host).map_err(|error| DialError::Tls(error.to_string()))?;
        let connector = tokio_rustls::TlsConnector::from(self.trust.client_config(host, alpn));
        let begun = Instant::now();
        let tcp = Prefixed::new(BytesMut::new(), tcp);
        match tokio::time::timeout(self.handshake, connector.connect(name, tcp)).await {
            Ok(Ok(tls)) => {
                timings.tls = Some(micros(begun));
                Ok(tls)
            }
            Ok(Err(error)) => Err(DialError::Tls(format!(
                "TLS with {host} failed: {}",
                consoletap_tls::explain(&error)
            ))),
            Err(_) => {
                Err(DialError::Timeout { host: host.clone(), seconds: self.handshake.as_secs() })
            }
        }
    }

    /// Keeps a connection after a clean, fully read exchange.
    pub(crate) fn keep(&self, key: Key, mut connection: Http1Connection) {
        connection.idle_since = Instant::now();
        connection.reader.shrink();
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = &mut *idle;
        if idle.count >= IDLE_ALL {
            return;
        }
        let kept = idle.http1.entry(key).or_default();
        if kept.len() < IDLE_EACH {
            kept.push(connection);
            idle.count += 1;
        }
    }

    /// Closes what has been idle for too long, or was closed by its server.
    pub(crate) fn prune(&self) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let limit = self.idle_limit;
        for kept in idle.http1.values_mut() {
            kept.retain_mut(|connection| {
                connection.idle_since.elapsed() < limit && is_open(connection)
            });
        }
        idle.http1.retain(|_, kept| !kept.is_empty());
        idle.http2.retain(|_, (sender, _)| !sender.is_closed());
        idle.count = idle.http1.values().map(Vec::len).sum();
    }
}

fn http1(stream: Stream, server: Option<SocketAddr>) -> Upstream {
    let (read, write) = stream.into_halves();
    Upstream::Http1(Box::new(Http1Connection {
        reader: Reader::new(read),
        writer: Writer::new(write),
        server,
        reused: false,
        idle_since: Instant::now(),
    }))
}

async fn http2(tls: tokio_rustls::client::TlsStream<Prefixed>) -> Result<Http2Sender, DialError> {
    let (sender, connection) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
        .handshake::<_, RequestBodyStream>(TokioIo::new(tls))
        .await
        .map_err(|error| DialError::Tls(format!("HTTP/2 with the server failed: {error}")))?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "an HTTP/2 connection to a server ended");
        }
    });
    Ok(sender)
}

/// Whether an idle connection is open and silent: anything that comes now belongs to no request.
fn is_open(connection: &mut Http1Connection) -> bool {
    if !connection.reader.buffered().is_empty() {
        return false;
    }
    let mut fill = pin!(connection.reader.fill());
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    fill.as_mut().poll(&mut context).is_pending()
}
