//! The hashes in URLs that follow from a title: HMAC with keys that are data of the tables.

use aws_lc_rs::hmac;

use crate::row::HashRule;

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

    /// Whether `hash` (hex, either case) is what the rule asks for; `None` where the rule names
    /// a field that is not known.
    pub(crate) fn fits<'v>(
        &self,
        rule: &HashRule,
        hash: &str,
        value: impl Fn(&str) -> Option<&'v str>,
    ) -> Option<bool> {
        let tag = self.sign(rule, value)?;
        let wanted = digits(tag.as_ref()).take(rule.digits.unwrap_or(usize::MAX));
        Some(wanted.eq(hash.chars().map(|digit| digit.to_digit(16).unwrap_or(u32::MAX))))
    }

    /// The hash as the rule's service writes it.
    pub(crate) fn text<'v>(
        &self,
        rule: &HashRule,
        value: impl Fn(&str) -> Option<&'v str>,
    ) -> Option<String> {
        let tag = self.sign(rule, value)?;
        let digits = digits(tag.as_ref()).take(rule.digits.unwrap_or(usize::MAX));
        let text = digits.filter_map(|digit| char::from_digit(digit, 16));
        Some(match rule.capitals {
            true => text.map(|digit| digit.to_ascii_uppercase()).collect(),
            false => text.collect(),
        })
    }

    fn sign<'v>(
        &self,
        rule: &HashRule,
        value: impl Fn(&str) -> Option<&'v str>,
    ) -> Option<hmac::Tag> {
        let mut context = hmac::Context::with_key(&self.key);
        let mut rest = rule.of.as_str();
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}')?;
            context.update(before.as_bytes());
            context.update(value(name)?.as_bytes());
            rest = after;
        }
        context.update(rest.as_bytes());
        Some(context.sign())
    }
}

impl std::fmt::Debug for KeyedHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeyedHash")
    }
}

fn digits(octets: &[u8]) -> impl Iterator<Item = u32> {
    octets.iter().flat_map(|&octet| [u32::from(octet >> 4), u32::from(octet & 15)])
}

fn octets(hex: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    if !hex.len().is_multiple_of(2) {
        return None;
    }
    hex.as_bytes().chunks(2).map(|pair| Some(digit(pair[0])? * 16 + digit(pair[1])?)).collect()
}
