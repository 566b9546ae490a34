//! HTTP/2 on either side, by hyper: an intercepted client that negotiated it, and servers that
//! did. Here its types become ours and back.

use std::collections::VecDeque;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use consoletap_flow::{Header, Headers, RequestHead, ResponseHead, Text, Url, Version};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::sync::{mpsc, oneshot};

use crate::console::{Answer, RequestBody};
use crate::exchange::{self, Inlet};
use crate::headers;
use crate::http1::{BodyError, Frame};
use crate::settings::Limits;
use crate::stream::TlsStream;

/// What a peer may send on one stream, and on a connection, before it was taken. hyper lets a
/// server's streams have 2 MiB of 5: three clients that take nothing would then stop a connection
/// for all others that share it. With these it takes sixteen, and no more than 16 MiB wait here.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 16 << 20;

/// A server that answers no ping within [`PING_PATIENCE`] while a stream is open is gone.
const PING_EVERY: Duration = Duration::from_secs(20);
const PING_PATIENCE: Duration = Duration::from_secs(10);

/// How long a client that was told that its connection ends may take to agree.
const GOODBYE: Duration = Duration::from_secs(1);

/// A handle on a server's connection; each request is a stream of its own.
#[derive(Debug, Clone)]
pub(crate) struct Http2Sender {
    sender: hyper::client::conn::http2::SendRequest<BodyStream>,
    /// Shared by the pool and the requests under way, so that the pool can tell whether there
    /// are any.
    holders: Arc<()>,
}

