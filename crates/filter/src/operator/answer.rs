//! What an operator says of a flow.

use consoletap_flow::{Headers, Kind, Platform, Target};

use super::{Client, Console, Operator, Side, Since, Status};
use crate::answer::Answer;
use crate::expression::Stage;
use crate::pattern::Octets;
use crate::subject::Subject;

impl Operator {
    pub(crate) fn answer(&self, subject: &Subject<'_>) -> Answer {
        match self {
            Self::All => Answer::Yes,
            Self::Never => Answer::No,
            Self::Http => is_http(subject).into(),
            Self::Tunnel => is_tunnel(subject).into(),
            Self::Websocket => match subject.kind {
                Some(Kind::Websocket) => Answer::Yes,
                _ => subject.unless_known(Stage::Response, subject.status.is_none()),
            },
            Self::TlsFailure => match subject.kind {
                Some(Kind::TlsFailure) => Answer::Yes,
                _ => subject.unless_known(Stage::Finished, is_tunnel(subject)),
            },
            Self::Live => subject.is_live.into(),
            Self::Unanswered => (is_http(subject) && subject.status.is_none()).into(),
            Self::Answered => match subject.status {
                Some(_) => is_http(subject).into(),
                None => subject.unless_known(Stage::Response, is_http(subject)),
            },
            Self::Error => match subject.failed {
                true => Answer::Yes,
                false => subject.unless_known(Stage::Finished, true),
            },
            Self::Asset => content_type(subject, Side::Response, is_asset),
            Self::ContentType(side, pattern) => {
                content_type(subject, *side, |value| pattern.is_match(value))
            }
            Self::MediaType(wanted) => content_type(subject, Side::Response, |value| {
                let media_type = value.split(';').next().unwrap_or_default().trim();
                media_type.eq_ignore_ascii_case(wanted)
            }),
            Self::HasHeader(side, name) => {
                in_heads(subject, *side, |headers| headers.contains(name))
            }
            Self::Header(side, octets) => header_line(subject, *side, octets),
            Self::Body(side, octets) => body(subject, *side, octets),
            Self::Category(names) => {
                subject.classification.is_some_and(|c| names.contains(c.category.as_str())).into()
            }
            Self::Client(clients) => client(subject, clients),
            Self::Comment(pattern) => match subject.notes.iter().any(|note| pattern.is_match(note))
            {
                true => Answer::Yes,
                false => subject.unless_known(Stage::Finished, true),
            },
            Self::Meta(pattern) => subject.facts().iter().any(|fact| pattern.is_match(fact)).into(),
            Self::Console(consoles) => console(subject, consoles).into(),
            Self::Host(pattern) => subject.host().is_some_and(|host| pattern.is_match(host)).into(),
            Self::Domain(glob) => {
                subject.target.is_some_and(|target| glob.matches(&target.authority().host)).into()
            }
            Self::Url(pattern) => subject.url().is_some_and(|url| pattern.is_match(url)).into(),
            Self::Scheme(scheme) => {
                matches!(subject.target, Some(Target::Url(url)) if url.scheme == *scheme).into()
            }
            Self::Method(pattern) => {
                subject.method.is_some_and(|method| pattern.is_match(method)).into()
            }
            Self::Port(ports) => subject
                .target
                .is_some_and(|target| {
                    let port = target.authority().port;
                    ports.iter().any(|(comparison, limit)| comparison.holds(port, *limit))
                })
                .into(),
            Self::Source(pattern) => {
                subject.source().is_some_and(|source| pattern.is_match(source)).into()
            }
            Self::Destination(pattern) => {
                subject.destination().is_some_and(|place| pattern.is_match(place)).into()
            }
            Self::Ip(networks) => match subject.server() {
                Some(ip) => networks.iter().any(|network| network.contains(&ip)).into(),
                None => subject.unless_known(Stage::Finished, true),
            },
            Self::Title(names) => subject.titles().any(|title| names.contains(title)).into(),
            Self::Status(wanted) => match subject.status {
                Some(status) => match wanted {
                    Status::Class(class) => status / 100 == *class,
                    Status::Is(comparison, limit) => comparison.holds(status, *limit),
                }
                .into(),
                None => subject.unless_known(Stage::Response, true),
            },
            Self::Rule(names) => match subject.rules.iter().any(|hit| names.contains(&hit.name)) {
                true => Answer::Yes,
                false => subject.unless_known(Stage::Finished, true),
            },
            Self::Size(comparison, limit) => match subject.size {
                Some(size) => comparison.holds(size, *limit).into(),
                None => subject.unless_known(Stage::Finished, true),
            },
            Self::Duration(comparison, limit) => match subject.duration {
                Some(taken) => comparison.holds(taken, *limit).into(),
                None => subject.unless_known(Stage::Finished, true),
            },
            Self::Since(since) => self::since(subject, *since),
            Self::Sni(pattern) => hello(subject, |subject| {
                subject.hello?.sni.as_deref().map(|sni| pattern.is_match(sni))
            }),
            Self::Ja3(pattern) => {
                hello(subject, |subject| Some(pattern.is_match(&subject.hello?.ja3)))
            }
            Self::Ja4(pattern) => {
                hello(subject, |subject| Some(pattern.is_match(&subject.hello?.ja4)))
            }
            Self::Tls(comparison, limit) => hello(subject, |subject| {
                let offered = subject.hello.and_then(|hello| hello.versions.iter().max().copied());
                let version = subject.server_hello.map(|hello| hello.version).or(offered)?;
                Some(comparison.holds(version, *limit))
            }),
        }
    }
}

