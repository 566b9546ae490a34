//! XML with the place of every attribute in the source, over quick-xml's events.
//!
//! A document type is refused, so there are no entities to expand; depth, elements and
//! attributes are bounded.

use std::borrow::Cow;
use std::ops::Range;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use crate::error::{DocumentError, text, without_mark};

/// None of these documents is deeper than 6.
const MAX_DEPTH: usize = 32;
/// The most that one element of these documents has is 5.
const MAX_ATTRIBUTES: usize = 64;

/// A document: its elements in the order of the source.
#[derive(Debug, Clone)]
pub(crate) struct Xml<'a> {
    format: &'static str,
    pub(crate) source: &'a str,
    elements: Vec<Element<'a>>,
}

/// An element: its name, the element around it, its attributes.
#[derive(Debug, Clone)]
pub(crate) struct Element<'a> {
    pub(crate) name: &'a str,
    pub(crate) parent: Option<usize>,
    attributes: Vec<Attribute<'a>>,
    offset: usize,
}

/// An attribute with the place of its value.
#[derive(Debug, Clone)]
pub(crate) struct Attribute<'a> {
    pub(crate) name: &'a str,
    /// The value without references.
    pub(crate) value: Cow<'a, str>,
    /// The value as it stands there.
    pub(crate) raw: &'a str,
    /// Where the value stands, without its quotes.
    pub(crate) span: Range<usize>,
}

impl<'a> Element<'a> {
    /// The value of an attribute.
    pub(crate) fn attribute(&self, name: &str) -> Option<&Attribute<'a>> {
        self.attributes.iter().find(|attribute| attribute.name == name)
    }

    /// The value of an attribute.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.attribute(name).map(|attribute| &*attribute.value)
    }

    /// The attributes, in order.
    pub(crate) fn attributes(&self) -> &[Attribute<'a>] {
        &self.attributes
    }
}

impl<'a> Xml<'a> {
    /// Reads a whole document; `format` names it in errors.
    pub(crate) fn parse(format: &'static str, bytes: &'a [u8]) -> Result<Self, DocumentError> {
        let source = text(format, bytes, crate::MAX_BYTES)?;
        let (body, base) = without_mark(source);
        let mut document = Self { format, source, elements: Vec::new() };
        let mut reader = Reader::from_str(body);
        let mut open: Vec<usize> = Vec::new();
        loop {
            let at = base + offset(reader.buffer_position());
            let event = match reader.read_event() {
                Ok(event) => event,
                Err(error) => {
                    let at = base + offset(reader.error_position());
                    return Err(document.error(at, error.to_string()));
                }
            };
            match event {
                Event::Start(tag) => {
                    document.push(&tag, &open, at)?;
                    open.push(document.elements.len() - 1);
                }
                Event::Empty(tag) => document.push(&tag, &open, at)?,
                Event::End(_) => {
                    open.pop();
                }
                Event::Text(text) if open.is_empty() && !text.trim_ascii().is_empty() => {
                    return Err(document.error(at, "there is text outside of the elements"));
                }
                Event::CData(_) | Event::GeneralRef(_) if open.is_empty() => {
                    return Err(document.error(at, "there is text outside of the elements"));
                }
                Event::Decl(declaration) => {
                    let encoding = declaration.encoding().and_then(Result::ok);
                    if let Some(name) = encoding.filter(|name| !is_utf8(name)) {
                        let problem = format!("it says it is {name}, UTF-8 was expected");
                        return Err(document.error(at, problem));
                    }
                }
                // What a document type can do (entities, bombs of them, other files) has no
                // place here, and no console's list has one.
                Event::DocType(_) => {
                    return Err(document.error(at, "a document type may not stand here"));
                }
                Event::Eof => break,
                _ => {}
            }
        }
        match open.last() {
            Some(&last) => {
                let name = document.elements[last].name;
                Err(document.error(source.len(), format!("it ends before </{name}>")))
            }
            None if document.elements.is_empty() => {
                Err(document.error(source.len(), "there is no element"))
            }
            None => Ok(document),
        }
    }

