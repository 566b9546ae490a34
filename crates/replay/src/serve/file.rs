//! Files that were fetched in slices: which recorded answers are parts of the same version of the
//! same file.

use std::sync::Arc;

use consoletap_flow::Headers;
use consoletap_proxy::Coverage;

use crate::serve::recorded::Recorded;

/// The versions of one file, in the order in which they were first seen.
#[derive(Debug, Default)]
pub(crate) struct Files {
    versions: Vec<Version>,
}

/// One version of a file.
#[derive(Debug)]
pub(crate) struct Version {
    validator: Option<String>,
    /// What is kept of it.
    pub(crate) coverage: Arc<Coverage>,
    /// The exchange whose head speaks for it.
    pub(crate) first: usize,
    /// All exchanges that fetched a part of it.
    pub(crate) members: Vec<usize>,
}

impl Files {
    /// Takes in an answer, where it is a file or a slice of one. `index` is its place among the
    /// recorded ones.
    pub(crate) fn add(&mut self, index: usize, recorded: &Recorded) {
        let Some(slice) = recorded.slice() else { return };
        let validator = recorded.validator();
        let known = self.versions.iter().position(|known| {
            known.validator == validator && known.coverage.total() == slice.total
        });
        let known = known.unwrap_or_else(|| {
            self.versions.push(Version {
                validator,
                coverage: Arc::new(Coverage::new(slice.total)),
                first: index,
                members: Vec::new(),
            });
            self.versions.len() - 1
        });
        let version = &mut self.versions[known];
        version.members.push(index);
        if let Some(kept) = recorded.kept() {
            let length = kept.length.min(slice.range.end - slice.range.start);
            Arc::make_mut(&mut version.coverage).add(slice.range.start, length, kept.body);
        }
    }

    /// The version to answer from: the one that the request names, else the newest.
    pub(crate) fn best(&self, asked: &Headers) -> Option<&Version> {
        let named = ["if-range", "if-match"].iter().find_map(|name| asked.text(name));
        let named = named.and_then(|named| {
            self.versions.iter().find(|version| version.validator.as_deref() == Some(named.trim()))
        });
        named.or_else(|| self.versions.last())
    }
}
