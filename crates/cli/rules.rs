//! `consoletap rules list`: the packs that are ready to be named.

use consoletap_rules::Rules;

/// A line for each pack.
pub(crate) fn list() -> String {
    let packs = Rules::packs();
    let width = packs.iter().map(|pack| pack.name.len()).max().unwrap_or_default();
    packs.iter().map(|pack| format!("{:width$}  {}\n", pack.name, pack.description)).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_pack_has_its_line() {
        let list = super::list();
        assert!(list.contains("firmware-guard  ") && list.contains("title-metadata  "), "{list}");
    }
}
