//! Actions that concern the way of octets, and not what they say.

use crate::amount::Bytes;

/// How many bytes a second may pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Throttle {
    /// To the client.
    pub down: Option<u64>,
    /// From the client.
    pub up: Option<u64>,
}

/// What goes wrong with the body of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The connection is cut after so many octets.
    Cut(u64),
    /// Nothing more comes after so many octets, and the connection stays open.
    Stall(u64),
    /// The octet behind so many is inverted.
    Corrupt(u64),
}

/// What becomes of the TLS in a tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    /// It passes unopened.
    Tunnel,
    /// It is opened with a certificate of ours.
    Intercept,
}

/// How much of a flow the session keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Store {
    /// The row alone: neither fields of heads nor bodies.
    None,
    /// Heads, and no bodies.
    Head,
    /// Heads, and so many octets of each body.
    First(u64),
    /// Heads and bodies, whatever their size.
    Full,
}

impl Throttle {
    /// In plain words.
    #[must_use]
    pub fn describe(&self) -> String {
        let rate = |rate: Option<u64>, way: &str| {
            rate.map(|rate| format!("{} a second {way} the client", Bytes(rate)))
        };
        let ways: Vec<String> =
            [rate(self.down, "to"), rate(self.up, "from")].into_iter().flatten().collect();
        format!("at most {}", ways.join(", "))
    }
}

impl Fault {
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Cut(after) => format!("cut the answer off after {}", Bytes(*after)),
            Self::Stall(after) => format!("let the answer stall after {}", Bytes(*after)),
            Self::Corrupt(after) => format!("invert the byte behind {}", Bytes(*after)),
        }
    }
}

impl Store {
    /// In plain words.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::None => "keep the row alone in the session".to_owned(),
            Self::Head => "keep the heads in the session, and no bodies".to_owned(),
            Self::First(bytes) => format!("keep {} of each body in the session", Bytes(*bytes)),
            Self::Full => "keep whole bodies in the session".to_owned(),
        }
    }
}
