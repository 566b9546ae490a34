//! A session in one file: a tar archive of its files, compressed with Zstandard. `tar --zstd`
//! reads it, too.

use std::fs::{self, DirBuilder, File};
use std::io::{self, BufReader, BufWriter, Read, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Component, Path, PathBuf};

use consoletap_session::Session;
use tar::{Archive, Builder, EntryType, Header};

use crate::PackError;
use crate::key;

/// What a packed session may hold at the most; a file that grows beyond it is an attack.
const MOST_BYTES: u64 = 64 << 30;
const MOST_FILES: u64 = 4 << 20;

/// Writes a session to a new file; gives its length. The key of pseudonyms and the lock stay.
///
/// # Errors
/// When the file is there already, or the disk refuses.
pub fn pack(session: &Session, file: &Path) -> Result<u64, PackError> {
    let io = |source| PackError::Io { path: file.to_owned(), source };
    let out = match File::options().write(true).create_new(true).mode(0o600).open(file) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(PackError::Exists { place: file.to_owned() });
        }
        out => out.map_err(io)?,
    };
    let packed = write(session.directory(), out);
    if packed.is_err() {
        // Half a pack is of no use; that it stays changes nothing.
        let _ = fs::remove_file(file);
    }
    packed.map_err(io)
}

fn write(directory: &Path, out: File) -> io::Result<u64> {
    let encoder = zstd::Encoder::new(BufWriter::new(out), zstd::DEFAULT_COMPRESSION_LEVEL)?;
    let mut archive = Builder::new(encoder);
    for path in files_below(directory)? {
        let name = path.strip_prefix(directory).map_err(io::Error::other)?;
        let file = File::open(&path)?;
        // A session that is being written grows: what is there now is what is packed.
        let bytes = file.metadata()?.len();
        let mut header = Header::new_gnu();
        header.set_size(bytes);
        header.set_mode(0o600);
        header.set_entry_type(EntryType::Regular);
        archive.append_data(&mut header, name, file.take(bytes))?;
    }
    let mut out = archive.into_inner()?.finish()?;
    out.flush()?;
    let out = out.into_inner().map_err(|error| error.into_error())?;
    out.sync_all()?;
    Ok(out.metadata()?.len())
}

/// The files of a session, in a stable order, `session.json` first.
fn files_below(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![directory.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() && is_part(&entry.file_name().to_string_lossy()) {
                found.push(entry.path());
            }
        }
    }
    found.sort_by_key(|path| (path.file_name() != Some("session.json".as_ref()), path.clone()));
    Ok(found)
}

/// Whether a file of this name is a part of what is handed on.
fn is_part(name: &str) -> bool {
    name != "lock" && name != key::FILE && !name.ends_with(".tmp")
}

/// Makes a session of a packed one in a new directory; gives how many octets it has.
///
/// # Errors
/// When the directory is there already, or the file is no packed session. Nothing is ever written
/// outside of the directory.
pub fn unpack(file: &Path, directory: &Path) -> Result<u64, PackError> {
    let io = |source| PackError::Io { path: file.to_owned(), source };
    let input = File::open(file).map_err(io)?;
    match DirBuilder::new().mode(0o700).create(directory) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(PackError::Exists { place: directory.to_owned() });
        }
        made => made.map_err(|source| PackError::Io { path: directory.to_owned(), source })?,
    }
    let unpacked = read(input, directory, MOST_BYTES);
    let unpacked = unpacked.and_then(|bytes| match Session::open(directory) {
        Ok(_) => Ok(bytes),
        Err(error) => Err(io::Error::new(io::ErrorKind::InvalidData, error.to_string())),
    });
    unpacked.map_err(|error| {
        // Made here a moment ago, and of no use.
        let _ = fs::remove_dir_all(directory);
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::PermissionDenied => io(error),
            _ => PackError::NotAPack { file: file.to_owned(), what: error.to_string() },
        }
    })
}

