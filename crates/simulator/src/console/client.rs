//! One console talking to one proxy, connections kept alive.

use std::net::SocketAddr;

use tokio::net::TcpStream;

use super::wire::{AnswerHead, BEFORE_ANSWER, Wire};
use super::{Console, Request};
use crate::error::Error;

/// A complete answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GotAnswer {
    /// Status and headers.
    pub head: AnswerHead,
    /// The body without its framing.
    pub body: Vec<u8>,
}

impl GotAnswer {
    /// The body as text, with replacement characters where it is none.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A console with the address of a proxy typed in.
#[derive(Debug)]
pub struct Client {
    console: Console,
    proxy: SocketAddr,
    kept: Option<Wire<TcpStream>>,
    opened: usize,
}

impl Console {
    /// This console behind a proxy.
    #[must_use]
    pub fn behind(&self, proxy: SocketAddr) -> Client {
        Client { console: self.clone(), proxy, kept: None, opened: 0 }
    }
}

impl Client {
    /// Asks and reads the whole answer, on the connection of the last request if that was kept.
    ///
    /// # Errors
    /// If the proxy cannot be reached or what comes is no complete answer.
    pub async fn ask(&mut self, request: &Request) -> Result<GotAnswer, Error> {
        let head = self.begin(request).await?;
        let body = self.wire()?.body().await?;
        self.end(request, &head);
        Ok(GotAnswer { head, body })
    }

    /// Asks, reads at least this much of the body and then drops the connection.
    ///
    /// # Errors
    /// As [`Client::ask`]; also if the body ends before that.
    pub async fn ask_and_abort(
        &mut self,
        request: &Request,
        after: u64,
    ) -> Result<GotAnswer, Error> {
        let head = self.begin(request).await?;
        let mut wire = self.kept.take().ok_or(Error::Ended(BEFORE_ANSWER))?;
        let mut body = Vec::new();
        while (body.len() as u64) < after {
            let part =
                wire.body_part().await?.ok_or(Error::Ended("before the console dropped it"))?;
            body.extend_from_slice(&part);
        }
        Ok(GotAnswer { head, body })
    }

    /// How many connections were opened so far.
    #[must_use]
    pub fn opened(&self) -> usize {
        self.opened
    }

    /// Sends the request and reads the head of the answer; the body is still to be read.
    pub(super) async fn begin(&mut self, request: &Request) -> Result<AnswerHead, Error> {
        let bytes = self.console.to_proxy(request)?;
        let kept = self.kept.is_some();
        match self.exchange(request, &bytes).await {
            // The other side may close a connection it had kept just when we use it again.
            Err(Error::Ended(BEFORE_ANSWER) | Error::Connection { .. })
                if kept && request.method == "GET" =>
            {
                self.kept = None;
                self.exchange(request, &bytes).await
            }
            answer => answer,
        }
    }

    async fn exchange(&mut self, request: &Request, bytes: &[u8]) -> Result<AnswerHead, Error> {
        if self.kept.is_none() {
            self.kept = Some(Wire::new(open(self.proxy).await?));
            self.opened += 1;
        }
        let wire = self.wire()?;
        let sent = wire.send(bytes).await;
        // A server may answer and close before it has read the whole request.
        let exchanged =
            wire.head(request.method).await.map_err(|error| sent.err().unwrap_or(error));
        if exchanged.is_err() {
            self.kept = None;
        }
        exchanged
    }

    pub(super) fn wire(&mut self) -> Result<&mut Wire<TcpStream>, Error> {
        self.kept.as_mut().ok_or(Error::Ended(BEFORE_ANSWER))
    }

    /// Drops the connection where it stands.
    pub(super) fn drop_connection(&mut self) {
        self.kept = None;
    }

    /// Keeps the connection if both sides wish so.
    pub(super) fn end(&mut self, request: &Request, head: &AnswerHead) {
        if request.close || !head.keeps_alive() {
            self.kept = None;
        }
    }
}

pub(super) async fn open(proxy: SocketAddr) -> Result<TcpStream, Error> {
    let unreachable = |source| Error::Unreachable { proxy, source };
    let stream = TcpStream::connect(proxy).await.map_err(unreachable)?;
    stream.set_nodelay(true).map_err(unreachable)?;
    Ok(stream)
}
