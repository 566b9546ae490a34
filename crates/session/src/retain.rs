//! Removes old sessions, by age, count and size. Only what is asked for goes, never a session that
//! is in use, and whoever asks is told what went.

use std::path::{Path, PathBuf};
use std::time::Duration;

use consoletap_flow::Timestamp;

use crate::lock::Lock;
use crate::{layout, list};

/// What may stay in a folder of sessions. Without a limit everything stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Retention {
    /// Sessions that began longer ago go.
    pub age: Option<Duration>,
    /// Beyond so many, the oldest go.
    pub count: Option<usize>,
    /// When all of them hold more octets than this, the oldest go.
    pub bytes: Option<u64>,
}

/// A session that went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    /// Where it was.
    pub directory: PathBuf,
    /// What it held, in octets.
    pub bytes: u64,
    /// Why, or why it could not be removed, in plain words.
    pub what: Result<&'static str, String>,
}

/// How a session is called while it goes, so that nothing takes half of one for a whole.
const GOING: &str = ".removed-";

/// Removes what may not stay right below a folder. The newest session stays in any case, and so
/// does one that somebody writes to, and what cannot be read as a session.
#[must_use]
pub fn retain(root: &Path, now: Timestamp, retention: &Retention) -> Vec<Removed> {
    if *retention == Retention::default() {
        return Vec::new();
    }
    finish_interrupted(root);
    let mut removed = Vec::new();
    let (mut count, mut bytes) = (0_usize, 0_u64);
    let found = list(root).into_iter().filter_map(|found| {
        let started = found.session.ok()?.about().started;
        Some((found.directory, started))
    });
    // Newest first.
    for (index, (directory, started)) in found.enumerate() {
        let own = layout::bytes_below(&directory);
        let too_old = retention.age.is_some_and(|age| now.since(started) > age);
        let too_many = retention.count.is_some_and(|most| count >= most);
        let too_large = retention.bytes.is_some_and(|most| bytes.saturating_add(own) > most);
        let why = match (too_old, too_many, too_large) {
            (true, ..) => "it is too old",
            (_, true, _) => "there are too many",
            (.., true) => "together they are too large",
            _ => "",
        };
        if index == 0 || why.is_empty() {
            (count, bytes) = (count + 1, bytes.saturating_add(own));
            continue;
        }
        match remove(&directory) {
            // In use: it stays, and nobody needs to be told.
            Ok(false) => (count, bytes) = (count + 1, bytes.saturating_add(own)),
            Ok(true) => removed.push(Removed { directory, bytes: own, what: Ok(why) }),
            Err(error) => {
                removed.push(Removed { directory, bytes: own, what: Err(error.to_string()) });
            }
        }
    }
    removed
}

/// Removes a session, unless somebody writes to it.
fn remove(directory: &Path) -> std::io::Result<bool> {
    // Held until it is gone: nobody begins to write to it meanwhile.
    let Ok(_lock) = Lock::take(directory) else { return Ok(false) };
    let name = directory.file_name().unwrap_or_default().to_string_lossy();
    let going = directory.with_file_name(format!("{GOING}{name}"));
    std::fs::rename(directory, &going)?;
    std::fs::remove_dir_all(&going)?;
    Ok(true)
}

/// Removes what an earlier run began to remove.
fn finish_interrupted(root: &Path) {
    for entry in std::fs::read_dir(root).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(GOING) {
            // The next run tries again.
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}
