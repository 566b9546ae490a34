//! How whoever sees events hands them to whoever keeps them.

use std::fmt;

use crate::{Event, FlowId};

/// An event on its way to the session, with what belongs to it.
pub struct Record {
    /// The event.
    pub event: Event,
    /// A copy of the request's body; only with `Finished`.
    pub request_copy: Option<BodyCopy>,
    /// A copy of the answer's body; only with `Finished`.
    pub response_copy: Option<BodyCopy>,
    /// Called once the event is safe from the death of this process (it went through `write(2)`),
    /// or cannot be made so. It must not block.
    pub written: Option<Box<dyn FnOnce() + Send>>,
}

impl Record {
    /// An event by itself.
    #[must_use]
    pub fn new(event: Event) -> Self {
        Self { event, request_copy: None, response_copy: None, written: None }
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record").field("event", &self.event).finish_non_exhaustive()
    }
}

/// The octets kept of a body, as they went over the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BodyCopy {
    /// All of it, or its first octets.
    pub octets: Vec<u8>,
    /// Whether it is all of it.
    pub whole: bool,
}

/// One of the two bodies of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BodySide {
    /// What the client sent.
    Request,
    /// What the client got.
    Response,
}

/// A body of any size on its way to the disk, in parts. It ends when it is dropped, and that must
/// come before the `Finished` of its flow is recorded.
pub trait BodyStream: Send {
    /// Takes the next octets. It never waits for a disk: what a slow one cannot take ends the
    /// copy, and `Finished` says in the session how much of it there is.
    fn push(&mut self, octets: &[u8]);
}

/// Keeps events. Implemented by the session's writer, and by whatever a test wants to look at.
pub trait Recorder: Send + Sync {
    /// Takes an event. Events of one flow come in order; `record` must never block on a disk.
    fn record(&self, record: Record);

    /// Writes what was recorded so far, unless somebody is at it. Whoever waits for an event calls it;
    /// the more have recorded theirs before, the less it costs each of them. Where nobody does, events
    /// are written all the same, a moment later.
    fn flush(&self) {}

    /// A place for a body that is to be kept whole, whatever its size; `None` where nothing is
    /// kept. Once octets were pushed, the recorder says in the summary of the flow's `Finished`
    /// what is kept, and the record needs no copy of that body. One that got none changes nothing.
    fn stream_body(&self, flow: FlowId, side: BodySide) -> Option<Box<dyn BodyStream>> {
        let _ = (flow, side);
        None
    }

    /// Whether it is the disk that holds up what is being recorded. Whoever has waited for an event
    /// for a while asks this, and waits on where it is only that the machine has much to do.
    fn is_held_up(&self) -> bool {
        true
    }
}
