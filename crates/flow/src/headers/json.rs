//! Header fields in JSON, as the lines of a session have them.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::ser::SerializeSeq as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Header, Headers, InvalidHeader};

/// JSON: `["Name", "value"]`, or `["Name", {"base64": "…"}]` where the value is not UTF-8.
impl Serialize for Header {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Octets {
            base64: String,
        }
        let mut pair = serializer.serialize_seq(Some(2))?;
        pair.serialize_element(self.name())?;
        match std::str::from_utf8(self.value()) {
            Ok(text) => pair.serialize_element(text)?,
            Err(_) => pair.serialize_element(&Octets { base64: BASE64.encode(self.value()) })?,
        }
        pair.end()
    }
}

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut read = Read::default();
        Pair(&mut read).deserialize(deserializer)?;
        let fields = read.fields().map_err(D::Error::custom)?;
        fields.into_iter().next().ok_or_else(|| D::Error::custom("there is no field"))
    }
}

/// Fields that are read from JSON, one behind the other. Sessions are read by the million fields:
/// no memory is asked for each of them.
#[derive(Default)]
struct Read {
    octets: Vec<u8>,
    /// Where names and their values end.
    ends: Vec<(usize, usize)>,
}

impl Read {
    fn fields(self) -> Result<Vec<Header>, InvalidHeader> {
        let octets = Bytes::from(self.octets);
        let mut fields = Vec::with_capacity(self.ends.len());
        let mut start = 0;
        for (name_end, value_end) in self.ends {
            fields.push(Header::within(&octets, start..name_end, name_end..value_end)?);
            start = value_end;
        }
        Ok(fields)
    }
}

/// Reads one field, and adds it.
struct Pair<'a>(&'a mut Read);

impl<'de> DeserializeSeed<'de> for Pair<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Pair<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of a name and a value")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut pair: A) -> Result<(), A::Error> {
        let Read { octets, ends } = self.0;
        let name = pair.next_element_seed(Part { to: &mut *octets, is_value: false })?;
        let name_end = octets.len();
        let value = pair.next_element_seed(Part { to: &mut *octets, is_value: true })?;
        if (name, value) != (Some(()), Some(())) || pair.next_element::<IgnoredAny>()?.is_some() {
            return Err(A::Error::custom("a field is a list of a name and a value"));
        }
        ends.push((name_end, octets.len()));
        Ok(())
    }
}

/// A name or a value in JSON.
struct Part<'a> {
    to: &'a mut Vec<u8>,
    is_value: bool,
}

impl<'de> DeserializeSeed<'de> for Part<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.is_value {
            deserializer.deserialize_any(self)
        } else {
            deserializer.deserialize_str(self)
        }
    }
}

impl<'de> Visitor<'de> for Part<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_value { "a text, or an object with base64" } else { "a name" })
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.to.extend_from_slice(text.as_bytes());
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        #[derive(Deserialize)]
        struct Octets {
            base64: String,
        }
        let Octets { base64 } = Octets::deserialize(MapAccessDeserializer::new(map))?;
        BASE64.decode_vec(base64, self.to).map_err(A::Error::custom)
    }
}

impl Serialize for Headers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(&*self.0)
    }
}

impl<'de> Deserialize<'de> for Headers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Headers;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of fields")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Headers, A::Error> {
        // Room for the head of most.
        let mut read = Read { octets: Vec::with_capacity(512), ends: Vec::with_capacity(12) };
        while list.next_element_seed(Pair(&mut read))?.is_some() {}
        read.fields().map(|fields| Headers(Arc::new(fields))).map_err(A::Error::custom)
    }
}
