//! `consoletap replay serve`: the proxy of a run, with a recorded session in the place of servers.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use clap::ValueEnum;
use consoletap_catalog::Catalog;
use consoletap_flow::Recorder;
use consoletap_proxy::{Keep, Origin};
use consoletap_redact::{Redactor, is_secret_name};
use consoletap_replay::{
    Additions, Fields, MatchKeys, Mode, Replay, ReplaySettings, Seen, Spied, Spy,
};

use crate::amounts::count;
use crate::args::RunArgs;
use crate::escape::{Charset, escape};
use crate::exit::Usage;
use crate::replay::send::learned;
use crate::run::{StandIn, run_with};
use crate::settings::{SessionPlace, Settings};
use crate::terminal::Printer;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The session's folder
    #[arg(value_name = "DIR")]
    pub(crate) session: PathBuf,
    /// What must be the same for an answer to fit, as `method,host,path,query:id`; with + or - before
    /// them they change the usual ones, as `-query:time,+body`; docs/replay.md has all of them
    /// [default: method,scheme,host,path,query]
    #[arg(long = "match", value_name = "KEYS", allow_hyphen_values = true)]
    pub(crate) keys: Option<MatchKeys>,
    /// What a request gets that comes more often than it was recorded [default: last]
    #[arg(long, value_enum, value_name = "WHAT")]
    pub(crate) repeat: Option<Repeat>,
    /// The status of requests without an answer [default: 504]
    #[arg(long, value_name = "STATUS", value_parser = clap::value_parser!(u16).range(400..600))]
    pub(crate) unmatched: Option<u16>,
    /// Take as long for answers as it took then: `recorded`, or that many times, as 0.5
    #[arg(long, value_name = "HOW")]
    pub(crate) timing: Option<Timing>,
    /// Send on what is not in the session, and add it (missing), or send on everything and add it
    /// (all); without it nobody is connected to
    #[arg(long, value_enum, value_name = "WHAT", conflicts_with = "spy")]
    pub(crate) record: Option<Record>,
    /// Send on everything, and tell where answers differ from the recorded ones
    #[arg(long, conflicts_with_all = ["repeat", "timing", "unmatched"])]
    pub(crate) spy: bool,
    #[command(flatten)]
    pub(crate) run: RunArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Repeat {
    /// The last answer again
    Last,
    /// The first answer, and so on
    Again,
    /// None
    Never,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Record {
    /// What is not in the session
    Missing,
    /// Everything
    All,
}

/// `recorded`, or a number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Timing(consoletap_replay::Timing);

impl FromStr for Timing {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let times = match text {
            "recorded" => 1.0,
            text => text
                .parse()
                .ok()
                .filter(|times: &f64| times.is_finite() && (0.0..=1000.0).contains(times))
                .ok_or("write `recorded`, or a number from 0 to 1000, as 0.5")?,
        };
        Ok(Self(match times {
            0.0 => consoletap_replay::Timing::AtOnce,
            times => consoletap_replay::Timing::Recorded(times),
        }))
    }
}

/// Runs it until it is told to stop.
pub(crate) fn run(args: Args, printer: &Arc<Printer>) -> anyhow::Result<ExitCode> {
    let Args { session, keys, repeat, unmatched, timing, record, spy, run } = args;
    if record == Some(Record::All) {
        return record_all(session, run, printer);
    }
    if record.is_some() && run.write.is_some() {
        let text = "--record adds to the session that is served; --write names another one";
        return Err(Usage::new(text).into());
    }
    // What is replayed is recorded already; whoever wants it once more says where.
    let no_session = run.no_session || run.write.is_none();
    let mut settings = Settings::read(RunArgs { no_session, ..run })?;
    if no_session {
        settings.session.place = SessionPlace::Nowhere;
    }
    if spy || record.is_some() {
        // What is added has to be whole to be replayed; what is compared is done with afterwards.
        settings.proxy.keep = Keep { full: !spy, ..Keep::default() };
    }
    let mode = match record {
        _ if spy => Mode::Spy,
        Some(_) => Mode::Missing,
        None => Mode::Replay,
    };
    let catalog = Arc::new(Catalog::load(&settings.catalog).map_err(Usage::new)?);
    let usual = ReplaySettings::new(Arc::clone(&catalog));
    let replay = Replay::open(
        &session,
        ReplaySettings {
            keys: keys.unwrap_or_default(),
            repeat: match repeat.unwrap_or(Repeat::Last) {
                Repeat::Last => consoletap_replay::Repeat::Last,
                Repeat::Again => consoletap_replay::Repeat::Again,
                Repeat::Never => consoletap_replay::Repeat::Never,
            },
            mode,
            timing: timing.map_or(usual.timing, |Timing(timing)| timing),
            unmatched: unmatched.unwrap_or(usual.unmatched),
            ..usual
        },
    );
    let replay = Arc::new(replay.map_err(Usage::new)?);
    let options = settings.session.options.clone();
    let served = Served {
        replay,
        mode,
        options,
        catalog,
        printer: Arc::clone(printer),
        additions: None,
        spy: None,
        differences: Arc::default(),
    };
    run_with(settings, Box::new(served), printer)
}

