//! Reads ahead: what undoes a compression works in a thread of its own, while its reader works on
//! what came before.

use std::io::{self, BufRead, Read};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;

/// What is handed over at a time …
const BLOCK: usize = 256 << 10;
/// … and how much of that waits.
const AHEAD: usize = 2;

/// An empty one is the end: a thread that is gone without it did not read all.
type Block = io::Result<Vec<u8>>;

/// A reader over what another thread reads. After an error it is at its end.
pub(crate) struct ReadAhead {
    blocks: Receiver<Block>,
    /// Blocks go back, to be filled again.
    used_up: Sender<Vec<u8>>,
    block: Vec<u8>,
    used: usize,
    is_over: bool,
}

impl ReadAhead {
    /// Begins to read.
    ///
    /// # Errors
    /// When this machine starts no more threads.
    pub(crate) fn of(from: impl Read + Send + 'static) -> io::Result<Self> {
        let (sender, blocks) = sync_channel(AHEAD);
        let (used_up, again) = channel();
        let thread = thread::Builder::new().name("read-ahead".to_owned());
        thread.spawn(move || read(from, &sender, &again))?;
        Ok(Self { blocks, used_up, block: Vec::new(), used: 0, is_over: false })
    }
}

/// Reads until the end, an error, or nobody wants more.
fn read(mut from: impl Read, to: &SyncSender<Block>, again: &Receiver<Vec<u8>>) {
    loop {
        let mut block = again.try_recv().unwrap_or_default();
        block.clear();
        block.reserve_exact(BLOCK);
        let read = (&mut from).take(BLOCK as u64).read_to_end(&mut block);
        let failed = read.err();
        let is_last = failed.is_some() || block.is_empty();
        // What came before an error is still good.
        let is_good = failed.is_none() || !block.is_empty();
        if is_good && to.send(Ok(block)).is_err() {
            return;
        }
        if let Some(error) = failed {
            // Nobody may be there to be told.
            let _ = to.send(Err(error));
        }
        if is_last {
            return;
        }
    }
}

impl BufRead for ReadAhead {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.used == self.block.len() && !self.is_over {
            // Nobody takes it behind the last one.
            let _ = self.used_up.send(std::mem::take(&mut self.block));
            (self.used, self.is_over) = (0, true);
            let gone = |_| Err(io::Error::other("what reads ahead stopped before the end"));
            self.block = self.blocks.recv().unwrap_or_else(gone)?;
            self.is_over = self.block.is_empty();
        }
        Ok(&self.block[self.used..])
    }

    fn consume(&mut self, count: usize) {
        self.used = (self.used + count).min(self.block.len());
    }
}

impl Read for ReadAhead {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(into)?;
        self.consume(count);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives these octets, then fails where it is to.
    struct Source(Vec<u8>, bool);

    impl Read for Source {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            if self.0.is_empty() && self.1 {
                return Err(io::Error::other("broken"));
            }
            let count = self.0.as_slice().read(into)?;
            self.0.drain(..count);
            Ok(count)
        }
    }

    fn octets(count: usize) -> Vec<u8> {
        (0..count).map(|place| (place / 7) as u8).collect()
    }

    #[test]
    fn all_octets_come_in_their_order() {
        for count in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 5 * BLOCK / 2] {
            let mut read = Vec::new();
            let mut ahead = ReadAhead::of(Source(octets(count), false)).unwrap();
            ahead.read_to_end(&mut read).unwrap();
            assert!(read == octets(count), "{count}");
            assert_eq!(ahead.fill_buf().unwrap(), b"");
        }
    }

    #[test]
    fn what_came_before_an_error_is_read_and_then_the_error() {
        let mut read = Vec::new();
        let mut ahead = ReadAhead::of(Source(octets(BLOCK + 3), true)).unwrap();
        let error = ahead.read_to_end(&mut read).unwrap_err();
        assert_eq!(error.to_string(), "broken");
        assert!(read == octets(BLOCK + 3));
        assert_eq!(ahead.fill_buf().unwrap(), b"", "it is over");
    }

    #[test]
    fn a_thread_that_is_gone_too_early_is_no_end() {
        let (sender, blocks) = sync_channel(AHEAD);
        sender.send(Ok(vec![7])).unwrap();
        drop(sender);
        let used_up = channel().0;
        let mut ahead = ReadAhead { blocks, used_up, block: Vec::new(), used: 0, is_over: false };
        let mut read = Vec::new();
        let error = ahead.read_to_end(&mut read).unwrap_err();
        assert!(error.to_string().contains("before the end"), "{error}");
        assert_eq!(read, [7]);
    }

    #[test]
    fn a_reader_that_has_enough_ends_the_thread() {
        struct Ends(Sender<()>);
        impl Read for Ends {
            fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
                into.fill(1);
                Ok(into.len())
            }
        }
        impl Drop for Ends {
            fn drop(&mut self) {
                let _ = self.0.send(());
            }
        }
        let (ended, end) = channel();
        let mut ahead = ReadAhead::of(Ends(ended)).unwrap();
        ahead.fill_buf().unwrap();
        drop(ahead);
        end.recv().unwrap();
    }
}
