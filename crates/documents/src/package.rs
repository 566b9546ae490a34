//! The head of a `.pkg`: what is in it, and how large it is.
//!
//! Two formats have the name. The PS4 and the PS5 begin with `\x7fCNT`, PS3, PSP and PS Vita with
//! `\x7fPKG`; both are big-endian. Places and types as the PS3 and PS4 developer wikis have them.
//! Only the first 192 bytes are needed, and the content is never looked at.

use crate::document::Content;
use crate::edit::{Form, Slot};
use crate::error::{DocumentError, shown};
use crate::octets::Octets;

const FORMAT: &str = "a PKG";

/// A content id has 36 characters: `EP1018-CUSA00135_00-BATMANARKHAMKNHT`.
const CONTENT_ID: usize = 36;

/// The head of a package.
#[derive(Debug, Clone)]
pub struct Package<'a> {
    octets: Octets<'a>,
    kind: Kind,
    content_id: &'a str,
    content_type: Option<u64>,
    size: Option<u64>,
    files: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// `\x7fCNT`
    Content,
    /// `\x7fPKG` of a PS3.
    Ps3 { debug: bool },
    /// `\x7fPKG` of a PSP or PS Vita.
    Portable { debug: bool },
}

impl Kind {
    /// Where the content id stands.
    fn content_id(self) -> usize {
        if self == Self::Content { 0x40 } else { 0x30 }
    }

    /// Where the size of the whole package stands: of a PS4 behind what a console needs first.
    fn size(self) -> usize {
        if self == Self::Content { 0x430 } else { 0x18 }
    }
}

impl<'a> Package<'a> {
    /// Reads the head.
    ///
    /// # Errors
    /// When it is none, or is cut off before its content id ends.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, DocumentError> {
        let octets = Octets { format: FORMAT, source: bytes };
        let kind = match octets.get(0..4)? {
            b"\x7fCNT" => Kind::Content,
            b"\x7fPKG" => {
                // The highest bit of the revision: made for retail.
                let debug = octets.big(4, 2)? & 0x8000 == 0;
                match octets.big(6, 2)? {
                    1 => Kind::Ps3 { debug },
                    2 => Kind::Portable { debug },
                    other => {
                        let problem = format!("its type is {other}, not 1 (PS3) or 2 (PSP, Vita)");
                        return Err(octets.error(6, problem));
                    }
                }
            }
            _ => return Err(octets.error(0, "it begins neither with 7f CNT nor with 7f PKG")),
        };
        let at = kind.content_id();
        let content_id = octets.text(at..at + CONTENT_ID)?;
        let is_id = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if let Some(wrong) = content_id.bytes().position(|byte| !is_id(byte)) {
            return Err(octets.error(at + wrong, "this is no character of a content id"));
        }
        let (content_type, files) = match kind {
            Kind::Content => (Some(octets.big(0x74, 4)?), octets.big(0x10, 4)?),
            _ => (portable_type(&octets), octets.big(0x14, 4)?),
        };
        let size = octets.big(kind.size(), 8).ok();
        Ok(Self { octets, kind, content_id, content_type, size, files })
    }

    /// What is in it, as `EP1018-CUSA00135_00-BATMANARKHAMKNHT`.
    #[must_use]
    pub fn content_id(&self) -> &'a str {
        self.content_id
    }

    /// The type of its content, as a number of its format.
    #[must_use]
    pub fn content_type(&self) -> Option<u64> {
        self.content_type
    }

    /// The bytes of the whole package; `None` where the head is cut off before.
    #[must_use]
    pub fn size(&self) -> Option<u64> {
        self.size
    }

    fn type_name(&self) -> Option<&'static str> {
        let content_type = self.content_type?;
        let names: &[(u64, &str)] =
            if self.kind == Kind::Content { &CONTENT_TYPES } else { &PORTABLE_TYPES };
        names.iter().find(|(number, _)| *number == content_type).map(|(_, name)| *name)
    }
}

/// Types of the content of a PS4's package.
const CONTENT_TYPES: [(u64, &str); 4] =
    [(0x1a, "game"), (0x1b, "add-on"), (0x1c, "add-on without data"), (0x1e, "delta patch")];

/// Types of the content of a package for PS3, PSP or PS Vita.
const PORTABLE_TYPES: [(u64, &str); 13] = [
    (0x04, "PS3 game data"),
    (0x05, "PS3 game"),
    (0x06, "PS1 game"),
    (0x07, "PSP game"),
    (0x09, "theme"),
    (0x0d, "avatar"),
    (0x0f, "PSP mini"),
    (0x10, "NEOGEO game"),
    (0x15, "PS Vita game"),
    (0x16, "PS Vita add-on"),
    (0x17, "PS Vita live area"),
    (0x18, "PS Mobile game"),
    (0x1f, "PS Vita theme"),
];

