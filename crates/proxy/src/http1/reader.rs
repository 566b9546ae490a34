//! The reading side of a connection: a buffer, and heads out of it.

use std::io;

use bytes::{Buf as _, Bytes, BytesMut};

use super::head::{HeadError, HeadLimits};
use crate::stream::ReadHalf;

/// What a connection that waits for a head keeps for reading. Heads of consoles fit.
const HEAD_BUFFER: usize = 8 << 10;

/// A connection's reading half with what was read ahead.
#[derive(Debug)]
pub(crate) struct Reader {
    half: ReadHalf,
    buffer: BytesMut,
    /// Octets of the buffer in which no end of a head was found.
    scanned: usize,
}

/// Why no head came.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// The connection ended before the first octet.
    #[error("the connection was closed")]
    Closed,
    /// The connection ended within the head.
    #[error("the connection was closed in the middle of a head")]
    Cut,
    /// The connection failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// What came is no head.
    #[error(transparent)]
    Head(#[from] HeadError),
}

impl Reader {
    pub(crate) fn new(half: ReadHalf) -> Self {
        Self::with_buffer(half, BytesMut::new())
    }

    /// A reader that begins with octets that were read already.
    pub(crate) fn with_buffer(half: ReadHalf, buffer: BytesMut) -> Self {
        Self { half, buffer, scanned: 0 }
    }

    /// What was read ahead.
    pub(crate) fn buffered(&self) -> &[u8] {
        &self.buffer
    }

    /// Gives the half and what was read ahead back.
    pub(crate) fn into_parts(self) -> (ReadHalf, BytesMut) {
        (self.half, self.buffer)
    }

    /// Reads more; 0 at the end. Safe to cancel.
    pub(crate) async fn fill(&mut self) -> io::Result<usize> {
        self.buffer.reserve(HEAD_BUFFER);
        self.half.read(&mut self.buffer).await
    }

    /// The same for a long body.
    pub(crate) async fn fill_bulk(&mut self) -> io::Result<usize> {
        self.buffer.reserve(self.half.bulk_size());
        self.half.read(&mut self.buffer).await
    }

    /// Takes octets from the front of what was read ahead.
    pub(crate) fn take(&mut self, count: usize) -> Bytes {
        self.scanned = 0;
        self.buffer.split_to(count).freeze()
    }

    /// Throws octets at the front away.
    pub(crate) fn skip(&mut self, count: usize) {
        self.scanned = 0;
        self.buffer.advance(count);
    }

    /// Gives the room of a long body back, once it is through.
    pub(crate) fn shrink(&mut self) {
        if self.buffer.is_empty() && self.buffer.capacity() > 4 * HEAD_BUFFER {
            self.buffer = BytesMut::new();
        }
    }

    /// Waits for the octets of a whole head and hands them to `parse`. Empty lines before it are
    /// skipped (RFC 9112 2.2). Safe to cancel.
    pub(crate) async fn head<T>(
        &mut self,
        limits: HeadLimits,
        parse: impl Fn(&[u8], HeadLimits) -> Result<T, HeadError>,
    ) -> Result<T, ReadError> {
        loop {
            self.skip_empty_lines();
            if let Some(end) = self.find_end(limits)? {
                let head = parse(&self.buffer[..end], limits)?;
                self.skip(end);
                return Ok(head);
            }
            let count = match self.fill().await {
                // Between heads, a TLS peer that goes without close_notify has just gone.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => 0,
                count => count?,
            };
            if count == 0 {
                let error = if self.buffer.is_empty() { ReadError::Closed } else { ReadError::Cut };
                return Err(error);
            }
        }
    }

    fn skip_empty_lines(&mut self) {
        loop {
            match self.buffer.as_ref() {
                [b'\r', b'\n', ..] => self.skip(2),
                [b'\n', ..] => self.skip(1),
                _ => return,
            }
        }
    }

    /// Where the head ends, behind its empty line. Looks at each octet once, however the head
    /// comes in.
    fn find_end(&mut self, limits: HeadLimits) -> Result<Option<usize>, HeadError> {
        check_start(&self.buffer)?;
        let line = &self.buffer[..self.buffer.len().min(limits.line + 1)];
        if line.len() > limits.line && memchr::memchr(b'\n', line).is_none() {
            return Err(HeadError::LongLine(limits.line));
        }
        let from = self.scanned;
        for at in memchr::memchr_iter(b'\n', &self.buffer[from..]).map(|at| from + at) {
            let end = match &self.buffer[at + 1..] {
                [b'\n', ..] => at + 2,
                [b'\r', b'\n', ..] => at + 3,
                _ => continue,
            };
            if end > limits.head {
                return Err(HeadError::TooLarge(limits.head));
            }
            return Ok(Some(end));
        }
        if self.buffer.len() > limits.head {
            return Err(HeadError::TooLarge(limits.head));
        }
        // The last three octets may be the beginning of the empty line.
        self.scanned = self.buffer.len().saturating_sub(3);
        Ok(None)
    }
}

/// Octets that cannot begin a head are told at once: whoever speaks another protocol would wait
/// for an answer, and we for an empty line.
fn check_start(buffer: &[u8]) -> Result<(), HeadError> {
    let looks_right = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    match buffer {
        [] | [b'\r'] => Ok(()),
        [first, ..] if looks_right(*first) => {
            // A method (or `HTTP/1.1`) is over after a few octets.
            let word = &buffer[..buffer.len().min(32)];
            let fine = |byte: u8| {
                (0x20..0x7f).contains(&byte) || b"\r\n\t".contains(&byte) || byte >= 0x80
            };
            if word.iter().all(|&byte| fine(byte)) { Ok(()) } else { Err(NOT_HTTP) }
        }
        _ => Err(NOT_HTTP),
    }
}

const NOT_HTTP: HeadError = HeadError::Malformed("what came is not HTTP");
