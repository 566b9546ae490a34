//! The server's side: requests on a connection that many share.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use consoletap_flow::{Headers, ResponseHead, Url};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::sync::mpsc;

use super::body::{Body, BodyPart, BodyStream, Error, body_channel};
use super::{CONNECTION_WINDOW, STREAM_WINDOW, heads};
use crate::http1::{Frame, Framing};
use crate::server::NotTaken;
use crate::stream::TlsStream;

/// A server that answers no ping within [`PING_PATIENCE`] while a stream is open is gone.
const PING_EVERY: Duration = Duration::from_secs(20);
const PING_PATIENCE: Duration = Duration::from_secs(10);

/// A handle on a server's connection; each request is a stream of its own.
#[derive(Debug, Clone)]
pub(crate) struct Sender {
    sender: hyper::client::conn::http2::SendRequest<BodyStream>,
    /// Shared by the pool and the requests under way, so that the pool can tell whether there
    /// are any.
    holders: Arc<()>,
}

impl Sender {
    pub(super) async fn connect(tls: TlsStream) -> Result<Self, Error> {
        let (sender, connection) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_PATIENCE)
            .handshake(TokioIo::new(tls))
            .await?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "an HTTP/2 connection to a server ended");
            }
        });
        Ok(Self { sender, holders: Arc::default() })
    }

    /// Whether no further stream can be opened: the connection is gone, or a GOAWAY came.
    pub(crate) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Whether anybody else holds it: a request is under way.
    pub(crate) fn is_in_use(&self) -> bool {
        Arc::strong_count(&self.holders) > 1
    }

    /// Sends a request; its body goes into the sink. `None` where HTTP/2 cannot say it.
    pub(crate) fn ask(
        &self,
        method: &str,
        url: &Url,
        fields: &Headers,
        bodiless: bool,
    ) -> Option<(Pending, RequestSink)> {
        let (parts, body) = body_channel();
        let body = if bodiless { BodyStream::empty() } else { body };
        let request = heads::request(method, url, fields, body)?;
        let response = Box::pin(self.clone().send(request));
        Some((Pending(response), RequestSink(parts)))
    }

    async fn send(
        mut self,
        request: http::Request<BodyStream>,
    ) -> hyper::Result<http::Response<Incoming>> {
        self.sender.ready().await?;
        self.sender.send_request(request).await
    }
}

/// An answer that is waited for.
pub(crate) struct Pending(
    Pin<Box<dyn Future<Output = hyper::Result<http::Response<Incoming>>> + Send>>,
);

impl Pending {
    /// The answer's head. Safe to cancel.
    pub(crate) async fn head(&mut self) -> Result<Response, Error> {
        Ok(Response(self.0.as_mut().await?))
    }
}

/// A server's answer, with its body to come.
pub(crate) struct Response(http::Response<Incoming>);

impl Response {
    pub(crate) fn status(&self) -> u16 {
        self.0.status().as_u16()
    }

    pub(crate) fn into_head(self) -> ResponseHead {
        heads::answer_head(&self.0.into_parts().0)
    }

    /// The head, how HTTP/1 would frame the body, and the body.
    pub(crate) fn into_parts(self, to_head: bool) -> (ResponseHead, Framing, Body) {
        let (parts, body) = self.0.into_parts();
        let body = Body(body);
        let framing = match body.expected() {
            _ if to_head || body.is_done() => Framing::Empty,
            Some(length) => Framing::Length(length),
            None => Framing::Chunked,
        };
        (heads::answer_head(&parts), framing, body)
    }
}

/// Where a request's body goes.
pub(crate) struct RequestSink(mpsc::Sender<BodyPart>);

impl RequestSink {
    pub(crate) async fn frame(&mut self, frame: Frame) -> Result<(), NotTaken> {
        let part = match frame {
            Frame::Data(octets) => BodyPart::Data(octets),
            Frame::Trailers(fields) => BodyPart::Trailers(heads::header_map(&fields)),
        };
        self.0.send(part).await.map_err(|_| NotTaken)
    }

    pub(crate) async fn end(&mut self) -> Result<(), NotTaken> {
        self.0.send(BodyPart::End).await.map_err(|_| NotTaken)
    }
}
