//! Where a request goes: scheme, host, port, path.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::text::parsed;

/// The schemes the proxy speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    /// `http`
    Http,
    /// `https`
    Https,
}

impl Scheme {
    /// The port of a URL that names none.
    #[must_use]
    pub fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http => "http",
            Self::Https => "https",
        })
    }
}

/// A host: a name in lower case without the dot of the root, or an address.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Host {
    /// A name; never empty.
    Name(Box<str>),
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// An IPv6 address; written in brackets.
    V6(Ipv6Addr),
}

impl Host {
    /// The address, where the host is one.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Name(_) => None,
            Self::V4(ip) => Some(IpAddr::V4(*ip)),
            Self::V6(ip) => Some(IpAddr::V6(*ip)),
        }
    }

    /// The name, where the host is one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Name(name) => Some(name),
            Self::V4(_) | Self::V6(_) => None,
        }
    }
}

impl From<IpAddr> for Host {
    fn from(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(ip) => Self::V4(ip),
            IpAddr::V6(ip) => Self::V6(ip),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::V4(ip) => ip.fmt(f),
            Self::V6(ip) => write!(f, "[{ip}]"),
        }
    }
}

/// Why text is no host or no authority.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidAuthority {
    /// There is no host.
    NoHost,
    /// There is a byte that cannot stand in a host.
    BadHost,
    /// The port is missing, empty, zero, no number or over 65535.
    BadPort,
    /// There is a user name in it, which no request may carry (RFC 9110 4.2.4).
    UserInfo,
}

impl fmt::Display for InvalidAuthority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoHost => "the host is missing",
            Self::BadHost => "the host holds a byte that no host name has",
            Self::BadPort => "the port must be a number from 1 to 65535",
            Self::UserInfo => "a user name may not stand before the host",
        })
    }
}

impl std::error::Error for InvalidAuthority {}

impl FromStr for Host {
    type Err = InvalidAuthority;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(inner) = text.strip_prefix('[') {
            let inner = inner.strip_suffix(']').ok_or(InvalidAuthority::BadHost)?;
            return inner.parse().map(Self::V6).map_err(|_| InvalidAuthority::BadHost);
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        if name.is_empty() {
            return Err(InvalidAuthority::NoHost);
        }
        if let Ok(ip) = name.parse() {
            return Ok(Self::V4(ip));
        }
        // RFC 3986 3.2.2 `reg-name`, with the underscore that real names have. 255: RFC 1035 2.3.4.
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=%".contains(&byte);
        if name.len() > 255 || !name.bytes().all(fits) {
            return Err(InvalidAuthority::BadHost);
        }
        Ok(Self::Name(name.to_ascii_lowercase().into()))
    }
}

impl Serialize for Host {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Host {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer)
    }
}

/// A host and a port.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Authority {
    /// The host.
    pub host: Host,
    /// The port; never 0 where it was read from text.
    pub port: u16,
}

impl Authority {
    /// Reads `host[:port]`; `default` stands in for a port that is not there, and `None` makes
    /// the port necessary, as in CONNECT (RFC 9110 9.3.6).
    ///
    /// # Errors
    /// When the host or the port cannot be used.
    pub fn parse(text: &str, default: Option<u16>) -> Result<Self, InvalidAuthority> {
        if text.contains('@') {
            return Err(InvalidAuthority::UserInfo);
        }
        let port_from = match text.rfind(']') {
            Some(end) => text[end..].find(':').map(|colon| end + colon),
            None => text.find(':'),
        };
        let (host, port) = match port_from {
            Some(colon) => (&text[..colon], Some(&text[colon + 1..])),
            None => (text, None),
        };
        let host = host.parse()?;
        let port = match (port, default) {
            (Some(digits), _) if is_port(digits) => digits.parse().ok(),
            // RFC 3986 3.2.3 allows an empty port, and it means the default.
            (Some("") | None, Some(default)) => Some(default),
            _ => None,
        };
        let port = port.filter(|&port| port != 0).ok_or(InvalidAuthority::BadPort)?;
        Ok(Self { host, port })
    }
}

/// Digits only: `str::parse` would take a leading plus.
fn is_port(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl FromStr for Authority {
    type Err = InvalidAuthority;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text, None)
    }
}

