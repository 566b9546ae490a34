//! The types of `spoken.rs` in a build without it. They have no values, so that whoever uses them
//! needs no conditions of his own.

#![allow(clippy::unused_async, reason = "the build with HTTP/2 waits here")]

use std::convert::Infallible;

use bytes::Bytes;
use consoletap_flow::{Headers, ResponseHead, Url};

use crate::console::Gone;
use crate::exchange::Inlet;
use crate::http1::{Frame, Framing};
use crate::server::NotTaken;
use crate::stream::TlsStream;

/// A connection on which both sides agreed on HTTP/2: none.
pub(crate) struct Agreed(Infallible);

impl Agreed {
    pub(crate) fn on(tls: TlsStream) -> Result<Self, TlsStream> {
        Err(tls)
    }

    pub(crate) async fn serve(self, _: Inlet) {
        match self.0 {}
    }

    pub(crate) async fn connect(self) -> Result<Sender, Error> {
        match self.0 {}
    }
}

/// A handle on a server's connection.
#[derive(Clone)]
pub(crate) struct Sender(Infallible);

impl Sender {
    pub(crate) fn is_closed(&self) -> bool {
        match self.0 {}
    }

    pub(crate) fn is_in_use(&self) -> bool {
        match self.0 {}
    }

    pub(crate) fn ask(
        &self,
        _method: &str,
        _url: &Url,
        _fields: &Headers,
        _bodiless: bool,
    ) -> Option<(Pending, RequestSink)> {
        match self.0 {}
    }
}

/// An answer that is waited for.
pub(crate) struct Pending(Infallible);

impl Pending {
    pub(crate) async fn head(&mut self) -> Result<Response, Error> {
        match self.0 {}
    }
}

/// A server's answer.
pub(crate) struct Response(Infallible);

impl Response {
    pub(crate) fn status(&self) -> u16 {
        match self.0 {}
    }

    pub(crate) fn into_head(self) -> ResponseHead {
        match self.0 {}
    }

    pub(crate) fn into_parts(self, _to_head: bool) -> (ResponseHead, Framing, Body) {
        match self.0 {}
    }
}

/// Where a request's body goes.
pub(crate) struct RequestSink(Infallible);

impl RequestSink {
    pub(crate) async fn frame(&mut self, _: Frame) -> Result<(), NotTaken> {
        match self.0 {}
    }

    pub(crate) async fn end(&mut self) -> Result<(), NotTaken> {
        match self.0 {}
    }
}

/// A body that comes.
pub(crate) struct Body(Infallible);

impl Body {
    pub(crate) async fn next(&mut self) -> Result<Option<Frame>, Error> {
        match self.0 {}
    }

    pub(crate) fn is_done(&self) -> bool {
        match self.0 {}
    }

    pub(crate) fn expected(&self) -> Option<u64> {
        match self.0 {}
    }
}

/// The body of a client's request.
pub(crate) struct RequestBody(Infallible);

impl RequestBody {
    pub(crate) async fn next(&mut self) -> Result<Option<Frame>, Error> {
        match self.0 {}
    }

    pub(crate) fn is_done(&self) -> bool {
        match self.0 {}
    }

    pub(crate) fn expected(&self) -> Option<u64> {
        match self.0 {}
    }

    pub(crate) async fn gone(&self) {
        match self.0 {}
    }
}

/// The answer to a client.
pub(crate) struct Answer(Infallible);

impl Answer {
    pub(crate) fn head(&mut self, _: u16, _: &Headers, _bodiless: bool) -> Result<(), Gone> {
        match self.0 {}
    }

    pub(crate) async fn data(&mut self, _: Bytes, _last: bool) -> Result<(), Gone> {
        match self.0 {}
    }

    pub(crate) async fn end(&mut self, _trailers: Option<&Headers>) -> Result<(), Gone> {
        match self.0 {}
    }
}

/// What went wrong: nothing can.
#[derive(Debug, thiserror::Error)]
#[error("there is no HTTP/2 in this build")]
pub(crate) struct Error(Infallible);

impl Error {
    pub(crate) fn cause(&self) -> String {
        match self.0 {}
    }
}
