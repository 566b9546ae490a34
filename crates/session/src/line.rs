//! Lines of the log: how they are cut from a segment, how they are checked, and what they say.
//!
//! A line ends with its own check, `,"crc":"1a2b3c4d"}`: the CRC-32C (Castagnoli, RFC 3720 12.1) of
//! the octets before it. A line without one was written by hand, and is read all the same.

use std::borrow::Cow;
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use consoletap_flow::{Event, Timestamp};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

use crate::layout::SegmentFile;
use crate::read_ahead::ReadAhead;
use crate::{Gap, layout};

/// A longer line is a problem, not an allocation.
pub(crate) const MAX_LINE: usize = 4 << 20;

/// What a line says.
#[derive(Debug, PartialEq)]
pub(crate) enum Entry {
    Event(Event),
    /// An event of which no more was read than this; only for whoever asks for no more.
    Skimmed(Skimmed),
    Gap(Gap),
    /// A small body, for whoever looks for it.
    Body,
    /// Something that a later version wrote.
    Unknown,
}

/// The next line of a segment.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub(crate) enum Cut {
    /// A whole line, without its end.
    Line,
    /// A whole line that is longer than [`MAX_LINE`].
    TooLong,
    /// The file ends within it.
    Torn,
    /// There are no more.
    End,
}

/// Reads the next line into `line`, which is emptied before.
pub(crate) fn cut(from: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<Cut> {
    line.clear();
    let mut seen = 0_u64;
    loop {
        let block = match from.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            block => block?,
        };
        if block.is_empty() {
            return Ok(if seen == 0 { Cut::End } else { Cut::Torn });
        }
        let newline = memchr::memchr(b'\n', block);
        let part = &block[..newline.unwrap_or(block.len())];
        let room = MAX_LINE - line.len();
        line.extend_from_slice(&part[..part.len().min(room)]);
        seen += part.len() as u64;
        let used = part.len() + usize::from(newline.is_some());
        from.consume(used);
        if newline.is_some() {
            return Ok(if seen > MAX_LINE as u64 { Cut::TooLong } else { Cut::Line });
        }
    }
}

/// What the check of a line comes to.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub(crate) enum Seal {
    /// It is as it was written.
    Sound,
    /// It has none.
    None,
    /// It was changed.
    Broken,
}

/// `,"crc":"` and `"}` with eight digits between them.
const SEAL: usize = 18;
const SEAL_BEGIN: &[u8; 8] = b",\"crc\":\"";

/// Ends a line that begins at `start` and is a whole object: its check, and the line feed.
pub(crate) fn seal(lines: &mut Vec<u8>, start: usize) {
    // Its closing bracket.
    lines.pop();
    let crc = crc32c::crc32c(&lines[start..]);
    lines.extend_from_slice(SEAL_BEGIN);
    // The eight digits, from the highest.
    let digit = |place: u32| b"0123456789abcdef"[((crc >> (4 * place)) & 15) as usize];
    lines.extend([7, 6, 5, 4, 3, 2, 1, 0].map(digit));
    lines.extend_from_slice(b"\"}\n");
}

/// Checks a line.
pub(crate) fn check(line: &[u8]) -> Seal {
    let Some((content, seal)) =
        line.len().checked_sub(SEAL).and_then(|at| line.split_at_checked(at))
    else {
        return Seal::None;
    };
    let digits = seal.strip_prefix(SEAL_BEGIN).and_then(|rest| rest.strip_suffix(b"\"}"));
    let Some(digits) = digits else { return Seal::None };
    let crc = std::str::from_utf8(digits).ok().and_then(|hex| u32::from_str_radix(hex, 16).ok());
    if crc == Some(crc32c::crc32c(content)) { Seal::Sound } else { Seal::Broken }
}

/// Where the first whole line ends that is glued to what follows it: the line feed between them
/// was changed.
pub(crate) fn glued(line: &[u8]) -> Option<usize> {
    let ends = memchr::memmem::find_iter(line, SEAL_BEGIN).map(|at| at + SEAL);
    let mut ends = ends.filter(|&end| end < line.len());
    ends.find(|&end| check(&line[..end]) == Seal::Sound)
}

