//! What rules do.

mod header;
mod here;
mod remote;
mod rewrite;
mod traffic;

use crate::amount::Time;
pub(crate) use header::{HeaderEdit, Message, check_name};
pub(crate) use here::{AnswerRule, BlockRule, Body, FileRule, Files, Missing};
pub use here::{Block, FromHere, Here, LocalFile};
pub(crate) use remote::RemoteRule;
pub(crate) use rewrite::{Replace, Rewrite, json_value};
pub use traffic::{Fault, Store, Throttle, Tls};

/// The action of a rule.
#[derive(Debug, Clone)]
pub(crate) enum Action {
    /// Say no.
    Block(BlockRule),
    /// Answer with what the rule says.
    Answer(AnswerRule),
    /// Answer with a file.
    MapLocal(FileRule),
    /// Ask somebody else.
    MapRemote(RemoteRule),
    /// Set, remove or rename fields of heads.
    Header(HeaderEdit),
    /// Change the body of the answer.
    Rewrite(Rewrite),
    /// Change the body of the request.
    RewriteRequest(Rewrite),
    /// Wait first.
    Delay(Time),
    /// Go slowly.
    Throttle(Throttle),
    /// Break the answer.
    Fault(Fault),
    /// What becomes of a tunnel.
    Tls(Tls),
    /// How much of the bodies the session keeps.
    Store(Store),
    /// Words for the row.
    Tag(Vec<String>),
}

/// The kinds of actions. Of the rules of one kind that fit a flow, the first one acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Block,
    Answer,
    MapLocal,
    MapRemote,
    SetHeader,
    RemoveHeader,
    RenameHeader,
    Rewrite,
    RewriteRequest,
    Delay,
    Throttle,
    Fault,
    Tls,
    Store,
    Tag,
}

impl Kind {
    /// The key of the rule file.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::Answer => "answer",
            Self::MapLocal => "map-local",
            Self::MapRemote => "map-remote",
            Self::SetHeader => "set-header",
            Self::RemoveHeader => "remove-header",
            Self::RenameHeader => "rename-header",
            Self::Rewrite => "rewrite",
            Self::RewriteRequest => "rewrite-request",
            Self::Delay => "delay",
            Self::Throttle => "throttle",
            Self::Fault => "fault",
            Self::Tls => "tls",
            Self::Store => "store",
            Self::Tag => "tag",
        }
    }

    pub(crate) const ALL: [Self; 15] = [
        Self::Block,
        Self::Answer,
        Self::MapLocal,
        Self::MapRemote,
        Self::SetHeader,
        Self::RemoveHeader,
        Self::RenameHeader,
        Self::Rewrite,
        Self::RewriteRequest,
        Self::Delay,
        Self::Throttle,
        Self::Fault,
        Self::Tls,
        Self::Store,
        Self::Tag,
    ];
}

impl Action {
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Block(_) => Kind::Block,
            Self::Answer(_) => Kind::Answer,
            Self::MapLocal(_) => Kind::MapLocal,
            Self::MapRemote(_) => Kind::MapRemote,
            Self::Header(edit) => edit.kind(),
            Self::Rewrite(_) => Kind::Rewrite,
            Self::RewriteRequest(_) => Kind::RewriteRequest,
            Self::Delay(_) => Kind::Delay,
            Self::Throttle(_) => Kind::Throttle,
            Self::Fault(_) => Kind::Fault,
            Self::Tls(_) => Kind::Tls,
            Self::Store(_) => Kind::Store,
            Self::Tag(_) => Kind::Tag,
        }
    }

    /// In plain words, for `explain`.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Block(block) => block.describe(),
            Self::Answer(answer) => answer.describe(),
            Self::MapLocal(files) => files.describe(),
            Self::MapRemote(remote) => remote.describe(),
            Self::Header(edit) => edit.describe(),
            Self::Rewrite(rewrite) => rewrite.describe(),
            Self::RewriteRequest(rewrite) => format!("in the request, {}", rewrite.describe()),
            Self::Delay(time) => format!("wait {time} before the request goes on"),
            Self::Throttle(throttle) => throttle.describe(),
            Self::Fault(fault) => fault.describe(),
            Self::Tls(Tls::Tunnel) => "pass the tunnel on unopened".to_owned(),
            Self::Tls(Tls::Intercept) => "open the tunnel with our certificate".to_owned(),
            Self::Store(store) => store.describe(),
            Self::Tag(tags) => format!("tag the row {}", tags.join(", ")),
        }
    }
}
