//! One flow as one line: `20:43:00 PS4 GET host/path 200 fw-updatelist 1.2k 85ms ⇄`, and below it,
//! indented, what a person should know beside that. The live log and `session show` share it, and
//! give it flows whose secrets are masked.
//!
//! The host and the status are never cut. Where the line is too long, first the path gives way,
//! then the rungs of [`LADDER`] are climbed.

use std::borrow::Cow;

use consoletap_flow::{
    DocumentSummary, Flow, Kind, Scheme, Side, SmolStr, State, Target, TlsAction,
};
use consoletap_redact::Redactor;
use jiff::tz::TimeZone;

use crate::amounts::{short_duration, short_size};
use crate::escape::{Charset, escape};
use crate::look::{Ink, Look, wrap};
use crate::mark::{Mark, marks};

/// What a line is drawn with.
pub(crate) struct Line<'a> {
    /// The flow.
    pub(crate) flow: &'a Flow,
    /// What its client is called.
    pub(crate) client: &'a str,
    /// Whether its number is shown, as where it can be asked for.
    pub(crate) numbered: bool,
}

/// What may be left out of a line, mildest first. Each rung keeps what those before it took.
const LADDER: [Rung; 7] = [
    Rung { path: 16, category: CATEGORY, aligned: true, size: true, client: true, duration: true },
    Rung { path: 2, category: CATEGORY, aligned: false, size: true, client: true, duration: true },
    Rung { path: 2, category: 6, aligned: false, size: true, client: true, duration: true },
    Rung { path: 2, category: 0, aligned: false, size: true, client: true, duration: true },
    Rung { path: 2, category: 0, aligned: false, size: false, client: true, duration: true },
    Rung { path: 2, category: 0, aligned: false, size: false, client: false, duration: true },
    Rung { path: 1, category: 0, aligned: false, size: false, client: false, duration: false },
];

/// One way to fit a line.
#[derive(Debug, Clone, Copy)]
struct Rung {
    /// The least room for the path (a shorter path needs no more than itself).
    path: usize,
    /// The least room for the category (a shorter one needs no more than itself); at 0 it is left
    /// out.
    category: usize,
    /// Whether columns are filled up, so that they stand below each other.
    aligned: bool,
    size: bool,
    client: bool,
    duration: bool,
}

impl Line<'_> {
    /// The line and those below it, each with its line end.
    pub(crate) fn draw(&self, look: &Look, zone: &TimeZone) -> String {
        Row::of(self.flow, self.numbered, look, zone).draw(self.client, look)
    }
}

/// A flow that will be a line: its texts, while it is not known yet what its client is called. A
/// tenth of the flow, for those who hold many.
pub(crate) struct Row {
    cells: Cells,
    remarks: Vec<(Ink, String)>,
}

impl Row {
    pub(crate) fn of(flow: &Flow, numbered: bool, look: &Look, zone: &TimeZone) -> Self {
        Self { cells: Cells::of(flow, numbered, zone), remarks: remarks(flow, look) }
    }

    /// Takes out what was learned to be a secret after it was made.
    pub(crate) fn redact(&mut self, redactor: &Redactor) {
        let texts = self.remarks.iter_mut().map(|(_, text)| text);
        for text in texts.chain([&mut self.cells.path]) {
            if let Cow::Owned(clean) = redactor.text(text) {
                *text = clean;
            }
        }
    }

    /// The line and those below it, each with its line end.
    pub(crate) fn draw(mut self, client: &str, look: &Look) -> String {
        self.cells.client = client.into();
        // The last rung is taken whether it fits or not: the host stays.
        let mut text = LADDER
            .iter()
            .find_map(|rung| self.cells.fit(rung, look))
            .unwrap_or_else(|| self.cells.lay_out(&LADDER[LADDER.len() - 1], 1, look));
        text.push('\n');
        for (ink, words) in self.remarks {
            let room = look.width.saturating_sub(INDENT.len()).max(20);
            for (number, words) in wrap(&words, room).iter().enumerate() {
                text.push_str(INDENT);
                text.push_str(if number > 0 { "  " } else { "" });
                text.push_str(&look.paint(ink, words));
                text.push('\n');
            }
        }
        text
    }
}

