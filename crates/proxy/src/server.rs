//! The server's side of one exchange, in whichever HTTP it speaks: where the request goes, and
//! where the answer comes from. The mirror image of `console.rs`.

use consoletap_flow::{Headers, ResponseHead, Url, Version};

use crate::http1::{
    AnswerContext, BodyError, BodyLimits, BodyReader, BodyWriter, Frame, Framing, HeadLimits,
    ReadError, Reader, Writer, parse_response, response_framing,
};
use crate::http2;
use crate::settings::Limits;

/// Where a request's body goes.
pub(crate) enum RequestSink<'a> {
    Http1 {
        writer: &'a mut Writer,
        body: BodyWriter,
        ended: bool,
    },
    Http2(http2::RequestSink),
    /// To nobody: the answer comes from here.
    Nowhere,
}

/// The server does not take the request any more. What it says, or that it says nothing, tells why.
#[derive(Debug)]
pub(crate) struct NotTaken;

impl RequestSink<'_> {
    /// Sends what has gathered so far.
    pub(crate) async fn flush(&mut self) -> Result<(), NotTaken> {
        match self {
            Self::Http1 { writer, .. } => writer.flush().await.map_err(|_| NotTaken),
            Self::Http2(_) | Self::Nowhere => Ok(()),
        }
    }

    pub(crate) async fn frame(&mut self, frame: Frame) -> Result<(), NotTaken> {
        match self {
            Self::Http1 { writer, body, ended } => {
                *ended = matches!(frame, Frame::Trailers(_));
                body.frame(writer, &frame).await.map_err(|_| NotTaken)
            }
            Self::Http2(sink) => sink.frame(frame).await,
            Self::Nowhere => Ok(()),
        }
    }

    pub(crate) async fn end(&mut self) -> Result<(), NotTaken> {
        match self {
            Self::Http1 { writer, body, ended } => {
                if !*ended {
                    body.end(writer, None);
                }
                writer.flush().await.map_err(|_| NotTaken)
            }
            Self::Http2(sink) => sink.end().await,
            Self::Nowhere => Ok(()),
        }
    }
}

/// Where heads of answers come from.
pub(crate) enum AnswerSource<'a> {
    Http1(&'a mut Reader),
    Http2(http2::Pending),
}

/// Why no answer came.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoAnswer {
    #[error("the server closed the connection without an answer")]
    Closed,
    #[error("the server's answer is not HTTP: {0}")]
    Broken(String),
    #[error("the connection to the server failed: {0}")]
    Failed(String),
    #[error("{0}")]
    Tls(String),
}

/// The head of an answer, with its body to come.
pub(crate) struct ServerAnswer<'a> {
    pub(crate) head: ResponseHead,
    pub(crate) framing: Framing,
    pub(crate) body: ServerBody<'a>,
}

/// The body of an answer, as it comes from the server.
pub(crate) enum ServerBody<'a> {
    Http1 { reader: &'a mut Reader, body: BodyReader },
    Http2(Box<http2::Body>),
}

impl<'a> AnswerSource<'a> {
    /// Sends a request on an HTTP/2 connection; its body goes into the sink.
    pub(crate) fn http2(
        sender: &http2::Sender,
        method: &str,
        url: &Url,
        fields: &Headers,
        bodiless: bool,
    ) -> Option<(Self, RequestSink<'static>)> {
        let (pending, sink) = sender.ask(method, url, fields, bodiless)?;
        Some((Self::Http2(pending), RequestSink::Http2(sink)))
    }

    /// The next head: an interim one (which has no body), or the final one. Safe to cancel.
    pub(crate) async fn head(&mut self, limits: &Limits) -> Result<Incoming, NoAnswer> {
        match self {
            Self::Http1(reader) => {
                match reader.head(HeadLimits::from(limits), parse_response).await {
                    Ok(head) => Ok(Incoming::Http1(head)),
                    Err(ReadError::Closed) => Err(NoAnswer::Closed),
                    Err(error @ (ReadError::Cut | ReadError::Head(_))) => {
                        Err(NoAnswer::Broken(error.to_string()))
                    }
                    // From TLS 1.3 on a server refuses our certificate when all seems to be done.
                    Err(ReadError::Io(error)) => Err(match consoletap_tls::explain_late(&error) {
                        Some(why) => NoAnswer::Tls(why),
                        None => NoAnswer::Failed(error.to_string()),
                    }),
                }
            }
            Self::Http2(pending) => match pending.head().await {
                Ok(response) => Ok(Incoming::Http2(response)),
                Err(error) => Err(NoAnswer::Failed(error.cause())),
            },
        }
    }

    /// The body that follows a final head.
    pub(crate) fn into_answer(
        self,
        incoming: Incoming,
        to_head: bool,
        limits: &Limits,
    ) -> Result<ServerAnswer<'a>, NoAnswer> {
        match (self, incoming) {
            (Self::Http1(reader), Incoming::Http1(head)) => {
                let context = AnswerContext { version: head.version, status: head.status, to_head };
                let framing = response_framing(context, &head.headers)
                    .map_err(|error| NoAnswer::Broken(error.to_string()))?;
                let body = BodyReader::new(framing, BodyLimits::from(limits));
                Ok(ServerAnswer { head, framing, body: ServerBody::Http1 { reader, body } })
            }
            (_, Incoming::Http2(response)) => {
                let (head, framing, body) = response.into_parts(to_head);
                Ok(ServerAnswer { head, framing, body: ServerBody::Http2(Box::new(body)) })
            }
            (Self::Http2(_), Incoming::Http1(_)) => {
                Err(NoAnswer::Failed("an HTTP/1 head came on an HTTP/2 stream".to_owned()))
            }
        }
    }
}

/// A head as it came.
pub(crate) enum Incoming {
    Http1(ResponseHead),
    Http2(http2::Response),
}

impl Incoming {
    pub(crate) fn status(&self) -> u16 {
        match self {
            Self::Http1(head) => head.status,
            Self::Http2(response) => response.status(),
        }
    }

    /// The head alone; interim answers have nothing else.
    pub(crate) fn into_head(self) -> ResponseHead {
        match self {
            Self::Http1(head) => head,
            Self::Http2(response) => response.into_head(),
        }
    }
}

impl ServerBody<'_> {
    /// The next part; `None` after the last. Safe to cancel.
    pub(crate) async fn next(&mut self) -> Result<Option<Frame>, BodyError> {
        match self {
            Self::Http1 { reader, body } => body.next(reader).await,
            Self::Http2(body) => Ok(body.next().await?),
        }
    }

    /// Whether everything came.
    pub(crate) fn is_done(&self) -> bool {
        match self {
            Self::Http1 { body, .. } => body.is_done(),
            Self::Http2(body) => body.is_done(),
        }
    }

    /// How many octets are to come, where that is known.
    pub(crate) fn expected(&self) -> Option<u64> {
        match self {
            Self::Http1 { body, .. } => body.remaining(),
            Self::Http2(body) => body.expected(),
        }
    }
}

/// Whether a server's connection can serve another request after this answer.
pub(crate) fn is_reusable(head: &ResponseHead, framing: Framing) -> bool {
    // A 204 that announces a body may send it, and what comes then is no answer.
    let clean =
        head.status != 204 || head.headers.elements("content-length").all(|length| length == b"0");
    clean
        && framing != Framing::Close
        && head.version != Version::Http2
        && crate::headers::keeps_alive(head.version, &head.headers)
}
