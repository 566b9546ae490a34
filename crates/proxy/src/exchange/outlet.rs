//! Where the octets of an answer go: through what rules do to them, to the client, past the tap.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use consoletap_flow::{Digest, Headers};
use tokio::time::timeout;

use crate::console::Answer;
use crate::exchange::relay::Ending;
use crate::http1::Framing;
use crate::open_flow::FlowLog;
use crate::origin::{OpenBody, Origin};
use crate::serve::{FileBody, FileChanged, LocalBody, LocalContent, Part, Piece, Pieces};
use crate::shape::{Shape, Step};
use crate::tap::Tap;

/// What is read of a file at once where it goes through this program.
const BLOCK: usize = 256 << 10;
/// The most that the kernel moves of a file at once, so that one transfer does not hold up others.
const WINDOW: u64 = 1 << 20;
/// A stalled answer is not held for longer than any console waits.
const STALL: Duration = Duration::from_secs(3600);
/// What is held back of a file until it is known to be the same as before.
const TAIL: u64 = 1024;

/// The way of an answer to its client.
pub(super) struct Outlet<'o, 'c> {
    pub(super) answer: &'o mut Answer<'c>,
    pub(super) tap: &'o mut Tap,
    pub(super) log: &'o mut FlowLog,
    /// Octets that the client took.
    pub(super) taken: &'o AtomicU64,
    /// Octets of the request so far, for the row.
    pub(super) sent: &'o AtomicU64,
    /// How long a client may take nothing.
    pub(super) idle: Duration,
    /// What rules do to the octets; mostly nothing.
    pub(super) shape: Option<Box<Shape>>,
}

impl Outlet<'_, '_> {
    /// Begins the answer.
    pub(super) fn head(
        &mut self,
        status: u16,
        reason: &str,
        fields: Headers,
        framing: Framing,
    ) -> Result<(), Ending> {
        Ok(self.answer.head(status, reason, fields, framing)?)
    }

    /// Sends octets; with `last` they are the last ones.
    pub(super) async fn send(&mut self, octets: Bytes, last: bool) -> Result<(), Ending> {
        if self.shape.is_none() {
            self.pass(octets, last).await
        } else {
            // Rare, and large: every connection would have room for it.
            Box::pin(self.bend(octets, last)).await
        }
    }

    /// Sends what has gathered.
    pub(super) async fn flush(&mut self) -> Result<(), Ending> {
        match timeout(self.idle, self.answer.flush()).await {
            Ok(sent) => Ok(sent?),
            Err(_) => Err(Ending::takes_nothing(self.idle)),
        }
    }

    async fn pass(&mut self, octets: Bytes, last: bool) -> Result<(), Ending> {
        match timeout(self.idle, self.answer.data(octets.clone(), last)).await {
            Ok(sent) => sent?,
            Err(_) => return Err(Ending::takes_nothing(self.idle)),
        }
        // Hashed behind the sending: the client works on it meanwhile.
        self.tap.see(&octets);
        self.moved(octets.len() as u64);
        Ok(())
    }

    fn moved(&mut self, octets: u64) {
        self.taken.fetch_add(octets, Ordering::Relaxed);
        self.log.progress(self.sent.load(Ordering::Relaxed), self.tap.bytes());
    }

    /// Sends octets as rules want it: slowly, changed, or not at all.
    async fn bend(&mut self, mut octets: Bytes, last: bool) -> Result<(), Ending> {
        while !octets.is_empty() {
            let Some(shape) = &mut self.shape else { return self.pass(octets, last).await };
            match shape.step(octets.len()) {
                Step::Go(count) => {
                    let piece = octets.split_to(count);
                    shape.pace(count).await;
                    let piece = shape.corrupted(piece);
                    shape.hits().into_iter().for_each(|hit| self.log.rule(hit));
                    self.pass(piece, last && octets.is_empty()).await?;
                    if !last || !octets.is_empty() {
                        self.flush().await?;
                    }
                }
                Step::Cut(cause) => {
                    shape.hits().into_iter().for_each(|hit| self.log.rule(hit));
                    return Err(Ending::Broken(cause));
                }
                Step::Stall(cause) => {
                    shape.hits().into_iter().for_each(|hit| self.log.rule(hit));
                    self.flush().await?;
                    tokio::time::sleep(STALL).await;
                    return Err(Ending::Broken(cause));
                }
            }
        }
        Ok(())
    }

