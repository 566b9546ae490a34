//! The records that wait for the writer thread. Taking one in is a push under a lock that nobody
//! holds for long; only the copies of bodies have a bound, events are never dropped here.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use consoletap_flow::{BodyCopy, BodySummary, Happening, Kept, Record};

pub(crate) struct Queue {
    state: Mutex<State>,
    arrived: Condvar,
    /// Octets of body copies that wait.
    body_bytes: AtomicUsize,
    body_limit: usize,
    dropped_bodies: AtomicUsize,
}

#[derive(Default)]
struct State {
    records: Vec<Record>,
    /// Whether the writer thread sleeps: a wake-up is a system call, so it is not given in vain.
    asleep: bool,
    closed: bool,
}

impl Queue {
    pub(crate) fn new(body_limit: usize) -> Self {
        Self {
            state: Mutex::default(),
            arrived: Condvar::new(),
            body_bytes: AtomicUsize::new(0),
            body_limit,
            dropped_bodies: AtomicUsize::new(0),
        }
    }

    /// Takes a record in; gives it back once the queue is closed.
    pub(crate) fn push(&self, mut record: Record) -> Option<Record> {
        self.bound_copies(&mut record);
        let mut state = self.lock();
        if state.closed {
            return Some(record);
        }
        state.records.push(record);
        if std::mem::take(&mut state.asleep) {
            self.arrived.notify_one();
        }
        None
    }

    /// Waits for records and swaps them for an empty `records`; false once the queue is closed
    /// and empty.
    pub(crate) fn take(&self, records: &mut Vec<Record>) -> bool {
        let mut state = self.lock();
        while state.records.is_empty() {
            if state.closed {
                return false;
            }
            state.asleep = true;
            state = self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.asleep = false;
        std::mem::swap(&mut state.records, records);
        true
    }

    /// Makes room for other copies.
    pub(crate) fn release(&self, octets: usize) {
        self.body_bytes.fetch_sub(octets, Ordering::Relaxed);
    }

    /// Lets no more in; what waits is still given out.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.arrived.notify_all();
    }

    /// How many copies were dropped, since too many waited.
    pub(crate) fn dropped_bodies(&self) -> u64 {
        self.dropped_bodies.load(Ordering::Relaxed) as u64
    }

    fn bound_copies(&self, record: &mut Record) {
        let Happening::Finished(finished) = &mut record.event.happening else {
            // Copies come with `Finished` only; others have no place in the event.
            (record.request_copy, record.response_copy) = (None, None);
            return;
        };
        self.bound_copy(&mut record.request_copy, &mut finished.request_body);
        self.bound_copy(&mut record.response_copy, &mut finished.response_body);
    }

    fn bound_copy(&self, copy: &mut Option<BodyCopy>, summary: &mut BodySummary) {
        let Some(octets) = copy.as_ref().map(|copy| copy.octets.len()) else { return };
        let before = self.body_bytes.fetch_add(octets, Ordering::Relaxed);
        if before.saturating_add(octets) > self.body_limit {
            self.release(octets);
            *copy = None;
            summary.kept = Kept::Lost;
            self.dropped_bodies.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
