//! Trimmed sessions: written for people, edited by people, and what is said of their mistakes.

use std::fs;
use std::path::{Path, PathBuf};

use consoletap_flow::{Flow, Happening, Kept};
use consoletap_session::{PlainWriter, Session};

use super::support::{about, exchange};

const TEXT: &str = "<list>\r\n\t<system label=\"5.05\"/>\n</list>\n";

/// A trimmed session of an exchange with this body; its directory, and its log.
pub(super) fn trimmed(folder: &Path, body: &[u8]) -> (PathBuf, String) {
    let dir = folder.join("trimmed");
    let mut writer = PlainWriter::create(&dir, about()).unwrap();
    for mut event in exchange(1) {
        if let Happening::Finished(end) = &mut event.happening {
            end.response_body.bytes = body.len() as u64;
            end.response_body.digest = Some(writer.body(body).unwrap());
            end.response_body.kept = Kept::Whole;
        }
        writer.event(&event).unwrap();
    }
    writer.finish().unwrap();
    let log = fs::read_to_string(dir.join("log-000001.jsonl")).unwrap();
    (dir, log)
}

fn write(dir: &Path, log: &str) -> Vec<Result<Flow, String>> {
    fs::write(dir.join("log-000001.jsonl"), log).unwrap();
    let flows = Session::open(dir).unwrap().flows();
    flows.map(|flow| flow.map_err(|problem| problem.to_string())).collect()
}

fn body(dir: &Path, flow: &Flow) -> Vec<u8> {
    let summary = flow.finished.as_ref().unwrap().response_body;
    Session::open(dir).unwrap().body(&summary.digest.unwrap()).unwrap()
}

#[test]
fn text_can_be_read_in_it_and_lines_have_no_check() {
    let folder = tempfile::tempdir().unwrap();
    let (dir, log) = trimmed(folder.path(), TEXT.as_bytes());
    assert!(log.contains(r#""text":"<list>\r\n\t<system label=\"5.05\"/>\n</list>\n"}}"#), "{log}");
    assert!(!log.contains("crc"), "{log}");
    let session = Session::open(&dir).unwrap();
    assert!(session.about().trimmed);
    let flow = session.flows().next().unwrap().unwrap();
    assert_eq!(body(&dir, &flow), TEXT.as_bytes());
    assert!(PlainWriter::create(&dir, about()).is_err(), "the place is taken");
}

#[test]
fn what_is_no_text_is_base64_or_a_file_and_reads_back() {
    for octets in [vec![0; 3000], vec![0xff; 9000], b"\x1b[2J".to_vec()] {
        let folder = tempfile::tempdir().unwrap();
        let (dir, log) = trimmed(folder.path(), &octets);
        assert_eq!(log.contains("base64"), octets.len() < 4096, "{log}");
        let flow = Session::open(&dir).unwrap().flows().next().unwrap().unwrap();
        assert_eq!(body(&dir, &flow), octets);
    }
}

#[test]
fn an_edited_body_is_what_its_line_says_and_lengths_follow() {
    let folder = tempfile::tempdir().unwrap();
    let (dir, log) = trimmed(folder.path(), &[b'x'; 1337]);
    let edited = log.replace(&"x".repeat(1337), "short \\u00f6");
    let flows = write(&dir, &edited);
    let [Ok(flow)] = &flows[..] else { panic!("{flows:?}") };
    assert_eq!(body(&dir, flow), "short ö".as_bytes());
    assert_eq!(flow.finished.as_ref().unwrap().response_body.bytes, 8);
    assert_eq!(flow.response_bytes, 8);
    let response = flow.response.as_ref().unwrap();
    assert_eq!(response.headers.text("content-length"), Some("8"));
    // An editor that saves no last line feed loses nothing.
    let flows = write(&dir, edited.trim_end());
    assert!(matches!(&flows[..], [Ok(flow)] if flow.finished.is_some()), "{flows:?}");
}

#[test]
fn mistakes_are_told_with_their_line_and_what_was_expected() {
    let folder = tempfile::tempdir().unwrap();
    let (dir, log) = trimmed(folder.path(), TEXT.as_bytes());
    let (first, last) = (log.lines().next().unwrap(), log.lines().last().unwrap());
    let edits = [
        log.replace("\"response\":", "\"respnse\":"),
        log.replace("\"event\":{\"response\"", "\"evnt\":{\"response\""),
        log.replacen("\"flow\":1", "\"flow\":2", 1),
        log.replacen(first, &format!("{first}\n{first}"), 1),
        log.replacen(last, &format!("{last}\n{last}"), 1),
        log.replace("<list>\\r", "<list>\\q"),
        log.replace("\"text\":", "\"txt\":"),
        log.replacen("\"sha256\":\"", "\"sha256\":\"z", 1),
        log.replacen("{\"body\":", "{\"bdy\":", 1),
        log.replace("\"status\":200", "\"status\":\"200\""),
        log.replace("2026-11-23T20:43:00.000002Z", "yesterday"),
        log.replace("\"state\":\"complete\"", "\"state\":\"done\""),
        log.trim_end().trim_end_matches('}').to_owned(),
    ];
    let mut told = String::new();
    for edit in edits {
        assert_ne!(edit, log, "the edit changes something");
        let problems: Vec<String> =
            write(&dir, &edit).into_iter().filter_map(Result::err).collect();
        let problems = problems.join("\n").replace(folder.path().to_str().unwrap(), "HOME");
        assert!(problems.starts_with("HOME/trimmed/log-000001.jsonl:"), "{problems:?}");
        told.push_str(&problems);
        told.push_str("\n\n");
    }
    insta::assert_snapshot!(told);
}

#[test]
fn a_check_that_somebody_left_in_is_still_a_check() {
    let folder = tempfile::tempdir().unwrap();
    let (dir, log) = trimmed(folder.path(), b"x");
    let (first, rest) = log.split_once('\n').unwrap();
    let first = format!("{},\"crc\":\"00000000\"}}", first.strip_suffix('}').unwrap());
    let flows = write(&dir, &format!("{first}\n{rest}"));
    let Some(Err(problem)) = flows.first() else { panic!("{flows:?}") };
    assert!(problem.contains("remove the crc"), "{problem}");
}

#[test]
fn no_changed_octet_makes_the_reader_panic_or_go_on_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let (dir, log) = trimmed(folder.path(), TEXT.as_bytes());
    for at in 0..log.len() {
        for octet in [b'\n', b'"', b'}', b'0', 0xff] {
            let mut edited = log.clone().into_bytes();
            edited[at] = octet;
            fs::write(dir.join("log-000001.jsonl"), edited).unwrap();
            for flow in Session::open(&dir).unwrap().flows() {
                if let Err(problem) = flow {
                    assert!((1..=5).contains(&problem.line), "{at}: {problem}");
                }
            }
        }
    }
}
