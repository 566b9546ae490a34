//! Answers and requests that a rule must change: the body is held, changed, and its head made true
//! again.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use consoletap_content::End;
use consoletap_flow::{Header, Headers, RequestHead, RuleHit};
use consoletap_rules::{Acted, Context, Decision};

use crate::headers;
use crate::http1::{BodyError, Frame};
use crate::serve::{self, LocalAnswer, LocalBody, Part, Representation, Selected};
use crate::server::ServerBody;

/// Fields of a request with which a server could answer something that is no whole body
/// (RFC 9110 13.1, 14.2).
const CONDITIONS: [&str; 7] = [
    "range",
    "if-range",
    "if-match",
    "if-none-match",
    "if-modified-since",
    "if-unmodified-since",
    "a-im",
];

/// Fields of an answer that describe octets which are not sent any more.
const DESCRIPTIONS: [&str; 10] = [
    "content-encoding",
    "content-length",
    "transfer-encoding",
    "etag",
    "content-md5",
    "digest",
    "content-digest",
    "repr-digest",
    "accept-ranges",
    "trailer",
];

/// Asks for a whole, uncoded body.
pub(crate) fn ask_for_all(fields: &mut Headers) {
    fields.retain(|field| !CONDITIONS.iter().any(|name| field.is(name)));
    if let Ok(identity) = Header::new("Accept-Encoding", "identity") {
        fields.set(identity);
    }
}

/// A body that was held.
pub(crate) enum Held {
    /// All of it, with its trailers.
    Whole(Vec<u8>, Option<Headers>),
    /// It is larger than may be held: its beginning; the rest is still to come.
    TooLarge(Vec<u8>),
}

/// Reads a body up to `cap` octets, each part within `idle`.
pub(crate) async fn hold(
    body: &mut ServerBody<'_>,
    cap: usize,
    idle: Duration,
) -> Result<Held, BodyError> {
    let mut held = Vec::new();
    let mut trailers = None;
    if body.expected().is_some_and(|length| length > cap as u64) {
        return Ok(Held::TooLarge(held));
    }
    loop {
        let next = tokio::time::timeout(idle, body.next()).await;
        match next.map_err(|_| BodyError::Idle(idle.as_secs()))?? {
            Some(Frame::Data(octets)) => held.extend_from_slice(&octets),
            Some(Frame::Trailers(mut fields)) => {
                headers::clean_trailers(&mut fields);
                trailers = Some(fields);
            }
            None => return Ok(Held::Whole(held, trailers)),
        }
        if held.len() > cap {
            return Ok(Held::TooLarge(held));
        }
    }
}

/// What became of a held body.
pub(crate) struct Changed {
    /// The octets to send.
    pub(crate) body: Vec<u8>,
    /// Whether they are others than the server's.
    pub(crate) changed: bool,
    pub(crate) hits: Vec<RuleHit>,
    pub(crate) notes: Vec<String>,
}

/// Applies the rules to a held body; makes `fields` say what is true of the result.
pub(crate) fn apply(
    decision: &Decision<'_>,
    context: &Context<'_>,
    fields: &mut Headers,
    held: Vec<u8>,
    cap: usize,
) -> Changed {
    let plain = match decode(fields, &held, cap) {
        Ok(plain) => plain,
        Err(note) => {
            return Changed { body: held, changed: false, hits: Vec::new(), notes: vec![note] };
        }
    };
    let rewritten = decision.rewrite(plain.as_deref().unwrap_or(&held), context);
    let Some(body) = rewritten.body else {
        return Changed {
            body: held,
            changed: false,
            hits: rewritten.hits,
            notes: rewritten.notes,
        };
    };
    forget_what_was(fields);
    headers::push(fields, "Content-Length", &body.len().to_string());
    headers::push(fields, "ETag", &etag(&body));
    headers::push(fields, "Accept-Ranges", "bytes");
    Changed { body, changed: true, hits: rewritten.hits, notes: rewritten.notes }
}

/// What became of the body of a request.
pub(crate) struct ChangedRequest {
    /// The octets for the server, where they are others than the client's.
    pub(crate) body: Option<Vec<u8>>,
    pub(crate) acted: Acted,
}

