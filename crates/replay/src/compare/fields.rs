//! The header fields of two answers: which are compared, and how.

use std::collections::BTreeSet;

use consoletap_flow::Headers;

use crate::compare::Difference;
use crate::secret::fits;

/// Fields that say something of the resource and not of the moment, the server or the way.
const USUAL: [&str; 12] = [
    "accept-ranges",
    "allow",
    "cache-control",
    "content-disposition",
    "content-language",
    "content-range",
    "content-type",
    "link",
    "location",
    "set-cookie",
    "www-authenticate",
    "x-organization",
];

/// The header fields that are compared.
#[derive(Debug, Clone)]
pub struct Fields(BTreeSet<String>);

impl Default for Fields {
    fn default() -> Self {
        Self(USUAL.map(str::to_owned).into())
    }
}

impl Fields {
    /// The same with one more.
    #[must_use]
    pub fn with(mut self, name: &str) -> Self {
        self.0.insert(name.trim().to_ascii_lowercase());
        self
    }

    /// The same without one.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.0.remove(&name.trim().to_ascii_lowercase());
        self
    }

    /// Where these fields say something else.
    pub(super) fn differences(
        &self,
        before: &Headers,
        after: &Headers,
    ) -> impl Iterator<Item = Difference> {
        self.0.iter().filter_map(|name| field(name, before, after))
    }
}

/// Where a field says something else.
pub(super) fn field(name: &str, before: &Headers, after: &Headers) -> Option<Difference> {
    let (old, new) = (value(name, before), value(name, after));
    match (&old, &new) {
        (None, None) => return None,
        // A challenge holds a nonce, which is another one each time (RFC 7616 3.3).
        (Some(_), Some(_)) if name == "www-authenticate" => return None,
        (Some(old), Some(new)) if fits(old, new) => return None,
        _ => {}
    }
    Some(Difference::new(name, old, new))
}

/// All values of a field; of cookies their names, since their values are made for the moment.
fn value(name: &str, headers: &Headers) -> Option<String> {
    let is_cookie = name == "set-cookie";
    let shown = |value: &[u8]| {
        let value = String::from_utf8_lossy(value).into_owned();
        match value.split_once('=') {
            Some((name, _)) if is_cookie => name.trim().to_owned(),
            _ => value,
        }
    };
    let mut values: Vec<_> = headers.all(name).map(shown).collect();
    if is_cookie {
        values.sort();
    }
    (!values.is_empty()).then(|| values.join(", "))
}
