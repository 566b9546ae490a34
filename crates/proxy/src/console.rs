//! The client's side of one exchange, in whichever HTTP it speaks: where the request's body
//! comes from, and where the answer goes.

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use consoletap_flow::{Headers, ResponseHead, Version};

use crate::headers;
use crate::http1::{BodyError, BodyReader, BodyWriter, Frame, Framing, Reader, Writer};
use crate::http2;

/// A client that closed its sending half may still want the answer (`nc`, some tools); one that
/// went away altogether looks the same. So an answer that does not move is waited for this long.
const HALF_CLOSED: Duration = Duration::from_secs(15);

/// How long a client may take for the rest of an answer that is not going to be complete.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// The body of a request, as it comes from the client.
pub(crate) enum RequestBody<'a> {
    /// On an HTTP/1 connection.
    Http1 {
        /// The connection.
        reader: &'a mut Reader,
        /// The place in the body.
        body: BodyReader,
    },
    /// On an HTTP/2 stream.
    Http2(http2::RequestBody),
    /// One of which the beginning was looked at already; it comes again.
    Held {
        /// What was looked at.
        beginning: Bytes,
        /// The trailers, where they were come to.
        trailers: Option<Headers>,
        /// What is still to come.
        rest: Box<Self>,
    },
}

impl From<http2::RequestBody> for RequestBody<'_> {
    fn from(body: http2::RequestBody) -> Self {
        Self::Http2(body)
    }
}

impl RequestBody<'_> {
    /// Whether everything came, or there is nothing.
    pub(crate) fn is_done(&self) -> bool {
        match self {
            Self::Http1 { body, .. } => body.is_done(),
            Self::Http2(body) => body.is_done(),
            Self::Held { beginning, trailers, rest } => {
                beginning.is_empty() && trailers.is_none() && rest.is_done()
            }
        }
    }

    /// How long it is, where that is known.
    pub(crate) fn expected(&self) -> Option<u64> {
        match self {
            Self::Http1 { body, .. } => body.remaining(),
            Self::Http2(body) => body.expected(),
            Self::Held { beginning, rest, .. } => {
                let rest = if rest.is_done() { Some(0) } else { rest.expected() };
                rest.map(|rest| rest.saturating_add(beginning.len() as u64))
            }
        }
    }

    /// The next part; `None` after the last. Safe to cancel.
    pub(crate) async fn next(&mut self) -> Result<Option<Frame>, BodyError> {
        match self {
            Self::Http1 { reader, body } => body.next(reader).await,
            Self::Http2(body) => Ok(body.next().await?),
            Self::Held { beginning, .. } if !beginning.is_empty() => {
                Ok(Some(Frame::Data(std::mem::take(beginning))))
            }
            Self::Held { trailers: Some(fields), .. } => {
                let fields = std::mem::take(fields);
                if let Self::Held { trailers, .. } = self {
                    *trailers = None;
                }
                Ok(Some(Frame::Trailers(fields)))
            }
            Self::Held { rest, .. } => Box::pin(rest.next()).await,
        }
    }

    /// Resolves when the client is gone; not when it is merely silent. `moved` counts what the
    /// client got so far.
    pub(crate) async fn gone(&mut self, moved: &AtomicU64) {
        match self {
            Self::Http2(body) => body.gone().await,
            Self::Held { rest, .. } => Box::pin(rest.gone(moved)).await,
            Self::Http1 { reader, .. } => {
                // What comes now is the next request: it can wait, and so can we.
                if !reader.buffered().is_empty() {
                    return std::future::pending().await;
                }
                match reader.fill().await {
                    Ok(0) => {}
                    Ok(_) => return std::future::pending().await,
                    Err(_) => return,
                }
                let mut before = moved.load(Ordering::Relaxed);
                loop {
                    tokio::time::sleep(HALF_CLOSED).await;
                    let after = moved.load(Ordering::Relaxed);
                    if after == before {
                        return;
                    }
                    before = after;
                }
            }
        }
    }
}

/// Where the answer goes.
pub(crate) enum Answer<'a> {
    /// To an HTTP/1 connection.
    Http1(Http1Answer<'a>),
    /// To an HTTP/2 stream.
    Http2(http2::Answer),
}

/// An answer on an HTTP/1 connection.
pub(crate) struct Http1Answer<'a> {
    pub(crate) writer: &'a mut Writer,
    /// The version of the request.
    pub(crate) version: Version,
    /// Whether the connection can stay open; may turn false with the answer.
    pub(crate) keep_alive: bool,
    body: BodyWriter,
}

/// The client does not take the answer any more.
#[derive(Debug)]
pub(crate) struct Gone;

impl From<io::Error> for Gone {
    fn from(_: io::Error) -> Self {
        Self
    }
}

impl From<http2::Answer> for Answer<'_> {
    fn from(answer: http2::Answer) -> Self {
        Self::Http2(answer)
    }
}

impl<'a> Answer<'a> {
    pub(crate) fn http1(writer: &'a mut Writer, version: Version, keep_alive: bool) -> Self {
        Self::Http1(Http1Answer { writer, version, keep_alive, body: BodyWriter::Plain })
    }

