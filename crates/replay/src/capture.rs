//! Hands on finished flows with what was kept of their answers, and writes nothing.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use consoletap_flow::{BodyCopy, Flow, FlowId, Happening, Record, Recorder};

/// A finished flow with what was kept of its answer.
#[derive(Debug, Clone)]
pub(crate) struct Captured {
    pub(crate) flow: Flow,
    /// The answer's body.
    pub(crate) response: Option<BodyCopy>,
}

/// Called for every finished flow, by whoever finished it.
type Finished = Box<dyn Fn(Captured) + Send + Sync>;

/// A recorder that writes nothing.
pub(crate) struct Capture {
    open: Mutex<HashMap<FlowId, Flow>>,
    finished: Finished,
}

impl Capture {
    pub(crate) fn new(finished: impl Fn(Captured) + Send + Sync + 'static) -> Self {
        Self { open: Mutex::default(), finished: Box::new(finished) }
    }

    fn open(&self) -> MutexGuard<'_, HashMap<FlowId, Flow>> {
        // Each flow in it is whole between two events, whatever panicked.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fold(&self, record: Record) {
        let Record { event, response_copy, .. } = record;
        let id = event.flow;
        if matches!(event.happening, Happening::Opened(_)) {
            if let Some(flow) = Flow::open(event) {
                self.open().insert(id, flow);
            }
            return;
        }
        let ends = matches!(event.happening, Happening::Finished(_));
        let mut open = self.open();
        let Some(flow) = open.get_mut(&id) else { return };
        flow.apply(event);
        if ends && let Some(flow) = open.remove(&id) {
            drop(open);
            (self.finished)(Captured { flow, response: response_copy });
        }
    }
}

impl Recorder for Capture {
    fn record(&self, mut record: Record) {
        let written = record.written.take();
        self.fold(record);
        if let Some(written) = written {
            written();
        }
    }
}
