//! What can happen to a flow.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::{
    BodySummary, CertificateFacts, Classification, Client, Failure, FlowId, Hello, Kind,
    RequestHead, ResponseHead, ServerHelloFacts, State, Target, Timestamp, Timings, Verdict,
};

/// One thing that happened to a flow. In a session it is one line of JSON:
/// `{"flow":7,"at":"2026-11-23T20:43:00.000000Z","event":{"response":{…}}}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// The flow.
    pub flow: FlowId,
    /// When.
    pub at: Timestamp,
    /// What happened.
    #[serde(rename = "event")]
    pub happening: Happening,
}

/// The kinds of events. The first of a flow is always `Opened`, the last `Finished`; a flow
/// without a last one was cut off by a crash.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Happening {
    /// The flow begins.
    Opened(Box<Opened>),
    /// A client began a TLS handshake inside a tunnel.
    Hello(Box<Hello>),
    /// The server answered a handshake: the client's own in a tunnel, where it could be read there,
    /// or ours, for a request that a new connection was opened for. Where it asked for another
    /// hello, it answers twice.
    ServerHello(ServerHelloFacts),
    /// The certificate that came with it. In a tunnel it can be read up to TLS 1.2.
    Certificate(Box<CertificateFacts>),
    /// What is done with a connection whose TLS somebody wanted opened or refused, and whose hello
    /// did not come.
    Policy(Box<Verdict>),
    /// TLS was opened with a certificate of ours; the flows inside name this one as their tunnel.
    Intercepted,
    /// The flow turned out to be of another kind: a WebSocket, a failed handshake.
    Became(Kind),
    /// A rule acted on the flow.
    Rule(RuleHit),
    /// The server sent an interim answer (1xx), which was passed on.
    Interim(Box<ResponseHead>),
    /// The server's final answer begins.
    Response(Box<ResponseHead>),
    /// A long transfer goes on; totals so far.
    Progress {
        /// Octets of body (or of tunnel) from the client.
        request_bytes: u64,
        /// Octets of body (or of tunnel) to the client.
        response_bytes: u64,
    },
    /// Something a person should know about this flow.
    Note(String),
    /// The body of the answer is a document whose format is known.
    Document(DocumentSummary),
    /// The flow is over.
    Finished(Box<Finished>),
}

/// How a flow begins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Opened {
    /// What it looks like so far.
    pub kind: Kind,
    /// Who opened it.
    pub client: Client,
    /// The intercepted tunnel that it came through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tunnel: Option<FlowId>,
    /// What it is for; absent where that could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Target>,
    /// The request; absent where it could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<RequestHead>,
    /// What the catalog says.
    pub classification: Classification,
}

/// A rule that acted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleHit {
    /// The name of the rule.
    pub name: String,
    /// What it did, in plain words (`rewrote the update list: offers 5.05`).
    pub did: String,
    /// How the row is marked for it.
    pub effect: Effect,
}

/// What the body of an answer is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentSummary {
    /// The name of its format, as `update-list`.
    pub format: String,
    /// What it says, in one line.
    pub summary: String,
}

/// What a rule's action means for the row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// The client did not get what it asked for.
    Blocked,
    /// The client got a changed answer, or the server a changed request.
    Rewritten,
    /// Answered from here.
    Mapped,
    /// Nothing changed on the wire (a tag, a policy for the session).
    Noted,
}

/// How a flow ends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finished {
    /// How.
    pub state: State,
    /// What went wrong, where something did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// The request's body, or what the client sent through the tunnel.
    #[serde(default)]
    pub request_body: BodySummary,
    /// The answer's body as the client got it, or what it got through the tunnel.
    #[serde(default)]
    pub response_body: BodySummary,
    /// How long the parts took.
    #[serde(default)]
    pub timings: Timings,
    /// The address that was really connected to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[serde(serialize_with = "crate::address::serialize_some")]
    pub server: Option<SocketAddr>,
}
