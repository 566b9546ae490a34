//! `ps4-updatelist.xml`.
//!
//! The recipe is the one that update blockers have used for years on unmodified consoles: the
//! versions that force an update become 00.000.000, those on offer the console's own, the region
//! stays.

use super::{lower, offer, parse_xml, zero};
use crate::error::DocumentError;
use crate::firmware::Firmware;
use crate::patch::Patch;
use crate::xml::Xml;

/// The update list of a PS4.
#[derive(Debug, Clone)]
pub struct Ps4UpdateList<'a>(pub(super) Xml<'a>);

impl<'a> Ps4UpdateList<'a> {
    /// Reads the list.
    ///
    /// # Errors
    /// When it is none, or has no `system_pup`.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, DocumentError> {
        Self::read(parse_xml(bytes)?)
    }

    pub(super) fn read(xml: Xml<'a>) -> Result<Self, DocumentError> {
        if xml.named("system_pup").all(|pup| pup.value("version").is_none()) {
            return Err(xml.error(xml.source.len(), "there is no <system_pup version=\"…\">"));
        }
        Ok(Self(xml))
    }

    /// What it offers, in one line.
    #[must_use]
    pub fn summary(&self) -> String {
        let xml = &self.0;
        let pup = xml.named("system_pup").next();
        let label = pup.and_then(|pup| pup.value("label").or_else(|| pup.value("version")));
        let system = xml.named("system").find(|system| xml.around(system) == "force_update");
        let forced = system.and_then(|system| system.value("level1_system_version"));
        offer(label, forced, xml)
    }

    /// The same list with nothing newer than `own`; see [`UpdateList::hide`](crate::UpdateList::hide).
    #[must_use]
    pub fn hide(&self, own: Option<Firmware>) -> Option<Vec<u8>> {
        let xml = &self.0;
        let mut patch = Patch::default();
        for element in xml.elements() {
            let forces = xml.is_within(element, "force_update");
            for attribute in element.attributes() {
                match (element.name, attribute.name) {
                    ("system", name) if forces && name.ends_with("version") => {
                        zero(&mut patch, attribute);
                    }
                    ("system_pup" | "preinst_pup", "version" | "sdk_version" | "label") => {
                        lower(&mut patch, attribute, own);
                    }
                    // An extension to the system has a number of its own, which nothing in the
                    // request tells.
                    ("system_pup", "ex_version") | ("system_ex_pup", "version" | "label") => {
                        zero(&mut patch, attribute);
                    }
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

    const SAMPLE: &str = include_str!("../../samples/ps4-updatelist.xml");

    fn hidden(own: Option<&str>) -> String {
        let list = Ps4UpdateList::parse(SAMPLE.as_bytes()).unwrap();
        String::from_utf8(list.hide(own.map(|own| own.parse().unwrap())).unwrap()).unwrap()
    }

    #[test]
    fn a_line_says_what_is_on_offer() {
        let list = Ps4UpdateList::parse(SAMPLE.as_bytes()).unwrap();
        assert_eq!(list.summary(), "offers 5.05 (forced 4.55), region us");
    }

    #[test]
    fn the_console_sees_its_own_version_and_nothing_else_changes() {
        let expected = SAMPLE
            .replace("04.550.000", "00.000.000")
            .replace("05.050.001", "01.501.000")
            .replace("05.050.000", "01.501.000")
            .replace("02.500.000", "01.501.000")
            .replace("5.05\"", "1.50\"");
        assert_eq!(hidden(Some("1.501")), expected);
    }

    #[test]
    fn a_console_that_does_not_say_its_version_sees_zero() {
        let hidden = hidden(None);
        let list = Ps4UpdateList::parse(hidden.as_bytes()).unwrap();
        assert_eq!(list.summary(), "offers 0.00, region us");
        assert_eq!(hidden.len(), SAMPLE.len());
    }

    #[test]
    fn a_list_without_anything_newer_stays_as_it_is() {
        let hidden = hidden(Some("9.00"));
        // Only what forces an update goes.
        assert_eq!(hidden, SAMPLE.replace("04.550.000", "00.000.000"));
        let list = Ps4UpdateList::parse(hidden.as_bytes()).unwrap();
        assert_eq!(list.hide(Some("9.00".parse().unwrap())), None);
    }
}
