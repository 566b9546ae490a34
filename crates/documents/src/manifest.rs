//! The JSON beside a package: the pieces in which it is downloaded. Updates, base games and
//! add-on contents have the same one; what is installed from another machine names its pieces so,
//! too. Sizes are 64 bits: a piece has up to 4 GB, a title 100 GB and more.

use serde::Deserialize;

use crate::document::Content;
use crate::edit::Slot;
use crate::error::{DocumentError, shown};
use crate::json::Json;

const FORMAT: &str = "a package manifest";

/// The pieces of a package.
#[derive(Debug, Clone)]
pub struct PackageManifest<'a> {
    json: Json<'a>,
    written: Written,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    original_file_size: Option<u64>,
    number_of_split_files: Option<u64>,
    pieces: Vec<Piece>,
}

/// A piece.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Piece {
    /// Where it is.
    pub url: String,
    /// Where it begins in the whole package, in bytes.
    #[serde(default)]
    pub file_offset: u64,
    /// Its bytes.
    pub file_size: u64,
    /// Its SHA-1, in hex.
    pub hash_value: Option<String>,
}

impl<'a> PackageManifest<'a> {
    /// Reads it: a JSON object with `pieces`, each with a `url` and a `fileSize`.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, DocumentError> {
        let json = Json::parse(FORMAT, bytes)?;
        let written = json.read()?;
        Ok(Self { json, written })
    }

    /// Its pieces, in order.
    #[must_use]
    pub fn pieces(&self) -> &[Piece] {
        &self.written.pieces
    }

    /// How many bytes it says that all of them have.
    #[must_use]
    pub fn size(&self) -> Option<u64> {
        self.written.original_file_size
    }

    /// What in it does not fit together, in plain words: the number of pieces, where they begin,
    /// the sum of their sizes, hashes that are no SHA-1.
    #[must_use]
    pub fn contradictions(&self) -> Vec<String> {
        let mut found = Vec::new();
        let pieces = self.pieces();
        if let Some(number) = self.written.number_of_split_files
            && number != pieces.len() as u64
        {
            found.push(format!("it says {number} pieces and lists {}", pieces.len()));
        }
        // Sums of hostile numbers need more than 64 bits.
        let mut end = 0_u128;
        for (number, piece) in pieces.iter().enumerate() {
            if u128::from(piece.file_offset) != end {
                let begins = piece.file_offset;
                found.push(format!("piece {number} begins at {begins}, not at {end}"));
                break;
            }
            end += u128::from(piece.file_size);
        }
        let sum: u128 = pieces.iter().map(|piece| u128::from(piece.file_size)).sum();
        if let Some(size) = self.size()
            && u128::from(size) != sum
        {
            found.push(format!("it says {size} bytes and its pieces have {sum}"));
        }
        let is_sha1 =
            |hash: &String| hash.len() == 40 && hash.bytes().all(|b| b.is_ascii_hexdigit());
        let hashes = pieces.iter().map(|piece| piece.hash_value.as_ref());
        if let Some(number) = hashes.map(|hash| hash.is_none_or(is_sha1)).position(|good| !good) {
            found.push(format!("the hash of piece {number} is no SHA-1"));
        }
        found
    }
}

impl Content for PackageManifest<'_> {
    fn source(&self) -> &[u8] {
        self.json.source.as_bytes()
    }

    fn summary(&self) -> String {
        let pieces = match self.pieces().len() {
            1 => "1 piece".to_owned(),
            count => format!("{count} pieces"),
        };
        let mut line = match self.size() {
            Some(size) => format!("{pieces}, {size} bytes"),
            None => pieces,
        };
        let file = self.pieces().first().and_then(|piece| file_name(&piece.url));
        if let Some(file) = file {
            line.push_str(&format!(", {file}"));
        }
        for contradiction in self.contradictions() {
            line.push_str(&format!("; {contradiction}"));
        }
        shown(&line)
    }

    fn slots(&self, key: &str) -> Vec<Slot> {
        self.json.slots(match key {
            "size" => "originalFileSize",
            "digest" => "packageDigest",
            "pieces" => "numberOfSplitFiles",
            "piece_url" => "pieces.*.url",
            "piece_size" => "pieces.*.fileSize",
            "piece_offset" => "pieces.*.fileOffset",
            "piece_hash" => "pieces.*.hashValue",
            _ => return Vec::new(),
        })
    }
}

/// The last part of a URL's path.
fn file_name(url: &str) -> Option<&str> {
    let path = url.split(['?', '#']).next()?;
    path.rsplit('/').next().filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = include_str!("../samples/package-manifest.json");

    #[test]
    fn a_line_says_how_much_there_is() {
        let manifest = PackageManifest::parse(SAMPLE.as_bytes()).unwrap();
        assert_eq!(
            manifest.summary(),
            "3 pieces, 9663676416 bytes, EP1018-CUSA00135_00-BATMANARKHAMKNHT-A0118-V0100_0.pkg"
        );
        assert_eq!(manifest.contradictions(), [""; 0]);
    }

    #[test]
    fn sums_that_do_not_fit_are_told() {
        for (old, new, expected) in [
            ("9663676416", "9663676417", "it says 9663676417 bytes and its pieces have 9663676416"),
            ("\"numberOfSplitFiles\": 3", "\"numberOfSplitFiles\": 4", "says 4 pieces and lists 3"),
            ("8589934592", "8589934591", "piece 2 begins at 8589934591, not at 8589934592"),
            ("\"2222", "\"222x", "the hash of piece 1 is no SHA-1"),
        ] {
            let source = SAMPLE.replacen(old, new, 1);
            assert_ne!(source, SAMPLE);
            let manifest = PackageManifest::parse(source.as_bytes()).unwrap();
            let found = manifest.contradictions();
            assert!(found.iter().any(|told| told.contains(expected)), "{found:?}");
            assert!(manifest.summary().contains(expected));
        }
    }

    #[test]
    fn numbers_that_no_size_has_are_refused_where_they_stand() {
        for number in ["-1", "1.5", "18446744073709551616", "1e400", "\"1\""] {
            let source = SAMPLE.replacen("9663676416", number, 1);
            let error = PackageManifest::parse(source.as_bytes()).unwrap_err();
            assert_eq!(error.position.unwrap().line, 2, "{number}: {error}");
        }
        let most = u64::MAX.to_string();
        let source = SAMPLE.replace("4294967296", &most);
        let manifest = PackageManifest::parse(source.as_bytes()).unwrap();
        assert!(!manifest.contradictions().is_empty());
    }
}
