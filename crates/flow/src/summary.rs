//! The one-line form of a flow. Its keys are promised: programs read them from `--json`.

use std::borrow::Cow;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{
    Category, CertificateFacts, ClientHelloFacts, DocumentSummary, EntryId, Flow, FlowId,
    Platforms, Resumption, ServerHelloFacts, Timestamp, Verdict, group_name, signature_name,
    suite_name, version_name,
};

/// What a flow is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A request and its answer.
    Http,
    /// A CONNECT.
    Tunnel,
    /// A request that became a WebSocket (or another protocol) by 101.
    Websocket,
    /// A CONNECT in which the client refused our certificate, or TLS failed otherwise.
    TlsFailure,
    /// A connection or request that was not served.
    Refused,
}

/// How a flow ended, or that it has not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// As it should.
    Complete,
    /// The client went away; consoles do so all the time while they download.
    AbortedByClient,
    /// The server could not be reached, or what it sent was no HTTP.
    UpstreamError,
    /// The server ended the body too early.
    Truncated,
    /// It was not served.
    Refused,
    /// It goes on, or a crash cut it off.
    Unfinished,
}

/// A flow in one line of JSON.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary<'a> {
    /// Its number in the session.
    pub id: FlowId,
    /// What it is.
    pub kind: Kind,
    /// When it began.
    pub started: Timestamp,
    /// The client's address.
    pub client: IpAddr,
    /// The method.
    pub method: Option<&'a str>,
    /// The URL, or `host:port` of a CONNECT.
    pub url: Option<String>,
    /// The status of the final answer.
    pub status: Option<u16>,
    /// Which console.
    pub platform: Platforms,
    /// What kind of service.
    pub category: &'a Category,
    /// Which row of the catalog.
    pub entry: Option<&'a EntryId>,
    /// How it ended.
    pub state: State,
    /// What went wrong, in plain words.
    pub error: Option<&'a str>,
    /// Octets from the client: of the body, or of the tunnel.
    pub request_bytes: u64,
    /// Octets to the client: of the body, or of the tunnel.
    pub response_bytes: u64,
    /// From the first event to the last, in milliseconds.
    pub duration_ms: f64,
    /// The rules that acted.
    pub rules: Vec<&'a str>,
    /// What the body of the answer is, where its format is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document: Option<&'a DocumentSummary>,
    /// Whether TLS was opened with our certificate; given for tunnels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub intercepted: Option<bool>,
    /// The tunnel that it came through.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tunnel: Option<FlowId>,
    /// What a ClientHello showed.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub hello: Option<HelloSummary<'a>>,
    /// The whole handshake, numbers by their names, and what was decided about it.
    #[serde(skip_serializing_if = "TlsSummary::is_empty")]
    pub tls: TlsSummary<'a>,
}

/// What everybody asks for of a ClientHello.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HelloSummary<'a> {
    /// The server name asked for; `null` where the client sent none.
    pub sni: Option<&'a str>,
    /// The protocols offered.
    pub alpn: &'a [String],
    /// JA3, in hex.
    pub ja3: &'a str,
    /// JA4.
    pub ja4: &'a str,
}

/// The TLS of a flow; absent is what was not seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TlsSummary<'a> {
    /// What was done with it, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<&'a Verdict>,
    /// What the client offered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offered: Option<Offered>,
    /// What the server chose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chosen: Option<Chosen<'a>>,
    /// The server's certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<&'a CertificateFacts>,
}

/// What a client offered. A number without a name is in hex, as `0x1a2b`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Offered {
    /// The versions; before TLS 1.3 the highest alone.
    pub versions: Vec<Cow<'static, str>>,
    /// The cipher suites.
    pub suites: Vec<Cow<'static, str>>,
    /// The key exchange groups.
    pub groups: Vec<Cow<'static, str>>,
    /// The signature algorithms.
    pub signature_algorithms: Vec<Cow<'static, str>>,
    /// What it wants to go on from.
    pub resumes: Option<Resumption>,
    /// Whether it holds an encrypted hello.
    pub ech: bool,
    /// Whether it came in the framing of SSL 2.0.
    pub sslv2: bool,
}

/// What a server chose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Chosen<'a> {
    /// The version.
    pub version: Cow<'static, str>,
    /// The cipher suite.
    pub suite: Cow<'static, str>,
    /// The protocol; `null` from TLS 1.3 on, where it is encrypted.
    pub alpn: Option<&'a str>,
    /// The key exchange group, from TLS 1.3 on.
    pub group: Option<Cow<'static, str>>,
    /// Whether an earlier session goes on.
    pub resumed: Option<bool>,
}

impl TlsSummary<'_> {
    fn is_empty(&self) -> bool {
        self.policy.is_none()
            && self.offered.is_none()
            && self.chosen.is_none()
            && self.certificate.is_none()
    }
}

impl From<&ClientHelloFacts> for Offered {
    fn from(hello: &ClientHelloFacts) -> Self {
        Self {
            versions: all(&hello.versions, version_name),
            suites: all(&hello.suites, suite_name),
            groups: all(&hello.groups, group_name),
            signature_algorithms: all(&hello.signature_algorithms, signature_name),
            resumes: hello.resumes,
            ech: hello.ech,
            sslv2: hello.sslv2,
        }
    }
}

impl<'a> From<&'a ServerHelloFacts> for Chosen<'a> {
    fn from(hello: &'a ServerHelloFacts) -> Self {
        Self {
            version: one(hello.version, version_name),
            suite: one(hello.suite, suite_name),
            alpn: hello.alpn.as_deref(),
            group: hello.group.map(|group| one(group, group_name)),
            resumed: hello.resumed,
        }
    }
}

type Names = fn(u16) -> Option<&'static str>;

fn all(numbers: &[u16], name: Names) -> Vec<Cow<'static, str>> {
    numbers.iter().map(|&number| one(number, name)).collect()
}

fn one(number: u16, name: Names) -> Cow<'static, str> {
    name(number).map_or_else(|| format!("0x{number:04x}").into(), Cow::Borrowed)
}

impl Flow {
    /// The flow in one line.
    #[must_use]
    pub fn summary(&self) -> Summary<'_> {
        Summary {
            id: self.id,
            kind: self.kind,
            started: self.started,
            client: self.client.address.ip().to_canonical(),
            method: self.request.as_ref().map(|request| request.method.as_str()),
            url: self.target.as_ref().map(ToString::to_string),
            status: self.status(),
            platform: self.classification.platform,
            category: &self.classification.category,
            entry: self.classification.entry.as_ref(),
            state: self.state(),
            error: self
                .finished
                .as_ref()
                .and_then(|finished| finished.failure.as_ref())
                .map(|failure| failure.cause.as_str()),
            request_bytes: self.request_bytes,
            response_bytes: self.response_bytes,
            duration_ms: self.latest.since(self.started).as_micros() as f64 / 1000.0,
            rules: self.rules.iter().map(|hit| hit.name.as_str()).collect(),
            document: self.document.as_ref(),
            intercepted: matches!(self.kind, Kind::Tunnel | Kind::TlsFailure)
                .then_some(self.intercepted),
            tunnel: self.tunnel,
            hello: self.hello.as_ref().map(|hello| HelloSummary {
                sni: hello.sni.as_deref(),
                alpn: &hello.alpn,
                ja3: &hello.ja3,
                ja4: &hello.ja4,
            }),
            tls: TlsSummary {
                policy: self.policy.as_deref(),
                offered: self.hello.as_ref().map(Offered::from),
                chosen: self.server_hello.as_ref().map(Chosen::from),
                certificate: self.certificate.as_deref(),
            },
        }
    }
}
