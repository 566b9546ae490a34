//! `consoletap session list` and `consoletap session show`: what was recorded, read back.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use anyhow::Context as _;
use consoletap_filter::{Filter, Subject};
use consoletap_flow::{Flow, FlowId, State};
use consoletap_session::{Listed, Session};
use jiff::tz::TimeZone;

use crate::amounts::{count, size};
use crate::args::{SessionCommand, ShowArgs};
use crate::consoles::{Consoles, address};
use crate::escape::escape;
use crate::exit::Usage;
use crate::flow_page::FlowPage;
use crate::json;
use crate::line::Line;
use crate::look::{Ink, Look};
use crate::terminal::{Data, Printer};

/// Runs the command.
pub(crate) fn run(command: SessionCommand, printer: &Printer) -> anyhow::Result<()> {
    let zone = TimeZone::system();
    let mut out = BufWriter::new(Data(printer));
    match command {
        SessionCommand::List { root } => {
            let root = root.unwrap_or_else(consoletap_session::default_root);
            list(&root, &printer.data_look(), &zone, &mut out)?;
        }
        SessionCommand::Show(args) => {
            let remarks = show(&args, &printer.data_look(), &zone, &mut out)?;
            out.flush()?;
            printer.say(&remarks);
        }
    }
    Ok(out.flush()?)
}

fn list(root: &Path, look: &Look, zone: &TimeZone, out: &mut dyn Write) -> io::Result<()> {
    let sessions = consoletap_session::list(root);
    if sessions.is_empty() {
        return writeln!(out, "There is no session in {}.", root.display());
    }
    for Listed { directory, session } in sessions {
        let directory = escape(&directory.to_string_lossy(), look.charset).into_owned();
        match session {
            Ok(session) => {
                let overview = session.overview();
                let started = session.about().started.calendar().to_zoned_datetime(zone.clone());
                let mut remarks = Vec::new();
                if overview.lost_events > 0 {
                    remarks.push(count(overview.lost_events, "event lost", "events lost"));
                }
                if overview.problems > 0 {
                    remarks.push(count(overview.problems, "broken line", "broken lines"));
                }
                writeln!(
                    out,
                    "{}  {:>12}  {:>8}  {directory}{}{}",
                    started.strftime("%Y-%m-%d %H:%M"),
                    count(overview.flows, "flow", "flows"),
                    size(overview.bytes),
                    if remarks.is_empty() { "" } else { "  " },
                    look.paint(Ink::Bad, &remarks.join(", ")),
                )?;
            }
            Err(problem) => {
                let problem = look.paint(Ink::Bad, &problem.to_string());
                writeln!(out, "{directory}  {problem}")?;
            }
        }
    }
    Ok(())
}

/// What is asked of a session.
enum Wanted {
    One(FlowId),
    Some(Filter),
    All,
}

impl Wanted {
    /// A number is a flow, everything else a filter; its words need no quotes.
    fn parse(words: &[String]) -> Result<Self, Usage> {
        match words {
            [] => Ok(Self::All),
            [number] if number.bytes().all(|byte| byte.is_ascii_digit()) => number
                .parse()
                .map(|id| Self::One(FlowId(id)))
                .map_err(|_| Usage::new(format!("{number} is no number of a flow"))),
            words => Filter::parse(&words.join(" "))
                .map(Self::Some)
                .map_err(|error| Usage::new(format!("the filter cannot be read: {error}"))),
        }
    }

    fn fits(&self, flow: &Flow) -> bool {
        match self {
            Self::All => true,
            Self::One(id) => flow.id == *id,
            Self::Some(filter) => filter.matches(&Subject::from(flow)),
        }
    }
}

/// Shows flows; gives what else is to be said of the session.
fn show(
    args: &ShowArgs,
    look: &Look,
    zone: &TimeZone,
    out: &mut dyn Write,
) -> anyhow::Result<String> {
    let wanted = Wanted::parse(&args.filter)?;
    let session = Session::open(&args.directory)?;
    if let (Wanted::One(id), false) = (&wanted, args.json) {
        let flow = session.flows().flatten().find(|flow| flow.id == *id);
        let flow = flow.with_context(|| format!("there is no flow {id} in this session"))?;
        let page = FlowPage { flow: &flow, session: &session, with_secrets: args.with_secrets };
        out.write_all(page.draw(look, zone).as_bytes())?;
        return Ok(String::new());
    }
    // The names of consoles come from all flows, so that the first line has them, too.
    let mut consoles = Consoles::default();
    if !args.json {
        session.flows().flatten().for_each(|flow| consoles.learn(&flow));
    }
    let mut remarks = Remarks::default();
    for flow in session.flows() {
        let flow = match flow {
            Ok(flow) => flow,
            Err(problem) => {
                remarks.problems.push(problem.to_string());
                continue;
            }
        };
        remarks.seen += 1;
        remarks.unfinished += u64::from(flow.state() == State::Unfinished);
        if !wanted.fits(&flow) {
            continue;
        }
        remarks.shown += 1;
        let text = if args.json {
            json::line(&flow, args.with_secrets)
        } else {
            let client = consoles.label(address(&flow), look);
            Line { flow: &flow, client: &client, numbered: true }.draw(look, zone)
        };
        out.write_all(text.as_bytes())?;
    }
    remarks.lost = session.gaps().map(|gap| gap.events).sum();
    Ok(remarks.draw(args.json))
}

/// What a reader should know beside the flows.
#[derive(Default)]
struct Remarks {
    seen: u64,
    shown: u64,
    unfinished: u64,
    lost: u64,
    problems: Vec<String>,
}

