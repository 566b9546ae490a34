//! `consoletap session show`: the flows of a session in a line each, or one of them in full.

use std::borrow::Cow;
use std::io::{self, Write};
use std::net::IpAddr;
use std::panic::resume_unwind;
use std::path::PathBuf;
use std::sync::{Arc, mpsc};

use anyhow::Context as _;
use clap::ValueEnum;
use consoletap_catalog::Catalog;
use consoletap_flow::{BodySide, Flow, FlowId, State};
use consoletap_interchange::{Lessons, Source};
use consoletap_redact::Redactor;
use consoletap_session::Session;
use jiff::tz::TimeZone;

use crate::amounts::count;
use crate::consoles::{Consoles, address};
use crate::json;
use crate::line::Row;
use crate::look::Look;
use crate::session::columns::{CONSOLE, Column, Table};
use crate::session::flow_page::{FlowPage, LARGEST_SHOWN};
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
    /// These columns instead of the usual line, parted by tabs
    #[arg(long, value_enum, value_delimiter = ',', value_name = "NAME,…", conflicts_with = "json")]
    pub(crate) columns: Vec<Column>,
    /// Sort by this instead of the time; largest and longest first
    #[arg(long, value_enum, value_name = "BY")]
    pub(crate) sort: Option<Sort>,
    /// The other way around
    #[arg(long)]
    pub(crate) reverse: bool,
    /// No more flows than this
    #[arg(long, value_name = "NUMBER")]
    pub(crate) limit: Option<usize>,
    /// Show all of the bodies of one flow
    #[arg(long)]
    pub(crate) full: bool,
    /// Show passwords, tokens and device ids, too
    #[arg(long, visible_alias = "with-secrets")]
    pub(crate) raw: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sort {
    /// When it began
    Time,
    /// Octets both ways
    Size,
    /// How long it took
    Duration,
    /// The status of the answer
    Status,
    /// The host, by its last label first
    Host,
    /// The category
    Category,
}

/// Shows flows; gives what else is to be said of the session.
pub(crate) fn run(
    args: &Args,
    catalog: Arc<Catalog>,
    look: &Look,
    zone: &TimeZone,
    out: &mut dyn Write,
) -> anyhow::Result<String> {
    let wanted = Wanted::parse(&args.filter)?;
    let session = Session::open(&args.directory)?;
    let redactor = || (!args.raw).then(|| Redactor::masking(Arc::clone(&catalog)));
    let view = View { args, look, zone };
    match (wanted, args.json || !args.columns.is_empty()) {
        (Wanted::One(id), false) => view.page(session, redactor(), id, out),
        (wanted, _) => {
            let redactors = redactor().zip(redactor());
            view.rows(&session, redactors, &wanted.of(&session), out)
        }
    }
}

struct View<'a> {
    args: &'a Args,
    look: &'a Look,
    zone: &'a TimeZone,
}

