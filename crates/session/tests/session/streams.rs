//! Bodies of any size, kept whole while they pass.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use consoletap_flow::{BodySide, Event, FlowId, Happening, Kept, Record, Recorder as _};
use consoletap_session::{Options, Session, Writer};

use super::support::{about, exchange, finished, opened};
use super::{create, kept};

/// Larger than a part that is sent to the disk, and no multiple of it.
const LARGE: usize = 1_000_003;

fn octets(length: usize, seed: u8) -> Vec<u8> {
    (0..length).map(|at| (at * 7 + at / 251) as u8 ^ seed).collect()
}

fn end(flow: u64, bytes: usize) -> Record {
    let mut event: Event = finished(flow);
    if let Happening::Finished(finished) = &mut event.happening {
        finished.response_body.bytes = bytes as u64;
    }
    Record::new(event)
}

/// Streams a body in pieces of an odd size, then ends its flow.
fn stream(writer: &Writer, flow: u64, body: &[u8]) {
    writer.record(Record::new(opened(flow)));
    let mut stream = writer.stream_body(FlowId(flow), BodySide::Response).unwrap();
    body.chunks(70_001).for_each(|piece| stream.push(piece));
    drop(stream);
    writer.record(end(flow, body.len()));
}

fn parts(dir: &Path) -> Vec<String> {
    let names = fs::read_dir(dir.join("bodies")).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.ends_with(".part")).collect()
}

#[test]
fn a_streamed_body_is_whole_and_ends_its_flow() {
    let dir = tempfile::tempdir().unwrap();
    let writer = create(dir.path());
    let bodies = [octets(LARGE, 1), octets(5, 2), octets(128 << 10, 3), octets(LARGE, 1)];
    std::thread::scope(|scope| {
        for (flow, body) in (1..).zip(&bodies) {
            let writer = &writer;
            scope.spawn(move || stream(writer, flow, body));
        }
    });
    let stats = writer.close();
    assert_eq!((stats.events, stats.bodies, stats.lost_bodies), (8, 4, 0), "{stats:?}");
    let session = Session::open(dir.path()).unwrap();
    for (flow, body) in (1..).zip(&bodies) {
        let (digest, kept) = kept(dir.path(), flow);
        assert_eq!(kept, Kept::Whole);
        assert!(session.body(&digest.unwrap()).unwrap() == *body, "flow {flow}");
    }
    assert_eq!(parts(dir.path()), [""; 0]);
}

#[test]
fn a_stream_without_octets_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let writer = create(dir.path());
    writer.record(Record::new(opened(1)));
    drop(writer.stream_body(FlowId(1), BodySide::Request));
    writer.record(end(1, 0));
    assert_eq!(writer.close().events, 2);
    assert_eq!(kept(dir.path(), 1), (None, Kept::Nothing));
}

#[test]
fn what_the_disk_cannot_follow_is_cut_told_and_kept_up_to_there() {
    let dir = tempfile::tempdir().unwrap();
    // Room for one part in the queue: who pushes faster than the disk writes loses the rest.
    let options = Options { queue_bytes: 128 << 10, ..Options::default() };
    let writer = Writer::create(dir.path(), about(), options, None).unwrap();
    let body = octets(64 << 20, 4);
    stream(&writer, 1, &body);
    let stats = writer.close();
    let (digest, kept) = kept(dir.path(), 1);
    let session = Session::open(dir.path()).unwrap();
    match kept {
        Kept::Prefix { bytes, digest: prefix } => {
            assert_eq!((digest, stats.lost_bodies), (None, 1));
            assert!(session.body(&prefix).unwrap() == body[..usize::try_from(bytes).unwrap()]);
            assert!(stats.last_error.unwrap().contains("too slow"));
        }
        // A disk faster than memory is no failure of the test.
        kept => assert_eq!((kept, stats.lost_bodies), (Kept::Whole, 0)),
    }
}

#[test]
fn the_quota_stops_bodies_and_not_events() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { quota: Some(700_000), ..Options::default() };
    let writer = Writer::create(dir.path(), about(), options, None).unwrap();
    let body = octets(LARGE, 5);
    stream(&writer, 1, &body);
    exchange(2).into_iter().for_each(|event| writer.record(Record::new(event)));
    let stats = writer.close();
    assert_eq!((stats.events, stats.lost_events, stats.lost_bodies), (5, 0, 1), "{stats:?}");
    let error = stats.last_error.unwrap();
    assert!(error.contains("700000") && error.contains("no longer kept"), "{error}");
    let Kept::Prefix { bytes, digest } = kept(dir.path(), 1).1 else { panic!("no prefix") };
    assert!((500_000..=700_000).contains(&bytes), "{bytes}");
    let kept = Session::open(dir.path()).unwrap().body(&digest).unwrap();
    assert!(kept == body[..kept.len()] && kept.len() as u64 == bytes);
    // What is there counts when the session goes on.
    let options = Options { quota: Some(700_000), ..Options::default() };
    let writer = Writer::create(dir.path(), about(), options, None).unwrap();
    stream(&writer, 3, &octets(300_000, 6));
    assert_eq!(writer.close().lost_bodies, 1);
}

#[test]
fn a_body_under_way_lies_there_under_the_name_of_its_flow() {
    let dir = tempfile::tempdir().unwrap();
    let writer = create(dir.path());
    writer.record(Record::new(opened(7)));
    let mut stream = writer.stream_body(FlowId(7), BodySide::Response).unwrap();
    stream.push(&octets(300_000, 7));
    let path = dir.path().join("bodies/flow-7-response.part");
    let deadline = Instant::now() + Duration::from_secs(20);
    while !fs::metadata(&path).is_ok_and(|file| file.len() == 2 * (128 << 10)) {
        assert!(Instant::now() < deadline, "the part file never grew");
        std::thread::yield_now();
    }
    // As after a crash: nobody ends it.
    writer.close();
    drop(stream);
    assert_eq!(parts(dir.path()), ["flow-7-response.part"]);
    assert_eq!(create(dir.path()).next_flow(), 8);
}
