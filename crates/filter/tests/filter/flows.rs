//! Flows that are written down as TOML, as in `docs/filters.md`.

use std::borrow::Cow;
use std::cell::Cell;

use consoletap_filter::{Bodies, Subject};
use consoletap_flow::{
    BodySummary, Category, Classification, Client, ClientHelloFacts, ConnectionId, Details, Effect,
    Event, Failure, Finished, Flow, FlowId, Happening, Header, Headers, Hello, Kind, Opened,
    RequestHead, ResponseHead, RuleHit, Side, State, Target, Timestamp, Timings, Version,
};
use toml::{Table, Value};

/// A flow with what a filter may want beside it.
#[derive(Debug)]
pub(crate) struct Sample {
    pub(crate) name: String,
    flow: Flow,
    called: String,
    now: Timestamp,
    kept: Kept,
}

/// Bodies at hand, and how often they were asked for.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) asked: Cell<u32>,
    request: Option<String>,
    response: Option<String>,
}

impl Bodies for Kept {
    fn request(&self) -> Option<Cow<'_, [u8]>> {
        self.asked.set(self.asked.get() + 1);
        Some(Cow::Borrowed(self.request.as_ref()?.as_bytes()))
    }

    fn response(&self) -> Option<Cow<'_, [u8]>> {
        self.asked.set(self.asked.get() + 1);
        Some(Cow::Borrowed(self.response.as_ref()?.as_bytes()))
    }
}

impl Sample {
    /// The flow as it stands.
    pub(crate) fn subject(&self) -> Subject<'_> {
        self.with_the_rest(Subject::from(&self.flow).as_it_stands())
    }

    /// What was known when its request had come.
    pub(crate) fn request(&self) -> Subject<'_> {
        let head = self.flow.request.as_ref().unwrap();
        let subject = Subject::request(
            &head.method,
            self.flow.target.as_ref().unwrap(),
            &self.flow.classification,
            self.flow.client.address.ip(),
        );
        let mut subject = self.with_the_rest(subject.with_headers(&head.headers));
        subject.client_port = Some(self.flow.client.address.port());
        subject.started = Some(self.flow.started);
        subject
    }

    fn with_the_rest<'s>(&'s self, subject: Subject<'s>) -> Subject<'s> {
        subject.called(&self.called).at(self.now).with_bodies(&self.kept)
    }

    pub(crate) fn is_live(&self) -> bool {
        self.flow.finished.is_none()
    }
}

/// The bodies of a flow.
pub(crate) fn kept(sample: &Sample) -> &Kept {
    &sample.kept
}

/// The flows of a page: a table each, in their order.
pub(crate) fn read(toml: &str) -> Vec<Sample> {
    let table: Table = toml.parse().unwrap();
    let now = stamp(&table["now"]);
    // TOML keeps no order here, the text does.
    let mut tables: Vec<(&String, &Table)> =
        table.iter().filter_map(|(name, value)| Some((name, value.as_table()?))).collect();
    tables.sort_by_key(|(name, _)| toml.find(&format!("[{name}]")));
    tables.into_iter().map(|(name, table)| sample(name, table, now)).collect()
}

fn sample(name: &str, table: &Table, now: Timestamp) -> Sample {
    let text = |key: &str| table.get(key).map(|value| value.as_str().unwrap().to_owned());
    let started = stamp(&table["started"]);
    let seconds = table["seconds"].as_float().unwrap();
    let ended = Timestamp(started.0 + (seconds * 1e6) as i64);
    let (method, target) = table["request"].as_str().unwrap().split_once(' ').unwrap();
    let kind = if method == "CONNECT" { Kind::Tunnel } else { Kind::Http };
    let bytes = table.get("bytes").map_or(0, |bytes| bytes.as_integer().unwrap() as u64);
    let event = |at, happening| Event { flow: FlowId(1), at, happening };
    let opened = Opened {
        kind,
        client: Client {
            address: table["client"].as_str().unwrap().parse().unwrap(),
            connection: ConnectionId(1),
        },
        tunnel: None,
        target: Some(match kind {
            Kind::Tunnel => Target::Authority(target.parse().unwrap()),
            _ => Target::Url(target.parse().unwrap()),
        }),
        request: Some(RequestHead {
            method: method.to_owned().into(),
            target: target.to_owned().into(),
            version: Version::Http11,
            headers: headers(table.get("request-headers")),
        }),
        classification: Classification {
            platform: text("console").unwrap_or_else(|| "unknown".to_owned()).parse().unwrap(),
            category: Category::from(&*text("category").unwrap()),
            details: Details {
                np_title_id: text("title").map(Into::into),
                firmware: text("firmware").map(Into::into),
                ..Details::default()
            },
            ..Classification::default()
        },
    };
    let mut flow = Flow::open(event(started, Happening::Opened(Box::new(opened)))).unwrap();
    let mut happened = Vec::new();
    for name in table.get("rules").into_iter().flat_map(strings) {
        let hit = RuleHit { name, did: String::new(), effect: Effect::Rewritten };
        happened.push(Happening::Rule(hit));
    }
    if let Some(status) = table.get("status") {
        happened.push(Happening::Response(Box::new(ResponseHead {
            status: status.as_integer().unwrap() as u16,
            reason: "".into(),
            version: Version::Http11,
            headers: headers(table.get("headers")),
        })));
    }
    if let Some(version) = text("tls") {
        let facts = ClientHelloFacts {
            sni: text("sni"),
            versions: vec![0x0301 + version.trim_start_matches("1.").parse::<u16>().unwrap()],
            ja3: text("ja3").unwrap(),
            ja4: text("ja4").unwrap(),
            ..ClientHelloFacts::default()
        };
        happened.push(Happening::Hello(Box::new(Hello {
            facts,
            classification: None,
            policy: None,
        })));
    }
    if table.contains_key("websocket") {
        happened.push(Happening::Became(Kind::Websocket));
    }
    if table.contains_key("tls-failure") {
        happened.push(Happening::Became(Kind::TlsFailure));
    }
    happened.extend(table.get("notes").into_iter().flat_map(strings).map(Happening::Note));
    happened.push(match table.contains_key("live") {
        true => Happening::Progress { request_bytes: 0, response_bytes: bytes },
        false => Happening::Finished(Box::new(Finished {
            state: State::Complete,
            failure: text("failure").map(|cause| Failure { side: Side::Here, cause, raw: None }),
            request_body: BodySummary::default(),
            response_body: BodySummary { bytes, ..BodySummary::default() },
            timings: Timings::default(),
            server: text("server").map(|server| server.parse().unwrap()),
        })),
    });
    happened.into_iter().for_each(|happening| flow.apply(event(ended, happening)));
    Sample {
        name: name.to_owned(),
        flow,
        called: text("called").unwrap(),
        now,
        kept: Kept { asked: Cell::new(0), request: text("request-body"), response: text("body") },
    }
}

fn headers(lines: Option<&Value>) -> Headers {
    let fields = lines.into_iter().flat_map(strings).map(|line| {
        let (name, value) = line.split_once(": ").unwrap();
        Header::new(name, value).unwrap()
    });
    fields.collect()
}

fn strings(value: &Value) -> Vec<String> {
    value.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

fn stamp(value: &Value) -> Timestamp {
    value.as_datetime().unwrap().to_string().parse().unwrap()
}
