//! HTTP/2 on either side, by hyper: an intercepted client that negotiated it, and servers that
//! did. Here its types become ours and back.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

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
use crate::stream::TlsStream;

/// A handle on a server's connection; each request is a stream of its own.
pub(crate) type Http2Sender = hyper::client::conn::http2::SendRequest<RequestBodyStream>;

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

/// The body of a request to a server.
pub(crate) type RequestBodyStream = BodyStream;

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

/// Serves an intercepted client that negotiated HTTP/2, until it goes.
pub(crate) async fn serve(inlet: Inlet, tls: TlsStream) {
    let limits = inlet.shared.settings.limits;
    let inlet = Arc::new(inlet);
    let service = service_fn(|request: http::Request<Incoming>| {
        let inlet = Arc::clone(&inlet);
        async move { answer(&inlet, request).await }
    });
    let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .auto_date_header(false)
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(u32::try_from(limits.head).unwrap_or(u32::MAX))
        .max_pending_accept_reset_streams(20)
        .max_local_error_reset_streams(Some(256));
    if let Err(error) = builder.serve_connection(TokioIo::new(tls), service).await {
        tracing::debug!(%error, "an HTTP/2 client's connection ended");
    }
}

/// One stream: the exchange runs in a task of its own, so that the answer's head can go out
/// while the body still comes.
async fn answer(
    inlet: &Arc<Inlet>,
    request: http::Request<Incoming>,
) -> Result<http::Response<BodyStream>, CutOff> {
    let (head_sender, head_receiver) = oneshot::channel();
    let (body_sender, body) = body_channel();
    let (parts, incoming) = request.into_parts();
    let head = request_head(&parts);
    let shared = Arc::clone(&inlet.shared);
    let inlet = Arc::clone(inlet);
    shared.spawn(async move {
        let source = RequestBody::Http2 { incoming, answer: body_sender.clone() };
        let answer = Answer::http2(head_sender, body_sender);
        exchange::run(&inlet, head, source, answer).await;
    });
    let head = head_receiver.await.map_err(|_| CutOff)?;
    Ok(head.map(|()| body))
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
        } else if let Ok(field) = Header::new(name.as_str().to_owned(), value.as_bytes().to_vec()) {
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
    let mut request = http::Request::builder()
        .method(method)
        .uri(url.to_string())
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
        let value = http::HeaderValue::from_maybe_shared(field.value().clone());
        if let (Ok(name), Ok(value)) = (name, value) {
            map.append(name, value);
        }
    }
    map
}

fn fields_of(map: &http::HeaderMap) -> Headers {
    map.iter()
        .filter_map(|(name, value)| {
            Header::new(name.as_str().to_owned(), value.as_bytes().to_vec()).ok()
        })
        .collect()
}
