//! Setting elements and attributes of an XML document where they stand.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use quick_xml::Reader;
use quick_xml::events::Event;

/// The place of elements, or of an attribute of them: names joined by slashes from the root on, as
/// `update_data_list/region/force_update/system@level1_system_version`; `*` is any element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct XmlPath {
    elements: Vec<String>,
    attribute: Option<String>,
}

/// As `edit::json`, deeper than any of these documents.
const MAX_DEPTH: usize = 128;

impl XmlPath {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (elements, attribute) = match text.split_once('@') {
            Some((elements, attribute)) => (elements, Some(attribute.to_owned())),
            None => (text, None),
        };
        let elements: Vec<String> =
            elements.trim_start_matches('/').split('/').map(str::to_owned).collect();
        let fine = elements.iter().all(|name| name == "*" || is_name(name));
        if !fine || attribute.as_deref().is_some_and(|name| !is_name(name)) {
            return Err(format!(
                "{text:?} is no place in XML: write element/element@attribute, from the root on"
            ));
        }
        Ok(Self { elements, attribute })
    }

    fn fits(&self, open: &[String]) -> bool {
        let same = |(wanted, name): (&String, &String)| wanted == "*" || wanted == name;
        open.len() == self.elements.len() && self.elements.iter().zip(open).all(same)
    }
}

fn is_name(name: &str) -> bool {
    let fits = |c: char| c.is_alphanumeric() || "_-.:".contains(c);
    name.chars().next().is_some_and(|c| c.is_alphabetic() || c == '_') && name.chars().all(fits)
}

impl fmt::Display for XmlPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.elements.join("/"))?;
        self.attribute.as_ref().map_or(Ok(()), |name| write!(f, "@{name}"))
    }
}

/// Sets what stands at `path` to `value`: the document, and how many places there were.
pub(crate) fn set(body: &[u8], path: &XmlPath, value: &str) -> Result<(Vec<u8>, usize), String> {
    let (mark, text) = super::text(body)?;
    let edits = edits(text, path, value)?;
    let mut changed = mark.to_owned();
    let mut done = 0;
    for (at, new) in &edits {
        changed.push_str(&text[done..at.start]);
        changed.push_str(new);
        done = at.end;
    }
    changed.push_str(&text[done..]);
    Ok((changed.into_bytes(), edits.len()))
}

type Edit = (Range<usize>, String);

fn edits(text: &str, path: &XmlPath, value: &str) -> Result<Vec<Edit>, String> {
    let mut reader = Reader::from_str(text);
    let mut open: Vec<String> = Vec::new();
    let mut edits = Vec::new();
    // Where the content of the element begins whose text is to be replaced.
    let mut content: Option<usize> = None;
    loop {
        let at = place(reader.buffer_position());
        let event = reader
            .read_event()
            .map_err(|error| format!("not XML (byte {}): {error}", reader.error_position()))?;
        let end = place(reader.buffer_position());
        match event {
            Event::Start(tag) => {
                if content.is_some() {
                    return Err(format!("{path} holds elements, and only text can be replaced"));
                }
                if open.len() == MAX_DEPTH {
                    return Err(format!("nested deeper than {MAX_DEPTH} elements"));
                }
                open.push(tag.name().0.to_owned());
                if path.fits(&open) {
                    match &path.attribute {
                        Some(name) => edits.push(attribute(text, at..end - 1, name, value)?),
                        None => content = Some(end),
                    }
                }
            }
            Event::Empty(tag) => {
                let name = tag.name().0.to_owned();
                open.push(name.clone());
                if path.fits(&open) {
                    let inside = at..text[..end].trim_end_matches('>').trim_end_matches('/').len();
                    match &path.attribute {
                        Some(name) => edits.push(attribute(text, inside, name, value)?),
                        None => {
                            let begin = text[..inside.end].trim_end().len();
                            edits.push((begin..end, format!(">{}</{name}>", escape(value, '<'))));
                        }
                    }
                }
                open.pop();
            }
            Event::End(_) => {
                if let Some(begin) = content.take() {
                    edits.push((begin..at, escape(value, '<').into_owned()));
                }
                open.pop();
            }
            Event::Decl(declaration) => {
                let encoding = declaration.encoding().and_then(Result::ok);
                if let Some(name) = encoding.filter(|name| !name.eq_ignore_ascii_case("utf-8")) {
                    return Err(format!("XML in {name}, and only UTF-8 can be changed"));
                }
            }
            Event::Eof if open.is_empty() => return Ok(edits),
            Event::Eof => return Err("not XML: it ends within an element".to_owned()),
            _ => {}
        }
    }
}