/// Why it failed, what rules did, what the body is, what else to know.
fn remarks(flow: &Flow, look: &Look) -> Vec<(Ink, String)> {
    let failure = flow.finished.as_ref().and_then(|finished| finished.failure.as_ref());
    let failure = failure.map(|failure| {
        let side = match failure.side {
            Side::Client => "console",
            Side::Upstream => "server",
            Side::Here => "consoletap",
        };
        let (ink, mark) = match flow.state() {
            State::AbortedByClient if flow.kind != Kind::TlsFailure => (Ink::Dim, Mark::Aborted),
            _ => (Ink::Bad, Mark::Failed),
        };
        (ink, format!("{} {side}: {}", mark.sign(look), clean(&failure.cause, look)))
    });
    let rules = flow.rules.iter().map(|hit| {
        let mark = Mark::of_effect(hit.effect).map_or("-", |mark| mark.sign(look));
        (Ink::Notice, format!("{mark} {}: {}", clean(&hit.name, look), clean(&hit.did, look)))
    });
    // What was opened, or refused, says so by itself.
    let passed_on = flow.policy.as_deref().filter(|it| it.action == TlsAction::Tunnel);
    let because = passed_on.map(|verdict| &verdict.because);
    let notes = because.into_iter().chain(&flow.notes);
    let notes = notes.map(|note| (Ink::Dim, format!("- {}", clean(note, look))));
    let document = flow
        .document
        .as_ref()
        .map(|document| (Ink::Plain, format!("= {}", clean(&told(document), look))));
    failure.into_iter().chain(rules).chain(document).chain(notes).collect()
}

/// `update-list: offers 5.05, region us`
pub(crate) fn told(document: &DocumentSummary) -> String {
    format!("{}: {}", document.format, document.summary)
}

/// Remarks stand below the client.
const INDENT: &str = "         ";

fn clean(text: &str, look: &Look) -> String {
    escape(text, look.charset).into_owned()
}

/// The plain texts of a line, before anything is left out. Short ones need no memory of their own: of
/// a large session all lines are held.
struct Cells {
    number: Option<SmolStr>,
    time: SmolStr,
    client: SmolStr,
    method: SmolStr,
    host: String,
    path: String,
    status: Option<u16>,
    category: SmolStr,
    size: SmolStr,
    duration: SmolStr,
    marks: Vec<Mark>,
}

impl Cells {
    fn of(flow: &Flow, numbered: bool, zone: &TimeZone) -> Self {
        let method = flow.request.as_ref().map_or("-", |request| request.method.as_str());
        let (host, path) = address(flow);
        // Both ways: of an upload the answer alone would say nothing.
        let size = flow.request_bytes.saturating_add(flow.response_bytes);
        Self {
            number: numbered.then(|| flow.id.to_string().into()),
            time: clock(flow, zone).into(),
            client: SmolStr::default(),
            method: escape(method, Charset::Ascii).into(),
            host,
            path,
            status: flow.status(),
            category: escape(flow.classification.category.as_str(), Charset::Ascii).into(),
            size: short_size(size).into(),
            duration: short_duration(flow.latest.since(flow.started)).into(),
            marks: marks(flow),
        }
    }

    /// The line as this rung has it, where it fits.
    fn fit(&self, rung: &Rung, look: &Look) -> Option<String> {
        let fixed = self.left_width(rung) + 1 + self.right_width(rung, look);
        let room = look.width.checked_sub(fixed)?;
        let least = self.path.len().min(rung.path);
        let spare = room.checked_sub(least)?;
        if rung.aligned || rung.category == 0 {
            return Some(self.lay_out(rung, room, look));
        }
        // The category is of more use than the middle of a path.
        let more = spare.min(self.category.len().saturating_sub(rung.category));
        let rung = Rung { category: rung.category + more, ..*rung };
        Some(self.lay_out(&rung, room - more, look))
    }

    fn lay_out(&self, rung: &Rung, room: usize, look: &Look) -> String {
        let path = look.shorten(&self.path, room);
        let gap = if rung.aligned { room - path.chars().count() } else { 0 };
        let mut line = String::with_capacity(look.width * 2);
        if let Some(number) = &self.number {
            look.paint_to(&mut line, Ink::Dim, &format!("{number:>4}"));
            line.push(' ');
        }
        look.paint_to(&mut line, Ink::Dim, &self.time);
        line.push(' ');
        if rung.client {
            look.paint_to(&mut line, Ink::Client, &self.client);
            line.extend(std::iter::repeat_n(' ', self.client_fill(rung) + 1));
        }
        look.paint_to(&mut line, Ink::Bold, &self.method);
        line.extend(std::iter::repeat_n(' ', self.method_fill(rung) + 1));
        line.push_str(&self.host);
        look.paint_to(&mut line, Ink::Dim, &path);
        line.extend(std::iter::repeat_n(' ', gap + 1));
        self.right(&mut line, rung, look);
        line.truncate(line.trim_end().len());
        line
    }

    fn left_width(&self, rung: &Rung) -> usize {
        let number = self.number.as_ref().map_or(0, |number| number.len().max(4) + 1);
        let client =
            if rung.client { self.client.chars().count() + self.client_fill(rung) + 1 } else { 0 };
        let method = self.method.len() + self.method_fill(rung) + 1;
        number + self.time.len() + 1 + client + method + self.host.len()
    }

