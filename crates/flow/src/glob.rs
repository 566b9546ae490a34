//! Host patterns, as people write them: `*.playstation.net`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Host;
use crate::text::parsed;

/// A pattern for hosts: `*` stands for any run of characters (dots included), `?` for one; case
/// does not count. Addresses are matched by their text, IPv6 without brackets.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HostGlob(Box<str>);

/// Text that is no host pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidGlob(String);

impl fmt::Display for InvalidGlob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} is no host pattern: write a host without scheme, port or path, \
             with `*` for any run of characters, as `*.playstation.net`",
            self.0
        )
    }
}

impl std::error::Error for InvalidGlob {}

impl FromStr for HostGlob {
    type Err = InvalidGlob;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
        let bare = bare.strip_suffix('.').unwrap_or(bare);
        let fits = |c: char| c.is_ascii_alphanumeric() || "-._~*?:".contains(c);
        let colons = bare.bytes().filter(|&byte| byte == b':').count();
        if bare.is_empty() || !bare.chars().all(fits) || colons == 1 {
            return Err(InvalidGlob(text.to_owned()));
        }
        Ok(Self(bare.to_ascii_lowercase().into()))
    }
}

impl HostGlob {
    /// Whether the host fits.
    #[must_use]
    pub fn matches(&self, host: &Host) -> bool {
        match host {
            Host::Name(name) => fits(self.0.as_bytes(), name.as_bytes()),
            Host::V4(ip) => fits(self.0.as_bytes(), ip.to_string().as_bytes()),
            Host::V6(ip) => fits(self.0.as_bytes(), ip.to_string().as_bytes()),
        }
    }
}

/// Matching by stepping back to the last star: at most `pattern × text` steps, no recursion.
fn fits(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(&byte) if byte == b'?' || byte == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    p = at + 1;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&byte| byte == b'*')
}

impl fmt::Display for HostGlob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for HostGlob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HostGlob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(glob: &str, host: &str) -> bool {
        glob.parse::<HostGlob>().unwrap().matches(&host.parse().unwrap())
    }

    #[test]
    fn stars_stand_for_any_run_of_characters() {
        assert!(matches("*.playstation.net", "a.b.PlayStation.net"));
        assert!(!matches("*.playstation.net", "playstation.net"));
        assert!(!matches("*.playstation.net", "x.playstation.net.evil.example"));
        assert!(matches("*", "[::1]"));
        assert!(matches("a*b*c", "aXbXbYc"));
        assert!(matches("127.0.0.?", "127.0.0.1"));
    }

    #[test]
    fn a_url_or_a_port_is_no_pattern() {
        for bad in ["", "http://x", "x:80", "a/b", "a b"] {
            assert!(bad.parse::<HostGlob>().is_err(), "{bad}");
        }
    }
}
