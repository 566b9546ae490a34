//! Which flows of a run have a line: all, or those that a filter fits.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use consoletap_filter::{Filter, Subject};
use consoletap_flow::Flow;

use crate::bodies::KeptBodies;
use crate::exit::Usage;
use crate::suggest::nearest;

/// The flows that are shown. Everything is recorded and counted all the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shown(Option<Arc<Chosen>>);

#[derive(Debug)]
struct Chosen {
    filter: Filter,
    /// Where bodies are to be had, once a session is written.
    directory: OnceLock<PathBuf>,
}

impl Shown {
    pub(crate) fn new(filter: Option<Filter>) -> Self {
        Self(filter.map(|filter| Arc::new(Chosen { filter, directory: OnceLock::new() })))
    }

    /// Bodies are looked for in this session.
    pub(crate) fn look_in(&self, directory: PathBuf) {
        if let Some(chosen) = &self.0 {
            let _ = chosen.directory.set(directory);
        }
    }

    /// Whether a flow is shown. `called` is what the log calls its client.
    pub(crate) fn fits(&self, flow: &Flow, called: &str) -> bool {
        let Some(chosen) = &self.0 else { return true };
        let subject = Subject::from(flow).called(called).at(jiff::Timestamp::now().into());
        match chosen.directory.get() {
            Some(directory) => {
                let bodies = KeptBodies { flow, directory };
                chosen.filter.matches(&subject.with_bodies(&bodies))
            }
            None => chosen.filter.matches(&subject),
        }
    }
}

/// The filter that was typed behind the options, word by word.
pub(crate) fn typed(words: &[String]) -> Result<Option<Filter>, Usage> {
    if words.is_empty() {
        return Ok(None);
    }
    Filter::parse(&words.join(" "))
        .map(Some)
        .map_err(|error| Usage::new(format!("the filter cannot be read: {error}")))
}

/// Without the command `run`, a plain word alone is a command that there is not, and no filter.
pub(crate) fn refuse_command(words: &[String], commands: &[String]) -> Result<(), Usage> {
    let is_plain = |word: &str| word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    let [word] = words else { return Ok(()) };
    if !is_plain(word) {
        return Ok(());
    }
    let commands: Vec<&str> = commands.iter().map(String::as_str).collect();
    let meant = nearest(word, &commands)
        .map(|meant| format!(" Did you mean `consoletap {meant}`?"))
        .unwrap_or_default();
    Err(Usage::new(format!(
        "there is no command {word:?}.{meant} `consoletap --help` lists them. To see only flows with \
         {word} in their URL: consoletap '~u {word}'"
    )))
}
