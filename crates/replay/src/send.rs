//! Sends recorded requests again, and compares what comes with what was recorded.
//!
//! They go through a proxy of this process, as they did when they were recorded: TLS, framing,
//! redirects and the hashes of large bodies are those of the product, and what it tells of an answer
//! is what is compared.

mod parcel;
mod plan;
mod variables;
mod wire;

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use consoletap_catalog::Catalog;
use consoletap_flow::{Flow, FlowId, Scheme, State, Timestamp};
use consoletap_proxy::{Deadlines, Listener, Parts, Proxy, Redirect, TlsParts};
use consoletap_rules::RuleBook;
use consoletap_session::{ReadProblem, Session};
use consoletap_tls::{Learned, Trust};
use thiserror::Error;
use tokio::sync::oneshot;

use crate::compare::{Body, Comparison, Fields, Reply, compare};
use crate::send::plan::{Recorded, Recording};
use crate::send::wire::{Got, Wire};

pub use crate::send::variables::{Places, Variable, Variables};

/// So many requests are under way, or wait to be told of behind one that is.
const MOST_AT_ONCE: usize = 64;

/// When a request goes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// Once the one before it was answered.
    #[default]
    OneByOne,
    /// Once all were answered that had been answered when it was recorded; without the pauses.
    Recorded,
}

/// How to send.
pub struct SendSettings {
    /// What is known of console traffic.
    pub catalog: Arc<Catalog>,
    /// Connect there instead; the first that fits. `Host`, SNI and the check of certificates stay
    /// as they were recorded.
    pub redirects: Vec<Redirect>,
    /// Send everything in this scheme, whatever was recorded.
    pub scheme: Option<Scheme>,
    /// When each goes out.
    pub order: Order,
    /// What to send for what stands in for secrets.
    pub variables: Variables,
    /// The header fields that are compared.
    pub fields: Fields,
    /// Which servers are believed.
    pub trust: Arc<Trust>,
    /// How long an answer may take to begin.
    pub patience: Duration,
}

/// A request that was recorded, and what became of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Sent {
    /// Its flow in the session.
    pub flow: FlowId,
    /// Its method.
    pub method: String,
    /// Its URL, with what stands in for secrets.
    pub url: String,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It was answered, and compared with what was recorded.
    Compared(Comparison),
    /// No answer came; and why.
    Failed(String),
    /// It was not sent; and why.
    NotSent(&'static str),
}

/// What all of it came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Answers that say what was recorded.
    pub same: u64,
    /// Answers that do not.
    pub different: u64,
    /// Requests without an answer.
    pub failed: u64,
    /// Requests that cannot be sent.
    pub not_sent: u64,
    /// Lines of the session that cannot be read.
    pub problems: u64,
}

impl Tally {
    /// Whether everything that was sent was answered as it was recorded, and there was something.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.different == 0 && self.failed == 0 && self.same > 0
    }

    fn count(&mut self, outcome: &Outcome) {
        *match outcome {
            Outcome::Compared(found) if found.differences.is_empty() => &mut self.same,
            Outcome::Compared(_) => &mut self.different,
            Outcome::Failed(_) => &mut self.failed,
            Outcome::NotSent(_) => &mut self.not_sent,
        } += 1;
    }
}

/// Why nothing is sent, or no more.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SendError {
    /// Values are needed that were taken out of the session as secrets.
    #[error("{}", variables::missing_said(.0))]
    Missing(Vec<Variable>),
    /// A variable names nothing, or more than one thing.
    #[error("{0}")]
    Variable(String),
    /// A session that was edited by hand has a mistake.
    #[error(transparent)]
    Edited(ReadProblem),
    /// This machine gives no port.
    #[error(transparent)]
    Bind(#[from] consoletap_proxy::BindError),
}

/// Sends the requests that are wanted, in the order they were recorded in, and tells of each in that
/// order. What is held in memory are the requests under way.
///
/// # Errors
/// When values for secrets are missing, or this machine gives no port to listen on. That a server
/// cannot be reached is told of its request.
pub async fn send(
    session: &Session,
    wanted: &dyn Fn(&Flow) -> bool,
    settings: SendSettings,
    tell: &mut dyn FnMut(Sent),
) -> Result<Tally, SendError> {
    let recording = Recording::new(session, wanted);
    let values = settings.variables.values(&recording)?;
    let wire = Arc::new(Wire::default());
    let listener = Listener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
    let (stop, stopped) = oneshot::channel::<()>();
    let proxy = proxy(listener, &settings, &wire);
    let address = proxy.local_addr();
    let serving = tokio::spawn(proxy.run(async {
        let _ = stopped.await;
    }));
    let mut desk = Desk {
        under_way: VecDeque::new(),
        order: settings.order,
        fields: &settings.fields,
        session,
        tally: Tally::default(),
        tell,
    };
    for recorded in recording.requests() {
        let recorded = match recorded {
            Ok(recorded) => recorded,
            Err(problem) if session.about().trimmed => return Err(SendError::Edited(problem)),
            Err(_) => {
                desk.tally.problems += 1;
                continue;
            }
        };
        desk.wait_for_turn(&recorded).await;
        let stage = match parcel::make(session, &recorded, settings.scheme, &values) {
            Ok(parcel) => {
                let wire = Arc::clone(&wire);
                Stage::Waits(Box::pin(async move { wire.carry(address, parcel).await }))
            }
            Err(why) => Stage::Over(Outcome::NotSent(why)),
        };
        desk.under_way.push_back(UnderWay { recorded, stage });
    }
    while !desk.under_way.is_empty() {
        desk.step().await;
    }
    let tally = desk.tally;
    drop(stop);
    // It ended with a panic of a task at the worst, which was told there.
    let _ = serving.await;
    Ok(tally)
}

