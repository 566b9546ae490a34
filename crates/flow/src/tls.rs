//! What a TLS handshake showed.

use serde::{Deserialize, Serialize};

/// The facts of a ClientHello.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ClientHelloFacts {
    /// The server name asked for; old consoles send none.
    pub sni: Option<String>,
    /// The protocols offered, most wanted first.
    pub alpn: Vec<String>,
    /// The versions offered (0x0301 is TLS 1.0, 0x0304 TLS 1.3), without GREASE.
    pub versions: Vec<u16>,
    /// The cipher suites offered, in order, without GREASE.
    pub suites: Vec<u16>,
    /// JA3: the MD5 of the hello's numbers, in hex.
    pub ja3: String,
    /// JA4, as `t13d1516h2_8daaf6152771_b186095e22b6`.
    pub ja4: String,
}

impl ClientHelloFacts {
    /// The highest version offered, by the name people use.
    #[must_use]
    pub fn highest_version(&self) -> &'static str {
        match self.versions.iter().max() {
            Some(0x0304) => "TLS 1.3",
            Some(0x0303) => "TLS 1.2",
            Some(0x0302) => "TLS 1.1",
            Some(0x0301) => "TLS 1.0",
            Some(0x0300) => "SSL 3.0",
            Some(0x0002) => "SSL 2.0",
            _ => "TLS",
        }
    }
}

/// What the server chose.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ServerHelloFacts {
    /// The version chosen.
    pub version: u16,
    /// The cipher suite chosen.
    pub suite: u16,
}
