//! The tables that the binary carries. A test holds the list against the folder.

/// Name and text of every file of `config/catalog`.
pub(crate) const TABLES: &[(&str, &str)] = &[
    ("agents.toml", include_str!("../../../config/catalog/agents.toml")),
    ("ds-3ds.toml", include_str!("../../../config/catalog/ds-3ds.toml")),
    ("fingerprints.toml", include_str!("../../../config/catalog/fingerprints.toml")),
    ("headers.toml", include_str!("../../../config/catalog/headers.toml")),
    ("keys.toml", include_str!("../../../config/catalog/keys.toml")),
    ("page.toml", include_str!("../../../config/catalog/page.toml")),
    ("playstation.toml", include_str!("../../../config/catalog/playstation.toml")),
    ("ports.toml", include_str!("../../../config/catalog/ports.toml")),
    ("ps3.toml", include_str!("../../../config/catalog/ps3.toml")),
    ("ps4.toml", include_str!("../../../config/catalog/ps4.toml")),
    ("ps5.toml", include_str!("../../../config/catalog/ps5.toml")),
    ("psp.toml", include_str!("../../../config/catalog/psp.toml")),
    ("psvita.toml", include_str!("../../../config/catalog/psvita.toml")),
    ("switch-api.toml", include_str!("../../../config/catalog/switch-api.toml")),
    ("switch.toml", include_str!("../../../config/catalog/switch.toml")),
    ("switch2.toml", include_str!("../../../config/catalog/switch2.toml")),
    ("wii.toml", include_str!("../../../config/catalog/wii.toml")),
    ("wiiu.toml", include_str!("../../../config/catalog/wiiu.toml")),
    ("xbox360.toml", include_str!("../../../config/catalog/xbox360.toml")),
    ("xboxone.toml", include_str!("../../../config/catalog/xboxone.toml")),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_file_of_the_folder_is_in_the_list() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../config/catalog");
        let files: BTreeSet<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        let listed: BTreeSet<String> = TABLES.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(files, listed, "config/catalog and crates/catalog/src/builtin.rs differ");
    }
}
