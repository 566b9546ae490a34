//! As much of an answer's head as the load needs: status and `Content-Length`.

use anyhow::{Context as _, Result};

/// What the load looks at.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct AnswerHead {
    pub(crate) status: u16,
    pub(crate) content_length: Option<u64>,
}

impl AnswerHead {
    /// The head and its length, `None` while the empty line is still to come.
    pub(crate) fn parse(received: &[u8]) -> Result<Option<(Self, usize)>> {
        let Some(end) = received.windows(4).position(|four| four == b"\r\n\r\n") else {
            return Ok(None);
        };
        let mut lines = received[..end].split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
        let status = lines
            .next()
            .and_then(status)
            .context("expected an answer that begins with HTTP/1.1 and a status")?;
        let content_length = lines
            .find_map(|line| value_of(line, b"content-length:"))
            .map(|value| number(value).context("expected a number as Content-Length"))
            .transpose()?;
        Ok(Some((Self { status, content_length }, end + 4)))
    }
}

/// `HTTP/1.1 200 OK` → 200.
fn status(line: &[u8]) -> Option<u16> {
    let digits = line.strip_prefix(b"HTTP/1.")?.get(2..5)?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn value_of<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (start, value) = line.split_at_checked(name.len())?;
    start.eq_ignore_ascii_case(name).then(|| value.trim_ascii())
}

fn number(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_status_and_length_in_any_case() {
        let answer = b"HTTP/1.1 200 OK\r\nVia: 1.1 x\r\ncontent-LENGTH:  12 \r\n\r\nbody";
        let (head, length) = AnswerHead::parse(answer).unwrap().unwrap();
        assert_eq!(head, AnswerHead { status: 200, content_length: Some(12) });
        assert_eq!(&answer[length..], b"body");
    }

    #[test]
    fn waits_for_the_empty_line() {
        assert_eq!(AnswerHead::parse(b"HTTP/1.1 200 OK\r\nA: b\r\n").unwrap(), None);
        assert!(AnswerHead::parse(b"SSH-2.0\r\n\r\n").is_err());
        assert!(AnswerHead::parse(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n").is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_answer_makes_it_panic(mut answer: Vec<u8>) {
            let _ = AnswerHead::parse(&answer);
            answer.extend_from_slice(b"\r\n\r\n");
            let _ = AnswerHead::parse(&answer);
        }
    }
}
