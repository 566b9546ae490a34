//! The CA of one proxy, in a folder that goes away with it.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use consoletap_tls::{Authority, Interceptor};
use tempfile::TempDir;

use crate::test_proxy::{TestProxy, TestProxyBuilder};

/// A CA, and where its certificate is.
pub(in crate::test_proxy) struct TestAuthority {
    pem: String,
    file: PathBuf,
    /// Holds the folder as long as it is needed.
    _folder: Option<TempDir>,
}

impl TestAuthority {
    /// A new one, or the one of this folder.
    pub(in crate::test_proxy) fn new(
        certs: Option<&Path>,
    ) -> Result<(Self, Option<Arc<Interceptor>>), String> {
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
        let interceptor = Interceptor::new(authority).map_err(|error| error.to_string())?;
        Ok((Self { pem, file, _folder: folder }, Some(Arc::new(interceptor))))
    }
}

impl TestProxyBuilder {
    /// With the CA of this folder, or a new one that stays there: for clients into which it is built.
    /// As it comes, each has a CA of its own.
    pub fn certs(mut self, folder: impl Into<PathBuf>) -> Self {
        self.certs = Some(folder.into());
        self
    }
}

impl TestProxy {
    /// The certificate that a client has to trust for HTTPS, in PEM form.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.authority.pem
    }

    /// The file it stands in, for `curl --cacert` and its like. It goes away with this.
    #[must_use]
    pub fn ca_file(&self) -> &Path {
        &self.authority.file
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
