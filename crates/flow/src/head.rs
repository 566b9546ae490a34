//! Heads of requests and answers.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::Headers;
use crate::text::parsed;

/// The HTTP version a head was sent in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Version {
    /// HTTP/1.0
    #[serde(rename = "HTTP/1.0")]
    Http10,
    /// HTTP/1.1
    #[serde(rename = "HTTP/1.1")]
    Http11,
    /// HTTP/2
    #[serde(rename = "HTTP/2")]
    Http2,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http10 => "HTTP/1.0",
            Self::Http11 => "HTTP/1.1",
            Self::Http2 => "HTTP/2",
        })
    }
}

/// The head of a request, as the client sent it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestHead {
    /// The method, a token.
    pub method: Text,
    /// The request target, to the letter (`http://host/path`, `/path`, `host:443`).
    pub target: Text,
    /// The version of the request line.
    pub version: Version,
    /// The fields, in the order they were sent.
    pub headers: Headers,
}

/// The head of an answer, as the server sent it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResponseHead {
    /// The status, 100 to 999.
    pub status: u16,
    /// The reason phrase; empty in HTTP/2.
    pub reason: Text,
    /// The version of the status line.
    pub version: Version,
    /// The fields, in the order they were sent.
    pub headers: Headers,
}

/// Text that shares the octets it was read from. Octets that are no UTF-8 are replaced where it
/// is made; heads that need every octet keep [`Bytes`] at the side.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Text(Bytes);

impl Text {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Every constructor made sure that it is UTF-8.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl From<Bytes> for Text {
    fn from(octets: Bytes) -> Self {
        match std::str::from_utf8(&octets) {
            Ok(_) => Self(octets),
            Err(_) => Self(String::from_utf8_lossy(&octets).into_owned().into()),
        }
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl From<&'static str> for Text {
    fn from(text: &'static str) -> Self {
        Self(Bytes::from_static(text.as_bytes()))
    }
}

impl std::ops::Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl Serialize for Text {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self)
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer)
    }
}

/// What most heads have for a method and for a reason: of that no copy is made.
const COMMON: [&str; 10] = [
    "",
    "OK",
    "GET",
    "POST",
    "HEAD",
    "CONNECT",
    "Found",
    "Not Found",
    "Partial Content",
    "Not Modified",
];

impl FromStr for Text {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        let common = COMMON.into_iter().find(|common| *common == text);
        Ok(common.map_or_else(|| Self(Bytes::copy_from_slice(text.as_bytes())), Self::from))
    }
}
