//! Keeps the head of each HTTP/1 request as its bytes came.
//!
//! hyper keeps neither the order nor the case of header names, and both are what a proxy must
//! not change. The tap follows the message framing just far enough to know where heads begin; it
//! judges nothing, hyper does that behind it.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The heads that a tap has seen and nobody has taken yet.
#[derive(Debug, Clone, Default)]
pub(crate) struct Heads(Arc<Mutex<VecDeque<Vec<u8>>>>);

impl Heads {
    pub(crate) fn take(&self) -> Option<Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    fn push(&self, head: Vec<u8>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_back(head);
    }
}

/// A stream whose request heads are kept.
#[derive(Debug)]
pub(crate) struct HeadTap<S> {
    stream: S,
    splitter: Splitter,
}

impl<S> HeadTap<S> {
    pub(crate) fn new(stream: S) -> (Self, Heads) {
        let heads = Heads::default();
        let splitter = Splitter { heads: heads.clone(), state: State::Head, line: Vec::new() };
        (Self { stream, splitter }, heads)
    }
}

/// Finds the heads in a stream of requests.
#[derive(Debug)]
struct Splitter {
    heads: Heads,
    state: State,
    /// The head, or the line of the chunked coding, under way.
    line: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Head,
    Counted(u64),
    ChunkSize,
    Chunk(u64),
    Trailers,
}

impl Splitter {
    fn feed(&mut self, mut bytes: &[u8]) {
        while let Some((&first, rest)) = bytes.split_first() {
            if let State::Counted(left) | State::Chunk(left) = self.state {
                let taken = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                bytes = &bytes[taken..];
                self.consumed(left - taken as u64);
                continue;
            }
            bytes = rest;
            self.line.push(first);
            match self.state {
                State::Head if self.line.ends_with(b"\r\n\r\n") => self.head_ended(),
                State::ChunkSize if first == b'\n' => self.chunk_size_ended(),
                State::Trailers if first == b'\n' => {
                    let blank = self.line == b"\r\n";
                    self.enter(if blank { State::Head } else { State::Trailers });
                }
                _ => {}
            }
        }
    }

    fn enter(&mut self, state: State) {
        self.line.clear();
        self.state = state;
    }

    fn consumed(&mut self, left: u64) {
        match (self.state, left) {
            (State::Counted(_), 0) => self.enter(State::Head),
            (State::Counted(_), left) => self.state = State::Counted(left),
            (_, 0) => self.enter(State::ChunkSize),
            (_, left) => self.state = State::Chunk(left),
        }
    }

    fn head_ended(&mut self) {
        let head = std::mem::take(&mut self.line);
        let state = framing(&head);
        self.heads.push(head);
        self.enter(state);
    }

    fn chunk_size_ended(&mut self) {
        let line = String::from_utf8_lossy(&self.line);
        let digits = line.trim_end().split(';').next().unwrap_or_default().trim();
        let state = match u64::from_str_radix(digits, 16) {
            Ok(0) => State::Trailers,
            // The data and the line end behind it.
            Ok(size) => State::Chunk(size.saturating_add(2)),
            // Not chunked coding: hyper refuses the request, nothing follows.
            Err(_) => State::Counted(u64::MAX),
        };
        self.enter(state);
    }
}

fn framing(head: &[u8]) -> State {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let value = |name: &str| {
        head.lines()
            .skip(1)
            .find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix(':'))
    };
    if value("transfer-encoding").is_some_and(|coding| coding.contains("chunked")) {
        return State::ChunkSize;
    }
    match value("content-length").and_then(|length| length.trim().parse().ok()) {
        None | Some(0) => State::Head,
        Some(length) => State::Counted(length),
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for HeadTap<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.splitter.feed(&buf.filled()[before..]);
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for HeadTap<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STREAM: &[u8] = b"GET /a HTTP/1.1\r\nHOST: x\r\n\r\n\
        POST /b HTTP/1.1\r\ncontent-LENGTH: 7\r\n\r\n\r\n\r\nabc\
        PUT /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\
        5;x=y\r\n\r\n\r\n!\r\n0\r\nDigest: z\r\n\r\n\
        GET /d HTTP/1.1\r\n\r\n";

    fn heads_of(parts: &[&[u8]]) -> Vec<String> {
        let (mut tap, heads) = HeadTap::new(tokio::io::empty());
        parts.iter().for_each(|part| tap.splitter.feed(part));
        std::iter::from_fn(|| heads.take()).map(|h| String::from_utf8(h).unwrap()).collect()
    }

    #[test]
    fn bodies_that_look_like_head_ends_are_stepped_over() {
        let heads = heads_of(&[STREAM]);
        assert_eq!(heads.len(), 4, "{heads:?}");
        assert_eq!(heads[0], "GET /a HTTP/1.1\r\nHOST: x\r\n\r\n");
        assert!(heads[1].starts_with("POST /b") && heads[1].contains("content-LENGTH"));
        assert!(heads[2].starts_with("PUT /c"));
        assert_eq!(heads[3], "GET /d HTTP/1.1\r\n\r\n");
    }

    proptest! {
        #[test]
        fn cuts_make_no_difference(first in 0usize..STREAM.len(), second in 0usize..STREAM.len()) {
            let (a, b) = (first.min(second), first.max(second));
            prop_assert_eq!(heads_of(&[&STREAM[..a], &STREAM[a..b], &STREAM[b..]]), heads_of(&[STREAM]));
        }

        #[test]
        fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            heads_of(&[&bytes]);
            let head = b"P / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
            heads_of(&[head, &bytes]);
        }
    }
}
