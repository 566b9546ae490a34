//! Compares what servers answer now with what was recorded, while both a console and its servers
//! talk as ever.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use consoletap_flow::{BodyCopy, BodySide, BodyStream, Flow, FlowId, Happening, Record, Recorder};

use crate::compare::{Body, Comparison, Fields, Reply, compare};
use crate::serve::{Expected, Replay};

/// So many answers wait to be compared; more are passed over.
const MOST_WAITING: usize = 64;

/// A body that is larger is compared by its beginning and its hash, in octets.
const READ_AT_MOST: u64 = 16 << 20;

/// A live answer, seen beside a recorded one.
#[derive(Debug, Clone, PartialEq)]
pub struct Spied {
    /// The live flow.
    pub flow: FlowId,
    /// Method and URL, without the query.
    pub asked: String,
    /// What came of it.
    pub seen: Seen,
}

/// What came of looking at an answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Seen {
    /// It was compared with the answer of this flow of the session.
    Compared(FlowId, Comparison),
    /// The session has no answer to compare with; why.
    NotRecorded(String),
    /// No answer came; why.
    Failed(String),
}

/// Looks at every answer and tells of it.
pub struct Spy {
    inner: Arc<dyn Recorder>,
    replay: Arc<Replay>,
    open: Mutex<HashMap<FlowId, Flow>>,
    work: Mutex<Option<SyncSender<Work>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    passed_over: AtomicU64,
}

struct Work {
    flow: Flow,
    copy: Option<BodyCopy>,
    expected: Result<Expected, String>,
}

type Tell = Box<dyn Fn(Spied) + Send>;

impl Spy {
    /// Begins. `inner` gets every event; `tell` is called from a thread of its own.
    ///
    /// # Errors
    /// When this machine gives no thread.
    pub fn begin(
        replay: &Arc<Replay>,
        inner: Arc<dyn Recorder>,
        fields: Fields,
        tell: Tell,
    ) -> io::Result<Arc<Self>> {
        let (work, works) = sync_channel(MOST_WAITING);
        let reads = Arc::clone(replay);
        let thread = std::thread::Builder::new()
            .name("spy".to_owned())
            .spawn(move || look(&reads, &works, &fields, &tell))?;
        Ok(Arc::new(Self {
            inner,
            replay: Arc::clone(replay),
            open: Mutex::default(),
            work: Mutex::new(Some(work)),
            thread: Mutex::new(Some(thread)),
            passed_over: AtomicU64::new(0),
        }))
    }

    /// Waits until everything that came was compared; how many answers were not, since too many
    /// waited for it.
    pub fn close(&self) -> u64 {
        drop(self.work.lock().unwrap_or_else(PoisonError::into_inner).take());
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // Its panic was told where it happened.
            let _ = thread.join();
        }
        self.passed_over.load(Ordering::Relaxed)
    }

    fn take(&self, record: &Record) {
        let (id, event) = (record.event.flow, &record.event);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        match (&event.happening, open.get_mut(&id)) {
            (_, Some(flow)) => flow.apply(event.clone()),
            (Happening::Opened(_), None) => {
                open.extend(Flow::open(event.clone()).map(|flow| (id, flow)));
            }
            _ => {}
        }
        if !matches!(event.happening, Happening::Finished(_)) {
            return;
        }
        let Some(flow) = open.remove(&id) else { return };
        drop(open);
        let Some(expected) = self.replay.expected(id) else { return };
        let work = self.work.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(work) = &*work {
            let copy = record.response_copy.clone();
            if work.try_send(Work { flow, copy, expected }).is_err() {
                self.passed_over.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

impl Recorder for Spy {
    fn record(&self, record: Record) {
        self.take(&record);
        self.inner.record(record);
    }

    fn flush(&self) {
        self.inner.flush();
    }

    fn stream_body(&self, flow: FlowId, side: BodySide) -> Option<Box<dyn BodyStream>> {
        self.inner.stream_body(flow, side)
    }

    fn is_held_up(&self) -> bool {
        self.inner.is_held_up()
    }
}

fn look(replay: &Replay, works: &Receiver<Work>, fields: &Fields, tell: &Tell) {
    for Work { flow, copy, expected } in works {
        let method = flow.request.as_ref().map(|head| head.method.to_string()).unwrap_or_default();
        let url = match &flow.target {
            Some(consoletap_flow::Target::Url(url)) => crate::serve::near_miss::shown(url),
            _ => String::new(),
        };
        let failure = flow.finished.as_ref().and_then(|end| end.failure.as_ref());
        let seen = match (&flow.response, expected) {
            (_, Err(why)) => Seen::NotRecorded(why),
            _ if failure.is_some() => {
                Seen::Failed(failure.map(|failure| failure.cause.clone()).unwrap_or_default())
            }
            (None, _) => Seen::Failed("no answer came".to_owned()),
            (Some(head), Ok(expected)) => {
                let is_head = method == "HEAD";
                let then = if is_head { Body::None } else { recorded(replay, &expected) };
                let summary = flow.finished.as_ref().map(|end| end.response_body);
                let now = if is_head {
                    Body::None
                } else {
                    Body::copied(copy.as_ref(), summary.unwrap_or_default())
                };
                let found = compare(
                    &Reply { head: &expected.head, body: then },
                    &Reply { head, body: now },
                    fields,
                );
                Seen::Compared(expected.flow, found)
            }
        };
        tell(Spied { flow: flow.id, asked: format!("{method} {url}"), seen });
    }
}

/// What the session has of a body.
fn recorded(replay: &Replay, expected: &Expected) -> Body<'static> {
    let length = expected.length;
    let Some(kept) = expected.kept else {
        return match length {
            0 => Body::Whole(Cow::Borrowed(&[])),
            length => Body::Unknown { length },
        };
    };
    if kept.length == length {
        let stored = Body::stored(replay.session(), &kept.body, length);
        return stored.unwrap_or(Body::Unknown { length });
    }
    if kept.length > READ_AT_MOST {
        return Body::Beginning {
            octets: Cow::Borrowed(&[]),
            length: Some(length),
            digest: expected.digest,
        };
    }
    match replay.session().body(&kept.body).map(Cow::Owned) {
        Ok(octets) => Body::Beginning { octets, length: Some(length), digest: expected.digest },
        Err(_) => Body::Unknown { length },
    }
}
