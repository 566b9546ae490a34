//! Forms: percent encoding (WHATWG URL 5.1), and the boundary of `multipart/form-data`.

use std::borrow::Cow;

/// Undoes percent encoding; in a form and a query `+` is a space. What is no `%xx` stays.
#[must_use]
pub fn percent_decode(text: &str) -> Cow<'_, [u8]> {
    let bytes = text.as_bytes();
    if !bytes.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        return Cow::Borrowed(bytes);
    }
    let digit = |at: usize| bytes.get(at).and_then(|&byte| char::from(byte).to_digit(16));
    let mut octets = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match (bytes[at], digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                // Two hex digits are at most 255.
                octets.push((high * 16 + low) as u8);
                at += 3;
            }
            (byte, _, _) => {
                octets.push(if byte == b'+' { b' ' } else { byte });
                at += 1;
            }
        }
    }
    Cow::Owned(octets)
}

/// Percent-encodes everything that is not unreserved (RFC 3986 2.3).
#[must_use]
pub fn percent_encode(octets: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut text = String::with_capacity(octets.len());
    for &octet in octets {
        if octet.is_ascii_alphanumeric() || b"-._~".contains(&octet) {
            text.push(char::from(octet));
        } else {
            text.push('%');
            text.push(char::from(DIGITS[usize::from(octet >> 4)]));
            text.push(char::from(DIGITS[usize::from(octet & 15)]));
        }
    }
    text
}

/// The boundary of a multipart type.
#[must_use]
pub fn boundary(content_type: &str) -> Option<&str> {
    let parameters = content_type.split(';').skip(1);
    let mut named = parameters.filter_map(|parameter| parameter.trim().split_once('='));
    let (_, value) = named.find(|(name, _)| name.eq_ignore_ascii_case("boundary"))?;
    let value = value.trim().trim_matches('"');
    (!value.is_empty() && value.len() <= 200).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_encoding_goes_both_ways_and_forgives() {
        assert_eq!(&*percent_decode("a%20b+c%zz%4"), b"a b c%zz%4");
        assert_eq!(percent_encode("a b/é".as_bytes()), "a%20b%2F%C3%A9");
        assert_eq!(&*percent_decode("%é%C3%a9"), "%éé".as_bytes());
    }

    #[test]
    fn a_boundary_is_found_with_and_without_quotes() {
        assert_eq!(boundary("multipart/form-data; charset=x; Boundary=\"a b\""), Some("a b"));
        assert_eq!(boundary("multipart/form-data; boundary=--x"), Some("--x"));
        assert_eq!(boundary("multipart/form-data"), None);
    }

    proptest::proptest! {
        #[test]
        fn any_octets_survive_a_form(octets: Vec<u8>) {
            let text = percent_encode(&octets);
            proptest::prop_assert_eq!(&*percent_decode(&text), octets);
        }
    }
}
