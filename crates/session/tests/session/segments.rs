//! Segments that are full are compressed, and read like the others; old sessions go.

use std::fs;
use std::ops::RangeInclusive;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use consoletap_flow::{Event, Record, Recorder as _, Timestamp};
use consoletap_session::{About, Options, Retention, Session, Sync, Writer, list, retain};

use super::support::{about, exchange, finished, opened};
use super::{create, events_of, kept, with_copy};

fn options() -> Options {
    Options { segment_bytes: 3000, compress_from: Some(1), ..Options::default() }
}

/// Records and waits until it is written: a batch of its own.
fn write(writer: &Writer, mut record: Record) {
    let (sender, written) = std::sync::mpsc::channel();
    record.written = Some(Box::new(move || sender.send(()).unwrap()));
    writer.record(record);
    writer.flush();
    written.recv_timeout(Duration::from_secs(20)).unwrap();
}

/// Some flows with a small body each, over many segments.
fn record(dir: &Path, flows: RangeInclusive<u64>) -> Vec<Event> {
    let writer = Writer::create(dir, about(), options(), None).unwrap();
    for flow in flows {
        writer.record(Record::new(opened(flow)));
        write(&writer, with_copy(finished(flow), format!("body of {flow}").as_bytes(), true));
    }
    assert_eq!(writer.close().lost_events, 0);
    events_of(dir)
}

fn names(dir: &Path, ending: &str) -> Vec<String> {
    let names = fs::read_dir(dir).unwrap().map(|it| it.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.filter(|name| name.ends_with(ending)).collect();
    names.sort_unstable();
    names
}

fn assert_bodies(dir: &Path, flows: RangeInclusive<u64>) {
    let session = Session::open(dir).unwrap();
    for flow in flows {
        let digest = kept(dir, flow).0.unwrap();
        assert_eq!(session.body(&digest).unwrap(), format!("body of {flow}").into_bytes());
    }
}

#[test]
fn full_segments_are_compressed_and_read_back() {
    let dir = tempfile::tempdir().unwrap();
    let events = record(dir.path(), 1..=20);
    assert_eq!(events.len(), 40);
    assert_bodies(dir.path(), 1..=20);
    assert!(names(dir.path(), ".zst").len() >= 3, "{:?}", names(dir.path(), ""));
    assert_eq!(names(dir.path(), ".jsonl").len(), 1, "the last one can be read with less");
    assert_eq!(names(dir.path(), ".tmp"), [""; 0]);
    let overview = Session::open(dir.path()).unwrap().overview();
    assert_eq!((overview.events, overview.problems, overview.unchecked), (40, 0, 0));
    // It goes on, and what was left plain is compressed then.
    assert_eq!(create(dir.path()).next_flow(), 21);
    let more = record(dir.path(), 21..=22);
    assert_eq!(more[..40], events);
    assert_bodies(dir.path(), 1..=22);
}

#[test]
fn the_zstd_of_every_system_reads_them() {
    let dir = tempfile::tempdir().unwrap();
    record(dir.path(), 1..=20);
    let mut zstd = Command::new("zstd");
    zstd.args(["-dcq", "log-000001.jsonl.zst"]).current_dir(&dir);
    let Ok(output) = zstd.output() else {
        eprintln!("NOT TESTED: there is no zstd here");
        return;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stdout.starts_with(b"{\"flow\":1,") && output.stdout.ends_with(b"\"}\n"));
}

#[test]
fn a_crash_while_compressing_leaves_one_copy_that_counts() {
    let dir = tempfile::tempdir().unwrap();
    let events = record(dir.path(), 1..=20);
    let packed = dir.path().join("log-000001.jsonl.zst");
    let plain = dir.path().join("log-000001.jsonl");
    let octets = fs::read(&packed).unwrap();
    let lines = zstd::decode_all(&octets[..]).unwrap();
    // Before the rename.
    fs::write(dir.path().join("log-000001.jsonl.zst.tmp"), &octets[..octets.len() / 2]).unwrap();
    assert_eq!(events_of(dir.path()), events);
    // Between the rename and the removal.
    fs::write(&plain, &lines).unwrap();
    assert_eq!(events_of(dir.path()), events);
    assert_bodies(dir.path(), 1..=20);
    // While it was written, and nothing was renamed.
    fs::remove_file(&packed).unwrap();
    assert_eq!(events_of(dir.path()), events);
    record(dir.path(), 21..=21);
    assert!(packed.exists() && !plain.exists());
    assert_eq!(events_of(dir.path())[..40], events);
    assert_eq!(names(dir.path(), ".tmp"), [""; 0]);
}

#[test]
fn damage_in_a_compressed_segment_is_told_and_the_others_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let events = record(dir.path(), 1..=20);
    let packed = dir.path().join("log-000002.jsonl.zst");
    let mut octets = fs::read(&packed).unwrap();
    let middle = octets.len() / 2;
    octets[middle] ^= 0x10;
    fs::write(&packed, octets).unwrap();
    let session = Session::open(dir.path()).unwrap();
    let (mut read, mut problems) = (Vec::new(), Vec::new());
    for event in session.events() {
        match event {
            Ok(event) => read.push(event),
            Err(problem) => problems.push(problem.to_string()),
        }
    }
    assert!(problems.iter().any(|it| it.contains("log-000002.jsonl.zst")), "{problems:?}");
    let mut rest = events.iter();
    assert!(read.iter().all(|event| rest.any(|known| known == event)));
    assert!(read.len() < events.len() && read.contains(&events[0]) && read.contains(&events[39]));
}

