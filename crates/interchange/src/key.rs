//! The key of a session's pseudonyms. It lies in the session, for its owner alone, so that a
//! secret has the same pseudonym in everything that is made of the session; and it never goes
//! with what is made.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use consoletap_redact::Key;

/// The name of the file. Readers of the format ignore names they do not know.
pub(crate) const FILE: &str = "pseudonyms.key";

/// The key of the session in this directory; it is made where there is none. Where it can be
/// neither read nor written (a session on a disk of others), it is a new one each time.
///
/// # Errors
/// When this machine gives no random octets.
pub fn key(directory: &Path) -> io::Result<Key> {
    let path = directory.join(FILE);
    if let Some(key) = read(&path) {
        return Ok(key);
    }
    let key = random()?;
    let file = File::options().write(true).create_new(true).mode(0o600).open(&path);
    let written = file.and_then(|mut file| file.write_all(&key.0));
    // Somebody else may have made it in between.
    Ok(if written.is_err() { read(&path).unwrap_or(key) } else { key })
}

/// A key that is kept nowhere.
pub(crate) fn random() -> io::Result<Key> {
    let mut octets = [0; 32];
    File::open("/dev/urandom")?.read_exact(&mut octets)?;
    Ok(Key(octets))
}

fn read(path: &Path) -> Option<Key> {
    let mut octets = [0; 32];
    File::open(path).and_then(|mut file| file.read_exact(&mut octets)).ok()?;
    Some(Key(octets))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_keeps_its_key_for_its_owner() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let first = key(folder.path()).unwrap();
        assert_eq!(key(folder.path()).unwrap().0, first.0);
        assert_ne!(random().unwrap().0, first.0);
        let mode = folder.path().join(FILE).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(key(&folder.path().join("none")).is_ok());
    }
}
