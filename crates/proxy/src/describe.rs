//! What the body of an answer is, said in one line where its format is known. Looked at once it
//! is through, in the copy that is kept of it anyway: a flow whose body is of no known format
//! costs a look at its first bytes.

use consoletap_content::End;
use consoletap_documents::{Document, Format};
use consoletap_flow::{Classification, DocumentSummary, Happening, Headers, State};

/// A larger body is not read: no document that a console asks for comes near it. Also the bound
/// on what gzip may unpack to.
const MAX_DOCUMENT: usize = 256 << 10;

/// What is read of a format that has its head at the beginning.
const HEAD: usize = 4 << 10;

/// What the answer's head lets expect of its body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Expected {
    /// What the row of the catalog says.
    hint: Option<Format>,
    packed: bool,
    /// Only a beginning came: it was asked for by `Range`.
    part: bool,
}

impl Expected {
    /// `None` where no document can come. `fields` are those that the client gets.
    pub(crate) fn of(class: &Classification, status: u16, fields: &Headers) -> Option<Self> {
        let hint = Format::of_category(class.category.as_str());
        let part = match status {
            200 => false,
            206 => {
                let range = fields.text("content-range")?;
                if !range.trim_start().starts_with("bytes 0-") {
                    return None;
                }
                true
            }
            // How the server says that a title has no updates.
            403 | 404 if hint == Some(Format::TitleUpdate) => false,
            _ => return None,
        };
        let coding = fields.text("content-encoding").unwrap_or("identity").trim();
        let packed = match coding {
            _ if coding.eq_ignore_ascii_case("identity") => false,
            _ if ["gzip", "x-gzip"].iter().any(|gzip| coding.eq_ignore_ascii_case(gzip)) => true,
            _ => return None,
        };
        Some(Self { hint, packed, part })
    }

    /// What to tell of a body of which these octets are kept; `whole` where that is all of it.
    pub(crate) fn describe(self, octets: &[u8], whole: bool, state: State) -> Option<Happening> {
        let all = whole && !self.part && state == State::Complete && octets.len() <= MAX_DOCUMENT;
        if !all {
            // The head of a download is there from the first slice on, whatever became of the rest.
            let head = &octets[..octets.len().min(HEAD)];
            let format = Format::sniff(head).filter(|format| format.is_head() && !self.packed)?;
            return summary(&Document::recognise(Some(format), head).ok()?);
        }
        let unpacked;
        let octets = if self.packed {
            let decoded = consoletap_content::decode(octets, "gzip", MAX_DOCUMENT).ok()?;
            unpacked = (decoded.end == End::Whole).then_some(decoded.octets)?;
            &*unpacked
        } else {
            octets
        };
        let shown = Format::sniff(octets);
        if let Some(document) =
            shown.and_then(|format| Document::recognise(Some(format), octets).ok())
        {
            return summary(&document);
        }
        let hint = self.hint?;
        match Document::recognise(Some(hint), octets) {
            Ok(document) => summary(&document),
            // A broken list is worth a word; an icon beside title metadata is not.
            Err(error) if shown == Some(hint) => {
                Some(Happening::Note(format!("the body is {error}")))
            }
            Err(_) => None,
        }
    }
}

fn summary(document: &Document<'_>) -> Option<Happening> {
    let format = document.format().name().to_owned();
    Some(Happening::Document(DocumentSummary { format, summary: document.summary() }))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use consoletap_flow::Header;

    use super::*;

    const LIST: &[u8] = include_bytes!("../../documents/samples/ps4-updatelist.xml");
    const PKG: &[u8] = include_bytes!("../../documents/samples/ps4.pkg");

    fn expected(
        category: &str,
        status: u16,
        fields: &[(&'static str, &'static str)],
    ) -> Option<Expected> {
        let class = Classification { category: category.into(), ..Classification::default() };
        let fields = fields.iter().map(|(name, value)| Header::new(*name, *value).unwrap());
        Expected::of(&class, status, &fields.collect())
    }

    fn told(expected: Expected, octets: &[u8], whole: bool) -> Option<String> {
        match expected.describe(octets, whole, State::Complete)? {
            Happening::Document(document) => {
                Some(format!("{}: {}", document.format, document.summary))
            }
            Happening::Note(note) => Some(note),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_whole_small_body_is_read_by_the_row_or_by_its_first_bytes() {
        let list = "update-list: offers 5.05 (forced 4.55), region us";
        let plain = expected("unknown", 200, &[]).unwrap();
        assert_eq!(told(plain, LIST, true).as_deref(), Some(list));
        assert_eq!(told(plain, LIST, false), None);
        assert_eq!(told(plain, b"<html><body/></html>", true), None);
        assert_eq!(told(plain, b"Success", true), None);
        let test = expected("network-test", 200, &[]).unwrap();
        assert_eq!(
            told(test, b"Success", true).unwrap(),
            "connection-test: connected: Success (PlayStation)"
        );
        let update = expected("title-update-xml", 200, &[]).unwrap();
        assert_eq!(told(update, b"", true).unwrap(), "title-update: no update: an empty answer");
        assert!(plain.describe(LIST, true, State::Truncated).is_none());
    }

    #[test]
    fn gzip_is_unpacked_within_bounds() {
        let gzip = |octets: &[u8]| {
            let mut encoder =
                flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
            encoder.write_all(octets).unwrap();
            encoder.finish().unwrap()
        };
        let packed = expected("fw-updatelist", 200, &[("Content-Encoding", "GZIP")]).unwrap();
        assert!(told(packed, &gzip(LIST), true).unwrap().contains("offers 5.05"));
        let bomb = [LIST, &vec![b' '; MAX_DOCUMENT]].concat();
        assert_eq!(told(packed, &gzip(&bomb), true), None);
        assert_eq!(told(packed, LIST, true), None);
        assert!(expected("fw-updatelist", 200, &[("Content-Encoding", "br")]).is_none());
    }

    #[test]
    fn the_first_slice_of_a_package_is_enough_and_others_are_none() {
        let first = [("Content-Range", "bytes 0-16777215/107374182400")];
        let slice = expected("base-game-pkg", 206, &first).unwrap();
        assert!(told(slice, PKG, false).unwrap().starts_with("pkg: PS4 or PS5 package EP1018-"));
        assert!(slice.describe(PKG, false, State::AbortedByClient).is_some());
        assert!(told(slice, LIST, true).is_none(), "a part of a text is no document");
        let later = [("Content-Range", "bytes 16777216-33554431/107374182400")];
        assert!(expected("base-game-pkg", 206, &later).is_none());
        assert!(expected("base-game-pkg", 416, &[]).is_none());
    }

    #[test]
    fn a_broken_document_is_told_with_its_place() {
        let list = expected("fw-updatelist", 200, &[]).unwrap();
        let note = told(list, &LIST[..200], true).unwrap();
        assert!(
            note.starts_with("the body is not an update list: ") && note.contains("line"),
            "{note}"
        );
        // An icon has the category of its title's metadata.
        let icon = expected("title-metadata", 200, &[]).unwrap();
        assert_eq!(told(icon, b"\x89PNG\r\n\x1a\n", true), None);
        let error = include_bytes!("../../documents/samples/no-such-key.xml");
        let missing = expected("title-update-xml", 404, &[]).unwrap();
        assert!(told(missing, error, true).unwrap().contains("NoSuchKey"));
    }
}
