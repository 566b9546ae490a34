//! What other tools tell of a message, made a flow of ours.

use std::net::{Ipv4Addr, SocketAddr};

use consoletap_catalog::{Catalog, Query};
use consoletap_flow::{
    Authority, BodySummary, Client, ConnectionId, Failure, Finished, Flow, FlowId, Header, Headers,
    Kind, RequestHead, ResponseHead, Side, State, Target, Timestamp, Timings, Url, Version,
};

use super::moment;

/// The parts of an exchange, each as far as it is known.
#[derive(Debug, Default)]
pub(super) struct Message {
    pub(super) started: Timestamp,
    pub(super) took_micros: u64,
    pub(super) client: Option<SocketAddr>,
    pub(super) connection: u64,
    pub(super) server: Option<SocketAddr>,
    pub(super) method: String,
    /// An absolute URL, or `host:port` of a CONNECT.
    pub(super) url: String,
    pub(super) version: Option<Version>,
    pub(super) request_headers: Headers,
    pub(super) request_body: u64,
    pub(super) response: Option<Response>,
    pub(super) error: Option<String>,
    pub(super) timings: Timings,
    pub(super) is_websocket: bool,
}

#[derive(Debug, Default)]
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) reason: String,
    pub(super) version: Option<Version>,
    pub(super) headers: Headers,
    pub(super) body: u64,
}

impl Message {
    /// The flow; `None` with words where the URL cannot be read.
    pub(super) fn into_flow(self, catalog: &Catalog) -> Result<Flow, String> {
        let is_connect = self.method.eq_ignore_ascii_case("CONNECT");
        let target = if is_connect {
            authority(&self.url).map(Target::Authority)
        } else {
            self.url.parse::<Url>().map(Target::Url).map_err(|error| error.to_string())
        };
        let target = target.map_err(|why| format!("the URL {:?}: {why}", shortened(&self.url)))?;
        let at = target.authority();
        let classification = catalog.classify(&Query {
            method: Some(&self.method),
            host: Some(&at.host),
            port: Some(at.port),
            path: target.path(),
            user_agent: self.request_headers.text("user-agent"),
            headers: Some(&self.request_headers),
            ..Query::default()
        });
        let kind = match () {
            () if is_connect => Kind::Tunnel,
            () if self.is_websocket => Kind::Websocket,
            () => Kind::Http,
        };
        let answered = self.response.is_some();
        let state = match (&self.error, answered) {
            (None, true) => State::Complete,
            (None, false) if is_connect => State::Complete,
            (Some(_), true) => State::Truncated,
            (_, false) => State::UpstreamError,
        };
        let cause = self.error.or_else(|| {
            (state == State::UpstreamError).then(|| "there is no answer in the file".to_owned())
        });
        let nobody = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        let body = |bytes| BodySummary { bytes, ..BodySummary::default() };
        let response_bytes = self.response.as_ref().map_or(0, |response| response.body);
        let took = i64::try_from(self.took_micros).unwrap_or(i64::MAX);
        Ok(Flow {
            id: FlowId(0),
            kind,
            started: self.started,
            latest: moment(self.started.0.saturating_add(took)),
            client: Client {
                address: self.client.unwrap_or(nobody),
                connection: ConnectionId(self.connection),
            },
            tunnel: None,
            request: Some(RequestHead {
                method: self.method.into(),
                target: match &target {
                    Target::Url(_) => self.url.into(),
                    Target::Authority(authority) => authority.to_string().into(),
                },
                version: self.version.unwrap_or(Version::Http11),
                headers: self.request_headers,
            }),
            target: Some(target),
            classification,
            hello: None,
            server_hello: None,
            certificate: None,
            policy: None,
            document: None,
            intercepted: false,
            interim: Vec::new(),
            response: self.response.map(|response| ResponseHead {
                status: response.status,
                reason: response.reason.into(),
                version: response.version.unwrap_or(Version::Http11),
                headers: response.headers,
            }),
            request_bytes: self.request_body,
            response_bytes,
            rules: Vec::new(),
            notes: Vec::new(),
            finished: Some(Box::new(Finished {
                state,
                failure: cause.map(|cause| Failure::new(Side::Upstream, cause)),
                request_body: body(self.request_body),
                response_body: body(response_bytes),
                timings: self.timings,
                server: self.server,
            })),
        })
    }
}

/// `host:port`, perhaps as a URL.
fn authority(text: &str) -> Result<Authority, String> {
    let text = text.strip_prefix("https://").unwrap_or(text);
    let text = text.strip_prefix("http://").unwrap_or(text);
    let text = text.split('/').next().unwrap_or_default();
    Authority::parse(text, Some(443)).map_err(|error| error.to_string())
}

/// A field, where it can be one; pseudo fields of HTTP/2 are told by the target.
pub(super) fn push(headers: &mut Headers, name: &[u8], value: &[u8]) {
    // Tools that join fields put line ends between them.
    let value: Vec<u8> = value
        .iter()
        .map(|&octet| if matches!(octet, b'\r' | b'\n' | 0) { b' ' } else { octet })
        .collect();
    if let Ok(header) = Header::new(name, value.trim_ascii()) {
        headers.push(header);
    }
}

pub(super) fn version(text: &str) -> Option<Version> {
    Some(match text.to_ascii_lowercase().as_str() {
        "http/1.0" => Version::Http10,
        "http/1.1" => Version::Http11,
        "h2" | "http/2" | "http/2.0" => Version::Http2,
        _ => return None,
    })
}

fn shortened(text: &str) -> String {
    text.chars().take(80).collect()
}
