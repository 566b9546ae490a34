//! Sessions on a real disk: what is written reads back, whatever happens in between.
#![allow(missing_docs, clippy::unwrap_used)] // test code throughout, not only in #[test] functions

mod damage;
mod downloads;
mod python;
mod retention;
mod segments;
mod streams;
mod support;
mod trimmed;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use consoletap_flow::{
    BodyCopy, Digest, Event, FlowId, Happening, Kept, Record, Recorder, State, Timestamp,
};
use consoletap_session::{CreateError, OpenError, Options, Session, Writer, list};
use support::{about, exchange, finished, opened, sample_of_every_kind};

fn create(dir: &Path) -> Writer {
    Writer::create(dir, about(), Options::default(), None).unwrap()
}

fn events_of(dir: &Path) -> Vec<Event> {
    Session::open(dir).unwrap().events().map(Result::unwrap).collect()
}

fn with_copy(mut event: Event, octets: &[u8], whole: bool) -> Record {
    if let Happening::Finished(finished) = &mut event.happening {
        finished.response_body.bytes = octets.len() as u64;
    }
    let mut record = Record::new(event);
    record.response_copy = Some(BodyCopy { octets: octets.to_vec(), whole });
    record
}

fn kept(dir: &Path, flow: u64) -> (Option<Digest>, Kept) {
    let mut flows = Session::open(dir).unwrap().flows().map(Result::unwrap).collect::<Vec<_>>();
    flows.retain(|found| found.id == FlowId(flow));
    let body = flows[0].finished.as_ref().unwrap().response_body;
    (body.digest, body.kept)
}

#[test]
fn every_kind_of_event_reads_back_as_it_was_written() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("s.psession");
    let writer = create(&dir);
    let events = sample_of_every_kind();
    events.iter().cloned().for_each(|event| writer.record(Record::new(event)));
    let stats = writer.close();
    assert_eq!((stats.events, stats.lost_events), (events.len() as u64, 0));
    assert_eq!(events_of(&dir), events);
}

#[test]
fn callbacks_and_the_observer_see_only_what_is_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    let (seen, observed) = mpsc::channel();
    let path = dir.path().to_owned();
    let observer = Box::new(move |event: Event| {
        let on_disk = events_of(&path);
        seen.send((on_disk.contains(&event), event)).unwrap();
    });
    let writer = Writer::create(dir.path(), about(), Options::default(), Some(observer)).unwrap();
    let (sender, written) = mpsc::channel();
    for event in exchange(1) {
        let sender = sender.clone();
        let mut record = Record::new(event);
        record.written = Some(Box::new(move || sender.send(()).unwrap()));
        writer.record(record);
    }
    writer.close();
    assert_eq!(written.try_iter().count(), 3);
    let observed: Vec<_> = observed.try_iter().collect();
    assert!(observed.iter().all(|(on_disk, _)| *on_disk));
    assert_eq!(observed.into_iter().map(|(_, e)| e).collect::<Vec<_>>(), exchange(1));
}

#[test]
fn whoever_flushes_writes_for_all_who_wait() {
    let dir = tempfile::tempdir().unwrap();
    let writer = create(dir.path());
    let (sender, written) = mpsc::channel();
    // Now and then the thread is first, or at it.
    let flushed_here = (0..1000).step_by(10).any(|first| {
        for flow in first..first + 10 {
            let sender = sender.clone();
            let mut record = Record::new(opened(flow + 1));
            record.written = Some(Box::new(move || {
                sender.send(std::thread::current().id()).unwrap();
            }));
            writer.record(record);
        }
        writer.flush();
        let told: Vec<_> = written.try_iter().collect();
        told.len() >= 10 && told.iter().all(|by| *by == std::thread::current().id())
    });
    assert!(flushed_here, "a flush leaves it to the thread");
}