impl View<'_> {
    /// One flow in full.
    fn page(
        &self,
        session: Session,
        mut redactor: Option<Redactor>,
        id: FlowId,
        out: &mut dyn Write,
    ) -> anyhow::Result<String> {
        let mut found = None;
        let mut lessons = Lessons::quick(&session);
        for flow in session.flows_with_bodies().flatten() {
            if let Some(redactor) = &mut redactor {
                lessons.take(redactor, &flow);
            }
            if flow.id == id {
                found = Some(flow);
            }
        }
        let flow = found.with_context(|| format!("there is no flow {id} in this session"))?;
        let mut source = Source::as_it_is(session, LARGEST_SHOWN);
        if let Some(mut redactor) = redactor {
            // A secret that only the bodies tell by its name may stand in the heads as well.
            let exchange = source.exchange(&flow);
            for (part, body) in [
                (BodySide::Request, &exchange.request_body),
                (BodySide::Response, &exchange.response_body),
            ] {
                redactor.learn_body(&flow, part, &body.octets);
            }
            source = source.redacted_by(redactor);
        }
        let exchange = source.exchange(&flow);
        let page = FlowPage { exchange: &exchange, full: self.args.full };
        out.write_all(page.draw(self.look, self.zone).as_bytes())?;
        Ok(String::new())
    }

    /// A line for each flow. What consoles are called and what the secrets are come from all flows,
    /// so that the first line has them, too: lines are held until all were seen, or too many are.
    fn rows(
        &self,
        session: &Session,
        redactors: Option<(Redactor, Redactor)>,
        wanted: &Wanted,
        out: &mut dyn Write,
    ) -> anyhow::Result<String> {
        let learns = redactors.is_some();
        let (by_name, redactor) = redactors.unzip();
        let mut rows = Rows {
            view: self,
            consoles: Consoles::default(),
            by_name,
            redactor,
            lessons: Lessons::quick(session),
            table: Table::new(&self.args.columns, self.zone),
            held: Vec::new(),
            remarks: Remarks::default(),
        };
        // Reading is most of the work, so that the rest is done beside it. The memory of a flow goes
        // back to where it came from: giving it back from here, the two would wait for each other.
        let (sender, batches) = mpsc::sync_channel(4);
        let (give_back, taken) = mpsc::channel();
        let lost = std::thread::scope(|scope| -> io::Result<u64> {
            let reading = scope.spawn(move || {
                let mut flows = if learns { session.flows_with_bodies() } else { session.flows() };
                loop {
                    let mut batch: Vec<_> = taken.try_recv().unwrap_or_default();
                    batch.clear();
                    batch.extend(flows.by_ref().take(BATCH));
                    // Nobody takes it where the reader of standard output had enough.
                    if batch.is_empty() || sender.send(batch).is_err() {
                        return flows.lost_events();
                    }
                }
            });
            for batch in batches {
                for flow in &batch {
                    match flow {
                        Ok(flow) => rows.take(flow, wanted),
                        Err(problem) => rows.remarks.problems.push(problem.to_string()),
                    }
                }
                // Behind the last one nobody takes it back.
                let _ = give_back.send(batch);
                let is_sorted = self.args.sort.is_some() || self.args.reverse;
                if rows.held.len() >= MOST_HELD && !is_sorted {
                    rows.draw(out)?;
                }
            }
            rows.sort();
            rows.draw(out)?;
            // It panics on no input; where it did, what it read is shown all the same.
            Ok(reading.join().unwrap_or_default())
        })?;
        let mut remarks = rows.remarks;
        remarks.lost = lost;
        Ok(remarks.draw(self.args.json))
    }
}

/// Flows go from the thread that reads them to the one that makes lines of them so many at a time.
const BATCH: usize = 256;

/// So many lines are held, in 100 MB at the most.
const MOST_HELD: usize = 1 << 17;

/// Lines in the making.
struct Rows<'a> {
    view: &'a View<'a>,
    consoles: Consoles,
    /// Takes out of a row what its own names tell, as long as not all is learned.
    by_name: Option<Redactor>,
    /// Learns, and takes the rest out of what is drawn.
    redactor: Option<Redactor>,
    lessons: Lessons<'a>,
    table: Table<'a>,
    held: Vec<Held>,
    remarks: Remarks,
}

struct Held {
    client: IpAddr,
    key: Option<Key>,
    form: Form,
}

enum Form {
    Row(Box<Row>),
    Text(String),
}

impl Held {
    /// Its line, without what was learned to be a secret since it was made.
    fn text(self, consoles: &Consoles, redactor: Option<&Redactor>, look: &Look) -> String {
        let client = consoles.label(self.client, look);
        match self.form {
            Form::Row(mut row) => {
                if let Some(redactor) = redactor {
                    row.redact(redactor);
                }
                row.draw(&client, look)
            }
            Form::Text(text) => {
                let clean = redactor.map(|redactor| redactor.text(&text));
                clean.unwrap_or(Cow::Borrowed(&text)).replace(CONSOLE, &client)
            }
        }
    }
}

