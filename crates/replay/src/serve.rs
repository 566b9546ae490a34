//! A session that stands in for servers: what a proxy asks before it connects to anybody.

mod additions;
mod bodies;
mod file;
mod index;
mod keys;
mod near_miss;
mod packed;
mod recorded;
mod request_body;
mod settings;
mod spy;
mod written;

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use consoletap_flow::{Authority, Digest, Flow, FlowId, ResponseHead};
use consoletap_proxy::{Answering, Asked, ForTunnel, OpenBody, Origin, Reply, StandIn, StoredBody};
use consoletap_session::{ReadProblem, Session};

use crate::serve::bodies::Bodies;
use crate::serve::index::{Found, Index, NotFound, Tunnelled};
use crate::serve::keys::{Question, RequestKey};
use crate::serve::near_miss::NearMiss;
use crate::serve::recorded::Recorded;
use crate::serve::request_body::{READ_AT_MOST, RequestBody};
use crate::serve::written::{Turn, Written};

pub use additions::{AddError, Additions};
pub use keys::{InvalidMatchKeys, MatchKeys};
pub use settings::{Mode, Repeat, ReplayError, ReplaySettings, Timing};
pub use spy::{Seen, Spied, Spy};
pub use written::{Answer, InvalidAnswer};

/// A session that stands in for servers. Give it to a proxy as its origin.
pub struct Replay {
    settings: ReplaySettings,
    bodies: Arc<Bodies>,
    index: RwLock<Index>,
    problems: Vec<ReadProblem>,
    written: Written,
    dials: AtomicU64,
    /// Which flows went to their servers, for who records them.
    forwarded: Mutex<HashMap<FlowId, bool>>,
    /// What the answers are expected to be that servers give now.
    expected: Mutex<HashMap<FlowId, Result<Expected, String>>>,
}

/// A recorded answer to compare with.
#[derive(Debug)]
struct Expected {
    flow: FlowId,
    head: ResponseHead,
    kept: Option<recorded::KeptBody>,
    length: u64,
    digest: Option<Digest>,
}

impl Replay {
    /// Reads what a session can answer. It is only read, so that others may serve it, too.
    ///
    /// # Errors
    /// When there is no session, one in a format that is not known here, one that was edited wrongly,
    /// or one without an answer, unless what is missing is forwarded or answers were written by hand;
    /// and when one of those cannot be given.
    pub fn open(directory: &Path, mut settings: ReplaySettings) -> Result<Self, ReplayError> {
        let answers = std::mem::take(&mut settings.answers);
        let written = Written::new(answers, &settings.keys, &settings.catalog)?;
        let session = Session::open(directory)?;
        let (mut index, mut problems) = (Index::default(), Vec::new());
        for flow in session.flows() {
            match flow {
                Ok(flow) => index.add(flow, &session, &settings.catalog, &settings.keys),
                Err(problem) if session.about().trimmed => {
                    return Err(ReplayError::Edited(problem));
                }
                Err(problem) => problems.push(problem),
            }
        }
        if index.len() == 0 && written.is_empty() && settings.mode == Mode::Replay {
            return Err(ReplayError::Empty(directory.display().to_string()));
        }
        Ok(Self {
            settings,
            written,
            bodies: Arc::new(Bodies::new(session)),
            index: RwLock::new(index),
            problems,
            dials: AtomicU64::new(0),
            forwarded: Mutex::default(),
            expected: Mutex::default(),
        })
    }

    /// The session.
    #[must_use]
    pub fn session(&self) -> &Session {
        self.bodies.session()
    }

    /// How many recorded exchanges can be answered from.
    #[must_use]
    pub fn exchanges(&self) -> usize {
        self.index().len()
    }

    /// Lines of the session that cannot be read. What they say is not answered.
    #[must_use]
    pub fn problems(&self) -> &[ReadProblem] {
        &self.problems
    }

    /// The answers that nobody asked for so far, by hand and recorded: method and URL.
    #[must_use]
    pub fn unused(&self) -> Vec<String> {
        let index = self.index();
        let recorded = index.unused().map(|one| format!("{} (flow {})", one.line, one.flow));
        self.written.unused().chain(recorded).collect()
    }

    /// How many connections the proxy wanted to open and might not.
    #[must_use]
    pub fn refused_dials(&self) -> u64 {
        self.dials.load(Ordering::Relaxed)
    }

    /// Takes in a flow that was added to the session, so that it can be answered from now on.
    pub fn add(&self, flow: Flow) {
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        index.add(flow, self.bodies.session(), &self.settings.catalog, &self.settings.keys);
    }

    /// Whether a tunnel to this server can be answered from the session.
    fn is_opened(&self, server: &Authority) -> bool {
        self.index().tunnelled(server) == Tunnelled::Opened
    }

