//! The operators: what there is to be asked.

mod answer;
mod known;
mod value;

use std::net::IpAddr;
use std::time::Duration;

use consoletap_flow::{HostGlob, Platform, Scheme, Timestamp};
use ipnet::IpNet;

use crate::number::Comparison;
use crate::pattern::{Name, Names, Octets, Pattern};

pub(crate) use known::Possible;
pub(crate) use value::status;

/// An operator with its value.
#[derive(Debug, Clone)]
pub(crate) enum Operator {
    All,
    /// Parsed for those who know it from mitmproxy; nothing here ever fits.
    Never,
    Http,
    Tunnel,
    Websocket,
    TlsFailure,
    Live,
    /// `~q`: no answer so far.
    Unanswered,
    /// `~s`
    Answered,
    Error,
    Asset,
    Category(Names),
    Client(Vec<Client>),
    Comment(Pattern),
    Console(Vec<Console>),
    ContentType(Side, Pattern),
    Destination(Pattern),
    Domain(HostGlob),
    Duration(Comparison, Duration),
    HasHeader(Side, Box<str>),
    Header(Side, Octets),
    Body(Side, Octets),
    Host(Pattern),
    Ip(Vec<IpNet>),
    Ja3(Pattern),
    Ja4(Pattern),
    MediaType(Box<str>),
    Meta(Pattern),
    Method(Pattern),
    Port(Vec<(Comparison, u16)>),
    Rule(Names),
    Scheme(Scheme),
    Since(Since),
    Size(Comparison, u64),
    Sni(Pattern),
    Source(Pattern),
    Status(Status),
    Title(Names),
    Tls(Comparison, u16),
    Url(Pattern),
}

/// Whose head or body is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Request,
    Response,
    Either,
}

/// A name behind `~console`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Console {
    Is(Platform),
    Unknown,
}

/// A value behind `~client`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Client {
    Address(IpAddr),
    Network(IpNet),
    /// As the log calls it.
    Named(Name),
}

/// A value behind `~c`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    /// `4xx`
    Class(u16),
    Is(Comparison, u16),
}

/// A value behind `~since`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Since {
    Ago(Duration),
    At(Timestamp),
}

/// The names of the operators with an example value; an empty one where there is no value. In the
/// order of `docs/filters.md`, which a test holds to this list.
pub(crate) const OPERATORS: [(&str, &str); 49] = [
    ("all", ""),
    ("u", "/tmdb2/"),
    ("d", "playstation"),
    ("m", "GET"),
    ("port", "443"),
    ("cat", "fw-updatelist"),
    ("console", "ps4"),
    ("title", "CUSA00001"),
    ("client", "192.168.1.20"),
    ("src", "192.168.1"),
    ("dst", "playstation"),
    ("ip", "203.0.113.0/24"),
    ("http", ""),
    ("tunnel", ""),
    ("tcp", ""),
    ("websocket", ""),
    ("tlsfail", ""),
    ("q", ""),
    ("s", ""),
    ("e", ""),
    ("live", ""),
    ("c", "404"),
    ("t", "json"),
    ("tq", "json"),
    ("ts", "json"),
    ("a", ""),
    ("h", "etag"),
    ("hq", "range"),
    ("hs", "etag"),
    ("b", "05\\.050"),
    ("bq", "sid="),
    ("bs", "05\\.050"),
    ("size", ">10m"),
    ("dur", ">2s"),
    ("since", "10m"),
    ("sni", "playstation"),
    ("ja3", "020944dd"),
    ("ja4", "t12d"),
    ("tls", "1.0"),
    ("rule", "firmware-guard"),
    ("comment", "unchanged"),
    ("meta", "firmware"),
    ("marked", ""),
    ("marker", "x"),
    ("replay", ""),
    ("replayq", ""),
    ("replays", ""),
    ("dns", ""),
    ("udp", ""),
];

/// The example value of the operator of this name.
pub(crate) fn example(name: &str) -> Option<&'static str> {
    OPERATORS.iter().find(|(operator, _)| *operator == name).map(|(_, example)| *example)
}

/// Whether there is an operator of this name that needs a value.
pub(crate) fn takes_value(name: &str) -> bool {
    example(name).is_some_and(|example| !example.is_empty())
}
