//! A turn of recording: takes what is queued, writes bodies, then the lines of their events with
//! one `write(2)`, then tells whoever waits for them.
//!
//! Turns are taken by whoever waits for an event: a write into the page cache costs less than waking
//! another thread would. A thread of its own takes those with much to write, all turns while the disk
//! is slow, and what nobody waits for.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use consoletap_flow::{BodyCopy, BodySummary, Digest, Event, Happening};

use crate::bodies::{Bodies, Outcome, sha256};
use crate::busy::Busy;
use crate::log::{Line, Log, What};
use crate::prepared::{Prepared, line};
use crate::queue::Queue;
use crate::small_bodies::SMALL;
use crate::space::Space;
use crate::sync::Syncer;

/// A write, of lines or of a body, that takes longer shows a disk that nobody but the thread should
/// wait for …
const SLOW: Duration = Duration::from_millis(5);
/// … for this long, or until the thread's next batch went faster.
const SLOW_FOR: Duration = Duration::from_secs(1);

/// A batch ends here, so that a small event does not wait for many large bodies.
const BATCH_BYTES: usize = 1 << 20;

/// What a writer did so far.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stats {
    /// Events on disk.
    pub events: u64,
    /// Bodies written; one that was there already is not counted again.
    pub bodies: u64,
    /// Octets written: of events and of bodies.
    pub bytes: u64,
    /// Events that are not on disk.
    pub lost_events: u64,
    /// Bodies that are not on disk, though a copy of them was made.
    pub lost_bodies: u64,
    /// What failed last, in plain words.
    pub last_error: Option<String>,
    /// Why the disk did not sync, where it did not: a power cut may take what was written before.
    pub sync_error: Option<String>,
}

type Written = Box<dyn FnOnce() + Send>;
pub(crate) type Observer = Box<dyn FnMut(Event) + Send>;

pub(crate) struct Recording {
    pub(crate) queue: Arc<Queue>,
    pub(crate) log: Log,
    pub(crate) bodies: Bodies,
    pub(crate) space: Arc<Space>,
    pub(crate) syncer: Arc<Syncer>,
    pub(crate) observer: Option<Observer>,
    pub(crate) shared: Arc<Mutex<Stats>>,
    pub(crate) stats: Stats,
    pub(crate) batch: Batch,
    pub(crate) busy: Arc<Busy>,
    /// Whether the disk failed and the user was told.
    pub(crate) failing: bool,
    /// Whether the disk did not sync and the user was told.
    pub(crate) unsynced: bool,
    /// Until when the disk counts as slow.
    pub(crate) slow_until: Option<Instant>,
    /// Room for what is taken from the queue.
    pub(crate) records: Vec<Prepared>,
}

/// Lines that go to the disk together, and who waits for them.
#[derive(Default)]
pub(crate) struct Batch {
    octets: Vec<u8>,
    lines: Vec<Line>,
    waiting: Vec<(Event, Option<Written>)>,
    copied: usize,
    /// What a body of it took at the most.
    slowest: Duration,
}

impl Recording {
    /// Writes what is queued.
    pub(crate) fn turn(&mut self) {
        let mut records = std::mem::take(&mut self.records);
        while self.queue.take(&mut records) {
            for record in records.drain(..) {
                self.add(record);
                if self.batch.octets.len() + self.batch.copied >= BATCH_BYTES {
                    self.flush();
                }
            }
            self.flush();
            // A burst must not hold its memory for ever.
            records.shrink_to(4096);
            self.batch.octets.shrink_to(BATCH_BYTES);
        }
        self.records = records;
    }

    /// Ends the log.
    pub(crate) fn close(&mut self) {
        self.turn();
        self.log.close();
        self.note_errors(false);
        self.publish();
    }

    /// Whether turns are the thread's alone, for now or because each of them waits for the platter.
    pub(crate) fn is_slow(&self) -> bool {
        self.syncer.is_always() || self.slow_until.is_some_and(|until| Instant::now() < until)
    }

    fn add(&mut self, prepared: Prepared) {
        let Prepared { mut record, names, line: mut ready } = prepared;
        if let Happening::Finished(finished) = &mut record.event.happening {
            let told = (finished.request_body, finished.response_body);
            self.keep(record.request_copy.take(), names.request, &mut finished.request_body);
            self.keep(record.response_copy.take(), names.response, &mut finished.response_body);
            // What could not be kept is not as the line says.
            ready = ready.filter(|_| told == (finished.request_body, finished.response_body));
        }
        if let Some(line) = ready.or_else(|| line(&record.event)) {
            self.batch.octets.extend_from_slice(&line);
            self.end_line(What::Event(record.event.at));
        } else {
            self.log.lose(record.event.at);
            self.stats.lost_events += 1;
            self.stats.last_error = Some("an event was too large for the session".to_owned());
        }
        self.batch.waiting.push((record.event, record.written));
    }

