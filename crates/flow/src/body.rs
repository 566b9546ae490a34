//! What is known of a body after it went by.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::text::parsed;

/// A hash with its algorithm, as `sha256:…` or `blake3:…` in hex.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest {
    /// Which hash it is.
    pub algorithm: DigestAlgorithm,
    /// Its 32 octets.
    pub octets: [u8; 32],
}

/// The hashes in use. Kept bodies are named by SHA-256, which every system can check; a body
/// too large to keep is hashed with BLAKE3 while it passes, for a quarter of the CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DigestAlgorithm {
    /// SHA-256 (FIPS 180-4).
    Sha256,
    /// BLAKE3 with 32 octets.
    Blake3,
}

/// Text that is no digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidDigest;

impl fmt::Display for InvalidDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a digest is `sha256:` or `blake3:` and 64 hex digits")
    }
}

impl std::error::Error for InvalidDigest {}

impl Digest {
    /// A SHA-256.
    #[must_use]
    pub fn sha256(octets: [u8; 32]) -> Self {
        Self { algorithm: DigestAlgorithm::Sha256, octets }
    }

    /// A BLAKE3.
    #[must_use]
    pub fn blake3(octets: [u8; 32]) -> Self {
        Self { algorithm: DigestAlgorithm::Blake3, octets }
    }

    /// The hex digits alone.
    #[must_use]
    pub fn hex(&self) -> String {
        self.text()[ALGORITHM..].iter().copied().map(char::from).collect()
    }

    /// The whole text, without an allocation: every line of a session has a digest or two.
    fn text(&self) -> [u8; ALGORITHM + 64] {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [0; ALGORITHM + 64];
        text[..ALGORITHM].copy_from_slice(match self.algorithm {
            DigestAlgorithm::Sha256 => b"sha256:",
            DigestAlgorithm::Blake3 => b"blake3:",
        });
        for (pair, octet) in text[ALGORITHM..].chunks_exact_mut(2).zip(self.octets) {
            pair[0] = DIGITS[usize::from(octet >> 4)];
            pair[1] = DIGITS[usize::from(octet & 15)];
        }
        text
    }
}

/// The length of the name of an algorithm with its colon.
const ALGORITHM: usize = 7;

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.text()).map_err(|_| fmt::Error)?)
    }
}

impl FromStr for Digest {
    type Err = InvalidDigest;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (algorithm, hex) = text.split_once(':').ok_or(InvalidDigest)?;
        let algorithm = match algorithm {
            "sha256" => DigestAlgorithm::Sha256,
            "blake3" => DigestAlgorithm::Blake3,
            _ => return Err(InvalidDigest),
        };
        if hex.len() != 64 || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(InvalidDigest);
        }
        // A hex digit is one of base 16.
        let digit = |byte: u8| char::from(byte).to_digit(16).unwrap_or(0) as u8;
        let mut octets = [0; 32];
        for (octet, pair) in octets.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
            *octet = digit(pair[0]) << 4 | digit(pair[1]);
        }
        Ok(Self { algorithm, octets })
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = self.text();
        serializer.serialize_str(std::str::from_utf8(&text).map_err(serde::ser::Error::custom)?)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer)
    }
}

/// A body as it went over the wire: still content-encoded, without its chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct BodySummary {
    /// How many octets passed.
    pub bytes: u64,
    /// The hash of all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// What the session holds of it.
    #[serde(default)]
    pub kept: Kept,
}

/// How much of a body the session holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kept {
    /// Nothing: it was empty, or no session is written.
    #[default]
    Nothing,
    /// All of it; the file is named by the body's own digest.
    Whole,
    /// Its first octets only.
    Prefix {
        /// How many.
        bytes: u64,
        /// Their SHA-256, which names the file.
        digest: Digest,
    },
    /// Nothing, since the disk could not take it. The transfer was not held up.
    Lost,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_reads_back_and_broken_ones_are_refused() {
        let digest = Digest::blake3([0xa5; 32]);
        assert_eq!(digest.to_string().parse::<Digest>().unwrap(), digest);
        for bad in ["", "sha256:", "md5:00", "sha256:+5", &format!("sha256:{}", "é".repeat(32))] {
            assert!(bad.parse::<Digest>().is_err(), "{bad}");
        }
    }
}
