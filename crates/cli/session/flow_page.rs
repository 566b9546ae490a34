//! One flow in full: what it was, both heads, what TLS showed, and the bodies decoded and laid
//! out. What is given to it is without secrets already.

use std::fmt::Write as _;

use consoletap_content::{
    End, Kind as Content, hex_dump, kind, percent_decode, pretty_json, pretty_xml,
};
use consoletap_documents::Document;
use consoletap_flow::{Flow, Headers, Kind, RequestHead, ResponseHead, State, Timings};
use consoletap_interchange::{Body, Exchange, Missing};
use jiff::tz::TimeZone;

use crate::amounts::{short_duration, size};
use crate::escape::{escape, escape_octets};
use crate::line::{address, told};
use crate::look::{Ink, Look};

/// A larger body is not read to be shown.
pub(crate) const LARGEST_SHOWN: u64 = 16 << 20;

/// How much of a body is laid out; with `--full` all of it, up to a mebibyte.
const PREVIEW_OCTETS: usize = 16 << 10;
const PREVIEW_LINES: usize = 60;
const FULL_OCTETS: usize = 1 << 20;
/// Octets of a hex dump.
const DUMP_OCTETS: usize = 256;

/// A flow with its bodies, to be drawn.
pub(crate) struct FlowPage<'a> {
    pub(crate) exchange: &'a Exchange,
    /// Whether bodies are shown whole.
    pub(crate) full: bool,
}

impl FlowPage<'_> {
    /// The page. Writing to the String cannot fail, so that those results are dropped.
    pub(crate) fn draw(&self, look: &Look, zone: &TimeZone) -> String {
        let mut page = String::new();
        let Exchange { flow, request_body, response_body } = self.exchange;
        self.facts(&mut page, look, zone);
        page.push_str(&super::tls_page::draw(flow, look));
        if let Some(request) = &flow.request {
            self.request(&mut page, request, look);
        }
        for interim in &flow.interim {
            self.response(&mut page, interim, look);
        }
        if let Some(response) = &flow.response {
            self.response(&mut page, response, look);
        }
        let request = flow.request.as_ref().map(|head| &head.headers);
        let response = flow.response.as_ref().map(|head| &head.headers);
        self.body(&mut page, "From the console", request_body, request, look);
        self.body(&mut page, "To the console", response_body, response, look);
        page
    }

    fn facts(&self, page: &mut String, look: &Look, zone: &TimeZone) {
        let flow = &self.exchange.flow;
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
        let line = format!("{} {} {}", head.method, head.target, head.version);
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
            let value = escape_octets(header.value(), look.charset);
            let name = look.paint(Ink::Dim, &format!("{}:", header.name()));
            let _ = writeln!(page, "{name} {value}");
        }
    }

    fn body(
        &self,
        page: &mut String,
        title: &str,
        body: &Body,
        headers: Option<&Headers>,
        look: &Look,
    ) {
        if body.bytes == 0 {
            return;
        }
        let missing = body.missing.as_ref().map(|missing| match missing {
            Missing::Rest => format!(", the first {} kept", size(body.octets.len() as u64)),
            Missing::All(why) => format!(", {why}"),
        });
        let heading = format!("{title}: {} bytes{}", body.bytes, missing.unwrap_or_default());
        let heading = escape(&heading, look.charset).into_owned();
        let _ = writeln!(page, "\n{}", look.paint(Ink::Bold, &heading));
        if body.octets.is_empty() {
            return;
        }
        let text = |name| headers.and_then(|headers| headers.text(name));
        let decoded = match body.decoded(headers, FULL_OCTETS) {
            Ok(decoded) => decoded,
            Err(unknown) => {
                let _ = writeln!(page, "  {}", escape(&unknown.to_string(), look.charset));
                page.push_str(&dump(&body.octets));
                return;
            }
        };
        let coding = text("content-encoding").unwrap_or_default();
        if !matches!(coding, "" | "identity") {
            let _ = writeln!(page, "  decoded from {}", escape(coding, look.charset));
        }
        if decoded.end == End::Broken && body.missing.is_none() {
            let _ =
                writeln!(page, "  {}", look.paint(Ink::Bad, "its coding is broken behind this"));
        }
        let octets = &*decoded.octets;
        if let Ok(document) = Document::recognise(None, octets) {
            let summary = escape(&document.summary(), look.charset).into_owned();
            let _ = writeln!(page, "  {}", look.paint(Ink::Notice, &summary));
        }
        page.push_str(&self.lay_out(&kind(text("content-type"), octets), octets, look));
    }

    /// Decoded octets as lines.
    fn lay_out(&self, kind: &Content, octets: &[u8], look: &Look) -> String {
        match kind {
            Content::Image { format, width, height } => {
                return format!("  a picture: {format}, {width} x {height} pixels\n");
            }
            Content::Binary => return dump(octets),
            _ => {}
        }
        let room = if self.full { FULL_OCTETS } else { PREVIEW_OCTETS };
        let text = String::from_utf8_lossy(&octets[..octets.len().min(room)]);
        let laid = match kind {
            Content::Json => pretty_json(&text),
            Content::Xml => pretty_xml(&text),
            Content::Form => form(&text),
            _ => text.into_owned(),
        };
        let most = if self.full { usize::MAX } else { PREVIEW_LINES };
        let mut lines: Vec<String> = laid
            .lines()
            .take(most)
            .map(|line| format!("  {}\n", escape(line, look.charset)))
            .collect();
        if octets.len() > room || laid.lines().nth(most).is_some() {
            let hint = if self.full { "" } else { " (--full shows more)" };
            lines.push(format!("  {}{hint}\n", look.ellipsis()));
        }
        lines.concat()
    }
}

