//! Writes a trimmed session: one log, without checks, that reads well in a diff and can be edited.
//! It is for sessions that are made at once from what is there; what is being recorded goes
//! through [`Writer`](crate::Writer), which survives crashes and full disks.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use consoletap_flow::{Digest, Event};

use crate::bodies::sha256;
use crate::disk::System;
use crate::small_bodies::{self, SMALL};
use crate::{About, CreateError, json, layout};

/// Text up to this size is a line of the log.
const LONGEST_TEXT: usize = 256 << 10;

/// A trimmed session that is being written.
#[derive(Debug)]
pub struct PlainWriter {
    directory: PathBuf,
    log: BufWriter<File>,
    known: HashSet<[u8; 32]>,
}

impl PlainWriter {
    /// Begins a session in a new directory. It is marked as trimmed. Its files are as open to
    /// others as any file: nothing secret may go in.
    ///
    /// # Errors
    /// When the directory is there already, or the disk refuses.
    pub fn create(directory: &Path, about: About) -> Result<Self, CreateError> {
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| CreateError::Io { path, source }
        };
        fs::create_dir(directory).map_err(io(directory))?;
        About { trimmed: true, ..about }.write(directory, &System)?;
        let path = layout::segment(directory, 1);
        let log = BufWriter::new(File::create_new(&path).map_err(io(&path))?);
        Ok(Self { directory: directory.to_owned(), log, known: HashSet::new() })
    }

    /// Keeps a body, before the last event of its flow; gives its name.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn body(&mut self, octets: &[u8]) -> io::Result<Digest> {
        let name = sha256(octets);
        if octets.is_empty() || !self.known.insert(name.octets) {
            return Ok(name);
        }
        let text = legible(octets).filter(|text| text.len() <= LONGEST_TEXT);
        if text.is_some() || octets.len() <= SMALL {
            let mut line = Vec::new();
            small_bodies::write_unchecked(&mut line, &name, octets, text);
            line.push(b'\n');
            self.log.write_all(&line)?;
        } else if let Some(path) = layout::body(&self.directory, &name) {
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            fs::write(path, octets)?;
        }
        Ok(name)
    }

    /// Writes an event.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn event(&mut self, event: &Event) -> io::Result<()> {
        let mut line = Vec::new();
        json::write(&mut line, event)?;
        line.push(b'\n');
        self.log.write_all(&line)
    }

    /// Ends the session.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn finish(mut self) -> io::Result<()> {
        self.log.flush()
    }
}

/// Text that a person can read: UTF-8 without controls but ends of lines and tabs.
fn legible(octets: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(octets).ok()?;
    let is_odd = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
    (!text.contains(is_odd)).then_some(text)
}
