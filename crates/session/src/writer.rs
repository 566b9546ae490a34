//! The writer of a session, as the proxy sees it.

use std::collections::HashMap;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread::JoinHandle;
use std::time::Duration;

use consoletap_flow::{BodySide, BodyStream, Event, FlowId, Record, Recorder};

use crate::bodies::Bodies;
use crate::busy::Busy;
use crate::compress::{CALM, Compression};
use crate::disk::{Disk, System};
use crate::line::highest_flow;
use crate::lock::Lock;
use crate::log::Log;
use crate::queue::{Pushed, Queue};
use crate::recording::{Batch, Observer, Recording};
use crate::space::Space;
use crate::streams::{StreamWriter, Streams};
use crate::sync::Syncer;
use crate::{About, CreateError, Stats, Sync, layout};

/// A disk that takes so long for one write is slow; a write into the page cache takes microseconds.
const HELD_UP: Duration = Duration::from_millis(40);

/// How a session is written.
#[derive(Debug, Clone)]
pub struct Options {
    /// How much a power cut may take.
    pub sync: Sync,
    /// When to begin a new segment of the log.
    pub segment_bytes: u64,
    /// A segment that is full is compressed, unless it is smaller than this; `None`: never.
    pub compress_from: Option<u64>,
    /// How many octets of body copies may wait for the disk; more are marked as lost.
    pub queue_bytes: usize,
    /// With less free space than this, bodies are no longer kept.
    pub min_free_disk: u64,
    /// Once the session holds so many octets, bodies are no longer kept; events are.
    pub quota: Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            sync: Sync::Every(Duration::from_secs(1)),
            segment_bytes: 64 << 20,
            compress_from: Some(1 << 20),
            queue_bytes: 64 << 20,
            min_free_disk: 256 << 20,
            quota: None,
        }
    }
}

/// Writes a session. It is closed when it is dropped, too.
pub struct Writer {
    directory: PathBuf,
    next_flow: u64,
    queue: Arc<Queue>,
    streams: Streams,
    recording: Arc<Mutex<Recording>>,
    syncer: Arc<Syncer>,
    busy: Arc<Busy>,
    stats: Arc<Mutex<Stats>>,
    /// Events that came after the end.
    late: Mutex<u64>,
    running: Mutex<Option<Running>>,
}

struct Running {
    streaming: JoinHandle<()>,
    recording: JoinHandle<()>,
    syncing: JoinHandle<()>,
    compressing: Option<JoinHandle<()>>,
    lock: Lock,
}

impl Writer {
    /// Begins a session in a new or empty directory, or continues the one that is there.
    /// `observer` is given every event once it is on disk, or cannot be.
    ///
    /// # Errors
    /// When another process writes to it, when the directory holds something else, or when the
    /// disk refuses.
    pub fn create(
        dir: &Path,
        about: About,
        options: Options,
        observer: Option<Box<dyn FnMut(Event) + Send>>,
    ) -> Result<Self, CreateError> {
        Self::create_on(Arc::new(System), dir, &about, &options, observer)
    }

