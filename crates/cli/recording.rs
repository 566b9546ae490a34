//! The recorder of a run with its views: events go to the session, and once they are on disk to
//! the totals, the log and the JSON lines.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use consoletap_catalog::Catalog;
use consoletap_flow::{Record, Recorder, Timestamp};
use consoletap_proxy::Seen;
use consoletap_redact::Redactor;
use consoletap_session::{About, CreateError, Options, Removed, Stats, Writer, retain};
use jiff::tz::TimeZone;

use crate::amounts::{count, size};
use crate::json::JsonLines;
use crate::live::{Flows, LiveLog, Observer};
use crate::look::Ink;
use crate::settings::{Keeping, SessionPlace, Views};
use crate::shown::Shown;
use crate::terminal::Printer;

/// What keeps and shows the flows of a run.
pub(crate) struct Recording {
    printer: Arc<Printer>,
    views: Views,
    flows: Flows,
    keeper: Keeper,
    log: Option<LiveLog>,
    json: Option<JsonLines>,
}

/// Who keeps the events.
enum Keeper {
    Session(Arc<Writer>),
    Nobody(Arc<Unrecorded>),
}

impl Recording {
    /// Begins. `broken` is called when nobody reads the JSON lines any more.
    pub(crate) fn start(
        keeping: &Keeping,
        options: serde_json::Value,
        views: Views,
        shown: &Shown,
        catalog: &Arc<Catalog>,
        printer: Arc<Printer>,
        broken: impl FnOnce() + Send + 'static,
    ) -> anyhow::Result<Self> {
        let flows = Flows::default();
        let zone = TimeZone::system();
        let redactor = Arc::new(Redactor::masking(Arc::clone(catalog)));
        let log = views
            .log
            .then(|| {
                let redactor = Arc::clone(&redactor);
                let (flows, shown, zone) = (flows.clone(), shown.clone(), zone.clone());
                LiveLog::start(Arc::clone(&printer), flows, shown, redactor, zone)
            })
            .transpose()
            .context("cannot start the log")?;
        let json = views
            .json
            .then(|| {
                let (flows, shown) = (flows.clone(), shown.clone());
                JsonLines::start(Arc::clone(&printer), flows, shown, redactor, broken)
            })
            .transpose()
            .context("cannot start the JSON lines")?;
        let observer = || Observer {
            flows: flows.clone(),
            log: log.as_ref().map(LiveLog::queue),
            json: json.as_ref().map(JsonLines::queue),
        };
        let how = (&options, &keeping.options);
        let keeper = match &keeping.place {
            SessionPlace::Nowhere => Keeper::Nobody(Arc::new(Unrecorded(Mutex::new(observer())))),
            SessionPlace::Folder(folder) => Keeper::Session(create(folder, how, observer())?),
            SessionPlace::New => {
                let keeper = Keeper::Session(create_new(&zone, how, observer)?);
                printer.say(&remove_old(&consoletap_session::default_root(), keeping));
                keeper
            }
        };
        let recording = Self { printer, views, flows, keeper, log, json };
        if let Some(directory) = recording.directory() {
            shown.look_in(directory.to_owned());
        }
        Ok(recording)
    }

    /// For the proxy.
    pub(crate) fn recorder(&self) -> Arc<dyn Recorder> {
        match &self.keeper {
            Keeper::Session(writer) => Arc::clone(writer) as Arc<dyn Recorder>,
            Keeper::Nobody(unrecorded) => Arc::clone(unrecorded) as Arc<dyn Recorder>,
        }
    }

    /// For the page that a console can look at.
    pub(crate) fn seen(&self) -> Arc<dyn Seen> {
        Arc::new(self.flows.clone())
    }

    /// The folder of the session.
    pub(crate) fn directory(&self) -> Option<&Path> {
        match &self.keeper {
            Keeper::Session(writer) => Some(writer.directory()),
            Keeper::Nobody(_) => None,
        }
    }

    /// The number of the first flow.
    pub(crate) fn first_flow(&self) -> u64 {
        match &self.keeper {
            Keeper::Session(writer) => writer.next_flow(),
            Keeper::Nobody(_) => 1,
        }
    }

