//! The way up: dial, verified TLS, and a small pool of idle connections.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::http::uri::Authority as HostPort;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Idle connections kept for one target.
const MOST_IDLE: usize = 128;
/// Targets with idle connections; beyond it all of them are closed and the pool starts anew.
const MOST_TARGETS: usize = 256;
/// An older one is not used again: servers close them, most after a minute or less.
const LONGEST_IDLE: Duration = Duration::from_secs(30);

/// What a connection can be used for again.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Target {
    authority: HostPort,
    tls: bool,
}

/// Sends requests up.
pub(crate) struct Upstream {
    address: SocketAddr,
    tls: TlsConnector,
    pool: Arc<Pool>,
}

/// A body that gives its connection back to the pool once it was read to its end.
pub(super) struct PooledBody {
    inner: Incoming,
    ended: bool,
    lease: Option<Lease>,
}

struct Lease {
    sender: SendRequest<Incoming>,
    target: Target,
    pool: Arc<Pool>,
}

#[derive(Default)]
struct Pool {
    idle: Mutex<HashMap<Target, Vec<Idle>>>,
}

struct Idle {
    sender: SendRequest<Incoming>,
    since: Instant,
}

impl Target {
    pub(super) fn plain(authority: HostPort) -> Self {
        Self { authority, tls: false }
    }

    pub(super) fn tls(authority: HostPort) -> Self {
        Self { authority, tls: true }
    }

    pub(super) fn authority(&self) -> &HostPort {
        &self.authority
    }
}

impl Upstream {
    /// Connects to `address` for every name, and verifies TLS as `tls` says.
    pub(crate) fn new(address: SocketAddr, tls: ClientConfig) -> Self {
        Self { address, tls: TlsConnector::from(Arc::new(tls)), pool: Arc::default() }
    }

    /// A new TCP connection.
    pub(super) async fn dial(&self) -> Result<TcpStream> {
        let stream = TcpStream::connect(self.address)
            .await
            .with_context(|| format!("cannot connect to {}", self.address))?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// One exchange, on an idle connection if there is one.
    pub(super) async fn send(
        &self,
        target: Target,
        mut request: Request<Incoming>,
    ) -> Result<Response<PooledBody>> {
        while let Some(mut sender) = self.pool.take(&target).await {
            match sender.try_send_request(request).await {
                Ok(response) => return Ok(self.lease(response, sender, target)),
                // Only what was not sent at all may be sent again.
                Err(mut error) => match error.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(error.into_error()).context("the server broke off"),
                },
            }
        }
        let mut sender = self.open(&target).await?;
        let response = sender.send_request(request).await.context("the server broke off")?;
        Ok(self.lease(response, sender, target))
    }

    async fn open(&self, target: &Target) -> Result<SendRequest<Incoming>> {
        let stream = self.dial().await?;
        if !target.tls {
            return speak_http(stream).await;
        }
        let host = target.authority.host().trim_matches(['[', ']']);
        let name = ServerName::try_from(host.to_owned())
            .with_context(|| format!("{host} should be a host name or an address"))?;
        let stream =
            self.tls.connect(name, stream).await.with_context(|| format!("no TLS with {host}"))?;
        speak_http(stream).await
    }

    fn lease(
        &self,
        response: Response<Incoming>,
        sender: SendRequest<Incoming>,
        target: Target,
    ) -> Response<PooledBody> {
        let lease = Lease { sender, target, pool: Arc::clone(&self.pool) };
        response.map(|inner| PooledBody { inner, ended: false, lease: Some(lease) })
    }
}

async fn speak_http<S>(stream: S) -> Result<SendRequest<Incoming>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // Its end shows as a closed sender.
    tokio::spawn(connection);
    Ok(sender)
}

impl Pool {
    /// The idle connection used last, if it is still good.
    async fn take(&self, target: &Target) -> Option<SendRequest<Incoming>> {
        loop {
            let mut idle = {
                let mut all = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
                all.get_mut(target)?.pop()?
            };
            if idle.since.elapsed() < LONGEST_IDLE && idle.sender.ready().await.is_ok() {
                return Some(idle.sender);
            }
        }
    }

    fn keep(&self, target: Target, sender: SendRequest<Incoming>) {
        if sender.is_closed() {
            return;
        }
        let mut all = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST_TARGETS && !all.contains_key(&target) {
            all.clear();
        }
        let idle = all.entry(target).or_default();
        if idle.len() < MOST_IDLE {
            idle.push(Idle { sender, since: Instant::now() });
        }
    }
}

impl Body for PooledBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(context);
        if let Poll::Ready(None) = polled {
            self.ended = true;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for PooledBody {
    fn drop(&mut self) {
        // Dropped earlier: the connection still has bytes of this answer on it.
        let read = self.ended || self.inner.is_end_stream();
        if let Some(lease) = self.lease.take().filter(|_| read) {
            lease.pool.keep(lease.target, lease.sender);
        }
    }
}
