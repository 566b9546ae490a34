//! When what was written is brought to the platter: once an interval (1 s) all of it, by a thread of
//! its own, so that no event waits for it; or with every batch of events; or never.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::disk::Disk;

/// How much a power cut may take. The death of the process takes nothing in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sync {
    /// Nothing that a client got in full: every answer waits for the platter.
    Always,
    /// What is younger than this.
    Every(Duration),
    /// What the kernel has not written yet, by its own clock (half a minute, usually).
    Never,
}

pub(crate) struct Syncer {
    disk: Arc<dyn Disk>,
    policy: Sync,
    /// Held while files are synced.
    syncing: Mutex<()>,
    pending: Mutex<Pending>,
    closing: Condvar,
}

#[derive(Default)]
struct Pending {
    segments: Vec<Arc<File>>,
    bodies: Vec<PathBuf>,
    folders: BTreeSet<PathBuf>,
    failure: Option<io::Error>,
    closed: bool,
}

impl Syncer {
    pub(crate) fn new(disk: Arc<dyn Disk>, policy: Sync) -> Self {
        let (syncing, pending, closing) = Default::default();
        Self { disk, policy, syncing, pending, closing }
    }

    /// Whether nobody is told before it is on the platter.
    pub(crate) fn is_always(&self) -> bool {
        self.policy == Sync::Always
    }

    /// There are new octets in a segment.
    pub(crate) fn wrote_segment(&self, segment: &Arc<File>) {
        if self.policy == Sync::Never {
            return;
        }
        let mut pending = self.lock();
        if !pending.segments.iter().any(|known| Arc::ptr_eq(known, segment)) {
            pending.segments.push(Arc::clone(segment));
        }
    }

    /// There is a new body.
    pub(crate) fn wrote_body(&self, path: PathBuf) {
        if self.policy == Sync::Never {
            return;
        }
        let mut pending = self.lock();
        if let Some(folder) = path.parent() {
            pending.folders.insert(folder.to_owned());
            pending.folders.extend(folder.parent().map(ToOwned::to_owned));
        }
        pending.bodies.push(path);
    }

    /// There is a new file in a folder.
    pub(crate) fn made_file(&self, folder: PathBuf) {
        if self.policy == Sync::Never {
            return;
        }
        self.lock().folders.insert(folder);
    }

    /// What failed since it was last asked.
    pub(crate) fn failure(&self) -> Option<io::Error> {
        self.lock().failure.take()
    }

    /// Syncs at every interval until it is closed.
    pub(crate) fn run(&self) {
        let Sync::Every(interval) = self.policy else { return };
        while !self.wait(interval) {
            self.sync();
        }
    }

    /// Ends [`Self::run`].
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.closing.notify_all();
    }

    /// Brings everything to the platter now. Nobody who writes waits for it; whoever syncs waits for
    /// others who do.
    pub(crate) fn sync(&self) {
        let _one = self.syncing.lock().unwrap_or_else(PoisonError::into_inner);
        let (segments, bodies, folders) = {
            let mut pending = self.lock();
            let Pending { segments, bodies, folders, .. } = &mut *pending;
            (std::mem::take(segments), std::mem::take(bodies), std::mem::take(folders))
        };
        // Bodies first, since the log names them; folders last, since they name both.
        let files = bodies.iter().chain(&folders).map(|path| self.sync_path(path));
        let segments = segments.iter().map(|segment| self.sync_segment(segment));
        // All are synced, whichever fails.
        let failure = files.chain(segments).filter_map(Result::err).last();
        if failure.is_some() {
            self.lock().failure = failure;
        }
    }

    fn sync_path(&self, path: &Path) -> io::Result<()> {
        self.disk.sync(&File::open(path)?)
    }

    fn sync_segment(&self, segment: &File) -> io::Result<()> {
        self.disk.sync(segment)?;
        if segment.metadata()?.nlink() == 0 {
            let what = "the session was removed while it was being written";
            return Err(io::Error::new(io::ErrorKind::NotFound, what));
        }
        Ok(())
    }

    /// Waits; true when it is closed.
    fn wait(&self, interval: Duration) -> bool {
        let end = Instant::now() + interval;
        let mut pending = self.lock();
        while !pending.closed {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = self.closing.wait_timeout(pending, left);
            pending = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
