//! An answer of the origin, and the ranges of a file.

use std::convert::Infallible;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use hyper::{Response, StatusCode, header};

use crate::content::Content;

/// What a request asks, as far as the answers depend on it.
#[derive(Debug)]
pub(crate) struct Question<'a> {
    pub(crate) method: &'a str,
    pub(crate) host: &'a str,
    pub(crate) path: &'a str,
    pub(crate) query: &'a str,
    pub(crate) agent: &'a str,
    pub(crate) range: Option<&'a str>,
    pub(crate) if_range: Option<&'a str>,
}

impl<'a> Question<'a> {
    pub(crate) fn segments(&self) -> Vec<&'a str> {
        self.path.trim_start_matches('/').split('/').collect()
    }
}

/// Status, headers and the bytes to send.
#[derive(Debug)]
pub(crate) struct Answer {
    status: StatusCode,
    headers: Vec<(&'static str, String)>,
    content: Content,
    range: Range<u64>,
    text: Option<Bytes>,
    /// Sent before the request body is read, as the upload test demands.
    pub(crate) at_once: bool,
}

/// When every file of the simulated internet was last modified.
const LAST_MODIFIED: &str = "Wed, 28 May 2014 00:00:00 GMT";

impl Answer {
    pub(crate) fn text(content_type: &str, text: impl Into<Bytes>) -> Self {
        Self::status(StatusCode::OK, content_type, text)
    }

    pub(crate) fn status(status: StatusCode, content_type: &str, text: impl Into<Bytes>) -> Self {
        Self {
            status,
            headers: vec![("content-type", content_type.to_owned())],
            content: Content::zeros(0),
            range: 0..0,
            text: Some(text.into()),
            at_once: false,
        }
    }

    pub(crate) fn not_found(explanation: &str) -> Self {
        Self::status(StatusCode::NOT_FOUND, "text/plain", explanation.to_owned())
    }

    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    pub(crate) fn at_once(mut self) -> Self {
        self.at_once = true;
        self
    }

    /// A file: whole, or the part that `Range` asks for (RFC 9110, section 14).
    pub(crate) fn file(question: &Question<'_>, content_type: &str, content: Content) -> Self {
        let etag = content.etag();
        let size = content.size();
        let current = question.if_range.is_none_or(|tag| tag == etag || tag == LAST_MODIFIED);
        let asked = question.range.filter(|_| current && question.method == "GET");
        let (status, range) = match asked.map_or(Asked::Whole, |range| Asked::parse(range, size)) {
            Asked::Whole => (StatusCode::OK, 0..size),
            Asked::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
            Asked::Nothing => {
                return Self::status(StatusCode::RANGE_NOT_SATISFIABLE, "text/plain", "")
                    .with("content-range", &format!("bytes */{size}"));
            }
        };
        let mut headers = vec![
            ("content-type", content_type.to_owned()),
            ("accept-ranges", "bytes".to_owned()),
            ("etag", etag),
            ("last-modified", LAST_MODIFIED.to_owned()),
        ];
        if status == StatusCode::PARTIAL_CONTENT {
            let last = range.end - 1;
            headers.push(("content-range", format!("bytes {}-{last}/{size}", range.start)));
        }
        Self { status, headers, content, range, text: None, at_once: false }
    }

    /// For hyper, with an exact length; hyper leaves the body of an answer to HEAD out.
    pub(crate) fn into_response(self) -> Response<AnswerBody> {
        let length =
            self.text.as_ref().map_or(self.range.end - self.range.start, |text| text.len() as u64);
        let mut response = Response::builder().status(self.status);
        for (name, value) in self.headers {
            response = response.header(name, value);
        }
        response
            .header(header::CONTENT_LENGTH, length)
            .body(AnswerBody { text: self.text, content: self.content, range: self.range })
            .expect("names are constants, values are made of hosts, numbers and dates")
    }
}

enum Asked {
    Whole,
    Part(Range<u64>),
    Nothing,
}

impl Asked {
    /// One range; a list of ranges or another unit is answered with the whole file.
    fn parse(range: &str, size: u64) -> Self {
        let Some((first, last)) = range.strip_prefix("bytes=").and_then(|r| r.split_once('-'))
        else {
            return Self::Whole;
        };
        match (first.parse::<u64>(), last.parse::<u64>()) {
            (Ok(first), _) if first >= size => Self::Nothing,
            (Ok(first), Ok(last)) if first <= last => {
                Self::Part(first..last.saturating_add(1).min(size))
            }
            (Ok(first), Err(_)) if last.is_empty() => Self::Part(first..size),
            (Err(_), Ok(0)) if first.is_empty() => Self::Nothing,
            (Err(_), Ok(count)) if first.is_empty() && size > 0 => {
                Self::Part(size.saturating_sub(count)..size)
            }
            (Err(_), Ok(_)) if first.is_empty() => Self::Nothing,
            _ => Self::Whole,
        }
    }
}

/// The bytes of an answer, made while they are sent.
#[derive(Debug)]
pub(crate) struct AnswerBody {
    text: Option<Bytes>,
    content: Content,
    range: Range<u64>,
}

/// Bytes made in one go.
const FRAME: u64 = 64 * 1024;

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(text) = self.text.take() {
            return Poll::Ready(Some(Ok(Frame::data(text))));
        }
        if self.range.is_empty() {
            return Poll::Ready(None);
        }
        let end = self.range.end.min(self.range.start + FRAME);
        let bytes = self.content.read(self.range.start..end);
        self.range.start = end;
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.text.is_none() && self.range.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        let text = self.text.as_ref().map_or(0, Bytes::len) as u64;
        SizeHint::with_exact(text + (self.range.end - self.range.start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(range: &str, size: u64) -> Option<Range<u64>> {
        match Asked::parse(range, size) {
            Asked::Whole => Some(0..size),
            Asked::Part(range) => Some(range),
            Asked::Nothing => None,
        }
    }

    #[test]
    fn ranges_are_those_of_rfc_9110() {
        assert_eq!(part("bytes=0-0", 10), Some(0..1));
        assert_eq!(part("bytes=4-", 10), Some(4..10));
        assert_eq!(part("bytes=4-99", 10), Some(4..10));
        assert_eq!(part("bytes=-3", 10), Some(7..10));
        assert_eq!(part("bytes=-30", 10), Some(0..10));
        assert_eq!(part("bytes=10-", 10), None);
        assert_eq!(part("bytes=-0", 10), None);
        assert_eq!(part("bytes=5-4", 10), Some(0..10), "not valid: ignored");
        assert_eq!(part("bytes=0-1,3-4", 10), Some(0..10), "a list may be ignored");
        assert_eq!(part("lines=0-1", 10), Some(0..10));
    }
}
