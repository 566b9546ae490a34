//! Reading heads: octets in, typed heads out. Pure, and strict after RFC 9112.

use std::mem::MaybeUninit;
use std::ops::Range;

use bytes::Bytes;
use consoletap_flow::{Header, Headers, RequestHead, ResponseHead, Version};
use httparse::{ParserConfig, Status};

use crate::settings::Limits;

/// Why octets are no head. The status is what a client is told; an upstream's mistake is a 502.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HeadError {
    /// The first line is longer than allowed.
    #[error("the first line is longer than {0} bytes")]
    LongLine(usize),
    /// The head is larger than allowed.
    #[error("the head is larger than {0} bytes")]
    TooLarge(usize),
    /// There are more fields than allowed.
    #[error("the head has more than {0} fields")]
    TooManyFields(usize),
    /// A version other than 1.0 and 1.1.
    #[error("the HTTP version is neither 1.0 nor 1.1")]
    Version,
    /// Anything else that RFC 9112 does not allow.
    #[error("{0}")]
    Malformed(&'static str),
}

impl HeadError {
    /// The status of our answer to a client.
    pub(crate) fn status(self) -> u16 {
        match self {
            Self::LongLine(_) => 414,
            Self::TooLarge(_) | Self::TooManyFields(_) => 431,
            Self::Version => 505,
            Self::Malformed(_) => 400,
        }
    }
}

/// The limits that concern heads.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HeadLimits {
    pub(crate) line: usize,
    pub(crate) head: usize,
    pub(crate) fields: usize,
}

impl From<&Limits> for HeadLimits {
    fn from(limits: &Limits) -> Self {
        Self { line: limits.request_line, head: limits.head, fields: limits.fields }
    }
}

/// The most fields that can be asked for; more cost stack for nothing.
const MOST_FIELDS: usize = 256;

/// Reads a request head that ends with its empty line.
pub(crate) fn parse_request(octets: &[u8], limits: HeadLimits) -> Result<RequestHead, HeadError> {
    let mut fields = [const { MaybeUninit::uninit() }; MOST_FIELDS];
    let room = limits.fields.min(MOST_FIELDS);
    let mut request = httparse::Request::new(&mut []);
    match request.parse_with_uninit_headers(octets, &mut fields[..room]) {
        Ok(Status::Complete(end)) if end == octets.len() => {}
        Ok(Status::Complete(_)) => return Err(HeadError::Malformed("the head ends too early")),
        Ok(Status::Partial) => return Err(HeadError::Malformed("the head is not complete")),
        // The tokeniser says so of anything that stands where the version should.
        Err(httparse::Error::Version) if !names_a_version(octets) => {
            return Err(explain(httparse::Error::Token, room));
        }
        Err(error) => return Err(explain(error, room)),
    }
    let (Some(method), Some(target), Some(version)) =
        (request.method, request.path, request.version)
    else {
        return Err(HeadError::Malformed("the request line is not complete"));
    };
    // One copy of the head; everything that is kept of it shares that.
    let shared = Bytes::copy_from_slice(octets);
    let share = |part: &[u8]| share(&shared, octets, part);
    Ok(RequestHead {
        method: share(method.as_bytes()).into(),
        target: share(target.as_bytes()).into(),
        version: if version == 0 { Version::Http10 } else { Version::Http11 },
        headers: headers(request.headers, &shared, octets)?,
    })
}

/// Reads the head of an answer that ends with its empty line.
pub(crate) fn parse_response(octets: &[u8], limits: HeadLimits) -> Result<ResponseHead, HeadError> {
    let mut fields = [const { MaybeUninit::uninit() }; MOST_FIELDS];
    let room = limits.fields.min(MOST_FIELDS);
    let mut response = httparse::Response::new(&mut []);
    match ParserConfig::default().parse_response_with_uninit_headers(
        &mut response,
        octets,
        &mut fields[..room],
    ) {
        Ok(Status::Complete(end)) if end == octets.len() => {}
        Ok(Status::Complete(_)) => return Err(HeadError::Malformed("the head ends too early")),
        Ok(Status::Partial) => return Err(HeadError::Malformed("the head is not complete")),
        Err(error) => return Err(explain(error, room)),
    }
    let (Some(status), Some(version)) = (response.code, response.version) else {
        return Err(HeadError::Malformed("the status line is not complete"));
    };
    if status < 100 {
        return Err(HeadError::Malformed("the status is below 100"));
    }
    let shared = Bytes::copy_from_slice(octets);
    Ok(ResponseHead {
        status,
        reason: share(&shared, octets, response.reason.unwrap_or_default().as_bytes()).into(),
        version: if version == 0 { Version::Http10 } else { Version::Http11 },
        headers: headers(response.headers, &shared, octets)?,
    })
}

/// Reads trailers: field lines up to an empty line.
pub(crate) fn parse_trailers(octets: &[u8], limits: HeadLimits) -> Result<Headers, HeadError> {
    let mut fields = [httparse::EMPTY_HEADER; MOST_FIELDS];
    let room = limits.fields.min(MOST_FIELDS);
    match httparse::parse_headers(octets, &mut fields[..room]) {
        // A line that ends with LF alone would end the trailers where others see them go on.
        Ok(Status::Complete((end, _))) if end != octets.len() => {
            Err(HeadError::Malformed("a line ends with LF alone"))
        }
        Ok(Status::Complete((_, fields))) => {
            let shared = Bytes::copy_from_slice(octets);
            headers(fields, &shared, octets)
        }
        Ok(Status::Partial) => Err(HeadError::Malformed("the trailers are not complete")),
        Err(error) => Err(explain(error, room)),
    }
}

