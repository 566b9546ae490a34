//! `session.json`: who recorded, when, and in which version of the format.

use std::io::{self, Read as _};
use std::path::Path;

use consoletap_flow::Timestamp;
use serde::{Deserialize, Serialize};

use crate::disk::{Disk, Opening};
use crate::layout;
use crate::{CreateError, OpenError};

/// The version of the format that this crate writes, and the newest that it reads.
const FORMAT: u32 = 1;

/// More than this is no `session.json` of ours.
const MAX_BYTES: u64 = 1 << 20;

/// Who recorded, when, and with which options.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct About {
    /// The program.
    pub tool: String,
    /// Its version.
    pub version: String,
    /// When the recording began.
    pub started: Timestamp,
    /// The options it ran with, for a person to look up; readers need none of them.
    #[serde(default)]
    pub options: serde_json::Value,
    /// Whether secrets were taken out, so that it may be handed on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub redacted: bool,
    /// Whether it was made small for people to read and edit: its lines have no check, and a body
    /// in the log is what its line says, whatever it is called.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub trimmed: bool,
    /// Where it comes from, in words for a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// The file: the version of the format, and [`About`].
#[derive(Serialize, Deserialize)]
struct File<A> {
    format: u32,
    #[serde(flatten)]
    about: A,
}

impl About {
    /// Reads `session.json`.
    pub(crate) fn read(directory: &Path) -> Result<Self, OpenError> {
        let path = directory.join(layout::ABOUT);
        let read = |source| OpenError::Read { path: path.clone(), source };
        let file = match std::fs::File::open(&path) {
            Err(error) if is_missing(&error) => {
                return Err(OpenError::NoSession { directory: directory.to_owned() });
            }
            file => file.map_err(read)?,
        };
        let mut text = Vec::new();
        file.take(MAX_BYTES).read_to_end(&mut text).map_err(read)?;
        let broken = |source| OpenError::Broken { path: path.clone(), source };
        // The version comes first: what a newer format means by the other keys is not ours to say.
        let File { format, .. } =
            serde_json::from_slice::<File<serde_json::Value>>(&text).map_err(broken)?;
        if format != FORMAT {
            return Err(OpenError::Format { directory: directory.to_owned(), format });
        }
        Ok(serde_json::from_slice::<File<Self>>(&text).map_err(broken)?.about)
    }

    /// Writes `session.json`, so that it is there whole or not at all.
    pub(crate) fn write(&self, directory: &Path, disk: &dyn Disk) -> Result<(), CreateError> {
        let path = directory.join(layout::ABOUT);
        let write = || -> io::Result<()> {
            let mut text = serde_json::to_vec_pretty(&File { format: FORMAT, about: self })?;
            text.push(b'\n');
            let temporary = directory.join(layout::ABOUT_TEMPORARY);
            let file = disk.open(&temporary, Opening::Replace)?;
            disk.write_all(&file, &text)?;
            disk.sync(&file)?;
            disk.rename(&temporary, &path)
        };
        write().map_err(|source| CreateError::Io { path: path.clone(), source })
    }
}

fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}
