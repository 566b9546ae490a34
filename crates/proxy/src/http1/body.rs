//! Reading bodies: the framing taken off, strictly.

use std::io;

use bytes::Bytes;
use consoletap_flow::Headers;

use super::framing::Framing;
use super::head::{HeadError, HeadLimits, parse_trailers};
use super::reader::Reader;
use crate::http2;
use crate::settings::Limits;

/// A part of a body.
#[derive(Debug)]
pub(crate) enum Frame {
    /// Octets; never none.
    Data(Bytes),
    /// The fields behind the last octet.
    Trailers(Headers),
}

/// Why a body did not come whole.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    /// The connection ended too early.
    #[error("the connection was closed before the body was complete")]
    Cut,
    /// The connection failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The chunks are broken.
    #[error("the chunked body is broken: {0}")]
    Chunk(&'static str),
    /// The trailers are broken.
    #[error("the trailers are broken: {0}")]
    Trailers(#[from] HeadError),
    /// HTTP/2 says so.
    #[error(transparent)]
    Http2(#[from] http2::Error),
    /// Nothing came for too long.
    #[error("nothing came for {0} seconds")]
    Idle(u64),
}

/// What is allowed around the octets of a body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BodyLimits {
    pub(crate) chunk_line: usize,
    pub(crate) trailers: HeadLimits,
}

impl From<&Limits> for BodyLimits {
    fn from(limits: &Limits) -> Self {
        Self { chunk_line: limits.chunk_line, trailers: HeadLimits::from(limits) }
    }
}

/// The place within a body.
#[derive(Debug)]
pub(crate) struct BodyReader {
    at: Place,
    limits: BodyLimits,
    /// Octets of chunk extensions so far: nobody needs them, and they could go on for ever.
    extensions: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Done,
    Length(u64),
    ChunkLine,
    Chunk(u64),
    ChunkEnd,
    Trailers,
    Close,
}

impl BodyReader {
    pub(crate) fn new(framing: Framing, limits: BodyLimits) -> Self {
        let at = match framing {
            Framing::Empty | Framing::Length(0) => Place::Done,
            Framing::Length(length) => Place::Length(length),
            Framing::Chunked => Place::ChunkLine,
            Framing::Close => Place::Close,
        };
        Self { at, limits, extensions: 0 }
    }

    /// Whether everything came.
    pub(crate) fn is_done(&self) -> bool {
        self.at == Place::Done
    }

    /// How many octets are still to come, where that is known.
    pub(crate) fn remaining(&self) -> Option<u64> {
        match self.at {
            Place::Done => Some(0),
            Place::Length(remaining) => Some(remaining),
            Place::ChunkLine
            | Place::Chunk(_)
            | Place::ChunkEnd
            | Place::Trailers
            | Place::Close => None,
        }
    }

    /// The next part; `None` after the last. Safe to cancel.
    pub(crate) async fn next(&mut self, reader: &mut Reader) -> Result<Option<Frame>, BodyError> {
        loop {
            match self.at {
                Place::Done => return Ok(None),
                Place::Length(remaining) => {
                    let data = octets(reader, remaining).await?;
                    self.at = match remaining - data.len() as u64 {
                        0 => Place::Done,
                        rest => Place::Length(rest),
                    };
                    return Ok(Some(Frame::Data(data)));
                }
                Place::Close => {
                    if reader.buffered().is_empty() && reader.fill_bulk().await? == 0 {
                        self.at = Place::Done;
                        return Ok(None);
                    }
                    let count = reader.buffered().len();
                    return Ok(Some(Frame::Data(reader.take(count))));
                }
                Place::Chunk(remaining) => {
                    let data = octets(reader, remaining).await?;
                    self.at = match remaining - data.len() as u64 {
                        0 => Place::ChunkEnd,
                        rest => Place::Chunk(rest),
                    };
                    return Ok(Some(Frame::Data(data)));
                }
                Place::ChunkLine => {
                    self.at = match self.chunk_line(reader).await? {
                        0 => Place::Trailers,
                        size => Place::Chunk(size),
                    };
                }
                Place::ChunkEnd => {
                    while reader.buffered().len() < 2 {
                        more(reader).await?;
                    }
                    if !reader.buffered().starts_with(b"\r\n") {
                        return Err(BodyError::Chunk("a chunk does not end with CRLF"));
                    }
                    reader.skip(2);
                    self.at = Place::ChunkLine;
                }
                Place::Trailers => {
                    let trailers = self.trailers(reader).await?;
                    self.at = Place::Done;
                    return Ok((!trailers.is_empty()).then_some(Frame::Trailers(trailers)));
                }
            }
        }
    }

    /// The size of the next chunk.
    async fn chunk_line(&mut self, reader: &mut Reader) -> Result<u64, BodyError> {
        loop {
            if let Some(end) = memchr::memchr(b'\n', reader.buffered()) {
                let line = &reader.buffered()[..end];
                let line = line
                    .strip_suffix(b"\r")
                    .ok_or(BodyError::Chunk("a line ends with LF alone"))?;
                let size = chunk_size(line)?;
                self.extensions += line.len();
                // One line may be long, but their sum is bounded too, at what many short chunks need.
                if line.len() > self.limits.chunk_line || self.too_many_extensions(line) {
                    return Err(BodyError::Chunk("the chunk extensions are too long"));
                }
                reader.skip(end + 1);
                return Ok(size);
            }
            if reader.buffered().len() > self.limits.chunk_line {
                return Err(BodyError::Chunk("the line before a chunk is too long"));
            }
            more(reader).await?;
        }
    }

    fn too_many_extensions(&mut self, line: &[u8]) -> bool {
        let size = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        self.extensions -= size.min(self.extensions);
        self.extensions > 16 * self.limits.chunk_line
    }

    async fn trailers(&mut self, reader: &mut Reader) -> Result<Headers, BodyError> {
        loop {
            let buffered = reader.buffered();
            if let Some(end) = end_of_trailers(buffered)? {
                if end > self.limits.trailers.head {
                    return Err(HeadError::TooLarge(self.limits.trailers.head).into());
                }
                let trailers = parse_trailers(&buffered[..end], self.limits.trailers)?;
                reader.skip(end);
                return Ok(trailers);
            }
            if buffered.len() > self.limits.trailers.head {
                return Err(HeadError::TooLarge(self.limits.trailers.head).into());
            }
            more(reader).await?;
        }
    }
}

/// Behind the empty line that ends trailers, where it is there. Unlike in a head no line may end
/// with LF alone: who takes that for an end and who does not would disagree on the next request.
fn end_of_trailers(octets: &[u8]) -> Result<Option<usize>, BodyError> {
    let mut start = 0;
    for end in memchr::memchr_iter(b'\n', octets) {
        match &octets[start..end] {
            b"\r" => return Ok(Some(end + 1)),
            [.., b'\r'] => start = end + 1,
            _ => return Err(BodyError::Chunk("a line ends with LF alone")),
        }
    }
    Ok(None)
}

/// Some octets of `remaining`, at least one.
async fn octets(reader: &mut Reader, remaining: u64) -> Result<Bytes, BodyError> {
    if reader.buffered().is_empty() {
        let count =
            if remaining > 32 << 10 { reader.fill_bulk().await? } else { reader.fill().await? };
        if count == 0 {
            return Err(BodyError::Cut);
        }
    }
    let count = reader.buffered().len().min(usize::try_from(remaining).unwrap_or(usize::MAX));
    Ok(reader.take(count))
}

async fn more(reader: &mut Reader) -> Result<(), BodyError> {
    match reader.fill_bulk().await? {
        0 => Err(BodyError::Cut),
        _ => Ok(()),
    }
}

/// RFC 9112 7.1: hex digits, then nothing or an extension. White space before an extension is
/// taken (RFC 9112 7.1.1 calls it bad, and says so); signs, prefixes and lone CRs are not.
fn chunk_size(line: &[u8]) -> Result<u64, BodyError> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    // 15 digits are 60 bits: no sum of sizes can overflow.
    if digits == 0 || digits > 15 {
        return Err(BodyError::Chunk("the size of a chunk is not 1 to 15 hex digits"));
    }
    let rest = line[digits..].trim_ascii_start();
    let extension_fits = rest.first().is_none_or(|&byte| byte == b';')
        && rest.iter().all(|&byte| byte == b'\t' || (byte >= 0x20 && byte != 0x7f));
    if !extension_fits || (rest.is_empty() && line.len() > digits) {
        return Err(BodyError::Chunk("the size of a chunk is followed by something else"));
    }
    line[..digits]
        .iter()
        .try_fold(0u64, |size, &digit| Some(size << 4 | u64::from(char::from(digit).to_digit(16)?)))
        .ok_or(BodyError::Chunk("the size of a chunk is no number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunk_sizes_are_hex_digits_and_nothing_else() {
        for (line, size) in [("0", 0), ("a", 10), ("00fF", 255), ("5;x=y", 5), ("5 ;x", 5)] {
            assert_eq!(chunk_size(line.as_bytes()).unwrap(), size, "{line}");
        }
        for bad in [
            "",
            "+5",
            "-1",
            "0x5",
            " 5",
            "5 ",
            "5 x",
            "g",
            "1234567890abcdef",
            "5;\r",
            "5;\0",
            ";x",
        ] {
            assert!(chunk_size(bad.as_bytes()).is_err(), "{bad:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_line_makes_it_panic(octets in proptest::collection::vec(proptest::num::u8::ANY, 0..60)) {
            if let Ok(size) = chunk_size(&octets) {
                proptest::prop_assert!(size < 1 << 60);
            }
            if let Ok(Some(end)) = end_of_trailers(&octets) {
                proptest::prop_assert!(octets[..end].ends_with(b"\r\n"));
            }
        }
    }
}
