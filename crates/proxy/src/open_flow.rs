//! A flow that is under way: whatever becomes of it, its last event is written.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use consoletap_flow::{
    BodySide, Client, Effect, Event, Failure, Finished, FlowId, Happening, Headers, Kind, Opened,
    Record, ResponseHead, RuleHit, Side, State, Timestamp, Timings,
};
use consoletap_rules::{Acted, Decision, Store};
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::describe::Expected;
use crate::shared::Shared;
use crate::tap::Tap;

/// How long the last octet of an answer waits for its event to be written. A disk that is slower
/// than this costs the session its guarantee for this flow, not the console its answer.
const PATIENCE: Duration = Duration::from_millis(50);

/// How often it waits so long where it is not the disk that is slow.
const TIMES: u32 = 100;

/// How often a long transfer tells how far it is.
const PROGRESS: Duration = Duration::from_secs(1);

/// A flow that is under way. When it is dropped without an end, as when a task is stopped, it
/// ends as aborted.
pub(crate) struct OpenFlow {
    pub(crate) log: FlowLog,
    /// What the client sent.
    pub(crate) request: Tap,
    /// What the client got.
    pub(crate) response: Tap,
    pub(crate) timings: Timings,
    pub(crate) server: Option<SocketAddr>,
    /// What the head of the answer lets expect of its body.
    pub(crate) document: Option<Expected>,
    busy: bool,
    finished: bool,
}

/// The part of a flow that tells what happens.
pub(crate) struct FlowLog {
    shared: Arc<Shared>,
    id: FlowId,
    progress_at: Option<Instant>,
    /// Whether fields of heads may be told.
    keeps_heads: bool,
}

impl OpenFlow {
    /// Opens a flow.
    pub(crate) fn begin(shared: &Arc<Shared>, opened: Opened) -> Self {
        Self::begin_storing(shared, None, opened)
    }

    /// Opens a flow of which a rule says how much is kept.
    pub(crate) fn begin_storing(
        shared: &Arc<Shared>,
        store: Option<Store>,
        mut opened: Opened,
    ) -> Self {
        let keep = shared.settings.keep.as_a_rule_wants(store, shared.settings.limits.held_body);
        let keeps_heads = store != Some(Store::None);
        if !keeps_heads && let Some(request) = &mut opened.request {
            request.headers = Headers::default();
        }
        let id = shared.next_flow();
        let log = FlowLog { shared: Arc::clone(shared), id, progress_at: None, keeps_heads };
        log.tell(Happening::Opened(Box::new(opened)));
        shared.count_busy(true);
        let mut flow = Self {
            log,
            request: Tap::new(keep),
            response: Tap::new(keep),
            timings: Timings::default(),
            server: None,
            document: None,
            busy: true,
            finished: false,
        };
        if keep.full {
            flow.keep_full(BodySide::Request);
            flow.keep_full(BodySide::Response);
        }
        flow
    }

    /// Keeps this body whole, whatever its size. To be called before any of it was seen.
    pub(crate) fn keep_full(&mut self, side: BodySide) {
        let Some(stream) = self.log.shared.recorder.stream_body(self.log.id, side) else { return };
        match side {
            BodySide::Request => self.request.stream_to(stream),
            BodySide::Response => self.response.stream_to(stream),
        }
    }

    /// Tells which rules act all the way, from the beginning on.
    pub(crate) fn tell_rules(&self, decision: &Decision<'_>) {
        if let Some(hit) = decision.tags() {
            self.log.rule(hit);
        }
        if let Some(store) = decision.store() {
            self.log.rule(store.hit(Effect::Noted, store.what.describe()));
        }
    }

    pub(crate) fn id(&self) -> FlowId {
        self.log.id
    }

    /// The flow goes on, but nobody waits for it when the proxy stops: it lives as long as an idle
    /// connection.
    pub(crate) fn rest(&mut self) {
        if std::mem::take(&mut self.busy) {
            self.log.shared.count_busy(false);
        }
    }

    /// When this is over, what has no end of its own ends.
    pub(crate) fn stopping(&self) -> CancellationToken {
        self.log.shared.stopping.clone()
    }

    /// How long a tunnel may be silent.
    pub(crate) fn idle_tunnel(&self) -> Duration {
        self.log.shared.settings.deadlines.idle_tunnel
    }

    /// Ends the flow, with a client that waits for that; what it returns resolves once the end is
    /// written, or patience is over.
    pub(crate) fn finish(&mut self, state: State, failure: Option<Failure>) -> Written {
        let (sender, receiver) = oneshot::channel();
        self.end(
            state,
            failure,
            Some(Box::new(move || {
                // Who waited may have lost patience.
                let _ = sender.send(());
            })),
        );
        Written { receiver, shared: Arc::clone(&self.log.shared) }
    }

