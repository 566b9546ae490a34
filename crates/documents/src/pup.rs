//! The head of a `.PUP`: which firmware it brings, and what is in it.
//!
//! A PS3's begins with `SCEUF` and is big-endian; a PS Vita's has a 1 behind that name and is
//! little-endian; those of PS4 and PS5 are `SLB2` containers: a table of the files in it, in
//! blocks of 512 bytes. Places as the developer wikis have them.

use crate::document::Content;
use crate::edit::{Form, Slot};
use crate::error::{DocumentError, shown};
use crate::firmware::Firmware;
use crate::octets::Octets;

const FORMAT: &str = "a PUP";

/// More files than any of them has.
const MAX_FILES: u64 = 64;
const BLOCK: u64 = 512;

/// The head of a firmware image.
#[derive(Debug, Clone)]
pub struct UpdatePackage<'a> {
    octets: Octets<'a>,
    kind: Kind<'a>,
}

#[derive(Debug, Clone)]
enum Kind<'a> {
    Ps3 { image: u64, files: u64, size: u64 },
    Vita { version: u64, files: u64, size: u64 },
    Container { size: u64, files: Vec<(&'a str, u64)> },
}

impl<'a> UpdatePackage<'a> {
    /// Reads the head.
    ///
    /// # Errors
    /// When it is none, is cut off, or says what cannot be.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, DocumentError> {
        let octets = Octets { format: FORMAT, source: bytes };
        let kind = match (octets.get(0..4)?, bytes.get(..8)) {
            (b"SLB2", _) => container(&octets)?,
            (_, Some(b"SCEUF\0\0\0")) => Kind::Ps3 {
                image: octets.big(0x10, 8)?,
                files: octets.big(0x18, 8)?,
                size: sum(&octets, octets.big(0x20, 8)?, octets.big(0x28, 8)?)?,
            },
            (_, Some(b"SCEUF\0\0\x01")) => Kind::Vita {
                version: octets.little(0x10, 4)?,
                files: octets.little(0x18, 8)?,
                size: sum(&octets, octets.little(0x20, 8)?, octets.little(0x28, 8)?)?,
            },
            _ => return Err(octets.error(0, "it begins neither with SCEUF nor with SLB2")),
        };
        Ok(Self { octets, kind })
    }

    /// The bytes of the whole image.
    #[must_use]
    pub fn size(&self) -> u64 {
        match self.kind {
            Kind::Ps3 { size, .. } | Kind::Vita { size, .. } | Kind::Container { size, .. } => size,
        }
    }
}

/// The head's length and that of what follows.
fn sum(octets: &Octets<'_>, head: u64, data: u64) -> Result<u64, DocumentError> {
    head.checked_add(data).ok_or_else(|| octets.error(0x20, "its lengths are larger than 64 bits"))
}

fn container<'a>(octets: &Octets<'a>) -> Result<Kind<'a>, DocumentError> {
    let count = octets.little(0x0c, 4)?;
    if count > MAX_FILES {
        return Err(octets.error(0x0c, format!("it has {count} files, more than {MAX_FILES}")));
    }
    let size = octets.little(0x10, 4)? * BLOCK;
    let mut files = Vec::new();
    let mut at = 0x20;
    for _ in 0..count {
        let bytes = octets.little(at + 4, 4)?;
        files.push((octets.text(at + 0x10..at + 0x30)?, bytes));
        at += 0x30;
    }
    Ok(Kind::Container { size, files })
}

impl Content for UpdatePackage<'_> {
    fn source(&self) -> &[u8] {
        self.octets.source
    }

    fn summary(&self) -> String {
        let line = match &self.kind {
            Kind::Ps3 { image, files, size } => {
                format!("PS3 firmware, image {image:08x}, {files} files, {size} bytes")
            }
            Kind::Vita { version, files, size } => {
                let version = u32::try_from(*version).ok().and_then(Firmware::from_packed);
                let version = version.map_or_else(|| "?".to_owned(), |version| version.to_string());
                format!("PS Vita firmware {version}, {files} files, {size} bytes")
            }
            Kind::Container { size, files } => {
                let console = if files.iter().any(|(name, _)| name.starts_with("PS5")) {
                    "PS5 firmware"
                } else if files.iter().any(|(name, _)| name.starts_with("PS4")) {
                    "PS4 firmware"
                } else {
                    "firmware"
                };
                let files: Vec<String> =
                    files.iter().map(|(name, bytes)| format!("{name} ({bytes} bytes)")).collect();
                format!("{console}, {size} bytes: {}", files.join(", "))
            }
        };
        shown(&line)
    }

    fn slots(&self, key: &str) -> Vec<Slot> {
        let slot = match (key, &self.kind) {
            ("image", Kind::Ps3 { .. }) => self.octets.number_slot(0x10..0x18, Form::Big),
            ("image", Kind::Vita { .. }) => self.octets.number_slot(0x10..0x14, Form::Little),
            _ => None,
        };
        slot.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PS4: &[u8] = include_bytes!("../samples/ps4.pup");

    #[test]
    fn a_line_says_which_firmware_it_is() {
        let summary = |bytes: &[u8]| UpdatePackage::parse(bytes).unwrap().summary();
        assert_eq!(
            summary(PS4),
            "PS4 firmware, 467132416 bytes: PS4UPDATE1.PUP (229537280 bytes), \
             PS4UPDATE2.PUP (237593600 bytes)"
        );
        assert_eq!(
            summary(include_bytes!("../samples/ps3.pup")),
            "PS3 firmware, image 000104e2, 9 files, 205521920 bytes"
        );
        assert_eq!(
            summary(include_bytes!("../samples/psp2.pup")),
            "PS Vita firmware 3.74, 25 files, 133758464 bytes"
        );
    }

    #[test]
    fn heads_that_cannot_be_are_refused() {
        let mut many = PS4.to_vec();
        many[0x0f] = 0x7f;
        assert_eq!(UpdatePackage::parse(&many).unwrap_err().offset, 0x0c);
        assert_eq!(UpdatePackage::parse(&PS4[..0x60]).unwrap_err().offset, 0x60);
        let mut huge = include_bytes!("../samples/ps3.pup").to_vec();
        huge[0x20..0x30].fill(0xff);
        assert!(UpdatePackage::parse(&huge).unwrap_err().problem.contains("64 bits"));
        assert!(UpdatePackage::parse(b"SCEUF\0\0\x02").is_err());
    }
}
