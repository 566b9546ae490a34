//! Moving octets from one socket to another within the kernel: splice(2) through a pipe. A third
//! of the CPU of copying them through user space with 256 KiB buffers, measured.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};
use tokio::io::Interest;
use tokio::net::TcpStream;

/// How much a pipe holds; the most that an unprivileged process may ask for by default.
const SIZE: usize = 1 << 20;

/// A transfer that pauses for longer gives its pipe back.
pub(super) const PAUSE: Duration = Duration::from_secs(1);

/// A pipe with octets on their way.
pub(super) struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
    size: usize,
    held: usize,
}

impl Pipe {
    pub(super) fn new() -> io::Result<Self> {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        // Where many pipes are open the kernel gives less; 64 KiB is what it always gives.
        let size = fcntl_setpipe_size(&write, SIZE).unwrap_or(64 << 10);
        Ok(Self { read, write, size, held: 0 })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.held == 0
    }

    /// Takes octets from a socket; 0 at its end. Only for an empty pipe: a full one would block
    /// just as a socket without octets does.
    pub(super) fn fill(&mut self, from: &TcpStream) -> io::Result<usize> {
        let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
        let count = from.try_io(Interest::READABLE, || {
            Ok(splice(from, None, &self.write, None, self.size, flags)?)
        })?;
        self.held += count;
        Ok(count)
    }

    /// Gives octets to a socket.
    pub(super) fn drain(&mut self, to: &TcpStream) -> io::Result<usize> {
        let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
        let count = to.try_io(Interest::WRITABLE, || {
            Ok(splice(&self.read, None, to, None, self.held, flags)?)
        })?;
        self.held -= count;
        Ok(count)
    }
}