    /// Brings everything to the disk and to the reader, and says what came of it; whether all of
    /// it was recorded.
    pub(crate) fn close(self) -> anyhow::Result<bool> {
        let stats = match &self.keeper {
            Keeper::Session(writer) => writer.close(),
            Keeper::Nobody(_) => Stats::default(),
        };
        // The writer has handed every event on by now.
        if let Some(log) = self.log {
            log.close();
        }
        if let Some(json) = self.json {
            json.close().context("cannot write the JSON lines")?;
        }
        let look = self.printer.look();
        let mut text = String::new();
        if self.views.summary {
            text.push('\n');
            text.push_str(&self.flows.look_at().totals().draw(&look));
        }
        let whole = stats.lost_events == 0 && stats.sync_error.is_none();
        if let Some(loss) = loss(&stats) {
            text.push_str(&look.paint(Ink::Bad, &loss));
            text.push('\n');
        }
        if let Keeper::Session(writer) = &self.keeper
            && self.views.summary
        {
            let directory = writer.directory().display();
            text.push_str(&format!("Session: {directory}\n"));
            text.push_str(&format!(
                "To look at it again: consoletap session show {}\n",
                quoted(&directory.to_string())
            ));
        }
        self.printer.say(&text);
        Ok(whole)
    }
}

/// What the session could not take, or may not hold after a power cut.
fn loss(stats: &Stats) -> Option<String> {
    let Stats { lost_events, lost_bodies, last_error, sync_error, .. } = stats;
    let mut lost = Vec::new();
    if *lost_events > 0 {
        lost.push(count(*lost_events, "event", "events"));
    }
    if *lost_bodies > 0 {
        lost.push(count(*lost_bodies, "body", "bodies"));
    }
    if lost.is_empty() {
        let unsynced =
            |error| format!("Not on the platter, perhaps: the disk did not sync ({error})");
        return sync_error.as_ref().map(unsynced);
    }
    let reason = last_error.as_ref().map(|error| format!(" ({error})")).unwrap_or_default();
    Some(format!("Not in the session: {}{reason}", lost.join(" and ")))
}

/// For a shell, where it is needed.
fn quoted(path: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:,@".contains(c);
    if path.chars().all(plain) {
        return path.to_owned();
    }
    format!("'{}'", path.replace('\'', r"'\''"))
}

/// Removes old sessions where that is asked for, and says which.
fn remove_old(root: &Path, keeping: &Keeping) -> String {
    let now = Timestamp::from(jiff::Timestamp::now());
    let mut text = String::new();
    for Removed { directory, bytes, what } in retain(root, now, &keeping.retention) {
        let directory = directory.display();
        let line = match what {
            Ok(why) => format!("Removed the session {directory} ({}): {why}.\n", size(bytes)),
            Err(error) => format!("The session {directory} cannot be removed: {error}\n"),
        };
        text.push_str(&line);
    }
    text
}

/// What is told in `session.json`, and how the session is written.
type How<'a> = (&'a serde_json::Value, &'a Options);

fn create(
    folder: &Path,
    (options, how): How<'_>,
    mut observer: Observer,
) -> Result<Arc<Writer>, CreateError> {
    let about = About {
        tool: "consoletap".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started: Timestamp::from(jiff::Timestamp::now()),
        options: options.clone(),
        ..About::default()
    };
    let see = Box::new(move |event| observer.see(event));
    Writer::create(folder, about, how.clone(), Some(see)).map(Arc::new)
}

/// A session named by the time. A second one in the same second gets a number.
fn create_new(
    zone: &TimeZone,
    how: How<'_>,
    observer: impl Fn() -> Observer,
) -> anyhow::Result<Arc<Writer>> {
    let now = jiff::Timestamp::now().to_zoned_datetime(zone.clone());
    let stamp = now.strftime("%Y-%m-%dT%H-%M-%S").to_string();
    let root = consoletap_session::default_root();
    for number in 1..100 {
        let folder = root.join(session_name(&stamp, number));
        if folder.exists() {
            continue;
        }
        match create(&folder, how, observer()) {
            Err(CreateError::InUse { .. }) => {}
            result => {
                let advice = "name another folder with --write, or use --no-session";
                return result.with_context(|| format!("no session can be written; {advice}"));
            }
        }
    }
    anyhow::bail!("{} has a hundred sessions of this second", root.display())
}

