//! The records that wait to be written. Taking one in is a push under a lock that nobody holds for
//! long; only the copies of bodies have a bound, events are never dropped here.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use consoletap_flow::{BodyCopy, BodySummary, Happening, Kept, Record};

use crate::prepared::Prepared;

/// Events that nobody writes wait so long for company: a kill may take them, a client has nothing of
/// them yet.
const LINGER: Duration = Duration::from_millis(10);

/// After so many waits in vain the thread sleeps until it is woken.
const QUIET: u32 = 100;

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
    records: Vec<Prepared>,
    /// Whether somebody waits for one of them to be written.
    urgent: bool,
    /// Whether one of them is work for the thread.
    heavy: bool,
    /// The thread is to look now.
    nudged: bool,
    /// Whether the thread sleeps until it is woken: a wake-up is a system call, so it is not given
    /// in vain.
    asleep: bool,
    closed: bool,
}

/// What became of a record that was brought.
pub(crate) enum Pushed {
    /// It waits, and nobody waits for it.
    Waits,
    /// Somebody waits for it. `light`: nothing before it is too much work for whoever brought it.
    Urgent { light: bool },
    /// The queue is closed; here it is again.
    Late(Box<Record>),
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

    /// Takes a record in.
    pub(crate) fn push(&self, mut record: Record) -> Pushed {
        self.bound_copies(&mut record);
        let urgent = record.written.is_some();
        let record = Prepared::new(record);
        let mut state = self.lock();
        if state.closed {
            return Pushed::Late(Box::new(record.record));
        }
        state.urgent |= urgent;
        state.heavy |= record.is_heavy();
        state.records.push(record);
        if std::mem::take(&mut state.asleep) {
            self.arrived.notify_one();
        }
        if urgent { Pushed::Urgent { light: !state.heavy } } else { Pushed::Waits }
    }

    /// Lets the thread look now.
    pub(crate) fn nudge(&self) {
        let mut state = self.lock();
        if !std::mem::replace(&mut state.nudged, true) {
            self.arrived.notify_one();
        }
    }

    /// Waits until the thread should look; false once the queue is closed and empty. `quiet` counts
    /// for how long there was nothing to do.
    pub(crate) fn wait(&self, quiet: &mut u32) -> bool {
        let mut state = self.lock();
        loop {
            if state.closed {
                return !state.records.is_empty();
            }
            if std::mem::take(&mut state.nudged) {
                *quiet = 0;
                return true;
            }
            if *quiet >= QUIET && state.records.is_empty() {
                state.asleep = true;
                state = self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner);
                state.asleep = false;
                *quiet = 0;
                continue;
            }
            let waited = self.arrived.wait_timeout(state, LINGER);
            let (now, lingered) = waited.unwrap_or_else(PoisonError::into_inner);
            state = now;
            if lingered.timed_out() {
                *quiet += 1;
                if !state.records.is_empty() {
                    *quiet = 0;
                    return true;
                }
            }
        }
    }

    /// Swaps what waits for an empty `records`; false when nothing does.
    pub(crate) fn take(&self, records: &mut Vec<Prepared>) -> bool {
        let mut state = self.lock();
        (state.urgent, state.heavy) = (false, false);
        std::mem::swap(&mut state.records, records);
        !records.is_empty()
    }

    /// Whether one of them is work for the thread.
    pub(crate) fn is_heavy(&self) -> bool {
        self.lock().heavy
    }

    /// Whether somebody waits for a record that is not the thread's work.
    pub(crate) fn is_urgent(&self) -> bool {
        let state = self.lock();
        state.urgent && !state.heavy
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