impl Serialize for Authority {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Authority {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer)
    }
}

/// The URL of a request: where it goes, with path and query to the letter.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Url {
    /// The scheme.
    pub scheme: Scheme,
    /// Host and port.
    pub authority: Authority,
    /// Path and query as sent; begins with `/`, or is `*`.
    pub path: String,
}

impl Url {
    /// The path without the query.
    #[must_use]
    pub fn path_only(&self) -> &str {
        self.path.split_once('?').map_or(&self.path, |(path, _)| path)
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scheme, authority: Authority { host, port }, path } = self;
        scheme.fmt(f)?;
        f.write_str("://")?;
        host.fmt(f)?;
        if *port != scheme.default_port() {
            write!(f, ":{port}")?;
        }
        f.write_str(path)
    }
}

impl FromStr for Url {
    type Err = InvalidAuthority;

    /// Reads an absolute `http` or `https` URL. A fragment stays in the path: servers see it so.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (Scheme::Http, rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (Scheme::Https, rest),
            _ => return Err(InvalidAuthority::NoHost),
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let authority = Authority::parse(&rest[..end], Some(scheme.default_port()))?;
        let path = match &rest[end..] {
            "" => "/".to_owned(),
            path if path.starts_with('/') => path.to_owned(),
            query => format!("/{query}"),
        };
        Ok(Self { scheme, authority, path })
    }
}

impl Serialize for Url {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Url {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer)
    }
}

/// What a request was for: a URL, or with CONNECT a host and a port.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Target {
    /// Any method but CONNECT.
    Url(Url),
    /// CONNECT.
    Authority(Authority),
}

impl Target {
    /// Where it goes.
    #[must_use]
    pub fn authority(&self) -> &Authority {
        match self {
            Self::Url(url) => &url.authority,
            Self::Authority(authority) => authority,
        }
    }

    /// Path and query, where there are any.
    #[must_use]
    pub fn path(&self) -> Option<&str> {
        match self {
            Self::Url(url) => Some(&url.path),
            Self::Authority(_) => None,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(url) => url.fmt(f),
            Self::Authority(authority) => authority.fmt(f),
        }
    }
}

impl FromStr for Target {
    type Err = InvalidAuthority;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.contains("://") {
            text.parse().map(Self::Url)
        } else {
            text.parse().map(Self::Authority)
        }
    }
}

impl Serialize for Target {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_of_connect_must_be_there_and_possible() {
        for bad in ["h", "h:", "h:0", "h:65536", "h:+1", "h:x", "h:1:2", "[::1]", "[::1]:"] {
            assert_eq!(
                Authority::parse(bad, None).err(),
                Some(InvalidAuthority::BadPort),
                "{bad} must be refused for its port"
            );
        }
        assert_eq!(Authority::parse("[::1]:443", None).unwrap().to_string(), "[::1]:443");
        assert_eq!(
            Authority::parse("1.2.3.4:80", None).unwrap().host,
            Host::V4([1, 2, 3, 4].into())
        );
    }

    #[test]
    fn a_host_is_compared_without_case_and_without_the_root_dot() {
        let url: Url = "HTTP://Example.ORG.:80?x=1".parse().unwrap();
        assert_eq!(url.to_string(), "http://example.org/?x=1");
    }

    #[test]
    fn a_user_name_a_space_and_an_empty_host_are_no_authority() {
        assert_eq!(Authority::parse("a@b:1", None), Err(InvalidAuthority::UserInfo));
        assert_eq!(Authority::parse("a b:1", None), Err(InvalidAuthority::BadHost));
        assert_eq!(Authority::parse(":1", None), Err(InvalidAuthority::NoHost));
        assert_eq!(Authority::parse("[::1:1", None), Err(InvalidAuthority::BadHost));
    }

    proptest::proptest! {
        #[test]
        fn reading_never_panics_and_what_is_read_reads_back(text in "\\PC{0,40}") {
            if let Ok(authority) = Authority::parse(&text, Some(80)) {
                proptest::prop_assert_eq!(authority.to_string().parse::<Authority>().unwrap(), authority);
            }
            let _ = text.parse::<Url>();
        }
    }
}
