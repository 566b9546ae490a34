//! Secrets that were met, to be found again by their value.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use consoletap_content::percent_encode;

use crate::search::{Border, Pattern, SHORTEST, Search};

/// From this length on a value is found within other text, too; a shorter one only by itself.
const ANYWHERE: usize = 8;
/// From this length on it is found within base64 of something larger.
const WITHIN_BASE64: usize = 12;
/// A longer one is known by its beginning.
const LONGEST: usize = 4096;
/// What a search for more would cost is out of proportion. Beyond it secrets are replaced under
/// their names alone.
const MOST: usize = 1 << 16;

/// Words that stand in the place of secrets and are none, and those that stand in the names of
/// half the hosts: as a password they are found by their name, and elsewhere they say nothing.
const WORDS: [&str; 14] = [
    "akamai",
    "anonymous",
    "basic",
    "bearer",
    "deleted",
    "download",
    "false",
    "microsoft",
    "nintendo",
    "none",
    "null",
    "playstation",
    "undefined",
    "xboxlive",
];

/// How sure it is that a value says something wherever it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weight {
    /// A password, a token, an id.
    Secret,
    /// The value of a cookie, which may be a language or a colour.
    Perhaps,
}

/// The values, and what finds them.
#[derive(Debug, Default)]
pub(crate) struct Known {
    stand_ins: HashMap<Vec<u8>, String>,
    /// The same for names of hosts, which have no case.
    in_lower_case: HashMap<Vec<u8>, String>,
    search: OnceLock<Search>,
}

impl Known {
    /// Remembers a secret; `stand_in` is asked where it is a new one.
    pub(crate) fn add(
        &mut self,
        value: &[u8],
        weight: Weight,
        stand_in: impl FnOnce(&[u8]) -> String,
    ) {
        if is_findable(value, weight) {
            self.insert(value, stand_in);
        }
    }

    /// Remembers an address.
    pub(crate) fn add_address(&mut self, from: &str, to: &str) {
        self.insert(from.as_bytes(), |_| to.to_owned());
    }

