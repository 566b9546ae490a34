//! Answers of a stand-in: what a request gets of a recorded answer, out of one stored body or many.
//! Pure; the bodies are opened when their octets are sent.

use std::ops::Range;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use consoletap_flow::{Digest, Headers};

use super::{Coverage, LocalAnswer, LocalBody, Part, Representation, Selected, respond, select};
use crate::headers;
use crate::origin::{Origin, StandIn, StoredBody};

/// A body out of stored ones.
pub(crate) struct Pieces {
    pub(crate) origin: Arc<dyn Origin>,
    pub(crate) pieces: Vec<Piece>,
    /// How long the whole of it is, with what is missing.
    pub(crate) length: u64,
    /// What is not there behind the last piece, in words.
    pub(crate) missing: Option<String>,
}

/// A part of such a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    /// What stands between parts.
    Octets(Bytes),
    /// A part of a stored body.
    Stored { body: Digest, range: Range<u64> },
}

impl std::fmt::Debug for Pieces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pieces").field("pieces", &self.pieces).finish_non_exhaustive()
    }
}

impl Piece {
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Octets(octets) => octets.len() as u64,
            Self::Stored { range, .. } => range.end - range.start,
        }
    }
}

/// What was asked for is not there; in words.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NotThere(pub(crate) String);

/// What a request gets of a recorded answer. `notes` gets what the row should say.
pub(crate) fn answer(
    stored: StandIn,
    origin: &Arc<dyn Origin>,
    method: &str,
    asked: &Headers,
    notes: &mut Vec<String>,
) -> Result<LocalAnswer, NotThere> {
    let StandIn { head, body, selects, .. } = stored;
    let mut fields = head.headers;
    headers::strip_hop_by_hop(&mut fields);
    let announced = fields.text("content-length").map(str::to_owned);
    fields.remove("content-length");
    fields.remove("trailer");
    let selects = selects && head.status == 200;
    let length = match &body {
        StoredBody::None => announced.as_deref().and_then(|said| said.trim().parse().ok()),
        StoredBody::Octets(octets) => Some(octets.len() as u64),
        StoredBody::Stored(coverage) => Some(coverage.total()),
    };
    let mut local = if let (true, Some(length)) = (selects, length) {
        let etag = fields.text("etag").map(str::to_owned);
        let modified = fields.text("last-modified").map(str::trim);
        let modified = modified.and_then(|date| httpdate::parse_http_date(date).ok());
        let of = Representation { length, etag: etag.as_deref(), modified };
        let mut selected = select(method, asked, &of, SystemTime::now());
        if let (Selected::Parts(parts), StoredBody::Stored(coverage)) = (&mut selected, &body) {
            shorten(parts, coverage, notes)?;
        }
        let source = match selected {
            Selected::Whole if method != "HEAD" => Some(whole(&body, origin)?),
            _ => None,
        };
        let media_type = fields.text("content-type").unwrap_or_default().to_owned();
        respond(selected, &of, &media_type, fields, method, |parts| match (parts, source) {
            (None, Some(source)) => source,
            // For HEAD the length is all that is used.
            (None, None) => LocalBody::Pieces(nothing(origin, length)),
            (Some(parts), _) => parts_of(&body, origin, parts),
        })
    } else if method == "HEAD" || matches!(body, StoredBody::None) {
        let mut local = LocalAnswer::new(head.status, fields, LocalBody::None, true);
        local.head.headers.remove("content-length");
        let announced = announced.or_else(|| length.map(|length| length.to_string()));
        if let Some(length) = announced.filter(|_| !matches!(head.status, 204 | 304)) {
            headers::push(&mut local.head.headers, "Content-Length", &length);
        }
        local
    } else if matches!(head.status, 204 | 304) {
        LocalAnswer::new(head.status, fields, LocalBody::None, true)
    } else {
        LocalAnswer::new(head.status, fields, whole(&body, origin)?, false)
    };
    if local.head.status == head.status {
        local.head.reason = head.reason;
    }
    if let LocalBody::Pieces(Pieces { missing: Some(missing), .. }) = &local.body {
        notes.push(missing.clone());
    }
    Ok(local)
}

