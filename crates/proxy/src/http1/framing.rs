//! How long a body is: RFC 9112 section 6.3, strictly. Anything that two readers could read in
//! two ways is an error, since the second reader is the server behind us.

use consoletap_flow::{Headers, Version};

/// Where a body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// There is none.
    Empty,
    /// After so many octets.
    Length(u64),
    /// With the last chunk.
    Chunked,
    /// With the connection; only for answers.
    Close,
}

/// Why no end can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FramingError {
    #[error("both Content-Length and Transfer-Encoding are given")]
    Both,
    #[error("Content-Length is not one number")]
    Length,
    #[error("Transfer-Encoding is not `chunked` alone and last")]
    Coding,
    #[error("Transfer-Encoding names a coding that is not supported")]
    UnknownCoding,
    #[error("Transfer-Encoding in an HTTP/1.0 message")]
    CodingInHttp10,
}

impl FramingError {
    /// The status of our answer to a client.
    pub(crate) fn status(self) -> u16 {
        match self {
            Self::UnknownCoding => 501,
            Self::Both | Self::Length | Self::Coding | Self::CodingInHttp10 => 400,
        }
    }
}

/// The framing of a request's body.
pub(crate) fn request_framing(
    version: Version,
    headers: &Headers,
) -> Result<Framing, FramingError> {
    let length = content_length(headers)?;
    if is_chunked(version, headers)? {
        return if length.is_some() { Err(FramingError::Both) } else { Ok(Framing::Chunked) };
    }
    Ok(match length {
        None | Some(0) => Framing::Empty,
        Some(length) => Framing::Length(length),
    })
}

/// What else the framing of an answer depends on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AnswerContext {
    pub(crate) version: Version,
    pub(crate) status: u16,
    pub(crate) to_head: bool,
}

/// The framing of an answer's body.
pub(crate) fn response_framing(
    context: AnswerContext,
    headers: &Headers,
) -> Result<Framing, FramingError> {
    let bodiless = context.to_head || matches!(context.status, 100..=199 | 204 | 304);
    let length = content_length(headers)?;
    if is_chunked(context.version, headers)? {
        return match length {
            Some(_) => Err(FramingError::Both),
            None if bodiless => Ok(Framing::Empty),
            None => Ok(Framing::Chunked),
        };
    }
    Ok(match length {
        _ if bodiless => Framing::Empty,
        Some(0) => Framing::Empty,
        Some(length) => Framing::Length(length),
        None => Framing::Close,
    })
}

/// The one Content-Length, where there is one. The same number twice counts as one.
fn content_length(headers: &Headers) -> Result<Option<u64>, FramingError> {
    let mut found = None;
    for value in headers.all("content-length") {
        for element in value.split(|&byte| byte == b',') {
            let number = decimal(element.trim_ascii()).ok_or(FramingError::Length)?;
            if found.is_some_and(|before| before != number) {
                return Err(FramingError::Length);
            }
            found = Some(number);
        }
    }
    Ok(found)
}

/// Digits and nothing else, within 63 bits: no sign, no white space, no 0x.
fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 19 || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = text.iter().try_fold(0u64, |number, &digit| {
        number.checked_mul(10)?.checked_add(u64::from(digit - b'0'))
    })?;
    (i64::try_from(number).is_ok()).then_some(number)
}

fn is_chunked(version: Version, headers: &Headers) -> Result<bool, FramingError> {
    let mut values = headers.all("transfer-encoding").peekable();
    if values.peek().is_none() {
        return Ok(false);
    }
    // RFC 9112 6.1: an HTTP/1.0 message with it has faulty framing.
    if version == Version::Http10 {
        return Err(FramingError::CodingInHttp10);
    }
    let codings: Vec<&[u8]> = values
        .flat_map(|value| value.split(|&byte| byte == b','))
        .map(<[u8]>::trim_ascii)
        .collect();
    match codings.as_slice() {
        [only] if only.eq_ignore_ascii_case(b"chunked") => Ok(true),
        [.., last] if last.eq_ignore_ascii_case(b"chunked") => {
            let known = [&b"gzip"[..], b"x-gzip", b"deflate", b"compress", b"x-compress"];
            let transforms = &codings[..codings.len() - 1];
            let transformed = transforms
                .iter()
                .all(|coding| known.iter().any(|name| coding.eq_ignore_ascii_case(name)));
            Err(if transformed { FramingError::UnknownCoding } else { FramingError::Coding })
        }
        _ => Err(FramingError::Coding),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use consoletap_flow::Header;

    fn headers(fields: &[(&'static str, &'static str)]) -> Headers {
        fields.iter().map(|(name, value)| Header::new(*name, *value).unwrap()).collect()
    }

    fn request(fields: &[(&'static str, &'static str)]) -> Result<Framing, FramingError> {
        request_framing(Version::Http11, &headers(fields))
    }

    #[test]
    fn a_length_is_one_number() {
        assert_eq!(request(&[("Content-Length", "42")]), Ok(Framing::Length(42)));
        assert_eq!(
            request(&[("Content-Length", "7"), ("content-length", "7, 7")]),
            Ok(Framing::Length(7))
        );
        for bad in [
            "",
            "+5",
            "-5",
            "5 5",
            "0x5",
            "5,6",
            "5,",
            "9223372036854775808",
            "99999999999999999999",
            "5;",
        ] {
            assert_eq!(request(&[("Content-Length", bad)]), Err(FramingError::Length), "{bad:?}");
        }
        assert_eq!(
            request(&[("Content-Length", "5"), ("Content-Length", "6")]),
            Err(FramingError::Length)
        );
    }

    #[test]
    fn chunked_stands_alone() {
        assert_eq!(request(&[("Transfer-Encoding", "Chunked")]), Ok(Framing::Chunked));
        let both = [("Transfer-Encoding", "chunked"), ("Content-Length", "5")];
        assert_eq!(request(&both), Err(FramingError::Both));
        for bad in [
            "",
            "identity",
            "chunked, chunked",
            "chunked, gzip",
            "xchunked",
            "chunked;q=1",
            ",chunked",
            "\x0bchunked",
        ] {
            let error = request(&[("Transfer-Encoding", bad)]).expect_err(bad);
            assert_eq!(error.status(), 400, "{bad:?}");
        }
        assert_eq!(request(&[("Transfer-Encoding", "gzip, chunked")]).unwrap_err().status(), 501);
        let old = request_framing(Version::Http10, &headers(&[("Transfer-Encoding", "chunked")]));
        assert_eq!(old, Err(FramingError::CodingInHttp10));
    }

    #[test]
    fn an_answer_to_head_and_a_304_have_no_body_whatever_they_announce() {
        let announced = headers(&[("Content-Length", "1000")]);
        let context = AnswerContext { version: Version::Http11, status: 200, to_head: true };
        assert_eq!(response_framing(context, &announced), Ok(Framing::Empty));
        for status in [204, 304, 101] {
            let context = AnswerContext { version: Version::Http11, status, to_head: false };
            assert_eq!(response_framing(context, &announced), Ok(Framing::Empty));
        }
        let context = AnswerContext { version: Version::Http11, status: 200, to_head: false };
        assert_eq!(response_framing(context, &headers(&[])), Ok(Framing::Close));
    }
}