    pub(crate) fn create_on(
        disk: Arc<dyn Disk>,
        dir: &Path,
        about: &About,
        options: &Options,
        observer: Option<Observer>,
    ) -> Result<Self, CreateError> {
        let io = |source| CreateError::Io { path: dir.to_owned(), source };
        let lock = prepare(dir, about, &*disk)?;
        let next_flow = highest_flow(dir).map_err(io)?.saturating_add(1);
        let queue = Arc::new(Queue::new(options.queue_bytes));
        let syncer = Arc::new(Syncer::new(Arc::clone(&disk), options.sync));
        let stats = Arc::<Mutex<Stats>>::default();
        let limit = options.segment_bytes;
        let space = Arc::new(Space::new(
            Arc::clone(&disk),
            dir.to_owned(),
            options.min_free_disk,
            options.quota,
            layout::bytes_below(dir),
        ));
        let (streams, parts) = Streams::new(options.queue_bytes);
        let stream_writer = StreamWriter {
            disk: Arc::clone(&disk),
            directory: dir.to_owned(),
            space: Arc::clone(&space),
            syncer: Arc::clone(&syncer),
            shared: streams.shared(),
            open: HashMap::new(),
        };
        let (full, segments) = channel();
        let compressing = options.compress_from.map(|from_bytes| {
            let (disk, syncer) = (Arc::clone(&disk), Arc::clone(&syncer));
            let space = Arc::clone(&space);
            let compression = Compression { disk, syncer, space, from_bytes, calm: CALM };
            move || compression.run(&segments)
        });
        let full = compressing.as_ref().map(|_| full);
        let busy = Arc::new(Busy::new());
        let recording = Recording {
            queue: Arc::clone(&queue),
            log: Log::open(Arc::clone(&disk), Arc::clone(&syncer), dir.to_owned(), limit, full)
                .map_err(io)?,
            bodies: Bodies::new(disk, dir.to_owned(), Arc::clone(&syncer), Arc::clone(&space)),
            space,
            syncer: Arc::clone(&syncer),
            observer,
            shared: Arc::clone(&stats),
            stats: Stats::default(),
            batch: Batch::default(),
            busy: Arc::clone(&busy),
            failing: false,
            unsynced: false,
            slow_until: None,
            records: Vec::new(),
        };
        let recording = Arc::new(Mutex::new(recording));
        let streaming = {
            let queue = Arc::clone(&queue);
            move || stream_writer.run(&parts, |record| hand_on(&queue, record))
        };
        let threads = (Arc::clone(&queue), Arc::clone(&recording), Arc::clone(&syncer));
        let running = start(threads, streaming, compressing, lock);
        Ok(Self {
            directory: dir.to_owned(),
            next_flow,
            queue,
            streams,
            recording,
            syncer,
            busy,
            stats,
            late: Mutex::default(),
            running: Mutex::new(Some(running.map_err(io)?)),
        })
    }

    /// Where it is written.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The number for the first flow: 1, or one more than a continued session holds.
    #[must_use]
    pub fn next_flow(&self) -> u64 {
        self.next_flow
    }

    /// What was written so far, and what was lost.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let mut stats = self.stats.lock().unwrap_or_else(PoisonError::into_inner).clone();
        stats.lost_bodies += self.queue.dropped_bodies();
        let streamed = self.streams.counts();
        stats.bodies += streamed.bodies;
        stats.bytes += streamed.bytes;
        stats.lost_bodies += streamed.lost;
        stats.last_error = stats.last_error.or(streamed.last_error);
        stats.lost_events += *self.late.lock().unwrap_or_else(PoisonError::into_inner);
        stats
    }

    /// Writes what waits, brings it to the platter and releases the lock. Doing it again does
    /// nothing.
    pub fn close(&self) -> Stats {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Running { streaming, recording, syncing, compressing, lock }) = running {
            self.streams.close();
            join(streaming);
            self.queue.close();
            join(recording);
            compressing.into_iter().for_each(join);
            self.syncer.close();
            join(syncing);
            self.syncer.sync();
            if let Some(error) = self.syncer.failure() {
                tracing::error!(%error, "the end of the session may not survive a power cut");
                let mut stats = self.stats.lock().unwrap_or_else(PoisonError::into_inner);
                stats.sync_error = Some(error.to_string());
            }
            drop(lock);
        }
        self.stats()
    }
}

impl Writer {
    /// Takes a turn, here and now, unless it is the thread's; whether it did.
    fn take_turn(&self) -> bool {
        let mut recording = match self.recording.try_lock() {
            Ok(recording) => recording,
            Err(TryLockError::Poisoned(recording)) => recording.into_inner(),
            // Whoever is at it looks again afterwards, and finds what came meanwhile.
            Err(TryLockError::WouldBlock) => return false,
        };
        if recording.is_slow() || self.queue.is_heavy() {
            self.queue.nudge();
            return false;
        }
        recording.turn();
        true
    }
}