    fn end_line(&mut self, what: What) {
        self.batch.lines.push(Line { end: self.batch.octets.len(), what });
    }

    fn keep(&mut self, copy: Option<BodyCopy>, name: Option<Digest>, summary: &mut BodySummary) {
        let Some(copy) = copy else { return };
        let name = name.unwrap_or_else(|| sha256(&copy.octets));
        if copy.octets.len() <= SMALL {
            // It goes with the lines: there is nothing here to be slow.
            self.store(&copy, &name, summary);
        } else {
            let begun = Instant::now();
            self.busy.begin();
            self.store(&copy, &name, summary);
            self.busy.end();
            self.batch.slowest = self.batch.slowest.max(begun.elapsed());
        }
        self.batch.copied += copy.octets.len();
        self.queue.release(copy.octets.len());
    }

    fn store(&mut self, copy: &BodyCopy, name: &Digest, summary: &mut BodySummary) {
        match self.bodies.keep(copy, name, summary, &mut self.batch.octets) {
            Outcome::Known => {}
            Outcome::Line(name) => {
                self.stats.bodies += 1;
                self.end_line(What::Body(name));
            }
            Outcome::New => {
                self.stats.bodies += 1;
                self.stats.bytes += copy.octets.len() as u64;
            }
            Outcome::Lost(error) => {
                self.stats.lost_bodies += 1;
                self.stats.last_error = Some(error.to_string());
            }
        }
    }

    /// Brings the batch to the disk, then tells everybody; whether it worked or not.
    fn flush(&mut self) {
        let begun = Instant::now();
        self.note_sync();
        self.busy.begin();
        let done = self.log.append(&self.batch.octets, &self.batch.lines);
        if self.syncer.is_always() {
            self.syncer.sync();
            // Known and told before anybody is woken who would take it for safe.
            self.unsynced &= self.note_sync();
        }
        self.busy.end();
        let slowest = std::mem::take(&mut self.batch.slowest).max(begun.elapsed());
        self.slow_until = (slowest > SLOW).then(|| Instant::now() + SLOW_FOR);
        let events = |lines: &[Line]| {
            lines.iter().filter(|line| matches!(line.what, What::Event(_))).count() as u64
        };
        let (written, missing) = self.batch.lines.split_at(done);
        let lost = events(missing);
        self.stats.events += events(written);
        self.stats.lost_events += lost;
        for line in missing {
            if let What::Body(name) = &line.what {
                self.bodies.forget(name);
                self.stats.bodies -= 1;
                self.stats.lost_bodies += 1;
            }
        }
        let octets = done.checked_sub(1).map_or(0, |last| self.batch.lines[last].end as u64);
        self.stats.bytes += octets;
        self.space.count(octets);
        self.note_errors(lost > 0);
        self.failing &= lost > 0;
        self.publish();
        for (event, written) in self.batch.waiting.drain(..) {
            tell(&mut self.observer, event, written);
        }
        self.batch.octets.clear();
        self.batch.lines.clear();
        self.batch.copied = 0;
    }

    fn note_errors(&mut self, lost: bool) {
        let Some(error) = self.log.error() else { return };
        if !lost {
            tracing::debug!(%error, "a segment of the session failed, and nothing was lost");
        } else if !std::mem::replace(&mut self.failing, true) {
            tracing::error!(%error, "the session cannot be written; the proxy goes on without it");
        }
        self.stats.last_error = Some(error.to_string());
    }

    /// Tells of a sync that failed, once until one works; whether one did.
    fn note_sync(&mut self) -> bool {
        let Some(error) = self.log.heed_sync() else { return false };
        if !std::mem::replace(&mut self.unsynced, true) {
            tracing::error!(%error, "the disk did not sync the session: a power cut may take what was written");
        }
        self.stats.sync_error = Some(error.to_string());
        true
    }

    fn publish(&self) {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&self.stats);
    }
}

/// Tells whoever waits, then the observer. A panic of theirs must not end the recording.
fn tell(observer: &mut Option<Observer>, event: Event, written: Option<Written>) {
    let told = catch_unwind(AssertUnwindSafe(|| {
        if let Some(written) = written {
            written();
        }
        if let Some(observer) = observer {
            observer(event);
        }
    }));
    if told.is_err() {
        tracing::error!("whoever watches the session panicked; the recording goes on");
    }
}