    /// Ends the flow. Nobody waits for that to be written, so it is no reason to write at once.
    pub(crate) fn close(&mut self, state: State, failure: Option<Failure>) {
        self.end(state, failure, None);
    }

    fn end(
        &mut self,
        state: State,
        failure: Option<Failure>,
        written: Option<Box<dyn FnOnce() + Send>>,
    ) {
        if std::mem::replace(&mut self.finished, true) {
            return;
        }
        self.rest();
        let (request_body, request_copy) = self.request.take();
        let (response_body, response_copy) = self.response.take();
        if let Some(expected) = self.document.take() {
            let copy = response_copy.as_ref();
            // Without a copy the body was empty, or nothing is kept.
            let octets = copy.map_or(&[][..], |copy| &copy.octets);
            let whole = copy.map_or(response_body.bytes == 0, |copy| copy.whole);
            if let Some(told) = expected.describe(octets, whole, state) {
                self.log.tell(told);
            }
        }
        let happening = Happening::Finished(Box::new(Finished {
            state,
            failure,
            request_body,
            response_body,
            timings: self.timings,
            server: self.server,
        }));
        let event = Event { flow: self.log.id, at: now(), happening };
        self.log.shared.recorder.record(Record { event, request_copy, response_copy, written });
    }
}

impl Drop for OpenFlow {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        let failure = if self.log.shared.stopping.is_cancelled() {
            Failure::new(Side::Here, "the proxy was stopped")
        } else {
            Failure::new(Side::Client, "the client gave the request up")
        };
        // A connection that was open and idle was not cut off from anything.
        let state = if self.busy { State::AbortedByClient } else { State::Complete };
        self.end(state, Some(failure), None);
    }
}

impl FlowLog {
    pub(crate) fn tell(&self, happening: Happening) {
        self.shared.recorder.record(Record::new(Event { flow: self.id, at: now(), happening }));
    }

    pub(crate) fn response(&self, mut head: ResponseHead) {
        if !self.keeps_heads {
            head.headers = Headers::default();
        }
        self.tell(Happening::Response(Box::new(head)));
    }

    pub(crate) fn interim(&self, mut head: ResponseHead) {
        if !self.keeps_heads {
            head.headers = Headers::default();
        }
        self.tell(Happening::Interim(Box::new(head)));
    }

    pub(crate) fn acted(&self, acted: Acted) {
        acted.hits.into_iter().for_each(|hit| self.rule(hit));
        acted.notes.into_iter().for_each(|note| self.note(note));
    }

    pub(crate) fn note(&self, note: impl Into<String>) {
        self.tell(Happening::Note(note.into()));
    }

    pub(crate) fn rule(&self, hit: RuleHit) {
        self.tell(Happening::Rule(hit));
    }

    /// Tells how far a transfer is, once a second.
    pub(crate) fn progress(&mut self, request_bytes: u64, response_bytes: u64) {
        let now = Instant::now();
        let due = *self.progress_at.get_or_insert(now + PROGRESS);
        if now >= due {
            self.progress_at = Some(now + PROGRESS);
            self.tell(Happening::Progress { request_bytes, response_bytes });
        }
    }
}

/// The promise that an event is written.
pub(crate) struct Written {
    receiver: oneshot::Receiver<()>,
    shared: Arc<Shared>,
}

impl Written {
    /// Waits for it, but not for ever: a console is not to suffer from a slow disk. What went out
    /// before it was written is counted.
    pub(crate) async fn wait(mut self) {
        if self.receiver.try_recv().is_ok() {
            return;
        }
        // What else can go on ends its flow first, where that comes next: one write does for all.
        tokio::task::yield_now().await;
        self.shared.recorder.flush();
        for _ in 0..TIMES {
            if tokio::time::timeout(PATIENCE, &mut self.receiver).await.is_ok() {
                return;
            }
            if self.shared.recorder.is_held_up() {
                break;
            }
        }
        self.shared.count_unwritten();
    }
}

/// A row for something that was not served at all.
pub(crate) fn refuse(
    shared: &Arc<Shared>,
    client: Client,
    failure: Failure,
    response: Option<ResponseHead>,
) -> Written {
    let mut flow = OpenFlow::begin(
        shared,
        Opened {
            kind: Kind::Refused,
            client,
            tunnel: None,
            target: None,
            request: None,
            classification: consoletap_flow::Classification::default(),
        },
    );
    if let Some(head) = response {
        flow.log.response(head);
    }
    flow.finish(State::Refused, Some(failure))
}

/// The time on the wall.
pub(crate) fn now() -> Timestamp {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Timestamp(since_epoch.map_or(0, |since| i64::try_from(since.as_micros()).unwrap_or(i64::MAX)))
}
