//! What can be wrong with an authority, in words that say what to do.

use std::io;
use std::path::PathBuf;

/// What is wrong with the authority's files.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CaError {
    /// The folder cannot be made or locked.
    #[error("cannot use the folder {} for the CA: {source}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others can read the key.
    #[error(
        "the CA key {} can be read by others (mode {mode:04o}); they could read what your \
         consoles send. If you trust everybody who had access: chmod 600 {}. {otherwise}",
        path.display(), path.display()
    )]
    LaxKey {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
        /// What to do where somebody else may have it.
        otherwise: &'static str,
    },
    /// The certificate is there, the key is not.
    #[error(
        "{} is there, but its key {} is missing: put the key back, or remove the certificate to \
         have a new CA made",
        certificate.display(), key.display()
    )]
    MissingKey {
        /// The file that is there.
        certificate: PathBuf,
        /// The file that is not.
        key: PathBuf,
    },
    /// A file is not what it should be.
    #[error("{}: {expected} is expected here ({found}). {repair}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What should be there.
        expected: &'static str,
        /// What is there.
        found: String,
        /// What to do.
        repair: &'static str,
    },
    /// The certificate belongs to another key.
    #[error("{} and {} do not belong together. {repair}", certificate.display(), key.display())]
    Mismatch {
        /// The certificate.
        certificate: PathBuf,
        /// The key.
        key: PathBuf,
        /// What to do.
        repair: &'static str,
    },
    /// The key of another program, which anybody can download.
    #[error(
        "{} holds the key of {program}, which everybody can download: whoever has it could read \
         what your consoles send. Make a CA of your own, or let consoletap make one",
        path.display()
    )]
    PublicKey {
        /// The file.
        path: PathBuf,
        /// Who publishes it.
        program: &'static str,
    },
    /// No new authority could be made.
    #[error("no new CA can be made: {0}")]
    Generate(#[from] rcgen::Error),
}
