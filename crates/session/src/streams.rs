//! Bodies of any size, kept whole: written part by part while they pass, by a thread of its own,
//! so that nothing else waits for them. A part file is named by its flow until its end is known;
//! then it is renamed to its hash. A crash leaves the part file, and a flow without an end.
//!
//! The `Finished` of such a flow goes through the same thread, behind the last part: it is written
//! once the body has its name, and says how much of it there is.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_lc_rs::digest::{Context, SHA256};
use consoletap_flow::{BodySide, BodyStream, BodySummary, Digest, FlowId, Happening, Kept, Record};

use crate::bodies::{digest_of, make_folder};
use crate::disk::{Disk, Opening};
use crate::layout;
use crate::space::Space;
use crate::sync::Syncer;

/// Octets that go to the thread together.
const PART: usize = 128 << 10;

/// After so many octets a part file is brought to the platter, so that its end has little to do.
const SYNC_EVERY: u64 = 32 << 20;

type Key = (FlowId, BodySide);

/// The way to the thread. It ends when this is closed and no stream is open any more.
pub(crate) struct Streams {
    sender: Mutex<Option<Sender<Message>>>,
    shared: Arc<Shared>,
}

pub(crate) struct Shared {
    /// Bodies of which something was pushed, and whose flow has not ended.
    begun: Mutex<Vec<Key>>,
    /// As many, to be asked without the lock.
    count: AtomicUsize,
    /// Octets that wait for the disk.
    waiting: AtomicUsize,
    /// Ends of flows that wait for it.
    finishing: AtomicUsize,
    limit: usize,
    counts: Mutex<Counts>,
}

/// What became of the bodies that were streamed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counts {
    pub(crate) bodies: u64,
    pub(crate) bytes: u64,
    pub(crate) lost: u64,
    pub(crate) last_error: Option<String>,
}

pub(crate) enum Message {
    Part(Key, Vec<u8>),
    /// Something was lost behind what was sent.
    Cut(Key),
    Finish(Box<Record>),
    End,
}

impl Streams {
    pub(crate) fn new(limit: usize) -> (Self, Receiver<Message>) {
        let (sender, messages) = channel();
        let (begun, count, waiting, finishing, counts) = Default::default();
        let shared = Arc::new(Shared { begun, count, waiting, finishing, limit, counts });
        (Self { sender: Mutex::new(Some(sender)), shared }, messages)
    }

    /// A stream for a body.
    pub(crate) fn open(&self, flow: FlowId, side: BodySide) -> Option<Box<dyn BodyStream>> {
        let sender = self.lock().clone()?;
        let shared = Arc::clone(&self.shared);
        Some(Box::new(Stream { key: (flow, side), sender, shared, buffer: Vec::new(), cut: false }))
    }

    /// Takes the end of a flow whose body was streamed; gives any other record back.
    pub(crate) fn finish(&self, record: Record) -> Option<Record> {
        if self.shared.count.load(Ordering::Acquire) == 0
            || !matches!(record.event.happening, Happening::Finished(_))
            || !self.shared.forget(record.event.flow)
        {
            return Some(record);
        }
        let sender = self.lock();
        let Some(sender) = &*sender else { return Some(record) };
        self.shared.finishing.fetch_add(1, Ordering::Relaxed);
        match sender.send(Message::Finish(Box::new(record))) {
            Err(unsent) => match unsent.0 {
                Message::Finish(record) => Some(*record),
                _ => None,
            },
            Ok(()) => None,
        }
    }

    /// Whether somebody waits for the end of a body that is written whole, whatever its size.
    pub(crate) fn is_finishing(&self) -> bool {
        self.shared.finishing.load(Ordering::Relaxed) > 0
    }

    /// Lets no more in; what waits is still written.
    pub(crate) fn close(&self) {
        if let Some(sender) = self.lock().take() {
            // It fails where the thread is gone already.
            let _ = sender.send(Message::End);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Sender<Message>>> {
        self.sender.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What became of those that ended.
    pub(crate) fn counts(&self) -> Counts {
        self.shared.counts().clone()
    }

    /// For the thread.
    pub(crate) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Vec<Key>> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, key: Key) {
        self.lock().push(key);
        self.count.fetch_add(1, Ordering::Release);
    }

    /// Whether a body of this flow was streamed; it is over now.
    fn forget(&self, flow: FlowId) -> bool {
        let mut begun = self.lock();
        let before = begun.len();
        begun.retain(|(begun, _)| *begun != flow);
        self.count.fetch_sub(before - begun.len(), Ordering::Release);
        begun.len() < before
    }
}

/// One body, as the proxy sees it.
struct Stream {
    key: Key,
    sender: Sender<Message>,
    shared: Arc<Shared>,
    buffer: Vec<u8>,
    cut: bool,
}

impl BodyStream for Stream {
    fn push(&mut self, octets: &[u8]) {
        if self.cut || octets.is_empty() {
            return;
        }
        if self.buffer.capacity() == 0 {
            self.shared.begin(self.key);
            self.buffer.reserve_exact(PART);
        }
        let mut rest = octets;
        while !rest.is_empty() && !self.cut {
            let (now, later) = rest.split_at(rest.len().min(PART - self.buffer.len()));
            self.buffer.extend_from_slice(now);
            rest = later;
            if self.buffer.len() == PART {
                self.send(Vec::with_capacity(PART));
            }
        }
    }
}

impl Stream {
    fn send(&mut self, next: Vec<u8>) {
        let part = std::mem::replace(&mut self.buffer, next);
        let octets = part.len();
        let waiting = self.shared.waiting.fetch_add(octets, Ordering::Relaxed);
        let message = if waiting + octets > self.shared.limit {
            self.shared.waiting.fetch_sub(octets, Ordering::Relaxed);
            self.cut = true;
            Message::Cut(self.key)
        } else {
            Message::Part(self.key, part)
        };
        // It fails where the session was closed; its last words say that the flow has no end.
        let _ = self.sender.send(message);
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if !self.buffer.is_empty() && !self.cut {
            self.send(Vec::new());
        }
    }
}

/// The thread's side.
pub(crate) struct StreamWriter {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) directory: PathBuf,
    pub(crate) space: Arc<Space>,
    pub(crate) syncer: Arc<Syncer>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) open: HashMap<Key, Part>,
}

