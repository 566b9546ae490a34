//! tnetstrings, the form of mitmproxy's flow files: `length:content` and a letter for the type.

use std::io::{self, BufRead, Read as _};

/// A flow with its bodies is not larger than this.
const LARGEST: usize = 1 << 30;
/// Deeper nesting is no flow.
const DEEPEST: u32 = 32;

/// A value that borrows from what was read.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value<'a> {
    Null,
    Bool(bool),
    Number(f64),
    Octets(&'a [u8]),
    List(Vec<Self>),
    /// Pairs; keys are octets in old files and text in new ones.
    Dictionary(Vec<(&'a [u8], Self)>),
}

const NULL: Value<'static> = Value::Null;

impl<'a> Value<'a> {
    /// A member of a dictionary.
    pub(super) fn get(&self, name: &str) -> &Self {
        let Self::Dictionary(pairs) = self else { return &NULL };
        pairs.iter().find(|(key, _)| *key == name.as_bytes()).map_or(&NULL, |(_, value)| value)
    }

    /// An element of a list.
    pub(super) fn at(&self, index: usize) -> &Self {
        self.list().get(index).unwrap_or(&NULL)
    }

    pub(super) fn list(&self) -> &[Self] {
        if let Self::List(list) = self { list } else { &[] }
    }

    pub(super) fn octets(&self) -> Option<&'a [u8]> {
        if let Self::Octets(octets) = self { Some(octets) } else { None }
    }

    pub(super) fn text(&self) -> Option<&'a str> {
        std::str::from_utf8(self.octets()?).ok()
    }

    pub(super) fn number(&self) -> Option<f64> {
        if let Self::Number(number) = self { Some(*number) } else { None }
    }
}

/// Reads the octets of the next value, with its length and type, into `buffer`; whether there was
/// one.
pub(super) fn cut(reader: &mut dyn BufRead, buffer: &mut Vec<u8>) -> io::Result<bool> {
    buffer.clear();
    let broken = |what: &str| Err(io::Error::new(io::ErrorKind::InvalidData, what.to_owned()));
    let read = reader.take(13).read_until(b':', buffer)?;
    if read == 0 {
        return Ok(false);
    }
    let length = buffer.strip_suffix(b":").and_then(length);
    let Some(length) = length else { return broken("a length was expected") };
    if length > LARGEST {
        return broken("a flow is larger than 1 GiB");
    }
    // Memory grows with what is really there, whatever the length says.
    let wanted = length as u64 + 1;
    if reader.take(wanted).read_to_end(buffer)? as u64 != wanted {
        return broken("the file ends within a flow");
    }
    Ok(true)
}

fn length(digits: &[u8]) -> Option<usize> {
    let digits = std::str::from_utf8(digits).ok()?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

/// Reads a value; `None` where it is broken.
pub(super) fn parse(octets: &[u8]) -> Option<Value<'_>> {
    let (value, rest) = value(octets, 0)?;
    rest.is_empty().then_some(value)
}

fn value(octets: &[u8], depth: u32) -> Option<(Value<'_>, &[u8])> {
    let colon = octets.iter().take(13).position(|&byte| byte == b':')?;
    let length = length(&octets[..colon])?;
    let rest = &octets[colon + 1..];
    let (content, rest) = rest.split_at_checked(length)?;
    let (&kind, rest) = rest.split_first()?;
    let value = match kind {
        b',' | b';' => Value::Octets(content),
        b'~' => Value::Null,
        b'!' => Value::Bool(content == b"true"),
        b'#' | b'^' => Value::Number(std::str::from_utf8(content).ok()?.parse().ok()?),
        b']' | b'}' if depth >= DEEPEST => return None,
        b']' => {
            let mut list = Vec::new();
            let mut inner = content;
            while !inner.is_empty() {
                let (element, behind) = value(inner, depth + 1)?;
                list.push(element);
                inner = behind;
            }
            Value::List(list)
        }
        b'}' => {
            let mut pairs = Vec::new();
            let mut inner = content;
            while !inner.is_empty() {
                let (key, behind) = value(inner, depth + 1)?;
                let (element, behind) = value(behind, depth + 1)?;
                pairs.push((key.octets()?, element));
                inner = behind;
            }
            Value::Dictionary(pairs)
        }
        _ => return None,
    };
    Some((value, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_and_broken_ones_refused() {
        let value = parse(b"18:1:a,3:1.5^1:b;1:x;}").unwrap();
        assert_eq!(value.get("a").number(), Some(1.5));
        assert_eq!(value.get("b").text(), Some("x"));
        assert_eq!(parse(b"12:4:true!2:10#]").unwrap().at(1).number(), Some(10.0));
        for broken in [&b"5:abc,"[..], b"+1:a,", b"1:a", b"1:a?", b"99999999999999:a,", b"4:1:a,}"]
        {
            assert_eq!(parse(broken), None, "{broken:?}");
        }
    }

    #[test]
    fn a_length_that_lies_costs_no_memory() {
        let mut buffer = Vec::new();
        assert!(cut(&mut &b"999999999:abc"[..], &mut buffer).is_err());
        assert!(buffer.capacity() < 1 << 20);
        assert!(!cut(&mut &b""[..], &mut buffer).unwrap());
    }

    proptest::proptest! {
        #[test]
        fn hostile_values_end_somewhere(octets: Vec<u8>, text in "[0-9:,;#^!~\\]}a]{0,60}") {
            let _ = parse(&octets);
            let _ = parse(text.as_bytes());
        }
    }
}
