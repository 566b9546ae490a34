//! One flow in full: what it was, both heads, what TLS showed, and the bodies as far as they are
//! text.

use std::fmt::Write as _;

use consoletap_flow::{
    BodySummary, Digest, Flow, Headers, Kept, Kind, RequestHead, ResponseHead, State, Timings,
};
use consoletap_session::Session;
use jiff::tz::TimeZone;

use crate::amounts::{short_duration, size};
use crate::escape::{escape, escape_octets};
use crate::line::{address, told};
use crate::look::{Ink, Look};
use crate::secrets::{MASK, is_secret_header, mask_json, mask_pairs, mask_path};

/// How much of a body is shown.
const PREVIEW_OCTETS: usize = 4096;
const PREVIEW_LINES: usize = 60;

/// A flow and where its bodies are.
pub(crate) struct FlowPage<'a> {
    pub(crate) flow: &'a Flow,
    pub(crate) session: &'a Session,
    pub(crate) with_secrets: bool,
}

impl FlowPage<'_> {
    /// The page. Writing to the String cannot fail, so that those results are dropped.
    pub(crate) fn draw(&self, look: &Look, zone: &TimeZone) -> String {
        let mut page = String::new();
        self.facts(&mut page, look, zone);
        page.push_str(&super::tls_page::draw(self.flow, look));
        if let Some(request) = &self.flow.request {
            self.request(&mut page, request, look);
        }
        for interim in &self.flow.interim {
            self.response(&mut page, interim, look);
        }
        if let Some(response) = &self.flow.response {
            self.response(&mut page, response, look);
        }
        if let Some(finished) = &self.flow.finished {
            let request = self.flow.request.as_ref().map(|head| &head.headers);
            let response = self.flow.response.as_ref().map(|head| &head.headers);
            self.body(&mut page, "From the console", &finished.request_body, request, look);
            self.body(&mut page, "To the console", &finished.response_body, response, look);
        }
        page
    }

    fn facts(&self, page: &mut String, look: &Look, zone: &TimeZone) {
        let flow = self.flow;
        let clean = |text: &str| escape(text, look.charset).into_owned();
        let kind = match flow.kind {
            Kind::Http => "request",
            Kind::Tunnel => "tunnel",
            Kind::Websocket => "WebSocket",
            Kind::TlsFailure => "failed TLS handshake",
            Kind::Refused => "refused",
        };
        let state = match flow.state() {
            State::Complete => "complete",
            State::AbortedByClient => "the console went away",
            State::UpstreamError => "failed at the server",
            State::Truncated => "cut off by the server",
            State::Refused => "not served",
            State::Unfinished => "without an end: it goes on, or the recording was cut off",
        };
        let (host, path) = address(flow);
        let title = format!("Flow {}: {kind} to {host}, {state}", flow.id);
        let _ = writeln!(page, "{}", look.paint(Ink::Bold, &title));
        let mut row = |name: &str, value: &str| {
            let _ = writeln!(page, "  {} {value}", look.paint(Ink::Dim, &format!("{name:<9}")));
        };
        let started = flow.started.calendar().to_zoned_datetime(zone.clone());
        let took = short_duration(flow.latest.since(flow.started));
        row("began", &format!("{}, took {took}", started.strftime("%Y-%m-%d %H:%M:%S%.3f")));
        let through = flow.tunnel.map(|id| format!(", through the opened tunnel {id}"));
        row("client", &format!("{}{}", flow.client.address, through.unwrap_or_default()));
        let end = flow.finished.as_ref();
        if let Some(server) = end.and_then(|end| end.server) {
            row("server", &server.to_string());
        }
        if !path.is_empty() {
            row("path", &path);
        }
        let known = &flow.classification;
        row("console", &known.platform.to_string());
        let summary = known.summary.as_deref().map(|text| format!(": {text}"));
        row("category", &clean(&format!("{}{}", known.category, summary.unwrap_or_default())));
        for (name, value) in details(flow) {
            row(name, &clean(&value));
        }
        if let Some(timings) = end.map(|end| timings(&end.timings)).filter(|text| !text.is_empty())
        {
            row("timings", &timings);
        }
        if let Some(failure) = end.and_then(|end| end.failure.as_ref()) {
            row("failure", &look.paint(Ink::Bad, &clean(&failure.cause)));
            if let Some(raw) = &failure.raw {
                row("octets", &clean(raw));
            }
        }
        for hit in &flow.rules {
            row("rule", &clean(&format!("{}: {}", hit.name, hit.did)));
        }
        if let Some(document) = &flow.document {
            row("document", &clean(&told(document)));
        }
        for note in &flow.notes {
            row("note", &clean(note));
        }
    }

    fn request(&self, page: &mut String, head: &RequestHead, look: &Look) {
        let target = self.masked(mask_path(&head.target).into_owned(), &head.target);
        let line = format!("{} {target} {}", head.method, head.version);
        self.head(page, &line, &head.headers, look);
    }

    fn response(&self, page: &mut String, head: &ResponseHead, look: &Look) {
        let line = format!("{} {} {}", head.version, head.status, head.reason);
        self.head(page, line.trim_end(), &head.headers, look);
    }

    fn head(&self, page: &mut String, line: &str, headers: &Headers, look: &Look) {
        let line = escape(line, look.charset).into_owned();
        let _ = writeln!(page, "\n{}", look.paint(Ink::Bold, &line));
        for header in headers {
            let value = if is_secret_header(header.name()) && !self.with_secrets {
                MASK.to_owned()
            } else {
                escape_octets(header.value(), look.charset)
            };
            let name = look.paint(Ink::Dim, &format!("{}:", header.name()));
            let _ = writeln!(page, "{name} {value}");
        }
    }

    fn body(
        &self,
        page: &mut String,
        title: &str,
        body: &BodySummary,
        headers: Option<&Headers>,
        look: &Look,
    ) {
        if body.bytes == 0 {
            return;
        }
        let kept = match body.kept {
            Kept::Nothing => "not kept".to_owned(),
            Kept::Whole => "kept whole".to_owned(),
            Kept::Prefix { bytes, .. } => format!("the first {} kept", size(bytes)),
            Kept::Lost => "not kept: the disk could not take it".to_owned(),
        };
        let heading = format!("{title}: {} bytes, {kept}", body.bytes);
        let _ = writeln!(page, "\n{}", look.paint(Ink::Bold, &heading));
        if let Some(digest) = body.digest {
            let _ = writeln!(page, "  {digest}");
        }
        let stored = match body.kept {
            Kept::Whole => body.digest,
            Kept::Prefix { digest, .. } => Some(digest),
            Kept::Nothing | Kept::Lost => None,
        };
        if let Some(stored) = stored {
            page.push_str(&self.preview(&stored, headers, look));
        }
    }

    /// The beginning of a body, where it is text.
    fn preview(&self, digest: &Digest, headers: Option<&Headers>, look: &Look) -> String {
        let coding = headers.and_then(|headers| headers.text("content-encoding"));
        if let Some(coding) = coding.filter(|coding| !coding.eq_ignore_ascii_case("identity")) {
            return format!("  ({}-encoded)\n", escape(coding, look.charset));
        }
        let octets = match self.session.body(digest) {
            Ok(octets) => octets,
            Err(problem) => return format!("  ({problem})\n"),
        };
        let Some(text) = text_of(&octets) else { return "  (no text)\n".to_owned() };
        let kind = headers.and_then(|headers| headers.text("content-type")).unwrap_or_default();
        let masked = if kind.starts_with("application/x-www-form-urlencoded") {
            mask_pairs(text).into_owned()
        } else {
            mask_json(text).into_owned()
        };
        let text = self.masked(masked, text);
        let mut lines: Vec<String> = text
            .lines()
            .take(PREVIEW_LINES)
            .map(|line| format!("  {}\n", escape(line, look.charset)))
            .collect();
        if text.lines().count() > PREVIEW_LINES || text.len() < octets.len() {
            lines.push(format!("  {}\n", look.ellipsis()));
        }
        lines.concat()
    }

    fn masked(&self, masked: String, plain: &str) -> String {
        if self.with_secrets { plain.to_owned() } else { masked }
    }
}

