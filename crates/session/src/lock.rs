//! One writer a session: an exclusive `flock` on the file `lock`, held for life. The kernel drops
//! it with the process, so that no crash leaves a stale one; the file itself stays.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::FlockOperation;
use rustix::io::Errno;

use crate::CreateError;
use crate::layout;

/// The right to write, until it is dropped.
pub(crate) struct Lock {
    file: File,
}

impl Drop for Lock {
    /// Closing alone would not do: a child that is being started has the file open, too, until it
    /// runs its own program.
    fn drop(&mut self) {
        // Where it fails, closing is all there is.
        let _ = rustix::fs::flock(&self.file, FlockOperation::Unlock);
    }
}

impl Lock {
    /// Takes the lock, or says who holds it.
    pub(crate) fn take(directory: &Path) -> Result<Self, CreateError> {
        let path = directory.join(layout::LOCK);
        let io = |source| CreateError::Io { path: path.clone(), source };
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(io)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                return Err(CreateError::InUse {
                    directory: directory.to_owned(),
                    pid: holder(&file),
                });
            }
            // A disk without locks (some network shares) is told, not trusted.
            Err(errno) => return Err(io(errno.into())),
        }
        name_holder(&mut file).map_err(io)?;
        Ok(Self { file })
    }
}

fn name_holder(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    writeln!(file, "{}", std::process::id())
}

fn holder(file: &File) -> Option<u32> {
    let mut text = String::new();
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
