//! The client's side: the streams of an intercepted client that negotiated HTTP/2.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use consoletap_flow::{Headers, RequestHead};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::sync::{mpsc, oneshot};

use super::body::{Body, BodyPart, BodyStream, CutOff, Error, body_channel};
use super::{CONNECTION_WINDOW, STREAM_WINDOW, heads};
use crate::console::Gone;
use crate::exchange::{self, Inlet};
use crate::http1::Frame;
use crate::settings::Limits;
use crate::stream::TlsStream;

/// How long a client that was told that its connection ends may take to agree.
const GOODBYE: Duration = Duration::from_secs(1);

/// The body of a request, as it comes on its stream.
pub(crate) struct RequestBody {
    body: Body,
    /// Closed when the client resets the stream.
    answer: mpsc::Sender<BodyPart>,
}

impl RequestBody {
    /// The next part; `None` after the last. Safe to cancel.
    pub(crate) async fn next(&mut self) -> Result<Option<Frame>, Error> {
        self.body.next().await
    }

    /// Whether everything came, or there is nothing.
    pub(crate) fn is_done(&self) -> bool {
        self.body.is_done()
    }

    /// How long it is, where that is known.
    pub(crate) fn expected(&self) -> Option<u64> {
        self.body.expected()
    }

    /// Resolves when the client resets the stream.
    pub(crate) async fn gone(&self) {
        self.answer.closed().await;
    }
}

/// An answer on its stream. One that is dropped before its end resets the stream.
pub(crate) struct Answer {
    head: Option<oneshot::Sender<AnswerHead>>,
    /// The head of an answer without a body: it is the end, too.
    last_head: Option<http::Response<()>>,
    body: mpsc::Sender<BodyPart>,
    /// The last part is held until the end is recorded.
    held: Option<Bytes>,
}

/// The head of an answer on its way into hyper.
#[derive(Debug)]
struct AnswerHead {
    response: http::Response<()>,
    /// Nothing follows, and the stream ends with this head: an answer that gRPC calls
    /// trailers-only is not complete for its clients when the end comes in a frame of its own.
    bodiless: bool,
}

impl Answer {
    /// Begins it; the head of one without a body goes out with its end.
    pub(crate) fn head(
        &mut self,
        status: u16,
        fields: &Headers,
        bodiless: bool,
    ) -> Result<(), Gone> {
        let head = heads::response_head(status, fields).ok_or(Gone)?;
        if bodiless {
            self.last_head = Some(head);
            return Ok(());
        }
        self.send_head(head, false)
    }

    /// Sends a part of the body, or holds the last one.
    pub(crate) async fn data(&mut self, octets: Bytes, last: bool) -> Result<(), Gone> {
        if last {
            self.held = Some(octets);
            return Ok(());
        }
        self.send(BodyPart::Data(octets)).await
    }

    /// Sends the end, and what was held until now.
    pub(crate) async fn end(&mut self, trailers: Option<&Headers>) -> Result<(), Gone> {
        if let Some(head) = self.last_head.take() {
            return self.send_head(head, true);
        }
        if let Some(octets) = self.held.take() {
            self.send(BodyPart::Data(octets)).await?;
        }
        if let Some(trailers) = trailers {
            self.send(BodyPart::Trailers(heads::header_map(trailers))).await?;
        }
        self.send(BodyPart::End).await
    }

    async fn send(&self, part: BodyPart) -> Result<(), Gone> {
        self.body.send(part).await.map_err(|_| Gone)
    }

    fn send_head(&mut self, response: http::Response<()>, bodiless: bool) -> Result<(), Gone> {
        let sender = self.head.take().ok_or(Gone)?;
        sender.send(AnswerHead { response, bodiless }).map_err(|_| Gone)
    }
}

/// Serves them; see [`Agreed::serve`](super::Agreed::serve).
pub(super) async fn serve(inlet: Inlet, tls: TlsStream) {
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
    let head = heads::request_head(&parts);
    let shared = Arc::clone(&inlet.shared);
    // Boxed for the same reason as a tunnel's.
    shared.spawn(Box::pin(async move {
        let objection = objection(&head, &inlet.shared.settings.limits);
        let source = RequestBody { body: Body(incoming), answer: body_sender.clone() };
        let (head_sender, held) = (Some(head_sender), None);
        let answer = Answer { head: head_sender, last_head: None, body: body_sender, held };
        let mut answer = answer.into();
        match objection {
            Some((status, cause)) => {
                exchange::refuse(&inlet, head, None, &mut answer, status, cause).await
            }
            None => exchange::run(&inlet, head, source.into(), answer).await,
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
