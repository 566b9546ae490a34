//! Tests with a disk that fails: each operation once, each in every way, and for good. Whatever it
//! does, nobody is held up, what is counted as written is there, and what is not is told.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use consoletap_flow::{
    BodyCopy, BodySummary, Event, Finished, FlowId, Happening, Record, Recorder, State, Timestamp,
    Timings,
};

use crate::disk::{Disk, Opening, System};
use crate::{About, Options, Session, Stats, Sync, Writer};

/// How an operation fails.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    Error(ErrorKind),
    /// Half of it goes through, then the disk is full.
    Short,
}

/// Fails operation `nth`, and all behind it until `healed`.
struct Faulty {
    fault: Fault,
    nth: usize,
    lasting: bool,
    count: AtomicUsize,
    healed: AtomicBool,
    half_done: AtomicBool,
}

impl Faulty {
    fn new(fault: Fault, nth: usize, lasting: bool) -> Arc<Self> {
        let (count, healed, half_done) = Default::default();
        Arc::new(Self { fault, nth, lasting, count, healed, half_done })
    }

    fn fails(&self) -> bool {
        let now = self.count.fetch_add(1, Ordering::SeqCst);
        let due = if self.lasting { now >= self.nth } else { now == self.nth };
        due && !self.healed.load(Ordering::SeqCst)
    }

    fn check(&self) -> io::Result<()> {
        match self.fault {
            _ if !self.fails() => Ok(()),
            Fault::Error(kind) => Err(kind.into()),
            Fault::Short => Err(ErrorKind::StorageFull.into()),
        }
    }
}

impl Disk for Faulty {
    fn open(&self, path: &Path, opening: Opening) -> io::Result<File> {
        self.check()?;
        System.open(path, opening)
    }

    fn write(&self, file: &File, octets: &[u8]) -> io::Result<usize> {
        if self.half_done.swap(false, Ordering::SeqCst) {
            return Err(ErrorKind::StorageFull.into());
        }
        if !self.fails() {
            return System.write(file, octets);
        }
        match self.fault {
            Fault::Error(kind) => Err(kind.into()),
            Fault::Short => {
                self.half_done.store(true, Ordering::SeqCst);
                System.write(file, &octets[..octets.len().div_ceil(2)])
            }
        }
    }

    /// Does not sync for real: no test here cuts the power, and there are thousands of them.
    fn sync(&self, _: &File) -> io::Result<()> {
        self.check()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.check()?;
        System.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.check()?;
        System.remove(path)
    }

    fn free_bytes(&self, path: &Path) -> io::Result<u64> {
        self.check()?;
        System.free_bytes(path)
    }
}

const EVENTS: u64 = 6;

fn about() -> About {
    let (tool, version) = ("test".to_owned(), "0".to_owned());
    About { tool, version, started: Timestamp(0), ..About::default() }
}

fn octets_of(number: u64) -> Vec<u8> {
    let mut octets = format!("body {number:04}").into_bytes();
    if number.is_multiple_of(2) {
        octets.resize(5000, b'.');
    }
    octets
}

fn record(number: u64) -> Record {
    let finished = Finished {
        state: State::Complete,
        failure: None,
        request_body: BodySummary::default(),
        response_body: BodySummary { bytes: 9, ..BodySummary::default() },
        timings: Timings::default(),
        server: None,
    };
    let micros = i64::try_from(number).unwrap();
    let happening = Happening::Finished(Box::new(finished));
    let mut record = Record::new(Event { flow: FlowId(number), at: Timestamp(micros), happening });
    // Some lie in the log, some in a file.
    record.response_copy = Some(BodyCopy { octets: octets_of(number), whole: true });
    record
}

/// Records and waits for `written`, so that each event is a batch of its own.
fn write(writer: &Writer, number: u64) {
    let (sender, written) = mpsc::channel();
    let mut record = record(number);
    record.written = Some(Box::new(move || sender.send(()).unwrap()));
    writer.record(record);
    writer.flush();
    written.recv_timeout(Duration::from_secs(20)).expect("the proxy was held up");
}

fn run(disk: &Arc<Faulty>, dir: &Path) -> Option<Stats> {
    let options = Options { segment_bytes: 600, compress_from: Some(1), ..Options::default() };
    let writer = Writer::create_on(Arc::clone(disk) as _, dir, &about(), &options, None).ok()?;
    (1..=EVENTS).for_each(|number| write(&writer, number));
    Some(writer.close())
}

