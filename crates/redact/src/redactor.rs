//! Flows, events and bodies without their secrets.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use consoletap_catalog::Catalog;
use consoletap_flow::{
    Authority, BodySide, Classification, Client, ClientHelloFacts, Event, Failure, Finished, Flow,
    Happening, Header, Headers, Hello, Host, Opened, RequestHead, ResponseHead, RuleHit, Target,
    Text, Url,
};

use crate::known::{Known, Weight};
use crate::learn::Seen;
use crate::names::{Names, Place};
use crate::octets::Octets;
use crate::scan::{Scan, and_then};
use crate::stand_in::{StandIn, is_stand_in};
use crate::{Key, Redacted};

/// Takes secrets out. What it has learned of a session, it finds in all of it.
#[derive(Debug)]
pub struct Redactor {
    catalog: Arc<Catalog>,
    pub(crate) stand_in: StandIn,
    pub(crate) known: Known,
    pub(crate) seen: Seen,
}

pub(crate) type Found<'f> = &'f mut dyn FnMut(&[u8], Weight);

impl Redactor {
    /// One that masks secrets: for what scrolls by.
    #[must_use]
    pub fn masking(catalog: Arc<Catalog>) -> Self {
        Self::of(catalog, StandIn::Mask)
    }

    /// One that gives each secret a pseudonym, so that flows can still be seen to belong together.
    #[must_use]
    pub fn with_pseudonyms(catalog: Arc<Catalog>, key: Key) -> Self {
        Self::of(catalog, StandIn::Pseudonym(key))
    }

    fn of(catalog: Arc<Catalog>, stand_in: StandIn) -> Self {
        Self { catalog, stand_in, known: Known::default(), seen: Seen::default() }
    }

    /// How many secrets it knows.
    #[must_use]
    pub fn known(&self) -> usize {
        self.known.len()
    }

    /// The flow without its secrets.
    #[must_use]
    pub fn flow(&self, flow: &Flow) -> Flow {
        self.rewrite(flow, &mut |_, _| {})
    }

