//! Which sessions there are below a folder.

use std::cmp::Reverse;
use std::path::{Path, PathBuf};

use crate::{OpenError, Session, layout};

/// A session that was found, or what is wrong with it.
#[derive(Debug)]
pub struct Listed {
    /// Where it is.
    pub directory: PathBuf,
    /// The session.
    pub session: Result<Session, OpenError>,
}

/// The sessions right below a folder, newest first, broken ones last. Other folders are left out;
/// a folder that cannot be read holds none.
#[must_use]
pub fn list(root: &Path) -> Vec<Listed> {
    let Ok(entries) = std::fs::read_dir(root) else { return Vec::new() };
    let mut found: Vec<Listed> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.is_dir() && looks_like_a_session(path))
        .map(|directory| Listed { session: Session::open(&directory), directory })
        .collect();
    found.sort_by_key(|listed| {
        let started = listed.session.as_ref().ok().map(|session| session.about().started);
        (Reverse(started), Reverse(listed.directory.clone()))
    });
    found
}

fn looks_like_a_session(path: &Path) -> bool {
    // One that is being removed is none any more.
    let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    !hidden
        && (path.extension().is_some_and(|extension| extension == layout::EXTENSION)
            || path.join(layout::ABOUT).exists())
}
