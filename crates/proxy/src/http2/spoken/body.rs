//! Bodies: parts from a channel become what hyper sends, and what it receives becomes frames.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use tokio::sync::mpsc;

use super::heads::fields_of;
use crate::http1::Frame;

/// What hyper says went wrong.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(crate) struct Error(#[from] hyper::Error);

impl Error {
    /// hyper's words are for programmers; the cause behind them often says more.
    pub(crate) fn cause(&self) -> String {
        use std::error::Error as _;
        self.0.source().map_or_else(|| self.0.to_string(), ToString::to_string)
    }
}

/// A part of a body on its way into hyper.
#[derive(Debug)]
pub(super) enum BodyPart {
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
pub(super) struct CutOff;

/// A body that hyper sends: parts from a channel.
#[derive(Debug)]
pub(super) struct BodyStream {
    parts: mpsc::Receiver<BodyPart>,
    ended: bool,
}

/// A body, and where its parts go in.
pub(super) fn body_channel() -> (mpsc::Sender<BodyPart>, BodyStream) {
    let (sender, parts) = mpsc::channel(PARTS);
    (sender, BodyStream { parts, ended: false })
}

impl BodyStream {
    /// A body without octets.
    pub(super) fn empty() -> Self {
        Self { parts: mpsc::channel(1).1, ended: true }
    }
}

impl hyper::body::Body for BodyStream {
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

/// A body that hyper receives.
#[derive(Debug)]
pub(crate) struct Body(pub(super) Incoming);

impl Body {
    /// The next part; `None` after the last. Safe to cancel.
    pub(crate) async fn next(&mut self) -> Result<Option<Frame>, Error> {
        loop {
            let Some(frame) = self.0.frame().await else { return Ok(None) };
            match frame?.into_data() {
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

    /// Whether everything came, or there is nothing.
    pub(crate) fn is_done(&self) -> bool {
        self.0.is_end_stream()
    }

    /// How many octets are to come, where that is known.
    pub(crate) fn expected(&self) -> Option<u64> {
        self.0.size_hint().exact()
    }
}
