//! From the text behind an operator to its value.

use std::net::IpAddr;

use consoletap_flow::Platform;
use ipnet::IpNet;

use super::{Client, Console, Operator, Side, Since, Status};
use crate::category;
use crate::number::{Comparison, bytes, duration, whole};
use crate::pattern::{Names, Octets, Pattern};

impl Operator {
    /// The operator of this name, where it needs no value.
    pub(crate) fn plain(name: &str) -> Option<Self> {
        Some(match name {
            "all" => Self::All,
            "http" => Self::Http,
            "tunnel" | "tcp" => Self::Tunnel,
            "websocket" => Self::Websocket,
            "tlsfail" => Self::TlsFailure,
            "q" => Self::Unanswered,
            "s" => Self::Answered,
            "e" => Self::Error,
            "a" => Self::Asset,
            "live" => Self::Live,
            "marked" | "replay" | "replayq" | "replays" | "dns" | "udp" => Self::Never,
            _ => return None,
        })
    }

    /// The operator of this name with its value; `None` where there is none of this name, an
    /// error with what was expected where the value does not fit.
    pub(crate) fn with_value(name: &str, value: &str) -> Option<Result<Self, String>> {
        use Side::{Either, Request, Response};
        let content_type = |side| Pattern::new(value).map(|p| Self::ContentType(side, p));
        let header = |side| Octets::lines(value).map(|octets| Self::Header(side, octets));
        let body = |side| Octets::body(value).map(|octets| Self::Body(side, octets));
        Some(match name {
            "b" => body(Either),
            "bq" => body(Request),
            "bs" => body(Response),
            "c" => status(value).map(Self::Status),
            "cat" => Names::expanded(value, category::members).map(Self::Category),
            "client" => {
                value.split('|').map(Client::parse).collect::<Result<_, _>>().map(Self::Client)
            }
            "comment" => Pattern::new(value).map(Self::Comment),
            "console" => value.split('|').map(console).collect::<Result<_, _>>().map(Self::Console),
            "d" => Pattern::new(value).map(Self::Host),
            "dst" => Pattern::new(value).map(Self::Destination),
            "dur" => compared(value, duration, "a duration was expected, as >2s or <=500ms")
                .map(|(comparison, limit)| Self::Duration(comparison, limit)),
            "h" => header(Either),
            "hq" => header(Request),
            "hs" => header(Response),
            "ip" => value.split('|').map(network).collect::<Result<_, _>>().map(Self::Ip),
            "ja3" => Pattern::new(value).map(Self::Ja3),
            "ja4" => Pattern::new(value).map(Self::Ja4),
            "m" => Pattern::new(value).map(Self::Method),
            // A regex that is none is a mistake, also where nothing is ever asked for it.
            "marker" => Pattern::new(value).map(|_| Self::Never),
            "meta" => Pattern::new(value).map(Self::Meta),
            "port" => value.split('|').map(port).collect::<Result<_, _>>().map(Self::Port),
            "rule" => Names::new(value).map(Self::Rule),
            "since" => since(value).map(Self::Since),
            "size" => compared(value, bytes, "a size was expected, as >10m or <=512k")
                .map(|(comparison, limit)| Self::Size(comparison, limit)),
            "sni" => Pattern::new(value).map(Self::Sni),
            "src" => Pattern::new(value).map(Self::Source),
            "t" => content_type(Either),
            "title" => Names::new(value).map(Self::Title),
            "tls" => tls(value),
            "tq" => content_type(Request),
            "ts" => content_type(Response),
            "u" => Pattern::new(value).map(Self::Url),
            _ => return None,
        })
    }
}

fn console(name: &str) -> Result<Console, String> {
    if name.eq_ignore_ascii_case("unknown") {
        return Ok(Console::Unknown);
    }
    Platform::ALL
        .into_iter()
        .find(|platform| platform.name().eq_ignore_ascii_case(name))
        .map(Console::Is)
        .ok_or_else(|| {
            let names: Vec<&str> = Platform::ALL.iter().map(|platform| platform.name()).collect();
            format!("{name:?} is no console; there are {} unknown", names.join(" "))
        })
}

