//! A cursor over the presentation language of TLS (RFC 8446 section 3): big-endian numbers and
//! vectors with their length before them. Every read is checked; nothing here can panic.

/// What is left to read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.take(2).map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    /// A vector whose length is one octet.
    pub(crate) fn vector8(&mut self) -> Option<&'a [u8]> {
        let length = self.u8()?;
        self.take(length.into())
    }

    /// A vector whose length is three octets.
    pub(crate) fn vector24(&mut self) -> Option<&'a [u8]> {
        let length = self.take(3)?;
        self.take(u32::from_be_bytes([0, length[0], length[1], length[2]]) as usize)
    }

    /// A vector whose length is two octets.
    pub(crate) fn vector16(&mut self) -> Option<&'a [u8]> {
        let length = self.u16()?;
        self.take(length.into())
    }
}

/// Octets in hex.
pub(crate) fn hex(octets: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble & 0x0f)]);
    octets.iter().flat_map(|octet| [digit(octet >> 4), digit(*octet)]).collect()
}

/// And back; `None` where it is no hex.
#[cfg(feature = "legacy-tls")]
pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let octet = |pair: &[u8; 2]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    rest.is_empty().then(|| pairs.iter().map(octet).collect())?
}

/// The 16-bit numbers of a list; an odd octet at its end makes it no list.
pub(crate) fn numbers(list: &[u8]) -> Option<Vec<u16>> {
    let (pairs, rest) = list.as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().map(|&pair| u16::from_be_bytes(pair)).collect())
}

/// Whether the number is one of those that clients strew in to keep servers flexible (RFC 8701).
pub(crate) fn is_grease(number: u16) -> bool {
    let [high, low] = number.to_be_bytes();
    high == low && low & 0x0f == 0x0a
}
