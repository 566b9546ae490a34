//! Small bodies lie in the log, each on a line of its own: a file for each would cost more than its
//! octets, and most bodies of a console are small. This finds them by their hash.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use consoletap_flow::Digest;
use serde::Deserialize;

use crate::line::{BODY, Cut, MAX_LINE, Seal, check, cut, in_line, seal};
use crate::recent::Recent;
use crate::{json, layout};

/// A body up to this size lies in the log. A file takes a block of 4 KiB at the least, and three
/// system calls on the way of an answer.
pub(crate) const SMALL: usize = 4 << 10;

/// Appends the line of a small body: `{"body":{"sha256":"…","text":"…"}}`, or `base64` where it is
/// no UTF-8.
pub(crate) fn write(lines: &mut Vec<u8>, name: &Digest, octets: &[u8]) {
    let start = lines.len();
    write_unchecked(lines, name, octets, std::str::from_utf8(octets).ok());
    seal(lines, start);
}

/// The same without a check and without an end, as this text where there is one.
pub(crate) fn write_unchecked(
    lines: &mut Vec<u8>,
    name: &Digest,
    octets: &[u8],
    text: Option<&str>,
) {
    lines.extend_from_slice(BODY);
    lines.extend_from_slice(name.hex().as_bytes());
    // Writing to a vector cannot fail, and text is always JSON.
    match text {
        Some(text) => {
            lines.extend_from_slice(b"\",\"text\":");
            let _ = json::write(lines, &text);
            lines.extend_from_slice(b"}}");
        }
        None => {
            let _ = write!(lines, "\",\"base64\":\"{}\"}}}}", BASE64.encode(octets));
        }
    }
}

/// A line, without the hash, which is the key by which it was found.
#[derive(Deserialize)]
struct BodyLine {
    body: Octets,
}

#[derive(Deserialize)]
struct Octets {
    text: Option<String>,
    base64: Option<String>,
}

/// The octets in the line of a small body.
pub(crate) fn read(line: &[u8]) -> io::Result<Vec<u8>> {
    let broken = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
    if check(line) == Seal::Broken {
        return Err(broken("the body was changed after it was recorded".to_owned()));
    }
    let line: BodyLine =
        serde_json::from_slice(line).map_err(|error| broken(in_line(&error.to_string())))?;
    match line.body {
        Octets { text: Some(text), .. } => Ok(text.into_bytes()),
        Octets { base64: Some(text), .. } => {
            BASE64.decode(text).map_err(|error| broken(error.to_string()))
        }
        _ => Err(broken("the line of a body has neither `text` nor `base64`".to_owned())),
    }
}

/// Where the small bodies of a session lie; filled when the first one is asked for, and again when
/// one is not known yet, for the session may be growing.
#[derive(Debug, Default)]
pub(crate) struct SmallBodies {
    recent: Recent,
    index: Mutex<Index>,
}

#[derive(Debug, Default)]
struct Index {
    places: HashMap<[u8; 32], Place>,
    seen: HashMap<u64, Seen>,
}

/// How much of a segment is in the index.
#[derive(Debug, Clone, Copy)]
enum Seen {
    /// So many octets.
    Plain(u64),
    Packed,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    segment: u64,
    packed: bool,
    /// Where the frame begins in a compressed segment; 0 in a plain one.
    frame: u64,
    /// Where the line begins, behind that.
    line: u64,
}

impl SmallBodies {
    /// Remembers the line of a small body for a while.
    pub(crate) fn remember(&self, line: &[u8]) {
        if let Some(name) = name_of(line) {
            self.recent.add(name, line);
        }
    }

    /// The octets of a small body whose line was read a moment ago.
    pub(crate) fn recent(&self, digest: &Digest) -> Option<io::Result<Vec<u8>>> {
        self.recent.get(&digest.octets).map(|line| read(&line))
    }