impl Client {
    /// An address, a network, or a name: of the settings, or what the log calls a console.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if let Ok(ip) = text.parse::<IpAddr>() {
            return Ok(Self::Address(ip.to_canonical()));
        }
        if let Ok(network) = text.parse::<IpNet>() {
            return Ok(Self::Network(network.trunc()));
        }
        let looks_like_address = text.contains(['/', ':'])
            || text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        let name = Names::new(text).ok().and_then(|names| names.iter().next().cloned());
        name.filter(|_| !looks_like_address).map(Self::Named).ok_or_else(|| {
            "an address, a network or a name was expected, as 192.168.1.20, 192.168.1.0/24 or PS4"
                .to_owned()
        })
    }
}

fn network(text: &str) -> Result<IpNet, String> {
    let address = || text.parse::<IpAddr>().map(|ip| IpNet::from(ip.to_canonical()));
    text.parse::<IpNet>().map(|network| network.trunc()).or_else(|_| address()).map_err(|_| {
        "an IP address or a network was expected, as 203.0.113.7 or 203.0.113.0/24".to_owned()
    })
}

fn port(text: &str) -> Result<(Comparison, u16), String> {
    let (comparison, digits) = Comparison::split(text).unwrap_or((Comparison::Equal, text));
    let port = whole(digits).and_then(|port| u16::try_from(port).ok());
    let port = port.ok_or_else(|| "a port was expected, as 443 or >=9293".to_owned())?;
    Ok((comparison, port))
}

/// A value behind `~c`. Less than three digits are no status, but mitmproxy takes them.
pub(crate) fn status(value: &str) -> Result<Status, String> {
    let expected = || "a status was expected, as 404, 4xx or >=400".to_owned();
    let lower = value.to_ascii_lowercase();
    if let Some(class) = lower.strip_suffix("xx") {
        let class = whole(class).filter(|class| (1..=9).contains(class)).ok_or_else(expected)?;
        return Ok(Status::Class(class as u16));
    }
    let (comparison, digits) = Comparison::split(value).unwrap_or((Comparison::Equal, value));
    let status = whole(digits).filter(|status| *status <= 999);
    Ok(Status::Is(comparison, status.ok_or_else(expected)? as u16))
}

/// `10m` before now, or a stamp.
fn since(value: &str) -> Result<Since, String> {
    let ago = duration(value).map(Since::Ago);
    ago.or_else(|| value.to_ascii_uppercase().parse().ok().map(Since::At)).ok_or_else(|| {
        "a time was expected: how long ago, as 10m or 2h, or when, as 2026-11-23T20:43:00Z"
            .to_owned()
    })
}

/// `1.0`, `<1.2`, `ssl3`
fn tls(value: &str) -> Result<Operator, String> {
    let (comparison, name) = Comparison::split(value).unwrap_or((Comparison::Equal, value));
    let name = name.to_ascii_lowercase();
    let version = match name.trim_start_matches("tls").trim_start_matches('v') {
        "1" | "1.0" => 0x0301,
        "1.1" => 0x0302,
        "1.2" => 0x0303,
        "1.3" => 0x0304,
        "ssl3" | "ssl3.0" => 0x0300,
        "ssl2" | "ssl2.0" => 0x0002,
        _ => return Err("a TLS version was expected, as 1.0, <1.2 or ssl3".to_owned()),
    };
    Ok(Operator::Tls(comparison, version))
}

fn compared<T>(
    value: &str,
    number: fn(&str) -> Option<T>,
    expected: &str,
) -> Result<(Comparison, T), String> {
    Comparison::split(value)
        .and_then(|(comparison, rest)| Some((comparison, number(rest)?)))
        .ok_or_else(|| expected.to_owned())
}