/// Why a line cannot be read.
#[derive(Debug)]
pub(crate) enum LineError {
    Broken,
    Json(serde_json::Error),
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken => f.write_str(
                "the line was changed after it was written (its crc is wrong); where that was \
                 meant, remove the crc from it",
            ),
            Self::Json(error) => f.write_str(&in_line(&error.to_string())),
        }
    }
}

/// What is wrong with a line, without its number: the parser counts lines from its own beginning.
pub(crate) fn in_line(error: &str) -> String {
    error.replace(" at line 1 column ", " at column ")
}

/// Reads what a line says, and whether it has a check. Event kinds that are not known here are no
/// error.
pub(crate) fn parse(line: &[u8]) -> Result<(Entry, Seal), LineError> {
    let seal = check(line);
    if seal == Seal::Broken {
        return Err(LineError::Broken);
    }
    if line.starts_with(BODY) {
        return Ok((Entry::Body, seal));
    }
    // Checked at once, the text of a line need not be checked string by string.
    let read = match std::str::from_utf8(line) {
        Ok(text) => serde_json::from_str::<Event>(text),
        Err(_) => serde_json::from_slice(line),
    };
    let entry = match read {
        Ok(event) => Entry::Event(event),
        Err(error) => parse_other(line, error).map_err(LineError::Json)?,
    };
    Ok((entry, seal))
}

/// What can be said of an event without reading all of it.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub(crate) struct Skimmed {
    pub(crate) at: Timestamp,
    /// Whether a flow begins with it.
    pub(crate) opens: bool,
}

/// Skims a line whose check is sound, so that it is what the writer wrote. `None` where it is no
/// such line, or none of an event: [`parse`] tells what it is.
pub(crate) fn skim(line: &[u8]) -> Option<Skimmed> {
    #[derive(Deserialize)]
    struct Parts<'a> {
        at: Timestamp,
        #[serde(borrow)]
        event: Kind<'a>,
    }
    if check(line) != Seal::Sound {
        return None;
    }
    let text = std::str::from_utf8(line).ok()?;
    let Parts { at, event: Kind(kind) } = serde_json::from_str(text).ok()?;
    KINDS.contains(&&*kind).then_some(Skimmed { at, opens: kind == "opened" })
}

/// The rare way: a gap, something new, or something broken.
fn parse_other(line: &[u8], error: serde_json::Error) -> Result<Entry, serde_json::Error> {
    let other: Other<'_> = serde_json::from_slice(line)?;
    match other {
        Other { gap: Some(gap), .. } => Ok(Entry::Gap(gap)),
        Other { event: Some(Kind(kind)), .. } if KINDS.contains(&&*kind) => Err(error),
        _ => Ok(Entry::Unknown),
    }
}

/// How the line of a small body begins.
pub(crate) const BODY: &[u8] = b"{\"body\":{\"sha256\":\"";

/// The kinds of events of format 1. What is not here was written by a later version.
pub(crate) const KINDS: [&str; 14] = [
    "opened",
    "hello",
    "server-hello",
    "intercepted",
    "became",
    "rule",
    "interim",
    "response",
    "progress",
    "note",
    "certificate",
    "policy",
    "document",
    "finished",
];

#[derive(Deserialize)]
struct Other<'a> {
    #[serde(default)]
    gap: Option<Gap>,
    #[serde(default, borrow)]
    event: Option<Kind<'a>>,
}

/// The name of an event's kind: the event itself, or the one key of its object.
struct Kind<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Kind<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(KindVisitor)
    }
}

struct KindVisitor;

impl<'de> Visitor<'de> for KindVisitor {
    type Value = Kind<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the kind of an event, or an object with that one key")
    }

    fn visit_borrowed_str<E>(self, kind: &'de str) -> Result<Self::Value, E> {
        Ok(Kind(Cow::Borrowed(kind)))
    }

    fn visit_str<E>(self, kind: &str) -> Result<Self::Value, E> {
        Ok(Kind(Cow::Owned(kind.to_owned())))
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let kind = map.next_entry::<String, IgnoredAny>()?;
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Kind(Cow::Owned(kind.map_or_else(String::new, |(kind, _)| kind))))
    }
}

