//! Title metadata in XML, as a PS3 and a PS Vita get it: `<title-info rev="1">` with the id, the
//! name and the icon of a title. The element names are those of public readers (RPCS3's `PsnClient`).
//! Unconfirmed: that the name in other languages stands in `name_01` and so on, as in `paramsfo`.

use crate::document::Content;
use crate::edit::Slot;
use crate::error::{DocumentError, shown};
use crate::xml::{Element, Xml};

/// The metadata of a PS3 or PS Vita title.
#[derive(Debug, Clone)]
pub struct TitleInfo<'a>(Xml<'a>);

impl<'a> TitleInfo<'a> {
    /// Reads it: a `<title-info>` with an `<id>`.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, DocumentError> {
        let xml = Xml::parse("title metadata", bytes)?;
        xml.expect_root("title-info")?;
        if xml.named("id").all(|id| id.text().is_none()) {
            return Err(xml.error(xml.source.len(), "there is no <id> with a title"));
        }
        Ok(Self(xml))
    }

    fn text<'s>(&'s self, name: &'s str) -> Option<&'s str> {
        self.0.named(name).find_map(|element| element.text())
    }

    /// The title, as `BLUS30001_00`.
    #[must_use]
    pub fn np_title_id(&self) -> &str {
        self.text("id").unwrap_or_default()
    }

    /// The name in the first language.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.text("name")
    }
}

impl Content for TitleInfo<'_> {
    fn source(&self) -> &[u8] {
        self.0.source.as_bytes()
    }

    fn summary(&self) -> String {
        let mut line = self.np_title_id().to_owned();
        if let Some(name) = self.name() {
            line.push_str(&format!(" {name:?}"));
        }
        if let Some(revision) = self.0.root().value("rev") {
            line.push_str(&format!(", revision {revision}"));
        }
        if let Some(console) = self.text("console") {
            line.push_str(&format!(", for {console}"));
        }
        shown(&line)
    }

    fn slots(&self, key: &str) -> Vec<Slot> {
        let xml = &self.0;
        match key {
            "name" => {
                let is_name = |name: &str| name == "name" || name.starts_with("name_");
                xml.elements()
                    .iter()
                    .filter(|e| is_name(e.name))
                    .filter_map(Element::text_slot)
                    .collect()
            }
            "revision" => xml.root().slot("rev").into_iter().collect(),
            "parental_level" => xml.text_slots("parental-level"),
            "icon" => xml.text_slots("icon"),
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = include_str!("../samples/title-info.xml");

    #[test]
    fn a_line_says_which_title_it_is() {
        let info = TitleInfo::parse(SAMPLE.as_bytes()).unwrap();
        assert_eq!(info.summary(), "BLUS30001_00 \"Example & Title\", revision 3, for PS3");
    }

    #[test]
    fn other_documents_are_not_title_metadata() {
        for bad in ["<title-info/>", "<title-info><id/></title-info>", "<titlepatch/>", "{}"] {
            let error = TitleInfo::parse(bad.as_bytes()).unwrap_err();
            assert_eq!(error.format, "title metadata", "{bad}");
        }
    }
}
