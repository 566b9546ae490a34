//! XML with the place of every attribute in the source, over quick-xml's events.
//!
//! A document type is refused, so there are no entities to expand; depth, elements and
//! attributes are bounded. The text of an element is kept where it has no elements inside.

use std::borrow::Cow;
use std::ops::Range;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use crate::edit::{Form, Slot};
use crate::error::{DocumentError, text, without_mark};

/// None of these documents is deeper than 6.
const MAX_DEPTH: usize = 32;
/// The most that one element of these documents has is 10.
const MAX_ATTRIBUTES: usize = 64;
/// More than any of these documents has by two orders of magnitude; what they cost in memory is
/// bounded by it.
const MAX_ELEMENTS: usize = 20_000;

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
    text: Option<Text<'a>>,
    pub(crate) offset: usize,
}

/// The text of an element without white space around it.
#[derive(Debug, Clone)]
struct Text<'a> {
    /// The text without references.
    value: Cow<'a, str>,
    /// Where it stands, without the marks of a CDATA section.
    span: Range<usize>,
    /// Whether it stands in a CDATA section.
    is_cdata: bool,
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

    /// The text of an element that holds nothing else; empty text is none.
    pub(crate) fn text(&self) -> Option<&str> {
        self.text.as_ref().map(|text| &*text.value)
    }

    /// The place of an attribute's value.
    pub(crate) fn slot(&self, name: &str) -> Option<Slot> {
        self.attribute(name).map(Attribute::slot)
    }

    /// The place of the text.
    pub(crate) fn text_slot(&self) -> Option<Slot> {
        let Text { value, span, is_cdata } = self.text.as_ref()?;
        let form = if *is_cdata { Form::Cdata } else { Form::Text };
        Some(Slot { span: span.clone(), old: value.to_string(), form })
    }

    /// The attributes, in order.
    pub(crate) fn attributes(&self) -> &[Attribute<'a>] {
        &self.attributes
    }
}

impl Attribute<'_> {
    /// The place of its value.
    pub(crate) fn slot(&self) -> Slot {
        Slot { span: self.span.clone(), old: self.value.to_string(), form: Form::Attribute }
    }
}

impl<'a> Xml<'a> {
    /// Reads a whole document; `format` names it in errors.
    pub(crate) fn parse(format: &'static str, bytes: &'a [u8]) -> Result<Self, DocumentError> {
        let source = text(format, bytes, crate::MAX_BYTES)?;
        let (body, base) = without_mark(source);
        let mut document = Self { format, source, elements: Vec::new() };
        let mut reader = Reader::from_str(body);
        // The elements that are open, each with where its content begins.
        let mut open: Vec<(usize, usize)> = Vec::new();
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
                    let number = document.elements.len() - 1;
                    open.push((number, base + offset(reader.buffer_position())));
                }
                Event::Empty(tag) => document.push(&tag, &open, at)?,
                Event::End(_) => {
                    if let Some((number, start)) = open.pop()
                        && number + 1 == document.elements.len()
                    {
                        document.elements[number].text = document.text_of(start..at)?;
                    }
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
            Some(&(last, _)) => {
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

    /// The places of the text of the elements of this name.
    pub(crate) fn text_slots(&self, name: &str) -> Vec<Slot> {
        self.named(name).filter_map(Element::text_slot).collect()
    }

    /// The places of an attribute of the elements of this name.
    pub(crate) fn slots(&self, element: &str, attribute: &str) -> Vec<Slot> {
        self.named(element).filter_map(|element| element.slot(attribute)).collect()
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
        open: &[(usize, usize)],
        at: usize,
    ) -> Result<(), DocumentError> {
        if open.len() >= MAX_DEPTH {
            return Err(self.error(at, format!("it is nested deeper than {MAX_DEPTH}")));
        }
        if self.elements.len() >= MAX_ELEMENTS {
            return Err(self.error(at, format!("it has more than {MAX_ELEMENTS} elements")));
        }
        if open.is_empty() && !self.elements.is_empty() {
            return Err(self.error(at, "there is a second outermost element"));
        }
        let name = self.slice(tag.name().0, at)?;
        let parent = open.last().map(|&(parent, _)| parent);
        let mut element = Element { name, parent, attributes: Vec::new(), text: None, offset: at };
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

    /// The text between the tags of an element that has no elements inside; `None` where there is
    /// none, or comments stand in it.
    fn text_of(&self, content: Range<usize>) -> Result<Option<Text<'a>>, DocumentError> {
        let raw = self.source.get(content.clone()).unwrap_or_default();
        let start = content.start + (raw.len() - raw.trim_start().len());
        let raw = raw.trim();
        if let Some(inner) = raw.strip_prefix("<![CDATA[").and_then(|raw| raw.strip_suffix("]]>"))
            && !inner.contains("]]>")
        {
            let start = start + "<![CDATA[".len();
            let span = start..start + inner.len();
            return Ok(Some(Text { value: Cow::Borrowed(inner), span, is_cdata: true }));
        }
        if raw.is_empty() || raw.contains('<') {
            return Ok(None);
        }
        let value = quick_xml::escape::unescape(raw)
            .map_err(|error| self.error(start, error.to_string()))?;
        Ok(Some(Text { value, span: start..start + raw.len(), is_cdata: false }))
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
    fn text_comes_with_its_place_where_nothing_else_is_inside() {
        let source =
            "<a>\n <b> x &amp;\ty </b><c><![CDATA[ <z> ]]></c><d>t<!-- --></d><e> </e></a>";
        let xml = Xml::parse("x", source.as_bytes()).unwrap();
        let found = |name| {
            let slot = xml.named(name).next().unwrap().text_slot();
            slot.map(|slot| (slot.old, &source[slot.span], slot.form == Form::Cdata))
        };
        assert_eq!(found("b"), Some(("x &\ty".to_owned(), "x &amp;\ty", false)));
        assert_eq!(found("c"), Some((" <z> ".to_owned(), " <z> ", true)));
        assert_eq!((found("d"), found("e"), found("a")), (None, None, None));
    }

    #[test]
    fn errors_name_line_and_byte() {
        assert_eq!(
            problem(b"<a>\n<b>\n</a>"),
            "not an update list: ill-formed document: expected `</b>`, but `</a>` was found, \
             at line 3, column 1 (byte 8)"
        );
        assert!(problem(b"<a>\n").ends_with("it ends before </a>, at line 2, column 1 (byte 4)"));
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
            (b"<a>&b;</a>", "entity"),
            (b"<\0a\0/\0>\0", "UTF-16"),
            (b"<?xml version='1.0' encoding='ISO-8859-1'?><a/>", "ISO-8859-1"),
            (b"<a>\0</a>", "zero byte"),
        ] {
            let problem = problem(source);
            assert!(problem.contains(expected), "{problem}");
        }
        assert!(problem("<a>".repeat(40).as_bytes()).contains("deeper than 32"));
        assert!(problem(&vec![b' '; crate::MAX_BYTES + 1]).contains("more than"));
        assert!(
            problem(&[b"<a>".as_slice(), &b"<b/>".repeat(20_000)].concat()).contains("elements")
        );
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