    /// What a row shows of the flow, without its secrets. Of its heads that is the method, the status
    /// and the type of the answer: the rest may hold secrets still, or be left out. Most flows have
    /// nothing to hide there, and are given back as they are.
    #[must_use]
    pub fn row<'f>(&self, flow: &'f Flow) -> Cow<'f, Flow> {
        let mut found = |_: &[u8], _: Weight| {};
        let scan = &mut self.scan(flow, &mut found);
        if self.is_plain(scan, flow) {
            return Cow::Borrowed(flow);
        }
        let request = flow.request.as_ref().map(|head| RequestHead {
            method: head.method.clone(),
            target: Text::default(),
            version: head.version,
            headers: Headers::default(),
        });
        let response = flow.response.as_ref().map(|head| ResponseHead {
            headers: head.headers.iter().filter(|f| f.is("content-type")).cloned().collect(),
            ..head.clone()
        });
        Cow::Owned(Flow { request, response, interim: Vec::new(), ..self.facts(scan, flow) })
    }

    /// Text without what was learned.
    #[must_use]
    pub fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.without_known(text)
    }

    /// An event of this flow without its secrets. Bodies are the caller's to look at.
    #[must_use]
    pub fn event(&self, flow: &Flow, event: &Event) -> Event {
        let mut found = |_: &[u8], _: Weight| {};
        let mut scan = self.scan(flow, &mut found);
        let happening = match &event.happening {
            Happening::Opened(opened) => Happening::Opened(Box::new(Opened {
                kind: opened.kind,
                client: self.client(opened.client),
                tunnel: opened.tunnel,
                target: opened
                    .target
                    .as_ref()
                    .and_then(|target| self.target(&mut scan, flow, target)),
                request: opened.request.as_ref().map(|head| self.request(&mut scan, flow, head)),
                classification: self.classification(&mut scan, &opened.classification),
            })),
            Happening::Hello(hello) => Happening::Hello(Box::new(Hello {
                facts: self.hello(&hello.facts),
                policy: hello.policy.clone(),
                classification: hello
                    .classification
                    .as_ref()
                    .map(|known| Box::new(self.classification(&mut scan, known))),
            })),
            Happening::Rule(hit) => Happening::Rule(self.rule(&mut scan, hit)),
            Happening::Interim(head) => {
                Happening::Interim(Box::new(self.response(&mut scan, head)))
            }
            Happening::Response(head) => {
                Happening::Response(Box::new(self.response(&mut scan, head)))
            }
            Happening::Note(note) => Happening::Note(self.words(&mut scan, note)),
            Happening::Finished(end) => {
                Happening::Finished(Box::new(self.finished(&mut scan, end)))
            }
            // Numbers, names of ours, and a certificate, which is public.
            other @ (Happening::ServerHello(_)
            | Happening::Certificate(_)
            | Happening::Policy(_)
            | Happening::Document(_)
            | Happening::Intercepted
            | Happening::Became(_)
            | Happening::Progress { .. }) => other.clone(),
        };
        Event { flow: event.flow, at: event.at, happening }
    }

    /// Path and query of a flow without secrets.
    #[must_use]
    pub fn path<'t>(&self, flow: &Flow, path: &'t str) -> Cow<'t, str> {
        let mut found = |_: &[u8], _: Weight| {};
        self.url(&mut self.scan(flow, &mut found), flow, path)
    }

    /// A value of a header field of this flow without secrets.
    #[must_use]
    pub fn field(&self, flow: &Flow, field: &Header) -> Header {
        let mut found = |_: &[u8], _: Weight| {};
        self.header(&mut self.scan(flow, &mut found), field)
    }

    /// Words about a flow (a note, a cause) without secrets.
    #[must_use]
    pub fn note(&self, flow: &Flow, note: &str) -> String {
        let mut found = |_: &[u8], _: Weight| {};
        self.words(&mut self.scan(flow, &mut found), note)
    }

    /// A body of this flow, as it went over the wire, without secrets. The octets may be the
    /// beginning of it.
    #[must_use]
    pub fn body(&self, flow: &Flow, part: BodySide, octets: &[u8]) -> Redacted {
        self.body_with(flow, part, octets, &mut |_, _| {})
    }

    /// An address of a home network under its pseudonym; the public ones stay.
    #[must_use]
    pub fn server(&self, server: SocketAddr) -> SocketAddr {
        SocketAddr::new(self.local(server.ip()), server.port())
    }
}

impl Redactor {
    pub(crate) fn scan<'a>(&'a self, flow: &Flow, found: Found<'a>) -> Scan<'a> {
        let entry = flow.classification.entry.as_ref().and_then(|id| self.catalog.entry(id));
        Scan::new(Names { row: entry.map(|entry| &*entry.secret) }, &self.stand_in, found)
    }

    fn rewrite(&self, flow: &Flow, found: Found<'_>) -> Flow {
        let scan = &mut self.scan(flow, found);
        Flow {
            request: flow.request.as_ref().map(|head| self.request(scan, flow, head)),
            interim: flow.interim.iter().map(|head| self.response(scan, head)).collect(),
            response: flow.response.as_ref().map(|head| self.response(scan, head)),
            ..self.facts(scan, flow)
        }
    }

    /// Whether the flow without its heads has nothing to hide.
    fn is_plain(&self, scan: &mut Scan<'_>, flow: &Flow) -> bool {
        let Flow { client, target, classification, hello, rules, notes, finished, .. } = flow;
        let is_plain = |text: Cow<'_, str>| matches!(text, Cow::Borrowed(_));
        let authority = target.as_ref().map(Target::authority);
        let path = target.as_ref().and_then(Target::path).unwrap_or_default();
        let end = finished.as_deref();
        hello.is_none()
            && rules.is_empty()
            && notes.is_empty()
            && classification.details.fields.iter().all(|(name, value)| {
                !scan.names.is_secret(Place::Pair, name) && is_plain(self.without_known(value))
            })
            && end.is_none_or(|end| end.failure.is_none())
            && end.and_then(|end| end.server).is_none_or(|server| self.server(server) == server)
            && self.client(*client) == *client
            && authority.is_none_or(|to| match &to.host {
                Host::Name(name) => is_plain(self.name(name)),
                host => host.ip().is_none_or(|ip| self.local(ip) == ip),
            })
            && is_plain(and_then(scan.url(path), |text| self.without_known(text)))
    }

