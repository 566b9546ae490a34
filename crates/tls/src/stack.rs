//! Who can open a connection. Which of them it is, `stack/rules.rs` decides.

#[cfg(feature = "interception")]
mod rules;

use crate::hello::ClientHello;

/// The key of a leaf.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LeafKey {
    /// ECDSA with P-256.
    Ecdsa,
    /// RSA with 2048 bits, for clients that take nothing else.
    Rsa,
}

/// Who can open a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stack {
    /// rustls, with a leaf of this key.
    Rustls(LeafKey),
    /// OpenSSL, in a build that has it and for a host that the user named for it; with the reason
    /// why rustls cannot, in plain words, as "offers TLS 1.0 at most".
    Legacy(String),
    /// Nobody; with the same kind of reason.
    Unsupported(String),
}

/// Who answers a hello.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answerer {
    /// rustls, with a leaf of this key.
    Rustls(LeafKey),
    /// OpenSSL, with what is not safe any more.
    Legacy,
}

impl Answerer {
    /// Who can; whether it is allowed to is for others to say.
    #[must_use]
    pub fn of(hello: &ClientHello) -> Option<Self> {
        match hello.stack() {
            Stack::Rustls(key) => Some(Self::Rustls(key)),
            Stack::Legacy(_) => Some(Self::Legacy),
            Stack::Unsupported(_) => None,
        }
    }
}
