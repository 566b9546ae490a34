//! Keeps bodies by their SHA-256: small ones as lines of the log, others as files. Equal bodies are
//! kept once.

use std::collections::HashSet;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::digest::{Digest as Hash, SHA256, digest};
use consoletap_flow::{BodyCopy, BodySummary, Digest, Kept};

use crate::disk::{Disk, Opening};
use crate::layout;
use crate::small_bodies::{self, SMALL};
use crate::space::Space;
use crate::sync::Syncer;

/// Hashes that are remembered, 32 octets each.
const MOST_KNOWN: usize = 1 << 17;

pub(crate) struct Bodies {
    disk: Arc<dyn Disk>,
    directory: PathBuf,
    syncer: Arc<Syncer>,
    space: Arc<Space>,
    known: HashSet<[u8; 32]>,
}

/// What became of a copy.
pub(crate) enum Outcome {
    /// It is on disk now.
    New,
    /// It will be once its line is.
    Line([u8; 32]),
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
        space: Arc<Space>,
    ) -> Self {
        Self { disk, directory, syncer, space, known: HashSet::new() }
    }

    /// Keeps a copy of this name and says so in the summary. A small one becomes a line behind
    /// `lines`, to be written before the line of its flow; where that fails it is to be forgotten
    /// again.
    pub(crate) fn keep(
        &mut self,
        copy: &BodyCopy,
        name: &Digest,
        summary: &mut BodySummary,
        lines: &mut Vec<u8>,
    ) -> Outcome {
        if copy.octets.is_empty() {
            return Outcome::Known;
        }
        tell_kept(copy, name, summary);
        let outcome = if copy.octets.len() <= SMALL {
            self.store_small(name, &copy.octets, lines)
        } else {
            self.store(name, &copy.octets)
        };
        if let Outcome::Lost(_) = &outcome {
            summary.kept = Kept::Lost;
        }
        outcome
    }

    /// What was taken for kept, and is not on disk.
    pub(crate) fn forget(&mut self, name: &[u8; 32]) {
        self.known.remove(name);
    }

    fn store_small(&mut self, name: &Digest, octets: &[u8], lines: &mut Vec<u8>) -> Outcome {
        if self.known.contains(&name.octets) {
            return Outcome::Known;
        }
        // The line is counted when it is written.
        if let Err(error) = self.space.take(0) {
            return Outcome::Lost(error);
        }
        small_bodies::write(lines, name, octets);
        self.remember(name);
        Outcome::Line(name.octets)
    }

    fn remember(&mut self, name: &Digest) {
        // Forgetting them costs some bodies a second copy, and no memory for ever.
        if self.known.len() >= MOST_KNOWN {
            self.known.clear();
        }
        self.known.insert(name.octets);
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
        self.remember(name);
        if there { Outcome::Known } else { Outcome::New }
    }

    fn write(&self, path: &Path, octets: &[u8]) -> io::Result<()> {
        self.space.take(octets.len() as u64)?;
        let temporary = path.with_extension("tmp");
        let written = self.write_and_rename(&temporary, path, octets);
        if written.is_err() {
            self.space.give_back(octets.len() as u64);
            // The space is needed; that it may fail as well changes nothing.
            let _ = std::fs::remove_file(&temporary);
        }
        written
    }

    fn write_and_rename(&self, temporary: &Path, path: &Path, octets: &[u8]) -> io::Result<()> {
        let file = match self.disk.open(temporary, Opening::Replace) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                make_folder(path)?;
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
}

/// Says in the summary that this copy of it is kept.
pub(crate) fn tell_kept(copy: &BodyCopy, name: &Digest, summary: &mut BodySummary) {
    if copy.octets.is_empty() {
        return;
    }
    summary.kept = if copy.whole {
        summary.digest = Some(*name);
        Kept::Whole
    } else {
        Kept::Prefix { bytes: copy.octets.len() as u64, digest: *name }
    };
}

/// Makes `bodies/ab`. It does not bring a removed session back.
pub(crate) fn make_folder(path: &Path) -> io::Result<()> {
    let Some(folder) = path.parent() else { return Ok(()) };
    match std::fs::DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// The SHA-256 of some octets.
pub(crate) fn sha256(octets: &[u8]) -> Digest {
    digest_of(digest(&SHA256, octets))
}

/// What a SHA-256 came to.
pub(crate) fn digest_of(hash: Hash) -> Digest {
    let mut octets = [0; 32];
    // SHA-256 has 32 octets; `zip` cannot panic on another length.
    octets.iter_mut().zip(hash.as_ref()).for_each(|(to, from)| *to = *from);
    Digest::sha256(octets)
}