/// Makes parts end where what is there ends: a server may send less of a range than was asked for
/// (RFC 9110 15.3.7).
fn shorten(
    parts: &mut Vec<Range<u64>>,
    coverage: &Coverage,
    notes: &mut Vec<String>,
) -> Result<(), NotThere> {
    let mut missing = Vec::new();
    parts.retain_mut(|part| {
        let (pieces, gaps) = coverage.pieces(part.clone());
        let there: u64 = pieces.iter().map(Piece::len).sum();
        missing.extend(gaps);
        part.end = part.start + there;
        there > 0
    });
    if missing.is_empty() {
        return Ok(());
    }
    let what = not_kept(&missing, coverage.total());
    if parts.is_empty() {
        return Err(NotThere(what));
    }
    notes.push(what);
    Ok(())
}

fn whole(body: &StoredBody, origin: &Arc<dyn Origin>) -> Result<LocalBody, NotThere> {
    let coverage = match body {
        StoredBody::None => return Ok(LocalBody::None),
        StoredBody::Octets(octets) => return Ok(LocalBody::Octets(octets.clone())),
        StoredBody::Stored(coverage) => coverage,
    };
    let length = coverage.total();
    let (pieces, missing) = coverage.pieces(0..length);
    let missing = (!missing.is_empty()).then(|| not_kept(&missing, length));
    match missing {
        Some(missing) if pieces.is_empty() => Err(NotThere(missing)),
        missing => {
            Ok(LocalBody::Pieces(Pieces { origin: Arc::clone(origin), pieces, length, missing }))
        }
    }
}

fn nothing(origin: &Arc<dyn Origin>, length: u64) -> Pieces {
    Pieces { origin: Arc::clone(origin), pieces: Vec::new(), length, missing: None }
}

/// These parts, all of which are there.
fn parts_of(body: &StoredBody, origin: &Arc<dyn Origin>, parts: Vec<Part>) -> LocalBody {
    let pieces: Vec<Piece> = parts
        .into_iter()
        .flat_map(|part| match (part, body) {
            (Part::Octets(octets), _) => vec![Piece::Octets(octets)],
            (Part::Slice(range), StoredBody::Stored(coverage)) => coverage.pieces(range).0,
            (Part::Slice(range), StoredBody::Octets(octets)) => {
                let [start, end] = [range.start, range.end].map(usize::try_from);
                let within = start.ok().zip(end.ok()).filter(|&(_, end)| end <= octets.len());
                within
                    .map(|(start, end)| Piece::Octets(octets.slice(start..end)))
                    .into_iter()
                    .collect()
            }
            (Part::Slice(_), StoredBody::None) => Vec::new(),
        })
        .collect();
    let length = pieces.iter().map(Piece::len).sum();
    LocalBody::Pieces(Pieces { origin: Arc::clone(origin), pieces, length, missing: None })
}

/// So many gaps are named.
const NAMED: usize = 4;

/// What the session does not have of a file, for a person.
fn not_kept(missing: &[Range<u64>], total: u64) -> String {
    let named: Vec<String> = missing
        .iter()
        .take(NAMED)
        .map(|gap| format!("{}-{}", gap.start, gap.end.saturating_sub(1)))
        .collect();
    let more = missing.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more gaps") } else { String::new() };
    format!("the session has no bytes {}{more} of these {total}", named.join(", "))
}

#[cfg(test)]
mod tests {
    use std::io;

    use consoletap_flow::{Authority, Header, ResponseHead, Version};

    use super::*;
    use crate::origin::{Answering, Asked, ForTunnel, OpenBody, Reply};

    struct Nobody;

