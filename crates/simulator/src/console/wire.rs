//! A connection of a console, and its own small, strict reader of HTTP/1 answers.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use crate::error::Error;

/// How long a console waits for the next byte.
const PATIENCE: Duration = Duration::from_secs(30);
/// Longest head that is read.
const LONGEST_HEAD: usize = 64 * 1024;

/// Status line and headers of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnswerHead {
    /// `1` of `HTTP/1.1`, `0` of `HTTP/1.0`.
    pub minor_version: u8,
    /// Status code.
    pub status: u16,
    /// Reason phrase.
    pub reason: String,
    /// Header lines as they came.
    pub headers: Vec<(String, String)>,
}

impl AnswerHead {
    /// The first value of a header, whatever its case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    /// Whether the connection may carry another request (RFC 9112, section 9.3).
    #[must_use]
    pub fn keeps_alive(&self) -> bool {
        let has = |option: &str| {
            let values = self.headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case("connection"));
            values.flat_map(|(_, v)| v.split(',')).any(|v| v.trim().eq_ignore_ascii_case(option))
        };
        if self.minor_version == 0 { has("keep-alive") } else { !has("close") }
    }
}

/// How the rest of a body is told from what follows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    Counted(u64),
    Chunked,
    UntilClose,
    Done,
}

/// A stream with what was read from it and not yet used.
#[derive(Debug)]
pub(crate) struct Wire<S> {
    stream: S,
    buffer: Vec<u8>,
    framing: Framing,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, buffer: Vec::new(), framing: Framing::Done }
    }

    pub(crate) fn stream(&self) -> &S {
        &self.stream
    }

    /// The stream, if nothing was read that nobody asked for.
    pub(crate) fn into_stream(self) -> Result<S, Error> {
        if self.buffer.is_empty() {
            return Ok(self.stream);
        }
        Err(Error::Malformed(format!("{} bytes came unasked", self.buffer.len())))
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let sending = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        patiently(sending).await?.map_err(Error::while_doing("sending"))
    }

    /// The head of the answer to a request of this method. Answers of class 1xx are passed over.
    pub(crate) async fn head(&mut self, method: &str) -> Result<AnswerHead, Error> {
        loop {
            let head = parse_head(&self.take_head().await?)?;
            if (100..200).contains(&head.status) && head.status != 101 {
                continue;
            }
            self.framing = framing(method, &head)?;
            return Ok(head);
        }
    }

    /// The next bytes of the body, `None` after the last.
    pub(crate) async fn body_part(&mut self) -> Result<Option<Vec<u8>>, Error> {
        match self.framing {
            Framing::Done => Ok(None),
            Framing::Counted(0) => {
                self.framing = Framing::Done;
                Ok(None)
            }
            Framing::Counted(left) => {
                let part = self.take_some(left).await?;
                self.framing = Framing::Counted(left - part.len() as u64);
                Ok(Some(part))
            }
            Framing::Chunked => self.chunk().await,
            Framing::UntilClose => {
                if self.buffer.is_empty() && self.read().await? == 0 {
                    self.framing = Framing::Done;
                    return Ok(None);
                }
                Ok(Some(std::mem::take(&mut self.buffer)))
            }
        }
    }

    pub(crate) async fn body(&mut self) -> Result<Vec<u8>, Error> {
        let mut body = Vec::new();
        while let Some(part) = self.body_part().await? {
            body.extend_from_slice(&part);
        }
        Ok(body)
    }

    async fn chunk(&mut self) -> Result<Option<Vec<u8>>, Error> {
        let line = self.take_line().await?;
        let digits = line.split(';').next().unwrap_or_default();
        let plain = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        let size = u64::from_str_radix(digits, 16).ok().filter(|_| plain);
        let size = size.ok_or_else(|| Error::Malformed(format!("chunk size {line:?}")))?;
        if size == 0 {
            while !self.take_line().await?.is_empty() {}
            self.framing = Framing::Done;
            return Ok(None);
        }
        let mut chunk = Vec::new();
        while (chunk.len() as u64) < size {
            chunk.extend(self.take_some(size - chunk.len() as u64).await?);
        }
        let end = self.take_line().await?;
        if end.is_empty() {
            return Ok(Some(chunk));
        }
        Err(Error::Malformed(format!("{end:?} where a chunk ends")))
    }

    async fn take_head(&mut self) -> Result<Vec<u8>, Error> {
        let end = loop {
            if let Some(start) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                break start + 4;
            }
            if self.buffer.len() > LONGEST_HEAD {
                return Err(Error::Malformed(format!("a head beyond {LONGEST_HEAD} bytes")));
            }
            if self.read().await? == 0 {
                let before = self.buffer.is_empty();
                return Err(Error::Ended(if before { BEFORE_ANSWER } else { "within a head" }));
            }
        };
        Ok(self.buffer.drain(..end).collect())
    }

    async fn take_line(&mut self) -> Result<String, Error> {
        let end = loop {
            if let Some(start) = self.buffer.windows(2).position(|two| two == b"\r\n") {
                break start;
            }
            if self.buffer.len() > LONGEST_HEAD {
                return Err(Error::Malformed(format!("a line beyond {LONGEST_HEAD} bytes")));
            }
            if self.read().await? == 0 {
                return Err(Error::Ended("within a chunked body"));
            }
        };
        let line: Vec<u8> = self.buffer.drain(..end + 2).take(end).collect();
        String::from_utf8(line).map_err(|_| Error::Malformed("a line that is no text".to_owned()))
    }

    async fn take_some(&mut self, limit: u64) -> Result<Vec<u8>, Error> {
        if self.buffer.is_empty() && self.read().await? == 0 {
            return Err(Error::Ended("within a body"));
        }
        let count = usize::try_from(limit).unwrap_or(usize::MAX).min(self.buffer.len());
        if count == self.buffer.len() {
            return Ok(std::mem::take(&mut self.buffer));
        }
        Ok(self.buffer.drain(..count).collect())
    }

    /// Reads more, 0 at the end.
    pub(crate) async fn read(&mut self) -> Result<usize, Error> {
        self.buffer.reserve(64 * 1024);
        let reading = self.stream.read_buf(&mut self.buffer);
        patiently(reading).await?.map_err(Error::while_doing("reading"))
    }

    /// What has been read and not been used.
    pub(crate) fn unread(&self) -> &[u8] {
        &self.buffer
    }
}

