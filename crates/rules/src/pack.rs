//! The ready packs: rule files that are built in, and off until they are named.

use crate::settings;

/// A rule file that is built in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pack {
    /// Its name, for `--rules`.
    pub name: &'static str,
    /// What it does, in one sentence.
    pub description: String,
    /// What must be said behind its name, with what it is for.
    pub settings: Vec<(String, String)>,
    /// The file, to copy and change.
    pub source: &'static str,
}

/// Names and files of the packs.
pub(crate) const PACKS: [(&str, &str); 6] = [
    ("firmware-guard", include_str!("../../../config/rules/firmware-guard.toml")),
    ("local-packages", include_str!("../../../config/rules/local-packages.toml")),
    ("network-test", include_str!("../../../config/rules/network-test.toml")),
    ("pin-game-version", include_str!("../../../config/rules/pin-game-version.toml")),
    ("quiet", include_str!("../../../config/rules/quiet.toml")),
    ("title-metadata", include_str!("../../../config/rules/title-metadata.toml")),
];

/// All packs, as they are listed. A test reads every one, so that nothing is left out here.
pub(crate) fn all() -> Vec<Pack> {
    let read = |&(name, source): &(&'static str, &'static str)| {
        #[derive(serde::Deserialize)]
        struct Described {
            description: String,
        }
        let described: Option<Described> = toml::from_str(source).ok();
        let settings = settings::declared(name, source).unwrap_or_default();
        let about = |(name, setting): (String, toml::Spanned<settings::Setting>)| {
            (name, setting.into_inner().about)
        };
        Pack {
            name,
            description: described.map(|file| file.description).unwrap_or_default(),
            settings: settings.into_iter().map(about).collect(),
            source,
        }
    };
    PACKS.iter().map(read).collect()
}

/// The names, for messages.
pub(crate) fn names() -> String {
    PACKS.map(|(name, _)| name).join(", ")
}
