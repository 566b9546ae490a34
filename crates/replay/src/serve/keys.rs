//! What of a request must be the same for a recorded answer to fit.
//!
//! [`MatchKeys`] is the user's choice, written as `method,host,path,query,-query:ts,header:accept`;
//! [`RequestKey`] is what one request says under that choice. Two requests with equal keys are the
//! same question. What differs between unequal ones is for `near_miss.rs` to tell.

use std::fmt;
use std::str::FromStr;

use consoletap_catalog::Entry;
use consoletap_flow::{Headers, Url};
use consoletap_redact::stand_ins;
use serde_json::Value;

use crate::secret::fits;
use crate::serve::request_body::{RequestBody, pairs};

/// The parts of a request that are compared. The default is `method,scheme,host,path,query`,
/// without the query keys of which the catalog says that they mean nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatchKeys {
    method: bool,
    scheme: bool,
    host: bool,
    path: bool,
    query: Names,
    headers: Vec<String>,
    body: BodyKeys,
}

/// Some of a set of named values.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Names {
    None,
    /// All but these.
    AllBut(Vec<String>),
    Only(Vec<String>),
}

impl Names {
    fn wants(&self, name: &str) -> bool {
        match self {
            Self::None => false,
            Self::AllBut(not) => !not.iter().any(|other| other == name),
            Self::Only(these) => these.iter().any(|other| other == name),
        }
    }
}

/// How bodies are compared.
#[derive(Debug, Clone, PartialEq, Eq)]
enum BodyKeys {
    None,
    /// Octet by octet, by their hash.
    Octets,
    /// As JSON: all of it, or what these pointers (RFC 6901) name.
    Json(Vec<String>),
    /// As a form: all fields, or these.
    Form(Names),
}

impl Default for MatchKeys {
    fn default() -> Self {
        Self {
            method: true,
            scheme: true,
            host: true,
            path: true,
            query: Names::AllBut(Vec::new()),
            headers: Vec::new(),
            body: BodyKeys::None,
        }
    }
}

impl MatchKeys {
    /// Whether the body of a request must be read before its answer can be found.
    pub(crate) fn reads_body(&self) -> bool {
        self.body != BodyKeys::None
    }

    /// The same for a request of which no more is known than its method and its URL.
    pub(crate) fn of_method_and_url(&self) -> Self {
        Self { headers: Vec::new(), body: BodyKeys::None, ..self.clone() }
    }

    /// Whether requests to different servers are told apart.
    pub(crate) fn tells_servers_apart(&self) -> bool {
        self.host && self.scheme
    }

    /// What a request says under these keys. `entry` is the catalog's row for it.
    pub(crate) fn of(&self, request: &Question<'_>, entry: Option<&Entry>) -> RequestKey {
        let mut parts = Vec::with_capacity(6);
        let mut part = |label, value: String| parts.push(Part { label, value });
        if self.method {
            // A HEAD asks what a GET would say (RFC 9110 9.3.2).
            let method = if request.method == "HEAD" { "GET" } else { request.method };
            part(Label::Method, method.to_owned());
        }
        if self.scheme {
            part(Label::Scheme, request.url.scheme.to_string());
        }
        if self.host {
            part(Label::Host, request.url.authority.to_string());
        }
        if self.path {
            part(Label::Path, request.url.path_only().to_owned());
        }
        for (name, value) in self.query(request.url, entry) {
            part(Label::Query(name), value);
        }
        for name in &self.headers {
            let values: Vec<_> =
                request.headers.all(name).map(|value| String::from_utf8_lossy(value)).collect();
            part(Label::Header(name.clone()), values.join(", "));
        }
        for (what, value) in self.body(request.body) {
            part(Label::Body(what), value);
        }
        RequestKey(parts)
    }

    fn query(&self, url: &Url, entry: Option<&Entry>) -> Vec<(String, String)> {
        // A sliced download is the same file whatever its query says (signatures, addresses).
        if entry.is_some_and(|entry| entry.download) {
            return Vec::new();
        }
        let noise = entry.map_or(&[][..], |entry| &entry.noise);
        let query = url.path.split_once('?').map_or("", |(_, query)| query);
        let mut pairs: Vec<(String, String)> = pairs(query)
            .filter(|(name, _)| self.query.wants(name) && !noise.contains(name))
            .collect();
        pairs.sort();
        pairs
    }

    fn body(&self, body: &RequestBody<'_>) -> Vec<(String, String)> {
        let whole = |name: &str, value: String| vec![(name.to_owned(), value)];
        match &self.body {
            BodyKeys::None => Vec::new(),
            BodyKeys::Octets => whole("", body.hash()),
            BodyKeys::Json(pointers) => match body.json() {
                Some(json) if pointers.is_empty() => whole("json", canonical(&json)),
                Some(json) => pointers
                    .iter()
                    .map(|pointer| {
                        let value = json.pointer(pointer).map_or(String::new(), canonical);
                        (pointer.clone(), value)
                    })
                    .collect(),
                None => whole("", body.hash()),
            },
            BodyKeys::Form(names) => match body.form() {
                Some(mut pairs) => {
                    pairs.retain(|(name, _)| names.wants(name));
                    pairs.sort();
                    pairs
                }
                None => whole("", body.hash()),
            },
        }
    }
}

