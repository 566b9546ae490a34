//! What a filter looks at: the facts of a flow that are known so far.

use std::cell::OnceCell;
use std::net::IpAddr;
use std::time::Duration;

use consoletap_flow::{Classification, Flow, Host, Kind, RuleHit, Target};

/// The facts of a flow. An operator whose fact is not known does not match, so a `!` before it
/// does; [`Filter::needs`](crate::Filter::needs) says from when on a filter can be asked.
#[derive(Debug, Clone, Default)]
pub struct Subject<'a> {
    /// The method.
    pub method: Option<&'a str>,
    /// The URL, or host and port of a CONNECT.
    pub target: Option<&'a Target>,
    /// What the catalog says.
    pub classification: Option<&'a Classification>,
    /// The client's address.
    pub client: Option<IpAddr>,
    /// The status of the final answer.
    pub status: Option<u16>,
    /// What the flow turned out to be.
    pub kind: Option<Kind>,
    /// The octets of the answer's body, or those that came through the tunnel.
    pub size: Option<u64>,
    /// How long it took.
    pub duration: Option<Duration>,
    /// The rules that acted on it.
    pub rules: Option<&'a [RuleHit]>,
    /// The target as text, made when it is first asked for.
    url: OnceCell<String>,
    host: OnceCell<String>,
}

impl<'a> Subject<'a> {
    /// What is known when a request has come.
    #[must_use]
    pub fn request(
        method: &'a str,
        target: &'a Target,
        classification: &'a Classification,
        client: IpAddr,
    ) -> Self {
        Self {
            method: Some(method),
            target: Some(target),
            classification: Some(classification),
            client: Some(client.to_canonical()),
            ..Self::default()
        }
    }

    pub(crate) fn url(&self) -> Option<&str> {
        let target = self.target?;
        Some(self.url.get_or_init(|| target.to_string()))
    }

    /// The host; an IPv6 address without brackets.
    pub(crate) fn host(&self) -> Option<&str> {
        match &self.target?.authority().host {
            Host::Name(name) => Some(name),
            Host::V4(ip) => Some(self.host.get_or_init(|| ip.to_string())),
            Host::V6(ip) => Some(self.host.get_or_init(|| ip.to_string())),
        }
    }
}

impl<'a> From<&'a Flow> for Subject<'a> {
    /// Everything that is known of the flow as it stands: of one that goes on, or that a crash
    /// cut off, size and duration are those so far, as its row shows them.
    fn from(flow: &'a Flow) -> Self {
        Self {
            method: flow.request.as_ref().map(|request| request.method.as_str()),
            target: flow.target.as_ref(),
            classification: Some(&flow.classification),
            client: Some(flow.client.address.ip().to_canonical()),
            status: flow.status(),
            kind: Some(flow.kind),
            size: Some(flow.response_bytes),
            duration: Some(flow.latest.since(flow.started)),
            rules: Some(&flow.rules),
            ..Self::default()
        }
    }
}