    fn right_width(&self, rung: &Rung, look: &Look) -> usize {
        let category = match rung.category {
            0 => 0,
            most if rung.aligned => 1 + most,
            most => 1 + self.category.len().min(most),
        };
        let size = match (rung.size, rung.aligned) {
            (false, _) => 0,
            (true, true) => 1 + SIZE,
            (true, false) => 1 + self.size.len(),
        };
        let duration = match (rung.duration, rung.aligned) {
            (false, _) => 0,
            (true, true) => 1 + DURATION,
            (true, false) => 1 + self.duration.len(),
        };
        let marks: usize = self.marks.iter().map(|mark| mark.width(look)).sum();
        let marks = match (rung.aligned, self.marks.is_empty()) {
            (true, _) => 1 + marks.max(MARKS),
            (false, true) => 0,
            (false, false) => 1 + marks,
        };
        STATUS + category + size + duration + marks
    }

    /// Status, category, size, duration, marks. What is right of the path has the widths of
    /// [`Self::right_width`].
    fn right(&self, right: &mut String, rung: &Rung, look: &Look) {
        let status = self.status.map_or_else(|| "-".to_owned(), |status| status.to_string());
        let ink = match self.status {
            Some(200..300) => Ink::Good,
            Some(400..) => Ink::Bad,
            _ => Ink::Plain,
        };
        look.paint_to(right, ink, &format!("{status:<STATUS$}"));
        if rung.category > 0 {
            let category = look.cut(&self.category, rung.category);
            let fill = if rung.aligned { rung.category - category.chars().count() } else { 0 };
            right.push(' ');
            look.paint_to(right, Ink::Category, &category);
            right.extend(std::iter::repeat_n(' ', fill));
        }
        let pad = |width: usize| if rung.aligned { width } else { 0 };
        if rung.size {
            push_right(right, &self.size, pad(SIZE));
        }
        if rung.duration {
            push_right(right, &self.duration, pad(DURATION));
        }
        if !self.marks.is_empty() {
            right.push(' ');
            for mark in &self.marks {
                look.paint_to(right, mark.ink(), mark.sign(look));
            }
        }
    }

    fn client_fill(&self, rung: &Rung) -> usize {
        if rung.aligned { CLIENT.saturating_sub(self.client.chars().count()) } else { 0 }
    }

    fn method_fill(&self, rung: &Rung) -> usize {
        if rung.aligned { METHOD.saturating_sub(self.method.len()) } else { 0 }
    }
}

/// A space, and the text at the right end of its column.
fn push_right(to: &mut String, text: &str, width: usize) {
    to.extend(std::iter::repeat_n(' ', 1 + width.saturating_sub(text.len())));
    to.push_str(text);
}

/// The least widths of columns that are filled up.
const CLIENT: usize = 6;
const METHOD: usize = 4;
const STATUS: usize = 3;
const CATEGORY: usize = 15;
const SIZE: usize = 4;
const DURATION: usize = 5;
const MARKS: usize = 2;

/// The time on the wall of `zone` at which a flow began.
pub(crate) fn clock(flow: &Flow, zone: &TimeZone) -> String {
    let at = zone.to_datetime(flow.started.calendar());
    format!("{:02}:{:02}:{:02}", at.hour(), at.minute(), at.second())
}

/// Host (with a port that is not the usual one) and path of a flow, in printable ASCII. Of a request that could not be read there is neither.
pub(crate) fn address(flow: &Flow) -> (String, String) {
    let Some(target) = &flow.target else { return ("-".to_owned(), String::new()) };
    let authority = target.authority();
    let usual = match target {
        Target::Url(url) => url.scheme.default_port(),
        Target::Authority(_) => Scheme::Https.default_port(),
    };
    let host = escape(&authority.host.to_string(), Charset::Ascii).into_owned();
    let host = if authority.port == usual { host } else { format!("{host}:{}", authority.port) };
    let path = target.path().unwrap_or_default();
    (host, escape(path, Charset::Ascii).into_owned())
}

#[cfg(test)]
mod tests {
    use consoletap_flow::Effect;
    use insta::assert_snapshot;

    use super::*;
    use crate::sample::{Sample, masking};

    const UNICODE: Look = Look { charset: Charset::Unicode, ..Look::PLAIN };

    fn update_list() -> Sample {
        Sample::get("http://fus01.ps4.update.playstation.net/update/ps4/list/us/ps4-updatelist.xml")
            .category("fw-updatelist")
            .status(200)
            .bytes(0, 1234)
    }

    fn draw(sample: Sample, look: Look) -> String {
        let flow = masking().flow(&sample.flow());
        Line { flow: &flow, client: "PS4", numbered: false }.draw(&look, &TimeZone::UTC)
    }