/// Opens a segment to read its lines, compressed or not.
pub(crate) fn open(segment: &SegmentFile) -> io::Result<Box<dyn BufRead + Send>> {
    let (file, packed) = match File::open(&segment.path) {
        // It was compressed since the folder was listed.
        Err(error) if error.kind() == io::ErrorKind::NotFound && !segment.packed => {
            (File::open(layout::packed(&segment.path))?, true)
        }
        file => (file?, segment.packed),
    };
    Ok(if packed {
        Box::new(ReadAhead::of(zstd::Decoder::new(file)?)?)
    } else {
        Box::new(BufReader::with_capacity(1 << 16, file))
    })
}

/// The highest number of a flow in a session; 0 where there is none. Lines that cannot be read
/// are the reader's to report.
pub(crate) fn highest_flow(directory: &Path) -> io::Result<u64> {
    #[derive(Deserialize)]
    struct Numbered {
        flow: u64,
    }
    let mut highest = 0;
    let mut line = Vec::new();
    for segment in layout::segments(directory)? {
        let mut segment = open(&segment)?;
        loop {
            match cut(&mut segment, &mut line) {
                // Damage in a compressed segment: the reader says so.
                Err(_) | Ok(Cut::End) => break,
                Ok(Cut::TooLong | Cut::Torn) => continue,
                Ok(Cut::Line) => {}
            }
            let flow = leading_flow(&line).or_else(|| {
                let known = line.starts_with(BODY) || check(&line) == Seal::Broken;
                let read = || Some(serde_json::from_slice::<Numbered>(&line).ok()?.flow);
                if known { None } else { read() }
            });
            // A number that was changed would leave none to count on with.
            if flow.is_some_and(|flow| flow > highest) && check(&line) != Seal::Broken {
                highest = flow.unwrap_or(highest);
            }
        }
    }
    Ok(highest)
}

/// The number in a line as the writer makes them, without reading the rest of it.
fn leading_flow(line: &[u8]) -> Option<u64> {
    let rest = line.strip_prefix(b"{\"flow\":")?;
    let end = rest.iter().position(|byte| !byte.is_ascii_digit())?;
    (rest[end] == b',').then(|| std::str::from_utf8(&rest[..end]).ok()?.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn reading_hostile_lines_never_panics(octets: Vec<u8>, text in "[\\[\\]{}\":,a-z0-9]{0,64}") {
            let _ = parse(&octets);
            let _ = parse(text.as_bytes());
            let _ = parse(format!("{{\"flow\":1,\"at\":{text:?},\"event\":{text}}}").as_bytes());
        }

        #[test]
        fn lines_are_cut_as_they_were_joined(octets: Vec<u8>, block in 1_usize..9) {
            let mut from = BufReader::with_capacity(block, octets.as_slice());
            let (mut line, mut joined) = (Vec::new(), Vec::new());
            loop {
                match cut(&mut from, &mut line).unwrap() {
                    Cut::End => break,
                    Cut::Line => { joined.extend_from_slice(&line); joined.push(b'\n'); }
                    Cut::Torn => joined.extend_from_slice(&line),
                    Cut::TooLong => unreachable!("no line here is long"),
                }
            }
            proptest::prop_assert_eq!(joined, octets);
        }
    }

    #[test]
    fn a_sealed_line_is_sound_and_no_longer_so_when_a_bit_of_its_content_changes() {
        let mut line = br#"{"flow":1,"note":"x"}"#.to_vec();
        seal(&mut line, 0);
        assert_eq!(line.pop(), Some(b'\n'));
        // RFC 3720 B.4 for the polynomial; this one by the reader in `docs/read_session.py`.
        assert_eq!(check(&line), Seal::Sound);
        for at in 0..line.len() - SEAL {
            for bit in 0..8 {
                let mut changed = line.clone();
                changed[at] ^= 1 << bit;
                assert_eq!(check(&changed), Seal::Broken, "{at}, {bit}");
            }
        }
        assert_eq!(crc32c::crc32c(&[0; 32]), 0x8a91_36aa);
    }

    #[test]
    fn deep_nesting_is_an_error_and_not_a_stack_overflow() {
        let deep = format!("{{\"event\":{}", "[".repeat(1 << 20));
        assert!(parse(deep.as_bytes()).is_err());
    }
}
