//! The hashes in URLs that follow from a title: HMAC with keys that are data of the tables.

use aws_lc_rs::hmac;

/// A keyed hash of the tables.
#[derive(Clone)]
pub(crate) struct KeyedHash {
    key: hmac::Key,
}

impl KeyedHash {
    /// Reads `hmac-sha1` or `hmac-sha256` and a key in hex; the error ends `expected …`.
    pub(crate) fn parse(algorithm: &str, key: &str) -> Result<Self, String> {
        let algorithm = match algorithm {
            "hmac-sha1" => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            "hmac-sha256" => hmac::HMAC_SHA256,
            other => return Err(format!("hmac-sha1 or hmac-sha256, found `{other}`")),
        };
        let key = octets(key).ok_or("the key in pairs of hex digits")?;
        Ok(Self { key: hmac::Key::new(algorithm, &key) })
    }

    /// Whether `hash` (hex, either case) is that of `text`.
    pub(crate) fn fits(&self, parts: &[&str], hash: &str) -> bool {
        let mut context = hmac::Context::with_key(&self.key);
        for part in parts {
            context.update(part.as_bytes());
        }
        octets(hash).is_some_and(|hash| context.sign().as_ref() == hash)
    }
}

impl std::fmt::Debug for KeyedHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeyedHash")
    }
}

fn octets(hex: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    if !hex.len().is_multiple_of(2) {
        return None;
    }
    hex.as_bytes().chunks(2).map(|pair| Some(digit(pair[0])? * 16 + digit(pair[1])?)).collect()
}