#[test]
fn small_bodies_of_flows_that_were_just_read_need_no_search() {
    let dir = tempfile::tempdir().unwrap();
    let writer = create(dir.path());
    writer.record(Record::new(opened(1)));
    writer.record(with_copy(finished(1), b"body", true));
    writer.close();
    for with_bodies in [true, false] {
        let session = Session::open(dir.path()).unwrap();
        let log = dir.path().join("log-000001.jsonl");
        let flows = if with_bodies { session.flows_with_bodies() } else { session.flows() };
        let flow = flows.map(Result::unwrap).last().unwrap();
        let digest = flow.finished.unwrap().response_body.digest.unwrap();
        // What cannot be searched shows where it comes from.
        let away = dir.path().join("away");
        fs::rename(&log, &away).unwrap();
        let body = session.body(&digest);
        fs::rename(&away, &log).unwrap();
        assert_eq!(body.ok(), with_bodies.then(|| b"body".to_vec()));
        assert_eq!(session.body(&digest).unwrap(), b"body");
    }
}

#[test]
fn bodies_are_kept_once_by_their_hash_and_read_back() {
    let dir = tempfile::tempdir().unwrap();
    let writer = create(dir.path());
    for flow in 1..=2 {
        writer.record(Record::new(opened(flow)));
        writer.record(with_copy(finished(flow), b"body", true));
    }
    writer.record(Record::new(opened(3)));
    let mut large = with_copy(finished(3), b"first", false);
    let all = Digest::blake3([7; 32]);
    if let Happening::Finished(finished) = &mut large.event.happening {
        finished.response_body.digest = Some(all);
    }
    writer.record(large);
    assert_eq!(writer.close().bodies, 2);
    let session = Session::open(dir.path()).unwrap();
    let (digest, Kept::Whole) = kept(dir.path(), 2) else { panic!("not whole") };
    // `printf body | sha256sum`
    let expected = "sha256:230d8358dc8e8890b4c58deeb62912ee2f20357ae92a5cc861b98e68fe31acb5";
    assert_eq!(digest.unwrap().to_string(), expected);
    assert_eq!(session.body(&digest.unwrap()).unwrap(), b"body");
    let (digest, Kept::Prefix { bytes: 5, digest: prefix }) = kept(dir.path(), 3) else {
        panic!("no prefix")
    };
    assert_eq!(digest, Some(all));
    assert_eq!(session.body(&prefix).unwrap(), b"first");
    assert!(session.body(&all).is_err());
}

#[test]
fn a_changed_body_is_not_given_out() {
    let dir = tempfile::tempdir().unwrap();
    let writer = create(dir.path());
    writer.record(Record::new(opened(1)));
    writer.record(with_copy(finished(1), &[b'a'; 5000], true));
    writer.record(Record::new(opened(2)));
    writer.record(with_copy(finished(2), b"small body", true));
    writer.close();
    let session = || Session::open(dir.path()).unwrap();
    let [file, line] = [1, 2].map(|flow| kept(dir.path(), flow).0.unwrap());
    assert!(session().body(&file).is_ok() && session().body(&line).is_ok());
    let hex = file.hex();
    fs::write(dir.path().join(format!("bodies/{}/{hex}.bin", &hex[..2])), "bodY").unwrap();
    assert!(session().body(&file).is_err());
    // By hand, and so without its check.
    let log = dir.path().join("log-000001.jsonl");
    let text = fs::read_to_string(&log).unwrap();
    let changed = text.lines().find(|line| line.contains("small body")).unwrap();
    let by_hand = changed.split_once(",\"crc\"").unwrap().0.replace("small", "SMALL") + "}";
    fs::write(&log, text.replace(changed, &by_hand)).unwrap();
    let error = session().body(&line).unwrap_err().to_string();
    assert!(error.contains("was changed"), "{error}");
    assert_eq!(session().overview().unchecked, 1);
}