fn verify(dir: &Path, stats: &Stats, what: &str) {
    assert_eq!(stats.events + stats.lost_events, EVENTS, "{what}: {stats:?}");
    let session = Session::open(dir).unwrap();
    let events: Vec<Event> = session.events().map(Result::unwrap).collect();
    assert_eq!(events.len() as u64, stats.events, "{what}");
    let mut lost_bodies = 0;
    for event in &events {
        let Happening::Finished(finished) = &event.happening else { panic!("{what}") };
        let body = finished.response_body;
        if body.kept == consoletap_flow::Kept::Lost {
            lost_bodies += 1;
        } else {
            let octets = session.body(&body.digest.unwrap()).unwrap();
            assert!(octets == octets_of(event.flow.0), "{what}");
        }
    }
    assert!(lost_bodies <= stats.lost_bodies, "{what}");
}

#[test]
fn every_operation_may_fail_once_in_every_way() {
    let faults = [
        Fault::Error(ErrorKind::StorageFull),
        Fault::Error(ErrorKind::ReadOnlyFilesystem),
        Fault::Error(ErrorKind::Interrupted),
        Fault::Error(ErrorKind::Other),
        Fault::Short,
    ];
    for fault in faults {
        for nth in 0.. {
            let dir = tempfile::tempdir().unwrap();
            let disk = Faulty::new(fault, nth, false);
            let stats = run(&disk, dir.path());
            let what = format!("{fault:?} at {nth}");
            if let Some(stats) = stats {
                verify(dir.path(), &stats, &what);
                // One failure is got over by a new segment.
                assert_eq!(stats.lost_events, 0, "{what}");
            }
            if disk.count.load(Ordering::SeqCst) <= nth {
                assert!(nth > 20, "the disk was hardly used");
                break;
            }
        }
    }
}

#[test]
fn a_disk_that_fails_for_good_loses_events_and_counts_them() {
    for nth in 0..40 {
        let dir = tempfile::tempdir().unwrap();
        let disk = Faulty::new(Fault::Short, nth, true);
        if let Some(stats) = run(&disk, dir.path()) {
            let what = format!("full from {nth} on");
            verify(dir.path(), &stats, &what);
            assert!(stats.last_error.is_some() || stats.lost_events == 0, "{what}");
        }
    }
}

#[test]
fn once_there_is_space_again_the_gap_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Faulty::new(Fault::Error(ErrorKind::StorageFull), 20, true);
    let on: Arc<dyn Disk> = Arc::clone(&disk) as _;
    let writer = Writer::create_on(on, dir.path(), &about(), &Options::default(), None).unwrap();
    let mut number = 0;
    while writer.stats().lost_events < 3 {
        number += 1;
        write(&writer, number);
    }
    disk.healed.store(true, Ordering::SeqCst);
    let stats = writer.close();
    let session = Session::open(dir.path()).unwrap();
    let gaps: Vec<_> = session.gaps().collect();
    assert_eq!(gaps.len(), 1);
    assert_eq!((gaps[0].events, gaps[0].until.0), (3, i64::try_from(number).unwrap()));
    assert_eq!(gaps[0].since.0, i64::try_from(number).unwrap() - 2);
    assert_eq!(session.overview().lost_events, stats.lost_events);
    assert_eq!(session.overview().problems, 0);
}

/// A disk that syncs when it is let, and as it is told.
#[derive(Default)]
struct Slow {
    /// Whether syncs fail.
    fails: AtomicBool,
    /// Whether each sync waits until it is let.
    waits: AtomicBool,
    /// Whether writes wait until this is over.
    writes_wait: AtomicBool,
    begun: AtomicUsize,
    let_go: AtomicUsize,
}

impl Disk for Slow {
    fn open(&self, path: &Path, opening: Opening) -> io::Result<File> {
        System.open(path, opening)
    }

    fn write(&self, file: &File, octets: &[u8]) -> io::Result<usize> {
        while self.writes_wait.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
        System.write(file, octets)
    }

    fn sync(&self, _: &File) -> io::Result<()> {
        let number = self.begun.fetch_add(1, Ordering::SeqCst);
        while self.waits.load(Ordering::SeqCst) && self.let_go.load(Ordering::SeqCst) <= number {
            std::thread::yield_now();
        }
        if self.fails.load(Ordering::SeqCst) { Err(ErrorKind::Other.into()) } else { Ok(()) }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        System.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        System.remove(path)
    }

