//! `TITLE-ver.xml`: which updates of a title there are, for PS3, PS Vita and PS4.
//!
//! The PS4 and the PS Vita write the firmware that an update needs as a decimal number whose
//! hexadecimal digits are the version (84213760 is 0x05050000, 5.05); the PS3 writes a version.
//! A title without updates gets an empty answer, or an `<Error>` of the store behind the server.

use crate::document::Content;
use crate::edit::{Form, Slot};
use crate::error::{DocumentError, shown, text, without_mark};
use crate::firmware::Firmware;
use crate::xml::{Element, Xml};

const FORMAT: &str = "a list of title updates";

/// The attributes that name the firmware, one for each console.
const SYSTEM: [&str; 3] = ["system_ver", "psp2_system_ver", "ps3_system_ver"];

/// The updates of a title.
#[derive(Debug, Clone)]
pub struct TitleUpdate<'a> {
    source: &'a [u8],
    /// Absent where the answer is empty.
    xml: Option<Xml<'a>>,
}

impl<'a> TitleUpdate<'a> {
    /// Reads it: a `<titlepatch>`, an `<Error>` with a `<Code>`, or nothing at all.
    ///
    /// # Errors
    /// When it is none of them.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, DocumentError> {
        let source = text(FORMAT, bytes, crate::MAX_BYTES)?;
        if without_mark(source).0.trim().is_empty() {
            return Ok(Self { source: bytes, xml: None });
        }
        let xml = Xml::parse(FORMAT, bytes)?;
        let error = |problem: &str| xml.error(xml.root().offset, problem);
        match xml.root().name {
            "titlepatch" if xml.root().value("titleid").is_none() => {
                Err(error("there is no titleid=\"…\" in it"))
            }
            "Error" if xml.named("Code").all(|code| code.text().is_none()) => {
                Err(error("there is no <Code> in the <Error>"))
            }
            "titlepatch" | "Error" => Ok(Self { source: bytes, xml: Some(xml) }),
            name => Err(error(&format!("<titlepatch> was expected, not <{name}>"))),
        }
    }

    /// The title; `None` where there is no list.
    #[must_use]
    pub fn title_id(&self) -> Option<&str> {
        self.xml.as_ref()?.root().value("titleid")
    }

    /// The updates, in order: of a PS3 one after the other, of a PS4 the newest alone.
    pub fn packages(&self) -> impl Iterator<Item = UpdatePackageEntry<'_>> {
        self.named("package").map(UpdatePackageEntry)
    }

    fn named<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s Element<'a>> {
        self.xml.iter().flat_map(move |xml| xml.named(name))
    }

    /// The code of the store's error, as `NoSuchKey`.
    fn error_code(&self) -> Option<&str> {
        let xml = self.xml.as_ref().filter(|xml| xml.root().name == "Error")?;
        xml.named("Code").find_map(Element::text)
    }
}

/// One update of a title.
#[derive(Debug, Clone, Copy)]
pub struct UpdatePackageEntry<'x>(&'x Element<'x>);

impl<'x> UpdatePackageEntry<'x> {
    /// Its version, as `01.18`.
    #[must_use]
    pub fn version(&self) -> Option<&'x str> {
        self.0.value("version")
    }

    /// The bytes of its package.
    #[must_use]
    pub fn size(&self) -> Option<u64> {
        self.0.value("size")?.parse().ok()
    }

    /// The firmware that it needs.
    #[must_use]
    pub fn system(&self) -> Option<Firmware> {
        SYSTEM.iter().find_map(|name| self.0.value(name)).and_then(firmware)
    }
}

/// A version, or the decimal number that holds one.
fn firmware(text: &str) -> Option<Firmware> {
    if text.contains('.') { text.parse().ok() } else { Firmware::from_packed(text.parse().ok()?) }
}