    fn widths(sample: impl Fn() -> Sample) -> String {
        [60, 80, 120, 200].map(|width| draw(sample(), Look { width, ..UNICODE })).concat()
    }

    #[test]
    fn the_path_gives_way_and_the_host_stays() {
        assert_snapshot!(widths(update_list));
    }

    #[test]
    fn a_short_host_leaves_room_for_the_path_at_every_width() {
        assert_snapshot!(widths(|| {
            Sample::get("http://ctest.cdn.nintendo.net/a/long/path/to/something/at/the/end.txt?x=1")
                .category("network-test")
                .status(404)
                .bytes(0, 45_000)
                .lasting(3_210)
        }));
    }

    #[test]
    fn a_host_that_is_wider_than_the_line_is_still_whole() {
        let host = format!("{}.example.net", "very-long-label.".repeat(5).trim_end_matches('.'));
        let line = draw(Sample::get(&format!("http://{host}/x/y/z")).status(200), UNICODE);
        assert!(line.contains(&host) && line.contains(" 200"), "{line}");
    }

    #[test]
    fn no_line_is_wider_than_asked_where_the_host_fits() {
        for width in 60..140 {
            for host_length in 1..width - 20 {
                let url = format!("http://{}/some/path/to/a/file.bin?q=1", "h".repeat(host_length));
                let line = draw(
                    Sample::get(&url).category("telemetry").status(200).bytes(0, 12_345_678),
                    Look { width, ..UNICODE },
                );
                let columns = line.trim_end().chars().count();
                assert!(columns <= width, "{columns} > {width}: {line}");
                assert!(line.contains(&"h".repeat(host_length)) && line.contains(" 200"));
            }
        }
    }

    #[test]
    fn every_mark_has_its_sign() {
        let https = |sample: Sample| sample.change(|flow| flow.tunnel = Some(flow.id));
        let samples = || {
            [
                Sample::connect("a.example:443").status(200).bytes(517, 4096),
                Sample::connect("a.example:8443").status(200).change(|f| f.intercepted = true),
                https(Sample::get("https://a.example/x").status(200)),
                Sample::new("GET", "http://a.example/ws", Kind::Websocket).status(101),
                update_list().rule("no-updates", "blocked the update list", Effect::Blocked),
                update_list().rule("firmware-guard", "offers 0.00 now", Effect::Rewritten),
                update_list().rule("local", "served from disk", Effect::Mapped),
                update_list().rule("tag", "tagged", Effect::Noted).note("a note"),
                update_list().failed(State::AbortedByClient, Side::Client, "the console closed the connection"),
                Sample::get("http://a.example/").failed(State::UpstreamError, Side::Upstream, "connection refused by 203.0.113.5:80"),
                Sample::get("http://a.example/").status(200).failed(State::Truncated, Side::Upstream, "the server sent 10 of 100 octets"),
                Sample::get("http://127.0.0.1/").status(403).failed(State::Refused, Side::Here, "clients may not reach this machine's own addresses"),
                Sample::new("CONNECT", "a.example:443", Kind::TlsFailure).status(200).failed(State::AbortedByClient, Side::Client, "the console rejected our certificate (unknown_ca); it is passed on unopened from now on"),
            ]
        };
        let unicode = samples().map(|sample| draw(sample, UNICODE)).concat();
        let ascii = samples().map(|sample| draw(sample, Look::PLAIN)).concat();
        assert!(ascii.is_ascii(), "{ascii}");
        assert_snapshot!(format!("{unicode}\n{ascii}"));
    }

    #[test]
    fn colours_go_around_the_columns() {
        assert_snapshot!(
            draw(update_list(), Look { colour: true, ..UNICODE }).replace('\x1b', "␛")
        );
    }

    #[test]
    fn what_the_wire_wrote_cannot_act_on_the_terminal() {
        let sample =
            Sample::get("http://a.example/p\u{1b}[2J\u{9b}31m\u{202e}é\u{200b}?sid=secret&x=1")
                .status(200)
                .change(|flow| flow.classification.category = "c\x1b]0;".into())
                .failed(State::UpstreamError, Side::Upstream, "bad head: \x1b[31m\u{9b}\n");
        let line = draw(sample, Look { width: 200, ..UNICODE });
        assert!(!line.replace('\n', "").chars().any(char::is_control), "{line:?}");
        assert!(!line.contains("secret"));
        assert_snapshot!(line);
    }

    #[test]
    fn a_request_that_could_not_be_read_has_a_line() {
        let sample = Sample::get("http://a/")
            .change(|flow| {
                flow.kind = Kind::Refused;
                flow.target = None;
                flow.request = None;
            })
            .failed(State::Refused, Side::Client, "the request line has no version");
        assert_snapshot!(draw(sample, UNICODE));
    }
}