/// JSON with the keys of every object in order, so that equal values are equal text.
fn canonical(value: &Value) -> String {
    fn sorted(value: &Value) -> Value {
        match value {
            Value::Object(object) => {
                let mut keys: Vec<&String> = object.keys().collect();
                keys.sort();
                keys.into_iter().map(|key| (key.clone(), sorted(&object[key]))).collect()
            }
            Value::Array(items) => items.iter().map(sorted).collect(),
            other => other.clone(),
        }
    }
    sorted(value).to_string()
}

/// A request to be answered, or one that was recorded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Question<'a> {
    /// The method.
    pub(crate) method: &'a str,
    /// The URL.
    pub(crate) url: &'a Url,
    /// The fields.
    pub(crate) headers: &'a Headers,
    /// The body, as far as it is known.
    pub(crate) body: &'a RequestBody<'a>,
}

/// What a request says, part by part.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct RequestKey(Vec<Part>);

/// One part of a key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Part {
    pub(crate) label: Label,
    pub(crate) value: String,
}

/// What a part is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Label {
    Method,
    Scheme,
    Host,
    Path,
    Query(String),
    Header(String),
    Body(String),
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Method => f.write_str("method"),
            Self::Scheme => f.write_str("scheme"),
            Self::Host => f.write_str("host"),
            Self::Path => f.write_str("path"),
            Self::Query(name) => write!(f, "query key {name}"),
            Self::Header(name) => write!(f, "header {name}"),
            Self::Body(what) if what.is_empty() => f.write_str("body"),
            Self::Body(what) => write!(f, "body field {what}"),
        }
    }
}

impl From<Vec<Part>> for RequestKey {
    fn from(parts: Vec<Part>) -> Self {
        Self(parts)
    }
}

impl RequestKey {
    pub(crate) fn parts(&self) -> &[Part] {
        &self.0
    }

    /// Whether some of it stands for a secret that was taken out, so that anything may come there.
    pub(crate) fn has_secrets(&self) -> bool {
        self.0.iter().any(|part| stand_ins(part.value.as_bytes()).next().is_some())
    }

    /// Whether a request is the recorded one, where anything may come for a secret.
    pub(crate) fn admits(&self, asked: &Self) -> bool {
        self.0.len() == asked.0.len()
            && self.0.iter().zip(&asked.0).all(|(recorded, asked)| {
                recorded.label == asked.label && fits(&recorded.value, &asked.value)
            })
    }

    /// The value of a part; `None` where the request does not have it.
    pub(crate) fn value(&self, label: &Label) -> Option<&str> {
        self.0.iter().find(|part| part.label == *label).map(|part| &*part.value)
    }
}

/// Text that names no keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{term}` is nothing to match on; expected method, scheme, host, path, query, query:NAME, \
     -query:NAME, header:NAME, body, json, json:/POINTER, form, form:NAME or -form:NAME"
)]
pub struct InvalidMatchKeys {
    /// What was not understood.
    pub term: String,
}

impl FromStr for MatchKeys {
    type Err = InvalidMatchKeys;

    /// Reads terms joined by commas. A list that begins with `+` or `-` changes the default;
    /// any other says all there is to compare.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let nothing = Self {
            method: false,
            scheme: false,
            host: false,
            path: false,
            query: Names::None,
            headers: Vec::new(),
            body: BodyKeys::None,
        };
        let mut keys = if text.starts_with(['+', '-']) { Self::default() } else { nothing };
        for term in text.split(',').map(str::trim) {
            keys.change(term).ok_or_else(|| InvalidMatchKeys { term: term.to_owned() })?;
        }
        Ok(keys)
    }
}

impl MatchKeys {
    fn change(&mut self, term: &str) -> Option<()> {
        let (wanted, term) = match term.strip_prefix('-') {
            Some(term) => (false, term),
            None => (true, term.strip_prefix('+').unwrap_or(term)),
        };
        match term.split_once(':') {
            None => match term {
                "method" => self.method = wanted,
                "scheme" => self.scheme = wanted,
                "host" => self.host = wanted,
                "path" => self.path = wanted,
                "query" if wanted => self.query = Names::AllBut(Vec::new()),
                "query" => self.query = Names::None,
                "body" if wanted => self.body = BodyKeys::Octets,
                "json" if wanted => self.body = BodyKeys::Json(Vec::new()),
                "form" if wanted => self.body = BodyKeys::Form(Names::AllBut(Vec::new())),
                "body" | "json" | "form" => self.body = BodyKeys::None,
                _ => return None,
            },
            Some((_, "")) => return None,
            Some(("query", name)) => add(&mut self.query, name, wanted),
            Some(("form", name)) => {
                if !matches!(self.body, BodyKeys::Form(_)) {
                    self.body = BodyKeys::Form(Names::AllBut(Vec::new()));
                }
                if let BodyKeys::Form(names) = &mut self.body {
                    add(names, name, wanted);
                }
            }
            Some(("header", name)) if wanted => self.headers.push(name.to_ascii_lowercase()),
            Some(("header", name)) => {
                self.headers.retain(|other| !other.eq_ignore_ascii_case(name))
            }
            Some(("json", pointer)) if wanted && pointer.starts_with('/') => {
                if !matches!(self.body, BodyKeys::Json(_)) {
                    self.body = BodyKeys::Json(Vec::new());
                }
                if let BodyKeys::Json(pointers) = &mut self.body {
                    pointers.push(pointer.to_owned());
                }
            }
            Some(_) => return None,
        }
        Some(())
    }
}