fn session_name(stamp: &str, number: u32) -> PathBuf {
    match number {
        1 => format!("{stamp}.psession").into(),
        _ => format!("{stamp}-{number}.psession").into(),
    }
}

/// Keeps nothing: events go to the views at once.
struct Unrecorded(Mutex<Observer>);

impl Recorder for Unrecorded {
    fn record(&self, record: Record) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).see(record.event);
        if let Some(written) = record.written {
            written();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::fold::tests::ends;
    use crate::sample::Sample;
    use crate::terminal::tests::Paper;

    const ALL: Views = Views { log: true, json: true, summary: true, verbose: false };

    fn start(place: &SessionPlace) -> (Recording, Paper, Paper) {
        let (data, people) = (Paper::default(), Paper::default());
        let printer = Printer::new(Box::new(data.clone()), Box::new(people.clone()), false);
        let options = serde_json::Value::Null;
        let keeping = place.clone().into();
        let recording = {
            let catalog = Arc::new(Catalog::builtin());
            let shown = Shown::default();
            Recording::start(&keeping, options, ALL, &shown, &catalog, Arc::new(printer), || {})
        }
        .unwrap();
        (recording, data, people)
    }

    fn record_one(recording: &Recording) {
        let flow = Sample::get("http://a.example/x").id(recording.first_flow()).flow();
        for event in ends(&flow) {
            recording.recorder().record(Record::new(event));
        }
    }

    #[test]
    fn flows_reach_disk_log_json_and_summary() {
        let folder = tempfile::tempdir().unwrap();
        let place = SessionPlace::Folder(folder.path().join("s p.psession"));
        let (recording, data, people) = start(&place);
        record_one(&recording);
        assert!(recording.close().unwrap());
        assert_eq!(data.text().lines().count(), 1);
        let text = people.text();
        assert!(text.contains("a.example/x") && text.contains("1 flow: 0 B"), "{text}");
        assert!(text.contains("session show '"), "{text}");

        let (again, ..) = start(&place);
        assert_eq!(again.first_flow(), 2);
        again.close().unwrap();
    }

    #[test]
    fn without_a_session_the_views_work_and_the_proxy_need_not_wait() {
        let (recording, data, people) = start(&SessionPlace::Nowhere);
        record_one(&recording);
        let told = Arc::new(AtomicBool::new(false));
        let tell = Arc::clone(&told);
        let [opened, _] = ends(&Sample::get("http://a/").id(9).flow());
        recording.recorder().record(Record {
            written: Some(Box::new(move || tell.store(true, Ordering::SeqCst))),
            ..Record::new(opened)
        });
        assert!(told.load(Ordering::SeqCst));
        assert!(recording.close().unwrap());
        assert!(data.text().contains("\"id\":1"));
        assert!(!people.text().contains("Session:"));
    }

    #[test]
    fn a_session_in_use_is_an_error_that_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let place = SessionPlace::Folder(folder.path().join("one"));
        let (_first, ..) = start(&place);
        let printer = Printer::new(Box::new(io::sink()), Box::new(io::sink()), false);
        let second = Recording::start(
            &place.into(),
            serde_json::Value::Null,
            ALL,
            &Shown::default(),
            &Arc::new(Catalog::builtin()),
            Arc::new(printer),
            || {},
        );
        let Err(error) = second else { panic!("two writers") };
        assert!(error.to_string().contains("another consoletap"), "{error}");
    }

    #[test]
    fn what_was_lost_is_told() {
        let stats = Stats {
            lost_events: 3,
            lost_bodies: 1,
            last_error: Some("no space left".to_owned()),
            ..Stats::default()
        };
        assert_eq!(
            loss(&stats).unwrap(),
            "Not in the session: 3 events and 1 body (no space left)"
        );
        assert_eq!(loss(&Stats::default()), None);
        let stats = Stats { sync_error: Some("Input/output error".to_owned()), ..Stats::default() };
        assert_eq!(
            loss(&stats).unwrap(),
            "Not on the platter, perhaps: the disk did not sync (Input/output error)"
        );
    }
}