fn headers(
    fields: &[httparse::Header<'_>],
    shared: &Bytes,
    octets: &[u8],
) -> Result<Headers, HeadError> {
    let fields = fields.iter().map(|field| {
        let name = field.name.as_bytes();
        match (place(octets, name), place(octets, field.value)) {
            (Some(name), Some(value)) => Header::within(shared, name, value),
            // The tokeniser gave something of its own.
            _ => Header::new(name, field.value),
        }
        .map_err(|_| HeadError::Malformed("a header field holds a byte that it may not"))
    });
    fields.collect()
}

/// The part of `shared` (a copy of `octets`) that `part` is of `octets`.
fn share(shared: &Bytes, octets: &[u8], part: &[u8]) -> Bytes {
    match place(octets, part) {
        Some(place) => shared.slice(place),
        // The tokeniser gave something of its own, such as an empty reason.
        None => Bytes::copy_from_slice(part),
    }
}

/// Where `part` lies in `octets`, where it does.
fn place(octets: &[u8], part: &[u8]) -> Option<Range<usize>> {
    let start = (part.as_ptr() as usize).wrapping_sub(octets.as_ptr() as usize);
    let end = start.checked_add(part.len())?;
    octets.get(start..end).map(|_| start..end)
}

/// Whether the first line is METHOD TARGET HTTP/DIGIT.DIGIT.
fn names_a_version(octets: &[u8]) -> bool {
    let line = octets.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let mut words = line.trim_ascii_end().split(|&byte| byte == b' ');
    let version = words.nth(2).unwrap_or_default();
    words.next().is_none()
        && matches!(version, [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'])
}

fn explain(error: httparse::Error, room: usize) -> HeadError {
    use httparse::Error;
    match error {
        Error::TooManyHeaders => HeadError::TooManyFields(room),
        Error::Version => HeadError::Version,
        Error::HeaderName => HeadError::Malformed(
            "a header line has no name that HTTP allows (a space before the colon, a folded line)",
        ),
        Error::HeaderValue => HeadError::Malformed("a header value holds a control byte"),
        Error::NewLine => HeadError::Malformed("a line ends with CR alone"),
        Error::Status => HeadError::Malformed("the status line has no status of three digits"),
        Error::Token => HeadError::Malformed("the request line is not METHOD TARGET HTTP/1.1"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: HeadLimits = HeadLimits { line: 1000, head: 10_000, fields: 3 };

    fn request(text: &str) -> Result<RequestHead, HeadError> {
        parse_request(text.as_bytes(), LIMITS)
    }

    #[test]
    fn case_order_and_doubles_are_kept() {
        let head =
            request("GET http://h/p HTTP/1.1\r\nhOsT: h\r\nB: 1\r\nhost:\t 2 \r\n\r\n").unwrap();
        let fields: Vec<_> = head.headers.iter().map(|f| format!("{f:?}")).collect();
        assert_eq!(fields, ["hOsT: h", "B: 1", "host: 2"]);
        assert_eq!(head.target, "http://h/p");
    }

    #[test]
    fn what_rfc_9112_forbids_is_refused() {
        for bad in [
            "GET /a b HTTP/1.1\r\n\r\n",
            "GET  / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nA : b\r\n\r\n",
            "GET / HTTP/1.1\r\n A: b\r\n\r\n",
            "GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n",
            "GET / HTTP/1.1\r\nA: b\rc\r\n\r\n",
            "GET / HTTP/1.1\rA: b\r\n\r\n",
            "GET / HTTP/1.1\r\nA: b\0\r\n\r\n",
            "GET / HTTP/1.1\r\nA\r\n\r\n",
            "GET / HTTP/1.1\r\n: b\r\n\r\n",
            "GET /\r\n\r\n",
            "G@T / HTTP/1.1\r\n\r\n",
        ] {
            let error = request(bad).expect_err(bad);
            assert_eq!(error.status(), 400, "{bad:?}: {error}");
        }
        assert_eq!(request("GET / HTTP/2.0\r\n\r\n").unwrap_err().status(), 505);
        let many = "GET / HTTP/1.1\r\na: 1\r\na: 1\r\na: 1\r\na: 1\r\n\r\n";
        assert_eq!(request(many).unwrap_err().status(), 431);
    }

    #[test]
    fn answers_keep_their_reason_and_an_empty_one() {
        let head = |text: &str| parse_response(text.as_bytes(), LIMITS);
        assert_eq!(head("HTTP/1.1 299 Odd One\r\n\r\n").unwrap().reason, "Odd One");
        assert_eq!(head("HTTP/1.0 200\r\n\r\n").unwrap().reason, "");
        assert!(head("HTTP/1.1 20 x\r\n\r\n").is_err());
        assert!(head("HTTP/1.1 099 x\r\n\r\n").is_err());
        assert!(head("HTTP/1.1 200 x\r\nA: b\r\n c\r\n\r\n").is_err(), "folded lines are refused");
    }

    proptest::proptest! {
        #[test]
        fn no_octets_make_it_panic(octets in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
            let _ = parse_request(&octets, LIMITS);
            let _ = parse_response(&octets, LIMITS);
            let _ = parse_trailers(&octets, LIMITS);
        }
    }
}
