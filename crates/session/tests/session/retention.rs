//! Old sessions go by age, count and size, whatever mixture of them there is, and while others are
//! being written and read.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use consoletap_flow::{Record, Recorder as _, Timestamp};
use consoletap_session::{About, Options, Retention, Session, Sync, Writer, list, retain};
use proptest::prelude::*;

use super::support::{about, exchange};

const DAY: i64 = 86_400_000_000;

fn begin(root: &Path, day: i64) -> Writer {
    let about = About { started: Timestamp(day * DAY), ..about() };
    let options = Options { sync: Sync::Never, ..Options::default() };
    Writer::create(&root.join(format!("{day:03}.psession")), about, options, None).unwrap()
}

/// Returns once all of it is on the disk.
fn write(writer: &Writer, flows: Range<u64>) {
    for flow in flows {
        let [opened, response, finished] = exchange(flow).try_into().unwrap();
        writer.record(Record::new(opened));
        writer.record(Record::new(response));
        let (sender, written) = mpsc::channel();
        let told = Box::new(move || sender.send(()).unwrap());
        writer.record(Record { written: Some(told), ..Record::new(finished) });
        writer.flush();
        written.recv_timeout(Duration::from_secs(20)).unwrap();
    }
}

fn flows(dir: &Path) -> u64 {
    Session::open(dir).unwrap().flows().map(Result::unwrap).count() as u64
}

fn bytes(dir: &Path) -> u64 {
    let files = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    let files = files.filter(|entry| entry.file_type().unwrap().is_file());
    files.map(|file| file.metadata().unwrap().len()).sum()
}

/// A session of a day: how many flows it holds, and whether somebody writes to it.
#[derive(Debug, Clone, Copy)]
struct Given {
    flows: u64,
    in_use: bool,
}

fn given() -> impl Strategy<Value = BTreeMap<i64, Given>> {
    let one = (0_u64..40, any::<bool>()).prop_map(|(flows, in_use)| Given { flows, in_use });
    prop::collection::btree_map(1_i64..30, one, 1..8)
}

fn retention() -> impl Strategy<Value = Retention> {
    let age = prop::option::of((0_u64..30).prop_map(|days| Duration::from_secs(days * 86_400)));
    let bytes = prop::option::of(0_u64..60_000);
    (age, prop::option::of(0_usize..8), bytes).prop_map(|(age, count, bytes)| Retention {
        age,
        count,
        bytes,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_goes_had_to_and_what_stays_may(given in given(), retention in retention()) {
        let root = tempfile::tempdir().unwrap();
        let mut in_use = Vec::new();
        for (&day, session) in &given {
            let writer = begin(root.path(), day);
            write(&writer, 1..session.flows + 1);
            if session.in_use {
                in_use.push(writer);
            } else {
                writer.close();
            }
        }
        let path = |day: i64| root.path().join(format!("{day:03}.psession"));
        let now = 30;
        let sizes: BTreeMap<i64, u64> = given.keys().map(|&day| (day, bytes(&path(day)))).collect();
        let removed = retain(root.path(), Timestamp(now * DAY), &retention);
        drop(in_use);
        for gone in &removed {
            prop_assert!(gone.what.is_ok() && !gone.directory.exists(), "{:?}", gone);
            let of_it = sizes.iter().find(|(day, _)| path(**day) == gone.directory);
            prop_assert_eq!(Some(&gone.bytes), of_it.map(|(_, size)| size), "{:?}", gone);
        }
        let gone = |day: i64| removed.iter().any(|gone| gone.directory == path(day));
        let (mut kept, mut size) = (0, 0);
        for (&day, session) in given.iter().rev() {
            let is_newest = given.range(day + 1..).next().is_none();
            let own = sizes[&day];
            let too_old = retention.age.is_some_and(|age| age.as_secs() < (now - day) as u64 * 86_400);
            let too_many = retention.count.is_some_and(|most| kept >= most);
            let too_large = retention.bytes.is_some_and(|most| size + own > most);
            let may_go = !is_newest && !session.in_use;
            prop_assert_eq!(gone(day), may_go && (too_old || too_many || too_large), "day {}", day);
            if !gone(day) {
                prop_assert_eq!(flows(&path(day)), session.flows, "day {}", day);
                kept += 1;
                size += own;
            }
        }
        let hidden = fs::read_dir(root.path()).unwrap().count();
        prop_assert_eq!(hidden, kept);
    }
}

/// Runs that begin at the same time each remove old sessions; one records on, others read.
#[test]
fn sessions_go_while_one_is_recorded_and_others_are_read() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let recorded = root.join("001.psession");
    // The oldest, so that every limit asks for it.
    let writer = begin(root, 1);
    let done = AtomicBool::new(false);
    let (written, read) = thread::scope(|scope| {
        let recording = scope.spawn(|| {
            let mut flow = 1;
            while !done.load(Ordering::Relaxed) {
                write(&writer, flow..flow + 1);
                flow += 1;
                thread::yield_now();
            }
            flow - 1
        });
        let readers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut read = 0_u64;
                    while !done.load(Ordering::Relaxed) {
                        for found in list(root) {
                            // It may go at any moment: then it ends with words, and no half flow is
                            // taken for a whole one.
                            let Ok(session) = found.session else { continue };
                            for flow in session.flows() {
                                let Ok(flow) = flow else { break };
                                assert!(flow.target.is_some());
                                read += 1;
                            }
                        }
                    }
                    read
                })
            })
            .collect();
        for day in 2..60 {
            let newest = begin(root, day);
            write(&newest, 1..20);
            newest.close();
            let limits = [
                Retention { count: Some(2), ..Retention::default() },
                Retention { age: Some(Duration::from_secs(86_400)), ..Retention::default() },
                Retention { bytes: Some(20_000), ..Retention::default() },
            ];
            let going: Vec<_> = limits
                .into_iter()
                .map(|limit| scope.spawn(move || retain(root, Timestamp(day * DAY), &limit)))
                .collect();
            for going in going {
                for gone in going.join().unwrap() {
                    assert_ne!(gone.directory, recorded, "it is in use: {gone:?}");
                    assert_eq!(gone.what.as_ref().err(), None, "{gone:?}");
                }
            }
            assert_eq!(flows(&root.join(format!("{day:03}.psession"))), 19, "the newest stays");
        }
        done.store(true, Ordering::Relaxed);
        let read: u64 = readers.into_iter().map(|reader| reader.join().unwrap()).sum();
        (recording.join().unwrap(), read)
    });
    let stats = writer.close();
    assert_eq!((stats.lost_events, stats.last_error), (0, None));
    assert_eq!(flows(&recorded), written);
    assert!(written > 58 && read > 58, "{written} {read}");
    let names: Vec<_> = list(root).into_iter().map(|found| found.directory).collect();
    assert!(names.len() <= 3, "{names:?}");
}
