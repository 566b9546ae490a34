//! The reader in `docs/read_session.py`, which was written from the document of the format alone.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use consoletap_flow::{Record, Recorder as _};
use consoletap_session::{Options, Session, Writer};

use super::support::{about, exchange, finished, opened, sample_of_every_kind};
use super::with_copy;

/// What it says of a session; nothing where there is no Python, or no zstd for it to call.
#[allow(clippy::print_stderr)] // a test that is skipped says so
fn read(dir: &Path) -> Option<Output> {
    if let Err(error) = Command::new("zstd").arg("--version").output() {
        eprintln!("NOT TESTED: there is no zstd here ({error})");
        return None;
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/read_session.py");
    match Command::new("python3").arg(script).arg(dir).output() {
        Ok(output) => Some(output),
        Err(error) => {
            eprintln!("NOT TESTED: there is no python3 here ({error})");
            None
        }
    }
}

fn record(dir: &Path) {
    let options = Options { segment_bytes: 4000, compress_from: Some(1), ..Options::default() };
    let writer = Writer::create(dir, about(), options, None).unwrap();
    sample_of_every_kind().into_iter().for_each(|event| writer.record(Record::new(event)));
    let bodies: [&[u8]; 4] = [b"text \"quoted\" \xc3\xb6", b"\xff\0", &[b'x'; 9000], b""];
    for (flow, body) in (2..).zip(bodies) {
        let [opened, response, _] = exchange(flow).try_into().unwrap();
        writer.record(Record::new(opened));
        writer.record(Record::new(response));
        let (sender, written) = std::sync::mpsc::channel();
        let mut end = with_copy(finished(flow), body, flow != 4);
        end.written = Some(Box::new(move || sender.send(()).unwrap()));
        writer.record(end);
        written.recv().unwrap();
    }
    writer.record(Record::new(opened(9)));
    writer.close();
}

#[test]
fn a_reader_of_forty_lines_reads_what_this_crate_writes() {
    let dir = tempfile::tempdir().unwrap();
    record(dir.path());
    let Some(output) = read(dir.path()) else { return };
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{errors}");
    let lines = String::from_utf8(output.stdout).unwrap();
    let read: Vec<serde_json::Value> =
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let flows: Vec<_> = Session::open(dir.path()).unwrap().flows().map(Result::unwrap).collect();
    assert_eq!(read.len(), flows.len());
    for (read, flow) in read.iter().zip(&flows) {
        assert_eq!(read["flow"], flow.id.0);
        assert_eq!(read["opened"]["target"], flow.target.as_ref().unwrap().to_string());
        assert_eq!(read["response"]["status"].as_u64(), flow.status().map(u64::from));
        assert_eq!(read["intercepted"].is_boolean(), flow.intercepted);
        let (end, told) = (&read["finished"], flow.finished.as_ref());
        assert_eq!(end.is_object(), told.is_some());
        if let Some(told) = told {
            assert_eq!(end["response_body"]["bytes"], told.response_body.bytes);
            assert_eq!(end["state"], serde_json::to_value(told.state).unwrap());
        }
    }
}

#[test]
fn it_finds_a_changed_line_and_a_changed_body() {
    let dir = tempfile::tempdir().unwrap();
    record(dir.path());
    let bodies = fs::read_dir(dir.path().join("bodies")).unwrap();
    let folder = bodies.map(|entry| entry.unwrap().path()).next().unwrap();
    let body = fs::read_dir(folder).unwrap().next().unwrap().unwrap().path();
    let octets = fs::read(&body).unwrap();
    fs::write(&body, &octets[1..]).unwrap();
    let Some(output) = read(dir.path()) else { return };
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1));
    assert!(errors.contains("flow 4: no body is what sha256:"), "{errors}");

    let names = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path());
    let log = names.filter(|path| path.extension().is_some_and(|it| it == "jsonl")).max().unwrap();
    let text = fs::read_to_string(&log).unwrap();
    fs::write(&log, text.replace("192.168.1.23", "192.168.1.24")).unwrap();
    let errors = String::from_utf8(read(dir.path()).unwrap().stderr).unwrap();
    assert!(errors.contains("changed after it was written"), "{errors}");
}

#[test]
fn it_reads_a_trimmed_session_that_was_edited() {
    let folder = tempfile::tempdir().unwrap();
    let (dir, log) = super::trimmed::trimmed(folder.path(), b"<list/>");
    fs::write(dir.join("log-000001.jsonl"), log.replace("<list/>", "<edited/>")).unwrap();
    let Some(output) = read(&dir) else { return };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn it_passes_over_what_a_crash_tore_and_what_stands_behind_a_gap() {
    let dir = tempfile::tempdir().unwrap();
    record(dir.path());
    let names = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path());
    let log = names.filter(|path| path.extension().is_some_and(|it| it == "jsonl")).max().unwrap();
    let text = fs::read_to_string(&log).unwrap();
    // The last event of a flow whose first one is missing, a kind of a later version, and half a line.
    let later = r#"{"flow":77,"at":"2026-11-23T20:43:00.000001Z","event":"intercepted"}
{"flow":9,"at":"2026-11-23T20:43:00.000002Z","event":{"of-a-later-version":{"a":1}}}
{"of-a-later-version":1}
{"flow":9,"at":"2026-11-2"#;
    fs::write(&log, format!("{text}{later}")).unwrap();
    let Some(output) = read(dir.path()) else { return };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(!String::from_utf8(output.stdout).unwrap().contains("\"flow\": 77"));
    // A whole line that lacks its line feed counts; the same within the log is damage.
    let (first, _) = text.split_once('\n').unwrap();
    fs::write(&log, format!("{}\n{text}", &first[..first.len() - 20])).unwrap();
    let output = read(dir.path()).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains(":1: {'damage': "));
    fs::write(&log, text.trim_end()).unwrap();
    let output = read(dir.path()).unwrap();
    assert!(String::from_utf8(output.stdout).unwrap().contains("\"flow\": 9"));
}

#[test]
fn it_is_as_short_as_the_document_says() {
    let script = include_str!("../../../../docs/read_session.py");
    let (_, code) = script.split_once("written.\"\"\"\n").unwrap();
    let lines = code.lines().filter(|line| !line.is_empty()).count();
    assert!(lines <= 40, "{lines}");
    assert!(script.lines().all(|line| line.len() <= 120));
    assert!(include_str!("../../../../docs/session-format.md").contains("in 40 lines of Python"));
}
