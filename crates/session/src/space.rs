//! How much room there is for bodies: the free space of the disk, and the quota of the session.
//! Events are small and are written as long as the disk takes them; bodies stop before.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::disk::Disk;

/// How long an answer about free space is believed. At 1 GB/s no more than 500 MB go by meanwhile;
/// what is taken of it in this process is counted off.
const BELIEVED_FOR: Duration = Duration::from_millis(500);

/// Shared by everybody who writes bodies of a session.
pub(crate) struct Space {
    disk: Arc<dyn Disk>,
    directory: PathBuf,
    min_free: u64,
    quota: Option<u64>,
    /// Octets in the session: of the log and of the bodies.
    used: AtomicU64,
    free: Mutex<Option<Free>>,
    told: AtomicBool,
}

struct Free {
    asked: Instant,
    octets: u64,
}

impl Space {
    /// `used`: what the session holds already.
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        directory: PathBuf,
        min_free: u64,
        quota: Option<u64>,
        used: u64,
    ) -> Self {
        let (used, free, told) = (used.into(), Mutex::default(), AtomicBool::new(false));
        Self { disk, directory, min_free, quota, used, free, told }
    }

    /// Counts octets that were written to the log.
    pub(crate) fn count(&self, octets: u64) {
        self.used.fetch_add(octets, Ordering::Relaxed);
    }

    /// Gives back what was taken and is not on the disk.
    pub(crate) fn give_back(&self, octets: u64) {
        let less = |used: u64| Some(used.saturating_sub(octets));
        // It cannot fail: there is always a new value.
        let _ = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }

    /// Takes room for the octets of a body.
    ///
    /// # Errors
    /// When there is too little of it, with the numbers.
    pub(crate) fn take(&self, octets: u64) -> io::Result<()> {
        let used = self.used.fetch_add(octets, Ordering::Relaxed);
        let taken = self.check(used, octets);
        if taken.is_err() {
            self.give_back(octets);
        }
        taken
    }

    fn check(&self, used: u64, octets: u64) -> io::Result<()> {
        if let Some(quota) = self.quota
            && used.saturating_add(octets) > quota
        {
            return Err(self.refuse(format!(
                "the session holds {used} of the {quota} bytes that it may; bodies are no longer kept"
            )));
        }
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let known = free.as_ref().is_some_and(|free| free.asked.elapsed() < BELIEVED_FOR);
        if !known {
            // Where the question fails, the write will tell.
            let octets = self.disk.free_bytes(&self.directory).unwrap_or(u64::MAX);
            *free = Some(Free { asked: Instant::now(), octets });
        }
        let Some(free) = free.as_mut() else { return Ok(()) };
        if free.octets < self.min_free.saturating_add(octets) {
            return Err(self.refuse(format!(
                "the disk has {} bytes free, and {} are to stay so; bodies are no longer kept",
                free.octets, self.min_free
            )));
        }
        free.octets -= octets;
        Ok(())
    }

    /// Says it once, when it happens, and each time to whoever asks.
    fn refuse(&self, what: String) -> io::Error {
        if !self.told.swap(true, Ordering::Relaxed) {
            tracing::warn!("{what}");
        }
        io::Error::new(io::ErrorKind::StorageFull, what)
    }
}