    /// Whether a flow went to its server, where that is known; with `last` it is forgotten.
    fn was_forwarded(&self, flow: FlowId, last: bool) -> Option<bool> {
        let mut forwarded = self.forwarded.lock().unwrap_or_else(PoisonError::into_inner);
        if last { forwarded.remove(&flow) } else { forwarded.get(&flow).copied() }
    }

    /// What is expected of the answer of a flow.
    fn expected(&self, flow: FlowId) -> Option<Result<Expected, String>> {
        self.expected.lock().unwrap_or_else(PoisonError::into_inner).remove(&flow)
    }

    fn index(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn key(&self, asked: &Asked<'_>, keys: &MatchKeys) -> RequestKey {
        let Asked { method, url, headers, .. } = *asked;
        let body =
            if asked.whole { RequestBody::known(headers, asked.body) } else { RequestBody::Large };
        let entry = self.settings.catalog.entry_of(asked.classification);
        let question = Question { method, url, headers, body: &body };
        keys.of(&question, entry)
    }

    /// What a server is expected to answer.
    fn recorded_for(&self, asked: &Asked<'_>) -> Result<Expected, String> {
        let (key, index) = (self.key(asked, &self.settings.keys), self.index());
        match index.find(&key, asked.method, asked.headers, self.settings.repeat) {
            Ok(Found::One(recorded)) => Ok(Expected {
                flow: recorded.flow,
                head: recorded.head(),
                kept: recorded.kept(),
                length: recorded.length(),
                digest: recorded.digest(),
            }),
            Ok(Found::File(..)) => Err("it is a file that was fetched in slices".to_owned()),
            Err(why) => Err(unmatched(asked, &why)),
        }
    }

    /// What becomes of a request, without the octets of its answer; or why there is none.
    fn look_up(&self, asked: &Asked<'_>) -> Result<Stored, String> {
        if self.written.is_empty() {
            return self.look_up_recorded(asked).map_err(|why| unmatched(asked, &why));
        }
        let key = self.key(asked, self.written.keys());
        let turn = self.written.turn(asked, &key);
        if let Turn::Now(stand_in) = turn {
            return Ok(Stored { small: None, stand_in });
        }
        let why = match (self.look_up_recorded(asked), turn) {
            (Ok(stored), _) => return Ok(stored),
            (Err(NotFound::Unknown(_) | NotFound::Unfit(_)), Turn::Over(last, count)) => {
                let again = match self.settings.repeat {
                    Repeat::Never => None,
                    Repeat::Last => Some(last),
                    Repeat::Again => Some(self.written.anew(asked, &key).unwrap_or(last)),
                };
                match again {
                    Some(stand_in) => return Ok(Stored { small: None, stand_in }),
                    None => NotFound::UsedUp(count),
                }
            }
            (Err(NotFound::Unknown(near)), _) => {
                NotFound::Unknown(NearMiss::nearer(self.written.nearest(&key), near))
            }
            (Err(why), _) => why,
        };
        Err(unmatched(asked, &why))
    }

    fn look_up_recorded(&self, asked: &Asked<'_>) -> Result<Stored, NotFound> {
        let Asked { method, headers, .. } = *asked;
        let (key, index) = (self.key(asked, &self.settings.keys), self.index());
        match index.find(&key, method, headers, self.settings.repeat)? {
            Found::One(recorded) => Ok(self.one(recorded, method)),
            Found::File(recorded, version) => {
                let mut stand_in = self.stand_in(recorded);
                stand_in.head.status = 200;
                stand_in.head.reason = "OK".into();
                stand_in.head.headers.remove("content-range");
                stand_in.selects = true;
                stand_in.body = StoredBody::Stored(Arc::clone(&version.coverage));
                Ok(Stored { small: None, stand_in })
            }
        }
    }

    fn one(&self, recorded: &Recorded, method: &str) -> Stored {
        let mut stand_in = self.stand_in(recorded);
        let mut small = None;
        if !recorded.is_bodiless() {
            let (kept, total) = (recorded.kept(), recorded.length());
            let mut coverage = consoletap_proxy::Coverage::new(total);
            match kept {
                _ if total == 0 => stand_in.body = StoredBody::Octets(bytes::Bytes::new()),
                Some(kept) if kept.length == total && bodies::is_small(total) => {
                    small = (method != "HEAD").then_some((recorded.flow, kept.body));
                    coverage.add(0, kept.length, kept.body);
                    stand_in.body = StoredBody::Stored(Arc::new(coverage));
                }
                kept => {
                    if let Some(kept) = kept {
                        coverage.add(0, kept.length, kept.body);
                    }
                    stand_in.body = StoredBody::Stored(Arc::new(coverage));
                }
            }
        }
        Stored { small, stand_in }
    }

    fn stand_in(&self, recorded: &Recorded) -> StandIn {
        let (wait, receive) = match self.settings.timing {
            Timing::AtOnce => (Duration::ZERO, Duration::ZERO),
            Timing::Recorded(times) => {
                (scaled(recorded.wait(), times), scaled(recorded.receive(), times))
            }
        };
        StandIn {
            head: recorded.head(),
            body: StoredBody::None,
            selects: recorded.selects(),
            missing: self.settings.unmatched,
            wait,
            receive,
            notes: vec![format!("answered from flow {} of the session", recorded.flow)],
        }
    }

    async fn reply(&self, asked: Asked<'_>) -> Reply {
        if self.settings.mode == Mode::Spy {
            let expected = self.recorded_for(&asked);
            let mut all = self.expected.lock().unwrap_or_else(PoisonError::into_inner);
            all.insert(asked.flow, expected);
            return Reply::Forward;
        }
        let reply = match self.look_up(&asked) {
            Ok(Stored { small: Some((flow, name)), mut stand_in }) => {
                match self.bodies.small(name).await {
                    Ok(octets) => {
                        stand_in.body = StoredBody::Octets(octets);
                        Reply::Answer(Box::new(stand_in))
                    }
                    Err(error) => {
                        self.refuse(format!("the answer of flow {flow} cannot be read: {error}"))
                    }
                }
            }
            Ok(Stored { stand_in, .. }) => Reply::Answer(Box::new(stand_in)),
            Err(_) if self.settings.mode == Mode::Missing => Reply::Forward,
            Err(why) => self.refuse(why),
        };
        if self.settings.mode == Mode::Missing {
            let mut forwarded = self.forwarded.lock().unwrap_or_else(PoisonError::into_inner);
            forwarded.insert(asked.flow, matches!(reply, Reply::Forward));
        }
        reply
    }

    fn refuse(&self, why: String) -> Reply {
        Reply::Refuse { status: self.settings.unmatched, why }
    }
}

/// An answer, but for the octets of a small body.
struct Stored {
    /// That body, and whose it is.
    small: Option<(FlowId, Digest)>,
    stand_in: StandIn,
}

/// So many times a recorded time; no console waits for an hour.
fn scaled(time: Duration, times: f64) -> Duration {
    let longest = Duration::from_secs(3600);
    Duration::try_from_secs_f64(time.as_secs_f64() * times).unwrap_or(longest).min(longest)
}

/// Why there is no answer, for the client and for the row.
fn unmatched(asked: &Asked<'_>, why: &NotFound) -> String {
    let what = format!("{} {}", asked.method, near_miss::shown(asked.url));
    match why {
        NotFound::UsedUp(count) => {
            format!("{what} was recorded {count} times, and all of its answers were given")
        }
        NotFound::Unfit(status) => {
            format!("{what} was recorded, but its answers ({status}) do not fit what is asked now")
        }
        NotFound::Unknown(None) => format!("{what} was not recorded, and nothing like it"),
        NotFound::Unknown(Some(nearest)) => format!("{what} was not recorded\n{nearest}"),
    }
}

impl Origin for Replay {
    fn body_wanted(&self) -> usize {
        if self.settings.keys.reads_body() { READ_AT_MOST } else { 0 }
    }

