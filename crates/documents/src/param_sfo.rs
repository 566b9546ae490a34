//! `PARAM.SFO`: what a title says of itself, as a table of names and values. Little-endian: a
//! head of 20 bytes, an index of 16 bytes an entry, the names, the values.

use crate::document::Content;
use crate::edit::{Form, Slot};
use crate::error::{DocumentError, shown};
use crate::firmware::Firmware;
use crate::octets::Octets;

const FORMAT: &str = "a PARAM.SFO";

const HEAD: usize = 20;
const INDEX: usize = 16;
/// About 30 are usual.
const MAX_ENTRIES: usize = 512;

/// A `PARAM.SFO`.
#[derive(Debug, Clone)]
pub struct ParamSfo<'a> {
    octets: Octets<'a>,
    entries: Vec<Entry<'a>>,
}

/// An entry with the places of what it says.
#[derive(Debug, Clone)]
struct Entry<'a> {
    name: &'a str,
    value: SfoValue<'a>,
    /// Where its index stands.
    index: usize,
    /// Where the value may stand, up to what is kept free for it.
    start: usize,
    room: usize,
    /// Whether the text ends with a zero that its length counts.
    closed: bool,
}

/// A value of a `PARAM.SFO`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SfoValue<'a> {
    /// Text.
    Text(&'a str),
    /// A number.
    Number(u32),
    /// Bytes of another kind.
    Bytes(&'a [u8]),
}

impl<'a> ParamSfo<'a> {
    /// Reads it.
    ///
    /// # Errors
    /// When it is none; when a name or a value does not lie in it.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, DocumentError> {
        let octets = Octets { format: FORMAT, source: bytes };
        if octets.get(0..4)? != b"\0PSF" {
            return Err(octets.error(0, "it does not begin with 00 PSF"));
        }
        let place = |at: usize, width: usize| -> Result<usize, DocumentError> {
            let number = octets.little(at, width)?;
            // What is larger than this machine can count lies outside of the source, too.
            Ok(usize::try_from(number).unwrap_or(usize::MAX))
        };
        let (names, values, count) = (place(0x08, 4)?, place(0x0c, 4)?, place(0x10, 4)?);
        if count > MAX_ENTRIES {
            let problem = format!("it has {count} entries, more than {MAX_ENTRIES}");
            return Err(octets.error(0x10, problem));
        }
        let outside = |at: usize| octets.error(at, "this lies outside of the file");
        let mut entries: Vec<Entry<'a>> = Vec::with_capacity(count);
        for number in 0..count {
            let index = HEAD + number * INDEX;
            let name = names.saturating_add(place(index, 2)?);
            let kind = octets.little(index + 2, 2)?;
            let (length, room) = (place(index + 4, 4)?, place(index + 8, 4)?);
            let start = values.saturating_add(place(index + 12, 4)?);
            if name >= bytes.len() {
                return Err(outside(index));
            }
            let end = start.checked_add(length.max(room)).filter(|end| *end <= bytes.len());
            if end.is_none() || length > room {
                return Err(outside(index + 4));
            }
            let name = octets.text(name..bytes.len())?;
            if name.is_empty() || entries.iter().any(|entry| entry.name == name) {
                return Err(octets.error(index, "a name is empty or there twice"));
            }
            let value = match kind {
                0x0404 => SfoValue::Number(u32::try_from(octets.little(start, 4)?).unwrap_or(0)),
                0x0204 => SfoValue::Text(octets.text(start..start + length)?),
                0x0004 => SfoValue::Bytes(octets.get(start..start + length)?),
                other => {
                    let problem = format!("a value has the unknown type 0x{other:04x}");
                    return Err(octets.error(index + 2, problem));
                }
            };
            let closed = kind == 0x0204;
            entries.push(Entry { name, value, index, start, room, closed });
        }
        Ok(Self { octets, entries })
    }

    /// Its names and values, in order.
    pub fn entries(&self) -> impl Iterator<Item = (&'a str, SfoValue<'a>)> + '_ {
        self.entries.iter().map(|entry| (entry.name, entry.value))
    }

    /// The text of a name.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&'a str> {
        self.entries().find_map(|(found, value)| match value {
            SfoValue::Text(text) if found == name => Some(text),
            _ => None,
        })
    }

    /// The firmware that the title needs.
    #[must_use]
    pub fn system(&self) -> Option<Firmware> {
        self.entries().find_map(|(name, value)| match (name, value) {
            ("SYSTEM_VER" | "PSP2_SYSTEM_VER", SfoValue::Number(number)) => {
                Firmware::from_packed(number)
            }
            ("PS3_SYSTEM_VER" | "PSP_SYSTEM_VER", SfoValue::Text(text)) => text.parse().ok(),
            _ => None,
        })
    }
}

