//! The operators: their names, what values they take, when they match.

use std::net::IpAddr;
use std::time::Duration;

use consoletap_flow::{Kind, Platform};

use crate::expression::Stage;
use crate::number::{Comparison, bytes, duration, whole};
use crate::pattern::{Names, Pattern};
use crate::subject::Subject;

/// An operator with its value.
#[derive(Debug, Clone)]
pub(crate) enum Operator {
    All,
    Category(Names),
    Console(Vec<Console>),
    Host(Pattern),
    Url(Pattern),
    Method(Pattern),
    Title(Names),
    Client(IpAddr),
    Status(Status),
    Kind(Kind),
    Rule(Names),
    Size(Comparison, u64),
    Duration(Comparison, Duration),
}

/// A name behind `~console`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Console {
    Is(Platform),
    Unknown,
}

/// A value behind `~c`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    /// `4xx`
    Class(u16),
    Is(Comparison, u16),
}

/// The names of the operators with an example value; an empty one where there is no value.
pub(crate) const OPERATORS: [(&str, &str); 16] = [
    ("all", ""),
    ("c", "404"),
    ("cat", "fw-updatelist"),
    ("client", "192.168.1.20"),
    ("console", "ps4"),
    ("d", "playstation"),
    ("dur", ">2s"),
    ("http", ""),
    ("m", "GET"),
    ("rule", "firmware-guard"),
    ("size", ">10m"),
    ("title", "CUSA00001"),
    ("tlsfail", ""),
    ("tunnel", ""),
    ("u", "/tmdb2/"),
    ("websocket", ""),
];

/// Whether there is an operator of this name that needs a value.
pub(crate) fn takes_value(name: &str) -> bool {
    OPERATORS.iter().any(|(operator, example)| *operator == name && !example.is_empty())
}

impl Operator {
    /// The operator of this name, where it needs no value.
    pub(crate) fn plain(name: &str) -> Option<Self> {
        Some(match name {
            "all" => Self::All,
            "http" => Self::Kind(Kind::Http),
            "tunnel" => Self::Kind(Kind::Tunnel),
            "websocket" => Self::Kind(Kind::Websocket),
            "tlsfail" => Self::Kind(Kind::TlsFailure),
            _ => return None,
        })
    }

    /// The operator of this name with its value; `None` where there is none of this name, an
    /// error with what was expected where the value does not fit.
    pub(crate) fn with_value(name: &str, value: &str) -> Option<Result<Self, String>> {
        Some(match name {
            "c" => status(value).map(Self::Status),
            "cat" => Names::new(value).map(Self::Category),
            "client" => value
                .parse::<IpAddr>()
                .map(|ip| Self::Client(ip.to_canonical()))
                .map_err(|_| "an IP address was expected, as 192.168.1.20".to_owned()),
            "console" => value.split('|').map(console).collect::<Result<_, _>>().map(Self::Console),
            "d" => Pattern::new(value).map(Self::Host),
            "dur" => compared(value, duration, "a duration was expected, as >2s or <=500ms")
                .map(|(comparison, limit)| Self::Duration(comparison, limit)),
            "m" => Pattern::new(value).map(Self::Method),
            "rule" => Names::new(value).map(Self::Rule),
            "size" => compared(value, bytes, "a size was expected, as >10m or <=512k")
                .map(|(comparison, limit)| Self::Size(comparison, limit)),
            "title" => Names::new(value).map(Self::Title),
            "u" => Pattern::new(value).map(Self::Url),
            _ => return None,
        })
    }

    /// From when on its fact is known.
    pub(crate) fn needs(&self) -> Stage {
        match self {
            Self::All
            | Self::Category(_)
            | Self::Console(_)
            | Self::Host(_)
            | Self::Url(_)
            | Self::Method(_)
            | Self::Title(_)
            | Self::Client(_) => Stage::Request,
            Self::Status(_) => Stage::Response,
            Self::Kind(_) | Self::Rule(_) | Self::Size(..) | Self::Duration(..) => Stage::Finished,
        }
    }

    pub(crate) fn matches(&self, subject: &Subject<'_>) -> bool {
        match self {
            Self::All => true,
            Self::Category(names) => {
                subject.classification.is_some_and(|c| names.contains(c.category.as_str()))
            }
            Self::Console(consoles) => subject.classification.is_some_and(|classification| {
                consoles.iter().any(|console| match console {
                    Console::Unknown => classification.platform.is_unknown(),
                    Console::Is(wanted) => {
                        classification.platform.iter().any(|found| is_of(found, *wanted))
                    }
                })
            }),
            Self::Host(pattern) => subject.host().is_some_and(|host| pattern.is_match(host)),
            Self::Url(pattern) => subject.url().is_some_and(|url| pattern.is_match(url)),
            Self::Method(pattern) => subject.method.is_some_and(|m| pattern.is_match(m)),
            Self::Title(names) => titles(subject).any(|title| names.contains(title)),
            Self::Client(ip) => subject.client == Some(*ip),
            Self::Status(wanted) => subject.status.is_some_and(|status| match wanted {
                Status::Class(class) => status / 100 == *class,
                Status::Is(comparison, limit) => comparison.holds(status, *limit),
            }),
            Self::Kind(kind) => subject.kind == Some(*kind),
            Self::Rule(names) => {
                subject.rules.is_some_and(|hits| hits.iter().any(|hit| names.contains(&hit.name)))
            }
            Self::Size(comparison, limit) => {
                subject.size.is_some_and(|size| comparison.holds(size, *limit))
            }
            Self::Duration(comparison, limit) => {
                subject.duration.is_some_and(|taken| comparison.holds(taken, *limit))
            }
        }
    }
}

/// The names under which a person knows the title: `CUSA00001` and `CUSA00001_00`.
fn titles<'s>(subject: &'s Subject<'_>) -> impl Iterator<Item = &'s str> {
    let details = subject.classification.map(|classification| &classification.details);
    let np_title = details.and_then(|details| details.np_title_id.as_deref());
    let title = details.and_then(|details| details.title_id.as_deref());
    let short = np_title.and_then(|title| title.split('_').next());
    [title, np_title, short].into_iter().flatten()
}

/// Whether a platform is the wanted one or of the wanted family.
fn is_of(found: Platform, wanted: Platform) -> bool {
    use Platform::{
        Ds, Nintendo, PlayStation, Ps3, Ps4, Ps5, PsVita, Psp, Switch, ThreeDs, Wii, WiiU, Xbox,
        Xbox360, XboxOne,
    };
    found == wanted
        || match wanted {
            PlayStation => matches!(found, Ps3 | Psp | PsVita | Ps4 | Ps5),
            Nintendo => matches!(found, Ds | ThreeDs | Wii | WiiU | Switch),
            Xbox => matches!(found, Xbox360 | XboxOne),
            _ => false,
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

fn status(value: &str) -> Result<Status, String> {
    let expected = || "a status was expected, as 404, 4xx or >=400".to_owned();
    let lower = value.to_ascii_lowercase();
    if let Some(class) = lower.strip_suffix("xx") {
        let class = whole(class).filter(|class| (1..=9).contains(class)).ok_or_else(expected)?;
        return Ok(Status::Class(class as u16));
    }
    let (comparison, digits) = Comparison::split(value).unwrap_or((Comparison::Equal, value));
    let status = whole(digits).filter(|status| (100..=999).contains(status));
    Ok(Status::Is(comparison, status.ok_or_else(expected)? as u16))
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
