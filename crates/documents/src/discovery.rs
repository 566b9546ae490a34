//! Messages of the discovery protocol (UDP 987 on a PS4, 9302 on a PS5): a first line like HTTP's,
//! then `name:value` lines. Consoles end lines with a line feed; CRLF, white space around the
//! value, any case and a zero byte at the end are taken as well, since clients send them.

use std::ops::Range;

use crate::document::Content;
use crate::edit::{Form, Slot};
use crate::error::{DocumentError, shown};
use crate::firmware::Firmware;

const FORMAT: &str = "a discovery message";

/// One datagram.
const MAX_MESSAGE: usize = 4096;

/// A message of the discovery protocol.
#[derive(Debug, Clone)]
pub struct DiscoveryMessage<'a> {
    source: &'a str,
    kind: DiscoveryKind<'a>,
    fields: Vec<Line<'a>>,
}

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiscoveryKind<'a> {
    /// `SRCH`, `WAKEUP` or `LAUNCH`: what a client asks for.
    Request(&'a str),
    /// The console's answer: 200 where it is on, 620 in rest mode.
    Reply(u16),
}

#[derive(Debug, Clone)]
struct Line<'a> {
    name: &'a str,
    value: &'a str,
    span: Range<usize>,
}

/// Whether bytes begin like a message.
pub(crate) fn looks_like(bytes: &[u8]) -> bool {
    let line = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default().trim_ascii_end();
    // An answer of HTTP never stands in a body, so this is one of the console.
    let reply = [&b"HTTP/1.1 200"[..], b"HTTP/1.1 620"].iter().any(|start| line.starts_with(start));
    reply
        || [&b"SRCH"[..], b"WAKEUP", b"LAUNCH"]
            .iter()
            .any(|verb| line.strip_prefix(*verb).is_some_and(|rest| rest == b" * HTTP/1.1"))
}

impl<'a> DiscoveryMessage<'a> {
    /// Reads a message.
    ///
    /// # Errors
    /// When the first line is neither a request (`SRCH * HTTP/1.1`) nor an answer
    /// (`HTTP/1.1 200 Ok`, `HTTP/1.1 620 Server Standby`), or another has no `:`.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, DocumentError> {
        let error = |at: usize, problem: &str| DocumentError::at(FORMAT, bytes, at, problem);
        if bytes.len() > MAX_MESSAGE {
            return Err(error(MAX_MESSAGE, "it is longer than a message can be"));
        }
        let source = std::str::from_utf8(bytes)
            .map_err(|cause| error(cause.valid_up_to(), "it is not UTF-8"))?;
        // chiaki sends the zero that ends its text, too.
        let text = source.trim_end_matches('\0');
        if let Some(at) = text.find('\0') {
            return Err(error(at, "there is a zero byte in it"));
        }
        let mut lines = text.split_inclusive('\n');
        let first = lines.next().unwrap_or_default();
        let kind = kind(first.trim_end()).ok_or_else(|| {
            error(0, "the first line is neither `SRCH * HTTP/1.1` nor `HTTP/1.1 200 Ok`")
        })?;
        let mut at = first.len();
        let mut fields = Vec::new();
        for line in lines {
            let content = line.trim_end();
            if !content.is_empty() {
                // A name of a title may hold a colon, so only the first one counts.
                let (name, rest) =
                    content.split_once(':').ok_or_else(|| error(at, "a line has no `:`"))?;
                let value = rest.trim_start();
                let start = at + content.len() - value.len();
                fields.push(Line { name: name.trim(), value, span: start..start + value.len() });
            }
            at += line.len();
        }
        Ok(Self { source, kind, fields })
    }

    /// What it is.
    #[must_use]
    pub fn kind(&self) -> DiscoveryKind<'a> {
        self.kind
    }

    /// The value of a field, by its name in any case.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&'a str> {
        self.fields.iter().find(|line| line.name.eq_ignore_ascii_case(name)).map(|line| line.value)
    }

    /// The console's firmware: `system-version:04550011` is 4.55.
    #[must_use]
    pub fn system(&self) -> Option<Firmware> {
        self.value("system-version")?.parse().ok()
    }
}

