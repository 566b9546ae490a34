//! What a session has to send: its requests that a server answered.

use std::borrow::Cow;

use consoletap_flow::{
    BodySummary, Effect, Flow, FlowId, Kept, Kind, RequestHead, ResponseHead, State, Target,
    Timestamp, Url,
};
use consoletap_session::{ReadProblem, Session};

use crate::compare::Body;

/// A session, and which of its flows are wanted.
pub(super) struct Recording<'a> {
    session: &'a Session,
    wanted: &'a dyn Fn(&Flow) -> bool,
}

/// A request that was answered when it was recorded.
#[derive(Debug, Clone)]
pub(super) struct Recorded {
    pub(super) flow: FlowId,
    pub(super) url: Url,
    pub(super) head: RequestHead,
    pub(super) request_body: BodySummary,
    pub(super) answer: ResponseHead,
    pub(super) answer_body: BodySummary,
    pub(super) started: Timestamp,
    pub(super) ended: Timestamp,
    /// How it ended.
    pub(super) state: State,
    /// Why it cannot be sent.
    pub(super) unfit: Option<&'static str>,
}

impl<'a> Recording<'a> {
    pub(super) fn new(session: &'a Session, wanted: &'a dyn Fn(&Flow) -> bool) -> Self {
        Self { session, wanted }
    }

    pub(super) fn session(&self) -> &'a Session {
        self.session
    }

    /// The requests that are wanted, in the order they were recorded in. Tunnels are none: what
    /// went through them in the clear stands for itself.
    pub(super) fn requests(&self) -> impl Iterator<Item = Result<Recorded, ReadProblem>> + use<'a> {
        let wanted = self.wanted;
        self.session.flows().filter_map(move |flow| match flow {
            Ok(flow) if matches!(flow.kind, Kind::Http | Kind::Websocket) && wanted(&flow) => {
                Recorded::of(flow).map(Ok)
            }
            Ok(_) => None,
            Err(problem) => Some(Err(problem)),
        })
    }
}

impl Recorded {
    fn of(flow: Flow) -> Option<Self> {
        let unfit = unfit(&flow);
        let Some(Target::Url(url)) = flow.target else { return None };
        let end = flow.finished;
        let nothing = || ResponseHead {
            status: 0,
            reason: "".into(),
            version: consoletap_flow::Version::Http11,
            headers: consoletap_flow::Headers::default(),
        };
        Some(Self {
            flow: flow.id,
            url,
            head: flow.request?,
            request_body: end.as_ref().map(|end| end.request_body).unwrap_or_default(),
            answer: flow.response.unwrap_or_else(nothing),
            answer_body: end.as_ref().map(|end| end.response_body).unwrap_or_default(),
            started: flow.started,
            ended: flow.latest,
            state: end.map_or(State::Unfinished, |end| end.state),
            unfit,
        })
    }

    /// Whether the client went away before the end of the answer.
    pub(super) fn is_cut_short(&self) -> bool {
        self.state == State::AbortedByClient
    }

    /// What the session has of the answer's body.
    pub(super) fn body(&self, session: &Session) -> Body<'static> {
        let BodySummary { bytes, digest, kept } = self.answer_body;
        let octets = |name| session.body(&name).map(Cow::Owned);
        match (kept, digest) {
            (Kept::Whole, Some(name)) => Body::stored(session, &name, bytes),
            (Kept::Prefix { digest: name, .. }, _) => {
                octets(name).map(|octets| Body::Beginning { octets, length: Some(bytes), digest })
            }
            _ if bytes == 0 => Ok(Body::Whole(Cow::Borrowed(&[]))),
            _ => Ok(Body::Unknown { length: bytes }),
        }
        .unwrap_or(Body::Unknown { length: bytes })
    }
}

/// Why a flow cannot be sent again, or its answer not be compared.
fn unfit(flow: &Flow) -> Option<&'static str> {
    let stands_in = |effect| matches!(effect, Effect::Blocked | Effect::Rewritten | Effect::Mapped);
    if flow.kind == Kind::Websocket {
        Some("it became a WebSocket")
    } else if flow.response.is_none() {
        Some("no answer was recorded")
    } else if flow.rules.iter().any(|hit| stands_in(hit.effect)) {
        Some("a rule changed what was recorded")
    } else if flow.finished.is_none() {
        Some("the recording ended before it did")
    } else {
        None
    }
}
