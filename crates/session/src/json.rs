//! Writes events as JSON, octet for octet as `serde_json` does, in three quarters of the time: names
//! of fields are ours and need no look, and texts are looked through by blocks. Writing its events is
//! half of what recording costs. The types say what is written (`docs/session-format.md`); this says
//! only how.

use std::fmt::{self, Display, Write as _};

use serde::Serialize;
use serde::ser::{
    Error as _, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant,
    SerializeTuple, SerializeTupleStruct, SerializeTupleVariant, Serializer,
};
use serde_json::Error;

/// Octets that are compared at once.
const BLOCK: usize = 16;

/// Appends a value; where it fails, so much as was written stays.
pub(crate) fn write(to: &mut Vec<u8>, value: &impl Serialize) -> Result<(), Error> {
    value.serialize(Json { to })
}

struct Json<'a> {
    to: &'a mut Vec<u8>,
}

/// An array or an object that is being written.
struct List<'a> {
    to: &'a mut Vec<u8>,
    is_empty: bool,
    end: &'static [u8],
}

impl<'a> Json<'a> {
    fn begin(self, begin: &[u8], end: &'static [u8]) -> List<'a> {
        self.to.extend_from_slice(begin);
        List { to: self.to, is_empty: true, end }
    }

    /// `{"Variant":` and what stands for it.
    #[inline]
    fn variant(self, variant: &'static str) -> Self {
        self.to.push(b'{');
        key(self.to, variant);
        self
    }

    /// What occurs in no event, or hardly ever.
    fn rare(self, value: &impl Serialize) -> Result<(), Error> {
        serde_json::to_writer(self.to, value)
    }
}

impl List<'_> {
    #[inline]
    fn next(&mut self) {
        if !std::mem::take(&mut self.is_empty) {
            self.to.push(b',');
        }
    }

    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.next();
        value.serialize(Json { to: self.to })
    }

    #[inline]
    fn field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Error> {
        self.next();
        key(self.to, name);
        value.serialize(Json { to: self.to })
    }

    fn finish(self) {
        self.to.extend_from_slice(self.end);
    }
}

/// The name of a field or variant of our types. Where it is known to the compiler, so is its length.
#[inline]
fn key(to: &mut Vec<u8>, name: &'static str) {
    debug_assert!(escape_at(name.as_bytes()).is_none(), "{name:?}");
    to.push(b'"');
    to.extend_from_slice(name.as_bytes());
    to.extend_from_slice(b"\":");
}

fn text(to: &mut Vec<u8>, text: &str) {
    to.reserve(text.len() + 2);
    to.push(b'"');
    escape(to, text.as_bytes());
    to.push(b'"');
}

/// Appends a text, with what RFC 8259 section 7 wants escaped.
fn escape(to: &mut Vec<u8>, mut octets: &[u8]) {
    while let Some(at) = escape_at(octets) {
        to.extend_from_slice(&octets[..at]);
        let short = match octets[at] {
            b'"' => b'"',
            b'\\' => b'\\',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0x08 => b'b',
            0x0c => b'f',
            control => {
                let digit = |nibble: u8| b"0123456789abcdef"[usize::from(nibble)];
                to.extend_from_slice(b"\\u00");
                to.extend([digit(control >> 4), digit(control & 15)]);
                octets = &octets[at + 1..];
                continue;
            }
        };
        to.extend([b'\\', short]);
        octets = &octets[at + 1..];
    }
    to.extend_from_slice(octets);
}

/// Where the first octet is that must be escaped. Nearly always there is none, so that blocks are
/// looked at as a whole.
fn escape_at(octets: &[u8]) -> Option<usize> {
    let needs = |octet: &u8| (*octet < 0x20) | (*octet == b'"') | (*octet == b'\\');
    // Without a way out of its loop, the compiler compares the octets of a block at once.
    let any = |block: &[u8; BLOCK]| block.iter().fold(false, |found, octet| found | needs(octet));
    let (blocks, rest) = octets.as_chunks::<BLOCK>();
    let clean = if blocks.iter().any(any) {
        false
    } else if let Some(last) = octets.last_chunk::<BLOCK>() {
        !any(last)
    } else {
        !rest.iter().fold(false, |found, octet| found | needs(octet))
    };
    if clean { None } else { octets.iter().position(needs) }
}

/// Whole numbers of each width.
macro_rules! numbers {
    ($($method:ident $of:ty,)*) => {$(
        fn $method(self, value: $of) -> Result<(), Error> {
            self.to.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
            Ok(())
        }
    )*};
}