impl Recorder for Writer {
    fn record(&self, record: Record) {
        let Some(record) = self.streams.finish(record) else { return };
        match self.queue.push(record) {
            Pushed::Waits | Pushed::Urgent { light: true } => {}
            Pushed::Urgent { light: false } => self.queue.nudge(),
            Pushed::Late(late) => {
                *self.late.lock().unwrap_or_else(PoisonError::into_inner) += 1;
                if let Some(written) = late.written {
                    written();
                }
            }
        }
    }

    fn flush(&self) {
        while self.take_turn() && self.queue.is_urgent() {}
    }

    fn stream_body(&self, flow: FlowId, side: BodySide) -> Option<Box<dyn BodyStream>> {
        self.streams.open(flow, side)
    }

    /// With `Sync::Always` never: that the disk takes its time is what was asked for.
    fn is_held_up(&self) -> bool {
        !self.syncer.is_always()
            && (self.busy.is_longer_than(HELD_UP) || self.streams.is_finishing())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.close();
    }
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").field("directory", &self.directory).finish_non_exhaustive()
    }
}

/// Makes the directory a session of ours and takes its lock.
fn prepare(dir: &Path, about: &About, disk: &dyn Disk) -> Result<Lock, CreateError> {
    let io = |source| CreateError::Io { path: dir.to_owned(), source };
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder.create(dir).map_err(io)?;
    if !dir.join(layout::ABOUT).exists() && holds_something_else(dir).map_err(io)? {
        return Err(CreateError::NotASession { directory: dir.to_owned() });
    }
    let lock = Lock::take(dir)?;
    if dir.join(layout::ABOUT).exists() {
        About::read(dir)?;
    } else {
        // An empty directory may have been open to others. Not being its owner is no reason to
        // stop: the files are 0600 in any case.
        let _ = std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o700));
        about.write(dir, disk)?;
    }
    builder.create(dir.join(layout::BODIES)).map_err(io)?;
    Ok(lock)
}

/// Whether there is more than a session that died at birth leaves.
fn holds_something_else(dir: &Path) -> io::Result<bool> {
    for entry in std::fs::read_dir(dir)? {
        let name = entry?.file_name();
        if name != layout::LOCK && name != layout::ABOUT_TEMPORARY {
            return Ok(true);
        }
    }
    Ok(false)
}

type Threads = (Arc<Queue>, Arc<Mutex<Recording>>, Arc<Syncer>);

fn start(
    (queue, recording, syncer): Threads,
    streaming: impl FnOnce() + Send + 'static,
    compressing: Option<impl FnOnce() + Send + 'static>,
    lock: Lock,
) -> io::Result<Running> {
    let thread = |name: &str| std::thread::Builder::new().name(name.to_owned());
    // It ends by itself when the others cannot be started: its way in is dropped.
    let streaming = thread("session-bodies").spawn(streaming)?;
    let closing = Arc::clone(&queue);
    let recording = thread("session").spawn(move || run(&queue, &recording))?;
    let syncing = thread("session-sync").spawn(move || syncer.run());
    let syncing = syncing.inspect_err(|_| closing.close())?;
    let compressing = compressing.map(|compress| thread("session-pack").spawn(compress));
    let compressing = compressing.transpose().inspect_err(|_| closing.close())?;
    Ok(Running { streaming, recording, syncing, compressing, lock })
}

/// Hands the end of a flow with a streamed body on to the log.
fn hand_on(queue: &Queue, record: Record) {
    if let Pushed::Urgent { .. } = queue.push(record) {
        queue.nudge();
    }
}

/// The thread: its turns until the queue is closed and empty.
fn run(queue: &Queue, recording: &Mutex<Recording>) {
    let mut quiet = 0;
    while queue.wait(&mut quiet) {
        locked(recording).turn();
        // Who brought something meanwhile found the turn taken.
        while queue.is_urgent() {
            locked(recording).turn();
        }
    }
    locked(recording).close();
}

/// A panic of an observer is caught where it happens, and leaves the recording whole.
fn locked(recording: &Mutex<Recording>) -> MutexGuard<'_, Recording> {
    recording.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits for a thread, unless it is this one: the last owner may be dropped by a callback.
fn join(thread: JoinHandle<()>) {
    if thread.thread().id() != std::thread::current().id() {
        // A panic there was printed there.
        let _ = thread.join();
    }
}