#[test]
fn copies_beyond_the_bound_are_lost_and_counted_while_events_are_not() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { queue_bytes: 3, ..Options::default() };
    let writer = Writer::create(dir.path(), about(), options, None).unwrap();
    writer.record(Record::new(opened(1)));
    writer.record(with_copy(finished(1), b"body", true));
    let stats = writer.close();
    assert_eq!((stats.events, stats.lost_bodies), (2, 1));
    assert_eq!(kept(dir.path(), 1).1, Kept::Lost);
}

#[test]
fn with_too_little_free_space_bodies_are_lost_and_events_are_not() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { min_free_disk: u64::MAX, ..Options::default() };
    let writer = Writer::create(dir.path(), about(), options, None).unwrap();
    writer.record(Record::new(opened(1)));
    writer.record(with_copy(finished(1), b"body", true));
    let stats = writer.close();
    assert_eq!((stats.events, stats.lost_bodies), (2, 1));
    assert_eq!(kept(dir.path(), 1).1, Kept::Lost);
}

#[test]
fn everything_is_for_the_owner_only() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("new/s.psession");
    let writer = create(&dir);
    writer.record(Record::new(opened(1)));
    writer.record(with_copy(finished(1), b"body", true));
    writer.close();
    let mut folders = vec![dir];
    while let Some(folder) = folders.pop() {
        assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let mode = fs::metadata(&path).unwrap().permissions().mode();
                assert_eq!(mode & 0o777, 0o600, "{}", path.display());
            }
        }
    }
}

#[test]
fn the_log_goes_on_in_new_segments() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { segment_bytes: 1500, ..Options::default() };
    let writer = Writer::create(dir.path(), about(), options, None).unwrap();
    for flow in 1..=20 {
        exchange(flow).into_iter().for_each(|event| writer.record(Record::new(event)));
        // One batch each.
        let deadline = Instant::now() + Duration::from_secs(20);
        while writer.stats().events < flow * 3 {
            assert!(Instant::now() < deadline, "{:?}", writer.stats());
            std::thread::yield_now();
        }
    }
    writer.close();
    assert!(dir.path().join("log-000003.jsonl").exists());
    let written: Vec<Event> = (1..=20).flat_map(exchange).collect();
    assert_eq!(events_of(dir.path()), written);
}

#[test]
fn a_second_writer_is_refused_with_the_pid_of_the_first() {
    let dir = tempfile::tempdir().unwrap();
    let first = create(dir.path());
    let error = Writer::create(dir.path(), about(), Options::default(), None).unwrap_err();
    assert!(
        matches!(error, CreateError::InUse { pid, .. } if pid == Some(std::process::id())),
        "{error}"
    );
    assert!(error.to_string().contains(&std::process::id().to_string()));
    first.close();
    create(dir.path());
}

#[test]
fn a_session_is_continued_with_new_numbers_after_a_torn_line() {
    let dir = tempfile::tempdir().unwrap();
    let writer = create(dir.path());
    assert_eq!(writer.next_flow(), 1);
    exchange(7).into_iter().for_each(|event| writer.record(Record::new(event)));
    writer.close();
    let log = dir.path().join("log-000001.jsonl");
    let mut text = fs::read(&log).unwrap();
    text.extend_from_slice(b"{\"flow\":99,\"at\":");
    fs::write(&log, text).unwrap();
    let writer = create(dir.path());
    assert_eq!(writer.next_flow(), 8);
    exchange(8).into_iter().for_each(|event| writer.record(Record::new(event)));
    writer.close();
    let flows: Vec<_> = Session::open(dir.path()).unwrap().flows().map(Result::unwrap).collect();
    assert_eq!(flows.iter().map(|flow| flow.id.0).collect::<Vec<_>>(), [7, 8]);
}

