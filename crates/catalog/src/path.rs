//! The path as a server would read it: percent-encoding undone, slashes and dot segments folded.
//!
//! Works on a copy, for matching only: what was sent goes on to the letter.

use std::borrow::Cow;

use memchr::memchr2;

/// The path without query and fragment, normalised (RFC 3986 6.2.2.2, 6.2.2.3). Double slashes
/// are folded too, as the servers do.
pub(crate) fn normalise(target: &str) -> Cow<'_, str> {
    let bytes = target.as_bytes();
    let end = memchr2(b'?', b'#', bytes).unwrap_or(bytes.len());
    let path = &target[..end];
    if is_normal(path.as_bytes()) {
        return Cow::Borrowed(path);
    }
    Cow::Owned(fold_segments(&decode(path)))
}

/// Whether nothing is encoded, and no segment but the last is empty or begins with a point. All
/// octets are looked at, without a way out, so that the compiler takes many at once.
fn is_normal(path: &[u8]) -> bool {
    let encoded = path.iter().fold(false, |found, &byte| found | (byte == b'%'));
    let behind = path.get(1..).unwrap_or_default();
    let folded = path.iter().zip(behind).fold(false, |found, (&byte, &next)| {
        found | ((byte == b'/') & ((next == b'/') | (next == b'.')))
    });
    !encoded & !folded
}

/// The query's pairs, as sent.
pub(crate) fn pairs(target: &str) -> impl Iterator<Item = (&str, &str)> {
    let query = target.split_once('?').map_or("", |(_, query)| query);
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

/// Undoes percent-encoding, but for the octets that would change what the path is: the slash,
/// the question mark, the hash and controls. Octets that are no UTF-8 stay encoded.
fn decode(path: &str) -> Cow<'_, str> {
    if !path.contains('%') {
        return Cow::Borrowed(path);
    }
    let bytes = path.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match (bytes[at], escaped(&bytes[at..])) {
            (b'%', Some(octet)) if !octet.is_ascii_control() && !b"/?#%".contains(&octet) => {
                out.push(octet);
                at += 3;
            }
            (byte, _) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8(out).map_or(Cow::Borrowed(path), Cow::Owned)
}

fn escaped(bytes: &[u8]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    match bytes {
        [b'%', high, low, ..] => Some(digit(*high)? * 16 + digit(*low)?),
        _ => None,
    }
}

fn fold_segments(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            segment => kept.push(segment),
        }
    }
    let mut out = String::with_capacity(path.len());
    for segment in &kept {
        out.push('/');
        out.push_str(segment);
    }
    let is_folder = path.ends_with('/') || path.ends_with("/.") || path.ends_with("/..");
    if is_folder || kept.is_empty() {
        out.push('/');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_spellings_of_a_path_are_the_path() {
        for path in [
            "/a/b.xml",
            "//a///b.xml",
            "/a/./b.xml",
            "/x/../a/b.xml",
            "/%61/b%2Exml",
            "/../a/b.xml?x=//..#y",
        ] {
            assert_eq!(normalise(path), "/a/b.xml", "{path}");
        }
        assert_eq!(normalise("/a%2Fb"), "/a%2Fb");
        assert_eq!(normalise("/a/.."), "/");
    }

    #[test]
    fn an_inner_url_in_the_query_is_no_path() {
        let target = "/images/?w=1&image=https://a.b/../c.jpg";
        assert_eq!(normalise(target), "/images/");
        assert_eq!(pairs(target).last(), Some(("image", "https://a.b/../c.jpg")));
    }

    proptest::proptest! {
        #[test]
        fn normalising_never_panics_and_settles(path in "[/.%a2fé?]{0,40}|\\PC{0,40}") {
            let _ = normalise(&path);
            let _ = pairs(&path).count();
        }
    }
}