impl Http2Sender {
    /// Begins HTTP/2 with a server that agreed to it.
    pub(crate) async fn connect(tls: TlsStream) -> hyper::Result<Self> {
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

    /// Sends a request; its answer's head.
    pub(crate) async fn send(
        mut self,
        request: http::Request<BodyStream>,
    ) -> hyper::Result<http::Response<Incoming>> {
        self.sender.ready().await?;
        self.sender.send_request(request).await
    }
}

/// A part of a body on its way into hyper.
#[derive(Debug)]
pub(crate) enum BodyPart {
    Data(Bytes),
    Trailers(http::HeaderMap),
    /// The body is complete. Without this part it ends in a reset.
    End,
}

/// Parts that wait on their way: with one, a stalled stream holds no more than two frames.
const PARTS: usize = 1;

/// The reset of a stream whose other side broke off.
#[derive(Debug, thiserror::Error)]
#[error("the body was cut off")]
pub(crate) struct CutOff;

/// A body that hyper sends: parts from a channel.
#[derive(Debug)]
pub(crate) struct BodyStream {
    parts: mpsc::Receiver<BodyPart>,
    ended: bool,
}

/// A body, and where its parts go in.
pub(crate) fn body_channel() -> (mpsc::Sender<BodyPart>, BodyStream) {
    let (sender, parts) = mpsc::channel(PARTS);
    (sender, BodyStream { parts, ended: false })
}

impl BodyStream {
    /// A body without octets.
    pub(crate) fn empty() -> Self {
        Self { parts: mpsc::channel(1).1, ended: true }
    }
}

impl Body for BodyStream {
    type Data = Bytes;
    type Error = CutOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<hyper::body::Frame<Bytes>, CutOff>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let part = ready!(self.parts.poll_recv(cx));
        Poll::Ready(match part {
            Some(BodyPart::Data(octets)) => Some(Ok(hyper::body::Frame::data(octets))),
            Some(BodyPart::Trailers(fields)) => Some(Ok(hyper::body::Frame::trailers(fields))),
            Some(BodyPart::End) => {
                self.ended = true;
                None
            }
            None => {
                self.ended = true;
                Some(Err(CutOff))
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }
}

/// The next part of a body that hyper receives.
pub(crate) async fn next_frame(incoming: &mut Incoming) -> Result<Option<Frame>, BodyError> {
    loop {
        let Some(frame) = incoming.frame().await else { return Ok(None) };
        let frame = frame.map_err(BodyError::Http2)?;
        match frame.into_data() {
            Ok(octets) if octets.is_empty() => {}
            Ok(octets) => return Ok(Some(Frame::Data(octets))),
            Err(frame) => {
                if let Ok(fields) = frame.into_trailers() {
                    return Ok(Some(Frame::Trailers(fields_of(&fields))));
                }
            }
        }
    }
}

/// The head of an answer on its way into hyper.
#[derive(Debug)]
pub(crate) struct AnswerHead {
    pub(crate) response: http::Response<()>,
    /// Nothing follows, and the stream ends with this head: an answer that gRPC calls
    /// trailers-only is not complete for its clients when the end comes in a frame of its own.
    pub(crate) bodiless: bool,
}

/// Serves an intercepted client that negotiated HTTP/2, until it goes, or has had no stream open
/// for as long as any idle client may have.
pub(crate) async fn serve(inlet: Inlet, tls: TlsStream) {
    let limits = inlet.shared.settings.limits;
    let idle = inlet.shared.settings.deadlines.idle_client;
    let streams = Streams { inlet: Arc::new(inlet), begun: AtomicU64::new(0) };
    let service = service_fn(|request: http::Request<Incoming>| {
        streams.begun.fetch_add(1, Ordering::Relaxed);
        let inlet = Arc::clone(&streams.inlet);
        async move { answer(inlet, request).await }
    });
    let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .auto_date_header(false)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(limits.streams)
        // What is a little too large gets its 431 from us, with a row; the rest from h2, without.
        .max_header_list_size(u32::try_from(2 * limits.head).unwrap_or(u32::MAX))
        .max_pending_accept_reset_streams(20)
        .max_local_error_reset_streams(Some(256));
    let mut connection = pin!(builder.serve_connection(TokioIo::new(tls), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = streams.stop(idle) => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                ended = connection.as_mut() => ended,
                () = streams.unused(GOODBYE) => Ok(()),
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "an HTTP/2 client's connection ended");
    }
}

/// The streams of one client's connection. Each holds the inlet while it is open.
struct Streams {
    inlet: Arc<Inlet>,
    begun: AtomicU64,
}

impl Streams {
    /// Resolves when nothing new is to begin.
    async fn stop(&self, idle: Duration) {
        tokio::select! {
            () = self.inlet.shared.stopping.cancelled() => {}
            () = self.unused(idle) => {}
        }
    }

    /// Resolves when no stream was open for about so long.
    async fn unused(&self, limit: Duration) {
        let mut before = None;
        loop {
            tokio::time::sleep(limit / 2).await;
            let begun = self.begun.load(Ordering::Relaxed);
            let open = Arc::strong_count(&self.inlet) > 1;
            if !open && before == Some(begun) {
                return;
            }
            before = (!open).then_some(begun);
        }
    }
}

/// One stream: the exchange runs in a task of its own, so that the answer's head can go out
/// while the body still comes.
async fn answer(
    inlet: Arc<Inlet>,
    request: http::Request<Incoming>,
) -> Result<http::Response<BodyStream>, CutOff> {
    let (head_sender, head_receiver) = oneshot::channel();
    let (body_sender, body) = body_channel();
    let (parts, incoming) = request.into_parts();
    let head = request_head(&parts);
    let shared = Arc::clone(&inlet.shared);
    // Boxed for the same reason as a tunnel's.
    shared.spawn(Box::pin(async move {
        let objection = objection(&head, &inlet.shared.settings.limits);
        let source = RequestBody::Http2 { incoming, answer: body_sender.clone() };
        let mut answer = Answer::http2(head_sender, body_sender);
        match objection {
            Some((status, cause)) => {
                exchange::refuse(&inlet, head, None, &mut answer, status, cause).await
            }
            None => exchange::run(&inlet, head, source, answer).await,
        };
    }));
    let AnswerHead { response, bodiless } = head_receiver.await.map_err(|_| CutOff)?;
    Ok(response.map(|()| if bodiless { BodyStream::empty() } else { body }))
}

/// What HTTP/1's reader of heads would have refused, and what only HTTP/2 can say.
fn objection(head: &RequestHead, limits: &Limits) -> Option<(u16, String)> {
    if head.method == "CONNECT" {
        let cause = "CONNECT inside a tunnel that was opened leads nowhere";
        return Some((400, cause.to_owned()));
    }
    if head.target.len() > limits.request_line {
        let cause = format!("the path is longer than {} bytes", limits.request_line);
        return Some((414, cause));
    }
    if head.headers.len() > limits.fields {
        return Some((431, format!("the head has more than {} fields", limits.fields)));
    }
    // What each takes in HTTP/1: `name: value` and a line's end.
    let size: usize =
        head.headers.iter().map(|field| field.name().len() + field.value().len() + 4).sum();
    if size + head.target.len() > limits.head {
        return Some((431, format!("the head is larger than {} bytes", limits.head)));
    }
    None
}

/// A request's head as HTTP/1 would write it: `Host` first, cookies in one field (RFC 9113 8.2.3).
fn request_head(parts: &http::request::Parts) -> RequestHead {
    let mut fields = Headers::with_capacity(parts.headers.len() + 1);
    if let Some(authority) = parts.uri.authority().filter(|_| !parts.headers.contains_key("host")) {
        headers::push(&mut fields, "host", authority.as_str());
    }
    let mut cookies: VecDeque<&[u8]> = VecDeque::new();
    for (name, value) in &parts.headers {
        if name == http::header::COOKIE {
            cookies.push_back(value.as_bytes());
        } else if let Ok(field) = Header::new(name.as_str(), value.as_bytes()) {
            fields.push(field);
        }
    }
    if !cookies.is_empty() {
        let joined = cookies.make_contiguous().join(&b"; "[..]);
        if let Ok(field) = Header::new("cookie", joined) {
            fields.push(field);
        }
    }
    let target = parts.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    RequestHead {
        method: parts.method.as_str().to_owned().into(),
        target: target.to_owned().into(),
        version: Version::Http2,
        headers: fields,
    }
}

/// A request for a server that speaks HTTP/2; `None` where HTTP/2 cannot say it.
pub(crate) fn request(
    method: &str,
    url: &Url,
    fields: &Headers,
    body: BodyStream,
) -> Option<http::Request<BodyStream>> {
    // As the client spelled it; it was made to agree with the URL.
    let authority = fields.text("host").map_or_else(|| url.authority.to_string(), str::to_owned);
    let uri = http::Uri::builder()
        .scheme("https")
        .authority(authority)
        .path_and_query(url.path.as_str())
        .build()
        .ok()?;
    let mut request = http::Request::builder()
        .method(method)
        .uri(uri)
        .version(http::Version::HTTP_2)
        .body(body)
        .ok()?;
    let mut fields = fields.clone();
    fields.remove("host");
    *request.headers_mut() = header_map(&fields);
    Some(request)
}

/// The head of a server's answer.
pub(crate) fn answer_head(parts: &http::response::Parts) -> ResponseHead {
    ResponseHead {
        status: parts.status.as_u16(),
        reason: Text::default(),
        version: Version::Http2,
        headers: fields_of(&parts.headers),
    }
}

/// The head of an answer to a client.
pub(crate) fn response_head(status: u16, fields: &Headers) -> Option<http::Response<()>> {
    let mut response = http::Response::builder().status(status).body(()).ok()?;
    *response.headers_mut() = header_map(fields);
    Some(response)
}

/// Fields for hyper. What HTTP/2 cannot carry was removed before; anything left over is dropped.
pub(crate) fn header_map(fields: &Headers) -> http::HeaderMap {
    let mut map = http::HeaderMap::with_capacity(fields.len());
    for field in fields {
        let name = http::HeaderName::from_bytes(field.name().as_bytes());
        let value = http::HeaderValue::from_maybe_shared(field.shared_value());
        if let (Ok(name), Ok(value)) = (name, value) {
            map.append(name, value);
        }
    }
    map
}

fn fields_of(map: &http::HeaderMap) -> Headers {
    map.iter()
        .filter_map(|(name, value)| Header::new(name.as_str(), value.as_bytes()).ok())
        .collect()
}