fn proxy(listener: Listener, settings: &SendSettings, wire: &Arc<Wire>) -> Proxy {
    let patience = settings.patience;
    let deadlines = Deadlines { answer: patience, idle: patience, ..Deadlines::default() };
    let proxy = consoletap_proxy::Settings {
        redirects: settings.redirects.clone(),
        deadlines,
        // The server is to get what it got then.
        via: false,
        ..consoletap_proxy::Settings::default()
    };
    let parts = Parts {
        catalog: Arc::clone(&settings.catalog),
        rules: Arc::new(RuleBook::default()),
        tls: TlsParts {
            interceptor: None,
            trust: Arc::clone(&settings.trust),
            learned: Arc::new(Learned::load(None)),
        },
        recorder: wire.recorder(),
        seen: None,
        origin: None,
    };
    Proxy::new(listener, proxy, parts)
}

type Carried = Pin<Box<dyn Future<Output = Result<Got, String>> + Send>>;

struct UnderWay {
    recorded: Recorded,
    stage: Stage,
}

enum Stage {
    Waits(Carried),
    Over(Outcome),
}

/// Where requests are sent from, and told of in their order.
struct Desk<'a> {
    under_way: VecDeque<UnderWay>,
    order: Order,
    fields: &'a Fields,
    session: &'a Session,
    tally: Tally,
    tell: &'a mut dyn FnMut(Sent),
}

impl Desk<'_> {
    /// Waits until a request may go out.
    async fn wait_for_turn(&mut self, next: &Recorded) {
        while self.under_way.len() >= MOST_AT_ONCE || self.is_too_early(next.started) {
            self.step().await;
        }
    }

    fn is_too_early(&self, started: Timestamp) -> bool {
        let mut waiting = self.under_way.iter().filter(|one| matches!(one.stage, Stage::Waits(_)));
        match self.order {
            Order::OneByOne => waiting.next().is_some(),
            Order::Recorded => waiting.any(|one| one.recorded.ended <= started),
        }
    }

    /// Waits for one of the requests, and tells of those that are first and over.
    async fn step(&mut self) {
        let Self { under_way, fields, session, .. } = self;
        std::future::poll_fn(|context| {
            let mut moved =
                under_way.front().is_some_and(|one| matches!(one.stage, Stage::Over(_)));
            for one in under_way.iter_mut() {
                let Stage::Waits(carried) = &mut one.stage else { continue };
                if let Poll::Ready(got) = carried.as_mut().poll(context) {
                    let outcome = match got {
                        Ok(got) => judge(session, &one.recorded, &got, fields),
                        Err(why) => Outcome::Failed(why),
                    };
                    one.stage = Stage::Over(outcome);
                    moved = true;
                }
            }
            if moved { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        while let Some(UnderWay { recorded, stage: Stage::Over(outcome) }) =
            self.under_way.pop_front_if(|one| matches!(one.stage, Stage::Over(_)))
        {
            self.tally.count(&outcome);
            let Recorded { flow, head, url, .. } = recorded;
            let method = head.method.to_string();
            (self.tell)(Sent { flow, method, url: url.to_string(), outcome });
        }
    }
}

/// Compares what came with what was recorded.
fn judge(session: &Session, recorded: &Recorded, got: &Got, fields: &Fields) -> Outcome {
    if let Some(why) = got.failure.as_ref().filter(|_| recorded.state == State::Complete) {
        return Outcome::Failed(why.clone());
    }
    let then = Reply { head: &recorded.answer, body: as_asked(recorded.body(session), recorded) };
    let now = Reply { head: &got.head, body: as_asked(got.body(), recorded) };
    Outcome::Compared(compare(&then, &now, fields))
}

/// As much of a body as the request can have been answered with.
fn as_asked<'b>(body: Body<'b>, recorded: &Recorded) -> Body<'b> {
    match recorded.head.method.as_str() {
        "HEAD" => Body::None,
        _ if recorded.is_cut_short() => body.cut_short(),
        _ => body,
    }
}
