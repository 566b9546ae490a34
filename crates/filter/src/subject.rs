//! What a filter looks at: the facts of a flow that are known so far.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::fmt::Debug;
use std::net::IpAddr;
use std::time::Duration;

use consoletap_flow::{
    Classification, ClientHelloFacts, Flow, Headers, Host, Kind, RuleHit, ServerHelloFacts, Target,
    Timestamp,
};

use crate::expression::Stage;

/// The bodies of a flow, fetched when a filter asks for one.
pub trait Bodies: Debug {
    /// What was kept of the request's body, with its content coding undone; `None` where nothing
    /// was kept.
    fn request(&self) -> Option<Cow<'_, [u8]>>;
    /// The same of the answer's body.
    fn response(&self) -> Option<Cow<'_, [u8]>>;
}

/// The facts of a flow. What is absent is not known yet while `stage` is before the one that
/// brings it, and from then on it is absent for good.
#[derive(Debug, Clone)]
pub struct Subject<'a> {
    /// How far the flow is.
    pub stage: Stage,
    /// Whether it goes on.
    pub is_live: bool,
    /// The method.
    pub method: Option<&'a str>,
    /// The URL, or host and port of a CONNECT.
    pub target: Option<&'a Target>,
    /// The fields of the request.
    pub request_headers: Option<&'a Headers>,
    /// What the catalog says.
    pub classification: Option<&'a Classification>,
    /// The client's address, an IPv4 one always in IPv4's form.
    pub client: Option<IpAddr>,
    /// The port that the client came from.
    pub client_port: Option<u16>,
    /// What the log calls the client.
    pub client_name: Option<&'a str>,
    /// The status of the final answer.
    pub status: Option<u16>,
    /// The fields of the final answer.
    pub response_headers: Option<&'a Headers>,
    /// What the flow turned out to be.
    pub kind: Option<Kind>,
    /// The octets of the answer's body, or those that came through the tunnel.
    pub size: Option<u64>,
    /// How long it took.
    pub duration: Option<Duration>,
    /// When it began; where that is absent, it begins now.
    pub started: Option<Timestamp>,
    /// What time it is.
    pub now: Option<Timestamp>,
    /// The rules that acted on it.
    pub rules: &'a [RuleHit],
    /// What a person was told about it.
    pub notes: &'a [String],
    /// What the ClientHello showed.
    pub hello: Option<&'a ClientHelloFacts>,
    /// What the server chose.
    pub server_hello: Option<&'a ServerHelloFacts>,
    /// The address that was connected to.
    pub server: Option<IpAddr>,
    /// Whether something went wrong.
    pub failed: bool,
    /// Where the bodies are to be had.
    pub bodies: Option<&'a dyn Bodies>,
    /// Texts made when they are first asked for.
    cache: Cache,
}

#[derive(Debug, Clone, Default)]
struct Cache {
    url: OnceCell<String>,
    host: OnceCell<String>,
    source: OnceCell<String>,
    destination: OnceCell<String>,
    request_lines: OnceCell<Vec<u8>>,
    response_lines: OnceCell<Vec<u8>>,
}

impl Default for Subject<'_> {
    /// Nothing is known.
    fn default() -> Self {
        Self {
            stage: Stage::Request,
            is_live: true,
            method: None,
            target: None,
            request_headers: None,
            classification: None,
            client: None,
            client_port: None,
            client_name: None,
            status: None,
            response_headers: None,
            kind: None,
            size: None,
            duration: None,
            started: None,
            now: None,
            rules: &[],
            notes: &[],
            hello: None,
            server_hello: None,
            server: None,
            failed: false,
            bodies: None,
            cache: Cache::default(),
        }
    }
}

impl<'a> Subject<'a> {
    /// What is known when a request has come; its fields are added by
    /// [`with_headers`](Self::with_headers).
    #[must_use]
    pub fn request(
        method: &'a str,
        target: &'a Target,
        classification: &'a Classification,
        client: IpAddr,
    ) -> Self {
        Self {
            method: Some(method),
            target: Some(target),
            classification: Some(classification),
            client: Some(client.to_canonical()),
            ..Self::default()
        }
    }

    /// With the fields of the request.
    #[must_use]
    pub fn with_headers(self, headers: &'a Headers) -> Self {
        Self { request_headers: Some(headers), ..self }
    }

    /// With the head of the answer, which has come.
    #[must_use]
    pub fn answered(self, status: u16, headers: &'a Headers) -> Self {
        Self {
            stage: self.stage.max(Stage::Response),
            status: Some(status),
            response_headers: Some(headers),
            ..self
        }
    }

    /// With the bodies, for whoever asks for them.
    #[must_use]
    pub fn with_bodies(self, bodies: &'a dyn Bodies) -> Self {
        Self { bodies: Some(bodies), ..self }
    }

    /// With what the log calls the client.
    #[must_use]
    pub fn called(self, client: &'a str) -> Self {
        Self { client_name: Some(client), ..self }
    }

    /// At this time; `~since 10m` counts back from it.
    #[must_use]
    pub fn at(self, now: Timestamp) -> Self {
        Self { now: Some(now), ..self }
    }

