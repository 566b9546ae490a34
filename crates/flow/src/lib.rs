//! The vocabulary of consoletap: what a flow is and what can happen to one.
//!
//! Every other crate speaks in these types. This one does no I/O, is not async and reads no
//! clock: stamps and ids come from whoever saw the thing happen.
//!
//! * [`Event`] is one thing that happened; [`Flow`] is the fold of a flow's events.
//! * [`Summary`] is the one-line JSON form whose keys other programs may rely on.

mod address;
mod body;
mod classification;
mod client;
mod event;
mod failure;
mod flow;
mod glob;
mod head;
mod headers;
mod hello;
mod id;
mod platform;
mod record;
mod summary;
mod target;
mod text;
mod time;
mod tls;

pub use body::{BodySummary, Digest, DigestAlgorithm, InvalidDigest, Kept};
pub use classification::{Category, Classification, Details, EntryId, Environment};
pub use client::Client;
pub use event::{DocumentSummary, Effect, Event, Finished, Happening, Opened, RuleHit};
pub use failure::{Failure, Side};
pub use flow::Flow;
pub use glob::{HostGlob, InvalidGlob};
pub use head::{RequestHead, ResponseHead, Text, Version};
pub use headers::{Header, Headers, InvalidHeader};
pub use hello::Hello;
pub use id::{ConnectionId, FlowId};
pub use platform::{Platform, Platforms, UnknownPlatform};
pub use record::{BodyCopy, BodySide, BodyStream, Record, Recorder};
pub use smol_str::SmolStr;
pub use summary::{Chosen, HelloSummary, Kind, Offered, State, Summary, TlsSummary};
pub use target::{Authority, Host, InvalidAuthority, Scheme, Target, Url};
pub use time::{Timestamp, Timings};
pub use tls::{
    CertificateFacts, ClientHelloFacts, Resumption, ServerHelloFacts, TlsAction, Verdict,
    group_name, signature_name, suite_name, version_name,
};
