//! Flows for the tests of what draws them.

use std::sync::{Arc, LazyLock};

use consoletap_catalog::Catalog;
use consoletap_flow::{
    BodySummary, Client, ConnectionId, Effect, Event, Failure, Finished, Flow, FlowId, Happening,
    Header, Headers, Kind, Opened, RequestHead, ResponseHead, RuleHit, Side, State, Target,
    Timestamp, Timings, Version,
};
use consoletap_redact::Redactor;

/// 2026-11-23T20:43:00Z
const START: Timestamp = Timestamp(1_795_466_580_000_000);

/// What masks secrets, by the built-in catalog.
pub(crate) fn masking() -> Arc<Redactor> {
    static MASKING: LazyLock<Arc<Redactor>> =
        LazyLock::new(|| Arc::new(Redactor::masking(Arc::new(Catalog::builtin()))));
    Arc::clone(&MASKING)
}

/// A flow in the making.
pub(crate) struct Sample {
    flow: Flow,
    finished: Finished,
    end: Timestamp,
}

impl Sample {
    pub(crate) fn get(url: &str) -> Self {
        Self::new("GET", url, Kind::Http)
    }

    pub(crate) fn connect(authority: &str) -> Self {
        Self::new("CONNECT", authority, Kind::Tunnel)
    }

    pub(crate) fn new(method: &str, target: &str, kind: Kind) -> Self {
        let request = RequestHead {
            method: method.to_owned().into(),
            target: target.to_owned().into(),
            version: Version::Http11,
            headers: Headers::default(),
        };
        let opened = Opened {
            kind,
            client: Client {
                address: "192.168.1.23:50000".parse().unwrap(),
                connection: ConnectionId(1),
            },
            tunnel: None,
            target: Some(match kind {
                Kind::Tunnel | Kind::TlsFailure => Target::Authority(target.parse().unwrap()),
                _ => Target::Url(target.parse().unwrap()),
            }),
            request: Some(request),
            classification: consoletap_flow::Classification::default(),
        };
        let happening = Happening::Opened(Box::new(opened));
        Self {
            flow: Flow::open(Event { flow: FlowId(7), at: START, happening }).unwrap(),
            finished: Finished {
                state: State::Complete,
                failure: None,
                request_body: BodySummary::default(),
                response_body: BodySummary::default(),
                timings: Timings::default(),
                server: None,
            },
            end: Timestamp(START.0 + 85_000),
        }
    }

    pub(crate) fn id(mut self, id: u64) -> Self {
        self.flow.id = FlowId(id);
        self
    }

    pub(crate) fn client(mut self, address: &str) -> Self {
        self.flow.client.address = address.parse().unwrap();
        self
    }

    pub(crate) fn platform(mut self, platforms: &str) -> Self {
        self.flow.classification.platform = platforms.parse().unwrap();
        self
    }

    pub(crate) fn firmware(mut self, version: &str) -> Self {
        self.flow.classification.details.firmware = Some(version.into());
        self
    }

    pub(crate) fn category(mut self, name: &str) -> Self {
        self.flow.classification.category = name.into();
        self
    }

    pub(crate) fn status(self, status: u16) -> Self {
        self.answer(status, &[])
    }

    pub(crate) fn answer(mut self, status: u16, fields: &[(&'static str, &'static str)]) -> Self {
        self.flow.response = Some(ResponseHead {
            status,
            reason: "OK".into(),
            version: Version::Http11,
            headers: fields.iter().map(|(n, v)| Header::new(*n, *v).unwrap()).collect(),
        });
        self
    }

    pub(crate) fn field(mut self, name: &'static str, value: &'static str) -> Self {
        let header = Header::new(name, value).unwrap();
        self.flow.request.as_mut().unwrap().headers.push(header);
        self
    }

    pub(crate) fn bytes(mut self, up: u64, down: u64) -> Self {
        self.finished.request_body.bytes = up;
        self.finished.response_body.bytes = down;
        self
    }

    pub(crate) fn lasting(mut self, millis: i64) -> Self {
        self.end = Timestamp(START.0 + millis * 1000);
        self
    }

    pub(crate) fn failed(mut self, state: State, side: Side, cause: &str) -> Self {
        self.finished.state = state;
        self.finished.failure = Some(Failure::new(side, cause));
        self
    }

    pub(crate) fn rule(mut self, name: &str, did: &str, effect: Effect) -> Self {
        self.flow.rules.push(RuleHit { name: name.to_owned(), did: did.to_owned(), effect });
        self
    }

    pub(crate) fn note(mut self, note: &str) -> Self {
        self.flow.notes.push(note.to_owned());
        self
    }

    pub(crate) fn change(mut self, change: impl FnOnce(&mut Flow)) -> Self {
        change(&mut self.flow);
        self
    }

    /// As it stands after its last event.
    pub(crate) fn flow(mut self) -> Flow {
        let happening = Happening::Finished(Box::new(self.finished));
        self.flow.apply(Event { flow: self.flow.id, at: self.end, happening });
        self.flow
    }

    /// As it stands while `down` octets of the answer came.
    pub(crate) fn under_way(mut self, down: u64) -> Flow {
        let happening = Happening::Progress { request_bytes: 0, response_bytes: down };
        self.flow.apply(Event { flow: self.flow.id, at: self.end, happening });
        self.flow
    }
}