    /// The outermost element.
    pub(crate) fn root(&self) -> &Element<'a> {
        // `parse` refuses a document without an element.
        &self.elements[0]
    }

    /// All elements, in the order of the source.
    pub(crate) fn elements(&self) -> &[Element<'a>] {
        &self.elements
    }

    /// The elements of this name.
    pub(crate) fn named<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s Element<'a>> {
        self.elements.iter().filter(move |element| element.name == name)
    }

    /// The name of the element around this one; empty for the outermost.
    pub(crate) fn around(&self, element: &Element<'a>) -> &'a str {
        element.parent.map_or("", |parent| self.elements[parent].name)
    }

    /// Whether the element stands in one of this name, at any depth.
    pub(crate) fn is_within(&self, element: &Element<'a>, name: &str) -> bool {
        let mut around = element.parent;
        while let Some(parent) = around {
            if self.elements[parent].name == name {
                return true;
            }
            around = self.elements[parent].parent;
        }
        false
    }

    /// The root must have this name.
    pub(crate) fn expect_root(&self, name: &str) -> Result<(), DocumentError> {
        let root = self.root();
        if root.name == name {
            return Ok(());
        }
        Err(self.error(root.offset, format!("<{name}> was expected, not <{}>", root.name)))
    }

    /// An error at a byte.
    pub(crate) fn error(&self, at: usize, problem: impl Into<String>) -> DocumentError {
        DocumentError::at(self.format, self.source.as_bytes(), at, problem)
    }

    fn push(
        &mut self,
        tag: &BytesStart<'_>,
        open: &[usize],
        at: usize,
    ) -> Result<(), DocumentError> {
        if open.len() >= MAX_DEPTH {
            return Err(self.error(at, format!("it is nested deeper than {MAX_DEPTH}")));
        }
        if open.is_empty() && !self.elements.is_empty() {
            return Err(self.error(at, "there is a second outermost element"));
        }
        let name = self.slice(tag.name().0, at)?;
        let mut element =
            Element { name, parent: open.last().copied(), attributes: Vec::new(), offset: at };
        // quick-xml's own look for doubles takes the square of their number; it is bounded below.
        for attribute in tag.attributes().with_checks(false) {
            let attribute = attribute.map_err(|error| self.error(at, error.to_string()))?;
            let raw = self.slice(&attribute.value, at)?;
            let span = place(self.source, raw).unwrap_or_default();
            let name = self.slice(attribute.key.0, at)?;
            let value = quick_xml::escape::unescape(raw)
                .map_err(|error| self.error(span.start, error.to_string()))?;
            if element.attribute(name).is_some() {
                return Err(self.error(span.start, format!("the attribute {name} is there twice")));
            }
            if element.attributes.len() >= MAX_ATTRIBUTES {
                let problem = format!("an element has more than {MAX_ATTRIBUTES} attributes");
                return Err(self.error(at, problem));
            }
            element.attributes.push(Attribute { name, value, raw, span });
        }
        self.elements.push(element);
        Ok(())
    }

    /// The same text as a part of the source, which it is: quick-xml lends from what it reads.
    fn slice(&self, part: &str, at: usize) -> Result<&'a str, DocumentError> {
        place(self.source, part)
            .and_then(|span| self.source.get(span))
            .ok_or_else(|| self.error(at, "a tag cannot be read"))
    }
}

/// Where `part` stands in `source`, of which it is a part.
fn place(source: &str, part: &str) -> Option<Range<usize>> {
    let start = (part.as_ptr() as usize).checked_sub(source.as_ptr() as usize)?;
    let end = start + part.len();
    (end <= source.len()).then_some(start..end)
}

/// quick-xml counts in u64; a source in memory fits usize.
fn offset(position: u64) -> usize {
    usize::try_from(position).unwrap_or(usize::MAX)
}

fn is_utf8(encoding: &str) -> bool {
    ["utf-8", "utf8", "us-ascii"].iter().any(|name| encoding.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(source: &[u8]) -> String {
        Xml::parse("an update list", source).map(|_| ()).unwrap_err().to_string()
    }

    #[test]
    fn values_come_with_their_place_whatever_is_around_them() {
        let source =
            "\u{feff}<?xml version=\"1.0\"?>\r\n<!-- <a/> --><a  x = 'a&amp;b'\n y=\"2\"/>";
        let xml = Xml::parse("x", source.as_bytes()).unwrap();
        let x = xml.root().attribute("x").unwrap();
        assert_eq!((&*x.value, &source[x.span.clone()]), ("a&b", "a&amp;b"));
    }

    #[test]
    fn errors_name_line_and_byte() {
        assert_eq!(
            problem(b"<a>\n<b>\n</a>"),
            "not an update list: ill-formed document: expected `</b>`, but `</a>` was found, \
             at line 3 (byte 8)"
        );
        assert!(problem(b"<a>\n").ends_with("it ends before </a>, at line 2 (byte 4)"));
    }

    #[test]
    fn what_has_no_place_in_a_list_is_refused() {
        for (source, expected) in [
            (&b"<!DOCTYPE a [<!ENTITY b \"bb\">]><a/>"[..], "document type"),
            (b"<a x='&b;'/>", "entity"),
            (b"\xff\xfe<\0a\0/\0>\0", "UTF-16"),
            (b"<?xml version='1.0' encoding='shift_jis'?><a/>", "shift_jis"),
            (b"<a>\xff</a>", "not UTF-8"),
            (b"<a/><b/>", "second outermost"),
            (b"<a/>text", "text outside"),
            (b"<a x='1' x='2'/>", "twice"),
            (b"", "no element"),
        ] {
            let problem = problem(source);
            assert!(problem.contains(expected), "{problem}");
        }
        assert!(problem("<a>".repeat(40).as_bytes()).contains("deeper than 32"));
        assert!(problem(&vec![b' '; crate::MAX_BYTES + 1]).contains("more than"));
        let many = format!("<a {}/>", (0..65).map(|n| format!("x{n}='' ")).collect::<String>());
        assert!(problem(many.as_bytes()).contains("more than 64 attributes"));
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_text_never_panics(source in "[<>a-c/='\"&;!?\\[\\]\\- \n\u{feff}é]{0,60}") {
            let _ = Xml::parse("x", source.as_bytes());
        }
    }
}