    /// Sends the body of an answer from here.
    pub(super) async fn body(&mut self, body: LocalBody) -> Result<(), Ending> {
        match body {
            LocalBody::None => Ok(()),
            LocalBody::Octets(octets) if octets.is_empty() => Ok(()),
            LocalBody::Octets(octets) => self.send(octets, true).await,
            LocalBody::File(file) => self.file(file).await,
            LocalBody::Pieces(pieces) => self.pieces(pieces).await,
        }
    }

    async fn file(&mut self, file: FileBody) -> Result<(), Ending> {
        let FileBody { content, parts } = file;
        let count = parts.len();
        for (index, part) in parts.into_iter().enumerate() {
            let last = index + 1 == count;
            match part {
                Part::Octets(octets) => {
                    if last {
                        content.check().map_err(broken)?;
                    }
                    self.send(octets, last).await?;
                }
                Part::Slice(range) => {
                    let tail = if last { TAIL.min(range.end - range.start) } else { 0 };
                    self.slice(&content, range.start..range.end - tail).await?;
                    if tail > 0 {
                        let octets = read(&content, range.end - tail, tail).await?;
                        content.check().map_err(broken)?;
                        self.send(octets, true).await?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Sends stored bodies, each opened when its turn comes: there may be thousands.
    async fn pieces(&mut self, body: Pieces) -> Result<(), Ending> {
        let Pieces { origin, pieces, missing, .. } = body;
        let count = pieces.len();
        for (index, piece) in pieces.into_iter().enumerate() {
            let last = index + 1 == count && missing.is_none();
            match Opened::of(&origin, piece).await? {
                Opened::Octets(octets) => self.send(octets, last).await?,
                Opened::File(content, range) => {
                    let tail = if last { TAIL.min(range.end - range.start) } else { 0 };
                    self.slice(&content, range.start..range.end - tail).await?;
                    if tail > 0 {
                        let octets = read(&content, range.end - tail, tail).await?;
                        self.send(octets, true).await?;
                    }
                }
            }
        }
        match missing {
            Some(missing) => Err(Ending::Broken(missing)),
            None => Ok(()),
        }
    }

    /// Sends a part of a file, through the kernel alone where that can be.
    async fn slice(
        &mut self,
        content: &Arc<LocalContent>,
        range: Range<u64>,
    ) -> Result<(), Ending> {
        let mut at = range.start;
        let whole = self.tap.wants_all(range.end - range.start);
        if self.shape.is_none() && !whole && self.answer.takes_files() {
            let prefix = self.tap.wants().min(range.end - at);
            if prefix > 0 {
                let octets = read(content, at, prefix).await?;
                self.send(octets, false).await?;
                at += prefix;
            }
            while at < range.end {
                let window = WINDOW.min(range.end - at);
                at += self.window(content, at, window).await?;
            }
            return Ok(());
        }
        // The next block is read while this one is sent.
        let mut next = (at < range.end).then(|| begin_read(content, at, range.end));
        while let Some(reading) = next.take() {
            let octets = reading.await.map_err(|_| stopped())?.map_err(broken)?;
            at += octets.len() as u64;
            next = (at < range.end).then(|| begin_read(content, at, range.end));
            self.send(octets, false).await?;
        }
        Ok(())
    }

    /// Lets the kernel send so much; how much it was.
    async fn window(
        &mut self,
        content: &Arc<LocalContent>,
        at: u64,
        count: u64,
    ) -> Result<u64, Ending> {
        // A worker that waits for the disk serves nobody else.
        if !is_at_hand(content, at + count - 1) {
            let content = Arc::clone(content);
            let warmed = tokio::task::spawn_blocking(move || warm(&content, at, count)).await;
            warmed.map_err(|_| stopped())?;
        }
        let sending = self.answer.file(content.file(), at, count);
        let moved = match timeout(self.idle, sending).await {
            Ok(Ok(0)) => return Err(broken(content.shorter())),
            Ok(moved) => moved?,
            Err(_) => return Err(Ending::takes_nothing(self.idle)),
        };
        self.tap.count_unseen(moved);
        self.moved(moved);
        Ok(moved)
    }
}

/// A piece that was opened.
pub(super) enum Opened {
    Octets(Bytes),
    File(Arc<LocalContent>, Range<u64>),
}

impl Opened {
    pub(super) async fn of(origin: &Arc<dyn Origin>, piece: Piece) -> Result<Self, Ending> {
        let (body, range) = match piece {
            Piece::Octets(octets) => return Ok(Self::Octets(octets)),
            Piece::Stored { body, range } => (body, range),
        };
        let origin = Arc::clone(origin);
        let opening = tokio::task::spawn_blocking(move || Self::open(&*origin, &body, range));
        opening
            .await
            .map_err(|_| stopped())?
            .map_err(|error| Ending::Broken(format!("the stored body cannot be read: {error}")))
    }

    fn open(origin: &dyn Origin, body: &Digest, range: Range<u64>) -> io::Result<Self> {
        let shorter = || {
            let what = format!("{body} is shorter than the session says");
            io::Error::new(io::ErrorKind::UnexpectedEof, what)
        };
        match origin.open_body(body)? {
            OpenBody::File { file, name } => {
                let content = LocalContent::of(file, name)?;
                if content.len() < range.end {
                    return Err(shorter());
                }
                Ok(Self::File(Arc::new(content), range))
            }
            OpenBody::Octets(octets) => {
                let [start, end] = [range.start, range.end].map(usize::try_from);
                let within = start.ok().zip(end.ok()).filter(|&(_, end)| end <= octets.len());
                within
                    .map(|(start, end)| Self::Octets(octets.slice(start..end)))
                    .ok_or_else(shorter)
            }
        }
    }

    /// All of its octets, which are few.
    pub(super) async fn octets(self) -> Result<Bytes, Ending> {
        match self {
            Self::Octets(octets) => Ok(octets),
            Self::File(content, range) => {
                read(&content, range.start, range.end - range.start).await
            }
        }
    }
}

fn broken(error: FileChanged) -> Ending {
    Ending::Broken(error.to_string())
}

fn stopped() -> Ending {
    Ending::Broken("the file could not be read: the proxy is being stopped".to_owned())
}

type Reading = tokio::task::JoinHandle<Result<Bytes, FileChanged>>;

fn begin_read(content: &Arc<LocalContent>, at: u64, end: u64) -> Reading {
    let content = Arc::clone(content);
    // No more than a block, which is a size in memory.
    let count = usize::try_from(end - at).unwrap_or(BLOCK).min(BLOCK);
    tokio::task::spawn_blocking(move || content.read(at, count))
}

/// Reads a few octets.
async fn read(content: &Arc<LocalContent>, at: u64, count: u64) -> Result<Bytes, Ending> {
    let content = Arc::clone(content);
    let count = usize::try_from(count).unwrap_or(BLOCK);
    let reading = tokio::task::spawn_blocking(move || content.read(at, count));
    reading.await.map_err(|_| stopped())?.map_err(broken)
}

/// Whether an octet of a file is in memory. Where that cannot be told it is taken to be.
#[cfg(target_os = "linux")]
fn is_at_hand(content: &LocalContent, at: u64) -> bool {
    let mut octet = [0];
    let mut buffers = [io::IoSliceMut::new(&mut octet)];
    let flags = rustix::io::ReadWriteFlags::NOWAIT;
    rustix::io::preadv2(content.file(), &mut buffers, at, flags) != Err(rustix::io::Errno::AGAIN)
}

#[cfg(not(target_os = "linux"))]
fn is_at_hand(_: &LocalContent, _: u64) -> bool {
    true
}

/// Has a part of a file read from the disk. That it fails shows when the part is sent.
fn warm(content: &LocalContent, at: u64, count: u64) {
    let mut from = at;
    while from < at + count {
        let piece = (at + count - from).min(BLOCK as u64);
        if content.read(from, usize::try_from(piece).unwrap_or(BLOCK)).is_err() {
            return;
        }
        from += piece;
    }
}
