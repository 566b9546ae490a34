//! What a TLS handshake showed, and what was decided about it.

mod names;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Timestamp;
pub use names::{group_name, signature_name, suite_name, version_name};

/// The facts of a ClientHello. Lists are in the order sent, without GREASE (RFC 8701).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ClientHelloFacts {
    /// The server name asked for; old consoles send none.
    pub sni: Option<String>,
    /// The protocols offered, most wanted first.
    pub alpn: Vec<String>,
    /// The versions offered (0x0301 is TLS 1.0, 0x0304 TLS 1.3). Before TLS 1.3 it is one: the
    /// highest.
    pub versions: Vec<u16>,
    /// The cipher suites offered.
    pub suites: Vec<u16>,
    /// The key exchange groups offered; none where the client does not speak of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<u16>,
    /// The signature algorithms offered; none before TLS 1.2.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub signature_algorithms: Vec<u16>,
    /// What the client wants to go on from, where it was here before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resumes: Option<Resumption>,
    /// Whether it holds an encrypted hello (ECH), or one that is made up: the server name above
    /// may be a front for another.
    #[serde(skip_serializing_if = "is_false")]
    pub ech: bool,
    /// Whether it came in the framing of SSL 2.0 (RFC 5246 appendix E.2).
    #[serde(skip_serializing_if = "is_false")]
    pub sslv2: bool,
    /// JA3: the MD5 of the hello's numbers, in hex.
    pub ja3: String,
    /// JA4, as `t13d1516h2_8daaf6152771_b186095e22b6`.
    pub ja4: String,
}

impl ClientHelloFacts {
    /// The highest version offered, by the name people use.
    #[must_use]
    pub fn highest_version(&self) -> &'static str {
        self.versions.iter().max().and_then(|&version| version_name(version)).unwrap_or("TLS")
    }
}

/// What a client offers to go on from instead of a whole handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Resumption {
    /// A session that the server remembers by its number (up to TLS 1.2).
    SessionId,
    /// A session ticket (RFC 5077, up to TLS 1.2).
    Ticket,
    /// A pre-shared key, which in TLS 1.3 stands for a ticket.
    Psk,
}

impl fmt::Display for Resumption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SessionId => "a session id",
            Self::Ticket => "a session ticket",
            Self::Psk => "a pre-shared key",
        })
    }
}

/// What the server chose, as far as it says so in the clear.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ServerHelloFacts {
    /// The version chosen.
    pub version: u16,
    /// The cipher suite chosen.
    pub suite: u16,
    /// The protocol chosen; from TLS 1.3 on that is encrypted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alpn: Option<String>,
    /// The key exchange group chosen; up to TLS 1.2 it is not looked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<u16>,
    /// Whether an earlier session goes on; absent where that cannot be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resumed: Option<bool>,
    /// Whether it asked for another hello first (HelloRetryRequest).
    #[serde(skip_serializing_if = "is_false")]
    pub retried: bool,
}

/// A server's certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateFacts {
    /// Whom it is for, as `C=US, O=Sony, CN=*.playstation.net`.
    pub subject: String,
    /// Who signed it.
    pub issuer: String,
    /// The names and addresses that it is good for; 100 at most are kept.
    pub names: Vec<String>,
    /// From when it is valid.
    pub not_before: Timestamp,
    /// Until when it is valid.
    pub not_after: Timestamp,
    /// Its key, as `RSA 2048` or `ECDSA P-256`.
    pub key: String,
    /// The SHA-256 of the whole certificate, in hex.
    pub sha256: String,
    /// How many certificates the server showed, this one included.
    pub chain: usize,
}

/// What is done with the TLS of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TlsAction {
    /// It is opened with a certificate of ours.
    Intercept,
    /// It is passed on unopened.
    Tunnel,
    /// The connection is refused.
    Block,
}

impl fmt::Display for TlsAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Intercept => "intercept",
            Self::Tunnel => "tunnel",
            Self::Block => "block",
        })
    }
}

/// What was decided about the TLS of a connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// What is done.
    pub action: TlsAction,
    /// Why, in plain words, and what to do for something else.
    pub because: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(value: &bool) -> bool {
    !value
}
