//! JSON text: the values of secret members, at any depth, with their names escaped or not.

use std::borrow::Cow;

use super::Scan;
use super::edit::Edit;
use crate::names::Place;

/// What is open around a value.
#[derive(Clone, Copy, Default)]
struct Level {
    /// All in here is secret, since the member that holds it is.
    secret: bool,
    /// `{"name":"token","value":…}`: the member `value` is meant by the member `name`.
    named: bool,
}

impl Scan<'_> {
    /// The text with the values of secret members replaced. A value that the text cuts off is
    /// replaced to its end.
    pub(crate) fn json<'t>(&mut self, text: &'t str) -> Cow<'t, str> {
        let mut edit = Edit::of(text);
        let mut levels: Vec<Level> = Vec::new();
        let mut around = Level::default();
        // Whether the value that comes next is secret by its own name, and that name.
        let mut key: Option<(bool, &str)> = None;
        let mut at = 0;
        while let Some(byte) = text.as_bytes().get(at) {
            match byte {
                b'"' => {
                    let (end, inner_end) = string_end(text, at);
                    let inner = &text[at + 1..inner_end];
                    let behind = text[end..].trim_start();
                    if key.is_none() && behind.starts_with(':') {
                        let name = unescape(inner);
                        let named = around.named && is_word(&name, &["value", "val"]);
                        key = Some((named || self.is_secret(Place::Document, &name), inner));
                        at = text.len() - behind.len() + 1;
                        continue;
                    }
                    let (secret, name) = key.take().unwrap_or_default();
                    if let Some(new) = self.json_string(inner, secret || around.secret) {
                        edit.replace(at + 1..inner_end, &new);
                    }
                    if is_word(name, &["name", "key", "field"]) {
                        around.named = self.is_secret(Place::Document, &unescape(inner));
                    }
                    at = end;
                    continue;
                }
                b'{' | b'[' => {
                    let (secret, _) = key.take().unwrap_or_default();
                    levels.push(around);
                    around = Level { secret: secret || around.secret, named: false };
                }
                b'}' | b']' => {
                    key = None;
                    around = levels.pop().unwrap_or_default();
                }
                b',' => key = None,
                byte if byte.is_ascii_whitespace() || *byte == b':' => {}
                _ => {
                    let end = text[at..]
                        .find([',', '}', ']', '"', '\n', ' ', '\r', '\t'])
                        .map_or(text.len(), |length| at + length.max(1));
                    let (secret, _) = key.take().unwrap_or_default();
                    let word = &text[at..end];
                    if (secret || around.secret)
                        && !is_word(word, &["true", "false", "null"])
                        && let Some(new) = self.secret(word.as_bytes())
                    {
                        edit.replace(at..end, &format!("\"{new}\""));
                    }
                    at = end;
                    continue;
                }
            }
            at += 1;
        }
        edit.finish()
    }

    fn json_string(&mut self, inner: &str, secret: bool) -> Option<String> {
        let plain = unescape(inner);
        if secret {
            return self.secret(plain.as_bytes());
        }
        match self.nested(&plain) {
            Cow::Owned(changed) => Some(escape(&changed)),
            Cow::Borrowed(_) => None,
        }
    }
}

fn is_word(text: &str, words: &[&str]) -> bool {
    words.iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// Where the string that begins at `open` ends, with and without its quote.
fn string_end(text: &str, open: usize) -> (usize, usize) {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(open + 1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return (at + 1, at),
            _ => {}
        }
    }
    (text.len(), text.len())
}

