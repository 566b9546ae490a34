//! Header fields as they were sent: order, case and duplicates kept.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::ser::SerializeSeq as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One header field. The name is a token (RFC 9110 5.6.2) in the case it was sent in; the value
/// is any octets but CR, LF and NUL, without white space around it.
#[derive(Clone, PartialEq, Eq)]
pub struct Header {
    name: Bytes,
    value: Bytes,
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
    pub fn new(name: impl Into<Bytes>, value: impl Into<Bytes>) -> Result<Self, InvalidHeader> {
        let (name, value) = (name.into(), value.into());
        let invalid = |what, bytes: &Bytes| InvalidHeader {
            what,
            text: String::from_utf8_lossy(bytes).into_owned(),
        };
        if name.is_empty() || !name.iter().all(|&byte| is_token_byte(byte)) {
            return Err(invalid("name", &name));
        }
        if value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
            return Err(invalid("value", &value));
        }
        Ok(Self { name, value })
    }

    /// The name, in the case it was sent in.
    #[must_use]
    pub fn name(&self) -> &str {
        // Tokens are ASCII, which `new` made sure of.
        std::str::from_utf8(&self.name).unwrap_or_default()
    }

    /// The value's octets.
    #[must_use]
    pub fn value(&self) -> &Bytes {
        &self.value
    }

    /// Whether the name is this one, in any case.
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }
}

/// Whether a byte may stand in a token (RFC 9110 5.6.2).
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name(), self.value.escape_ascii())
    }
}

/// The header fields of one head, in the order they were sent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Headers(Vec<Header>);

impl Headers {
    /// No fields yet, with room for `count`.
    #[must_use]
    pub fn with_capacity(count: usize) -> Self {
        Self(Vec::with_capacity(count))
    }

    /// Adds a field behind the others.
    pub fn push(&mut self, header: Header) {
        self.0.push(header);
    }

    /// The value of the first field of this name, in any case.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Bytes> {
        self.0.iter().find(|header| header.is(name)).map(Header::value)
    }

    /// The value of the first field of this name, where it is text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// The values of every field of this name, in order.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Bytes> {
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
            self.0.push(header);
            return;
        };
        let mut index = 0;
        self.0.retain(|old| {
            index += 1;
            index - 1 == place || !old.is(header.name())
        });
        self.0[place].value = header.value;
    }

    /// Removes every field of this name; whether there was one.
    pub fn remove(&mut self, name: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|header| !header.is(name));
        self.0.len() != before
    }

    /// Keeps the fields for which `keep` says so.
    pub fn retain(&mut self, keep: impl FnMut(&Header) -> bool) {
        self.0.retain(keep);
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
        Self(fields.into_iter().collect())
    }
}

/// JSON: `["Name", "value"]`, or `["Name", {"base64": "…"}]` where the value is not UTF-8.
impl Serialize for Header {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Octets {
            base64: String,
        }
        let mut pair = serializer.serialize_seq(Some(2))?;
        pair.serialize_element(self.name())?;
        match std::str::from_utf8(&self.value) {
            Ok(text) => pair.serialize_element(text)?,
            Err(_) => pair.serialize_element(&Octets { base64: BASE64.encode(&self.value) })?,
        }
        pair.end()
    }
}

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (Name(name), Value(value)) = Deserialize::deserialize(deserializer)?;
        Self::new(name, value).map_err(D::Error::custom)
    }
}

/// A name in JSON. Sessions are read by the million fields, and most fields have one of few names.
struct Name(Bytes);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = Shared::deserialize(deserializer)?;
        let usual = USUAL.iter().find(|usual| ***usual == *name.0);
        Ok(Self(match (usual, name.0) {
            (Some(usual), _) => Bytes::from_static(usual.as_bytes()),
            (None, name) => Bytes::from(name.into_owned()),
        }))
    }
}

/// What consoles and their servers send most.
const USUAL: [&str; 20] = [
    "Host",
    "User-Agent",
    "Connection",
    "Content-Type",
    "Content-Length",
    "Date",
    "Server",
    "Cache-Control",
    "Accept",
    "Range",
    "Content-Range",
    "ETag",
    "Last-Modified",
    "Accept-Ranges",
    "Accept-Encoding",
    "Accept-Language",
    "Content-Encoding",
    "Authorization",
    "Expires",
    "Vary",
];

/// Text that is borrowed where it stands in the line as it is.
#[derive(Deserialize)]
struct Shared<'a>(#[serde(borrow)] Cow<'a, str>);

/// A value in JSON.
struct Value(Bytes);

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, or an object with base64")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value(Bytes::copy_from_slice(text.as_bytes())))
    }

    fn visit_string<E: serde::de::Error>(self, text: String) -> Result<Value, E> {
        Ok(Value(text.into()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Value, A::Error> {
        #[derive(Deserialize)]
        struct Octets {
            base64: String,
        }
        let Octets { base64 } = Octets::deserialize(MapAccessDeserializer::new(map))?;
        BASE64.decode(base64).map(|octets| Value(octets.into())).map_err(A::Error::custom)
    }
}

impl Serialize for Headers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(&self.0)
    }
}

impl<'de> Deserialize<'de> for Headers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::deserialize(deserializer).map(Self)
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