    /// The octets of a small body; `None` where the log has none of that hash.
    pub(crate) fn get(&self, directory: &Path, digest: &Digest) -> io::Result<Option<Vec<u8>>> {
        let mut index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = index.places.get(&digest.octets) {
            match place.read(directory) {
                // Its segment was compressed since.
                Err(error) if error.kind() == io::ErrorKind::NotFound => *index = Index::default(),
                octets => return octets.map(Some),
            }
        }
        index.scan(directory)?;
        let place = index.places.get(&digest.octets);
        place.map(|place| place.read(directory)).transpose()
    }
}

impl Index {
    fn scan(&mut self, directory: &Path) -> io::Result<()> {
        for segment in layout::segments(directory)? {
            let seen = self.seen.get(&segment.number).copied();
            let number = segment.number;
            let seen = match (segment.packed, seen) {
                (true, Some(Seen::Packed)) => continue,
                (true, _) => {
                    let mut file =
                        Counted { inner: BufReader::new(File::open(&segment.path)?), at: 0 };
                    while !file.fill_buf()?.is_empty() {
                        let place =
                            Place { segment: number, packed: true, frame: file.at, line: 0 };
                        let frame = zstd::Decoder::with_buffer(&mut file)?.single_frame();
                        self.scan_lines(BufReader::new(frame), place)?;
                    }
                    Seen::Packed
                }
                (false, seen) => {
                    let from = if let Some(Seen::Plain(octets)) = seen { octets } else { 0 };
                    let mut file = match File::open(&segment.path) {
                        // It is being compressed; the next question finds it.
                        Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                        file => file?,
                    };
                    file.seek(SeekFrom::Start(from))?;
                    let place = Place { segment: number, packed: false, frame: 0, line: from };
                    let file = BufReader::with_capacity(1 << 16, file);
                    Seen::Plain(self.scan_lines(file, place)?)
                }
            };
            self.seen.insert(number, seen);
        }
        Ok(())
    }

    /// Takes in the bodies among some lines; says where the last whole line ends.
    fn scan_lines(&mut self, mut lines: impl BufRead, mut place: Place) -> io::Result<u64> {
        let mut line = Vec::new();
        loop {
            match cut(&mut lines, &mut line)? {
                Cut::End | Cut::Torn => return Ok(place.line),
                Cut::Line => {
                    if let Some(name) = name_of(&line) {
                        self.places.insert(name, place);
                    }
                    place.line += line.len() as u64 + 1;
                }
                // Its length is not known any more. No writer makes one.
                Cut::TooLong => return Ok(place.line),
            }
        }
    }
}

/// The hash in the line of a small body.
pub(crate) fn name_of(line: &[u8]) -> Option<[u8; 32]> {
    let hex = line.strip_prefix(BODY)?.get(..64)?;
    let digest: Digest = format!("sha256:{}", std::str::from_utf8(hex).ok()?).parse().ok()?;
    Some(digest.octets)
}

impl Place {
    fn read(&self, directory: &Path) -> io::Result<Vec<u8>> {
        let plain = layout::segment(directory, self.segment);
        let path = if self.packed { layout::packed(&plain) } else { plain };
        let mut file = File::open(path)?;
        let mut line = Vec::new();
        if self.packed {
            file.seek(SeekFrom::Start(self.frame))?;
            let mut frame = zstd::Decoder::new(file)?.single_frame();
            io::copy(&mut (&mut frame).take(self.line), &mut io::sink())?;
            cut(&mut BufReader::new(frame), &mut line)?;
        } else {
            file.seek(SeekFrom::Start(self.line))?;
            cut(&mut BufReader::new(file.take(MAX_LINE as u64 + 1)), &mut line)?;
        }
        read(&line)
    }
}

/// Counts what was read of a file.
struct Counted {
    inner: BufReader<File>,
    at: u64,
}

impl io::Read for Counted {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(into)?;
        self.at += count as u64;
        Ok(count)
    }
}

impl BufRead for Counted {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.inner.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.at += count as u64;
        self.inner.consume(count);
    }
}
