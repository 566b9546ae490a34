//! What went wrong with a flow, and on which side.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The side that a failure came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The console, or whatever else uses the proxy.
    Client,
    /// The server, or the way to it.
    Upstream,
    /// This proxy: a limit, a rule, the policy.
    Here,
}

/// A failure: its side, and a sentence for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Which side it came from.
    pub side: Side,
    /// What happened, in plain words.
    pub cause: String,
    /// The first octets that could not be understood (512 at most), with everything that is not
    /// printable ASCII escaped as in Rust.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<String>,
}

impl Failure {
    /// A failure of this side.
    #[must_use]
    pub fn new(side: Side, cause: impl Into<String>) -> Self {
        Self { side, cause: cause.into(), raw: None }
    }

    /// The same with the octets that caused it.
    #[must_use]
    pub fn with_raw(mut self, octets: &[u8]) -> Self {
        let end = octets.len().min(512);
        self.raw = Some(octets[..end].escape_ascii().to_string());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.cause)
    }
}