/// Everything anew, which is what a run does that goes on with a session.
fn record_all(session: PathBuf, run: RunArgs, printer: &Arc<Printer>) -> anyhow::Result<ExitCode> {
    let about = consoletap_session::Session::open(&session).map_err(Usage::new)?;
    if about.about().trimmed {
        let directory = session.display();
        let text = format!(
            "{directory} is a trimmed session, which people edit, so that nothing is recorded into \
             it; record a session of its own and trim it"
        );
        return Err(Usage::new(text).into());
    }
    crate::run::run(RunArgs { write: Some(session), ..run }, printer)
}

/// A session that is served.
struct Served {
    replay: Arc<Replay>,
    mode: Mode,
    options: consoletap_session::Options,
    catalog: Arc<Catalog>,
    printer: Arc<Printer>,
    additions: Option<Arc<Additions>>,
    spy: Option<Arc<Spy>>,
    differences: Arc<AtomicU64>,
}

impl StandIn for Served {
    fn origin(&self) -> Arc<dyn Origin> {
        Arc::clone(&self.replay) as Arc<dyn Origin>
    }

    fn recorder(&mut self, usual: Arc<dyn Recorder>) -> anyhow::Result<Arc<dyn Recorder>> {
        match self.mode {
            Mode::Replay => Ok(usual),
            Mode::Missing => {
                let additions = Additions::begin(&self.replay, self.options.clone(), usual);
                let additions = additions.map_err(Usage::new)?;
                self.additions = Some(Arc::clone(&additions));
                Ok(additions)
            }
            Mode::Spy => {
                let (printer, differences) = (Arc::clone(&self.printer), self.differences.clone());
                let redactor = learned(self.replay.session(), Arc::clone(&self.catalog));
                let charset = printer.look().charset;
                let tell = move |spied: Spied| {
                    if let Some(text) = difference(&spied, &redactor, charset) {
                        let known = !matches!(spied.seen, Seen::NotRecorded(_));
                        differences.fetch_add(u64::from(known), Ordering::Relaxed);
                        printer.say(&text);
                    }
                };
                let spy = Spy::begin(&self.replay, usual, Fields::default(), Box::new(tell))?;
                self.spy = Some(Arc::clone(&spy));
                Ok(spy)
            }
        }
    }

    fn first_flow(&self) -> Option<u64> {
        self.additions.as_ref().map(|additions| additions.first_flow())
    }

    fn greeting(&self) -> String {
        let directory = self.replay.session().directory().display();
        let requests = count(self.replay.exchanges() as u64, "request", "requests");
        let what = match self.mode {
            Mode::Replay => "nobody is connected to",
            Mode::Missing => "what is not in it is sent on, and added to it",
            Mode::Spy => "everything is sent on, and compared with it",
        };
        let mut text = format!("Replayed: {directory}, {requests} with answers; {what}\n");
        let problems = self.replay.problems();
        for problem in problems.iter().take(3) {
            let _ = writeln!(text, "Not replayed: {problem}");
        }
        if problems.len() > 3 {
            let _ = writeln!(text, "Not replayed: {} more lines", problems.len() - 3);
        }
        text
    }

    fn close(&mut self) -> (String, bool) {
        let mut text = String::new();
        let mut is_well = true;
        if let Some(additions) = &self.additions {
            let lost = additions.close().lost_events;
            is_well = lost == 0;
            if lost > 0 {
                let _ =
                    writeln!(text, "Not added to the session: {}", count(lost, "event", "events"));
            }
        }
        if let Some(spy) = &self.spy {
            let passed_over = spy.close();
            let differences = self.differences.load(Ordering::Relaxed);
            let _ = match differences {
                0 => writeln!(text, "No answer differed from the recorded ones."),
                some => writeln!(
                    text,
                    "{} from what was recorded.",
                    count(some, "answer differed", "answers differed")
                ),
            };
            if passed_over > 0 {
                let _ = writeln!(text, "{passed_over} were not compared: they came too fast.");
            }
            is_well = differences == 0;
        }
        (text, is_well)
    }
}

/// Differences of one answer that are shown.
const MOST_SHOWN: usize = 20;

/// What differs, for a person; nothing where nothing does.
fn difference(spied: &Spied, redactor: &Redactor, charset: Charset) -> Option<String> {
    let Spied { flow, asked, seen } = spied;
    let shown = |text: &str| escape(&redactor.text(text), charset).into_owned();
    let asked = shown(asked);
    let (recorded, found) = match seen {
        Seen::Compared(_, found) if found.differences.is_empty() => return None,
        Seen::Compared(recorded, found) => (recorded, found),
        Seen::NotRecorded(why) => {
            let why = why.lines().map(str::trim).collect::<Vec<_>>().join("; ");
            return Some(format!("unknown  {flow} {asked}: {}\n", shown(&why)));
        }
        Seen::Failed(why) => return Some(format!("failed   {flow} {asked}: {}\n", shown(why))),
    };
    let mut text = format!("differs  {flow} {asked} (recorded as flow {recorded})\n");
    for difference in found.differences.iter().take(MOST_SHOWN) {
        let name = difference.place.rsplit('/').next().unwrap_or_default();
        let told = if is_secret_name(name) {
            format!("{}: another secret", difference.place)
        } else {
            difference.to_string()
        };
        let _ = writeln!(text, "         {}", shown(&told));
    }
    Some(text)
}
