//! Keeps bodies as files named by their SHA-256; equal bodies share one file.

use std::collections::HashSet;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{SHA256, digest};
use consoletap_flow::{BodyCopy, BodySummary, Digest, Kept};

use crate::disk::{Disk, Opening};
use crate::layout;
use crate::sync::Syncer;

/// How long an answer about free space is believed.
const FREE_SPACE_FOR: Duration = Duration::from_millis(500);

pub(crate) struct Bodies {
    disk: Arc<dyn Disk>,
    directory: PathBuf,
    syncer: Arc<Syncer>,
    known: HashSet<[u8; 32]>,
    min_free: u64,
    enough_space: Option<(Instant, bool)>,
}

/// What became of a copy.
pub(crate) enum Outcome {
    /// It is on disk now.
    New,
    /// It was there already, or there is nothing to keep.
    Known,
    /// It is not on disk.
    Lost(io::Error),
}

impl Bodies {
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        directory: PathBuf,
        syncer: Arc<Syncer>,
        min_free: u64,
    ) -> Self {
        Self { disk, directory, syncer, known: HashSet::new(), min_free, enough_space: None }
    }

    /// Keeps a copy and says so in the summary.
    pub(crate) fn keep(&mut self, copy: &BodyCopy, summary: &mut BodySummary) -> Outcome {
        if copy.octets.is_empty() {
            return Outcome::Known;
        }
        let name = sha256(&copy.octets);
        if copy.whole {
            summary.digest = Some(name);
        }
        let outcome = self.store(&name, &copy.octets);
        summary.kept = match &outcome {
            Outcome::Lost(_) => Kept::Lost,
            _ if copy.whole => Kept::Whole,
            _ => Kept::Prefix { bytes: copy.octets.len() as u64, digest: name },
        };
        outcome
    }

    fn store(&mut self, name: &Digest, octets: &[u8]) -> Outcome {
        if self.known.contains(&name.octets) {
            return Outcome::Known;
        }
        let Some(path) = layout::body(&self.directory, name) else {
            return Outcome::Lost(io::ErrorKind::InvalidInput.into());
        };
        // The length tells a file that a power cut left empty under its final name.
        let there = std::fs::metadata(&path).is_ok_and(|file| file.len() == octets.len() as u64);
        if !there && let Err(error) = self.write(&path, octets) {
            return Outcome::Lost(error);
        }
        self.known.insert(name.octets);
        if there { Outcome::Known } else { Outcome::New }
    }

    fn write(&mut self, path: &Path, octets: &[u8]) -> io::Result<()> {
        if !self.has_space() {
            let what = "the disk is nearly full; bodies are no longer kept";
            return Err(io::Error::new(io::ErrorKind::StorageFull, what));
        }
        let temporary = path.with_extension("tmp");
        let written = self.write_and_rename(&temporary, path, octets);
        if written.is_err() {
            // The space is needed; that it may fail as well changes nothing.
            let _ = std::fs::remove_file(&temporary);
        }
        written
    }

    fn write_and_rename(&self, temporary: &Path, path: &Path, octets: &[u8]) -> io::Result<()> {
        let file = match self.disk.open(temporary, Opening::Replace) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.make_folder(path)?;
                self.disk.open(temporary, Opening::Replace)?
            }
            file => file?,
        };
        self.disk.write_all(&file, octets)?;
        drop(file);
        self.disk.rename(temporary, path)?;
        self.syncer.wrote_body(path.to_owned());
        Ok(())
    }

    /// Makes `bodies/ab`. It does not bring a removed session back.
    fn make_folder(&self, path: &Path) -> io::Result<()> {
        let folder = path.parent().unwrap_or(&self.directory);
        match std::fs::DirBuilder::new().mode(0o700).create(folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Ok(()),
        }
    }

    fn has_space(&mut self) -> bool {
        if let Some((asked, enough)) = self.enough_space
            && asked.elapsed() < FREE_SPACE_FOR
        {
            return enough;
        }
        // Where the question fails, the write will tell.
        let enough =
            self.disk.free_bytes(&self.directory).map_or(true, |free| free >= self.min_free);
        self.enough_space = Some((Instant::now(), enough));
        enough
    }
}

/// The SHA-256 of some octets.
pub(crate) fn sha256(octets: &[u8]) -> Digest {
    let mut hash = [0; 32];
    // SHA-256 has 32 octets; `zip` cannot panic on another length.
    hash.iter_mut().zip(digest(&SHA256, octets).as_ref()).for_each(|(to, from)| *to = *from);
    Digest::sha256(hash)
}