    impl Origin for Nobody {
        fn body_wanted(&self) -> usize {
            0
        }
        fn answer<'a>(&'a self, _: Asked<'a>) -> Answering<'a> {
            Box::pin(async { Reply::Forward })
        }
        fn tunnel(&self, _: &Authority) -> ForTunnel {
            ForTunnel::Live
        }
        fn may_dial(&self, _: &Authority) -> bool {
            false
        }
        fn open_body(&self, _: &Digest) -> io::Result<OpenBody> {
            Err(io::ErrorKind::NotFound.into())
        }
    }

    fn file(total: u64, slices: &[(u64, u64)]) -> StandIn {
        let mut coverage = Coverage::new(total);
        for (name, (begin, length)) in slices.iter().enumerate() {
            coverage.add(*begin, *length, Digest::sha256([name as u8; 32]));
        }
        let headers = [("ETag", "\"v1\""), ("Content-Length", "7"), ("Connection", "close")]
            .map(|(name, value)| Header::new(name, value).unwrap());
        StandIn {
            head: ResponseHead {
                status: 200,
                reason: "Fine".into(),
                version: Version::Http11,
                headers: headers.into_iter().collect(),
            },
            body: StoredBody::Stored(Arc::new(coverage)),
            selects: true,
            missing: 504,
            wait: Default::default(),
            receive: Default::default(),
            notes: Vec::new(),
        }
    }

    /// Status, content range, length of what is there, and notes.
    fn got(stored: StandIn, method: &str, field: Option<(&'static str, &'static str)>) -> String {
        let origin: Arc<dyn Origin> = Arc::new(Nobody);
        let asked: Headers =
            field.into_iter().map(|(name, value)| Header::new(name, value).unwrap()).collect();
        let mut notes = Vec::new();
        match answer(stored, &origin, method, &asked, &mut notes) {
            Err(NotThere(why)) => format!("not there: {why}"),
            Ok(LocalAnswer { head, body }) => {
                let range = head.headers.text("content-range").unwrap_or("-");
                let length = head.headers.text("content-length").unwrap_or("-");
                let there: u64 = match &body {
                    LocalBody::Pieces(pieces) => pieces.pieces.iter().map(Piece::len).sum(),
                    body => body.len(),
                };
                assert!(!head.headers.contains("connection"));
                format!("{} {} {range} {length} {there} {notes:?}", head.status, head.reason)
            }
        }
    }

    #[test]
    fn a_request_gets_what_is_there_and_is_told_what_is_not() {
        let whole = || file(100, &[(0, 60), (50, 50)]);
        let part = || file(100, &[(0, 60)]);
        let tail = || file(100, &[(60, 40)]);
        assert_eq!(got(whole(), "GET", None), "200 Fine - 100 100 []");
        assert_eq!(got(whole(), "HEAD", None), "200 Fine - 100 0 []");
        let range = |value| Some(("Range", value));
        assert_eq!(
            got(whole(), "GET", range("bytes=55-64")),
            "206 Partial Content bytes 55-64/100 10 10 []"
        );
        assert_eq!(
            got(part(), "GET", None),
            "200 Fine - 100 60 [\"the session has no bytes 60-99 of these 100\"]"
        );
        assert_eq!(
            got(part(), "GET", range("bytes=50-69")),
            "206 Partial Content bytes 50-59/100 10 10 \
             [\"the session has no bytes 60-69 of these 100\"]"
        );
        assert_eq!(
            got(part(), "GET", range("bytes=70-")),
            "not there: the session has no bytes 70-99 of these 100"
        );
        assert_eq!(
            got(tail(), "GET", None),
            "not there: the session has no bytes 0-59 of these 100"
        );
        assert_eq!(
            got(tail(), "GET", range("bytes=-40")),
            "206 Partial Content bytes 60-99/100 40 40 []"
        );
        assert!(got(whole(), "GET", range("bytes=100-")).starts_with("416 "));
        assert!(got(whole(), "GET", Some(("If-None-Match", "\"v1\""))).starts_with("304 "));
        assert!(got(whole(), "GET", Some(("If-Match", "\"v2\""))).starts_with("412 "));
    }
}