impl Content for TitleUpdate<'_> {
    fn source(&self) -> &[u8] {
        self.source
    }

    fn summary(&self) -> String {
        if let Some(code) = self.error_code() {
            return shown(&format!("no update: the server has none ({code})"));
        }
        let Some(title) = self.title_id() else { return "no update: an empty answer".to_owned() };
        let packages: Vec<_> = self.packages().collect();
        let Some(newest) = packages.last() else { return shown(&format!("{title}: no update")) };
        let mut line = format!("{title}: update {}", newest.version().unwrap_or("?"));
        if let Some(size) = newest.size() {
            line.push_str(&format!(", {size} bytes"));
        }
        if let Some(system) = newest.system() {
            line.push_str(&format!(", needs {system}"));
        }
        if packages.len() > 1 {
            line.push_str(&format!(", {} updates in all", packages.len()));
        }
        if self.named("tag").any(|tag| tag.value("mandatory") == Some("true")) {
            line.push_str(", mandatory");
        }
        shown(&line)
    }

    fn slots(&self, key: &str) -> Vec<Slot> {
        let attributes = |element: &str, names: &[&str]| -> Vec<Slot> {
            let elements = self.xml.iter().flat_map(|xml| xml.elements());
            let elements = elements.filter(|found| found.name == element);
            elements.flat_map(|found| names.iter().filter_map(|name| found.slot(name))).collect()
        };
        match key {
            "version" => attributes("package", &["version"]),
            "system" => {
                let mut slots = attributes("package", &SYSTEM);
                for slot in &mut slots {
                    if let Some(version) = firmware(&slot.old).filter(|_| !slot.old.contains('.')) {
                        slot.form = Form::Packed;
                        slot.old = version.to_string();
                    }
                }
                slots
            }
            "size" => attributes("package", &["size"]),
            "digest" => attributes("package", &["digest", "sha1sum"]),
            "url" => attributes("package", &["url"]),
            "manifest" => attributes("package", &["manifest_url"]),
            "delta" => attributes("delta_info_set", &["url"]),
            "mandatory" => attributes("tag", &["mandatory"]),
            "name" => {
                let xml = self.xml.iter();
                xml.flat_map(|xml| xml.elements().iter().filter(|e| xml.around(e) == "paramsfo"))
                    .filter(|element| element.name.to_ascii_lowercase().starts_with("title"))
                    .filter_map(Element::text_slot)
                    .collect()
            }
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(source: &[u8]) -> String {
        TitleUpdate::parse(source).unwrap().summary()
    }

    #[test]
    fn a_line_says_what_there_is_for_each_console() {
        assert_eq!(
            summary(include_bytes!("../samples/ps4-ver.xml")),
            "CUSA00001: update 01.18, 1234567890 bytes, needs 5.05, mandatory"
        );
        assert_eq!(
            summary(include_bytes!("../samples/ps3-ver.xml")),
            "BLUS30001: update 01.02, 2345678 bytes, needs 4.21, 2 updates in all"
        );
        assert_eq!(
            summary(include_bytes!("../samples/psp2-ver.xml")),
            "PCSA00007: update 01.03, 3456789 bytes, needs 3.60"
        );
    }

    #[test]
    fn a_title_without_updates_is_told_whichever_way_the_server_says_it() {
        assert_eq!(summary(b""), "no update: an empty answer");
        assert_eq!(summary(b"\xef\xbb\xbf\r\n"), "no update: an empty answer");
        assert_eq!(summary(b"<titlepatch titleid='CUSA00001'/>"), "CUSA00001: no update");
        let error = include_bytes!("../samples/no-such-key.xml");
        assert_eq!(summary(error), "no update: the server has none (NoSuchKey)");
    }

    #[test]
    fn what_is_no_list_is_told() {
        for (bad, expected) in [
            (&b"<titlepatch/>"[..], "titleid"),
            (b"<Error/>", "<Code>"),
            (b"<html/>", "<titlepatch> was expected, not <html>"),
            (b"no XML", "text outside"),
        ] {
            let error = TitleUpdate::parse(bad).unwrap_err();
            assert!(error.problem.contains(expected), "{error}");
        }
    }
}