impl Content for ParamSfo<'_> {
    fn source(&self) -> &[u8] {
        self.octets.source
    }

    fn summary(&self) -> String {
        let id = self.text("CONTENT_ID").filter(|id| !id.is_empty());
        let mut line = id.or_else(|| self.text("TITLE_ID")).unwrap_or("no title").to_owned();
        if let Some(title) = self.text("TITLE") {
            line.push_str(&format!(" {title:?}"));
        }
        if let Some(version) = self.text("APP_VER").or_else(|| self.text("VERSION")) {
            line.push_str(&format!(", version {version}"));
        }
        if let Some(category) = self.text("CATEGORY") {
            line.push_str(&format!(", category {category}"));
        }
        if let Some(system) = self.system() {
            line.push_str(&format!(", needs {system}"));
        }
        shown(&line)
    }

    fn slots(&self, key: &str) -> Vec<Slot> {
        let names: &[&str] = match key {
            "title" => &["TITLE"],
            "title_id" => &["TITLE_ID"],
            "content_id" => &["CONTENT_ID"],
            "category" => &["CATEGORY"],
            "app_version" => &["APP_VER"],
            "version" => &["VERSION"],
            "system" => &["PS3_SYSTEM_VER", "PSP_SYSTEM_VER", "SYSTEM_VER", "PSP2_SYSTEM_VER"],
            _ => return Vec::new(),
        };
        let entry = self.entries.iter().find(|entry| names.contains(&entry.name));
        entry.and_then(|entry| entry.slot(key == "system")).into_iter().collect()
    }
}

impl Entry<'_> {
    /// The place of its value: a text, or a number that holds a version.
    fn slot(&self, is_system: bool) -> Option<Slot> {
        match self.value {
            SfoValue::Text(old) => {
                let span = self.start..self.start + self.room;
                let length = self.index + 4..self.index + 8;
                let form = Form::Counted { length, closed: self.closed };
                Some(Slot { span, old: old.to_owned(), form })
            }
            SfoValue::Number(number) if is_system => {
                let old = Firmware::from_packed(number)?.to_string();
                Some(Slot { span: self.start..self.start + 4, old, form: Form::PackedLittle })
            }
            SfoValue::Number(_) | SfoValue::Bytes(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &[u8] = include_bytes!("../samples/param.sfo");

    #[test]
    fn a_line_says_which_title_it_is() {
        let sfo = ParamSfo::parse(SAMPLE).unwrap();
        assert_eq!(
            sfo.summary(),
            "UP0000-CUSA00001_00-EXAMPLE000000000 \"Example Title\", version 01.18, category gd, \
             needs 5.05"
        );
        assert_eq!(sfo.entries().count(), 7);
    }

    #[test]
    fn places_outside_of_the_file_are_told() {
        for (at, offset) in [(0x14, 0x14), (0x08 + 3, 0x14), (0x18 + 3, 0x18), (0x10 + 1, 0x10)] {
            let mut wrong = SAMPLE.to_vec();
            wrong[at] = 0xff;
            wrong[at + 1] = 0xff;
            let error = ParamSfo::parse(&wrong).unwrap_err();
            assert_eq!(error.offset, offset, "{error}");
        }
    }
}
