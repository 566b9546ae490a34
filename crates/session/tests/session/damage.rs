//! A log cut at every octet, and with every octet changed: it opens, and what it says is true.

use std::fs;
use std::path::Path;

use consoletap_flow::{Event, Happening, Record, Recorder as _};
use consoletap_session::Session;

use super::support::{exchange, finished, opened, sample_of_every_kind};
use super::{create, events_of, with_copy};

/// A session with many kinds of events and small bodies, text and not; its log.
fn record(dir: &Path) -> Vec<u8> {
    let writer = create(dir);
    exchange(1).into_iter().for_each(|event| writer.record(Record::new(event)));
    for event in sample_of_every_kind().into_iter().skip(1).take(5) {
        writer.record(Record::new(event));
    }
    writer.record(Record::new(opened(2)));
    writer.record(with_copy(finished(2), "kleiner Körper".as_bytes(), true));
    writer.record(with_copy(finished(3), b"\xff\xfe\0", true));
    assert_eq!(writer.close().lost_events, 0);
    fs::read(dir.join("log-000001.jsonl")).unwrap()
}

/// Each whole line as an event, or as something else.
fn lines_as_events(log: &[u8], events: &[Event]) -> Vec<Option<Event>> {
    let mut events = events.iter().cloned();
    log.split_inclusive(|&byte| byte == b'\n')
        .map(|line| if line.starts_with(b"{\"flow\"") { events.next() } else { None })
        .collect()
}

#[test]
fn cut_at_every_octet_it_holds_exactly_the_whole_lines_before() {
    let dir = tempfile::tempdir().unwrap();
    let log = record(dir.path());
    let events = events_of(dir.path());
    let lines = lines_as_events(&log, &events);
    for cut in 0..=log.len() {
        fs::write(dir.path().join("log-000001.jsonl"), &log[..cut]).unwrap();
        let session = Session::open(dir.path()).unwrap();
        let read: Vec<Event> = session.events().map(|event| event.expect("no problem")).collect();
        let whole = log[..cut].iter().filter(|&&byte| byte == b'\n').count();
        // A line that lacks nothing but its line feed counts.
        let whole = whole + usize::from(log.get(cut) == Some(&b'\n'));
        let expected: Vec<Event> = lines[..whole].iter().flatten().cloned().collect();
        assert_eq!(read, expected, "cut at {cut}");
    }
}

#[test]
fn every_cut_goes_on_where_it_was_cut() {
    let dir = tempfile::tempdir().unwrap();
    let log = record(dir.path());
    // Around the ends of lines.
    let ends = (0..log.len()).filter(|&at| log[at] == b'\n');
    for cut in ends.flat_map(|end| [end - 20, end - 1, end, end + 1]) {
        let dir = tempfile::tempdir().unwrap();
        record(dir.path());
        fs::write(dir.path().join("log-000001.jsonl"), &log[..cut]).unwrap();
        let before = events_of(dir.path());
        let writer = create(dir.path());
        writer.record(Record::new(opened(writer.next_flow())));
        writer.close();
        let after = events_of(dir.path());
        assert_eq!(after[..before.len()], before, "cut at {cut}");
        assert_eq!(after.len(), before.len() + 1, "cut at {cut}");
    }
}

#[test]
fn with_any_octet_changed_at_most_one_line_is_lost_and_none_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let log = record(dir.path());
    let events = events_of(dir.path());
    let path = dir.path().join("log-000001.jsonl");
    let bodies: Vec<_> = events
        .iter()
        .filter_map(|event| match &event.happening {
            Happening::Finished(end) => end.response_body.digest,
            _ => None,
        })
        .map(|digest| (digest, Session::open(dir.path()).unwrap().body(&digest).unwrap()))
        .collect();
    assert_eq!(bodies.len(), 2);
    for at in 0..log.len() {
        for change in [1 << (at % 8), 0x80, log[at] ^ b'\n'] {
            let mut changed = log.clone();
            changed[at] ^= change;
            fs::write(&path, &changed).unwrap();
            let session = Session::open(dir.path()).unwrap();
            let what = format!("octet {at} is {:?}", char::from(changed[at]));
            let (mut read, mut problems) = (Vec::new(), 0);
            for event in session.events() {
                match event {
                    Ok(event) => read.push(event),
                    Err(_) => problems += 1,
                }
            }
            // In their order, and each as it was.
            let mut rest = events.iter();
            assert!(read.iter().all(|event| rest.any(|known| known == event)), "{what}");
            assert!(events.len() - read.len() <= 1, "{what}: {} are left", read.len());
            let in_last_line = !log[at..log.len() - 1].contains(&b'\n');
            assert!(read.len() == events.len() || problems > 0 || in_last_line, "{what}: not told");
            // Finding a body reads the whole log: once for each octet is enough.
            for (digest, octets) in bodies.iter().filter(|_| change == 1 << (at % 8)) {
                assert!(session.body(digest).map_or(true, |read| read == *octets), "{what}");
            }
        }
    }
}
