//! Octets that are looked at as text.

use std::borrow::Cow;

/// Octets as text, and back: what is no UTF-8 is read as Latin-1, of which every octet is a
/// character.
pub(crate) struct Octets<'a> {
    pub(crate) text: Cow<'a, str>,
    is_latin1: bool,
}

impl<'a> Octets<'a> {
    pub(crate) fn of(octets: &'a [u8]) -> Self {
        match std::str::from_utf8(octets) {
            Ok(text) => Self { text: Cow::Borrowed(text), is_latin1: false },
            Err(_) => {
                let text = octets.iter().map(|&octet| char::from(octet)).collect();
                Self { text: Cow::Owned(text), is_latin1: true }
            }
        }
    }

    pub(crate) fn back(&self, changed: &str) -> Vec<u8> {
        if !self.is_latin1 {
            return changed.as_bytes().to_vec();
        }
        changed.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')).collect()
    }
}
