//! `psp2-updatelist.xml`.
//!
//! The console tells its version in the query (`ver=03730000`). The `np` levels are the versions
//! that it must have to sign in: lowered to its own, the online check passes.

use super::{lower, offer, parse_xml};
use crate::error::DocumentError;
use crate::firmware::Firmware;
use crate::patch::Patch;
use crate::xml::Xml;

/// The update list of a PS Vita.
#[derive(Debug, Clone)]
pub struct VitaUpdateList<'a>(pub(super) Xml<'a>);

impl<'a> VitaUpdateList<'a> {
    /// Reads the list.
    ///
    /// # Errors
    /// When it is none, or has no `version`.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, DocumentError> {
        Self::read(parse_xml(bytes)?)
    }

    pub(super) fn read(xml: Xml<'a>) -> Result<Self, DocumentError> {
        if xml.named("version").all(|version| version.value("system_version").is_none()) {
            return Err(xml.error(xml.source.len(), "there is no <version system_version=\"…\">"));
        }
        Ok(Self(xml))
    }

    /// What it offers, in one line.
    #[must_use]
    pub fn summary(&self) -> String {
        let xml = &self.0;
        let version = xml.named("version").next();
        let label = version.and_then(|v| v.value("label").or_else(|| v.value("system_version")));
        let forced = xml.named("np").find_map(|np| np.value("level1_system_version"));
        offer(label, forced, xml)
    }

    /// The same list with nothing newer than `own`; see [`UpdateList::hide`](crate::UpdateList::hide).
    /// The package versions of `recovery` are no firmware (fonts, preinstalled data) and stay.
    #[must_use]
    pub fn hide(&self, own: Option<Firmware>) -> Option<Vec<u8>> {
        let xml = &self.0;
        let mut patch = Patch::default();
        for element in xml.elements() {
            for attribute in element.attributes() {
                match (element.name, attribute.name) {
                    ("np" | "np_d", name) if name.ends_with("_system_version") => {
                        lower(&mut patch, attribute, own);
                    }
                    ("version", "system_version" | "label") => lower(&mut patch, attribute, own),
                    _ => {}
                }
            }
        }
        patch.apply(xml.source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = include_str!("../../samples/psp2-updatelist.xml");

    #[test]
    fn a_line_says_what_is_on_offer() {
        let list = VitaUpdateList::parse(SAMPLE.as_bytes()).unwrap();
        assert_eq!(list.summary(), "offers 3.74 (forced 3.65), region us");
    }

    #[test]
    fn the_console_sees_its_own_version_and_may_sign_in_with_it() {
        let list = VitaUpdateList::parse(SAMPLE.as_bytes()).unwrap();
        let hidden = list.hide(Some("03600000".parse().unwrap())).unwrap();
        let expected = SAMPLE
            .replace("03.650.000", "03.600.000")
            .replace("03.740.000", "03.600.000")
            .replace("\"3.74\"", "\"3.60\"");
        assert_eq!(String::from_utf8(hidden).unwrap(), expected);
        assert_eq!(list.hide(Some("3.74".parse().unwrap())), None);
    }
}
