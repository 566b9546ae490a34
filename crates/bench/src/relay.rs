//! The bare relay: the smallest proxy that still does what a proxy must, as the yardstick.
//!
//! It parses the target, dials by authority, verifies the upstream's certificate, pools
//! upstream connections, strips hop-by-hop headers and streams bodies. It has no catalog, no
//! log, no session and no deadlines: what consoletap costs more than this is what consoletap does more.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::header::{HOST, HeaderValue};
use hyper::http::uri::{Authority as HostPort, PathAndQuery, Scheme};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};

use crate::authority::{Authority, AuthorityFiles, client_config};
use crate::served::{self, ServedOptions};
use leaves::Leaves;
use upstream::{PooledBody, Target, Upstream};

mod hop_by_hop;
mod leaves;
mod tunnel;
mod upstream;

type Body = Either<PooledBody, Full<Bytes>>;

/// Options of `consoletap-bench relay`.
#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    served: ServedOptions,
    /// Certificates that upstream servers are verified against
    #[arg(long, value_name = "FILE")]
    upstream_ca: PathBuf,
    /// Connect here, whatever the name; names and certificates stay those of the request
    #[arg(long, value_name = "ADDRESS:PORT")]
    resolve_all: SocketAddr,
    /// Open TLS with leaves signed by this authority
    #[arg(long, value_name = "FILE", requires = "intercept_key")]
    intercept_cert: Option<PathBuf>,
    /// The key of that authority
    #[arg(long, value_name = "FILE", requires = "intercept_cert")]
    intercept_key: Option<PathBuf>,
}

/// The relay: where it sends, and whether it opens TLS.
pub(crate) struct Relay {
    upstream: Upstream,
    leaves: Option<Leaves>,
}

/// Runs the relay until its time is over.
pub(crate) fn run(options: Options) -> Result<()> {
    let leaves = match (options.intercept_cert, options.intercept_key) {
        (Some(certificate), Some(key)) => {
            Some(Authority::load(&AuthorityFiles { certificate, key })?)
        }
        _ => None,
    };
    let tls = client_config(&options.upstream_ca)?;
    let relay = Relay::new(Upstream::new(options.resolve_all, tls), leaves);
    served::serve(&options.served, |listener| relay.serve(listener))
}

impl Relay {
    /// A relay that tunnels, or opens TLS when there is an authority to sign with.
    pub(crate) fn new(upstream: Upstream, authority: Option<Authority>) -> Self {
        Self { upstream, leaves: authority.map(Leaves::new) }
    }

    /// Serves every client until dropped.
    pub(crate) async fn serve(self, listener: TcpListener) {
        let relay = Arc::new(self);
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                tokio::task::yield_now().await;
                continue;
            };
            let relay = Arc::clone(&relay);
            tokio::spawn(async move {
                if stream.set_nodelay(true).is_ok() {
                    relay.serve_client(stream).await;
                }
            });
        }
    }

    async fn serve_client(self: Arc<Self>, stream: TcpStream) {
        let service = service_fn(move |request: Request<Incoming>| {
            let relay = Arc::clone(&self);
            async move {
                Ok::<_, Infallible>(match *request.method() {
                    Method::CONNECT => relay.connect(request).await,
                    _ => relay.forward_plain(request).await,
                })
            }
        });
        // A client that breaks off is the end of its connection, no more.
        let _ = http1::Builder::new()
            .auto_date_header(false)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades()
            .await;
    }

    /// `GET http://host/path`: the target is in the request line (RFC 9112, 3.2.2).
    async fn forward_plain(&self, request: Request<Incoming>) -> Response<Body> {
        let authority = match (request.uri().scheme(), request.uri().authority()) {
            (Some(scheme), Some(authority)) if *scheme == Scheme::HTTP => authority.clone(),
            _ => return refusal(StatusCode::BAD_REQUEST, "expected GET http://host/path"),
        };
        self.forward(Target::plain(authority), request).await
    }

    async fn forward(&self, target: Target, mut request: Request<Incoming>) -> Response<Body> {
        let path =
            request.uri().path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
        *request.uri_mut() = Uri::from(path);
        hop_by_hop::strip(request.headers_mut());
        if let Ok(host) = HeaderValue::from_str(target.authority().as_str()) {
            request.headers_mut().insert(HOST, host);
        }
        match self.upstream.send(target, request).await {
            Ok(mut response) => {
                hop_by_hop::strip(response.headers_mut());
                response.map(Either::Left)
            }
            Err(error) => refusal(StatusCode::BAD_GATEWAY, &format!("{error:#}")),
        }
    }

    /// CONNECT: a tunnel dials before it answers 200, so that the client hears of a failure;
    /// an intercepted one answers at once, its upstream connection may be in the pool already.
    async fn connect(self: Arc<Self>, request: Request<Incoming>) -> Response<Body> {
        let Some(authority) = request.uri().authority().filter(|it| it.port().is_some()).cloned()
        else {
            return refusal(StatusCode::BAD_REQUEST, "expected CONNECT host:port");
        };
        if self.leaves.is_some() {
            tokio::spawn(async move {
                // A client that refuses our certificate ends its own connection.
                let _ = self.intercept(authority, request).await;
            });
        } else {
            let upstream = match self.upstream.dial().await {
                Ok(stream) => stream,
                Err(error) => return refusal(StatusCode::BAD_GATEWAY, &format!("{error:#}")),
            };
            tokio::spawn(async move {
                // Either side may break off; the other one sees the end.
                let _ = tunnel::run(request, upstream).await;
            });
        }
        Response::new(Either::Right(Full::default()))
    }

    async fn intercept(
        self: Arc<Self>,
        authority: HostPort,
        request: Request<Incoming>,
    ) -> Result<()> {
        let Some(leaves) = &self.leaves else { return Ok(()) };
        let acceptor = leaves.acceptor(authority.host())?;
        let upgraded = hyper::upgrade::on(request).await?;
        let stream = acceptor.accept(TokioIo::new(upgraded)).await?;
        let relay = Arc::clone(&self);
        relay.serve_inside(Target::tls(authority), stream).await
    }

    /// The requests inside a connection that was opened.
    async fn serve_inside<S>(self: Arc<Self>, target: Target, stream: S) -> Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        let service = service_fn(move |request: Request<Incoming>| {
            let relay = Arc::clone(&self);
            let target = target.clone();
            async move { Ok::<_, Infallible>(relay.forward(target, request).await) }
        });
        http1::Builder::new()
            .auto_date_header(false)
            .serve_connection(TokioIo::new(stream), service)
            .await?;
        Ok(())
    }
}

fn refusal(status: StatusCode, reason: &str) -> Response<Body> {
    let mut response = Response::new(Either::Right(Full::from(format!("{reason}\n"))));
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests;
