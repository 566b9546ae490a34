//! The first handshake message of a stream: found in its records, put together where it spans
//! several of them (RFC 8446 section 5.1). What the message says is for others to read.

use std::borrow::Cow;

/// How many octets of a stream are looked at. Hellos of today are under 2 KiB; the largest that
/// servers are known to take is 64 KiB.
pub(crate) const LIMIT: usize = 64 * 1024;

/// The content type `handshake`.
const HANDSHAKE: u8 = 22;
/// RFC 8446 5.1: a record carries 2^14 octets at most before it is encrypted.
const MAX_RECORD: usize = 1 << 14;

/// The state of the first message.
pub(crate) enum First<'a> {
    /// It is not all there yet.
    NeedMore,
    /// These are no handshake records.
    NotTls,
    /// They were, until this was found.
    Malformed(&'static str),
    /// Its body, without type and length.
    Message(Cow<'a, [u8]>),
}

/// Finds the first handshake message, which must be of the type `wanted`.
pub(crate) fn first(bytes: &[u8], wanted: u8) -> First<'_> {
    match bytes {
        [] => return First::NeedMore,
        [HANDSHAKE] | [HANDSHAKE, 3] => return First::NeedMore,
        // The version of a record goes from 3.0 (SSL 3.0) to 3.3; 3.4 is tolerated.
        [HANDSHAKE, 3, 0..=4, ..] => {}
        _ => return First::NotTls,
    }
    match fragments(bytes, wanted) {
        Ok(Some(message)) => First::Message(message),
        Ok(None) => First::NeedMore,
        Err(why) => First::Malformed(why),
    }
}

/// Walks over the records until the message is complete. Its octets are copied only then, and
/// only where more than one record holds them, so that looking again after every read is cheap.
fn fragments(bytes: &[u8], wanted: u8) -> Result<Option<Cow<'_, [u8]>>, &'static str> {
    let mut header = Header::default();
    let mut at = 0;
    let mut seen = 0;
    loop {
        if at > LIMIT {
            return Err("the first handshake message is larger than 64 KiB");
        }
        let Some(fragment) = record(bytes, at)? else { return Ok(None) };
        for &octet in fragment.present.iter().take(4_usize.saturating_sub(seen)) {
            header.push(octet, wanted)?;
        }
        seen += fragment.present.len();
        if let Some(length) = header.length() {
            if length + 4 > LIMIT {
                return Err("the first handshake message is larger than 64 KiB");
            }
            if seen >= length + 4 {
                return Ok(Some(collect(bytes, length)));
            }
        }
        if fragment.present.len() < fragment.length {
            return Ok(None);
        }
        at += 5 + fragment.length;
    }
}

/// One record, as far as it arrived.
struct Fragment<'a> {
    length: usize,
    present: &'a [u8],
}

/// The record that begins at `at`; `None` while its header is not complete.
fn record(bytes: &[u8], at: usize) -> Result<Option<Fragment<'_>>, &'static str> {
    let rest = bytes.get(at..).unwrap_or_default();
    if rest.first().is_some_and(|&content| content != HANDSHAKE) {
        return Err("another record stands in the middle of the first handshake message");
    }
    if rest.get(1).is_some_and(|&major| major != 3) {
        return Err("a record has an impossible version");
    }
    let [_, _, _, high, low, rest @ ..] = rest else { return Ok(None) };
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    match length {
        0 => Err("a handshake record is empty"),
        1..=MAX_RECORD => Ok(Some(Fragment { length, present: &rest[..length.min(rest.len())] })),
        _ => Err("a handshake record is larger than 16 KiB"),
    }
}

/// Type and length of the message, which may themselves be spread over records.
#[derive(Default)]
struct Header {
    octets: [u8; 4],
    filled: usize,
}

impl Header {
    fn push(&mut self, octet: u8, wanted: u8) -> Result<(), &'static str> {
        if self.filled == 0 && octet != wanted {
            return Err("the first handshake message is no hello");
        }
        if let Some(place) = self.octets.get_mut(self.filled) {
            *place = octet;
            self.filled += 1;
        }
        Ok(())
    }

    fn length(&self) -> Option<usize> {
        let [_, high, middle, low] = self.octets;
        (self.filled == 4).then(|| u32::from_be_bytes([0, high, middle, low]) as usize)
    }
}

/// The body of a message that is known to be there.
fn collect(bytes: &[u8], length: usize) -> Cow<'_, [u8]> {
    // Five octets of record header, four of message header.
    let first = usize::from(u16::from_be_bytes([bytes[3], bytes[4]]));
    if first >= length + 4 {
        return Cow::Borrowed(&bytes[9..9 + length]);
    }
    let mut message = Vec::with_capacity(length + 4);
    let mut at = 0;
    while let (true, Ok(Some(fragment))) = (message.len() < length + 4, record(bytes, at)) {
        message.extend_from_slice(fragment.present);
        at += 5 + fragment.length;
    }
    message.truncate(length + 4);
    message.drain(..4.min(message.len()));
    Cow::Owned(message)
}