#[test]
fn a_directory_of_something_else_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("thesis.txt"), "mine").unwrap();
    let error = Writer::create(dir.path(), about(), Options::default(), None).unwrap_err();
    assert!(matches!(error, CreateError::NotASession { .. }), "{error}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    let below_a_file = dir.path().join("thesis.txt/s");
    let error = Writer::create(&below_a_file, about(), Options::default(), None).unwrap_err();
    assert!(matches!(error, CreateError::Io { .. }), "{error}");
}

#[test]
fn a_session_removed_while_it_is_written_is_told_and_holds_nobody_up() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("s");
    let options = Options {
        sync: consoletap_session::Sync::Every(Duration::from_millis(5)),
        ..Options::default()
    };
    let writer = Writer::create(&dir, about(), options, None).unwrap();
    fs::remove_dir_all(&dir).unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while writer.stats().lost_events == 0 {
        assert!(Instant::now() < deadline, "the loss was never noticed");
        let (sender, written) = mpsc::channel();
        let mut record = Record::new(opened(1));
        record.written = Some(Box::new(move || sender.send(()).unwrap()));
        writer.record(record);
        written.recv_timeout(Duration::from_secs(20)).unwrap();
    }
    assert!(writer.close().last_error.is_some());
    assert!(!dir.exists());
}

#[test]
fn no_flipped_byte_makes_the_reader_panic_or_lose_other_lines() {
    let dir = tempfile::tempdir().unwrap();
    let writer = create(dir.path());
    let events = sample_of_every_kind();
    events.iter().cloned().for_each(|event| writer.record(Record::new(event)));
    writer.close();
    let log = dir.path().join("log-000001.jsonl");
    let text = fs::read(&log).unwrap();
    let session = Session::open(dir.path()).unwrap();
    for at in 0..text.len() {
        let mut flipped = text.clone();
        flipped[at] ^= [0x01, 0x20, 0x80][at % 3];
        fs::write(&log, &flipped).unwrap();
        let read = session.events().filter_map(Result::ok).count();
        // A newline that is gone spoils the line before it and the one behind.
        assert!(read + 2 >= events.len(), "flipped at {at}: {read} of {}", events.len());
        session.flows().for_each(drop);
    }
}

#[test]
fn broken_lines_are_reported_with_their_place_and_new_kinds_are_skipped() {
    let dir = tempfile::tempdir().unwrap();
    let writer = create(dir.path());
    writer.record(Record::new(opened(1)));
    writer.close();
    let log = dir.path().join("log-000001.jsonl");
    let good = fs::read_to_string(&log).unwrap();
    let at = "\"flow\":1,\"at\":\"2026-11-23T20:43:00.000000Z\"";
    let long = "x".repeat(5 << 20);
    let text = format!(
        "{good}no json\n{{{at},\"event\":{{\"from-the-future\":{{}}}},\"new\":1}}\n\
         {{{at},\"event\":\"also-new\"}}\n{{\"whatever\":[]}}\n{{{at},\"event\":{{\"note\":5}}}}\n\
         {long}\n{good}{{\"half"
    );
    fs::write(&log, text).unwrap();
    let session = Session::open(dir.path()).unwrap();
    let (events, problems): (Vec<_>, Vec<_>) = session.events().partition(Result::is_ok);
    assert_eq!(events.len(), 2);
    let lines: Vec<u64> = problems.into_iter().map(|problem| problem.unwrap_err().line).collect();
    assert_eq!(lines, [2, 6, 7]);
    let overview = session.overview();
    assert_eq!((overview.flows, overview.problems), (2, 3));
}

