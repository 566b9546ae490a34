//! The one-line form of a flow. Its keys are promised: programs read them from `--json`.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{Category, EntryId, Flow, FlowId, Platforms, Timestamp};

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
    /// Whether TLS was opened with our certificate; given for tunnels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub intercepted: Option<bool>,
    /// The tunnel that it came through.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tunnel: Option<FlowId>,
    /// What a ClientHello showed.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsSummary<'a>>,
}

/// The TLS part of a [`Summary`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TlsSummary<'a> {
    /// The server name asked for; `null` where the client sent none.
    pub sni: Option<&'a str>,
    /// The protocols offered.
    pub alpn: &'a [String],
    /// JA3, in hex.
    pub ja3: &'a str,
    /// JA4.
    pub ja4: &'a str,
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
            intercepted: matches!(self.kind, Kind::Tunnel | Kind::TlsFailure)
                .then_some(self.intercepted),
            tunnel: self.tunnel,
            tls: self.hello.as_ref().map(|hello| TlsSummary {
                sni: hello.sni.as_deref(),
                alpn: &hello.alpn,
                ja3: &hello.ja3,
                ja4: &hello.ja4,
            }),
        }
    }
}