impl<'a> Serializer for Json<'a> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = List<'a>;
    type SerializeTuple = List<'a>;
    type SerializeTupleStruct = List<'a>;
    type SerializeTupleVariant = List<'a>;
    type SerializeMap = List<'a>;
    type SerializeStruct = List<'a>;
    type SerializeStructVariant = List<'a>;

    fn serialize_str(self, value: &str) -> Result<(), Error> {
        text(self.to, value);
        Ok(())
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<(), Error> {
        struct Escaped<'a>(&'a mut Vec<u8>);
        impl fmt::Write for Escaped<'_> {
            fn write_str(&mut self, part: &str) -> fmt::Result {
                escape(self.0, part.as_bytes());
                Ok(())
            }
        }
        self.to.push(b'"');
        write!(Escaped(self.to), "{value}").map_err(Error::custom)?;
        self.to.push(b'"');
        Ok(())
    }

    fn serialize_bool(self, value: bool) -> Result<(), Error> {
        self.to.extend_from_slice(if value { b"true" } else { b"false" });
        Ok(())
    }

    numbers! {
        serialize_i8 i8, serialize_i16 i16, serialize_i32 i32, serialize_i64 i64,
        serialize_u8 u8, serialize_u16 u16, serialize_u32 u32, serialize_u64 u64,
    }

    fn serialize_f32(self, value: f32) -> Result<(), Error> {
        self.rare(&value)
    }

    fn serialize_f64(self, value: f64) -> Result<(), Error> {
        self.rare(&value)
    }

    fn serialize_char(self, value: char) -> Result<(), Error> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), Error> {
        self.rare(&value)
    }

    fn serialize_none(self) -> Result<(), Error> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Error> {
        self.to.extend_from_slice(b"null");
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Error> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<(), Error> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        let Json { to } = self.variant(variant);
        value.serialize(Json { to: &mut *to })?;
        to.push(b'}');
        Ok(())
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<List<'a>, Error> {
        Ok(self.begin(b"[", b"]"))
    }

    fn serialize_tuple(self, _: usize) -> Result<List<'a>, Error> {
        Ok(self.begin(b"[", b"]"))
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<List<'a>, Error> {
        Ok(self.begin(b"[", b"]"))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<List<'a>, Error> {
        Ok(self.variant(variant).begin(b"[", b"]}"))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<List<'a>, Error> {
        Ok(self.begin(b"{", b"}"))
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<List<'a>, Error> {
        Ok(self.begin(b"{", b"}"))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<List<'a>, Error> {
        Ok(self.variant(variant).begin(b"{", b"}}"))
    }
}

impl SerializeMap for List<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        self.next();
        let start = self.to.len();
        key.serialize(Json { to: self.to })?;
        if self.to.get(start) != Some(&b'"') {
            return Err(Error::custom("the key of an object must be a text"));
        }
        self.to.push(b':');
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        value.serialize(Json { to: self.to })
    }

    fn end(self) -> Result<(), Error> {
        self.finish();
        Ok(())
    }
}

/// The traits that have elements, and those that have fields with a name.
macro_rules! lists {
    ($($of:ident $method:ident,)*) => {$(
        impl $of for List<'_> {
            type Ok = ();
            type Error = Error;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
                self.element(value)
            }

            fn end(self) -> Result<(), Error> {
                self.finish();
                Ok(())
            }
        }
    )*};
}
lists! {
    SerializeSeq serialize_element,
    SerializeTuple serialize_element,
    SerializeTupleStruct serialize_field,
    SerializeTupleVariant serialize_field,
}

macro_rules! structs {
    ($($of:ident,)*) => {$(
        impl $of for List<'_> {
            type Ok = ();
            type Error = Error;

            #[inline]
            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), Error> {
                self.field(name, value)
            }

            fn end(self) -> Result<(), Error> {
                self.finish();
                Ok(())
            }
        }
    )*};
}
structs! { SerializeStruct, SerializeStructVariant, }

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn written(value: &impl Serialize) -> String {
        let mut octets = Vec::new();
        write(&mut octets, value).unwrap();
        String::from_utf8(octets).unwrap()
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::vec((any::<String>(), inner), 0..6)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn values_are_written_as_serde_json_writes_them(value in values()) {
            prop_assert_eq!(written(&value), value.to_string());
        }

        #[test]
        fn texts_are_written_as_serde_json_writes_them(text in "[\\PC\\x00-\\x24\\\\\"\u{7f}é€\u{10ffff}]{0,40}") {
            let expected = serde_json::to_string(&text).unwrap();
            prop_assert_eq!(written(&text), expected.as_str());
            // In parts, as a `Display` brings them.
            let middle = text.char_indices().nth(7).map_or(0, |(at, _)| at);
            let (left, right) = text.split_at(middle);
            prop_assert_eq!(written(&format_args!("{left}{right}")), expected);
        }
    }

    #[test]
    fn every_shape_of_a_type_is_written_as_serde_json_writes_it() {
        #[derive(Serialize)]
        #[serde(rename_all = "kebab-case")]
        enum Shape {
            UnitVariant,
            Newtype(u8),
            Tuple(i8, char),
            Struct { a_field: f32, none: Option<u16> },
        }
        #[derive(Serialize)]
        struct Unit;
        #[derive(Serialize)]
        struct Newtype(i16);
        #[derive(Serialize)]
        struct Pair(u32, i32);
        #[derive(Serialize)]
        struct Flat {
            before: bool,
            #[serde(flatten)]
            inner: BTreeMap<String, u8>,
            after: (Unit, Newtype, Pair),
        }
        let shapes = [
            Shape::UnitVariant,
            Shape::Newtype(255),
            Shape::Tuple(-128, '"'),
            Shape::Struct { a_field: 0.1, none: Some(1) },
            Shape::Struct { a_field: f32::NAN, none: None },
        ];
        let inner = BTreeMap::from([("a\nb".to_owned(), 1), (String::new(), 2)]);
        let flat =
            Flat { before: true, inner, after: (Unit, Newtype(-1), Pair(u32::MAX, i32::MIN)) };
        let all = (&shapes, flat, Vec::<u8>::new(), BTreeMap::<String, u8>::new(), ());
        assert_eq!(written(&all), serde_json::to_string(&all).unwrap());
    }

    #[test]
    fn a_key_that_is_no_text_is_an_error() {
        let error = write(&mut Vec::new(), &BTreeMap::from([(1, 2)])).unwrap_err();
        assert!(error.to_string().contains("must be a text"), "{error}");
    }
}
