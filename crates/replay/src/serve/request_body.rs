//! Bodies of requests, as far as they tell requests apart.

use consoletap_content::percent_decode;
use consoletap_flow::{Digest, Headers};
use serde_json::Value;

use crate::compare::sha256;

/// More of a body than this is not read to find an answer, in octets: what is larger is an upload,
/// and all uploads that large are alike.
pub(crate) const READ_AT_MOST: usize = 1 << 20;

/// The body of a request.
#[derive(Debug, Clone)]
pub(crate) enum RequestBody<'a> {
    /// All of it, and whether it can be read: only what is not encoded can.
    Known { octets: &'a [u8], readable: bool },
    /// Only its hash.
    Hashed(Digest),
    /// Larger than is read.
    Large,
    /// Nothing is known of it.
    Unknown,
}

impl<'a> RequestBody<'a> {
    /// A body that is at hand. `headers` say how it is encoded.
    pub(crate) fn known(headers: &Headers, octets: &'a [u8]) -> Self {
        let encoded = headers.elements("content-encoding").any(|coding| coding != b"identity");
        Self::Known { octets, readable: !encoded }
    }

    /// Its hash as text; of an unknown body, a text that no other has.
    pub(crate) fn hash(&self) -> String {
        match self {
            Self::Known { octets, .. } => sha256(octets).to_string(),
            Self::Hashed(digest) => digest.to_string(),
            Self::Large => format!("more than {READ_AT_MOST} bytes"),
            Self::Unknown => "not kept".to_owned(),
        }
    }

    fn readable(&self) -> Option<&'a [u8]> {
        match self {
            Self::Known { octets, readable: true } => Some(octets),
            _ => None,
        }
    }

    pub(crate) fn json(&self) -> Option<Value> {
        serde_json::from_slice(self.readable()?).ok()
    }

    pub(crate) fn form(&self) -> Option<Vec<(String, String)>> {
        Some(pairs(std::str::from_utf8(self.readable()?).ok()?).collect())
    }
}

/// The names and values of a form or a query, decoded. What stands between two `&` and is empty
/// counts for nothing: queries of the PS4's downloads begin with `?&`.
pub(crate) fn pairs(text: &str) -> impl Iterator<Item = (String, String)> + '_ {
    let decode = |text: &str| {
        let text = text.replace('+', " ");
        String::from_utf8_lossy(&percent_decode(&text)).into_owned()
    };
    text.split('&').filter(|pair| !pair.is_empty()).map(move |pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(name), decode(value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_taken_apart_as_servers_do() {
        let pairs: Vec<_> = pairs("&product=0287&a=%41+b%2B&flag&bad=%4&=x").collect();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            pairs,
            [
                pair("product", "0287"),
                pair("a", "A b+"),
                pair("flag", ""),
                pair("bad", "%4"),
                pair("", "x")
            ]
        );
    }
}
