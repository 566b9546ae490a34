//! The append-only log: segments, their rotation, and what happens when the disk refuses.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use consoletap_flow::Timestamp;

use crate::disk::{Disk, Opening};
use crate::line::{MAX_LINE, Seal, check, seal};
use crate::sync::Syncer;
use crate::{Gap, layout};

/// How long to wait after the disk refused before it is asked again.
const RETRY_AFTER: Duration = Duration::from_millis(500);

pub(crate) struct Log {
    disk: Arc<dyn Disk>,
    syncer: Arc<Syncer>,
    directory: PathBuf,
    limit: u64,
    /// The number of the next segment.
    next: u64,
    segment: Option<Segment>,
    retry_at: Option<Instant>,
    /// When a segment was left that could not be synced.
    unsynced_at: Option<Instant>,
    gap: Option<Gap>,
    error: Option<io::Error>,
    /// Takes segments that are full; `None` where they stay as they are.
    full: Option<Sender<PathBuf>>,
}

struct Segment {
    file: Arc<File>,
    path: PathBuf,
    bytes: u64,
}

/// Where a line of a batch ends, and what it holds.
#[derive(Clone, Copy)]
pub(crate) struct Line {
    pub(crate) end: usize,
    pub(crate) what: What,
}

/// What a line holds.
#[derive(Clone, Copy)]
pub(crate) enum What {
    /// An event of this time.
    Event(Timestamp),
    /// A small body of this hash.
    Body([u8; 32]),
}

impl Log {
    /// A log that begins with a new segment behind those that are there.
    pub(crate) fn open(
        disk: Arc<dyn Disk>,
        syncer: Arc<Syncer>,
        directory: PathBuf,
        limit: u64,
        full: Option<Sender<PathBuf>>,
    ) -> io::Result<Self> {
        let segments = layout::segments(&directory)?;
        if let Some(last) = segments.last().filter(|last| !last.packed) {
            mend_end(&last.path)?;
        }
        let next = segments.last().map_or(1, |last| last.number.saturating_add(1));
        let (segment, retry_at, unsynced_at, gap, error) = (None, None, None, None, None);
        let mut log = Self {
            disk,
            syncer,
            directory,
            limit,
            next,
            segment,
            retry_at,
            unsynced_at,
            gap,
            error,
            full,
        };
        log.begin_segment()?;
        segments.into_iter().filter(|old| !old.packed).for_each(|old| log.is_full(old.path));
        Ok(log)
    }

    /// Appends a batch of lines with one `write(2)`; says how many of them are on disk. The others
    /// are counted for the gap.
    pub(crate) fn append(&mut self, octets: &[u8], lines: &[Line]) -> usize {
        let mut done: usize = 0;
        // The second try is for a segment that fails on a disk that does not.
        for attempt in 0..2 {
            let start = done.checked_sub(1).map_or(0, |last| lines[last].end);
            if done == lines.len() || !self.is_ready(octets.len() - start) {
                break;
            }
            let written = self.write(&octets[start..]);
            done += lines[done..].iter().take_while(|line| line.end - start <= written).count();
            if attempt == 0 {
                self.retry_at = None;
            }
        }
        for line in &lines[done..] {
            if let What::Event(at) = line.what {
                self.lose(at);
            }
        }
        done
    }

    /// Leaves the segment where it, or a body, could not be synced since this was last asked; says why.
    /// What the kernel could not write is not safe, and asking again would not tell (a failed fsync
    /// marks the pages clean): the log goes on in a new segment. Where every sync fails, not in more
    /// than two a second.
    pub(crate) fn heed_sync(&mut self) -> Option<io::Error> {
        let error = self.syncer.failure()?;
        if self.unsynced_at.is_none_or(|at| at.elapsed() >= RETRY_AFTER) {
            self.unsynced_at = Some(Instant::now());
            self.segment = None;
            self.retry_at = None;
        }
        Some(error)
    }

    /// Counts an event that is not on disk.
    pub(crate) fn lose(&mut self, at: Timestamp) {
        self.gap = Some(Gap::widen(self.gap, at));
    }

    /// What failed since it was last asked.
    pub(crate) fn error(&mut self) -> Option<io::Error> {
        self.error.take()
    }

