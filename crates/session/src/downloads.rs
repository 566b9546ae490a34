//! Downloads: the hundreds of range requests for one file, put together. What is covered of it, how
//! fast it came, and whether it is what the manifest says that was seen in the same session.

use std::collections::HashMap;
use std::ops::Range;
use std::time::Duration;

use consoletap_flow::{BodySide, Flow, FlowId, Headers, Kept, Kind, Target, Timestamp};

use crate::manifest::{self, Expected};
use crate::ranges::Ranges;
use crate::{ReadProblem, Session};

/// One file on its way to a console, over any number of requests.
#[derive(Debug, Clone)]
pub struct Download {
    /// Its number in the session, from 1, by its first request.
    pub number: usize,
    /// Its address: without the query where the file is known to be the same with any.
    pub url: String,
    /// Its size, where a server said it.
    pub total: Option<u64>,
    /// The validators of what was served: `ETag` and `Last-Modified`.
    pub etag: Option<String>,
    /// See [`Self::etag`].
    pub modified: Option<String>,
    /// The requests, in the order they began.
    pub slices: Vec<Slice>,
    /// What the manifest says it hashes to, where one was seen.
    pub expected: Option<Expected>,
    covered: Ranges,
}

/// One request of a download.
#[derive(Debug, Clone)]
pub struct Slice {
    /// Its flow.
    pub flow: FlowId,
    /// Where in the file its first octet belongs.
    pub start: u64,
    /// How many octets the client got.
    pub bytes: u64,
    /// What the session holds of them; a part file where the flow has no end.
    pub(crate) kept: Piece,
    began: Timestamp,
    ended: Timestamp,
}

/// Where the octets of a slice lie.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Piece {
    Nothing,
    Body(consoletap_flow::Digest, u64),
    Part(u64),
}

impl Piece {
    pub(crate) fn bytes(self) -> u64 {
        match self {
            Self::Nothing => 0,
            Self::Body(_, bytes) | Self::Part(bytes) => bytes,
        }
    }
}

impl Download {
    /// How many octets of the file the client has, each counted once.
    #[must_use]
    pub fn covered(&self) -> u64 {
        self.covered.octets()
    }

    /// Whether the client has all of it.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.total.is_some_and(|total| self.covered() >= total)
    }

    /// What the client does not have, as ranges of octets; nothing where the size is not known.
    #[must_use]
    pub fn missing(&self) -> Vec<Range<u64>> {
        self.total.map(|total| self.covered.missing(total)).unwrap_or_default()
    }

    /// What of it is not in the session, though the client may have it.
    #[must_use]
    pub fn not_kept(&self) -> Vec<Range<u64>> {
        let mut kept = Ranges::default();
        for slice in &self.slices {
            kept.add(slice.start..slice.start + slice.kept.bytes());
        }
        kept.missing(self.total.unwrap_or_else(|| self.end()))
    }

    /// Octets that went over the wire, repeated ones again.
    #[must_use]
    pub fn transferred(&self) -> u64 {
        self.slices.iter().map(|slice| slice.bytes).sum()
    }

    /// For how long at least one of its requests was under way.
    #[must_use]
    pub fn active(&self) -> Duration {
        let mut times = Ranges::default();
        for slice in &self.slices {
            let micros = |at: Timestamp| u64::try_from(at.0).unwrap_or(0);
            times.add(micros(slice.began)..micros(slice.ended));
        }
        Duration::from_micros(times.octets())
    }

    /// Octets a second while it was under way; `None` where it took no time.
    #[must_use]
    pub fn rate(&self) -> Option<u64> {
        let seconds = self.active().as_secs_f64();
        // A rate is rounded anyway.
        (seconds > 0.0).then(|| (self.transferred() as f64 / seconds) as u64)
    }

    /// The name of the file, from its address.
    #[must_use]
    pub fn file_name(&self) -> &str {
        let path = self.url.split(['?', '#']).next().unwrap_or_default();
        let name = path.rsplit('/').next().unwrap_or_default();
        if name.is_empty() || path.ends_with("//") { "download" } else { name }
    }

    /// Behind its last known octet.
    fn end(&self) -> u64 {
        self.covered.iter().last().map_or(0, |last| last.end)
    }

    fn agrees(&self, seen: &Seen) -> bool {
        fn same<T: PartialEq>(one: Option<&T>, other: Option<&T>) -> bool {
            one.is_none() || other.is_none() || one == other
        }
        same(self.total.as_ref(), seen.total.as_ref())
            && same(self.etag.as_ref(), seen.etag.as_ref())
            && same(self.modified.as_ref(), seen.modified.as_ref())
    }
}

/// What one answer tells of a file.
struct Seen {
    url: String,
    start: u64,
    total: Option<u64>,
    etag: Option<String>,
    modified: Option<String>,
}

