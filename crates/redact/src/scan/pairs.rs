//! `a=b&c=d`: queries and forms; and the URLs around them.

use std::borrow::Cow;

use consoletap_content::{percent_decode, percent_encode};

use super::edit::Edit;
use super::{Scan, and_then};
use crate::names::Place;

impl Scan<'_> {
    /// A query or a form. Pairs are parted by `&`, and by `;` where another pair follows.
    pub(crate) fn pairs<'t>(&mut self, text: &'t str) -> Cow<'t, str> {
        let mut edit = Edit::of(text);
        let mut at = 0;
        while at < text.len() {
            let end = pair_end(text, at);
            if let Some((name, value)) = text[at..end].split_once('=')
                && let Some(new) = self.pair(name, value)
            {
                edit.replace(at + name.len() + 1..end, &new);
            }
            at = end + 1;
        }
        edit.finish()
    }

    fn pair(&mut self, name: &str, value: &str) -> Option<String> {
        let decoded = percent_decode(value);
        if self.is_secret(Place::Pair, name) {
            return self.secret(&decoded);
        }
        let inner = std::str::from_utf8(&decoded).ok()?;
        match self.nested(inner) {
            Cow::Owned(changed) => Some(percent_encode(changed.as_bytes())),
            Cow::Borrowed(_) => None,
        }
    }

    /// A URL, absolute or from its path on: the user before the host, the pairs of the query and
    /// the fragment, the parameters of the path (`;jsessionid=…`).
    pub(crate) fn url<'t>(&mut self, text: &'t str) -> Cow<'t, str> {
        let path_end = text.find(['?', '#']).unwrap_or(text.len());
        let mut edit = Edit::of(text);
        let mut path_start = 0;
        if let Some(scheme) = text[..path_end].find("://") {
            let host = scheme + 3;
            path_start = text[host..path_end].find('/').map_or(path_end, |slash| host + slash);
            if let Some(at) = text[host..path_start].rfind('@')
                && let Some(new) = self.secret(&text.as_bytes()[host..host + at])
            {
                if let Some((_, password)) = text[host..host + at].split_once(':') {
                    self.secret(&percent_decode(password));
                }
                edit.replace(host..host + at, &new);
            }
        }
        let mut at = path_start;
        while let Some(semicolon) = text[at..path_end].find(';').map(|found| at + found + 1) {
            let end =
                text[semicolon..path_end].find([';', '/']).map_or(path_end, |e| semicolon + e);
            if let Some((name, value)) = text[semicolon..end].split_once('=')
                && let Some(new) = self.pair(name, value)
            {
                edit.replace(semicolon + name.len() + 1..end, &new);
            }
            at = end;
        }
        let mut at = path_end;
        while at < text.len() {
            let start = at + 1;
            let end = text[start..].find('#').map_or(text.len(), |found| start + found);
            if let Cow::Owned(new) = self.pairs(&text[start..end]) {
                edit.replace(start..end, &new);
            }
            at = end;
        }
        and_then(edit.finish(), |text| self.shapes(text))
    }
}

fn pair_end(text: &str, start: usize) -> usize {
    let mut at = start;
    while let Some(found) = text[at..].find(['&', ';']).map(|found| at + found) {
        let next = &text[found + 1..];
        let next = &next[..next.find(['&', ';']).unwrap_or(next.len())];
        // A `;` within a value is no end of it.
        if text[found..].starts_with('&') || next.contains('=') {
            return found;
        }
        at = found + 1;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::super::tests::masked;

    #[test]
    fn secret_values_of_a_query_are_masked_and_the_rest_is_kept() {
        for (text, expected) in [
            ("/u.xml?ver=03730000&sid=0123abc&nd=2", "/u.xml?ver=03730000&sid=***&nd=2"),
            ("/a?%53ID=x;TOKEN=y&sid=", "/a?%53ID=***;TOKEN=***&sid="),
            ("/a?password=ab;cd&x=1", "/a?password=***&x=1"),
            ("/sid=5/x", "/sid=5/x"),
            (
                "/a;jsessionid=77/b;v=1?x#access_token=abc&y",
                "/a;jsessionid=***/b;v=1?x#access_token=***&y",
            ),
            ("https://me:geheim@a.example/?q", "https://***@a.example/?q"),
            ("http://a.example", "http://a.example"),
        ] {
            assert_eq!(masked(text, |scan, text| scan.url(text)).0, expected);
        }
    }

    #[test]
    fn a_url_in_a_value_is_looked_into() {
        let (text, found) =
            masked("/a?to=https%3A%2F%2Fb%2F%3Ftoken%3Dge%2520heim%26x%3D1", |s, t| s.url(t));
        assert_eq!(text, "/a?to=https%3A%2F%2Fb%2F%3Ftoken%3D%2A%2A%2A%26x%3D1");
        assert_eq!(found, ["ge heim"]);
        let (text, _) = masked("q=%7B%22password%22%3A%22x%22%7D", |scan, text| scan.pairs(text));
        assert_eq!(text, "q=%7B%22password%22%3A%22%2A%2A%2A%22%7D");
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_a_url(text in "[a-z:/?#&;=%@é]{0,60}") {
            let (twice, _) = masked(&masked(&text, |s, t| s.url(t)).0, |s, t| s.url(t));
            proptest::prop_assert_eq!(twice, masked(&text, |s, t| s.url(t)).0);
        }
    }
}