    /// Tries a last time to say what was lost. No segment is compressed after this.
    pub(crate) fn close(&mut self) {
        self.retry_at = None;
        if self.gap.is_some() {
            self.is_ready(0);
        }
        self.full = None;
    }

    /// Whether there is a segment to write to, with everything said that was lost before.
    fn is_ready(&mut self, bytes: usize) -> bool {
        if self
            .segment
            .as_ref()
            .is_some_and(|segment| segment.bytes > 0 && segment.bytes + bytes as u64 > self.limit)
        {
            let full = self.segment.as_ref().map(|segment| segment.path.clone());
            match self.begin_segment() {
                Ok(()) => full.into_iter().for_each(|full| self.is_full(full)),
                // Where no new one can be made, the old one grows on.
                Err(error) => self.error = Some(error),
            }
        }
        if self.segment.is_none() {
            if self.retry_at.is_some_and(|at| Instant::now() < at) {
                return false;
            }
            if let Err(error) = self.begin_segment() {
                self.fail(error);
                return false;
            }
        }
        self.gap.is_none() || self.write_gap()
    }

    fn write_gap(&mut self) -> bool {
        let Some(gap) = self.gap else { return true };
        let mut line = serde_json::json!({ "gap": gap }).to_string().into_bytes();
        seal(&mut line, 0);
        if self.write(&line) < line.len() {
            return false;
        }
        tracing::error!(events = gap.events, "the session is written again; events are missing");
        self.gap = None;
        true
    }

    /// Writes to the segment; says how many octets of whole lines stay there.
    fn write(&mut self, octets: &[u8]) -> usize {
        let Some(segment) = &mut self.segment else { return 0 };
        match self.disk.write_counted(&segment.file, octets) {
            Ok(()) => {
                segment.bytes += octets.len() as u64;
                self.syncer.wrote_segment(&segment.file);
                self.retry_at = None;
                octets.len()
            }
            Err((done, error)) => {
                let whole = octets[..done].iter().rposition(|&byte| byte == b'\n');
                let whole = whole.map_or(0, |last| last + 1);
                segment.bytes += whole as u64;
                self.fail(error);
                whole
            }
        }
    }

    /// Leaves the segment, without a torn line in it, and without an empty file behind.
    fn fail(&mut self, error: io::Error) {
        if let Some(segment) = self.segment.take() {
            if let Err(error) = segment.file.set_len(segment.bytes) {
                tracing::debug!(%error, "a torn line stays in {}", segment.path.display());
            }
            self.syncer.wrote_segment(&segment.file);
            if segment.bytes == 0 && std::fs::remove_file(&segment.path).is_ok() {
                self.next -= 1;
            }
        }
        self.retry_at = Some(Instant::now() + RETRY_AFTER);
        self.error = Some(error);
    }

    fn is_full(&self, segment: PathBuf) {
        if let Some(full) = &self.full {
            // Where nobody compresses any more, it stays as it is.
            let _ = full.send(segment);
        }
    }

    fn begin_segment(&mut self) -> io::Result<()> {
        let path = layout::segment(&self.directory, self.next);
        let file = Arc::new(self.disk.open(&path, Opening::Append)?);
        self.next += 1;
        self.syncer.made_file(self.directory.clone());
        self.segment = Some(Segment { file, path, bytes: 0 });
        Ok(())
    }
}

/// Cuts what a crash left behind the last whole line: its event was never shown to anybody. A line
/// that lacks nothing but its line feed gets one.
fn mend_end(path: &Path) -> io::Result<()> {
    let mut file = File::options().read(true).write(true).open(path)?;
    let bytes = file.metadata()?.len();
    let mut end = bytes;
    let mut block = [0; 4096];
    while end > 0 {
        let start = end.saturating_sub(block.len() as u64);
        // At most 4096.
        let block = &mut block[..(end - start) as usize];
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(block)?;
        if let Some(last) = block.iter().rposition(|&byte| byte == b'\n') {
            end = start + last as u64 + 1;
            break;
        }
        end = start;
    }
    if end == bytes {
        return Ok(());
    }
    let mut torn = Vec::new();
    file.seek(SeekFrom::Start(end))?;
    (&mut file).take(MAX_LINE as u64).read_to_end(&mut torn)?;
    if end + torn.len() as u64 == bytes && check(&torn) == Seal::Sound {
        return file.write_all(b"\n");
    }
    file.set_len(end)
}