fn kind(line: &str) -> Option<DiscoveryKind<'_>> {
    if let Some(status) = line.strip_prefix("HTTP/1.1 ") {
        let status = status.split(' ').next()?.parse().ok()?;
        return matches!(status, 200 | 620).then_some(DiscoveryKind::Reply(status));
    }
    let verb = line.strip_suffix(" * HTTP/1.1")?;
    matches!(verb, "SRCH" | "WAKEUP" | "LAUNCH").then_some(DiscoveryKind::Request(verb))
}

impl Content for DiscoveryMessage<'_> {
    fn source(&self) -> &[u8] {
        self.source.as_bytes()
    }

    /// The host id and the credential name one console and one user: they are not shown.
    fn summary(&self) -> String {
        let mut line = match self.kind {
            DiscoveryKind::Request("SRCH") => "search for consoles".to_owned(),
            DiscoveryKind::Request("LAUNCH") => "request to start".to_owned(),
            DiscoveryKind::Request(_) => "request to wake up".to_owned(),
            DiscoveryKind::Reply(status) => {
                let state = if status == 200 { "on" } else { "in rest mode" };
                format!("{} {state}", self.value("host-type").unwrap_or("a console"))
            }
        };
        if let Some(name) = self.value("host-name") {
            line.push_str(&format!(", {name:?}"));
        }
        if let Some(system) = self.system() {
            line.push_str(&format!(", firmware {system}"));
        }
        if let Some(title) = self.value("running-app-titleid") {
            let name = self.value("running-app-name").unwrap_or_default();
            line.push_str(&format!(", runs {title} {name:?}"));
        }
        if self.value("user-credential").is_some() {
            line.push_str(", with a credential");
        }
        shown(&line)
    }

    fn slots(&self, key: &str) -> Vec<Slot> {
        let name = match key {
            "host_id" => "host-id",
            "host_type" => "host-type",
            "host_name" => "host-name",
            "system" => "system-version",
            "title" => "running-app-titleid",
            "title_name" => "running-app-name",
            "credential" => "user-credential",
            _ => return Vec::new(),
        };
        let lines = self.fields.iter().filter(|line| line.name.eq_ignore_ascii_case(name));
        let form = Form::Plain(&['\r', '\n', '\0']);
        lines
            .map(|line| Slot {
                span: line.span.clone(),
                old: line.value.to_owned(),
                form: form.clone(),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(source: &[u8]) -> String {
        DiscoveryMessage::parse(source).unwrap().summary()
    }

    #[test]
    fn a_line_says_what_a_console_answers_without_what_names_it() {
        let on = summary(include_bytes!("../samples/discovery-on.txt"));
        assert_eq!(
            on,
            "PS4 on, \"Living room\", firmware 4.55, runs CUSA00207 \"Bloodborne: GOTY\""
        );
        let standby = summary(include_bytes!("../samples/discovery-standby.txt"));
        assert_eq!(standby, "PS5 in rest mode, \"PS5-123\", firmware 4.50");
        let wake = summary(include_bytes!("../samples/discovery-wakeup.txt"));
        assert_eq!(wake, "request to wake up, with a credential");
    }

    #[test]
    fn what_clients_write_differently_is_taken() {
        for source in [
            &b"SRCH * HTTP/1.1\ndevice-discovery-protocol-version:00020020\n"[..],
            b"SRCH * HTTP/1.1\r\nDevice-Discovery-Protocol-Version: 00020020\r\n\r\n\0",
            b"SRCH * HTTP/1.1",
        ] {
            assert_eq!(summary(source), "search for consoles");
        }
        for (bad, expected) in [
            (&b""[..], "first line"),
            (b"HTTP/1.1 404 x\n", "first line"),
            (b"SRCH * HTTP/1.1\nno colon\n", "no `:`"),
            (b"SRCH * HTTP/1.1\na:\0b\n", "zero byte"),
            (b"SRCH * HTTP/1.1\na:\xff\n", "not UTF-8"),
        ] {
            let error = DiscoveryMessage::parse(bad).unwrap_err();
            assert!(error.problem.contains(expected), "{error}");
        }
    }
}
