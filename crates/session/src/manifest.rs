//! What the documents of a session say that files hash to.

use aws_lc_rs::digest::{Algorithm, SHA1_FOR_LEGACY_USE_ONLY, SHA256};
use consoletap_flow::{Flow, FlowId, Kept, Target};
use serde::Deserialize;

use crate::Session;

/// A larger document is none of those that name pieces.
const MOST: u64 = 4 << 20;

/// What a file is to hash to, and who says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// `SHA-1` or `SHA-256`.
    pub algorithm: &'static str,
    /// The hash, in lower-case hex.
    pub hex: String,
    /// Its size, where it is said.
    pub size: Option<u64>,
    /// The flow of the document.
    pub told_by: FlowId,
}

impl Expected {
    /// A hash by its length; `None` where it is none that is known.
    fn of(hex: &str, size: Option<u64>, told_by: FlowId) -> Option<Self> {
        let hex = hex.trim().to_ascii_lowercase();
        let algorithm = match hex.len() {
            40 => "SHA-1",
            64 => "SHA-256",
            _ => return None,
        };
        let is_hex = hex.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_hex.then_some(Self { algorithm, hex, size, told_by })
    }

    pub(crate) fn hash(&self) -> &'static Algorithm {
        if self.algorithm == "SHA-1" { &SHA1_FOR_LEGACY_USE_ONLY } else { &SHA256 }
    }
}

/// An address as manifests and consoles write it, whatever is asked behind it.
pub(crate) fn without_query(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or(url)
}

/// What a flow's answer says of files, by their address.
pub(crate) fn read(session: &Session, flow: &Flow) -> Vec<(String, Expected)> {
    let Some(Target::Url(url)) = &flow.target else { return Vec::new() };
    let url = url.to_string();
    let url = without_query(&url);
    let reader = match url.rsplit_once('.') {
        Some((_, "json")) => pieces,
        Some((_, "xml")) => packages,
        Some((_, "sha")) => digest,
        _ => return Vec::new(),
    };
    let Some(end) = &flow.finished else { return Vec::new() };
    let body = end.response_body;
    let Some(name) = body.digest.filter(|_| body.kept == Kept::Whole && body.bytes <= MOST) else {
        return Vec::new();
    };
    // A document that cannot be read says nothing of files.
    session.body(&name).map(|octets| reader(&octets, url, flow.id)).unwrap_or_default()
}

/// The update manifest of a title: `"pieces": [{"url", "fileSize", "hashValue"}]`; the values are
/// SHA-1.
fn pieces(octets: &[u8], _: &str, told_by: FlowId) -> Vec<(String, Expected)> {
    #[derive(Deserialize)]
    struct Manifest {
        pieces: Vec<Piece>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Piece {
        url: String,
        hash_value: String,
        #[serde(default)]
        file_size: Option<u64>,
    }
    let Ok(Manifest { pieces }) = serde_json::from_slice(octets) else { return Vec::new() };
    let pieces = pieces.into_iter().filter_map(|piece| {
        let expected = Expected::of(&piece.hash_value, piece.file_size, told_by)?;
        Some((without_query(&piece.url).to_owned(), expected))
    });
    pieces.collect()
}

/// A `-ver.xml` of PS3 and Vita: `<package size="…" sha1sum="…" url="…">`.
fn packages(octets: &[u8], _: &str, told_by: FlowId) -> Vec<(String, Expected)> {
    let Ok(text) = std::str::from_utf8(octets) else { return Vec::new() };
    let mut reader = quick_xml::Reader::from_str(text);
    let mut found = Vec::new();
    loop {
        use quick_xml::events::Event;
        let element = match reader.read_event() {
            Ok(Event::Start(element) | Event::Empty(element)) => element,
            Ok(Event::Eof) | Err(_) => return found,
            Ok(_) => continue,
        };
        let (mut url, mut hash, mut size) = (None, None, None);
        for attribute in element.attributes().flatten() {
            let value = attribute.value.replace("&amp;", "&");
            match attribute.key.as_ref() {
                "url" => url = Some(value),
                "sha1sum" => hash = Some(value),
                "size" => size = value.parse().ok(),
                _ => {}
            }
        }
        let expected = hash.and_then(|hash| Expected::of(&hash, size, told_by));
        if let (Some(url), Some(expected)) = (url, expected) {
            found.push((without_query(&url).to_owned(), expected));
        }
    }
}

/// The digest of additional content, beside its package: `CONTENT_ID.sha` for `CONTENT_ID.pkg`.
fn digest(octets: &[u8], url: &str, told_by: FlowId) -> Vec<(String, Expected)> {
    let text = std::str::from_utf8(octets).unwrap_or_default();
    let hash = text.split_whitespace().next().unwrap_or_default();
    let expected = Expected::of(hash, None, told_by);
    let package = url.strip_suffix(".sha").map(|stem| format!("{stem}.pkg"));
    package.zip(expected).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "da39a3ee5e6b4b0d3255bfef95601890afd80709";

    #[test]
    fn each_kind_of_document_tells_of_its_files() {
        let by = FlowId(3);
        let json = format!(
            r#"{{"pieces":[{{"url":"http://a/x.pkg?t=1","fileOffset":0,"fileSize":7,"hashValue":"{HASH}"}}]}}"#
        );
        let expected = |size| Expected { algorithm: "SHA-1", hex: HASH.into(), size, told_by: by };
        let file = "http://a/x.pkg".to_owned();
        assert_eq!(pieces(json.as_bytes(), "", by), [(file.clone(), expected(Some(7)))]);
        let xml = format!(
            r#"<titlepatch><tag><package version="01.01" size="7" sha1sum="{}" url="http://a/x.pkg"/></tag></titlepatch>"#,
            HASH.to_uppercase()
        );
        assert_eq!(packages(xml.as_bytes(), "", by), [(file.clone(), expected(Some(7)))]);
        let sha = digest(format!("{HASH}\n").as_bytes(), "http://a/x.sha", by);
        assert_eq!(sha, [(file, expected(None))]);
    }

    proptest::proptest! {
        #[test]
        fn nothing_makes_them_panic(octets: Vec<u8>, text in "[<>\"=a-z/& {}:\\[\\],]{0,80}") {
            for octets in [&octets[..], text.as_bytes()] {
                for reader in [pieces, packages, digest] {
                    let _ = reader(octets, "http://a/x.sha", FlowId(1));
                }
            }
        }
    }
}