/// Applies the rules to the whole body of a request.
pub(crate) fn apply_to_request(
    decision: &Decision<'_>,
    context: &Context<'_>,
    fields: &Headers,
    held: &[u8],
    cap: usize,
) -> ChangedRequest {
    match decode(fields, held, cap) {
        Ok(plain) => {
            let rewritten = decision.rewrite_request(plain.as_deref().unwrap_or(held), context);
            let acted = Acted { hits: rewritten.hits, notes: rewritten.notes };
            ChangedRequest { body: rewritten.body, acted }
        }
        Err(note) => {
            let acted = Acted { hits: Vec::new(), notes: vec![note] };
            ChangedRequest { body: None, acted }
        }
    }
}

/// Removes what describes the octets that came.
pub(crate) fn forget_what_was(fields: &mut Headers) {
    fields.retain(|field| !DESCRIPTIONS.iter().any(|name| field.is(name)));
}

/// A strong tag for octets that were made here.
fn etag(body: &[u8]) -> String {
    format!("\"{}\"", &blake3::hash(body).to_hex()[..32])
}

/// What a client gets that asked for a part, or has something already; `None` where it is the whole
/// body. The server was not told of it: its answer is about octets that the client never gets.
pub(crate) fn select(
    request: &RequestHead,
    fields: &Headers,
    changed: &Changed,
) -> Option<LocalAnswer> {
    if !CONDITIONS.iter().any(|name| request.headers.contains(name)) {
        return None;
    }
    let modified = fields.text("last-modified").filter(|_| !changed.changed);
    let of = Representation {
        length: changed.body.len() as u64,
        etag: fields.text("etag"),
        modified: modified.and_then(|date| httpdate::parse_http_date(date).ok()),
    };
    let selected = serve::select(&request.method, &request.headers, &of, SystemTime::now());
    if selected == Selected::Whole {
        return None;
    }
    let media_type = fields.text("content-type").unwrap_or("application/octet-stream").to_owned();
    let mut kept = fields.clone();
    kept.retain(|field| !field.is("content-length") && !field.is("trailer"));
    Some(serve::respond(selected, &of, &media_type, kept, &request.method, |parts| {
        let parts = parts.unwrap_or_default();
        let octets = parts.iter().flat_map(|part| match part {
            Part::Octets(octets) => &octets[..],
            Part::Slice(range) => {
                let [start, end] = [range.start, range.end].map(|at| usize::try_from(at).ok());
                start.zip(end).and_then(|(start, end)| changed.body.get(start..end)).unwrap_or(&[])
            }
        });
        LocalBody::Octets(octets.copied().collect())
    }))
}

/// Undoes the content coding, with a bound on what comes out; `None` where there is none. Servers
/// are asked for none, but some send what they have.
fn decode(fields: &Headers, held: &[u8], cap: usize) -> Result<Option<Vec<u8>>, String> {
    let codings: Vec<_> =
        fields.elements("content-encoding").map(String::from_utf8_lossy).collect();
    let codings = codings.join(", ");
    let decoded = consoletap_content::decode(held, &codings, cap).map_err(|_| {
        format!("the body is encoded as {codings}, which no rule can read; passed on unchanged")
    })?;
    match (decoded.octets, decoded.end) {
        (Cow::Borrowed(_), _) => Ok(None),
        (Cow::Owned(plain), End::Whole) => Ok(Some(plain)),
        (_, End::Capped) => {
            Err(format!("the body unpacks to more than {cap} bytes; passed on unchanged"))
        }
        (_, End::Broken) => Err(format!("the body is no whole {codings}; passed on unchanged")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn fields(list: &[(&'static str, &'static str)]) -> Headers {
        list.iter().map(|(name, value)| Header::new(*name, *value).unwrap()).collect()
    }

    #[test]
    fn a_gzip_bomb_is_stopped_at_the_cap() {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(&vec![0; 1 << 20]).unwrap();
        let bomb = encoder.finish().unwrap();
        let gzip = fields(&[("Content-Encoding", "gzip")]);
        assert!(decode(&gzip, &bomb, 1000).unwrap_err().contains("more than 1000 bytes"));
        assert_eq!(decode(&gzip, &bomb, 1 << 20).unwrap().unwrap().len(), 1 << 20);
        assert!(decode(&gzip, b"not gzip", 1000).unwrap_err().contains("no whole gzip"));
    }

    #[test]
    fn conditions_are_withheld_and_identity_is_asked_for() {
        let mut asked = fields(&[
            ("Host", "h"),
            ("Range", "bytes=0-1"),
            ("If-None-Match", "x"),
            ("accept-encoding", "br"),
        ]);
        ask_for_all(&mut asked);
        assert_eq!(asked, fields(&[("Host", "h"), ("accept-encoding", "identity")]));
    }
}
