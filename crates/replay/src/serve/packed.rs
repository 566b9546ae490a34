//! Keys and heads in few octets: a session may hold a million of each, and every vector and every
//! small allocation counts.

use bytes::Bytes;
use consoletap_flow::{Header, Headers, ResponseHead, Version};

use crate::serve::keys::{Label, Part, RequestKey};

/// A key. Equal keys are equal text.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct PackedKey(Box<str>);

impl PackedKey {
    pub(crate) fn of(key: &RequestKey) -> Self {
        let mut text = String::with_capacity(96);
        for Part { label, value } in key.parts() {
            let (tag, name) = match label {
                Label::Method => ('m', ""),
                Label::Scheme => ('s', ""),
                Label::Host => ('h', ""),
                Label::Path => ('p', ""),
                Label::Query(name) => ('q', &**name),
                Label::Header(name) => ('f', &**name),
                Label::Body(name) => ('b', &**name),
            };
            text.push(tag);
            // With its length before it, no value can be taken for something else.
            for piece in [name, value] {
                text.push_str(&piece.len().to_string());
                text.push(':');
                text.push_str(piece);
            }
        }
        Self(text.into())
    }

    pub(crate) fn unpack(&self) -> RequestKey {
        let mut rest = &*self.0;
        let mut parts = Vec::with_capacity(6);
        while let Some((part, after)) = part(rest) {
            parts.push(part);
            rest = after;
        }
        RequestKey::from(parts)
    }
}

fn part(text: &str) -> Option<(Part, &str)> {
    let tag = text.chars().next()?;
    let (name, rest) = piece(&text[tag.len_utf8()..])?;
    let (value, rest) = piece(rest)?;
    let name = name.to_owned();
    let label = match tag {
        'm' => Label::Method,
        's' => Label::Scheme,
        'h' => Label::Host,
        'p' => Label::Path,
        'q' => Label::Query(name),
        'f' => Label::Header(name),
        _ => Label::Body(name),
    };
    Some((Part { label, value: value.to_owned() }, rest))
}

fn piece(text: &str) -> Option<(&str, &str)> {
    let (length, rest) = text.split_once(':')?;
    rest.split_at_checked(length.parse().ok()?)
}

/// The head of an answer.
#[derive(Debug, Clone)]
pub(crate) struct PackedHead {
    pub(crate) status: u16,
    version: Version,
    /// The reason, names and values, each with a NUL behind it, which none of them holds.
    octets: Box<[u8]>,
}

impl PackedHead {
    pub(crate) fn of(head: &ResponseHead) -> Self {
        let mut octets = Vec::with_capacity(256);
        octets.extend(head.reason.bytes().filter(|octet| *octet != 0));
        octets.push(0);
        for field in head.headers.iter() {
            for piece in [field.name().as_bytes(), field.value()] {
                octets.extend_from_slice(piece);
                octets.push(0);
            }
        }
        Self { status: head.status, version: head.version, octets: octets.into() }
    }

    pub(crate) fn unpack(&self) -> ResponseHead {
        // One allocation, which all fields share.
        let octets = Bytes::copy_from_slice(&self.octets);
        let mut from = 0;
        let mut pieces = std::iter::from_fn(|| {
            let end = from + octets[from..].iter().position(|octet| *octet == 0)?;
            let piece = octets.slice(from..end);
            from = end + 1;
            Some(piece)
        });
        let reason = pieces.next().unwrap_or_default().into();
        let mut headers = Headers::with_capacity(12);
        while let (Some(name), Some(value)) = (pieces.next(), pieces.next()) {
            // They were fields before.
            if let Ok(field) = Header::new(name, value) {
                headers.push(field);
            }
        }
        ResponseHead { status: self.status, reason, version: self.version, headers }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn keys_come_back(parts: Vec<(u8, String, String)>) {
            let parts = parts.into_iter().map(|(tag, name, value)| {
                let label = match tag % 4 {
                    0 => Label::Path,
                    1 => Label::Query(name),
                    2 => Label::Header(name),
                    _ => Label::Body(name),
                };
                Part { label, value }
            });
            let key = RequestKey::from(parts.collect::<Vec<_>>());
            proptest::prop_assert_eq!(PackedKey::of(&key).unpack(), key);
        }

        #[test]
        fn heads_come_back(
            fields in proptest::collection::vec(("[A-Za-z-]{1,12}", "[ -~]{0,30}"), 0..9),
        ) {
            let headers = fields.into_iter().map(|(name, value)| Header::new(name, value).unwrap());
            let head = ResponseHead {
                status: 206,
                reason: "Partial Content".into(),
                version: Version::Http10,
                headers: headers.collect(),
            };
            proptest::prop_assert_eq!(PackedHead::of(&head).unpack(), head);
        }
    }
}
