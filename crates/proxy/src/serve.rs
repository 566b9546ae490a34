//! Answers that come from here: why something was not served, in words for a person.

use bytes::Bytes;
use consoletap_flow::{Headers, ResponseHead, Version};

use crate::console::{Answer, Gone};
use crate::headers;
use crate::http1::Framing;

/// A short text as an answer.
pub(crate) struct Page {
    pub(crate) head: ResponseHead,
    text: String,
    /// Whether the body is left out, as for HEAD.
    bodiless: bool,
}

impl Page {
    /// A page that says why. The text is ours; what it quotes from the wire is escaped here.
    pub(crate) fn new(status: u16, cause: &str, to_head: bool) -> Self {
        let reason = reason(status);
        let cause: String = cause.chars().flat_map(escape).collect();
        let text = format!("consoletap: {status} {reason}\n\n{cause}\n");
        let mut fields = Headers::with_capacity(4);
        headers::push(&mut fields, "Content-Type", "text/plain; charset=utf-8");
        headers::push(&mut fields, "X-Content-Type-Options", "nosniff");
        headers::push(&mut fields, "Cache-Control", "no-store");
        headers::push(&mut fields, "Content-Length", &text.len().to_string());
        let head = ResponseHead {
            status,
            reason: reason.into(),
            version: Version::Http11,
            headers: fields,
        };
        Self { head, text, bodiless: to_head }
    }

    /// Puts the page on its way; `answer.end` sends its last octet.
    pub(crate) async fn send(&self, answer: &mut Answer<'_>) -> Result<u64, Gone> {
        let fields = self.head.headers.clone();
        if self.bodiless {
            answer.head(self.head.status, &self.head.reason, fields, Framing::Empty)?;
            return Ok(0);
        }
        let length = self.text.len() as u64;
        answer.head(self.head.status, &self.head.reason, fields, Framing::Length(length))?;
        answer.data(Bytes::from(self.text.clone()), true).await?;
        Ok(length)
    }

    /// The octets of the body.
    pub(crate) fn body(&self) -> &[u8] {
        if self.bodiless { &[] } else { self.text.as_bytes() }
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
        let page = Page::new(502, "bad \u{1b}[2J\u{9b}x", false);
        assert_eq!(page.body(), b"consoletap: 502 Bad Gateway\n\nbad \\u{1b}[2J\\u{9b}x\n");
    }
}
