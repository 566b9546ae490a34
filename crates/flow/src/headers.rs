//! Header fields as they were sent: order, case and duplicates kept.

mod json;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

/// One header field. The name is a token (RFC 9110 5.6.2) in the case it was sent in; the value
/// is any octets but CR, LF and NUL, without white space around it.
///
/// Both lie in one piece of memory, which the fields of a head share: fields are copied for each
/// event of a flow.
#[derive(Clone)]
pub struct Header {
    /// From the name's first octet to the value's last one.
    octets: Bytes,
    name_end: u32,
    value_start: u32,
}

/// A name or value that may not stand in a header field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidHeader {
    what: &'static str,
    text: String,
}

impl fmt::Display for InvalidHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} cannot stand as the {} of a header field", self.text, self.what)
    }
}

impl std::error::Error for InvalidHeader {}

impl Header {
    /// A field of this name and value.
    ///
    /// # Errors
    /// When the name is no token, or the value holds CR, LF or NUL.
    pub fn new(name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<Self, InvalidHeader> {
        let (name, value) = (name.as_ref(), value.as_ref());
        let mut octets = BytesMut::with_capacity(name.len() + value.len());
        octets.extend_from_slice(name);
        octets.extend_from_slice(value);
        Self::within(&octets.freeze(), 0..name.len(), name.len()..name.len() + value.len())
    }

    /// A field that lies in the octets of a head: the name here, the value behind it there.
    ///
    /// # Errors
    /// When the name is no token, or the value holds CR, LF or NUL.
    ///
    /// # Panics
    /// When the octets do not reach so far, or the value begins before the name.
    pub fn within(
        head: &Bytes,
        name: Range<usize>,
        value: Range<usize>,
    ) -> Result<Self, InvalidHeader> {
        check(&head[name.clone()], &head[value.clone()])?;
        let octets = head.slice(name.start..value.end);
        let places = (name.len().try_into(), (value.start - name.start).try_into());
        let (Ok(name_end), Ok(value_start)) = places else {
            return Err(InvalidHeader { what: "name", text: "more than 4 GiB".to_owned() });
        };
        Ok(Self { octets, name_end, value_start })
    }

    /// The name, in the case it was sent in.
    #[must_use]
    pub fn name(&self) -> &str {
        // Tokens are ASCII, which `check` made sure of.
        std::str::from_utf8(self.name_octets()).unwrap_or_default()
    }

    fn name_octets(&self) -> &[u8] {
        &self.octets[..self.name_end as usize]
    }

    /// The value's octets.
    #[must_use]
    pub fn value(&self) -> &[u8] {
        &self.octets[self.value_start as usize..]
    }

    /// The value's octets, shared with the head that they came in.
    #[must_use]
    pub fn shared_value(&self) -> Bytes {
        self.octets.slice(self.value_start as usize..)
    }

    /// Whether the name is this one, in any case.
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        self.name_octets().eq_ignore_ascii_case(name.as_bytes())
    }
}

fn check(name: &[u8], value: &[u8]) -> Result<(), InvalidHeader> {
    let invalid = |what, octets: &[u8]| InvalidHeader {
        what,
        text: String::from_utf8_lossy(octets).into_owned(),
    };
    if name.is_empty() || !name.iter().all(|&byte| TOKEN[usize::from(byte)]) {
        return Err(invalid("name", name));
    }
    if memchr::memchr3(b'\r', b'\n', 0, value).is_some() {
        return Err(invalid("value", value));
    }
    Ok(())
}

/// Which bytes may stand in a token (RFC 9110 5.6.2).
const TOKEN: [bool; 256] = {
    let mut token = [false; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        token[byte as usize] = byte.is_ascii_alphanumeric();
        byte += 1;
    }
    let others = b"!#$%&'*+-.^_`|~";
    let mut at = 0;
    while at < others.len() {
        token[others[at] as usize] = true;
        at += 1;
    }
    token
};

impl PartialEq for Header {
    fn eq(&self, other: &Self) -> bool {
        self.name_octets() == other.name_octets() && self.value() == other.value()
    }
}

impl Eq for Header {}

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name(), self.value().escape_ascii())
    }
}

/// The header fields of one head, in the order they were sent. A copy shares them until one of the
/// two is changed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Headers(Arc<Vec<Header>>);