    /// As if nothing more came: what is not known now is absent. For whoever looks at a flow as
    /// it stands, as one that a crash cut off.
    #[must_use]
    pub fn as_it_stands(self) -> Self {
        Self { stage: Stage::Finished, ..self }
    }

    pub(crate) fn url(&self) -> Option<&str> {
        let target = self.target?;
        Some(self.cache.url.get_or_init(|| target.to_string()))
    }

    /// The host; an IPv6 address without brackets.
    pub(crate) fn host(&self) -> Option<&str> {
        match &self.target?.authority().host {
            Host::Name(name) => Some(name),
            Host::V4(ip) => Some(self.cache.host.get_or_init(|| ip.to_string())),
            Host::V6(ip) => Some(self.cache.host.get_or_init(|| ip.to_string())),
        }
    }

    /// `192.168.1.20:50123`
    pub(crate) fn source(&self) -> Option<&str> {
        let ip = self.client?;
        Some(self.cache.source.get_or_init(|| match self.client_port {
            Some(port) => std::net::SocketAddr::new(ip, port).to_string(),
            None => ip.to_string(),
        }))
    }

    /// `gs2.ww.prod.dl.playstation.net:80`
    pub(crate) fn destination(&self) -> Option<&str> {
        let authority = self.target?.authority();
        Some(self.cache.destination.get_or_init(|| authority.to_string()))
    }

    /// The address of the server: what was connected to, or else what the URL says.
    pub(crate) fn server(&self) -> Option<IpAddr> {
        self.server.map(|ip| ip.to_canonical()).or_else(|| {
            let named = self.target?.authority().host.ip();
            named.filter(|_| self.stage == Stage::Finished)
        })
    }

    /// `Name: value`, a line each.
    pub(crate) fn request_lines(&self) -> Option<&[u8]> {
        let headers = self.request_headers?;
        Some(self.cache.request_lines.get_or_init(|| lines(headers)))
    }

    pub(crate) fn response_lines(&self) -> Option<&[u8]> {
        let headers = self.response_headers?;
        Some(self.cache.response_lines.get_or_init(|| lines(headers)))
    }

    /// The names under which a person knows the title: `CUSA00001` and `CUSA00001_00`.
    pub(crate) fn titles(&self) -> impl Iterator<Item = &str> {
        let details = self.classification.map(|classification| &classification.details);
        let np_title = details.and_then(|details| details.np_title_id.as_deref());
        let title = details.and_then(|details| details.title_id.as_deref());
        let short = np_title.and_then(|title| title.split('_').next());
        [title, np_title, short].into_iter().flatten()
    }

    /// What the catalog says, as `name: value`.
    pub(crate) fn facts(&self) -> Vec<String> {
        let Some(classification) = self.classification else { return Vec::new() };
        let details = &classification.details;
        let mut facts = vec![
            format!("platform: {}", classification.platform),
            format!("category: {}", classification.category),
        ];
        let mut fact = |name: &str, value: Option<&str>| {
            facts.extend(value.map(|value| format!("{name}: {value}")));
        };
        fact("entry", classification.entry.as_ref().map(|entry| &*entry.0));
        fact("title_id", details.title_id.as_deref());
        fact("np_title_id", details.np_title_id.as_deref());
        fact("content_id", details.content_id.as_deref());
        fact("firmware", details.firmware.as_deref());
        fact("region", details.region.as_deref());
        facts
    }
}

fn lines(headers: &Headers) -> Vec<u8> {
    let mut lines = Vec::new();
    for header in headers {
        lines.extend_from_slice(header.name().as_bytes());
        lines.extend_from_slice(b": ");
        lines.extend_from_slice(header.value());
        lines.push(b'\n');
    }
    lines
}

impl<'a> From<&'a Flow> for Subject<'a> {
    /// Everything that is known of the flow. Of one that goes on, size and duration are those so
    /// far, as its row shows them; the rest of what is still to come is not known yet.
    fn from(flow: &'a Flow) -> Self {
        let stage = match (&flow.finished, &flow.response, &flow.hello) {
            (Some(_), ..) => Stage::Finished,
            (None, Some(_), _) => Stage::Response,
            (None, None, Some(_)) => Stage::Hello,
            (None, None, None) => Stage::Request,
        };
        let finished = flow.finished.as_ref();
        Self {
            stage,
            is_live: finished.is_none(),
            method: flow.request.as_ref().map(|request| request.method.as_str()),
            target: flow.target.as_ref(),
            request_headers: flow.request.as_ref().map(|request| &request.headers),
            classification: Some(&flow.classification),
            client: Some(flow.client.address.ip().to_canonical()),
            client_port: Some(flow.client.address.port()),
            status: flow.status(),
            response_headers: flow.response.as_ref().map(|response| &response.headers),
            kind: Some(flow.kind),
            size: Some(flow.response_bytes),
            duration: Some(flow.latest.since(flow.started)),
            started: Some(flow.started),
            rules: &flow.rules,
            notes: &flow.notes,
            hello: flow.hello.as_ref(),
            server_hello: flow.server_hello.as_ref(),
            server: finished.and_then(|finished| finished.server).map(|server| server.ip()),
            failed: finished.is_some_and(|finished| finished.failure.is_some()),
            ..Self::default()
        }
    }
}
