//! Writes whole flows to a new session: what was read from elsewhere, or made of another session.

use std::path::Path;

use consoletap_flow::{
    BodyCopy, Event, Flow, Happening, Hello, Opened, Record, Recorder as _, Timestamp,
};
use consoletap_session::{About, CreateError, Options, Stats, Writer};

/// A session that is being written.
pub(crate) struct SessionRecorder {
    writer: Writer,
}

impl SessionRecorder {
    pub(crate) fn create(
        directory: &Path,
        started: Timestamp,
        options: serde_json::Value,
        redacted: bool,
    ) -> Result<Self, CreateError> {
        let about = About {
            tool: "consoletap".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started,
            options,
            redacted,
            ..About::default()
        };
        Ok(Self { writer: Writer::create(directory, about, Options::default(), None)? })
    }

    /// Writes events as they are; bodies go with the last.
    pub(crate) fn events(
        &self,
        events: impl IntoIterator<Item = Event>,
        bodies: [Option<BodyCopy>; 2],
    ) {
        let [mut request_copy, mut response_copy] = bodies;
        for event in events {
            let mut record = Record::new(event);
            let is_last = matches!(record.event.happening, Happening::Finished(_));
            if is_last {
                record.request_copy = request_copy.take();
                record.response_copy = response_copy.take();
            }
            self.writer.record(record);
            if is_last {
                // Nothing is to pile up.
                self.writer.flush();
            }
        }
    }

    /// Writes a flow. The events between its ends carry the time of its beginning: more is not
    /// known of them.
    pub(crate) fn flow(&self, flow: Flow, bodies: [Option<BodyCopy>; 2]) {
        self.events(events(flow), bodies);
    }

    pub(crate) fn close(self) -> Stats {
        self.writer.close()
    }
}

/// The events that fold to this flow.
pub(crate) fn events(flow: Flow) -> Vec<Event> {
    let mut all = vec![Happening::Opened(Box::new(Opened {
        kind: flow.kind,
        client: flow.client,
        tunnel: flow.tunnel,
        target: flow.target,
        request: flow.request,
        classification: flow.classification,
    }))];
    all.extend(flow.hello.map(|facts| {
        Happening::Hello(Box::new(Hello { facts, classification: None, policy: None }))
    }));
    all.extend(flow.policy.map(Happening::Policy));
    all.extend(flow.server_hello.map(Happening::ServerHello));
    all.extend(flow.certificate.map(Happening::Certificate));
    all.extend(flow.intercepted.then_some(Happening::Intercepted));
    all.extend(flow.rules.into_iter().map(Happening::Rule));
    all.extend(flow.interim.into_iter().map(|head| Happening::Interim(Box::new(head))));
    all.extend(flow.response.map(|head| Happening::Response(Box::new(head))));
    all.extend(flow.document.map(Happening::Document));
    all.extend(flow.notes.into_iter().map(Happening::Note));
    let last = flow.finished.map(|end| Event {
        flow: flow.id,
        at: flow.latest,
        happening: Happening::Finished(end),
    });
    let event = |happening| Event { flow: flow.id, at: flow.started, happening };
    all.into_iter().map(event).chain(last).collect()
}