/// Waits no longer than a console does, so that no test hangs.
pub(super) async fn patiently<F: Future>(operation: F) -> Result<F::Output, Error> {
    timeout(PATIENCE, operation).await.map_err(|_| Error::Silence(PATIENCE.as_secs()))
}

/// A connection that was kept alive may end thus without harm.
pub(crate) const BEFORE_ANSWER: &str = "before the answer";

fn parse_head(bytes: &[u8]) -> Result<AnswerHead, Error> {
    let malformed = |what: &str| Error::Malformed(what.to_owned());
    let text = std::str::from_utf8(bytes).map_err(|_| malformed("a head that is no text"))?;
    let text = text.strip_suffix("\r\n\r\n").ok_or_else(|| malformed("a head without end"))?;
    if text.replace("\r\n", "").contains(['\r', '\n', '\0']) {
        return Err(malformed("a bare CR, LF or NUL in a head"));
    }
    let mut lines = text.split("\r\n");
    let status_line = lines.next().unwrap_or_default();
    let bad_status = || Error::Malformed(format!("status line {status_line:?}"));
    let (minor_version, rest) = match status_line.split_at_checked(9) {
        Some(("HTTP/1.1 ", rest)) => (1, rest),
        Some(("HTTP/1.0 ", rest)) => (0, rest),
        _ => return Err(bad_status()),
    };
    // The space before the reason belongs there even if no reason follows.
    let (code, reason) = rest.split_once(' ').ok_or_else(bad_status)?;
    let digits = code.len() == 3 && code.bytes().all(|digit| digit.is_ascii_digit());
    let status = code.parse().ok().filter(|_| digits).ok_or_else(bad_status)?;
    let headers = lines.map(parse_header).collect::<Result<_, _>>()?;
    Ok(AnswerHead { minor_version, status, reason: reason.to_owned(), headers })
}

