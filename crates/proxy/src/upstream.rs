//! Connections to servers: opened with verified TLS where there is TLS, kept for the next
//! request, and never used twice where that could do harm.

use std::collections::HashMap;
use std::future::Future as _;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::BytesMut;
use consoletap_flow::{Authority, Happening, Host, Scheme, Timings};
use consoletap_tls::{Alpn, INTERCEPTION_AVAILABLE, Trust, UpstreamNames};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::dial::{DialError, Dialer, micros};
use crate::http1::{Reader, Writer};
use crate::http2;
use crate::open_flow::OpenFlow;
use crate::stream::{Prefixed, Stream, TLS_TURN, TlsStream};

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
    /// Where it leads.
    pub(crate) authority: Authority,
    /// Whom TLS asks for, and whose certificate must come. Inside a tunnel it is what the client
    /// asked for in its ClientHello: it may have named an address to CONNECT.
    pub(crate) server_name: Host,
    /// What the client offered, and so what the server is offered.
    pub(crate) alpn: Alpn,
    /// Whether the client is this machine itself, which may go where others may not.
    pub(crate) local: bool,
}

impl Key {
    /// For what comes through a tunnel.
    pub(crate) fn tunnelled(
        authority: &Authority,
        server_name: &Host,
        alpn: Alpn,
        client: IpAddr,
    ) -> Self {
        Self {
            scheme: Scheme::Https,
            authority: authority.clone(),
            server_name: server_name.clone(),
            alpn,
            local: client.to_canonical().is_loopback(),
        }
    }
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
    Http2(http2::Sender, Option<SocketAddr>),
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
    http2: HashMap<Key, Http2Connection>,
    /// Connections on which HTTP/2 is offered just now; each ends its wait when it is dropped.
    offering: HashMap<Key, watch::Receiver<()>>,
    /// Of HTTP/1 connections.
    count: usize,
}

/// A connection that many streams share.
struct Http2Connection {
    sender: http2::Sender,
    server: Option<SocketAddr>,
    idle_since: Instant,
}

impl Idle {
    /// The HTTP/2 connection for this, where there is one that takes streams.
    fn http2(&mut self, key: &Key) -> Option<Upstream> {
        let kept = self.http2.get_mut(key)?;
        if kept.sender.is_closed() {
            self.http2.remove(key);
            return None;
        }
        kept.idle_since = Instant::now();
        Some(Upstream::Http2(kept.sender.clone(), kept.server))
    }
}

/// The right to open the one HTTP/2 connection that everybody waits for.
struct Offer<'u> {
    upstreams: &'u Upstreams,
    key: &'u Key,
    _done: watch::Sender<()>,
}

