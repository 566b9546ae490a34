//! `playgo-manifest.xml`: how a title is downloaded and installed piece by piece.
//!
//! No whole sample of it is public. What is known is that there is a `chunks` element with a
//! `count`; nothing else is read, and nothing is invented (unconfirmed).

use crate::document::Content;
use crate::edit::Slot;
use crate::error::DocumentError;
use crate::xml::Xml;

/// A PlayGo manifest.
#[derive(Debug, Clone)]
pub struct PlayGoManifest<'a> {
    xml: Xml<'a>,
    chunks: u64,
}

impl<'a> PlayGoManifest<'a> {
    /// Reads it: XML with a `<chunks count="…">` at any depth.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, DocumentError> {
        let xml = Xml::parse("a PlayGo manifest", bytes)?;
        let Some(count) = xml.named("chunks").find_map(|chunks| chunks.attribute("count")) else {
            return Err(xml.error(xml.source.len(), "there is no <chunks count=\"…\">"));
        };
        let at = count.span.start;
        let chunks = count.value.parse();
        let chunks = chunks.map_err(|_| xml.error(at, "the count of the chunks is no number"))?;
        Ok(Self { xml, chunks })
    }

    /// How many chunks it says there are.
    #[must_use]
    pub fn chunks(&self) -> u64 {
        self.chunks
    }
}

impl Content for PlayGoManifest<'_> {
    fn source(&self) -> &[u8] {
        self.xml.source.as_bytes()
    }

    fn summary(&self) -> String {
        match self.chunks {
            1 => "1 chunk".to_owned(),
            chunks => format!("{chunks} chunks"),
        }
    }

    fn slots(&self, key: &str) -> Vec<Slot> {
        match key {
            "chunks" => self.xml.slots("chunks", "count"),
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_counted_and_nothing_else_is_claimed() {
        let sample = include_bytes!("../samples/playgo-manifest.xml");
        assert_eq!(PlayGoManifest::parse(sample).unwrap().summary(), "2 chunks");
        let error = PlayGoManifest::parse(b"<a><chunks/></a>").unwrap_err();
        assert!(error.problem.contains("<chunks count"), "{error}");
        let error = PlayGoManifest::parse(b"<a><chunks count='x'/></a>").unwrap_err();
        assert_eq!((error.offset, error.problem.contains("no number")), (18, true));
    }
}
