//! XML and HTML: the text of secret elements, the values of secret attributes.

use std::borrow::Cow;

use super::Scan;
use super::edit::Edit;
use crate::names::Place;

impl Scan<'_> {
    /// The text with the contents of secret elements and attributes replaced; also the value
    /// beside a secret name (`<input name="password" value="…">`) and behind one
    /// (`<key>token</key><string>…</string>`, as property lists have it).
    pub(crate) fn xml<'t>(&mut self, text: &'t str) -> Cow<'t, str> {
        let mut edit = Edit::of(text);
        // The open elements: their names, and whether what is in them is secret.
        let mut open: Vec<(&str, bool)> = Vec::new();
        let mut next_is_secret = false;
        let mut at = 0;
        while at < text.len() {
            let rest = &text[at..];
            if let Some(inner) = rest.strip_prefix("<![CDATA[") {
                let length = inner.find("]]>").unwrap_or(inner.len());
                self.xml_text(text, at + 9..at + 9 + length, is_secret(&open), &mut edit);
                at = (at + 9 + length + 3).min(text.len());
            } else if rest.starts_with("<!--") {
                at += rest.find("-->").map_or(rest.len(), |end| end + 3);
            } else if let Some(name) = rest.strip_prefix("</") {
                let name = name_of(name);
                // What was left open inside is closed with it; a stray end closes nothing.
                if let Some(place) = open.iter().rposition(|(open, _)| *open == name) {
                    open.truncate(place);
                }
                at += rest.find('>').map_or(rest.len(), |end| end + 1);
            } else if rest.starts_with("<?") || rest.starts_with("<!") {
                at += rest.find('>').map_or(rest.len(), |end| end + 1);
            } else if rest.starts_with('<') && rest[1..].starts_with(is_name_start) {
                let name = name_of(&rest[1..]);
                let secret = std::mem::take(&mut next_is_secret)
                    || is_secret(&open)
                    || self.is_secret(Place::Document, local(name));
                let (end, named) = self.attributes(text, at + 1 + name.len(), secret, &mut edit);
                if !text[..end].ends_with("/>") {
                    open.push((name, secret || named));
                }
                at = end;
            } else {
                // A `<` that begins no tag is text.
                let first = rest.chars().next().map_or(1, char::len_utf8);
                let length = rest[first..].find('<').map_or(rest.len(), |end| end + first);
                let words = &rest[..length];
                self.xml_text(text, at..at + length, is_secret(&open), &mut edit);
                if open.last().is_some_and(|(name, _)| matches!(local(name), "key" | "name")) {
                    next_is_secret = self.is_secret(Place::Document, words.trim());
                }
                at += length;
            }
        }
        edit.finish()
    }

    /// The attributes from `at` to the end of the tag: that end, and whether they name a secret.
    fn attributes<'t>(
        &mut self,
        text: &'t str,
        at: usize,
        secret: bool,
        edit: &mut Edit<'t>,
    ) -> (usize, bool) {
        let (end, list) = read_attributes(text, at);
        let named = list.iter().any(|(name, value)| {
            matches!(local(name), "name" | "key" | "id")
                && self.is_secret(Place::Document, &text[value.clone()])
        });
        for (name, value) in list {
            let name = local(name);
            let is_value = secret || (named && matches!(name, "value" | "content"));
            let of_value = &text[value.clone()];
            let new = if is_value || self.is_secret(Place::Document, name) {
                self.secret(unescape(of_value).as_bytes())
            } else {
                match self.nested(&unescape(of_value)) {
                    Cow::Owned(new) => Some(escape(&new)),
                    Cow::Borrowed(_) => None,
                }
            };
            if let Some(new) = new {
                edit.replace(value, &new);
            }
        }
        (end, named)
    }

    fn xml_text<'t>(
        &mut self,
        text: &'t str,
        part: std::ops::Range<usize>,
        secret: bool,
        edit: &mut Edit<'t>,
    ) {
        let words = text[part.clone()].trim();
        if words.is_empty() {
            return;
        }
        let start = part.start + (text[part.clone()].len() - text[part].trim_start().len());
        let new = if secret {
            self.secret(unescape(words).as_bytes())
        } else {
            match self.nested(&unescape(words)) {
                Cow::Owned(new) => Some(escape(&new)),
                Cow::Borrowed(_) => None,
            }
        };
        if let Some(new) = new {
            edit.replace(start..start + words.len(), &new);
        }
    }
}

