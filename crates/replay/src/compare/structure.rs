//! JSON and XML as lists of places and values, so that two documents are compared by what they
//! say and not by how they are written.

use std::collections::HashMap;
use std::fmt;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use serde_json::Value;

use crate::compare::Difference;
use crate::secret::fits;

/// Nested deeper than this is compared line by line instead.
const MAX_DEPTH: usize = 128;

/// A document, flat: `/names/0/name` → `"The Playroom"`, in the order of the document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Flat(Vec<(String, String)>);

impl Flat {
    /// A body as JSON or XML; `None` where it is neither.
    pub(crate) fn of(octets: &[u8]) -> Option<Self> {
        let octets = octets.strip_prefix("\u{feff}".as_bytes()).unwrap_or(octets);
        match octets.iter().find(|octet| !octet.is_ascii_whitespace())? {
            b'{' | b'[' => Self::json(octets),
            b'<' => Self::xml(octets),
            _ => None,
        }
    }

    fn json(octets: &[u8]) -> Option<Self> {
        // serde_json bounds the depth itself (128).
        let value: Value = serde_json::from_slice(octets).ok()?;
        let mut flat = Vec::new();
        flatten(&value, &mut String::new(), &mut flat);
        Some(Self(flat))
    }

    fn xml(octets: &[u8]) -> Option<Self> {
        let mut reader = Reader::from_str(std::str::from_utf8(octets).ok()?);
        let mut place = Place::default();
        let mut flat = Vec::new();
        loop {
            match reader.read_event().ok()? {
                Event::Start(element) => {
                    place.enter(&element)?;
                    attributes(&element, &place, &mut flat)?;
                }
                Event::Empty(element) => {
                    place.enter(&element)?;
                    attributes(&element, &place, &mut flat)?;
                    place.leave();
                }
                Event::End(_) => place.leave(),
                Event::Text(text) => {
                    let text = text.trim();
                    if !text.is_empty() {
                        flat.push((place.to_string(), format!("{text:?}")));
                    }
                }
                Event::CData(text) => flat.push((place.to_string(), format!("{:?}", &*text))),
                Event::GeneralRef(name) => flat.push((place.to_string(), format!("&{};", &*name))),
                // An element that was not closed is no document.
                Event::Eof => return place.names.is_empty().then_some(Self(flat)),
                Event::Decl(_) | Event::Comment(_) | Event::PI(_) | Event::DocType(_) => {}
            }
        }
    }

    /// What became of `self`, the recorded one, in `other`.
    pub(crate) fn differences(&self, other: &Self) -> Vec<Difference> {
        let mut after = HashMap::<&str, Vec<&str>>::new();
        for (place, value) in other.0.iter().rev() {
            after.entry(place).or_default().push(value);
        }
        let mut differences = Vec::new();
        for (place, before) in &self.0 {
            let value = after.get_mut(place.as_str()).and_then(Vec::pop);
            if !value.is_some_and(|value| fits(before, value)) {
                differences.push(Difference::new(place, Some(before), value));
            }
        }
        for (place, _) in &other.0 {
            let rest = after.remove(place.as_str()).unwrap_or_default();
            let new = rest.into_iter().rev();
            differences.extend(new.map(|value| Difference::new(place, None::<&str>, Some(value))));
        }
        differences
    }
}

fn flatten(value: &Value, place: &mut String, flat: &mut Vec<(String, String)>) {
    let length = place.len();
    let mut below = |name: &str, value: &Value| {
        place.push('/');
        place.push_str(name);
        flatten(value, place, flat);
        place.truncate(length);
    };
    match value {
        Value::Object(object) if !object.is_empty() => {
            object.iter().for_each(|(name, value)| below(name, value));
        }
        Value::Array(items) if !items.is_empty() => {
            items.iter().enumerate().for_each(|(index, value)| below(&index.to_string(), value));
        }
        value => {
            let at = if place.is_empty() { "/".to_owned() } else { place.clone() };
            flat.push((at, value.to_string()));
        }
    }
}