fn parse_header(line: &str) -> Result<(String, String), Error> {
    let token = |c: u8| c.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&c);
    match line.split_once(':') {
        Some((name, value)) if !name.is_empty() && name.bytes().all(token) => {
            Ok((name.to_owned(), value.trim_matches([' ', '\t']).to_owned()))
        }
        _ => Err(Error::Malformed(format!("header line {line:?}"))),
    }
}

/// RFC 9112, section 6.3, without its leniencies.
fn framing(method: &str, head: &AnswerHead) -> Result<Framing, Error> {
    let successful_connect = method == "CONNECT" && (200..300).contains(&head.status);
    if method == "HEAD" || successful_connect || matches!(head.status, 101 | 204 | 304) {
        return Ok(Framing::Done);
    }
    let values = |name: &'static str| {
        head.headers.iter().filter(move |(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v)
    };
    let lengths: Vec<_> = values("content-length").collect();
    let codings: Vec<_> = values("transfer-encoding").collect();
    match (&lengths[..], &codings[..]) {
        ([], []) => Ok(Framing::UntilClose),
        ([length], []) if length.bytes().all(|digit| digit.is_ascii_digit()) => {
            let length = length.parse().map(Framing::Counted);
            length.map_err(|_| Error::Malformed("Content-Length is no number".to_owned()))
        }
        ([], [coding]) if head.minor_version == 1 && coding.eq_ignore_ascii_case("chunked") => {
            Ok(Framing::Chunked)
        }
        _ => Err(Error::Malformed(format!("length {lengths:?} and coding {codings:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::io::duplex;

    use super::*;

    /// Reads one answer that comes in pieces of the given length.
    fn read(bytes: &[u8], piece: usize, method: &str) -> Result<(AnswerHead, Vec<u8>), Error> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let (near, far) = duplex(piece);
            let (mut sender, mut wire) = (far, Wire::new(near));
            let bytes = bytes.to_vec();
            let sending = async move { sender.write_all(&bytes).await };
            let reading = async move {
                let head = wire.head(method).await?;
                let body = wire.body().await?;
                Ok((head, body))
            };
            tokio::join!(sending, reading).1
        })
    }

    #[test]
    fn the_three_framings_give_the_same_body() {
        for answer in [
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x\r\nllo\r\n0\r\nA: b\r\n\r\n",
            "HTTP/1.0 200 OK\r\n\r\nhello",
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 \r\nContent-Length: 5\r\n\r\nhello",
        ] {
            for piece in [1, 3, 4096] {
                let (head, body) = read(answer.as_bytes(), piece, "GET").unwrap();
                assert_eq!((head.status, &body[..]), (200, &b"hello"[..]), "{answer}");
            }
        }
    }

    #[test]
    fn what_a_strict_reader_must_not_take() {
        for answer in [
            "HTTP/1.1 200 OK\nContent-Length: 0\n\n\r\n\r\n",
            "HTTP/2 200 OK\r\n\r\n",
            "HTTP/1.1 20 OK\r\n\r\n",
            "HTTP/1.1 200\r\n\r\n",
            "HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
            "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
            "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\nx",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxy\r\n0\r\n\r\n",
        ] {
            let error = read(answer.as_bytes(), 4096, "GET").unwrap_err();
            assert!(matches!(error, Error::Malformed(_)), "{answer:?}: {error}");
        }
    }

    #[test]
    fn a_short_body_is_an_error() {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello";
        assert!(matches!(read(answer, 4096, "GET"), Err(Error::Ended("within a body"))));
        assert_eq!(read(answer, 4096, "HEAD").unwrap().1, b"");
    }

    proptest! {
        #[test]
        fn no_answer_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = read(&bytes, 64, "GET");
            let mut answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
            answer.extend(&bytes);
            let _ = read(&answer, 64, "GET");
        }

        #[test]
        fn no_head_panics(text in "HTTP/1\\.[01] [0-9a-z ]{0,6}(\r\n[A-Za-z: -]{0,12}){0,4}\r\n\r\n") {
            let _ = parse_head(text.as_bytes());
        }
    }
}