#[test]
fn every_way_of_syncing_writes_the_same() {
    for sync in [Sync::Always, Sync::Every(Duration::from_millis(1)), Sync::Never] {
        let dir = tempfile::tempdir().unwrap();
        let options = Options { sync, ..options() };
        let writer = Writer::create(dir.path(), about(), options, None).unwrap();
        let events: Vec<Event> = (1..=20).flat_map(exchange).collect();
        events.iter().for_each(|event| write(&writer, Record::new(event.clone())));
        let stats = writer.close();
        assert_eq!((stats.events, stats.last_error), (60, None), "{sync:?}");
        assert_eq!(events_of(dir.path()), events, "{sync:?}");
    }
}

fn about_of(day: i64) -> About {
    About { started: Timestamp(day * 86_400_000_000), ..about() }
}

#[test]
fn old_sessions_go_by_age_count_and_size_and_never_one_in_use() {
    let root = tempfile::tempdir().unwrap();
    for day in 1..=6 {
        let dir = root.path().join(format!("{day}.psession"));
        let writer = Writer::create(&dir, about_of(day), Options::default(), None).unwrap();
        (1..100).flat_map(exchange).for_each(|event| writer.record(Record::new(event)));
        writer.close();
    }
    let in_use = create(&root.path().join("2.psession"));
    fs::create_dir(root.path().join("pictures")).unwrap();
    let retain = |retention| {
        let removed = retain(root.path(), about_of(7).started, &retention);
        let name = |it: &Path| it.file_name().unwrap().to_str().unwrap().to_owned();
        removed.iter().map(|it| name(&it.directory)).collect::<Vec<_>>()
    };
    assert_eq!(retain(Retention::default()), [""; 0]);
    let age = Some(Duration::from_secs(4 * 86_400 + 1));
    assert_eq!(retain(Retention { age, ..Retention::default() }), ["1.psession"], "2 is in use");
    assert_eq!(retain(Retention { count: Some(3), ..Retention::default() }), ["3.psession"]);
    drop(in_use);
    let one = Session::open(&root.path().join("6.psession")).unwrap().overview().bytes;
    let bytes = Some(one * 5 / 2);
    assert_eq!(retain(Retention { bytes, ..Retention::default() }), ["4.psession", "2.psession"]);
    // The newest stays, whatever is asked; and so does what is no session.
    assert_eq!(retain(Retention { count: Some(0), ..Retention::default() }), ["5.psession"]);
    assert_eq!(names(root.path(), ""), ["6.psession", "pictures"]);
}

#[test]
fn a_removal_that_was_interrupted_is_finished_and_its_rest_is_no_session() {
    let root = tempfile::tempdir().unwrap();
    for name in ["a.psession", ".removed-b.psession"] {
        create(&root.path().join(name)).close();
    }
    assert_eq!(list(root.path()).len(), 1);
    let retention = Retention { count: Some(9), ..Retention::default() };
    assert!(retain(root.path(), Timestamp(0), &retention).is_empty());
    assert_eq!(names(root.path(), ""), ["a.psession"]);
}
