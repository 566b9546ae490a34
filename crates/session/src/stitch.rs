//! A file out of its slices: written whole where all of it was kept, and checked.

use std::cmp::Reverse;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write};
use std::ops::Range;

use aws_lc_rs::digest::{Context, SHA256};
use consoletap_flow::BodySide;

use crate::bodies::digest_of;
use crate::downloads::Piece;
use crate::{Download, Expected, Session, Slice};

/// What a download is against what its manifest says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Check {
    /// It is what the manifest says.
    Right(Expected),
    /// It is not.
    Wrong {
        /// What it should hash to.
        expected: Expected,
        /// What it hashes to, in hex; or its size, where that differs already.
        found: String,
    },
    /// No manifest of this session names the file.
    NoManifest,
    /// The client does not have all of it.
    Incomplete,
    /// The session does not hold all of it (a rule `store = "full"` would have kept it).
    NotKept,
    /// What is kept cannot be read.
    Unreadable(String),
}

impl Session {
    /// Writes a download's file out. The whole of it must have been kept.
    ///
    /// # Errors
    /// When something is missing (see [`Download::not_kept`]), cannot be read or was changed since
    /// it was recorded, or cannot be written.
    pub fn write_download(&self, download: &Download, to: &mut dyn Write) -> io::Result<u64> {
        let mut at = 0;
        // Of those that reach the same point, the one that goes on the longest comes first.
        let mut slices: Vec<&Slice> = download.slices.iter().collect();
        slices.sort_by_key(|slice| (slice.start, Reverse(slice.kept.bytes())));
        while download.total.is_none_or(|total| at < total) {
            let reaching = |slice: &&&Slice| {
                slice.start <= at && slice.start.saturating_add(slice.kept.bytes()) > at
            };
            let best = slices.iter().filter(reaching).max_by_key(|it| it.start + it.kept.bytes());
            let Some(slice) = best else {
                if download.total.is_none() && download.not_kept().is_empty() {
                    break;
                }
                let what = format!("octets from {at} on are not in the session");
                return Err(io::Error::new(io::ErrorKind::NotFound, what));
            };
            let end = slice.start + slice.kept.bytes();
            let end = download.total.map_or(end, |total| end.min(total));
            self.write_slice(slice, at - slice.start..end - slice.start, to)?;
            at = end;
        }
        Ok(at)
    }

    /// Writes what is kept of the answer of one flow; says how much that is.
    ///
    /// # Errors
    /// As [`Self::write_download`].
    pub fn write_answer(
        &self,
        flow: &consoletap_flow::Flow,
        to: &mut dyn Write,
    ) -> io::Result<u64> {
        let kept = self.piece(flow);
        let slice = Slice::whole(flow, kept);
        self.write_slice(&slice, 0..kept.bytes(), to)?;
        Ok(kept.bytes())
    }

    /// Writes a range of what is kept of a slice, and checks that it is what was recorded.
    fn write_slice(&self, slice: &Slice, range: Range<u64>, to: &mut dyn Write) -> io::Result<()> {
        match slice.kept {
            Piece::Nothing => Ok(()),
            Piece::Part(_) => {
                let part = self.part_of_body(slice.flow, BodySide::Response);
                let mut part = part.ok_or(io::ErrorKind::NotFound)?;
                part.seek(SeekFrom::Start(range.start))?;
                let wanted = range.end - range.start;
                let copied = io::copy(&mut part.take(wanted), to)?;
                if copied == wanted { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
            }
            Piece::Body(name, _) => {
                let mut body = self.open_body(&name)?;
                let mut hash = Context::new(&SHA256);
                let mut block = vec![0; 128 << 10];
                let mut at = 0;
                loop {
                    let count = match body.read(&mut block) {
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                        count => count?,
                    };
                    if count == 0 {
                        break;
                    }
                    hash.update(&block[..count]);
                    // Both are at most a block behind `at`.
                    let from = range.start.saturating_sub(at).min(count as u64) as usize;
                    let until = range.end.saturating_sub(at).min(count as u64) as usize;
                    if from < until {
                        to.write_all(&block[from..until])?;
                    }
                    at += count as u64;
                }
                if digest_of(hash.finish()) == name && at >= range.end {
                    return Ok(());
                }
                let what = format!(
                    "the body {name} of flow {} was changed or cut after it was recorded",
                    slice.flow
                );
                Err(io::Error::new(io::ErrorKind::InvalidData, what))
            }
        }
    }

    /// Checks a download against the manifest of its session. Reads all of it, where it is kept.
    #[must_use]
    pub fn check(&self, download: &Download) -> Check {
        let Some(expected) = &download.expected else { return Check::NoManifest };
        if let (Some(said), Some(total)) = (expected.size, download.total)
            && said != total
        {
            let found = format!("{total} bytes instead of {said}");
            return Check::Wrong { expected: expected.clone(), found };
        }
        if !download.is_complete() {
            return Check::Incomplete;
        }
        if !download.not_kept().is_empty() {
            return Check::NotKept;
        }
        let mut hash = Hashing(Context::new(expected.hash()));
        if let Err(error) = self.write_download(download, &mut hash) {
            return Check::Unreadable(error.to_string());
        }
        let hash = hash.0.finish();
        let found: String = hash.as_ref().iter().map(|octet| format!("{octet:02x}")).collect();
        if found == expected.hex {
            Check::Right(expected.clone())
        } else {
            Check::Wrong { expected: expected.clone(), found }
        }
    }
}

struct Hashing(Context);

impl Write for Hashing {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.update(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