/// What the request told of itself.
fn details(flow: &Flow) -> Vec<(&'static str, String)> {
    let details = &flow.classification.details;
    let title = [&details.title_id, &details.np_title_id, &details.content_id];
    let title: Vec<&str> = title.into_iter().flatten().map(|id| id.as_str()).collect();
    let mut rows = Vec::new();
    if !title.is_empty() {
        rows.push(("title", title.join(", ")));
    }
    rows.extend(details.firmware.as_ref().map(|firmware| ("firmware", firmware.to_string())));
    rows.extend(details.region.as_ref().map(|region| ("region", region.to_string())));
    rows
}

/// The parts that happened, in their order.
fn timings(timings: &Timings) -> String {
    let parts = [
        ("name", timings.dns),
        ("connect", timings.connect),
        ("TLS", timings.tls),
        ("wait", timings.wait),
        ("receive", timings.receive),
    ];
    let parts = parts.into_iter().filter_map(|(name, micros)| {
        let micros = micros?;
        Some(format!("{name} {}.{} ms", micros / 1000, micros % 1000 / 100))
    });
    parts.collect::<Vec<_>>().join(", ")
}

/// The beginning of a body as text: UTF-8 without controls but white space.
fn text_of(octets: &[u8]) -> Option<&str> {
    let start = &octets[..octets.len().min(PREVIEW_OCTETS)];
    let text = match std::str::from_utf8(start) {
        Ok(text) => text,
        // A character that the cut parted is no reason to show nothing.
        Err(error) if error.error_len().is_none() && start.len() < octets.len() => {
            std::str::from_utf8(&start[..error.valid_up_to()]).ok()?
        }
        Err(_) => return None,
    };
    let odd = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t' | '\u{c}');
    (!text.chars().any(odd)).then_some(text)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use consoletap_flow::{
        BodyCopy, CertificateFacts, ClientHelloFacts, Effect, Happening, Record, Recorder as _,
        ServerHelloFacts, Side, Timestamp, TlsAction, Verdict,
    };
    use consoletap_session::{About, Options, Writer};
    use insta::assert_snapshot;

    use super::*;
    use crate::fold::tests::ends;
    use crate::sample::Sample;

    /// Writes a flow with these bodies and gives its page.
    fn page(flow: &Flow, request: &[u8], response: &[u8], with_secrets: bool) -> String {
        let folder = tempfile::tempdir().unwrap();
        let about = About {
            tool: "consoletap".to_owned(),
            version: "0".to_owned(),
            started: Timestamp(0),
            options: serde_json::Value::Null,
        };
        let writer = Writer::create(folder.path(), about, Options::default(), None).unwrap();
        let writer = Arc::new(writer);
        let [opened, mut finished] = ends(flow);
        writer.record(Record::new(opened));
        if let Happening::Finished(finished) = &mut finished.happening {
            finished.request_body.bytes = request.len() as u64;
            finished.response_body.bytes = response.len() as u64;
        }
        let copy = |octets: &[u8]| Some(BodyCopy { octets: octets.to_vec(), whole: true });
        writer.record(Record {
            request_copy: copy(request),
            response_copy: copy(response),
            ..Record::new(finished)
        });
        writer.close();
        let session = Session::open(folder.path()).unwrap();
        let kept = session.flows().next().unwrap().unwrap();
        // Heads and the rest of a sample are no events of their own here.
        let flow = Flow { finished: kept.finished, ..flow.clone() };
        FlowPage { flow: &flow, session: &session, with_secrets }.draw(&Look::PLAIN, &TimeZone::UTC)
    }

    fn sign_in() -> Flow {
        Sample::new("POST", "http://a.example/x?token=geheim&b=1\u{1b}", Kind::Http)
            .platform("psvita")
            .firmware("3.73")
            .field("User-Agent", " libhttp/3.73 (PS Vita)")
            .field("Authorization", "Bearer geheim")
            .field("Content-Type", "application/x-www-form-urlencoded")
            .answer(200, &[("Content-Type", "application/json"), ("X-Odd", "\u{9b}31m")])
            .rule("r", "did something", Effect::Rewritten)
            .note("seen before")
            .flow()
    }

    #[test]
    fn a_page_shows_heads_and_text_and_hides_secrets() {
        let body = br#"{"access_token":"geheim","name":"x"}"#;
        let text = page(&sign_in(), b"loginid=geheim&acttype=4", body, false);
        assert!(!text.contains("geheim"), "{text}");
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
        assert_snapshot!(text);
    }

    #[test]
    fn secrets_are_shown_where_they_are_asked_for() {
        let text = page(&sign_in(), b"loginid=geheim", b"{}", true);
        assert_eq!(text.matches("geheim").count(), 3, "{text}");
    }

    #[test]
    fn tls_is_told_in_words() {
        let flow = Sample::connect("a.example:443")
            .change(|flow| {
                flow.hello = Some(ClientHelloFacts {
                    sni: None,
                    versions: vec![0x0301],
                    suites: vec![0x000a, 0x0005, 0x0004],
                    ja3: "020944dd06c6d915f917237ca3ca4c14".to_owned(),
                    ja4: "t10d030000_x_y".to_owned(),
                    ..ClientHelloFacts::default()
                });
                flow.server_hello = Some(ServerHelloFacts {
                    version: 0x0301,
                    suite: 5,
                    resumed: Some(false),
                    ..ServerHelloFacts::default()
                });
                flow.certificate = Some(Box::new(CertificateFacts {
                    subject: "C=US, CN=a.example\u{1b}[2J".to_owned(),
                    issuer: "CN=SCEI DNAS Root 05".to_owned(),
                    names: vec!["a.example".to_owned(), "*.a.example".to_owned()],
                    not_before: Timestamp(0),
                    not_after: Timestamp(86_400_000_000),
                    key: "RSA 1024".to_owned(),
                    sha256: "ab".repeat(32),
                    chain: 1,
                }));
                flow.policy = Some(Box::new(Verdict {
                    action: TlsAction::Tunnel,
                    because: "not opened: the client offers TLS 1.0 at most".to_owned(),
                }));
            })
            .failed(State::UpstreamError, Side::Upstream, "the server closed the connection")
            .flow();
        assert_snapshot!(page(&flow, b"", b"", false));
    }

    #[test]
    fn only_text_is_previewed() {
        assert_eq!(text_of(b"a\r\n\tb"), Some("a\r\n\tb"));
        assert_eq!(text_of(b"\x7fCNT\0"), None);
        assert_eq!(text_of(b"\xff"), None);
        let long = "é".repeat(PREVIEW_OCTETS);
        let cut = [b"a", long.as_bytes()].concat();
        assert_eq!(text_of(&cut).map(str::len), Some(PREVIEW_OCTETS - 1));
    }
}
