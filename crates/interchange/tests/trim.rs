//! Trimmed sessions of sessions that are cut, damaged or odd.

#![expect(clippy::unwrap_used, reason = "a test may stop")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use consoletap_catalog::Catalog;
use consoletap_interchange::{TrimError, TrimOptions, TrimmedSession, trim};
use consoletap_session::Session;

fn catalog() -> Arc<Catalog> {
    static CATALOG: OnceLock<Arc<Catalog>> = OnceLock::new();
    Arc::clone(CATALOG.get_or_init(|| Arc::new(Catalog::builtin())))
}

/// A session of the project, as its log and its `session.json`.
fn fixture(console: &str) -> (String, String) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/sessions").join(console);
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    (read("log-000001.jsonl"), read("session.json"))
}

fn write(folder: &Path, log: &[u8], about: &str) -> PathBuf {
    let dir = folder.join("session");
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join("session.json"), about).unwrap();
    fs::write(dir.join("log-000001.jsonl"), log).unwrap();
    dir
}

fn trimmed(dir: &Path, out: &Path) -> Result<TrimmedSession, TrimError> {
    let session = Session::open(dir).unwrap();
    trim(&session, catalog(), &|_| true, TrimOptions::default(), out)
}

#[test]
fn a_session_cut_at_any_octet_gives_a_whole_one_of_what_is_left_or_says_where_it_is_cut() {
    let (log, about) = fixture("vita");
    let raw = about.replace("\"trimmed\": true,", "");
    for cut in (0..log.len()).step_by(37) {
        let folder = tempfile::tempdir().unwrap();
        let (dir, out) = (folder.path().join("session"), folder.path().join("out"));
        write(folder.path(), &log.as_bytes()[..cut], &raw);
        match trimmed(&dir, &out) {
            Ok(told) => {
                assert_eq!(told.problems, 0, "the last line may be torn");
                let flows = Session::open(&out).unwrap().flows().map(Result::unwrap).count();
                assert_eq!(flows as u64, told.flows);
            }
            Err(TrimError::Nothing { .. }) => assert!(cut < log.find('\n').unwrap() + 1),
            Err(error) => panic!("{cut}: {error}"),
        }
        // Where people edit, nothing is torn: it is a mistake.
        let out = folder.path().join("other");
        write(folder.path(), &log.as_bytes()[..cut], &about);
        match trimmed(&dir, &out) {
            Ok(_) => {}
            Err(TrimError::Nothing { .. }) => assert_eq!(cut, 0),
            Err(TrimError::Edited(problem)) => assert!(problem.line > 0, "{problem}"),
            Err(error) => panic!("{cut}: {error}"),
        }
    }
}

#[test]
fn bodies_that_are_gone_or_damaged_are_left_out_and_told() {
    let (log, about) = fixture("vita");
    let raw = about.replace("\"trimmed\": true,", "");
    let without: String = log.lines().filter(|line| !line.starts_with("{\"body\"")).fold(
        String::new(),
        |mut all, line| {
            all.push_str(line);
            all.push('\n');
            all
        },
    );
    let damaged = log.replace("<region id", "<REGION id");
    for log in [without, damaged] {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        let dir = write(folder.path(), log.as_bytes(), &raw);
        let told = trimmed(&dir, &out).unwrap();
        assert!(told.withheld_bodies > 0, "{told:?}");
        let flow = Session::open(&out).unwrap().flows().next().unwrap().unwrap();
        assert!(flow.notes.iter().any(|note| note.contains("was left out")), "{:?}", flow.notes);
    }
}

#[test]
fn a_session_of_a_newer_format_is_refused_by_its_number() {
    let (log, about) = fixture("vita");
    let folder = tempfile::tempdir().unwrap();
    let newer = about.replace("\"format\": 1", "\"format\": 2");
    let error = Session::open(&write(folder.path(), log.as_bytes(), &newer)).unwrap_err();
    assert!(error.to_string().contains("has format 2"), "{error}");
}

#[test]
fn two_trim_the_same_session_at_once() {
    let (log, about) = fixture("ps4");
    let folder = tempfile::tempdir().unwrap();
    let dir = write(folder.path(), log.as_bytes(), &about);
    std::thread::scope(|scope| {
        for name in ["one", "other"] {
            let (dir, out) = (&dir, folder.path().join(name));
            scope.spawn(move || trimmed(dir, &out).unwrap());
        }
    });
    let log = |name: &str| fs::read(folder.path().join(name).join("log-000001.jsonl")).unwrap();
    assert!(log("one") == log("other"));
}