    /// Whether the client's connection can serve another request after this.
    pub(crate) fn keeps_alive(&self) -> bool {
        match self {
            Self::Http1(answer) => answer.keep_alive,
            Self::Http2(_) => true,
        }
    }

    /// The connection cannot be used after this answer.
    pub(crate) fn close_after(&mut self) {
        if let Self::Http1(answer) = self {
            answer.keep_alive = false;
        }
    }

    /// Sends an interim answer, to who understands one; whether it was sent.
    pub(crate) async fn interim(&mut self, head: &ResponseHead) -> Result<bool, Gone> {
        match self {
            Self::Http1(answer) if answer.version == Version::Http11 => {
                answer.writer.response_head(head.status, &head.reason, &head.headers);
                answer.writer.flush().await?;
                Ok(true)
            }
            // HTTP/1.0 knows none, and hyper's HTTP/2 server has no way to send one.
            Self::Http1(_) | Self::Http2(_) => Ok(false),
        }
    }

    /// Begins the final answer. `fields` are end to end; how the body is framed for this client
    /// is added here.
    pub(crate) fn head(
        &mut self,
        status: u16,
        reason: &str,
        mut fields: Headers,
        framing: Framing,
    ) -> Result<(), Gone> {
        match self {
            Self::Http1(answer) => {
                let framing = match framing {
                    // With chunks the client sees whether it got everything, and can go on.
                    Framing::Close if answer.version == Version::Http11 => Framing::Chunked,
                    framing => framing,
                };
                answer.body = BodyWriter::new(framing, answer.version);
                answer.keep_alive &= answer.body != BodyWriter::UntilClose;
                if answer.body == BodyWriter::Chunked {
                    headers::announce(&mut fields, framing);
                }
                match (answer.keep_alive, answer.version) {
                    (false, _) => headers::push(&mut fields, "Connection", "close"),
                    (true, Version::Http10) => {
                        headers::push(&mut fields, "Connection", "keep-alive")
                    }
                    (true, _) => {}
                }
                answer.writer.response_head(status, reason, &fields);
                Ok(())
            }
            Self::Http2(answer) => answer.head(status, &fields, framing == Framing::Empty),
        }
    }

    /// The head of a 101, with its connection fields; sent at once.
    pub(crate) async fn switch(&mut self, head: &ResponseHead) -> Result<(), Gone> {
        let Self::Http1(answer) = self else { return Err(Gone) };
        answer.writer.response_head(head.status, &head.reason, &head.headers);
        Ok(answer.writer.flush().await?)
    }

    /// Sends a part of the body. With `last` its end stays here until [`Self::end`].
    pub(crate) async fn data(&mut self, octets: Bytes, last: bool) -> Result<(), Gone> {
        match self {
            Self::Http1(answer) => {
                if last && answer.body == BodyWriter::Plain {
                    return Ok(answer.writer.data_but_a_tail(&octets).await?);
                }
                Ok(answer.body.data(answer.writer, &octets).await?)
            }
            Self::Http2(answer) => answer.data(octets, last).await,
        }
    }

    /// Whether the kernel can send files: there is nothing between us and the client but TCP.
    pub(crate) fn takes_files(&self) -> bool {
        match self {
            Self::Http1(answer) => {
                answer.body == BodyWriter::Plain && answer.writer.half().takes_files()
            }
            Self::Http2(_) => false,
        }
    }

    /// Lets the kernel send so many octets of a file, or fewer; how many it were.
    pub(crate) async fn file(&mut self, file: &File, at: u64, count: u64) -> Result<u64, Gone> {
        match self {
            Self::Http1(answer) => Ok(answer.writer.file(file, at, count).await?),
            Self::Http2(_) => Err(Gone),
        }
    }

    /// Sends what has gathered so far; called when nothing more is at hand.
    pub(crate) async fn flush(&mut self) -> Result<(), Gone> {
        match self {
            Self::Http1(answer) => Ok(answer.writer.flush().await?),
            Self::Http2(_) => Ok(()),
        }
    }

    /// Sends the end of the answer, and so its last octet.
    pub(crate) async fn end(&mut self, trailers: Option<&Headers>) -> Result<(), Gone> {
        match self {
            Self::Http1(answer) => {
                answer.body.end(answer.writer, trailers);
                Ok(answer.writer.flush().await?)
            }
            Self::Http2(answer) => answer.end(trailers).await,
        }
    }

    /// Sends what there is of an answer that is not complete. Whether its framing shows that; if
    /// not, only a reset can.
    pub(crate) async fn break_off(&mut self) -> bool {
        match self {
            Self::Http1(answer) => {
                let sent = tokio::time::timeout(LAST_WORDS, answer.writer.flush()).await;
                sent.is_ok_and(|sent| sent.is_ok()) && answer.body != BodyWriter::UntilClose
            }
            // Dropping it without an end resets the stream.
            Self::Http2(_) => true,
        }
    }

    /// Makes the connection end in a reset: there is nobody, or nobody must take the end for the
    /// end of the answer.
    pub(crate) fn reset(&mut self) {
        if let Self::Http1(answer) = self {
            answer.writer.half().reset_on_close();
        }
    }
}
