//! Reads rule files again when they change, while the proxy runs.
//!
//! Files are looked at four times a second: that works wherever a file can be, with editors that
//! write beside a file and rename, and costs a few system calls. A file is read once it was the
//! same twice, so that one that is being written is not read by half.

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use consoletap_filter::NamedClient;
use consoletap_rules::{RuleBook, Rules};

use crate::amounts::count;
use crate::look::Ink;
use crate::terminal::Printer;

/// How often files are looked at.
const LOOK: Duration = Duration::from_millis(250);

/// What a run was told of rules.
pub(crate) struct Named {
    /// Packs and files.
    pub(crate) rules: Vec<String>,
    /// Clients that have a name.
    pub(crate) clients: Vec<NamedClient>,
}

/// The thread that looks; it ends when this is dropped.
pub(crate) struct Watch {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What shows that a file is another one: when it was written, how long it is, and which it is.
type Stamp = Option<(i64, i64, u64, u64)>;

impl Watch {
    /// Begins to look; nothing is done where no file is named.
    pub(crate) fn start(named: Named, book: Arc<RuleBook>, printer: Arc<Printer>) -> Self {
        let files: Vec<PathBuf> = Rules::files(&named.rules).collect();
        if files.is_empty() {
            return Self { stop: None, thread: None };
        }
        let mut read = stamps(&files);
        let (stop, stopped) = mpsc::channel();
        let watch = move || {
            let mut seen = None;
            while stopped.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
                let now = stamps(&files);
                if now == read {
                    seen = None;
                } else if seen.as_ref() == Some(&now) {
                    printer.say(&reload(&named, &book, &printer));
                    read = now;
                    seen = None;
                } else {
                    seen = Some(now);
                }
            }
        };
        let thread = thread::Builder::new().name("rules".to_owned()).spawn(watch);
        if let Err(error) = &thread {
            tracing::warn!("rule files are not read again when they change: {error}");
        }
        Self { stop: Some(stop), thread: thread.ok() }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn stamps(files: &[PathBuf]) -> Vec<Stamp> {
    let stamp = |file: &PathBuf| {
        let file = file.metadata().ok()?;
        Some((file.mtime(), file.mtime_nsec(), file.len(), file.ino()))
    };
    files.iter().map(stamp).collect()
}

/// Puts new rules in force, or keeps the old ones; what is told of it.
fn reload(named: &Named, book: &RuleBook, printer: &Printer) -> String {
    let (ink, words) = match Rules::load_naming(&named.rules, &named.clients) {
        Ok(rules) => {
            let words = format!("Rules read again: {}", count(rules.len() as u64, "rule", "rules"));
            book.replace(rules);
            (Ink::Notice, words)
        }
        Err(error) => (Ink::Bad, format!("The rules stay as they were: {error}")),
    };
    let look = printer.look();
    words.lines().map(|line| look.paint(ink, line) + "\n").collect()
}
