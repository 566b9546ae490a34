//! The writing side of a connection: heads and bodies out, small things together in one write.

use std::fs::File;
use std::io;
use std::io::Write as _;

use consoletap_flow::{Headers, Version};

use super::body::Frame;
use super::framing::Framing;
use crate::stream::WriteHalf;

/// Up to here, what is written waits for more.
const GATHER: usize = 16 << 10;

/// A connection's writing half with what waits to be sent.
#[derive(Debug)]
pub(crate) struct Writer {
    half: WriteHalf,
    waiting: Vec<u8>,
}

impl Writer {
    pub(crate) fn new(half: WriteHalf) -> Self {
        Self { half, waiting: Vec::new() }
    }

    pub(crate) fn into_half(self) -> WriteHalf {
        self.half
    }

    pub(crate) fn half(&self) -> &WriteHalf {
        &self.half
    }

    /// Puts a request head behind what waits.
    pub(crate) fn request_head(&mut self, method: &str, target: &str, headers: &Headers) {
        for part in [method, " ", target, " HTTP/1.1\r\n"] {
            self.waiting.extend_from_slice(part.as_bytes());
        }
        self.fields(headers);
    }

    /// Puts the head of an answer behind what waits.
    pub(crate) fn response_head(&mut self, status: u16, reason: &str, headers: &Headers) {
        // Writing to a Vec cannot fail.
        let _ = write!(self.waiting, "HTTP/1.1 {status} ");
        self.waiting.extend_from_slice(reason.as_bytes());
        self.waiting.extend_from_slice(b"\r\n");
        self.fields(headers);
    }

    fn fields(&mut self, headers: &Headers) {
        for field in headers {
            self.waiting.extend_from_slice(field.name().as_bytes());
            self.waiting.extend_from_slice(b": ");
            self.waiting.extend_from_slice(field.value());
            self.waiting.extend_from_slice(b"\r\n");
        }
        self.waiting.extend_from_slice(b"\r\n");
    }

    /// Puts octets behind what waits, and sends when that is much.
    pub(crate) async fn data(&mut self, octets: &[u8]) -> io::Result<()> {
        if self.waiting.len() + octets.len() <= GATHER {
            self.waiting.extend_from_slice(octets);
            return Ok(());
        }
        self.send_waiting().await?;
        self.half.write_all(octets).await
    }

    /// Sends octets, but for a tail that stays behind what waits until it is flushed.
    pub(crate) async fn data_but_a_tail(&mut self, octets: &[u8]) -> io::Result<()> {
        const TAIL: usize = 1024;
        if self.waiting.len() + octets.len() <= GATHER {
            self.waiting.extend_from_slice(octets);
            return Ok(());
        }
        let (most, tail) = octets.split_at(octets.len().saturating_sub(TAIL));
        self.send_waiting().await?;
        self.half.write_all(most).await?;
        self.half.flush().await?;
        self.waiting.extend_from_slice(tail);
        Ok(())
    }

    /// Sends octets of a file behind what waits; how many it were.
    pub(crate) async fn file(&mut self, file: &File, at: u64, count: u64) -> io::Result<u64> {
        self.send_waiting().await?;
        self.half.file(file, at, count).await
    }

    /// Sends what waits.
    pub(crate) async fn flush(&mut self) -> io::Result<()> {
        self.send_waiting().await?;
        self.half.flush().await
    }

    /// Ends our side of the connection.
    pub(crate) async fn shutdown(&mut self) -> io::Result<()> {
        self.flush().await?;
        self.half.shutdown().await
    }

    async fn send_waiting(&mut self) -> io::Result<()> {
        if !self.waiting.is_empty() {
            self.half.write_all(&self.waiting).await?;
            self.waiting.clear();
        }
        Ok(())
    }
}

/// A body on its way out, in our own framing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyWriter {
    /// No octets, or as many as the head announced.
    Plain,
    /// Chunked.
    Chunked,
    /// Octets until the connection ends, for a client that knows no chunks.
    UntilClose,
}

impl BodyWriter {
    /// For a body that came in `framing` and goes to a peer of this version.
    pub(crate) fn new(framing: Framing, to: Version) -> Self {
        match framing {
            Framing::Chunked if to == Version::Http11 => Self::Chunked,
            Framing::Chunked | Framing::Close => Self::UntilClose,
            Framing::Empty | Framing::Length(_) => Self::Plain,
        }
    }

    /// Puts a part behind what waits; trailers wait for [`Self::end`].
    pub(crate) async fn data(self, writer: &mut Writer, octets: &[u8]) -> io::Result<()> {
        if self != Self::Chunked || octets.is_empty() {
            return writer.data(octets).await;
        }
        let _ = write!(writer.waiting, "{:x}\r\n", octets.len());
        writer.data(octets).await?;
        writer.data(b"\r\n").await
    }

    /// Puts the end behind what waits; it is not sent yet.
    pub(crate) fn end(self, writer: &mut Writer, trailers: Option<&Headers>) {
        if self == Self::Chunked {
            writer.waiting.extend_from_slice(b"0\r\n");
            match trailers {
                Some(trailers) => writer.fields(trailers),
                None => writer.waiting.extend_from_slice(b"\r\n"),
            }
        }
    }

    /// Puts a part of a request behind what waits.
    pub(crate) async fn frame(self, writer: &mut Writer, frame: &Frame) -> io::Result<()> {
        match frame {
            Frame::Data(octets) => self.data(writer, octets).await,
            Frame::Trailers(trailers) => {
                self.end(writer, Some(trailers));
                Ok(())
            }
        }
    }
}
