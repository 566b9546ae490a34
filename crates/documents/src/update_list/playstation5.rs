//! `updatelist.xml` of the PS5.
//!
//! Versions here count builds, which the console's user agent does not tell, so they become zero
//! in their own format (same digits and separators). That a PS5 takes such a list is not proven
//! in public; blockers in use answer with an empty body.

use super::{offer, parse_xml, zero};
use crate::error::DocumentError;
use crate::patch::Patch;
use crate::xml::Xml;

/// The update list of a PS5.
#[derive(Debug, Clone)]
pub struct Ps5UpdateList<'a>(pub(super) Xml<'a>);

impl<'a> Ps5UpdateList<'a> {
    /// Reads the list.
    ///
    /// # Errors
    /// When it is none, or has no `system_pup` with an `upd_version`.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, DocumentError> {
        Self::read(parse_xml(bytes)?)
    }

    pub(super) fn read(xml: Xml<'a>) -> Result<Self, DocumentError> {
        if xml.named("system_pup").all(|pup| pup.value("upd_version").is_none()) {
            return Err(xml.error(xml.source.len(), "there is no <system_pup upd_version=\"…\">"));
        }
        Ok(Self(xml))
    }

    /// What it offers, in one line.
    #[must_use]
    pub fn summary(&self) -> String {
        let xml = &self.0;
        let version = |name| xml.named(name).find_map(|element| element.value("upd_version"));
        offer(version("system_pup"), version("system"), xml)
    }

    /// The same list with zero for every version; `None` where that is so already.
    #[must_use]
    pub fn hide(&self) -> Option<Vec<u8>> {
        let xml = &self.0;
        let mut patch = Patch::default();
        for element in xml.elements() {
            // The images name files and the test list names tests, not versions on offer.
            let offers = element.name == "system" || element.name.ends_with("_pup");
            for attribute in element.attributes().iter().filter(|_| offers) {
                if attribute.name == "label" || attribute.name.ends_with("version") {
                    zero(&mut patch, attribute);
                }
            }
        }
        patch.apply(xml.source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = include_str!("../../samples/ps5-updatelist.xml");

    #[test]
    fn a_line_says_what_is_on_offer() {
        let list = Ps5UpdateList::parse(SAMPLE.as_bytes()).unwrap();
        assert_eq!(list.summary(), "offers 02.20.00.00 (forced 01.00.00.00), region us");
    }

    #[test]
    fn versions_become_zero_in_their_own_format_and_nothing_else_changes() {
        let hidden = Ps5UpdateList::parse(SAMPLE.as_bytes()).unwrap().hide().unwrap();
        let expected = SAMPLE
            .replace("20.02.02.20.00.07-", "00.00.00.00.00.00-")
            .replace("01.00.00.09-", "00.00.00.00-")
            .replace("02.20.00.07-", "00.00.00.00-")
            .replace("\"01.00.00.00\"", "\"00.00.00.00\"")
            .replace("\"02.20.00.00\"", "\"00.00.00.00\"");
        assert_eq!(String::from_utf8(hidden.clone()).unwrap(), expected);
        assert_eq!(Ps5UpdateList::parse(&hidden).unwrap().hide(), None);
    }
}