impl Rows<'_> {
    fn take(&mut self, flow: &Flow, wanted: &Wanted) {
        self.remarks.seen += 1;
        self.remarks.unfinished += u64::from(flow.state() == State::Unfinished);
        self.consoles.learn(flow);
        if let Some(redactor) = &mut self.redactor {
            self.lessons.take(redactor, flow);
        }
        let View { args, look, zone } = self.view;
        let is_enough = || args.limit.is_some_and(|limit| self.held.len() >= limit);
        if !wanted.fits(flow) || (args.sort.is_none() && !args.reverse && is_enough()) {
            return;
        }
        let told = self.by_name.as_ref().map(|redactor| redactor.row(flow));
        let told = told.as_deref().unwrap_or(flow);
        let form = if args.json {
            Form::Text(json::line(told))
        } else if args.columns.is_empty() {
            Form::Row(Box::new(Row::of(told, true, look, zone)))
        } else {
            Form::Text(self.table.row(told))
        };
        let sort = args.sort.or_else(|| args.reverse.then_some(Sort::Time));
        let key = sort.map(|sort| Key::of(flow, sort));
        self.held.push(Held { client: address(flow), key, form });
    }

    fn sort(&mut self) {
        self.held.sort_by(|one, other| one.key.cmp(&other.key));
        if self.view.args.reverse {
            self.held.reverse();
        }
    }

    fn draw(&mut self, out: &mut dyn Write) -> io::Result<()> {
        let View { args, look, .. } = self.view;
        let left = args.limit.map_or(usize::MAX, |limit| {
            limit.saturating_sub(usize::try_from(self.remarks.shown).unwrap_or(usize::MAX))
        });
        let mut held = std::mem::take(&mut self.held);
        held.truncate(left);
        self.remarks.shown += held.len() as u64;
        // Many lines are made by two, each a half.
        let second = held.split_off(held.len() / 2);
        let (consoles, redactor) = (&self.consoles, self.redactor.as_ref());
        let text = |held: Vec<Held>| {
            let texts = held.into_iter().map(|held| held.text(consoles, redactor, look));
            texts.collect::<String>()
        };
        let (first, second) = std::thread::scope(|scope| {
            let second = scope.spawn(|| text(second));
            (text(held), second.join().unwrap_or_else(|panic| resume_unwind(panic)))
        });
        out.write_all(first.as_bytes())?;
        out.write_all(second.as_bytes())
    }
}

/// What rows are sorted by; equal ones stay in the order of time.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    LargestFirst(std::cmp::Reverse<u128>),
    SmallestFirst(i64),
    Text(Vec<String>),
}

impl Key {
    fn of(flow: &Flow, sort: Sort) -> Self {
        let largest = |number: u128| Self::LargestFirst(std::cmp::Reverse(number));
        match sort {
            Sort::Time => Self::SmallestFirst(flow.started.0),
            Sort::Size => largest(u128::from(flow.request_bytes) + u128::from(flow.response_bytes)),
            Sort::Duration => largest(flow.latest.since(flow.started).as_micros()),
            Sort::Status => Self::SmallestFirst(flow.status().map_or(0, i64::from)),
            Sort::Host => {
                let host = flow.target.as_ref().map(|target| target.authority().host.to_string());
                Self::Text(
                    host.iter().flat_map(|host| host.rsplit('.').map(str::to_owned)).collect(),
                )
            }
            Sort::Category => Self::Text(vec![flow.classification.category.to_string()]),
        }
    }
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
            ..Args::default()
        };
        let mut out = Vec::new();
        let remarks =
            run(&args, Arc::new(Catalog::builtin()), &Look::PLAIN, &TimeZone::UTC, &mut out)?;
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