/// The type of the content from the list of metadata: entries of a number, a length, and so many
/// bytes; number 2 is the type. None where the list is not in the head.
fn portable_type(octets: &Octets<'_>) -> Option<u64> {
    let mut at = usize::try_from(octets.big(0x08, 4).ok()?).ok()?;
    let count = octets.big(0x0c, 4).ok()?;
    // About a dozen are usual.
    for _ in 0..count.min(64) {
        let number = octets.big(at, 4).ok()?;
        let length = usize::try_from(octets.big(at.checked_add(4)?, 4).ok()?).ok()?;
        let content = at.checked_add(8)?;
        if number == 2 && length == 4 {
            return octets.big(content, 4).ok();
        }
        at = content.checked_add(length)?;
    }
    None
}

impl Content for Package<'_> {
    fn source(&self) -> &[u8] {
        self.octets.source
    }

    fn summary(&self) -> String {
        let console = match self.kind {
            Kind::Content => "PS4 or PS5 package",
            Kind::Ps3 { debug: false } => "PS3 package",
            Kind::Ps3 { debug: true } => "PS3 debug package",
            Kind::Portable { debug: false } => "PSP or PS Vita package",
            Kind::Portable { debug: true } => "PSP or PS Vita debug package",
        };
        let id = if self.content_id.is_empty() { "no content id" } else { self.content_id };
        let mut line = format!("{console} {id}");
        match (self.type_name(), self.content_type) {
            (Some(name), _) => line.push_str(&format!(", {name}")),
            (None, Some(number)) => line.push_str(&format!(", type 0x{number:x}")),
            (None, None) => {}
        }
        match self.files {
            1 => line.push_str(", 1 entry"),
            files => line.push_str(&format!(", {files} entries")),
        }
        if let Some(size) = self.size {
            line.push_str(&format!(", {size} bytes"));
        }
        shown(&line)
    }

    fn slots(&self, key: &str) -> Vec<Slot> {
        let at = self.kind.content_id();
        let size = self.kind.size();
        let slot = match key {
            "content_id" => self.octets.text_slot(at..at + CONTENT_ID),
            "content_type" if self.kind == Kind::Content => {
                self.octets.number_slot(0x74..0x78, Form::Big)
            }
            "size" => self.octets.number_slot(size..size + 8, Form::Big),
            _ => None,
        };
        slot.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CNT: &[u8] = include_bytes!("../samples/ps4.pkg");
    const PS3: &[u8] = include_bytes!("../samples/ps3.pkg");
    const VITA: &[u8] = include_bytes!("../samples/psp2.pkg");

    #[test]
    fn a_line_says_what_is_in_it() {
        let summary = |bytes| Package::parse(bytes).unwrap().summary();
        assert_eq!(
            summary(CNT),
            "PS4 or PS5 package EP1018-CUSA00135_00-BATMANARKHAMKNHT, game, 20 entries, \
             107374182400 bytes"
        );
        // What a first slice may leave out.
        assert_eq!(
            summary(&CNT[..0x80]),
            "PS4 or PS5 package EP1018-CUSA00135_00-BATMANARKHAMKNHT, game, 20 entries"
        );
        assert_eq!(
            summary(PS3),
            "PS3 package UP0001-BLUS30001_00-EXAMPLE000000000, PS3 game, 7 entries, 1048576 bytes"
        );
        assert_eq!(
            summary(VITA),
            "PSP or PS Vita debug package UP9000-PCSA00107_00-EXAMPLE000000000, PS Vita game, \
             5 entries, 2097152 bytes"
        );
    }

    #[test]
    fn what_is_no_head_is_told_by_its_byte() {
        let mut wrong = CNT.to_vec();
        wrong[0x45] = b'\n';
        let error = Package::parse(&wrong).unwrap_err();
        assert_eq!((error.offset, error.position), (0x45, None));
        assert_eq!(Package::parse(&CNT[..0x50]).unwrap_err().offset, 0x50);
        assert!(Package::parse(b"MZ\0\0").is_err());
        let mut wrong = PS3.to_vec();
        wrong[7] = 9;
        assert_eq!(Package::parse(&wrong).unwrap_err().offset, 6);
    }
}