    fn free_bytes(&self, path: &Path) -> io::Result<u64> {
        System.free_bytes(path)
    }
}

fn always(disk: &Arc<Slow>, dir: &Path) -> Arc<Writer> {
    let options = Options { sync: Sync::Always, compress_from: None, ..Options::default() };
    let disk: Arc<dyn Disk> = Arc::clone(disk) as _;
    Arc::new(Writer::create_on(disk, dir, &about(), &options, None).unwrap())
}

#[test]
fn with_always_nobody_is_woken_before_the_platter_has_it() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Arc::<Slow>::default();
    let writer = always(&disk, dir.path());
    let before = disk.begun.load(Ordering::SeqCst);
    disk.let_go.store(before, Ordering::SeqCst);
    disk.waits.store(true, Ordering::SeqCst);
    let (sender, written) = mpsc::channel();
    let mut record = record(1);
    record.written = Some(Box::new(move || sender.send(()).unwrap()));
    writer.record(record);
    // The folder of the session, for its new segment, and the segment.
    for sync in 1..=2 {
        let patience = Instant::now() + Duration::from_secs(20);
        while disk.begun.load(Ordering::SeqCst) < before + sync {
            assert!(Instant::now() < patience, "sync {sync} does not come");
            std::thread::yield_now();
        }
        let since = Instant::now();
        while since.elapsed() < Duration::from_millis(60) {
            assert!(!writer.is_held_up(), "it was asked for, and takes its time");
            std::thread::yield_now();
        }
        assert!(written.try_recv().is_err(), "it waits for sync {sync}");
        disk.let_go.fetch_add(1, Ordering::SeqCst);
    }
    written.recv_timeout(Duration::from_secs(20)).expect("it is synced");
    disk.waits.store(false, Ordering::SeqCst);
    assert_eq!(writer.close().sync_error, None);
}

#[test]
fn with_always_a_sync_that_failed_is_known_to_whoever_is_woken() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Arc::<Slow>::default();
    let writer = always(&disk, dir.path());
    let woken = |number: u64| {
        let (sender, written) = mpsc::channel();
        let mut record = record(number);
        let own = Arc::clone(&writer);
        record.written = Some(Box::new(move || sender.send(own.stats()).unwrap()));
        writer.record(record);
        writer.flush();
        written.recv_timeout(Duration::from_secs(20)).expect("the proxy was held up")
    };
    assert_eq!(woken(1).sync_error, None);
    disk.fails.store(true, Ordering::SeqCst);
    let stats = woken(2);
    assert!(stats.sync_error.is_some(), "{stats:?}");
    assert_eq!((stats.events, stats.lost_events), (2, 0), "it is written, and may not last");
    // The log goes on in a new segment; where nothing is synced, not in one for each event.
    (3..=50).for_each(|number| drop(woken(number)));
    let segments = || crate::layout::segments(dir.path()).unwrap().len();
    assert!((2..=20).contains(&segments()), "{}", segments());
    disk.fails.store(false, Ordering::SeqCst);
    woken(51);
    let stats = writer.close();
    assert_eq!((stats.events, stats.lost_events, stats.last_error.clone()), (51, 0, None));
    assert!(stats.sync_error.is_some(), "it is told at the end as well");
    assert_eq!(Session::open(dir.path()).unwrap().events().map(Result::unwrap).count(), 51);
}

#[test]
fn a_disk_that_is_at_a_write_for_long_holds_the_recording_up() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Arc::<Slow>::default();
    let on: Arc<dyn Disk> = Arc::clone(&disk) as _;
    let writer = Writer::create_on(on, dir.path(), &about(), &Options::default(), None).unwrap();
    write(&writer, 1);
    assert!(!writer.is_held_up());
    disk.writes_wait.store(true, Ordering::SeqCst);
    std::thread::scope(|scope| {
        scope.spawn(|| write(&writer, 2));
        let patience = Instant::now() + Duration::from_secs(20);
        while !writer.is_held_up() {
            assert!(Instant::now() < patience, "it does not notice");
            std::thread::yield_now();
        }
        disk.writes_wait.store(false, Ordering::SeqCst);
    });
    assert!(!writer.is_held_up());
}
