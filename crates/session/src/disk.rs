//! The few operations that the writer asks of the disk, so that tests can make each of them fail.

use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// How a file is opened for writing. All are made with mode 0600.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Opening {
    /// It must not be there yet; writes go to its end.
    Append,
    /// What was there is gone.
    Replace,
}

/// A disk.
pub(crate) trait Disk: Send + Sync {
    fn open(&self, path: &Path, opening: Opening) -> io::Result<File>;
    fn write(&self, file: &File, octets: &[u8]) -> io::Result<usize>;
    fn sync(&self, file: &File) -> io::Result<()>;
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    fn remove(&self, path: &Path) -> io::Result<()>;
    fn free_bytes(&self, path: &Path) -> io::Result<u64>;

    /// Writes everything; how much went through is lost with the error.
    fn write_all(&self, file: &File, octets: &[u8]) -> io::Result<()> {
        self.write_counted(file, octets).map_err(|(_, error)| error)
    }

    /// Writes everything, or says how much went through before the error.
    fn write_counted(&self, file: &File, octets: &[u8]) -> Result<(), (usize, io::Error)> {
        let mut done = 0;
        while done < octets.len() {
            match self.write(file, &octets[done..]) {
                Ok(0) => return Err((done, io::ErrorKind::WriteZero.into())),
                Ok(count) => done += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err((done, error)),
            }
        }
        Ok(())
    }
}

/// The disk of this machine.
pub(crate) struct System;

impl Disk for System {
    fn open(&self, path: &Path, opening: Opening) -> io::Result<File> {
        let mut options = File::options();
        match opening {
            Opening::Append => options.append(true).create_new(true),
            Opening::Replace => options.write(true).create(true).truncate(true),
        };
        options.mode(0o600).open(path)
    }

    fn write(&self, mut file: &File, octets: &[u8]) -> io::Result<usize> {
        io::Write::write(&mut file, octets)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_data()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn free_bytes(&self, path: &Path) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(path)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}
