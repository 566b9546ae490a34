//! Answers that come from here, whatever they are for: a page that says why something was not
//! served, a text of a rule, a file. All of them have one shape: a head, and where its body is.

mod coverage;
mod file;
mod media;
mod selection;
mod stored;

use bytes::Bytes;
use consoletap_flow::{Headers, ResponseHead, Version};

use crate::headers;
pub use coverage::Coverage;
pub(crate) use file::{FileBody, FileChanged, LocalContent, OpenError, Part, open, respond};
pub(crate) use selection::{Representation, Selected, select};
pub(crate) use stored::{NotThere, Piece, Pieces, answer};

/// An answer that comes from here.
#[derive(Debug)]
pub(crate) struct LocalAnswer {
    /// The head, with the body's length.
    pub(crate) head: ResponseHead,
    /// Where the body is.
    pub(crate) body: LocalBody,
}

/// Where the body of an answer is.
#[derive(Debug)]
pub(crate) enum LocalBody {
    /// There is none: the answer to HEAD, a 304.
    None,
    /// In memory.
    Octets(Bytes),
    /// In a file, or in parts of one.
    File(FileBody),
    /// In bodies that a stand-in stored.
    Pieces(Pieces),
}

impl LocalBody {
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::None => 0,
            Self::Octets(octets) => octets.len() as u64,
            Self::File(file) => file.len(),
            Self::Pieces(pieces) => pieces.length,
        }
    }
}

impl LocalAnswer {
    /// An answer with this status and these fields; its length is added where it has one.
    pub(crate) fn new(status: u16, mut fields: Headers, body: LocalBody, to_head: bool) -> Self {
        if !matches!(status, 204 | 304) {
            headers::push(&mut fields, "Content-Length", &body.len().to_string());
        }
        let head = ResponseHead {
            status,
            reason: reason(status).into(),
            version: Version::Http11,
            headers: fields,
        };
        Self { head, body: if to_head { LocalBody::None } else { body } }
    }

    /// A page that says why. The text is ours; what it quotes from the wire is escaped here.
    pub(crate) fn page(status: u16, cause: &str, to_head: bool) -> Self {
        Self::page_with(status, cause, Headers::with_capacity(4), to_head)
    }

    /// The same with more fields.
    pub(crate) fn page_with(status: u16, cause: &str, mut fields: Headers, to_head: bool) -> Self {
        let cause: String = cause.chars().flat_map(escape).collect();
        let text = format!("consoletap: {status} {}\n\n{cause}\n", reason(status));
        headers::push(&mut fields, "Content-Type", "text/plain; charset=utf-8");
        headers::push(&mut fields, "X-Content-Type-Options", "nosniff");
        headers::push(&mut fields, "Cache-Control", "no-store");
        Self::new(status, fields, LocalBody::Octets(text.into()), to_head)
    }
}

fn escape(c: char) -> impl Iterator<Item = char> {
    let control = c.is_control() && c != '\n';
    let escaped = control.then(|| c.escape_unicode());
    escaped.into_iter().flatten().chain((!control).then_some(c))
}

/// The reason phrase of a status (RFC 9110 15).
pub(crate) fn reason(status: u16) -> &'static str {
    if status == 508 {
        return "Loop Detected";
    }
    http::StatusCode::from_u16(status).ok().and_then(|code| code.canonical_reason()).unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_page_quotes_cannot_write_on_a_terminal() {
        let page = LocalAnswer::page(502, "bad \u{1b}[2J\u{9b}x", false);
        let LocalBody::Octets(text) = page.body else { panic!("a page is a text") };
        assert_eq!(text, "consoletap: 502 Bad Gateway\n\nbad \\u{1b}[2J\\u{9b}x\n");
    }
}
