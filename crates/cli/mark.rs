//! The marks at the end of a line: what was done about the flow, and what went wrong.

use consoletap_flow::{Effect, Flow, Kind, Scheme, State, Target};

use crate::escape::Charset;
use crate::look::{Ink, Look};

/// What the marks mean, in both charsets.
pub(crate) fn legend() -> String {
    let unicode = Look { charset: Charset::Unicode, ..Look::PLAIN };
    let row = |(mark, meaning): (Mark, &str)| {
        format!("\n  {} or {}  {meaning}", mark.sign(&unicode), mark.sign(&Look::PLAIN))
    };
    format!("Marks at the end of a line:{}", Mark::LEGEND.map(row).concat())
}

/// A sign at the end of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    Tunnel,
    Intercepted,
    Websocket,
    Blocked,
    Rewritten,
    Mapped,
    Aborted,
    Failed,
}

impl Mark {
    /// Every mark with what it means.
    const LEGEND: [(Self, &'static str); 8] = [
        (Self::Tunnel, "tunnel: passed on unopened"),
        (Self::Intercepted, "intercepted: opened with our certificate"),
        (Self::Websocket, "WebSocket"),
        (Self::Blocked, "blocked by a rule"),
        (Self::Rewritten, "rewritten by a rule"),
        (Self::Mapped, "answered from here"),
        (Self::Aborted, "the console went away before the end"),
        (Self::Failed, "failed"),
    ];

    pub(crate) fn sign(self, look: &Look) -> &'static str {
        let (unicode, ascii) = match self {
            Self::Tunnel => ("⇄", "T"),
            Self::Intercepted => ("🔒", "I"),
            Self::Websocket => ("⇅", "W"),
            Self::Blocked => ("✂", "B"),
            Self::Rewritten => ("✎", "R"),
            Self::Mapped => ("⤷", "M"),
            Self::Aborted => ("×", "x"),
            Self::Failed => ("!", "!"),
        };
        look.pick(unicode, ascii)
    }

    /// Columns; an emoji takes two.
    pub(crate) fn width(self, look: &Look) -> usize {
        match (self, look.charset) {
            (Self::Intercepted, Charset::Unicode) => 2,
            _ => 1,
        }
    }

    pub(crate) fn ink(self) -> Ink {
        match self {
            Self::Failed | Self::Blocked => Ink::Bad,
            Self::Aborted | Self::Tunnel | Self::Websocket => Ink::Dim,
            Self::Intercepted | Self::Rewritten | Self::Mapped => Ink::Notice,
        }
    }

    pub(crate) fn of_effect(effect: Effect) -> Option<Self> {
        match effect {
            Effect::Blocked => Some(Self::Blocked),
            Effect::Rewritten => Some(Self::Rewritten),
            Effect::Mapped => Some(Self::Mapped),
            Effect::Noted => None,
        }
    }
}

/// The marks of a flow, in their order.
pub(crate) fn marks(flow: &Flow) -> Vec<Mark> {
    let https = matches!(&flow.target, Some(Target::Url(url)) if url.scheme == Scheme::Https);
    let opened = flow.intercepted || (flow.tunnel.is_some() && https);
    let mut marks = Vec::new();
    match flow.kind {
        _ if opened => marks.push(Mark::Intercepted),
        Kind::Tunnel => marks.push(Mark::Tunnel),
        _ => {}
    }
    if flow.kind == Kind::Websocket {
        marks.push(Mark::Websocket);
    }
    for mark in flow.rules.iter().filter_map(|hit| Mark::of_effect(hit.effect)) {
        if !marks.contains(&mark) {
            marks.push(mark);
        }
    }
    let blocked = marks.contains(&Mark::Blocked);
    match flow.state() {
        _ if flow.kind == Kind::TlsFailure => marks.push(Mark::Failed),
        State::AbortedByClient => marks.push(Mark::Aborted),
        State::UpstreamError | State::Truncated => marks.push(Mark::Failed),
        State::Refused if !blocked => marks.push(Mark::Failed),
        _ => {}
    }
    marks
}