type Attribute<'t> = (&'t str, std::ops::Range<usize>);

/// The attributes from `at` on, with the places of their values, and where the tag ends.
fn read_attributes(text: &str, mut at: usize) -> (usize, Vec<Attribute<'_>>) {
    let bytes = text.as_bytes();
    let mut list = Vec::new();
    while at < text.len() {
        match bytes[at] {
            b'>' => return (at + 1, list),
            byte if byte.is_ascii_whitespace() || byte == b'/' || byte == b'=' => at += 1,
            _ => {
                let ends = |c: char| c.is_ascii_whitespace() || matches!(c, '=' | '>' | '/');
                // A quote without a name is no name either; one octet at least is passed.
                let length = text[at..].find(ends).unwrap_or(text.len() - at);
                let name = &text[at..at + length];
                at += length;
                let behind = text[at..].trim_start();
                let Some(value) = behind.strip_prefix('=').map(str::trim_start) else { continue };
                let start = text.len() - value.len();
                let (from, to) = match value.bytes().next() {
                    Some(quote @ (b'"' | b'\'')) => {
                        let from = start + 1;
                        let length = text[from..].find(char::from(quote));
                        (from, length.map_or(text.len(), |length| from + length))
                    }
                    _ => {
                        let ends = |c: char| c.is_ascii_whitespace() || c == '>';
                        (start, value.find(ends).map_or(text.len(), |length| start + length))
                    }
                };
                list.push((name, from..to));
                at = if from > start { (to + 1).min(text.len()) } else { to };
            }
        }
    }
    (text.len(), list)
}

fn is_secret(open: &[(&str, bool)]) -> bool {
    open.last().is_some_and(|(_, secret)| *secret)
}

fn is_name_start(c: char) -> bool {
    c.is_alphabetic() || c == '_' || c == ':'
}

fn name_of(text: &str) -> &str {
    let ends = |c: char| c.is_ascii_whitespace() || matches!(c, '>' | '/' | '<');
    &text[..text.find(ends).unwrap_or(text.len())]
}

/// A name without its prefix.
fn local(name: &str) -> &str {
    name.rsplit_once(':').map_or(name, |(_, local)| local)
}

fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('&') {
        return Cow::Borrowed(text);
    }
    let plain = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"");
    Cow::Owned(plain.replace("&apos;", "'").replace("&amp;", "&"))
}

fn escape(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::super::tests::masked;

    fn xml(text: &str) -> String {
        masked(text, |scan, text| scan.xml(text)).0
    }

    #[test]
    fn secret_elements_and_attributes_are_masked() {
        for (text, expected) in [
            (
                "<profile platform=\"ps3\"><ticket>\n MDAx </ticket><env>np</env></profile>",
                "<profile platform=\"ps3\"><ticket>\n *** </ticket><env>np</env></profile>",
            ),
            (
                "<a:token b='1'><c>x</c></a:token><d>y</d>",
                "<a:token b='***'><c>***</c></a:token><d>y</d>",
            ),
            ("<u password=x sid=\"a&amp;b\"/>z", "<u password=*** sid=\"***\"/>z"),
            ("<token><![CDATA[x]]></token>", "<token><![CDATA[***]]></token>"),
            ("<input name=\"password\" value='x'>", "<input name=\"password\" value='***'>"),
            (
                "<key>token</key><string>x</string><string>y</string>",
                "<key>token</key><string>***</string><string>y</string>",
            ),
            ("<a href=\"/x?a=1&amp;sid=2\">", "<a href=\"/x?a=1&amp;sid=***\">"),
            ("<ticket>cut o", "<ticket>***"),
            (
                "<!-- <ticket>x</ticket> --><?xml?><!DOCTYPE a>1 < 2",
                "<!-- <ticket>x</ticket> --><?xml?><!DOCTYPE a>1 < 2",
            ),
        ] {
            assert_eq!(xml(text), expected);
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read(text in "[<>/?! \"'=a-c&;:\\[\\]é-]{0,80}") {
            let _ = xml(&text);
        }
    }
}