/// Where in an XML document: names with their number among equals.
#[derive(Default)]
struct Place {
    names: Vec<String>,
    /// For the document and each open element, how many children of each name there were.
    seen: Vec<HashMap<String, usize>>,
}

impl Place {
    fn enter(&mut self, element: &BytesStart<'_>) -> Option<()> {
        if self.names.len() >= MAX_DEPTH {
            return None;
        }
        let name: String = element.name().as_ref().into();
        if self.seen.is_empty() {
            self.seen.push(HashMap::new());
        }
        let number = self.seen.last_mut()?.entry(name.clone()).or_insert(0);
        *number += 1;
        self.names.push(if *number == 1 { name } else { format!("{name}[{number}]") });
        self.seen.push(HashMap::new());
        Some(())
    }

    fn leave(&mut self) {
        self.names.pop();
        self.seen.pop();
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.names.iter().try_for_each(|name| write!(f, "/{name}"))
    }
}

fn attributes(
    element: &BytesStart<'_>,
    place: &Place,
    flat: &mut Vec<(String, String)>,
) -> Option<()> {
    // That it is there says something, too.
    flat.push((place.to_string(), "the element".to_owned()));
    let mut found = Vec::new();
    for attribute in element.attributes() {
        let attribute = attribute.ok()?;
        let name: &str = attribute.key.as_ref();
        found.push((format!("{place}/@{name}"), format!("{:?}", &*attribute.value)));
    }
    // Their order says nothing (XML 1.0, 3.1).
    found.sort();
    flat.append(&mut found);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(before: &str, after: &str) -> Vec<String> {
        let flat = |text: &str| Flat::of(text.as_bytes()).unwrap();
        flat(before).differences(&flat(after)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn json_is_compared_by_what_it_says() {
        assert!(told("{\"a\":1,\"b\":[1,2]}", "{ \"b\": [1, 2], \"a\": 1 }").is_empty());
        assert_eq!(
            told(
                "{\"names\":[{\"name\":\"A\"}],\"x\":1}",
                "{\"names\":[{\"name\":\"B\"}],\"y\":[]}"
            ),
            ["/names/0/name: \"A\" became \"B\"", "/x: 1 is gone", "/y: [] is new"]
        );
    }

    #[test]
    fn xml_is_compared_by_what_it_says() {
        let other = "<?xml version=\"1.0\"?>\n<a y=\"2\" x=\"1\"> <b></b><b> t </b></a>";
        assert!(told("<a x=\"1\" y='2'><b/><b>t</b></a>", other).is_empty());
        assert_eq!(told("<a><b/></a>", "<a></a>"), ["/a/b: the element is gone"]);
        assert_eq!(
            told(
                "<l><image size=\"1\">u</image><image>v</image></l>",
                "<l><image size=\"2\">u</image><image>w</image></l>"
            ),
            ["/l/image/@size: \"1\" became \"2\"", "/l/image[2]: \"v\" became \"w\""]
        );
    }

    #[test]
    fn what_stands_in_for_a_secret_may_be_anything() {
        let recorded = "{\"token\":\"redacted-abcdefghij\",\"ttl\":3600}";
        assert!(told(recorded, "{\"token\":\"x\",\"ttl\":3600}").is_empty());
        assert_eq!(told(recorded, "{\"ttl\":3600}").len(), 1, "it has to be there");
    }

    #[test]
    fn what_is_neither_is_not_compared_so() {
        for text in ["", "plain", "{", "<a", "<a>", "<a></b>", "\u{0}"] {
            assert_eq!(Flat::of(text.as_bytes()), None, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn hostile_text_never_panics(text in "[<>a-c/\"= {}\\[\\]:,&;!\\-\\[CDATA?]{0,80}") {
            if let Some(flat) = Flat::of(text.as_bytes()) {
                proptest::prop_assert!(flat.differences(&flat).is_empty());
            }
        }
    }
}