fn read(input: File, directory: &Path, most: u64) -> io::Result<u64> {
    let decoder = zstd::Decoder::new(BufReader::new(input))?;
    // One octet more than may be: tar itself reads names and lengths through this, too.
    let mut archive = Archive::new(decoder.take(most + 1));
    let (mut bytes, mut files) = (0_u64, 0_u64);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let name = entry.path()?.into_owned();
        if entry.header().entry_type() == EntryType::Directory {
            continue;
        }
        let refuse = |what: &str| {
            Err(io::Error::new(io::ErrorKind::InvalidData, format!("{}: {what}", name.display())))
        };
        if entry.header().entry_type() != EntryType::Regular {
            return refuse("a session holds files and no links");
        }
        let Some(path) = place(directory, &name) else {
            return refuse("a session holds no file of this name");
        };
        files += 1;
        bytes = bytes.saturating_add(entry.size());
        if bytes > most || files > MOST_FILES {
            return refuse("it grows beyond all bounds");
        }
        if let Some(folder) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        let mut out = File::options().write(true).create_new(true).mode(0o600).open(&path)?;
        let size = entry.size();
        if io::copy(&mut entry, &mut out)? != size {
            return refuse("it ends too early");
        }
    }
    Ok(bytes)
}

/// Where a file of the archive goes: right below the directory, or as `bodies/ab/name`. A session
/// has no other, so nothing else is written.
fn place(directory: &Path, name: &Path) -> Option<PathBuf> {
    let mut parts = Vec::new();
    for component in name.components() {
        match component {
            Component::Normal(part) => parts.push(part.to_str()?),
            Component::CurDir => {}
            _ => return None,
        }
    }
    let plain = |part: &str| {
        !part.is_empty()
            && part.len() <= 100
            && !part.starts_with('.')
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    let is_ours = match parts.as_slice() {
        [name] => plain(name) && is_part(name),
        ["bodies", folder, name] => folder.len() == 2 && plain(folder) && plain(name),
        _ => false,
    };
    is_ours.then(|| parts.iter().fold(directory.to_owned(), |path, part| path.join(part)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pack of these files.
    fn packed(files: &[(&str, &[u8])], file: &Path) {
        let mut archive = Builder::new(zstd::Encoder::new(File::create(file).unwrap(), 0).unwrap());
        for (name, octets) in files {
            let mut header = Header::new_gnu();
            // `append_data` would refuse `..`; whoever attacks does not use it.
            header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_size(octets.len() as u64);
            header.set_entry_type(EntryType::Regular);
            header.set_cksum();
            archive.append(&header, *octets).unwrap();
        }
        archive.into_inner().unwrap().finish().unwrap();
    }

    const ABOUT: &[u8] =
        br#"{"format":1,"tool":"t","version":"0","started":"2026-11-23T20:43:00Z"}"#;

    #[test]
    fn only_files_of_a_session_are_unpacked_and_nothing_goes_outside() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.pack");
        for name in [
            "../evil",
            "/etc/evil",
            "bodies/../../evil",
            "bodies/ab/../evil",
            ".hidden",
            "a/b",
            "bodies/abc/x",
            "lock",
            "pseudonyms.key",
        ] {
            packed(&[("session.json", ABOUT), (name, b"x")], &file);
            let error = unpack(&file, &folder.path().join("out")).unwrap_err();
            assert!(matches!(error, PackError::NotAPack { .. }), "{name}: {error}");
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "{name}");
        }
        packed(&[("session.json", ABOUT), ("./bodies/ab/abcd.bin", b"x")], &file);
        assert_eq!(unpack(&file, &folder.path().join("out")).unwrap(), ABOUT.len() as u64 + 1);
        let again = unpack(&file, &folder.path().join("out")).unwrap_err();
        assert!(matches!(again, PackError::Exists { .. }), "{again}");
    }

    #[test]
    fn a_bomb_and_what_is_no_session_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.pack");
        packed(&[("session.json", ABOUT), ("log-000001.jsonl", &[b' '; 100_000])], &file);
        fs::create_dir(folder.path().join("out")).unwrap();
        let error = read(File::open(&file).unwrap(), &folder.path().join("out"), 50_000);
        assert!(error.unwrap_err().to_string().contains("beyond all bounds"));
        packed(&[("log-000001.jsonl", b"{}")], &file);
        let error = unpack(&file, &folder.path().join("other")).unwrap_err();
        assert!(error.to_string().contains("session.json"), "{error}");
        fs::write(&file, b"no pack").unwrap();
        assert!(unpack(&file, &folder.path().join("other")).is_err());
        assert!(!folder.path().join("other").exists());
    }
}