/// Wants a name, too, or wants all but this one.
fn add(names: &mut Names, name: &str, wanted: bool) {
    let name = name.to_owned();
    match (names, wanted) {
        (Names::Only(these), true) => these.push(name),
        (Names::AllBut(not), false) => not.push(name),
        (names, true) => *names = Names::Only(vec![name]),
        (names, false) => *names = Names::AllBut(vec![name]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(keys: &str, method: &str, url: &str, body: &[u8]) -> RequestKey {
        let keys: MatchKeys = keys.parse().unwrap();
        let headers = Headers::default();
        let body = RequestBody::known(&headers, body);
        let url = url.parse().unwrap();
        keys.of(&Question { method, url: &url, headers: &headers, body: &body }, None)
    }

    #[test]
    fn the_order_of_a_query_and_a_head_instead_of_a_get_do_not_matter() {
        let keys = "method,scheme,host,path,query";
        assert_eq!(
            key(keys, "GET", "http://a.example/x?&b=2&a=1", b""),
            key(keys, "HEAD", "http://A.example:80/x?a=1&b=2", b"")
        );
        assert_ne!(
            key(keys, "GET", "http://a.example/x?a=1", b""),
            key(keys, "GET", "http://a.example/x?a=2", b"")
        );
    }

    #[test]
    fn a_choice_of_keys_is_all_that_counts() {
        for (keys, one, other, same) in [
            ("path", "http://a/x", "https://b/x?q=1", true),
            ("-query:ts", "http://a/x?ts=1&k=1", "http://a/x?ts=2&k=1", true),
            ("-query:ts", "http://a/x?ts=1&k=1", "http://a/x?ts=1&k=2", false),
            ("path,query:k", "http://a/x?ts=1&k=1", "http://b/x?ts=2&k=1", true),
            ("-scheme,-host", "http://a/x", "https://b:1/x", true),
        ] {
            assert_eq!(key(keys, "GET", one, b"") == key(keys, "GET", other, b""), same, "{keys}");
        }
    }

    #[test]
    fn the_noise_of_every_row_of_the_catalog_is_left_out_and_nothing_else() {
        let catalog = consoletap_catalog::Catalog::builtin();
        let (keys, headers) = (MatchKeys::default(), Headers::default());
        let mut rows = 0;
        for entry in catalog.entries().filter(|entry| !entry.noise.is_empty()) {
            let of = |query: &str| {
                let url = format!("http://a.test/x?{query}").parse().unwrap();
                let body = &RequestBody::Unknown;
                let question = Question { method: "GET", url: &url, headers: &headers, body };
                keys.of(&question, Some(entry))
            };
            for name in &entry.noise {
                assert_eq!(of(&format!("{name}=1&k=1")), of(&format!("k=1&{name}=2")), "{name}");
                assert_eq!(of(&format!("{name}=1&k=1")), of("k=1"), "{name}");
            }
            // Of downloads the path alone counts.
            assert_eq!(of("k=1") == of("k=2"), entry.download, "{}", entry.id);
            rows += 1;
        }
        assert!(rows > 20, "{rows}");
    }

    #[test]
    fn bodies_are_compared_as_what_they_are() {
        for (keys, one, other, same) in [
            ("body", "a", "a", true),
            ("body", "a", "b", false),
            ("json", "{\"a\":1,\"b\":2}", "{ \"b\": 2, \"a\": 1 }", true),
            ("json", "{\"a\":1}", "{\"a\":2}", false),
            ("json:/a/0", "{\"a\":[1],\"t\":1}", "{\"a\":[1],\"t\":2}", true),
            ("json:/a", "no json", "no json", true),
            ("form:user", "user=a&time=1", "time=2&user=a", true),
            ("form", "user=a&time=1", "user=a&time=2", false),
            ("-form:time", "user=%61&time=1", "user=a&time=2", true),
        ] {
            let url = "http://a/x";
            let (one, other) = (one.as_bytes(), other.as_bytes());
            assert_eq!(
                key(keys, "POST", url, one) == key(keys, "POST", url, other),
                same,
                "{keys}"
            );
        }
    }

    #[test]
    fn what_is_no_key_is_told() {
        for bad in ["", "colour", "query:", "json:a", "method,,path", "-json:/a"] {
            let error = bad.parse::<MatchKeys>().unwrap_err().to_string();
            assert!(error.contains("nothing to match on"), "{bad}: {error}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_keys_or_an_error(text in "[-+a-z:,/ ]{0,40}") {
            let _ = text.parse::<MatchKeys>();
        }
    }
}
