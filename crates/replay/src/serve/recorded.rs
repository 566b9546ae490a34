//! One recorded exchange that can be answered from, without its bodies.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use consoletap_flow::{
    BodySummary, Digest, Flow, FlowId, Headers, Kept, Kind, RequestHead, ResponseHead, State,
    Target, Url,
};

use crate::serve::near_miss::shown;
use crate::serve::packed::PackedHead;

/// An exchange that can be answered from. Small, since a session may hold a million.
#[derive(Debug)]
pub(crate) struct Recorded {
    /// Its flow in the session.
    pub(crate) flow: FlowId,
    /// What was asked for, for people: without its query, which may hold secrets.
    pub(crate) line: Box<str>,
    /// Whether it was asked with HEAD.
    pub(crate) is_head: bool,
    /// Whether a part was asked for.
    ranged: bool,
    state: State,
    /// The answer.
    response: PackedHead,
    body: BodySummary,
    /// In microseconds.
    wait: u64,
    receive: u64,
    used: AtomicBool,
}

/// What is asked of a recorded exchange before it is one.
pub(crate) struct Exchange {
    pub(crate) url: Url,
    pub(crate) request: RequestHead,
    pub(crate) request_body: BodySummary,
    pub(crate) recorded: Recorded,
}

/// The first octets of a body that are kept: all of it, or a beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KeptBody {
    pub(crate) body: Digest,
    pub(crate) length: u64,
}

impl Exchange {
    /// An exchange from its flow; `None` where no server answered, or not with HTTP.
    pub(crate) fn of(flow: Flow) -> Option<Self> {
        let finished = flow.finished?;
        let answered = matches!(
            finished.state,
            State::Complete | State::Truncated | State::AbortedByClient | State::Unfinished
        );
        let is_http = flow.kind == Kind::Http && answered;
        let Some(Target::Url(url)) = flow.target.filter(|_| is_http) else { return None };
        let (request, response) = (flow.request?, flow.response?);
        if response.status < 200 {
            return None;
        }
        let recorded = Recorded {
            flow: flow.id,
            line: format!("{} {}", request.method, shown(&url)).into(),
            is_head: request.method == "HEAD",
            ranged: request.headers.contains("range"),
            state: finished.state,
            response: PackedHead::of(&response),
            body: finished.response_body,
            wait: finished.timings.wait.unwrap_or(0),
            receive: finished.timings.receive.unwrap_or(0),
            used: AtomicBool::new(false),
        };
        Some(Self { url, request, request_body: finished.request_body, recorded })
    }
}

impl Recorded {
    /// The answer's head.
    pub(crate) fn head(&self) -> ResponseHead {
        self.response.unpack()
    }

    /// Its status.
    pub(crate) fn status(&self) -> u16 {
        self.response.status
    }

    /// What is kept of the answer's body.
    pub(crate) fn kept(&self) -> Option<KeptBody> {
        let BodySummary { bytes, digest, kept } = self.body;
        match kept {
            Kept::Whole => Some(KeptBody { body: digest?, length: bytes }),
            Kept::Prefix { bytes, digest } => Some(KeptBody { body: digest, length: bytes }),
            Kept::Nothing | Kept::Lost => None,
        }
    }

    /// The hash of the whole body, where it is known.
    pub(crate) fn digest(&self) -> Option<Digest> {
        self.body.digest
    }

    /// How long the whole body is: what came where all of it did, else what was announced.
    pub(crate) fn length(&self) -> u64 {
        if self.state == State::Complete {
            return self.body.bytes;
        }
        let head = self.head();
        let announced = head.headers.text("content-length");
        let announced = announced.and_then(|length| length.trim().parse().ok());
        announced.unwrap_or(self.body.bytes)
    }

    /// Whether it has no body by its nature (RFC 9110 6.4.1).
    pub(crate) fn is_bodiless(&self) -> bool {
        self.is_head || matches!(self.response.status, 204 | 304)
    }

    /// Whether it stands for the whole of a file, so that a part can be selected from it. A server
    /// that was asked for a part and sent all of it selects none.
    pub(crate) fn selects(&self) -> bool {
        self.response.status == 200 && !self.ranged
    }

    /// The part of a file that the answer holds; `None` where it is no whole file and no slice.
    pub(crate) fn slice(&self) -> Option<Slice> {
        match self.response.status {
            _ if self.is_head => None,
            200 => {
                let total = self.length();
                Some(Slice { range: 0..total, total })
            }
            206 => content_range(&self.head().headers),
            _ => None,
        }
    }

    /// What tells one version of a file from another (RFC 9110 8.8).
    pub(crate) fn validator(&self) -> Option<String> {
        let headers = self.head().headers;
        headers.text("etag").or_else(|| headers.text("last-modified")).map(str::to_owned)
    }

    /// How long the server took to answer.
    pub(crate) fn wait(&self) -> Duration {
        Duration::from_micros(self.wait)
    }

    /// How long the body took.
    pub(crate) fn receive(&self) -> Duration {
        Duration::from_micros(self.receive)
    }

    /// It was answered from.
    pub(crate) fn use_it(&self) {
        self.used.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_used(&self) -> bool {
        self.used.load(Ordering::Relaxed)
    }
}

/// A part of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Slice {
    pub(crate) range: Range<u64>,
    /// The length of the whole file.
    pub(crate) total: u64,
}

/// `bytes 0-99/1000` (RFC 9110 14.4). Without the length of the whole it is of no use here.
fn content_range(headers: &Headers) -> Option<Slice> {
    let text = headers.text("content-range")?.trim();
    let text = text.strip_prefix("bytes").or_else(|| text.strip_prefix("Bytes"))?.trim_start();
    let (range, total) = text.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let number = |text: &str| {
        let text = text.trim();
        text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u64>().ok())?
    };
    let (first, last, total) = (number(first)?, number(last)?, number(total)?);
    (first <= last && last < total).then(|| Slice { range: first..last + 1, total })
}

#[cfg(test)]
mod tests {
    use consoletap_flow::Header;

    use super::*;

    #[test]
    fn a_content_range_is_read_or_set_aside() {
        let read = |text: &str| {
            let field = Header::new("Content-Range", text).unwrap();
            content_range(&[field].into_iter().collect())
        };
        assert_eq!(read("bytes 0-99/1000"), Some(Slice { range: 0..100, total: 1000 }));
        assert_eq!(
            read("bytes 2739470336-2758344703/107374182400"),
            Some(Slice { range: 2_739_470_336..2_758_344_704, total: 107_374_182_400 })
        );
        for bad in [
            "bytes */1000",
            "bytes 0-99/*",
            "bytes 99-0/1000",
            "bytes 0-1000/1000",
            "bytes +0-9/100",
            "bytes 0-18446744073709551615/18446744073709551615",
            "lines 0-9/10",
            "",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