    fn answer<'a>(&'a self, asked: Asked<'a>) -> Answering<'a> {
        Box::pin(self.reply(asked))
    }

    fn tunnel(&self, to: &Authority) -> ForTunnel {
        let replays = self.settings.mode == Mode::Replay;
        match self.index().tunnelled(to) {
            _ if self.settings.mode == Mode::Spy => ForTunnel::Live,
            Tunnelled::Opened => ForTunnel::Open,
            _ if self.written.opens(to) => ForTunnel::Open,
            _ if !replays => ForTunnel::Live,
            _ if !self.settings.keys.tells_servers_apart() => ForTunnel::Open,
            Tunnelled::Secure => ForTunnel::Refuse {
                status: self.settings.unmatched,
                why: format!(
                    "{to} was spoken to by HTTPS, which this build does not replay; one with the \
                     feature interception does"
                ),
            },
            Tunnelled::Blind => ForTunnel::Refuse {
                status: self.settings.unmatched,
                why: format!(
                    "TLS to {to} was recorded as a tunnel that nobody opened, so that nothing of \
                     its inside can be replayed. Record it again with --intercept {}",
                    to.host
                ),
            },
            Tunnelled::Never => ForTunnel::Refuse {
                status: self.settings.unmatched,
                why: format!("no tunnel to {to} was recorded, so that none can be replayed"),
            },
        }
    }

    fn may_dial(&self, _: &Authority) -> bool {
        let may = self.settings.mode != Mode::Replay;
        if !may {
            self.dials.fetch_add(1, Ordering::Relaxed);
        }
        may
    }

    fn open_body(&self, body: &Digest) -> io::Result<OpenBody> {
        self.bodies.open(body)
    }
}