/// A form as a table.
fn form(text: &str) -> String {
    let decoded = |text: &str| String::from_utf8_lossy(&percent_decode(text)).into_owned();
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    let pairs: Vec<(String, String)> = pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decoded(name), decoded(value)))
        .collect();
    let width = pairs.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0).min(24);
    // A line end in a value is told, so that a row stays a row.
    let row = |(name, value): &(String, String)| {
        format!("{name:width$}  {}\n", value.replace('\n', "\\n").replace('\r', "\\r"))
    };
    pairs.iter().map(row).collect()
}

fn dump(octets: &[u8]) -> String {
    let shown = &octets[..octets.len().min(DUMP_OCTETS)];
    let mut text: String = hex_dump(shown).lines().map(|line| format!("  {line}\n")).collect();
    if octets.len() > DUMP_OCTETS {
        text.push_str(&format!("  and {} more\n", size((octets.len() - DUMP_OCTETS) as u64)));
    }
    text
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use consoletap_catalog::Catalog;
    use consoletap_flow::{
        BodyCopy, CertificateFacts, ClientHelloFacts, Effect, Happening, Record, Recorder as _,
        ServerHelloFacts, Side, Timestamp, TlsAction, Verdict,
    };
    use consoletap_interchange::Source;
    use consoletap_redact::Redactor;
    use consoletap_session::{About, Options, Session, Writer};
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
            ..About::default()
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
        let mut source = Source::as_it_is(session, LARGEST_SHOWN);
        if !with_secrets {
            let mut redactor = Redactor::masking(Arc::new(Catalog::builtin()));
            redactor.learn(&flow);
            source = source.redacted_by(redactor);
        }
        let exchange = source.exchange(&flow);
        FlowPage { exchange: &exchange, full: false }.draw(&Look::PLAIN, &TimeZone::UTC)
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
        assert_eq!(text.matches("geheim").count(), 4, "{text}");
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
    fn bodies_are_decoded_and_laid_out() {
        let flow = |kind: &'static str, coding: &'static str| {
            let fields = [("Content-Type", kind), ("Content-Encoding", coding)];
            Sample::get("http://a.example/x").answer(200, &fields).flow()
        };
        let gzip = consoletap_content::encode(
            br#"{"npTitleId":"CUSA00001_00","names":[{"name":"a"}]}"#,
            consoletap_content::Coding::Gzip,
        );
        let pages = [
            page(&flow("application/json", "gzip"), b"", &gzip.unwrap(), false),
            page(&flow("text/xml", ""), b"a=b&c=d%20e", b"<a><b>c</b>\x1b[2J</a>", false),
            page(&flow("application/octet-stream", ""), b"", b"\x7fCNT\0\0\0\x01", false),
            page(&flow("application/json", "lz4"), b"", b"\x28\xb5\x2f\xfd", true),
        ];
        let bodies = pages.map(|page| page[page.find("bytes").unwrap()..].to_owned());
        assert_snapshot!(bodies.join("---\n"));
    }
}