/// The change to an attribute of the tag that stands there, without its end; it is added where
/// the element does not have it.
fn attribute(text: &str, tag: Range<usize>, name: &str, value: &str) -> Result<Edit, String> {
    let source = &text[tag.clone()];
    let mut rest = source.find(|c: char| c.is_whitespace()).unwrap_or(source.len());
    while let Some(equals) = source[rest..].find('=').map(|at| rest + at) {
        let found = source[rest..equals].trim();
        let after = &source[equals + 1..];
        let begin = equals + 1 + (after.len() - after.trim_start().len());
        let quote = source[begin..].chars().next().filter(|c| matches!(c, '"' | '\''));
        let quote = quote.ok_or_else(|| format!("not XML: {found} has no quotes"))?;
        let begin = begin + 1;
        let length = source[begin..].find(quote).ok_or("not XML: a quote is open")?;
        if found == name {
            let at = tag.start + begin..tag.start + begin + length;
            return Ok((at, escape(value, quote).into_owned()));
        }
        rest = begin + length + 1;
    }
    let at = tag.start + source.trim_end().len();
    Ok((at..at, format!(" {name}=\"{}\"", escape(value, '"'))))
}

/// The text as it may stand in an element, or between these quotes.
fn escape(value: &str, delimiter: char) -> Cow<'_, str> {
    if !value.contains(['&', '<', '>', delimiter]) {
        return Cow::Borrowed(value);
    }
    let escaped = value.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    Cow::Owned(match delimiter {
        '"' => escaped.replace('"', "&quot;"),
        '\'' => escaped.replace('\'', "&apos;"),
        _ => escaped,
    })
}

/// A position in a text in memory, which is one of its indices.
fn place(position: u64) -> usize {
    usize::try_from(position).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "\u{feff}<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n<list >\r\n  \
                        <region id='us' ><v a = \"1\" b=\"x&amp;y\">old</v><e/><v a=\"2\"/></region>\r\n</list>\r\n";

    fn changed(path: &str, value: &str) -> Result<(String, usize), String> {
        let path = XmlPath::parse(path)?;
        let (body, places) = set(LIST.as_bytes(), &path, value)?;
        Ok((String::from_utf8(body).unwrap(), places))
    }

    #[test]
    fn elements_and_attributes_are_set_where_they_stand() {
        for (path, value, from, to) in [
            ("list/region@id", "it's", "'us'", "'it&apos;s'"),
            ("list/region/e", "a<b", "<e/>", "<e>a&lt;b</e>"),
            ("list/*/e@n", "\"", "<e/>", "<e n=\"&quot;\"/>"),
            ("list@x", "1", "<list >", "<list x=\"1\" >"),
            ("/list/region/v@b", "", "b=\"x&amp;y\"", "b=\"\""),
        ] {
            let (body, places) = changed(path, value).unwrap();
            let places_there = if path.ends_with("@b") { 2 } else { 1 };
            let mut expected = LIST.replace(from, to);
            if path.ends_with("@b") {
                expected = expected.replace("a=\"2\"", "a=\"2\" b=\"\"");
            }
            assert_eq!((body, places), (expected, places_there), "{path}");
        }
        let (body, places) = changed("list/region/v", "n").unwrap();
        let expected = LIST.replace(">old<", ">n<").replace("<v a=\"2\"/>", "<v a=\"2\">n</v>");
        assert_eq!((body, places), (expected, 2));
    }

    #[test]
    fn what_is_not_there_changes_nothing_and_what_is_no_xml_is_told() {
        assert_eq!(changed("list/nothere", "x").unwrap(), (LIST.to_owned(), 0));
        assert!(changed("list/region", "x").unwrap_err().contains("holds elements"));
        for bad in ["", "a//b", "a/b@", "a b", "@x", "a@b@c"] {
            assert!(XmlPath::parse(bad).is_err(), "{bad}");
        }
        let path = XmlPath::parse("a").unwrap();
        for bad in ["<a>", "<a></b>", "<a", "\u{0}<?xml version='1.0' encoding='latin1'?><a/>"] {
            assert!(set(bad.as_bytes(), &path, "x").is_err(), "{bad}");
        }
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_text_never_panics(text in "[<>/a=\"'& ?!\\[\\]é\n-]{0,50}", value in "\\PC{0,8}") {
            for path in ["a", "a/a@a", "*@a"] {
                let _ = set(text.as_bytes(), &XmlPath::parse(path).unwrap(), &value);
            }
        }
    }
}
