//! Adds to a session what it could not answer: the flows that went to their servers are written,
//! those that were answered from the session are only shown.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use consoletap_flow::{
    BodySide, BodyStream, Event, Flow, FlowId, Happening, Kind, Record, Recorder,
};
use consoletap_session::{CreateError, Options, Stats, Writer};
use thiserror::Error;

use crate::serve::Replay;
use crate::serve::request_body::READ_AT_MOST;

/// Why nothing can be added.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AddError {
    /// It is a fixture.
    #[error(
        "{0} is a trimmed session, which people edit, so that nothing is recorded into it; \
         record a session of its own and trim it"
    )]
    Trimmed(String),
    /// It cannot be written to.
    #[error(transparent)]
    Create(#[from] CreateError),
}

/// What became of a flow so far.
#[derive(Debug)]
enum Fate {
    /// It is not known yet; what happened.
    Open(Vec<Record>),
    /// It is written.
    Written,
    /// It is not.
    Left,
}

/// A recorder that writes what went to servers.
pub struct Additions {
    replay: Arc<Replay>,
    writer: Arc<Writer>,
    views: Arc<dyn Recorder>,
    flows: Mutex<HashMap<FlowId, Fate>>,
}

impl Additions {
    /// Begins to add to the session that is served; `views` is shown everything. What was added is
    /// answered from then on.
    ///
    /// # Errors
    /// When it was trimmed, is written by somebody else, or the disk refuses.
    pub fn begin(
        replay: &Arc<Replay>,
        options: Options,
        views: Arc<dyn Recorder>,
    ) -> Result<Arc<Self>, AddError> {
        let session = replay.session();
        if session.about().trimmed {
            return Err(AddError::Trimmed(session.directory().display().to_string()));
        }
        let added = Arc::downgrade(replay);
        let mut open: HashMap<FlowId, Flow> = HashMap::new();
        let see = move |event: Event| {
            let id = event.flow;
            let ends = matches!(event.happening, Happening::Finished(_));
            match open.get_mut(&id) {
                Some(flow) => flow.apply(event),
                None => {
                    open.extend(Flow::open(event).map(|flow| (id, flow)));
                }
            }
            if ends && let (Some(flow), Some(replay)) = (open.remove(&id), added.upgrade()) {
                replay.add(flow);
            }
        };
        let (directory, about) = (session.directory(), session.about().clone());
        let writer = Writer::create(directory, about, options, Some(Box::new(see)))?;
        let (replay, writer, flows) = (Arc::clone(replay), Arc::new(writer), Mutex::default());
        Ok(Arc::new(Self { replay, writer, views, flows }))
    }

    /// The number of the first new flow.
    #[must_use]
    pub fn first_flow(&self) -> u64 {
        self.writer.next_flow()
    }

    /// Brings everything to the disk, and says what came of it.
    pub fn close(&self) -> Stats {
        self.writer.close()
    }

    /// What is to be written now.
    fn sort(&self, record: Record) -> Vec<Record> {
        let id = record.event.flow;
        let ends = matches!(record.event.happening, Happening::Finished(_));
        let mut flows = self.flows.lock().unwrap_or_else(PoisonError::into_inner);
        let mut now = Vec::new();
        if let Happening::Opened(opened) = &record.event.happening {
            let is_known = match (&opened.target, opened.kind) {
                (Some(target), Kind::Tunnel) => self.replay.is_opened(target.authority()),
                (_, kind) => kind == Kind::Http,
            };
            let fate = if is_known { Fate::Open(Vec::new()) } else { Fate::Written };
            flows.insert(id, fate);
        }
        // Decided as soon as it is known, since a long answer tells how far it is.
        let decided = self.replay.was_forwarded(id, ends);
        let Some(fate) = flows.get_mut(&id) else { return now };
        if let (Fate::Open(held), Some(forwarded)) = (&mut *fate, decided) {
            now.append(held);
            if !forwarded {
                now.clear();
            }
            *fate = if forwarded { Fate::Written } else { Fate::Left };
        }
        match fate {
            Fate::Written => now.push(record),
            Fate::Open(held) if !ends => held.push(record),
            Fate::Open(_) | Fate::Left => tell(record),
        }
        if ends {
            flows.remove(&id);
        }
        // The tunnel of what is written is written, too.
        let tunnel = now.iter().find_map(|record| match &record.event.happening {
            Happening::Opened(opened) => opened.tunnel,
            _ => None,
        });
        if let Some(Fate::Open(held)) = tunnel.and_then(|tunnel| flows.get_mut(&tunnel)) {
            let mut all = std::mem::take(held);
            all.append(&mut now);
            now = all;
            if let Some(tunnel) = tunnel {
                flows.insert(tunnel, Fate::Written);
            }
        }
        now
    }
}

/// Nobody has to wait for what is not written.
fn tell(record: Record) {
    if let Some(written) = record.written {
        written();
    }
}

impl Recorder for Additions {
    fn record(&self, record: Record) {
        self.views.record(Record::new(record.event.clone()));
        self.sort(record).into_iter().for_each(|record| self.writer.record(record));
    }

    fn flush(&self) {
        self.views.flush();
        self.writer.flush();
    }

    fn stream_body(&self, flow: FlowId, side: BodySide) -> Option<Box<dyn BodyStream>> {
        let (replay, writer) = (Arc::clone(&self.replay), Arc::clone(&self.writer));
        let fate = BodyFate::Held(Vec::new());
        Some(Box::new(Undecided { replay, writer, flow, side, fate }))
    }

    fn is_held_up(&self) -> bool {
        self.writer.is_held_up()
    }
}

/// A body of a flow of which it is not known yet whether it is written.
struct Undecided {
    replay: Arc<Replay>,
    writer: Arc<Writer>,
    flow: FlowId,
    side: BodySide,
    fate: BodyFate,
}

enum BodyFate {
    /// What came so far.
    Held(Vec<u8>),
    Written(Box<dyn BodyStream>),
    /// Nobody wants it.
    Left,
}

impl BodyStream for Undecided {
    fn push(&mut self, octets: &[u8]) {
        if let BodyFate::Held(held) = &mut self.fate {
            match self.replay.was_forwarded(self.flow, false) {
                // A request is read that far before it is known; what a rule answers never is.
                None if held.len() + octets.len() <= 2 * READ_AT_MOST => {
                    return held.extend(octets);
                }
                Some(true) => {
                    let held = std::mem::take(held);
                    let stream = self.writer.stream_body(self.flow, self.side);
                    self.fate = stream.map_or(BodyFate::Left, BodyFate::Written);
                    self.push(&held);
                }
                None | Some(false) => self.fate = BodyFate::Left,
            }
        }
        if let BodyFate::Written(stream) = &mut self.fate {
            stream.push(octets);
        }
    }
}
