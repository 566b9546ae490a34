//! A flow: the fold of its events.

use serde::Serialize;

use crate::{
    CertificateFacts, Classification, Client, ClientHelloFacts, DocumentSummary, Event, Finished,
    FlowId, Happening, Kind, RequestHead, ResponseHead, RuleHit, ServerHelloFacts, State, Target,
    Timestamp, Verdict,
};

/// Everything known of one flow.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Flow {
    /// Its number.
    pub id: FlowId,
    /// What it is.
    pub kind: Kind,
    /// When it began.
    pub started: Timestamp,
    /// When the last event came.
    pub latest: Timestamp,
    /// Who opened it.
    pub client: Client,
    /// The intercepted tunnel that it came through.
    pub tunnel: Option<FlowId>,
    /// What it is for.
    pub target: Option<Target>,
    /// The request.
    pub request: Option<RequestHead>,
    /// What the catalog says of it.
    pub classification: Classification,
    /// The ClientHello that was seen.
    pub hello: Option<ClientHelloFacts>,
    /// What the server chose.
    pub server_hello: Option<ServerHelloFacts>,
    /// The certificate that the server showed.
    pub certificate: Option<Box<CertificateFacts>>,
    /// What was decided about its TLS, where there is more to say than that nobody wanted it
    /// opened.
    pub policy: Option<Box<Verdict>>,
    /// Whether TLS was opened with our certificate.
    pub intercepted: bool,
    /// Interim answers.
    pub interim: Vec<ResponseHead>,
    /// The final answer.
    pub response: Option<ResponseHead>,
    /// Octets from the client so far: of the body, or of the tunnel.
    pub request_bytes: u64,
    /// Octets to the client so far: of the body, or of the tunnel.
    pub response_bytes: u64,
    /// The rules that acted on it.
    pub rules: Vec<RuleHit>,
    /// What a person should know about it.
    pub notes: Vec<String>,
    /// What the body of its answer is, where the format is known.
    pub document: Option<DocumentSummary>,
    /// How it ended. Boxed: a tunnel that is idle for hours is a flow without an end.
    pub finished: Option<Box<Finished>>,
}

impl Flow {
    /// A flow from its first event; `None` where that is not `Opened`.
    #[must_use]
    pub fn open(event: Event) -> Option<Self> {
        let Happening::Opened(opened) = event.happening else { return None };
        Some(Self {
            id: event.flow,
            kind: opened.kind,
            started: event.at,
            latest: event.at,
            client: opened.client,
            tunnel: opened.tunnel,
            target: opened.target,
            request: opened.request,
            classification: opened.classification,
            hello: None,
            server_hello: None,
            certificate: None,
            policy: None,
            intercepted: false,
            interim: Vec::new(),
            response: None,
            request_bytes: 0,
            response_bytes: 0,
            rules: Vec::new(),
            notes: Vec::new(),
            document: None,
            finished: None,
        })
    }

    /// Takes in what happened next. Events of other flows and a second `Opened` change nothing.
    pub fn apply(&mut self, event: Event) {
        if event.flow != self.id {
            return;
        }
        self.latest = event.at;
        match event.happening {
            Happening::Opened(_) => {}
            Happening::Hello(hello) => {
                self.hello = Some(hello.facts);
                if let Some(classification) = hello.classification {
                    self.classification = *classification;
                }
                if hello.policy.is_some() {
                    self.policy = hello.policy;
                }
            }
            Happening::ServerHello(facts) => self.server_hello = Some(facts),
            Happening::Certificate(facts) => self.certificate = Some(facts),
            Happening::Policy(verdict) => self.policy = Some(verdict),
            Happening::Intercepted => self.intercepted = true,
            Happening::Became(kind) => self.kind = kind,
            Happening::Rule(hit) => self.rules.push(hit),
            Happening::Interim(head) => self.interim.push(*head),
            Happening::Response(head) => self.response = Some(*head),
            Happening::Progress { request_bytes, response_bytes } => {
                self.request_bytes = request_bytes;
                self.response_bytes = response_bytes;
            }
            Happening::Note(note) => self.notes.push(note),
            Happening::Document(document) => self.document = Some(document),
            Happening::Finished(finished) => {
                self.request_bytes = finished.request_body.bytes;
                self.response_bytes = finished.response_body.bytes;
                self.finished = Some(finished);
            }
        }
    }

    /// How it stands.
    #[must_use]
    pub fn state(&self) -> State {
        self.finished.as_ref().map_or(State::Unfinished, |finished| finished.state)
    }

    /// The status of the final answer.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.response.as_ref().map(|response| response.status)
    }
}