/// The string without its escapes (RFC 8259 7); broken ones stay.
fn unescape(inner: &str) -> Cow<'_, str> {
    if !inner.contains('\\') {
        return Cow::Borrowed(inner);
    }
    let mut plain = String::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(at) = rest.find('\\') {
        plain.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let Some(escape) = rest.chars().next() else { break };
        rest = &rest[escape.len_utf8()..];
        match escape {
            'n' => plain.push('\n'),
            'r' => plain.push('\r'),
            't' => plain.push('\t'),
            'b' => plain.push('\u{8}'),
            'f' => plain.push('\u{c}'),
            'u' => match unit(rest) {
                Some(high @ 0xd800..0xdc00) => {
                    let low = rest.get(4..6).filter(|next| *next == "\\u");
                    let low = low.and_then(|_| unit(&rest[6..]));
                    let pair = low.and_then(|low| {
                        let low = u32::from(low).checked_sub(0xdc00)?;
                        char::from_u32(0x1_0000 + ((u32::from(high) - 0xd800) << 10) + low)
                    });
                    plain.push(pair.unwrap_or(char::REPLACEMENT_CHARACTER));
                    rest = &rest[if pair.is_some() { 10 } else { 4 }..];
                }
                Some(unit) => {
                    plain.push(char::from_u32(unit.into()).unwrap_or(char::REPLACEMENT_CHARACTER));
                    rest = &rest[4..];
                }
                None => plain.push_str("\\u"),
            },
            other => plain.push(other),
        }
    }
    plain.push_str(rest);
    Cow::Owned(plain)
}

fn unit(text: &str) -> Option<u16> {
    let digits = text.get(..4).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))?;
    u16::from_str_radix(digits, 16).ok()
}

fn escape(plain: &str) -> String {
    let mut text = String::with_capacity(plain.len());
    for c in plain.chars() {
        match c {
            '"' | '\\' => text.extend(['\\', c]),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            c if c < ' ' => text.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::tests::masked;
    use super::*;

    fn json(text: &str) -> String {
        masked(text, |scan, text| scan.json(text)).0
    }

    #[test]
    fn secret_members_are_masked_at_any_depth_and_even_where_the_text_is_cut() {
        for (text, expected) in [
            (
                r#"{"a":"sid","access_token" : "x\"y", "sid":12, "code":404}"#,
                r#"{"a":"sid","access_token" : "***", "sid":"***", "code":404}"#,
            ),
            (r#"{"token":"abc"#, r#"{"token":"***"#),
            (
                r#"{"tok\u0065n":"abc","b":[{"PASSWORD":null}]}"#,
                r#"{"tok\u0065n":"***","b":[{"PASSWORD":null}]}"#,
            ),
            (
                r#"{"tokens":[1],"token":{"v":"x","n":[1,true]},"c":2}"#,
                r#"{"tokens":["***"],"token":{"v":"***","n":["***",true]},"c":2}"#,
            ),
            (
                r#"[{"name":"password","value":"x"},{"name":"a","value":"y"}]"#,
                r#"[{"name":"password","value":"***"},{"name":"a","value":"y"}]"#,
            ),
            ("\"", "\""),
            ("\"\\", "\"\\"),
        ] {
            assert_eq!(json(text), expected);
        }
    }

    #[test]
    fn json_and_urls_in_strings_are_looked_into() {
        assert_eq!(
            json(
                r#"{"body":"{\"password\":\"geheim\",\"x\":\"\\n\"}","next":"http:\/\/a\/?sid=7"}"#
            ),
            r#"{"body":"{\"password\":\"***\",\"x\":\"\\n\"}","next":"http://a/?sid=***"}"#
        );
    }

    #[test]
    fn escapes_are_read_and_written() {
        assert_eq!(unescape(r"a\u00e9\ud83c\udfae\/\n\q"), "aé🎮/\nq");
        assert_eq!(unescape(r"\ud83c\u12\"), "\u{fffd}\\u12");
        assert_eq!(unescape(&escape("\u{1}\"\\é\n")), "\u{1}\"\\é\n");
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read(text in "[\\[\\]{}:,\"\\\\u0-9a-f é]{0,60}") {
            let _ = json(&text);
        }

        #[test]
        fn a_real_document_stays_one(secret in "[a-z\"\\\\é\n]{1,20}", name in "password|x") {
            let text = serde_json_like(&name, &secret);
            let masked = json(&text);
            let is_whole = masked.ends_with("\",\"b\":[1]}");
            proptest::prop_assert!(is_whole);
            let hidden = name == "password" && !secret.trim().is_empty();
            proptest::prop_assert_eq!(masked.contains("***"), hidden);
        }
    }

    fn serde_json_like(name: &str, value: &str) -> String {
        format!("{{\"{name}\":\"{}\",\"b\":[1]}}", escape(value))
    }
}