    fn insert(&mut self, value: &[u8], stand_in: impl FnOnce(&[u8]) -> String) {
        let value = &value[..value.len().min(LONGEST)];
        if self.stand_ins.len() < MOST && !self.stand_ins.contains_key(value) {
            let stand_in = stand_in(value);
            self.in_lower_case.insert(value.to_ascii_lowercase(), stand_in.clone());
            self.stand_ins.insert(value.to_vec(), stand_in);
            self.search = OnceLock::new();
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.stand_ins.len()
    }

    /// What stands for exactly this label of a host.
    pub(crate) fn label(&self, label: &str) -> Option<&str> {
        if self.in_lower_case.is_empty() {
            return None;
        }
        self.in_lower_case.get(label.to_ascii_lowercase().as_bytes()).map(String::as_str)
    }

    /// The octets without what is known; `None` where there is nothing of it.
    pub(crate) fn replace(&self, octets: &[u8]) -> Option<Vec<u8>> {
        if self.stand_ins.is_empty() {
            return None;
        }
        let search = self.search.get_or_init(|| search(&self.stand_ins));
        let mut replaced = Vec::new();
        let mut copied = 0;
        while let Some((place, stand_in)) = search.find(octets, copied) {
            replaced.extend_from_slice(&octets[copied..place.start]);
            replaced.extend_from_slice(stand_in.as_bytes());
            copied = place.end;
        }
        if copied == 0 {
            return None;
        }
        replaced.extend_from_slice(&octets[copied..]);
        Some(replaced)
    }

    /// The same for text.
    pub(crate) fn replace_text(&self, text: &str) -> Option<String> {
        let replaced = self.replace(text.as_bytes())?;
        // A value that is no UTF-8 may part a character of the text.
        Some(String::from_utf8_lossy(&replaced).into_owned())
    }
}

/// What finds each of these values in all its forms.
fn search(stand_ins: &HashMap<Vec<u8>, String>) -> Search {
    let patterns = stand_ins.iter().flat_map(|(value, stand_in)| {
        let is_address =
            std::str::from_utf8(value).is_ok_and(|text| text.parse::<std::net::IpAddr>().is_ok());
        let border = match value.len() {
            _ if is_address => Border::NoNumber,
            ANYWHERE.. => Border::Any,
            _ => Border::NoWord,
        };
        let stand_in: Arc<str> = stand_in.as_str().into();
        forms_of(value).into_iter().map(move |octets| Pattern {
            octets,
            stand_in: Arc::clone(&stand_in),
            border,
        })
    });
    Search::of(patterns.collect())
}

/// A value as it may be written.
fn forms_of(value: &[u8]) -> Vec<Vec<u8>> {
    let mut forms = vec![value.to_vec()];
    let mut add = |form: Vec<u8>| {
        if form.len() >= SHORTEST && !forms.contains(&form) {
            forms.push(form);
        }
    };
    let encoded = percent_encode(value);
    add(encoded.replace("%20", "+").into_bytes());
    // Twice, as in a URL that is a value of a query.
    add(percent_encode(encoded.as_bytes()).into_bytes());
    add(encoded.into_bytes());
    if let Ok(text) = std::str::from_utf8(value) {
        add(text.replace('\\', "\\\\").replace('"', "\\\"").into_bytes());
        add(text.replace('/', "\\/").into_bytes());
        let xml = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        add(xml.replace('"', "&quot;").into_bytes());
        add(xml.into_bytes());
    }
    if value.len() >= ANYWHERE {
        add(value.iter().map(|octet| format!("{octet:02x}")).collect::<String>().into_bytes());
    }
    if value.len() >= WITHIN_BASE64 {
        for before in 0..3 {
            add(within_base64(value, before, false));
            add(within_base64(value, before, true));
        }
    } else if value.len() >= ANYWHERE {
        add(STANDARD_NO_PAD.encode(value).into_bytes());
    }
    forms
}

/// The characters that a value takes in base64 of something with `before` octets (modulo 3) in
/// front of it, without those that it shares with its neighbours.
fn within_base64(value: &[u8], before: usize, url_safe: bool) -> Vec<u8> {
    let whole = value.len() - (before + value.len()) % 3;
    let padded = [&[0, 0][..before], &value[..whole]].concat();
    let text =
        if url_safe { URL_SAFE_NO_PAD.encode(&padded) } else { STANDARD_NO_PAD.encode(&padded) };
    let shared = [0, 2, 3][before];
    text.as_bytes()[shared..].to_vec()
}

fn is_findable(value: &[u8], weight: Weight) -> bool {
    let is_word = || WORDS.iter().any(|word| value.eq_ignore_ascii_case(word.as_bytes()));
    match weight {
        Weight::Secret => value.len() >= SHORTEST && !is_word(),
        // A language, a colour and a consent are short or without a digit.
        Weight::Perhaps => {
            value.len() >= ANYWHERE
                && (value.len() >= 20 || value.iter().any(u8::is_ascii_digit))
                && !is_word()
        }
    }
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    fn known(values: &[&str]) -> Known {
        let mut known = Known::default();
        for value in values {
            known.add(value.as_bytes(), Weight::Secret, |_| "X".to_owned());
        }
        known
    }

    #[test]
    fn a_value_is_found_however_it_is_encoded() {
        let secret = "Ge/he im\"&1234";
        let known = known(&[secret]);
        for text in [
            "a Ge/he im\"&1234 b",
            "?x=Ge%2fhe%20im%22%261234",
            "?x=Ge%2Fhe+im%22%261234&",
            "?u=x%3Fy%3DGe%252Fhe%2520im%2522%25261234",
            "{\"a\":\"Ge/he im\\\"&1234\"}",
            "<a>Ge/he im\"&amp;1234</a>",
            "GE/HE IM\"&1234",
        ] {
            let replaced = known.replace_text(text).unwrap_or_else(|| panic!("{text}"));
            assert!(replaced.contains('X') && !replaced.contains("1234"), "{replaced}");
        }
        for before in ["", "a", "ab", "abc"] {
            let inside = STANDARD.encode(format!("{before}{secret}{before}"));
            assert!(known.replace_text(&inside).is_some(), "{inside}");
        }
    }

    #[test]
    fn a_short_value_is_found_by_itself_alone_and_a_shorter_one_never() {
        let known = known(&["1234", "abc", "none"]);
        assert_eq!(known.replace_text("x=1234&y=12345 51234"), Some("x=X&y=12345 51234".into()));
        assert_eq!(known.replace_text("abc none"), None);
    }

    #[test]
    fn an_address_is_no_part_of_another() {
        let mut known = Known::default();
        known.add_address("10.0.0.1", "10.9.9.9");
        assert_eq!(known.replace_text("at 10.0.0.1."), Some("at 10.9.9.9.".into()));
        assert_eq!(known.replace_text("10.0.0.12 110.0.0.1 10.0.0.1.2 3.10.0.0.1"), None);
    }

    #[test]
    fn a_colour_in_a_cookie_is_no_secret_elsewhere() {
        let mut known = Known::default();
        for value in ["darkblue", "en-US", "a1b2c3d4e5"] {
            known.add(value.as_bytes(), Weight::Perhaps, |_| "X".to_owned());
        }
        assert_eq!(known.len(), 1);
    }

    proptest::proptest! {
        #[test]
        fn anything_can_be_known_and_looked_for(
            values in proptest::collection::vec(proptest::collection::vec(0_u8.., 0..20), 0..5),
            octets: Vec<u8>,
        ) {
            let mut known = Known::default();
            for value in &values {
                known.add(value, Weight::Secret, |_| "X".to_owned());
            }
            let _ = known.replace(&octets);
            for value in values.iter().filter(|value| value.len() >= ANYWHERE) {
                let around = [&octets[..], value, &octets[..]].concat();
                let replaced = known.replace(&around).unwrap();
                let found = replaced.windows(value.len()).any(|window| window == &value[..]);
                proptest::prop_assert!(!found || octets.len() >= value.len());
            }
        }
    }
}
