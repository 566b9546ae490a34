//! `ps3-updatelist.txt`: lines of `name=value;` with CRLF at their ends. The PSP's list is
//! read in the same way: that it has the same lines is unconfirmed, nobody has published one.
//!
//! The changed list is the stub that PS3 proxies have served for years: for each destination one
//! line with `ImageVersion=00000000`, version 0.00 and a CDN address that ends in `nodata`; the
//! lines for incremental updates and for the oldest version that may sign in are gone. The image
//! address has to change here: the stub in use has it so, and a list with the real one is not
//! known to be taken.

use std::ops::Range;

use super::FORMAT;
use crate::edit::{Form, Slot};
use crate::error::{DocumentError, shown, text, without_mark};
use crate::patch::Patch;

/// The update list of a PS3; a PSP's too, as far as is known.
#[derive(Debug, Clone)]
pub struct Ps3UpdateList<'a> {
    source: &'a str,
    lines: Vec<Line<'a>>,
}

/// A line that is no comment.
#[derive(Debug, Clone)]
struct Line<'a> {
    /// The line with its end.
    span: Range<usize>,
    fields: Vec<Field<'a>>,
}

#[derive(Debug, Clone)]
struct Field<'a> {
    name: &'a str,
    value: &'a str,
    /// The value's place.
    span: Range<usize>,
}

impl<'a> Line<'a> {
    fn field(&self, name: &str) -> Option<&Field<'a>> {
        self.fields.iter().find(|field| field.name == name)
    }

    fn value(&self, name: &str) -> Option<&'a str> {
        self.field(name).map(|field| field.value)
    }

    /// Whether the line offers a whole image, not the step from one version to the next.
    fn is_image(&self) -> bool {
        self.field("ImageVersion").is_some() && self.field("IncrementalUpdateVersion").is_none()
    }
}

impl<'a> Ps3UpdateList<'a> {
    /// Reads the list.
    ///
    /// # Errors
    /// When a line is neither empty, nor a comment, nor fields that begin with `Dest`; when no
    /// line offers an image.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, DocumentError> {
        let source = text(FORMAT, bytes, crate::MAX_BYTES)?;
        let (body, mut at) = without_mark(source);
        let mut lines = Vec::new();
        for line in body.split_inclusive('\n') {
            let content = line.trim_end_matches(['\r', '\n']);
            if !content.trim().is_empty() && !content.starts_with('#') {
                let fields = fields(content, at)
                    .filter(|fields| fields[0].name == "Dest")
                    .ok_or_else(|| {
                        let problem = "a line is not `Dest=…;name=value;…`";
                        DocumentError::at(FORMAT, bytes, at, problem)
                    })?;
                lines.push(Line { span: at..at + line.len(), fields });
            }
            at += line.len();
        }
        if !lines.iter().any(Line::is_image) {
            let problem = "no line has an ImageVersion";
            return Err(DocumentError::at(FORMAT, bytes, source.len(), problem));
        }
        Ok(Self { source, lines })
    }

    /// What it offers, in one line.
    #[must_use]
    pub fn summary(&self) -> String {
        let image = self.lines.iter().find(|line| line.is_image());
        let value = |name| image.and_then(|line| line.value(name)).unwrap_or("?");
        let version = value("SystemSoftwareVersion");
        let short = version.strip_suffix("00").filter(|short| short.len() >= 4).unwrap_or(version);
        shown(&format!("offers {short}, destination {}", value("Dest")))
    }

    /// The same list as a stub that offers nothing; `None` where it offers nothing already.
    #[must_use]
    pub fn hide(&self) -> Option<Vec<u8>> {
        let mut patch = Patch::default();
        for line in &self.lines {
            if !line.is_image() {
                patch.remove(line.span.clone());
                continue;
            }
            for field in &line.fields {
                let new = match field.name {
                    "ImageVersion" => "00000000".to_owned(),
                    "SystemSoftwareVersion" => "0.00".to_owned(),
                    "CDN" => no_data(field.value),
                    _ => continue,
                };
                patch.replace(field.span.clone(), new);
            }
        }
        patch.apply(self.source)
    }
}

impl Ps3UpdateList<'_> {
    pub(super) fn source(&self) -> &[u8] {
        self.source.as_bytes()
    }

    /// The places of a field; the version that is forced is the oldest that may sign in, behind
    /// which a `-` stands.
    pub(super) fn slots(&self, key: &str) -> Vec<Slot> {
        let name = match key {
            "offer" => "SystemSoftwareVersion",
            "force" => "CompatibleSystemSoftwareVersion",
            "region" => "Dest",
            "image" => "CDN",
            _ => return Vec::new(),
        };
        let found = self.lines.iter().filter_map(|line| line.field(name));
        found
            .map(|field| {
                let old =
                    if key == "force" { field.value.trim_end_matches('-') } else { field.value };
                let span = field.span.start..field.span.start + old.len();
                Slot { span, old: old.to_owned(), form: Form::Plain(&[';', '\r', '\n']) }
            })
            .collect()
    }
}

/// The fields of a line that begins at byte `at` of the source; never none.
fn fields(line: &str, at: usize) -> Option<Vec<Field<'_>>> {
    let mut fields = Vec::new();
    let mut start = at;
    for part in line.split(';') {
        if !part.trim().is_empty() {
            let (name, value) = part.split_once('=')?;
            let from = start + name.len() + 1;
            fields.push(Field { name, value, span: from..from + value.len() });
        }
        start += part.len() + 1;
    }
    (!fields.is_empty()).then_some(fields)
}

/// `http://deu01…/image/eu/2016_1101_<hash>/PS3UPDAT.PUP` → `http://deu01…/image/eu/nodata`
fn no_data(url: &str) -> String {
    match url.rsplit('/').next() {
        Some("nodata") => url.to_owned(),
        _ => {
            let folder = url.rsplitn(3, '/').nth(2).filter(|folder| folder.len() > "http://".len());
            format!("{}/nodata", folder.unwrap_or(url))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = include_str!("../../samples/ps3-updatelist.txt");

    #[test]
    fn a_line_says_what_is_on_offer() {
        let list = Ps3UpdateList::parse(SAMPLE.as_bytes()).unwrap();
        assert_eq!(list.summary(), "offers 4.81, destination 85");
    }

    #[test]
    fn the_list_becomes_the_stub_that_consoles_take() {
        let hidden = Ps3UpdateList::parse(SAMPLE.as_bytes()).unwrap().hide().unwrap();
        assert_eq!(
            String::from_utf8(hidden.clone()).unwrap(),
            "# EU\r\nDest=85;ImageVersion=00000000;SystemSoftwareVersion=0.00;\
             CDN=http://deu01.ps3.update.playstation.net/update/ps3/image/eu/nodata;\
             CDN_Timeout=30;\r\n"
        );
        let list = Ps3UpdateList::parse(&hidden).unwrap();
        assert_eq!((list.summary().as_str(), list.hide()), ("offers 0.00, destination 85", None));
    }

    #[test]
    fn what_is_no_list_is_told_by_line() {
        let error = Ps3UpdateList::parse(b"# EU\r\n<html>\r\n").unwrap_err();
        assert_eq!((error.position.unwrap().line, error.offset), (2, 6));
        assert!(Ps3UpdateList::parse(b"# EU\r\n").unwrap_err().problem.contains("ImageVersion"));
        assert!(Ps3UpdateList::parse(b"Dest=85;;x;\r\n").is_err());
    }
}