    /// The flow without its heads.
    fn facts(&self, scan: &mut Scan<'_>, flow: &Flow) -> Flow {
        Flow {
            client: self.client(flow.client),
            target: flow.target.as_ref().and_then(|target| self.target(scan, flow, target)),
            request: None,
            classification: self.classification(scan, &flow.classification),
            hello: flow.hello.as_ref().map(|hello| self.hello(hello)),
            interim: Vec::new(),
            response: None,
            rules: flow.rules.iter().map(|hit| self.rule(scan, hit)).collect(),
            notes: flow.notes.iter().map(|note| self.words(scan, note)).collect(),
            finished: flow.finished.as_ref().map(|end| Box::new(self.finished(scan, end))),
            server_hello: flow.server_hello.clone(),
            certificate: flow.certificate.clone(),
            policy: flow.policy.clone(),
            document: flow.document.clone(),
            ..*flow
        }
    }

    fn client(&self, client: Client) -> Client {
        let ip = self.stand_in.address(client.address.ip());
        Client { address: SocketAddr::new(ip, client.address.port()), ..client }
    }

    /// A private address under its pseudonym.
    fn local(&self, ip: IpAddr) -> IpAddr {
        let is_local = match ip.to_canonical() {
            IpAddr::V4(ip) => ip.is_private() || ip.is_link_local(),
            IpAddr::V6(ip) => ip.is_unique_local() || ip.is_unicast_link_local(),
        };
        if is_local { self.stand_in.address(ip) } else { ip }
    }

    fn target(&self, scan: &mut Scan<'_>, flow: &Flow, target: &Target) -> Option<Target> {
        let host = |authority: &Authority| Authority {
            host: match &authority.host {
                Host::Name(name) => {
                    self.name(name).parse().unwrap_or_else(|_| Host::Name(name.clone()))
                }
                address => address.ip().map_or_else(|| address.clone(), |ip| self.local(ip).into()),
            },
            port: authority.port,
        };
        Some(match target {
            Target::Url(url) => Target::Url(Url {
                scheme: url.scheme,
                authority: host(&url.authority),
                path: self.url(scan, flow, &url.path).into_owned(),
            }),
            Target::Authority(authority) => Target::Authority(host(authority)),
        })
    }