impl Subject<'_> {
    /// The answer where the fact is absent: no, where it would be known by now or never comes.
    fn unless_known(&self, from: Stage, can_come: bool) -> Answer {
        if can_come && self.stage < from { Answer::NotYet } else { Answer::No }
    }
}

/// A request, whatever became of it; a CONNECT is none.
fn is_http(subject: &Subject<'_>) -> bool {
    match subject.kind {
        Some(Kind::Http | Kind::Websocket) => true,
        Some(Kind::Tunnel | Kind::TlsFailure) => false,
        Some(Kind::Refused) | None => matches!(subject.target, Some(Target::Url(_))),
    }
}

/// A CONNECT, whatever became of it.
fn is_tunnel(subject: &Subject<'_>) -> bool {
    match subject.kind {
        Some(Kind::Tunnel | Kind::TlsFailure) => true,
        Some(Kind::Http | Kind::Websocket) => false,
        Some(Kind::Refused) | None => matches!(subject.target, Some(Target::Authority(_))),
    }
}

/// The types that mitmproxy calls assets.
fn is_asset(value: &str) -> bool {
    let value = value.trim_start().to_ascii_lowercase();
    [
        "text/javascript",
        "application/x-javascript",
        "application/javascript",
        "text/css",
        "image/",
        "font/",
        "application/font",
    ]
    .iter()
    .any(|kind| value.starts_with(kind))
}

fn content_type(subject: &Subject<'_>, side: Side, fits: impl Fn(&str) -> bool) -> Answer {
    in_heads(subject, side, |headers| {
        let mut values = headers.all("content-type");
        values.any(|value| fits(&String::from_utf8_lossy(value)))
    })
}

/// Asks the heads of the side.
fn in_heads(subject: &Subject<'_>, side: Side, fits: impl Fn(&Headers) -> bool) -> Answer {
    let request = || subject.request_headers.is_some_and(&fits).into();
    let response = || match subject.response_headers {
        Some(headers) => fits(headers).into(),
        None => subject.unless_known(Stage::Response, true),
    };
    either(side, request, response)
}

fn header_line(subject: &Subject<'_>, side: Side, octets: &Octets) -> Answer {
    let request = || subject.request_lines().is_some_and(|lines| octets.is_match(lines)).into();
    let response = || match subject.response_lines() {
        Some(lines) => octets.is_match(lines).into(),
        None => subject.unless_known(Stage::Response, true),
    };
    either(side, request, response)
}

/// Bodies are asked for when the flow is over; before, they are not whole.
fn body(subject: &Subject<'_>, side: Side, octets: &Octets) -> Answer {
    let Some(bodies) = subject.bodies.filter(|_| subject.stage == Stage::Finished) else {
        return subject.unless_known(Stage::Finished, true);
    };
    let request = || bodies.request().is_some_and(|body| octets.is_match(&body)).into();
    let response = || bodies.response().is_some_and(|body| octets.is_match(&body)).into();
    either(side, request, response)
}

fn either(side: Side, request: impl Fn() -> Answer, response: impl Fn() -> Answer) -> Answer {
    match side {
        Side::Request => request(),
        Side::Response => response(),
        Side::Either => match request() {
            Answer::Yes => Answer::Yes,
            _ => response(),
        },
    }
}

fn client(subject: &Subject<'_>, clients: &[Client]) -> Answer {
    let Some(ip) = subject.client else { return Answer::No };
    Answer::any(clients.iter().map(|client| match client {
        Client::Address(wanted) => (ip == *wanted).into(),
        Client::Network(network) => network.contains(&ip).into(),
        Client::Named(name) => match subject.client_name {
            Some(called) => name.is(called).into(),
            None => subject.unless_known(Stage::Finished, true),
        },
    }))
}

fn console(subject: &Subject<'_>, consoles: &[Console]) -> bool {
    subject.classification.is_some_and(|classification| {
        consoles.iter().any(|console| match console {
            Console::Unknown => classification.platform.is_unknown(),
            Console::Is(wanted) => {
                classification.platform.iter().any(|found| is_of(found, *wanted))
            }
        })
    })
}

/// Whether a platform is the wanted one or of the wanted family.
fn is_of(found: Platform, wanted: Platform) -> bool {
    found == wanted || found.family() == wanted
}

/// A flow that is not known to have begun begins now.
fn since(subject: &Subject<'_>, since: Since) -> Answer {
    let Some(started) = subject.started else { return Answer::Yes };
    match (since, subject.now) {
        (Since::At(from), _) => (started >= from).into(),
        (Since::Ago(ago), Some(now)) => (now.since(started) <= ago).into(),
        (Since::Ago(_), None) => Answer::NotYet,
    }
}

/// Asks what the hello showed. Requests have none; what came with one is told by its tunnel.
fn hello(subject: &Subject<'_>, fits: impl Fn(&Subject<'_>) -> Option<bool>) -> Answer {
    if subject.hello.is_none() && subject.server_hello.is_none() {
        return subject.unless_known(Stage::Hello, is_tunnel(subject));
    }
    fits(subject).unwrap_or(false).into()
}