impl Remarks {
    fn draw(&self, json: bool) -> String {
        let mut text = String::new();
        if !json {
            let all = count(self.seen, "flow", "flows");
            let shown = if self.shown == self.seen {
                format!("{all}.\n")
            } else {
                format!("{} of {all}.\n", self.shown)
            };
            text.push_str(&shown);
        }
        if self.unfinished > 0 {
            let flows = count(self.unfinished, "flow has", "flows have");
            text.push_str(&format!(
                "{flows} no end: the recording goes on, or was cut off there.\n"
            ));
        }
        if self.lost > 0 {
            let events = count(self.lost, "event is", "events are");
            text.push_str(&format!("{events} missing: the disk did not take them.\n"));
        }
        for problem in &self.problems {
            text.push_str(&format!("{problem}\n"));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use consoletap_flow::{Effect, Record, Recorder as _, Timestamp};
    use consoletap_session::{About, Options, Writer};
    use insta::assert_snapshot;

    use super::*;
    use crate::fold::tests::ends;
    use crate::sample::Sample;
    use crate::terminal::tests::Paper;

    fn record(directory: &Path, flows: &[Flow], cut_off: Option<&Flow>) {
        let about = About {
            tool: "consoletap".to_owned(),
            version: "0".to_owned(),
            started: Timestamp(1_795_466_580_000_000),
            options: serde_json::Value::Null,
        };
        let writer = Arc::new(Writer::create(directory, about, Options::default(), None).unwrap());
        for event in flows.iter().flat_map(ends) {
            writer.record(Record::new(event));
        }
        if let Some(flow) = cut_off {
            let [opened, _] = ends(flow);
            writer.record(Record::new(opened));
        }
        writer.close();
    }

    fn list_of(id: u64) -> Sample {
        Sample::get("http://fus01.ps4.update.playstation.net/update/ps4/list/us/l.xml?sid=geheim")
            .id(id)
            .platform("ps4")
            .category("fw-updatelist")
            .bytes(0, 1234)
    }

    fn shown(directory: &Path, filter: &[&str], json: bool) -> anyhow::Result<(String, String)> {
        let args = ShowArgs {
            directory: directory.to_owned(),
            filter: filter.iter().map(ToString::to_string).collect(),
            json,
            with_secrets: false,
        };
        let mut out = Vec::new();
        let remarks = show(&args, &Look::PLAIN, &TimeZone::UTC, &mut out)?;
        Ok((String::from_utf8(out).unwrap(), remarks))
    }

    #[test]
    fn a_session_reads_back_as_the_log_was() {
        let folder = tempfile::tempdir().unwrap();
        let flows = [
            list_of(1).flow(),
            Sample::connect("a.example:443").id(2).client("10.0.0.9:1").bytes(517, 4096).flow(),
        ];
        record(folder.path(), &flows, Some(&list_of(3).flow()));
        let (lines, remarks) = shown(folder.path(), &[], false).unwrap();
        assert_snapshot!(format!("{lines}---\n{remarks}"));
        let (lines, remarks) = shown(folder.path(), &["~cat", "fw-updatelist"], true).unwrap();
        assert_eq!(lines.lines().count(), 2);
        assert!(!lines.contains("geheim") && remarks.starts_with("1 flow has no end"), "{remarks}");
        let (lines, remarks) = shown(folder.path(), &["~tunnel"], false).unwrap();
        assert_eq!(lines.lines().count(), 1);
        assert!(remarks.starts_with("1 of 3 flows"), "{remarks}");
    }

    #[test]
    fn a_number_is_one_flow_in_full() {
        let folder = tempfile::tempdir().unwrap();
        let flow = list_of(1).field("User-Agent", "Download/1.00 libhttp/1.50").flow();
        record(folder.path(), &[flow], None);
        let (page, _) = shown(folder.path(), &["1"], false).unwrap();
        assert!(page.contains("User-Agent: Download/1.00") && !page.contains("geheim"), "{page}");
        assert!(shown(folder.path(), &["2"], false).is_err());
    }

    #[test]
    fn a_wrong_filter_shows_where_it_is_wrong() {
        let folder = tempfile::tempdir().unwrap();
        record(folder.path(), &[list_of(1).rule("r", "did", Effect::Noted).flow()], None);
        let error = shown(folder.path(), &["~nonsense"], false).unwrap_err();
        assert!(error.is::<Usage>() && error.to_string().contains('^'), "{error}");
    }

    #[test]
    fn sessions_are_listed_with_broken_ones_behind() {
        let root = tempfile::tempdir().unwrap();
        record(&root.path().join("one.psession"), &[list_of(1).flow()], None);
        std::fs::create_dir(root.path().join("two.psession")).unwrap();
        let mut out = Vec::new();
        list(root.path(), &Look::PLAIN, &TimeZone::UTC, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert!(lines[0].starts_with("2026-11-23 20:43        1 flow"), "{text}");
        assert!(lines[1].contains("two.psession") && lines[1].contains("session.json"), "{text}");
    }

    #[test]
    fn no_session_at_all_is_said_so() {
        let printer = Printer::new(Box::new(Paper::default()), Box::new(io::sink()), false);
        let root = tempfile::tempdir().unwrap();
        let paper = Paper::default();
        let told = Printer::new(Box::new(paper.clone()), Box::new(io::sink()), false);
        run(SessionCommand::List { root: Some(root.path().to_owned()) }, &told).unwrap();
        assert!(paper.text().starts_with("There is no session in "));
        let missing = ShowArgs {
            directory: root.path().join("none"),
            filter: Vec::new(),
            json: false,
            with_secrets: false,
        };
        let error = run(SessionCommand::Show(missing), &printer).unwrap_err();
        assert!(error.to_string().contains("is no session"), "{error}");
    }
}