impl Headers {
    /// No fields yet, with room for `count`.
    #[must_use]
    pub fn with_capacity(count: usize) -> Self {
        Self(Arc::new(Vec::with_capacity(count)))
    }

    /// Adds a field behind the others.
    pub fn push(&mut self, header: Header) {
        self.fields().push(header);
    }

    /// To be changed.
    fn fields(&mut self) -> &mut Vec<Header> {
        Arc::make_mut(&mut self.0)
    }

    /// The value of the first field of this name, in any case.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.0.iter().find(|header| header.is(name)).map(Header::value)
    }

    /// The value of the first field of this name, where it is text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// The values of every field of this name, in order.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.0.iter().filter(move |header| header.is(name)).map(Header::value)
    }

    /// Whether there is a field of this name.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// The elements of a comma-separated field, over all fields of this name, trimmed and
    /// without the empty ones (RFC 9110 5.6.1).
    pub fn elements<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.all(name)
            .flat_map(|value| value.split(|&byte| byte == b','))
            .map(<[u8]>::trim_ascii)
            .filter(|element| !element.is_empty())
    }

    /// Gives the first field of this name this value, in its place and case, and removes the
    /// others of the name; adds it behind the rest where there was none.
    pub fn set(&mut self, header: Header) {
        let Some(place) = self.0.iter().position(|old| old.is(header.name())) else {
            return self.push(header);
        };
        let fields = self.fields();
        let mut index = 0;
        fields.retain(|old| {
            index += 1;
            index - 1 == place || !old.is(header.name())
        });
        // The old name is a token, and the new value that of a field.
        if let Ok(field) = Header::new(fields[place].name_octets(), header.value()) {
            fields[place] = field;
        }
    }

    /// Removes every field of this name; whether there was one.
    pub fn remove(&mut self, name: &str) -> bool {
        let is_there = self.contains(name);
        if is_there {
            self.fields().retain(|header| !header.is(name));
        }
        is_there
    }

    /// Keeps the fields for which `keep` says so.
    pub fn retain(&mut self, keep: impl FnMut(&Header) -> bool) {
        self.fields().retain(keep);
    }

    /// The fields, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Header> {
        self.0.iter()
    }

    /// How many fields there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'a> IntoIterator for &'a Headers {
    type Item = &'a Header;
    type IntoIter = std::slice::Iter<'a, Header>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl FromIterator<Header> for Headers {
    fn from_iter<I: IntoIterator<Item = Header>>(fields: I) -> Self {
        Self(Arc::new(fields.into_iter().collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&'static str, &'static str)]) -> Headers {
        fields.iter().map(|(name, value)| Header::new(*name, *value).unwrap()).collect()
    }

    #[test]
    fn setting_a_field_keeps_its_place_and_case_and_drops_its_doubles() {
        let mut fields = headers(&[("a", "1"), ("ETag", "x"), ("b", "2"), ("etag", "y")]);
        fields.set(Header::new("etag", "z").unwrap());
        assert_eq!(fields, headers(&[("a", "1"), ("ETag", "z"), ("b", "2")]));
    }

    #[test]
    fn names_and_values_that_would_split_a_head_are_refused() {
        assert!(Header::new("a b", "").is_err());
        assert!(Header::new("", "x").is_err());
        assert!(Header::new("a", "x\r\nb: y").is_err());
        assert!(Header::new("a", &b"\0"[..]).is_err());
    }

    #[test]
    fn elements_of_a_list_come_over_all_fields_of_the_name() {
        let fields = headers(&[("Connection", "close, ,te"), ("connection", "x-y")]);
        let elements: Vec<_> = fields.elements("connection").collect();
        assert_eq!(elements, [&b"close"[..], b"te", b"x-y"]);
    }

    proptest::proptest! {
        #[test]
        fn any_field_survives_the_session_file(
            name in "[A-Za-z0-9!#$%&'*+.^_`|~-]{1,20}",
            value in proptest::collection::vec(proptest::num::u8::ANY, 0..40),
        ) {
            let Ok(field) = Header::new(name, value) else { return Ok(()) };
            let json = serde_json::to_string(&field).unwrap();
            proptest::prop_assert_eq!(serde_json::from_str::<Header>(&json).unwrap(), field);
        }
    }
}
