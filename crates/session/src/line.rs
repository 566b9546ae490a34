//! Lines of the log: how they are cut from a segment, and what they say.

use std::borrow::Cow;
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use consoletap_flow::Event;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

use crate::{Gap, layout};

/// A longer line is a problem, not an allocation.
pub(crate) const MAX_LINE: usize = 4 << 20;

/// What a line says.
#[derive(Debug, PartialEq)]
pub(crate) enum Entry {
    Event(Box<Event>),
    Gap(Gap),
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
        let newline = block.iter().position(|&byte| byte == b'\n');
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

/// Reads what a line says. Event kinds that are not known here are no error.
pub(crate) fn parse(line: &[u8]) -> Result<Entry, serde_json::Error> {
    let error = match serde_json::from_slice::<Event>(line) {
        Ok(event) => return Ok(Entry::Event(Box::new(event))),
        Err(error) => error,
    };
    // The rare way: a gap, something new, or something broken.
    let other: Other<'_> = serde_json::from_slice(line)?;
    match other {
        Other { gap: Some(gap), .. } => Ok(Entry::Gap(gap)),
        Other { event: Some(Kind(kind)), .. } if KINDS.contains(&&*kind) => Err(error),
        _ => Ok(Entry::Unknown),
    }
}

/// The kinds of events of format 1. What is not here was written by a later version.
pub(crate) const KINDS: [&str; 11] = [
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

/// The highest number of a flow in a session; 0 where there is none. Lines that cannot be read
/// are the reader's to report.
pub(crate) fn highest_flow(directory: &Path) -> io::Result<u64> {
    #[derive(Deserialize)]
    struct Numbered {
        flow: u64,
    }
    let mut highest = 0;
    let mut line = Vec::new();
    for (_, path) in layout::segments(directory)? {
        let mut segment = BufReader::with_capacity(1 << 16, File::open(path)?);
        loop {
            match cut(&mut segment, &mut line)? {
                Cut::End => break,
                Cut::TooLong | Cut::Torn => continue,
                Cut::Line => {}
            }
            if let Ok(Numbered { flow }) = serde_json::from_slice(&line) {
                highest = highest.max(flow);
            }
        }
    }
    Ok(highest)
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
    fn deep_nesting_is_an_error_and_not_a_stack_overflow() {
        let deep = format!("{{\"event\":{}", "[".repeat(1 << 20));
        assert!(parse(deep.as_bytes()).is_err());
    }
}
