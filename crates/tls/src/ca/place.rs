//! Files that are made once: a folder for them, a turn for each of several programs, and a name only
//! for what is whole.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

use super::CaError;

/// A folder that is there already keeps its mode: it may hold other things.
pub(super) fn create_folder(dir: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

/// Locks the folder itself, so that no lock file stays behind. Where the file system has no
/// locks, the second of two first starts is told that the file exists.
pub(super) fn lock(dir: &Path) -> io::Result<File> {
    let folder = File::open(dir)?;
    match folder.lock() {
        Err(error) if error.kind() != io::ErrorKind::Unsupported => Err(error),
        _ => Ok(folder),
    }
}

/// Writes a file that must not exist yet. It gets its name only when it is whole, so that a crash
/// leaves no half of one.
pub(super) fn write_new(path: &Path, text: &str, mode: u32) -> Result<(), CaError> {
    let write = |source| CaError::Write { path: path.to_owned(), source };
    let draft = path.with_extension(format!("{}.new", std::process::id()));
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    let mut file = options.open(&draft).map_err(write)?;
    let placed = file
        .write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .and_then(|()| give_name(&draft, path));
    // Gone already where it was renamed.
    let _ = fs::remove_file(&draft);
    placed.map_err(write)
}

fn give_name(draft: &Path, path: &Path) -> io::Result<()> {
    // Unlike a rename, a link replaces nothing.
    match fs::hard_link(draft, path) {
        // File systems without links (FAT, some shares): the lock and the look before must do.
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists && !path.try_exists()? => {
            fs::rename(draft, path)
        }
        linked => linked,
    }
}
