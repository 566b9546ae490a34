//! `consoletap session show`: the flows of a session in a line each, or one of them in full.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context as _;
use consoletap_flow::State;
use consoletap_session::Session;
use jiff::tz::TimeZone;

use crate::amounts::count;
use crate::consoles::{Consoles, address};
use crate::json;
use crate::line::Line;
use crate::look::Look;
use crate::session::flow_page::FlowPage;
use crate::session::wanted::Wanted;

#[derive(Debug, Default, clap::Args)]
pub(crate) struct Args {
    /// The session's folder
    pub(crate) directory: PathBuf,
    /// Which flows: the number of one, to see it in full, or a filter, as `~cat fw-updatelist`
    pub(crate) filter: Vec<String>,
    /// One JSON line a flow
    #[arg(long)]
    pub(crate) json: bool,
    /// Show passwords, tokens and device ids, too
    #[arg(long)]
    pub(crate) with_secrets: bool,
}

/// Shows flows; gives what else is to be said of the session.
pub(crate) fn run(
    args: &Args,
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
    use std::path::Path;

    use consoletap_flow::Effect;
    use insta::assert_snapshot;

    use super::*;
    use crate::exit::Usage;
    use crate::sample::Sample;
    use crate::session::tests::{list_of, record};

    fn shown(directory: &Path, filter: &[&str], json: bool) -> anyhow::Result<(String, String)> {
        let args = Args {
            directory: directory.to_owned(),
            filter: filter.iter().map(ToString::to_string).collect(),
            json,
            with_secrets: false,
        };
        let mut out = Vec::new();
        let remarks = run(&args, &Look::PLAIN, &TimeZone::UTC, &mut out)?;
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
}
