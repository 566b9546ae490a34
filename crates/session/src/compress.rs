//! Compresses segments of the log that are full, in a thread of its own. At every moment there is
//! one good copy: the plain one is removed last, after the other was read back and is on the
//! platter.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use zstd::bulk::Compressor;

use crate::disk::{Disk, Opening};
use crate::layout;
use crate::space::Space;
use crate::sync::Syncer;

/// Octets of the log in a frame of their own, so that one line can be read without all before it.
const FRAME: usize = 1 << 20;

/// zstd's own default: a third of a second for a segment of 64 MiB.
const LEVEL: i32 = 3;

/// While segments fill faster than this, the processor has better to do …
pub(crate) const CALM: Duration = Duration::from_secs(5);
/// … unless so many wait: 1 GiB, as segments are by default.
const MOST_WAITING: usize = 16;

/// What compresses.
pub(crate) struct Compression {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) syncer: Arc<Syncer>,
    pub(crate) space: Arc<Space>,
    /// Smaller segments stay as they are, for `less` and `jq`.
    pub(crate) from_bytes: u64,
    /// How long no segment may have filled before the others are compressed: [`CALM`].
    pub(crate) calm: Duration,
}

/// The thread takes what the transfers leave of the processor: nobody waits for it. Where the
/// system refuses, it is an ordinary thread.
fn yield_to_everybody() {
    // On Linux the priority is one of the calling thread (sched(7)); elsewhere of all of them.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::nice(19);
}

impl Compression {
    /// Compresses what comes until nobody sends any more, and then what is left.
    pub(crate) fn run(&self, segments: &Receiver<PathBuf>) {
        yield_to_everybody();
        let mut waiting = VecDeque::new();
        while let Ok(segment) = segments.recv() {
            waiting.push_back(segment);
            while let Ok(segment) = segments.recv_timeout(self.calm) {
                waiting.push_back(segment);
                if waiting.len() > MOST_WAITING {
                    self.compress_next(&mut waiting);
                }
            }
            while !waiting.is_empty() {
                self.compress_next(&mut waiting);
                waiting.extend(segments.try_iter());
            }
        }
    }

    fn compress_next(&self, waiting: &mut VecDeque<PathBuf>) {
        let Some(segment) = waiting.pop_front() else { return };
        if let Err(error) = self.compress(&segment) {
            tracing::debug!(%error, "{} stays uncompressed", segment.display());
        }
    }

    fn compress(&self, segment: &Path) -> io::Result<()> {
        let plain = segment.metadata()?.len();
        if plain < self.from_bytes {
            return Ok(());
        }
        // Whoever syncs must be done with the file before it goes away.
        self.syncer.sync();
        let packed = layout::packed(segment);
        let temporary = packed.with_extension("zst.tmp");
        let written = self.write(segment, &temporary);
        let result = written.and_then(|()| {
            self.disk.rename(&temporary, &packed)?;
            if let Some(folder) = segment.parent() {
                self.disk.sync(&File::open(folder)?)?;
            }
            self.disk.remove(segment)?;
            self.space.give_back(plain.saturating_sub(packed.metadata()?.len()));
            Ok(())
        });
        if result.is_err() {
            // It may not be there; nothing depends on it.
            let _ = std::fs::remove_file(&temporary);
        }
        result
    }

    fn write(&self, segment: &Path, temporary: &Path) -> io::Result<()> {
        let mut from = BufReader::with_capacity(1 << 16, File::open(segment)?);
        let to = self.disk.open(temporary, Opening::Replace)?;
        let mut compressor = Compressor::new(LEVEL)?;
        compressor.include_checksum(true)?;
        let mut lines = Vec::with_capacity(FRAME);
        loop {
            lines.clear();
            (&mut from).take(FRAME as u64).read_to_end(&mut lines)?;
            if lines.is_empty() {
                break;
            }
            from.read_until(b'\n', &mut lines)?;
            self.disk.write_all(&to, &compressor.compress(&lines)?)?;
        }
        self.disk.sync(&to)?;
        // What cannot be read back is worth nothing.
        let mut compare = Compare(BufReader::new(File::open(segment)?));
        let mut packed = zstd::Decoder::new(File::open(temporary)?)?;
        io::copy(&mut packed, &mut compare)?;
        compare.ends()
    }
}

/// A writer that wants the same octets as a file has.
struct Compare(BufReader<File>);

impl Compare {
    fn ends(mut self) -> io::Result<()> {
        if self.0.fill_buf()?.is_empty() { Ok(()) } else { Err(differs()) }
    }
}

impl io::Write for Compare {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let own = self.0.fill_buf()?;
        let length = own.len().min(octets.len());
        if length == 0 || own[..length] != octets[..length] {
            return Err(differs());
        }
        self.0.consume(length);
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn differs() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "what was compressed reads back differently")
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::time::Instant;

    use super::*;
    use crate::Sync;
    use crate::disk::System;

    #[test]
    fn segments_that_fill_fast_wait_until_too_many_do() {
        let folder = tempfile::tempdir().unwrap();
        let disk: Arc<dyn Disk> = Arc::new(System);
        let syncer = Arc::new(Syncer::new(Arc::clone(&disk), Sync::Never));
        let space = Arc::new(Space::new(Arc::clone(&disk), folder.path().to_owned(), 0, None, 0));
        let calm = Duration::from_secs(3600);
        let compression = Compression { disk, syncer, space, from_bytes: 1, calm };
        let (sender, segments) = channel();
        let thread = std::thread::spawn(move || compression.run(&segments));
        let paths: Vec<_> = (0..MOST_WAITING as u64 + 2)
            .map(|number| layout::segment(folder.path(), number))
            .collect();
        for path in &paths {
            std::fs::write(path, "{}\n").unwrap();
            sender.send(path.clone()).unwrap();
        }
        let begun = Instant::now();
        let is_packed = |path: &PathBuf| layout::packed(path).exists() && !path.exists();
        while !is_packed(&paths[0]) {
            assert!(begun.elapsed() < Duration::from_secs(60), "the first one waits for ever");
            std::thread::yield_now();
        }
        assert!(!is_packed(&paths[MOST_WAITING]));
        drop(sender);
        thread.join().unwrap();
        assert!(paths.iter().all(is_packed), "at the end all of them are");
    }
}