impl Seen {
    /// A slice of any file, or a whole one that is known to be a download.
    fn of(flow: &Flow, is_download: bool) -> Option<Self> {
        let (request, response) = (flow.request.as_ref()?, flow.response.as_ref()?);
        let Some(Target::Url(url)) = &flow.target else { return None };
        if flow.kind != Kind::Http || request.method != "GET" {
            return None;
        }
        let headers = &response.headers;
        let (start, total) = match response.status {
            206 => content_range(headers)?,
            200 if is_download => (0, length(headers, flow)),
            _ => return None,
        };
        let mut url = url.to_string();
        if is_download && let Some(query) = url.find('?') {
            url.truncate(query);
        }
        let text = |name| headers.text(name).map(ToOwned::to_owned);
        Some(Self { url, start, total, etag: text("etag"), modified: text("last-modified") })
    }
}

/// The length of a whole file: as it is said, or as it came.
fn length(headers: &Headers, flow: &Flow) -> Option<u64> {
    let said = headers.text("content-length").and_then(|length| length.trim().parse().ok());
    let complete = flow.state() == consoletap_flow::State::Complete;
    said.or_else(|| complete.then_some(flow.response_bytes))
}

/// Where a slice begins, and how long the file is: `bytes 0-99/1234` (RFC 9110 14.4).
fn content_range(headers: &Headers) -> Option<(u64, Option<u64>)> {
    let (span, total) =
        headers.text("content-range")?.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = span.split_once('-')?;
    let (first, last): (u64, u64) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    let total = total.trim().parse().ok();
    (first <= last && total.is_none_or(|total: u64| last < total)).then_some((first, total))
}

impl Session {
    /// The downloads of a session, in the order they began, and what could not be read.
    /// `is_download` says of a flow whether it is known to be one, whatever its query says.
    #[must_use]
    pub fn downloads(
        &self,
        is_download: impl Fn(&Flow) -> bool,
    ) -> (Vec<Download>, Vec<ReadProblem>) {
        let mut downloads: Vec<Download> = Vec::new();
        let mut by_url: HashMap<String, Vec<usize>> = HashMap::new();
        let mut expected = HashMap::new();
        let mut problems = Vec::new();
        for flow in self.flows() {
            let flow = match flow {
                Ok(flow) => flow,
                Err(problem) => {
                    problems.push(problem);
                    continue;
                }
            };
            expected.extend(manifest::read(self, &flow));
            let Some(seen) = Seen::of(&flow, is_download(&flow)) else { continue };
            let same = by_url.entry(seen.url.clone()).or_default();
            let known = same.iter().copied().find(|&index| downloads[index].agrees(&seen));
            let index = known.unwrap_or_else(|| {
                same.push(downloads.len());
                downloads.push(Download {
                    number: downloads.len() + 1,
                    url: seen.url.clone(),
                    total: None,
                    etag: None,
                    modified: None,
                    slices: Vec::new(),
                    expected: None,
                    covered: Ranges::default(),
                });
                downloads.len() - 1
            });
            downloads[index].take(seen, &flow, self.piece(&flow));
        }
        for download in &mut downloads {
            download.expected = expected.get(manifest::without_query(&download.url)).cloned();
        }
        (downloads, problems)
    }

    /// Where the octets of an answer lie.
    pub(crate) fn piece(&self, flow: &Flow) -> Piece {
        let Some(end) = &flow.finished else {
            let part = self.part_of_body(flow.id, BodySide::Response);
            let bytes = part.and_then(|part| Some(part.metadata().ok()?.len()));
            return bytes.map_or(Piece::Nothing, Piece::Part);
        };
        let body = end.response_body;
        match (body.kept, body.digest) {
            (Kept::Whole, Some(digest)) => Piece::Body(digest, body.bytes),
            (Kept::Prefix { bytes, digest }, _) => Piece::Body(digest, bytes),
            _ => Piece::Nothing,
        }
    }
}

impl Slice {
    /// The answer of one flow, as if it were a file.
    pub(crate) fn whole(flow: &Flow, kept: Piece) -> Self {
        let (began, ended) = (flow.started, flow.latest);
        Self { flow: flow.id, start: 0, bytes: flow.response_bytes, kept, began, ended }
    }
}

impl Download {
    fn take(&mut self, seen: Seen, flow: &Flow, kept: Piece) {
        self.total = self.total.or(seen.total);
        self.etag = self.etag.take().or(seen.etag);
        self.modified = self.modified.take().or(seen.modified);
        // What a flow without an end got was told once a second; what is kept is surely there.
        let bytes = flow.response_bytes.max(kept.bytes());
        self.covered.add(seen.start..seen.start.saturating_add(bytes));
        self.slices.push(Slice { start: seen.start, bytes, ..Slice::whole(flow, kept) });
    }
}
