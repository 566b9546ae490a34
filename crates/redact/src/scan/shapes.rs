//! Secrets that their shape gives away, and words beside secret names in plain text.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;

use super::Scan;
use super::edit::Edit;
use crate::names::Place;

/// A JWT (RFC 7519: its header begins with `{"`), a hardware address, credentials behind the name
/// of their scheme, the user of a URL.
#[expect(clippy::unwrap_used, reason = "constant input, held by a test")]
static SHAPES: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(concat!(
        r"(?<jwt>\beyJ[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]{2,}(?:\.[A-Za-z0-9_-]*)*)",
        r"|(?<mac>\b[0-9A-Fa-f]{2}(?:(?::[0-9A-Fa-f]{2}){5}|(?:-[0-9A-Fa-f]{2}){5})\b",
        r"|[0-9A-Fa-f]{2}(?:%3[Aa][0-9A-Fa-f]{2}){5}\b)",
        r"|(?i:\b(?:bearer|basic|oauth|negotiate)(?:\s+|%20|\+)(?<credentials>[A-Za-z0-9+/._~-]{6,}=*))",
        r"|(?:://(?<user>[^\s/?#@'\x22<>]+)@)",
    ))
    .unwrap()
});

/// A name, `=` or `:`, and a value.
#[expect(clippy::unwrap_used, reason = "constant input, held by a test")]
static WORDS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"([A-Za-z0-9_.%-]{2,64})["']?[ \t]*[=:][ \t]*(?:"([^"\n]*)"|'([^'\n]*)'|([^\s&;,"'<>]+))"#)
        .unwrap()
});

impl Scan<'_> {
    /// Any text, without what its shape gives away.
    pub(crate) fn shapes<'t>(&mut self, text: &'t str) -> Cow<'t, str> {
        let mut edit = Edit::of(text);
        for found in SHAPES.captures_iter(text) {
            if let Some(mac) = found.name("mac") {
                let new = self.stand_in.mac(mac.as_str());
                edit.replace(mac.range(), &new);
                continue;
            }
            let parts = ["jwt", "credentials", "user"].into_iter();
            let Some(secret) = parts.filter_map(|name| found.name(name)).next() else { continue };
            // `Basic realm="…"` is a challenge.
            if text[secret.end()..].starts_with('=') {
                continue;
            }
            if let Some(new) = self.secret(secret.as_str().as_bytes()) {
                edit.replace(secret.range(), &new);
            }
        }
        edit.finish()
    }

    /// Plain text: the words beside secret names.
    pub(crate) fn words<'t>(&mut self, text: &'t str) -> Cow<'t, str> {
        let mut edit = Edit::of(text);
        let mut at = 0;
        while let Some(found) = WORDS.captures_at(text, at) {
            let (Some(all), Some(name)) = (found.get(0), found.get(1)) else { break };
            let value = [2, 3, 4].into_iter().find_map(|group| found.get(group));
            let Some(value) = value else { break };
            if self.is_secret(Place::Document, name.as_str()) {
                if let Some(new) = self.secret(value.as_str().as_bytes()) {
                    edit.replace(value.range(), &new);
                }
                at = all.end();
            } else {
                // `http://a/?sid=x` begins like a name and a value, too.
                at = name.end() + 1;
                while !text.is_char_boundary(at) {
                    at += 1;
                }
            }
        }
        edit.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::masked;

    #[test]
    fn shapes_give_secrets_away() {
        for (text, expected) in [
            ("a eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.c2ln b", "a *** b"),
            ("mac 00:1f:A7:00:00:01, id%3D00%3A1f%3AA7%3A00%3A00%3A01", "mac ***, id%3D***"),
            ("Bearer abcdef012345== x", "Bearer *** x"),
            ("Basic realm=\"c7y-basic\"", "Basic realm=\"c7y-basic\""),
            ("see http://me:pw@a.example/x", "see http://***@a.example/x"),
            ("at 2026-11-23T20:43:00 12:34:56", "at 2026-11-23T20:43:00 12:34:56"),
        ] {
            assert_eq!(masked(text, |scan, text| scan.shapes(text)).0, expected);
        }
    }

    #[test]
    fn words_beside_secret_names_are_masked() {
        for (text, expected) in [
            ("login: geheim and so on", "login: *** and so on"),
            ("GET http://a/?sid=77&x=1", "GET http://a/?sid=***&x=1"),
            ("'password': 'a b'; token=\"c d\"", "'password': '***'; token=\"***\""),
            ("version=1.0", "version=1.0"),
        ] {
            assert_eq!(masked(text, |scan, text| scan.words(text)).0, expected);
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read(text in "[a-f0-9:=@/.%é \"'-]{0,80}") {
            let _ = masked(&text, |scan, text| scan.shapes(text));
            let _ = masked(&text, |scan, text| scan.words(text));
        }
    }
}
