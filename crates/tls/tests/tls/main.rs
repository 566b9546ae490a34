//! The crate as the proxy uses it: hellos of consoles, real handshakes, files on disk. No network.

#![allow(clippy::unwrap_used, reason = "allow-unwrap-in-tests does not reach what tests call")]

mod authority;
#[cfg(feature = "p12")]
mod client_certificates;
mod fingerprints;
mod handshakes;
mod hellos;
mod key_log;
mod learned;
mod leaves;
mod observing;
mod peeking;
mod stacks;
mod upstream;
