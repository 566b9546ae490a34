//! Since when the disk is at work: it tells a slow disk from a machine that has much to do.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// One operation at a time.
pub(crate) struct Busy {
    zero: Instant,
    /// Microseconds after `zero`; 0 while nothing is done.
    since: AtomicU64,
}

impl Busy {
    pub(crate) fn new() -> Self {
        Self { zero: Instant::now(), since: AtomicU64::new(0) }
    }

    /// The disk is asked to do something now.
    pub(crate) fn begin(&self) {
        self.since.store(self.micros().max(1), Ordering::Relaxed);
    }

    /// It is done.
    pub(crate) fn end(&self) {
        self.since.store(0, Ordering::Relaxed);
    }

    /// Whether it has been at it for so long.
    pub(crate) fn is_longer_than(&self, time: Duration) -> bool {
        let since = self.since.load(Ordering::Relaxed);
        since > 0 && u128::from(self.micros().saturating_sub(since)) >= time.as_micros()
    }

    fn micros(&self) -> u64 {
        // 500,000 years.
        self.zero.elapsed().as_micros() as u64
    }
}