    /// The name of a host. A label of it that is a secret goes; a part of a label stays, since
    /// `playstation` is the password of more than one person.
    fn name<'n>(&self, name: &'n str) -> Cow<'n, str> {
        if name.split('.').all(|label| self.known.label(label).is_none()) {
            return Cow::Borrowed(name);
        }
        let label = |label| self.known.label(label).unwrap_or(label);
        Cow::Owned(name.split('.').map(label).collect::<Vec<_>>().join("."))
    }

    pub(crate) fn url<'t>(&self, scan: &mut Scan<'_>, flow: &Flow, text: &'t str) -> Cow<'t, str> {
        let mut edited = scan.url(text);
        // What the row's patterns took out of the path under the name of a secret.
        for (name, value) in &flow.classification.details.fields {
            if value.len() >= 2
                && !is_stand_in(value.as_bytes())
                && scan.names.is_secret(Place::Pair, name)
                && edited.contains(value.as_str())
            {
                (scan.found)(value.as_bytes(), Weight::Secret);
                let stand_in = self.stand_in.token(value.as_bytes());
                edited = Cow::Owned(edited.replace(value.as_str(), &stand_in));
            }
        }
        and_then(edited, |text| self.without_known(text))
    }

    pub(crate) fn without_known<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.known.replace_text(text).map_or(Cow::Borrowed(text), Cow::Owned)
    }

    pub(crate) fn words(&self, scan: &mut Scan<'_>, text: &str) -> String {
        let edited = and_then(scan.words(text), |text| scan.shapes(text));
        and_then(edited, |text| self.without_known(text)).into_owned()
    }

    fn request(&self, scan: &mut Scan<'_>, flow: &Flow, head: &RequestHead) -> RequestHead {
        RequestHead {
            method: head.method.clone(),
            target: match self.url(scan, flow, &head.target) {
                Cow::Borrowed(_) => head.target.clone(),
                Cow::Owned(target) => target.into(),
            },
            version: head.version,
            headers: self.headers(scan, &head.headers),
        }
    }

    fn response(&self, scan: &mut Scan<'_>, head: &ResponseHead) -> ResponseHead {
        ResponseHead {
            reason: match self.without_known(&head.reason) {
                Cow::Borrowed(_) => head.reason.clone(),
                Cow::Owned(reason) => reason.into(),
            },
            headers: self.headers(scan, &head.headers),
            ..head.clone()
        }
    }

    fn headers(&self, scan: &mut Scan<'_>, headers: &Headers) -> Headers {
        headers.iter().map(|field| self.header(scan, field)).collect()
    }

    pub(crate) fn header(&self, scan: &mut Scan<'_>, field: &Header) -> Header {
        let text = Octets::of(field.value());
        let edited = scan.field(field.name(), &text.text);
        let edited = and_then(edited, |text| self.without_known(text));
        let Cow::Owned(changed) = edited else { return field.clone() };
        // What stands in for a secret has no line end, so that this cannot fail.
        Header::new(field.name(), text.back(&changed)).unwrap_or_else(|_| field.clone())
    }

    pub(crate) fn classification(
        &self,
        scan: &mut Scan<'_>,
        known: &Classification,
    ) -> Classification {
        let mut classification = known.clone();
        for (name, value) in &mut classification.details.fields {
            let is_plain = !value.is_empty() && !is_stand_in(value.as_bytes());
            let new = if is_plain && scan.names.is_secret(Place::Pair, name) {
                (scan.found)(value.as_bytes(), Weight::Secret);
                Some(self.stand_in.token(value.as_bytes()))
            } else {
                self.known.replace_text(value)
            };
            if let Some(new) = new {
                *value = new.into();
            }
        }
        classification
    }

    fn hello(&self, hello: &ClientHelloFacts) -> ClientHelloFacts {
        let words = |text: &String| self.without_known(text).into_owned();
        ClientHelloFacts {
            sni: hello.sni.as_deref().map(|name| self.name(name).into_owned()),
            alpn: hello.alpn.iter().map(words).collect(),
            ..hello.clone()
        }
    }

    pub(crate) fn rule(&self, scan: &mut Scan<'_>, hit: &RuleHit) -> RuleHit {
        RuleHit { name: hit.name.clone(), did: self.words(scan, &hit.did), effect: hit.effect }
    }

    fn finished(&self, scan: &mut Scan<'_>, end: &Finished) -> Finished {
        Finished {
            failure: end.failure.as_ref().map(|failure| self.failure(scan, failure)),
            server: end.server.map(|server| self.server(server)),
            ..end.clone()
        }
    }

    pub(crate) fn failure(&self, scan: &mut Scan<'_>, failure: &Failure) -> Failure {
        Failure {
            side: failure.side,
            cause: self.words(scan, &failure.cause),
            raw: failure.raw.as_ref().map(|raw| self.raw(scan, raw)),
        }
    }

    /// The first octets of something that could not be read, escaped: perhaps a head with an odd
    /// line in it.
    fn raw(&self, scan: &mut Scan<'_>, raw: &str) -> String {
        let lines = raw.split("\\n").map(|line| {
            let (line, end) = line.strip_suffix("\\r").map_or((line, ""), |line| (line, "\\r"));
            let edited = match line.split_once(':') {
                Some((name, value)) if !name.contains(' ') => {
                    let edited = scan.field(name, value.trim_start());
                    format!("{name}: {edited}")
                }
                _ => scan.url(line).into_owned(),
            };
            self.words(scan, &edited) + end
        });
        lines.collect::<Vec<_>>().join("\\n")
    }
}
