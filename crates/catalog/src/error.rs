//! What can be wrong with a table.

use std::path::PathBuf;

/// Why the tables cannot be used; always with the place and with what was expected.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CatalogError {
    /// A file or folder cannot be read.
    #[error("{}: the catalog table cannot be read: {source}; expected a folder of .toml files", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A row does not say what a row must say.
    #[error("{file}:{line}: {message}")]
    Row {
        /// The table's file.
        file: String,
        /// The line, counted from 1.
        line: usize,
        /// What was expected.
        message: String,
    },
}