#[test]
fn the_overview_which_only_skims_counts_what_a_whole_reading_does() {
    let dir = tempfile::tempdir().unwrap();
    let writer = create(dir.path());
    for event in sample_of_every_kind().into_iter().chain(exchange(2)) {
        writer.record(Record::new(event));
    }
    writer.close();
    let log = dir.path().join("log-000001.jsonl");
    let sound = fs::read_to_string(&log).unwrap();
    let session = || Session::open(dir.path()).unwrap();
    let same = |problems, unchecked| {
        let (events, broken): (Vec<_>, Vec<_>) = session().events().partition(Result::is_ok);
        let times = || events.iter().map(|event| event.as_ref().unwrap().at);
        let overview = session().overview();
        assert_eq!((overview.events, overview.flows), (events.len() as u64, 2));
        assert_eq!((overview.first, overview.last), (times().min(), times().max()));
        assert_eq!((overview.problems, overview.unchecked), (problems, unchecked));
        assert_eq!(broken.len() as u64, problems);
    };
    same(0, 0);
    // A changed line is found, and one without a check is read in full.
    fs::write(&log, sound.replacen("was longer", "was langer", 1)).unwrap();
    same(1, 0);
    let line = sound.lines().find(|line| line.contains("was longer")).unwrap();
    let by_hand = line.split_once(",\"crc\"").unwrap().0.to_owned() + "}";
    fs::write(&log, sound.replace(line, &by_hand)).unwrap();
    same(0, 1);
    fs::write(&log, sound.replace(line, &by_hand.replace("{\"note\":", "{\"note\":5,\"n\":")))
        .unwrap();
    same(1, 0);
}

#[test]
fn a_flow_without_its_end_is_unfinished_and_flows_come_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let writer = create(dir.path());
    for event in [opened(1), opened(2), finished(2), opened(3), finished(1)] {
        writer.record(Record::new(event));
    }
    writer.close();
    let flows: Vec<_> = Session::open(dir.path()).unwrap().flows().map(Result::unwrap).collect();
    let states: Vec<_> = flows.iter().map(|flow| (flow.id.0, flow.state())).collect();
    assert_eq!(states, [(1, State::Complete), (2, State::Complete), (3, State::Unfinished)]);
}

#[test]
fn a_flow_that_stays_open_does_not_hold_up_all_others() {
    let folder = tempfile::tempdir().unwrap();
    let writer = create(folder.path());
    let all = 5000;
    writer.record(Record::new(opened(1)));
    (2..=all).flat_map(exchange).for_each(|event| writer.record(Record::new(event)));
    writer.record(Record::new(finished(1)));
    writer.close();
    let ids: Vec<_> =
        Session::open(folder.path()).unwrap().flows().map(|flow| flow.unwrap().id.0).collect();
    let held = ids.iter().position(|&id| id == 1).unwrap();
    assert!(held > 0 && held <= 5000 - 4096, "{held}");
    let mut others = ids.clone();
    others.remove(held);
    assert!(others.is_sorted() && ids.len() as u64 == all);
}