impl Drop for Offer<'_> {
    fn drop(&mut self) {
        self.upstreams.idle().offering.remove(self.key);
    }
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
        let mut idle = self.idle();
        if let Some(http2) = idle.http2(key) {
            return Some(http2);
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
        let idle = self.idle();
        idle.http2.get(key).is_some_and(|kept| !kept.sender.is_closed())
            || idle.http1.get(key).is_some_and(|kept| !kept.is_empty())
    }

    /// Whether this is an address at which we listen; see [`Dialer::leads_here`].
    pub(crate) fn is_us(&self, authority: &Authority) -> bool {
        self.dialer.leads_here(authority)
    }

    fn idle(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new connection, on top of `spare` where a TCP connection stands already.
    pub(crate) async fn open(
        &self,
        key: &Key,
        client: IpAddr,
        spare: Option<TcpStream>,
        flow: &mut OpenFlow,
    ) -> Result<Upstream, DialError> {
        if key.scheme == Scheme::Https && !INTERCEPTION_AVAILABLE {
            return Err(DialError::NoTls(key.authority.host.clone()));
        }
        let _offer = match self.offer(key) {
            Ok(offer) => offer,
            // A client that begins with a hundred streams is not to open a hundred connections.
            Err(mut other) => {
                // It ends by being dropped, whatever came of it.
                let _ = other.changed().await;
                if let Some(http2) = self.idle().http2(key) {
                    return Ok(http2);
                }
                // The server does not speak HTTP/2, or not at all: everybody for himself.
                None
            }
        };
        let tcp = match spare {
            Some(tcp) => tcp,
            None => self.dialer.connect(&key.authority, client, &mut flow.timings).await?,
        };
        let server = tcp.peer_addr().ok();
        if key.scheme == Scheme::Http {
            return Ok(http1(Stream::Tcp(tcp), server));
        }
        let tls = self.secure(key, tcp, flow).await?;
        self.settle(key, tls, server).await
    }

    /// Opens a connection for the first request that comes, to see for whom the server's certificate
    /// is; `None` where that cannot be read.
    pub(crate) async fn greet(
        &self,
        key: Key,
        client: IpAddr,
        spare: Option<TcpStream>,
        flow: &mut OpenFlow,
    ) -> Result<Option<UpstreamNames>, DialError> {
        let tcp = match spare {
            Some(tcp) => tcp,
            None => self.dialer.connect(&key.authority, client, &mut flow.timings).await?,
        };
        let server = tcp.peer_addr().ok();
        let tls = self.secure(&key, tcp, flow).await?;
        let names = tls.names();
        if let Upstream::Http1(connection) = self.settle(&key, tls, server).await? {
            self.keep(key, *connection);
        }
        Ok(names)
    }

    /// A connection in the protocol that was agreed on. One of HTTP/2 is for everybody from now on.
    async fn settle(
        &self,
        key: &Key,
        tls: TlsStream,
        server: Option<SocketAddr>,
    ) -> Result<Upstream, DialError> {
        let agreed = match http2::Agreed::on(tls) {
            Ok(agreed) => agreed,
            Err(tls) => return Ok(http1(Stream::Tls(tls), server)),
        };
        let sender = agreed.connect().await.map_err(|error| {
            DialError::Tls(format!("HTTP/2 with {} failed: {error}", key.server_name))
        })?;
        let mut idle = self.idle();
        if idle.http2.len() < IDLE_ALL {
            let (sender, idle_since) = (sender.clone(), Instant::now());
            idle.http2.insert(key.clone(), Http2Connection { sender, server, idle_since });
        }
        Ok(Upstream::Http2(sender, server))
    }

    /// The right to open a connection that may come to speak HTTP/2; `None` where it may not, and
    /// the end of the other attempt where somebody else has that right.
    fn offer<'u>(&'u self, key: &'u Key) -> Result<Option<Offer<'u>>, watch::Receiver<()>> {
        if !key.alpn.has_http2() {
            return Ok(None);
        }
        let mut idle = self.idle();
        if let Some(other) = idle.offering.get(key) {
            return Err(other.clone());
        }
        let (done, ended) = watch::channel(());
        idle.offering.insert(key.clone(), ended);
        Ok(Some(Offer { upstreams: self, key, _done: done }))
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
        flow: &mut OpenFlow,
    ) -> Result<TlsStream, DialError> {
        let host = &key.server_name;
        let begun = Instant::now();
        match tokio::time::timeout(self.handshake, self.shake_hands(key, tcp)).await {
            Ok(Ok(tls)) => {
                flow.timings.tls = Some(micros(begun));
                tell(&tls, flow);
                Ok(tls)
            }
            Ok(Err(error)) => Err(DialError::Tls(format!(
                "TLS with {host} failed: {}",
                self.trust.explain(host, &error)
            ))),
            Err(_) => {
                Err(DialError::Timeout { host: host.clone(), seconds: self.handshake.as_secs() })
            }
        }
    }

    async fn shake_hands(&self, key: &Key, tcp: TcpStream) -> io::Result<TlsStream> {
        let tcp = Prefixed::new(BytesMut::new(), tcp);
        let mut tls = self.trust.connect(&key.server_name, key.alpn, tcp).await?;
        tls.set_buffer_limit(TLS_TURN);
        Ok(tls)
    }

    /// Keeps a connection after a clean, fully read exchange.
    pub(crate) fn keep(&self, key: Key, mut connection: Http1Connection) {
        connection.idle_since = Instant::now();
        connection.reader.shrink();
        let mut idle = self.idle();
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
        let mut idle = self.idle();
        let limit = self.idle_limit;
        for kept in idle.http1.values_mut() {
            kept.retain_mut(|connection| {
                connection.idle_since.elapsed() < limit && is_open(connection)
            });
        }
        idle.http1.retain(|_, kept| !kept.is_empty());
        idle.http2.retain(|_, kept| {
            if kept.sender.is_in_use() {
                kept.idle_since = Instant::now();
            }
            !kept.sender.is_closed() && kept.idle_since.elapsed() < limit
        });
        idle.count = idle.http1.values().map(Vec::len).sum();
    }
}

/// Tells what was agreed with the server, and what it showed.
fn tell(tls: &TlsStream, flow: &OpenFlow) {
    flow.log.tell(Happening::ServerHello(tls.negotiated()));
    if let Some(facts) = tls.certificate_facts() {
        flow.log.tell(Happening::Certificate(Box::new(facts)));
    }
    if let Some(unsafe_tls) = tls.is_unsafe() {
        flow.log.note(format!("the server was spoken to with {unsafe_tls}"));
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

/// Whether an idle connection is open and silent: anything that comes now belongs to no request.
fn is_open(connection: &mut Http1Connection) -> bool {
    if !connection.reader.buffered().is_empty() {
        return false;
    }
    let mut fill = pin!(connection.reader.fill());
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    fill.as_mut().poll(&mut context).is_pending()
}
