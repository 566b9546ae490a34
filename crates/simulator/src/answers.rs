//! What the documented servers answer, by host and path.
//!
//! Shapes follow psdevwiki ("Online Connections", "PKG files", the update list pages) and the
//! NintendoClients wiki. A path that nobody has documented gets 404 and a sentence.

mod network_test;
mod service;
mod title;
mod update;

use crate::content::Content;
use crate::origin::{Answer, Question};

pub(crate) use title::{PATCH_CUSA00135, VERSION_CUSA00135};

/// Sizes of the files that are computed, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// One full piece of a package. An update manifest hashes its pieces, so that its answer
    /// takes time in proportion.
    pub package_piece: u64,
    /// A firmware image.
    pub firmware: u64,
}

impl Default for Sizes {
    /// Packages that pass in a moment; firmware of about the real size, which no script reads to
    /// the end.
    fn default() -> Self {
        Self { package_piece: 3 << 20, firmware: 300 << 20 }
    }
}

impl Sizes {
    /// The file that is served under this path, on whatever host, if it is one of those that are
    /// computed: packages and firmware images. A query may stand behind the path.
    #[must_use]
    pub fn file(&self, path: &str) -> Option<Content> {
        let path = path.split('?').next().unwrap_or_default();
        update::image(path, self).or_else(|| title::package(path, self))
    }
}

pub(crate) fn answer(question: &Question<'_>, sizes: &Sizes) -> Answer {
    if let Some(content) = sizes.file(question.path) {
        return Answer::file(question, "application/octet-stream", content);
    }
    network_test::answer(question)
        .or_else(|| update::answer(question, sizes))
        .or_else(|| title::answer(question, sizes))
        .or_else(|| service::answer(question))
        .unwrap_or_else(|| Answer::not_found("Nobody has documented what is here.\n"))
}
