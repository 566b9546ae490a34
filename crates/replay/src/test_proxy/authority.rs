//! The CA of one proxy, in a folder that goes away with it.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use consoletap_tls::Authority;
use tempfile::TempDir;

/// A CA, and where its certificate is.
pub(super) struct TestAuthority {
    pem: String,
    file: PathBuf,
    /// Holds the folder as long as it is needed.
    _folder: Option<TempDir>,
}

impl TestAuthority {
    /// A new one, or the one of this folder.
    pub(super) fn new(certs: Option<&Path>) -> Result<(Self, Authority), String> {
        let (folder, place) = match certs {
            Some(place) => (None, place.to_owned()),
            None => {
                let folder = new_folder()?;
                let place = folder.path().to_owned();
                (Some(folder), place)
            }
        };
        let authority = Authority::load_or_create(&place).map_err(|error| error.to_string())?;
        let (pem, file) = (authority.certificate_pem().to_owned(), place.join("ca.pem"));
        Ok((Self { pem, file, _folder: folder }, authority))
    }

    pub(super) fn pem(&self) -> &str {
        &self.pem
    }

    pub(super) fn file(&self) -> &Path {
        &self.file
    }
}

/// A folder with a key that the CA is made for: a P-256 one takes 0.1 ms, the RSA key that a CA for
/// consoles has a thousand times as long, in each test.
fn new_folder() -> Result<TempDir, String> {
    let told = |error: std::io::Error| format!("there is no place for a certificate: {error}");
    let folder = tempfile::tempdir().map_err(told)?;
    let key = rcgen::KeyPair::generate().map_err(|error| error.to_string())?;
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(folder.path().join("ca-key.pem")).map_err(told)?;
    file.write_all(key.serialize_pem().as_bytes()).map_err(told)?;
    Ok(folder)
}