#[test]
fn sessions_are_listed_newest_first_and_broken_ones_with_their_problem() {
    let root = tempfile::tempdir().unwrap();
    for (name, started) in [("old", 1), ("new", 2)] {
        let about = consoletap_session::About { started: Timestamp(started), ..about() };
        let dir = root.path().join(name);
        Writer::create(&dir, about, Options::default(), None).unwrap().close();
    }
    fs::create_dir(root.path().join("empty.psession")).unwrap();
    fs::create_dir(root.path().join("holiday pictures")).unwrap();
    fs::create_dir(root.path().join("future")).unwrap();
    fs::write(root.path().join("future/session.json"), "{\"format\":2}").unwrap();
    let found = list(root.path());
    let names: Vec<_> =
        found.iter().map(|l| l.directory.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(names, ["new", "old", "future", "empty.psession"]);
    assert!(matches!(found[2].session, Err(OpenError::Format { format: 2, .. })));
    assert!(matches!(found[3].session, Err(OpenError::NoSession { .. })));
}

const CHILD: &str = "CONSOLETAP_SESSION_TEST_CHILD";

/// Not a test by itself: the process that the next test kills. It prints the number of each flow
/// whose last event is written.
#[test]
fn child_that_writes_until_it_is_killed() {
    let Some(dir) = std::env::var_os(CHILD) else { return };
    let writer = create(Path::new(&dir));
    for flow in writer.next_flow().. {
        for event in exchange(flow) {
            let last = matches!(event.happening, Happening::Finished(_));
            let mut record = Record::new(event);
            if last {
                record.response_copy =
                    Some(BodyCopy { octets: format!("body of {flow}").into_bytes(), whole: true });
                record.written = Some(Box::new(move || {
                    use std::io::Write as _;
                    // One write, not through the buffer that the test harness captures.
                    let line = format!("acked {flow}\n");
                    std::io::stderr().write_all(line.as_bytes()).unwrap();
                }));
            }
            writer.record(record);
        }
        std::thread::yield_now();
    }
}

#[test]
fn a_killed_writer_loses_nothing_that_it_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let mut acked = Vec::new();
    for round in 0..10_u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_that_writes_until_it_is_killed", "--nocapture"])
            .env(CHILD, dir.path())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = std::io::BufReader::new(child.stderr.take().unwrap());
        // Killed at another point in every round, after it has begun to write.
        let mut line = String::new();
        for _ in 0..=(round * 37) % 101 {
            line.clear();
            std::io::BufRead::read_line(&mut output, &mut line).unwrap();
            acked.extend(ack(&line));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let mut rest = String::new();
        std::io::Read::read_to_string(&mut output, &mut rest).unwrap();
        // The last line may be cut; a whole one ends in a newline.
        acked.extend(rest.split_inclusive('\n').filter_map(ack));
        verify(dir.path(), &acked);
    }
    assert!(acked.len() > 100, "only {} flows were acknowledged", acked.len());
}

fn ack(line: &str) -> Option<u64> {
    line.strip_prefix("acked ")?.strip_suffix('\n')?.parse().ok()
}

fn verify(dir: &Path, acked: &[u64]) {
    let session = Session::open(dir).unwrap();
    let flows: std::collections::HashMap<u64, _> =
        session.flows().map(Result::unwrap).map(|flow| (flow.id.0, flow)).collect();
    for id in acked {
        let flow = flows.get(id).unwrap_or_else(|| panic!("flow {id} is lost"));
        assert_eq!(flow.state(), State::Complete);
        let digest = flow.finished.as_ref().unwrap().response_body.digest.unwrap();
        assert_eq!(session.body(&digest).unwrap(), format!("body of {id}").into_bytes());
    }
}

#[test]
fn a_writer_can_be_shared_and_closed_twice() {
    let dir = tempfile::tempdir().unwrap();
    let writer = Arc::new(create(dir.path()));
    let recorder: Arc<dyn Recorder> = Arc::clone(&writer) as _;
    recorder.record(Record::new(opened(1)));
    assert_eq!(writer.close().events, 1);
    assert_eq!(writer.close().lost_events, 0);
    recorder.record(Record::new(opened(2)));
    assert_eq!(writer.stats().lost_events, 1);
}

/// The document shows each kind of event as this version writes it, so that it cannot rot.
#[test]
fn the_document_of_the_format_shows_what_is_written() {
    let document = include_str!("../../../../docs/session-format.md");
    let dir = tempfile::tempdir().unwrap();
    let writer = create(dir.path());
    sample_of_every_kind().into_iter().for_each(|event| writer.record(Record::new(event)));
    for body in [&b"<?xml version=\"1.0\"?>\n<list/>\n"[..], b"\xff\xfe\0"] {
        writer.record(with_copy(finished(2), body, true));
    }
    writer.close();
    let log = fs::read_to_string(dir.path().join("log-000001.jsonl")).unwrap();
    for line in log.lines().filter(|line| !line.starts_with("{\"flow\":2")) {
        assert!(document.contains(&format!("\n{line}\n")), "docs/session-format.md lacks\n{line}");
    }
    let about = fs::read_to_string(dir.path().join("session.json")).unwrap();
    assert!(document.contains(&about), "docs/session-format.md lacks\n{about}");
}
