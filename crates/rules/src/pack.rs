//! The ready packs: rule files that are built in, and off until they are named.

/// A rule file that is built in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pack {
    /// Its name, for `--rules`.
    pub name: &'static str,
    /// What it does, in one sentence.
    pub description: String,
    /// The file, to copy and change.
    pub source: &'static str,
}

/// Names and files of the packs.
pub(crate) const PACKS: [(&str, &str); 2] = [
    ("firmware-guard", include_str!("../../../config/rules/firmware-guard.toml")),
    ("title-metadata", include_str!("../../../config/rules/title-metadata.toml")),
];

/// The names, for messages.
pub(crate) fn names() -> String {
    PACKS.map(|(name, _)| name).join(", ")
}
