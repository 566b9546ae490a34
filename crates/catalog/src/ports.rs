//! The port usage table: which system uses which ports for what.

use consoletap_flow::Platforms;
use serde::Serialize;

/// A row of the port table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PortUse {
    /// The protocol as the source writes it (`TCP/UDP`, `TCP over UDP-P2P` …).
    pub protocol: String,
    /// The first port.
    pub first: u16,
    /// The last port; the first again for a single one.
    pub last: u16,
    /// What it is used for.
    pub usage: String,
    /// What else is known; may be empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub remarks: String,
    /// Which console.
    pub platform: Platforms,
    /// Whether it is a row of the documented page itself.
    pub documented: bool,
    /// Where the knowledge comes from.
    #[serde(skip)]
    pub source: std::sync::Arc<str>,
}

impl PortUse {
    /// Whether the port lies in the row's range.
    #[must_use]
    pub fn contains(&self, port: u16) -> bool {
        (self.first..=self.last).contains(&port)
    }
}

/// What a packet is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Tcp,
    Udp,
}

impl PortUse {
    /// Whether the row's range and this one share a port.
    pub(crate) fn meets(&self, first: u16, last: u16) -> bool {
        self.first <= last && first <= self.last
    }

    /// Whether packets of this protocol are meant. What the source calls "TCP over UDP-P2P" is
    /// UDP on the wire.
    pub(crate) fn carries(&self, protocol: Protocol) -> bool {
        match protocol {
            Protocol::Udp => self.protocol.contains("UDP"),
            Protocol::Tcp => self.protocol.contains("TCP") && !self.protocol.contains("over UDP"),
        }
    }
}

/// Reads `3478` or `3478-3480`.
pub(crate) fn parse_range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (0 < first && first <= last).then_some((first, last))
}
