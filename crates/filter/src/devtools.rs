//! The keys of the network panel of Chrome's DevTools, as synonyms: `domain:*.playstation.net`,
//! `-domain:…`, `status-code:404`, `is:running`.

use consoletap_flow::Scheme;

use crate::number::{Comparison, bytes};
use crate::operator::{Operator, Side, status};
use crate::pattern::Pattern;

/// The keys, each with an example value.
pub(crate) const KEYS: [(&str, &str); 10] = [
    ("domain", "*.playstation.net"),
    ("has-request-header", "range"),
    ("has-response-header", "etag"),
    ("is", "running"),
    ("larger-than", "10m"),
    ("method", "POST"),
    ("mime-type", "application/json"),
    ("scheme", "https"),
    ("status-code", "404"),
    ("url", "/tmdb2/"),
];

/// A key at the beginning of a word.
pub(crate) struct Key {
    pub(crate) name: &'static str,
    /// `-domain:`
    pub(crate) negated: bool,
    /// Octets up to the value.
    pub(crate) length: usize,
}

/// The key that a word begins with.
pub(crate) fn key(word: &str) -> Option<Key> {
    let (head, _) = word.split_once(':')?;
    let bare = head.strip_prefix('-');
    let name = bare.unwrap_or(head);
    let (name, _) = KEYS.iter().find(|(key, _)| name.eq_ignore_ascii_case(key))?;
    Some(Key { name, negated: bare.is_some(), length: head.len() + 1 })
}

/// The condition of a key with its value.
pub(crate) fn condition(key: &str, value: &str) -> Result<Operator, String> {
    Ok(match key {
        "domain" => Operator::Domain(value.parse().map_err(|_| {
            "a host was expected, with * for any part, as *.playstation.net".to_owned()
        })?),
        "has-request-header" => Operator::HasHeader(Side::Request, value.into()),
        "has-response-header" => Operator::HasHeader(Side::Response, value.into()),
        "is" => match value.to_ascii_lowercase().as_str() {
            "running" => Operator::Live,
            _ => return Err("only is:running says something of a console's traffic".to_owned()),
        },
        "larger-than" => {
            let size = bytes(value).ok_or("a size was expected, as 10m or 512k")?;
            Operator::Size(Comparison::AtLeast, size)
        }
        "method" => Operator::Method(whole(value)?),
        "mime-type" => Operator::MediaType(value.to_ascii_lowercase().into()),
        "scheme" => Operator::Scheme(match value.to_ascii_lowercase().as_str() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            _ => return Err("http or https was expected".to_owned()),
        }),
        "status-code" => Operator::Status(status(value)?),
        "url" => Operator::Url(Pattern::literal(value)?),
        _ => return Err(format!("{key}: is no key")),
    })
}

/// The whole of a text, but for its case.
fn whole(text: &str) -> Result<Pattern, String> {
    Pattern::new(&format!("^(?:{})$", regex::escape(text)))
}
