//! What came to the proxy: every flow, with what was kept of its request's body.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use consoletap_content::decode;
use consoletap_filter::{Bodies, Filter, Subject};
use consoletap_flow::{BodyCopy, Flow, FlowId, Happening, Headers, Kind, Record, Recorder};

/// A body that unpacks to more is looked at as far as this.
const LARGEST: usize = 16 << 20;

/// A request that came.
#[derive(Debug, Clone)]
pub struct Request {
    flow: Flow,
    request_body: Option<BodyCopy>,
    response_body: Option<BodyCopy>,
}

impl Request {
    /// Its method.
    #[must_use]
    pub fn method(&self) -> &str {
        self.flow.request.as_ref().map_or("", |head| head.method.as_str())
    }

    /// Its URL; of a CONNECT host and port.
    #[must_use]
    pub fn url(&self) -> String {
        self.flow.target.as_ref().map(ToString::to_string).unwrap_or_default()
    }

    /// A header field of it, where that is text; of several the first.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.flow.request.as_ref()?.headers.text(name)
    }

    /// Its body as it was sent: the first MiB of it, where it is larger.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        self.request_body.as_ref().map_or(&[], |copy| &copy.octets)
    }

    /// The status that it was answered with; none while it waits for an answer.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.flow.status()
    }

    /// Everything that is known of it.
    #[must_use]
    pub fn flow(&self) -> &Flow {
        &self.flow
    }

    pub(super) fn fits(&self, filter: &Filter) -> bool {
        filter.matches(&Subject::from(&self.flow).as_it_stands().with_bodies(self))
    }
}

impl Bodies for Request {
    fn request(&self) -> Option<Cow<'_, [u8]>> {
        plain(self.request_body.as_ref()?, self.flow.request.as_ref().map(|head| &head.headers))
    }

    fn response(&self) -> Option<Cow<'_, [u8]>> {
        plain(self.response_body.as_ref()?, self.flow.response.as_ref().map(|head| &head.headers))
    }
}

/// A body with its coding undone, as far as that is known here.
fn plain<'c>(copy: &'c BodyCopy, headers: Option<&Headers>) -> Option<Cow<'c, [u8]>> {
    let coding = headers.and_then(|headers| headers.text("content-encoding")).unwrap_or_default();
    let decoded = decode(&copy.octets, coding, LARGEST);
    Some(decoded.map_or(Cow::Borrowed(&*copy.octets), |decoded| decoded.octets))
}

/// All that came, by the numbers of the flows: in the order they began.
#[derive(Default)]
pub(super) struct Seen(Mutex<BTreeMap<FlowId, Request>>);

impl Seen {
    /// What was asked for: every request, and every tunnel of which the inside was not seen.
    pub(super) fn requests(&self) -> Vec<Request> {
        let all = self.all();
        let seen_into: HashSet<FlowId> = all.iter().filter_map(|one| one.flow.tunnel).collect();
        let is_request = |flow: &Flow| match flow.kind {
            Kind::Http | Kind::Websocket => true,
            Kind::Refused => flow.request.is_some(),
            Kind::Tunnel => !flow.intercepted && !seen_into.contains(&flow.id),
            Kind::TlsFailure => false,
        };
        all.into_iter().filter(|request| is_request(&request.flow)).collect()
    }

    /// Everything.
    pub(super) fn all(&self) -> Vec<Request> {
        self.lock().values().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<FlowId, Request>> {
        // Each flow in it is whole between two events, whatever panicked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Recorder for Seen {
    fn record(&self, record: Record) {
        let Record { event, request_copy, response_copy, written } = record;
        let id = event.flow;
        {
            let mut all = self.lock();
            if matches!(event.happening, Happening::Opened(_)) {
                let request = |flow| Request { flow, request_body: None, response_body: None };
                all.extend(Flow::open(event).map(|flow| (id, request(flow))));
            } else if let Some(request) = all.get_mut(&id) {
                request.flow.apply(event);
                request.request_body = request.request_body.take().or(request_copy);
                request.response_body = request.response_body.take().or(response_copy);
            }
        }
        if let Some(written) = written {
            written();
        }
    }
}
