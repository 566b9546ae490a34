//! The ClientHello in the framing of SSL 2.0, which clients of the 2000s sent to be understood by
//! everybody (RFC 5246 appendix E.2). It can ask for TLS 1.0 and later.

use crate::hello::ClientHello;
use crate::wire::{Cursor, numbers};

/// The octets between the length and the cipher specs.
const FIXED: usize = 9;

/// What the first octets of a connection are.
pub(crate) enum Found {
    NeedMore,
    Nothing,
    /// A hello; `None` where it contradicts its own lengths.
    Hello(Option<Box<ClientHello>>),
}

/// Reads the hello from the first octets.
pub(crate) fn read(bytes: &[u8]) -> Found {
    // Two octets of length with the highest bit set, message type 1, then the version: 0.2, 3.x.
    let length = match bytes {
        [] => return Found::NeedMore,
        [128..=255, rest @ ..] if begins_hello(rest) => {
            let [high, low, ..] = bytes else { return Found::NeedMore };
            usize::from(u16::from_be_bytes([high & 0x7f, *low]))
        }
        _ => return Found::Nothing,
    };
    if length < FIXED {
        return Found::Nothing;
    }
    bytes
        .get(2..2 + length)
        .map_or(Found::NeedMore, |message| Found::Hello(parse(message).map(Box::new)))
}

/// Whether what follows the first octet can be the start of such a hello.
fn begins_hello(rest: &[u8]) -> bool {
    matches!(rest, [] | [_] | [_, 1] | [_, 1, 0 | 3] | [_, 1, 0, 2, ..] | [_, 1, 3, 0..=4, ..])
}

fn parse(message: &[u8]) -> Option<ClientHello> {
    let mut rest = Cursor::new(message);
    let _message_type = rest.u8()?;
    let version = rest.u16()?;
    let [specs, session_id, challenge] = [rest.u16()?, rest.u16()?, rest.u16()?];
    let specs = rest.take(specs.into())?;
    let _session_id = rest.take(session_id.into())?;
    let _challenge = rest.take(challenge.into())?;
    let (specs, odd) = specs.as_chunks::<3>();
    if specs.is_empty() || !odd.is_empty() || !rest.is_empty() {
        return None;
    }
    // A suite of TLS has 0 as its first octet; others are of SSL 2.0 alone.
    let suites = specs.iter().filter(|spec| spec[0] == 0);
    let suites = suites.filter_map(|spec| numbers(&spec[1..])).flatten().collect();
    let hello = ClientHello { sslv2_framed: true, ..ClientHello::bare(version, suites) };
    Some(hello.finished())
}