/// A part file.
pub(crate) struct Part {
    path: PathBuf,
    file: Option<File>,
    hash: Context,
    bytes: u64,
    unsynced: u64,
    failure: Option<io::Error>,
}

impl StreamWriter {
    /// Writes what comes until the end. `finished` is given the last events of flows, with what is
    /// kept filled in.
    pub(crate) fn run(mut self, messages: &Receiver<Message>, finished: impl Fn(Record)) {
        for message in messages {
            match message {
                Message::Part(key, octets) => {
                    self.write(key, &octets);
                    self.shared.waiting.fetch_sub(octets.len(), Ordering::Relaxed);
                }
                Message::Cut(key) => {
                    let what = "the disk was too slow for a body that was to be kept whole";
                    self.part(key).failure = Some(io::Error::other(what));
                }
                Message::Finish(mut record) => {
                    self.finish(&mut record);
                    finished(*record);
                    self.shared.finishing.fetch_sub(1, Ordering::Relaxed);
                }
                Message::End => break,
            }
        }
    }

    fn finish(&mut self, record: &mut Record) {
        let flow = record.event.flow;
        let Happening::Finished(end) = &mut record.event.happening else { return };
        let sides = [
            (BodySide::Request, &mut end.request_body),
            (BodySide::Response, &mut end.response_body),
        ];
        for (side, summary) in sides {
            let Some(part) = self.open.remove(&(flow, side)) else { continue };
            let bytes = part.bytes;
            let ended = self.end(part, summary);
            let mut counts = self.shared.counts();
            counts.bodies += 1;
            counts.bytes += bytes;
            if let Err(error) = ended {
                counts.lost += 1;
                counts.last_error = Some(error.to_string());
            }
        }
    }

    fn part(&mut self, key: Key) -> &mut Part {
        self.open.entry(key).or_insert_with(|| Part {
            path: layout::part(&self.directory, key.0, key.1),
            file: None,
            hash: Context::new(&SHA256),
            bytes: 0,
            unsynced: 0,
            failure: None,
        })
    }

    fn write(&mut self, key: Key, octets: &[u8]) {
        let (disk, space) = (Arc::clone(&self.disk), Arc::clone(&self.space));
        let part = self.part(key);
        if part.failure.is_none()
            && let Err(error) = part.append(&*disk, &space, octets)
        {
            part.failure = Some(error);
        }
    }

    /// Gives a body its name and says what is kept of it. What came before a failure is kept as
    /// its beginning.
    fn end(&self, part: Part, summary: &mut BodySummary) -> io::Result<()> {
        let digest = digest_of(part.hash.finish());
        let named =
            if part.bytes == 0 { Ok(()) } else { self.name(&part.path, part.file, &digest) };
        let unnamed = |error: &io::Error| {
            io::Error::new(
                error.kind(),
                format!("a body stays in {}: {error}", part.path.display()),
            )
        };
        let failure = part.failure.or_else(|| named.as_ref().err().map(unnamed));
        summary.kept = match failure {
            _ if part.bytes == 0 || named.is_err() => Kept::Lost,
            None if part.bytes == summary.bytes => {
                summary.digest = Some(digest);
                Kept::Whole
            }
            _ => Kept::Prefix { bytes: part.bytes, digest },
        };
        failure.map_or(Ok(()), Err)
    }

    fn name(&self, part: &Path, file: Option<File>, digest: &Digest) -> io::Result<()> {
        if let Some(file) = file {
            self.disk.sync(&file)?;
        }
        let Some(path) = layout::body(&self.directory, digest) else { return Ok(()) };
        make_folder(&path)?;
        self.disk.rename(part, &path)?;
        self.syncer.wrote_body(path);
        Ok(())
    }
}

impl Part {
    fn append(&mut self, disk: &dyn Disk, space: &Space, octets: &[u8]) -> io::Result<()> {
        space.take(octets.len() as u64)?;
        let written = self.write(disk, octets);
        match &written {
            Ok(()) => {
                self.hash.update(octets);
                self.bytes += octets.len() as u64;
                self.unsynced += octets.len() as u64;
            }
            Err(_) => {
                space.give_back(octets.len() as u64);
                if let Some(file) = &self.file {
                    // What is there beyond its bytes has no hash. Nothing more can be done.
                    let _ = file.set_len(self.bytes);
                }
            }
        }
        written?;
        if self.unsynced >= SYNC_EVERY
            && let Some(file) = &self.file
        {
            self.unsynced = 0;
            disk.sync(file)?;
        }
        Ok(())
    }

    fn write(&mut self, disk: &dyn Disk, octets: &[u8]) -> io::Result<()> {
        let file = match &self.file {
            Some(file) => file,
            None => self.file.insert(disk.open(&self.path, Opening::Replace)?),
        };
        disk.write_all(file, octets)
    }
}
