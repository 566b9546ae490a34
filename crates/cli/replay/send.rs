//! `consoletap replay send`: the recorded requests go out again; 0 where every answer says what was
//! recorded, 1 where one does not, 2 where nothing can be sent as asked.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;
use consoletap_catalog::Catalog;
use consoletap_flow::{HostGlob, Scheme};
use consoletap_interchange::Lessons;
use consoletap_proxy::Redirect;
use consoletap_redact::{Redactor, is_secret_name};
use consoletap_replay::{
    Comparison, Difference, Fields, Order, Outcome, SendError, SendSettings, Sent, Tally, Variables,
};
use consoletap_session::Session;
use consoletap_tls::{ClientCertificate, ExtraRoots, Trust, TrustSettings};
use serde_json::json;

use crate::amounts::count;
use crate::escape::escape;
use crate::exit::Usage;
use crate::look::{Ink, Look};
use crate::quantity::Span;
use crate::run::{runtime, trace};
use crate::session::Wanted;
use crate::terminal::Printer;

/// How long an answer may take to begin, where nothing else is said.
const PATIENCE: Duration = Duration::from_secs(30);

/// More differences of one answer nobody reads.
const MOST_SHOWN: usize = 40;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The session's folder
    pub(crate) directory: PathBuf,
    /// Which requests: the number of a flow, or a filter [default: all]
    #[arg(value_name = "FLOW|FILTER")]
    pub(crate) filter: Vec<String>,
    /// Send them all there, as `127.0.0.1:8000`; with http:// or https:// before it in that scheme.
    /// `Host` and the check of certificates stay as they were recorded
    #[arg(long, value_name = "[SCHEME://]HOST[:PORT]")]
    pub(crate) to: Option<Goal>,
    /// Connect there instead (repeatable), as `*.example.net=192.168.1.5:8000`
    #[arg(long, value_name = "GLOB=ADDRESS[:PORT]")]
    pub(crate) resolve: Vec<Redirect>,
    /// Send at once what was under way at once; without it one request waits for the other
    #[arg(long, value_enum, value_name = "HOW")]
    pub(crate) parallel: Option<Parallel>,
    /// The value of something that was taken out of the session as a secret (repeatable); what is
    /// needed is listed where it is missing
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) var: Vec<Var>,
    /// Send what stands in for secrets as it is, where there is no value
    #[arg(long)]
    pub(crate) keep_stand_ins: bool,
    /// Do not compare this header field (repeatable)
    #[arg(long, value_name = "NAME")]
    pub(crate) ignore_header: Vec<String>,
    /// Compare this header field, too, as `etag` (repeatable)
    #[arg(long, value_name = "NAME")]
    pub(crate) header: Vec<String>,
    /// How long an answer may take to begin, and to go on [default: 30s]
    #[arg(long, value_name = "TIME")]
    pub(crate) timeout: Option<Span>,
    /// Believe these servers without a valid certificate (repeatable); all, where none is named
    #[arg(long, value_name = "HOST-GLOB", num_args = 0..=1, default_missing_value = "*",
          require_equals = true)]
    pub(crate) insecure_upstream: Vec<HostGlob>,
    /// Believe servers under the certificates in this PEM file, too (repeatable)
    #[arg(long, value_name = "[HOST-GLOB=]FILE")]
    pub(crate) upstream_ca: Vec<ExtraRoots>,
    /// Show these servers a client certificate, PEM or P12 (repeatable)
    #[arg(long, value_name = "HOST-GLOB=FILE[:SECOND]")]
    pub(crate) client_cert: Vec<ClientCertificate>,
    /// One JSON line for each request
    #[arg(long)]
    pub(crate) json: bool,
    /// Only what is not the same
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// Show passwords, tokens and device ids in what differs
    #[arg(long, visible_alias = "with-secrets")]
    pub(crate) raw: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Parallel {
    /// As it was recorded, without the pauses
    Recorded,
}

/// Where everything is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Goal {
    scheme: Option<Scheme>,
    redirect: Redirect,
}

impl FromStr for Goal {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (scheme, place) = match text.split_once("://") {
            Some(("http", place)) => (Some(Scheme::Http), place),
            Some(("https", place)) => (Some(Scheme::Https), place),
            Some((other, _)) => return Err(format!("{other} is neither http nor https")),
            None => (None, text),
        };
        let place = place.strip_suffix('/').unwrap_or(place);
        let redirect = format!("*={place}").parse::<Redirect>();
        let redirect = redirect.map_err(|error| error.to_string())?;
        Ok(Self { scheme, redirect })
    }
}

/// `NAME=VALUE`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Var(String, String);

impl FromStr for Var {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((name, value)) if !name.is_empty() => Ok(Self(name.to_owned(), value.to_owned())),
            _ => Err("write NAME=VALUE".to_owned()),
        }
    }
}

/// Sends them, and tells of each.
pub(crate) fn run(args: &Args, printer: &Arc<Printer>) -> anyhow::Result<ExitCode> {
    trace(false, printer);
    let wanted = Wanted::parse(&args.filter)?;
    let session = Session::open(&args.directory).map_err(Usage::new)?;
    let wanted = wanted.of(&session);
    let catalog = Arc::new(Catalog::builtin());
    let page = Page {
        look: printer.data_look(),
        redactor: (!args.raw).then(|| learned(&session, Arc::clone(&catalog))),
        args,
        printer,
    };
    let settings = settings(args, catalog)?;
    let mut printed = Ok(());
    let mut tell = |sent: Sent| {
        if printed.is_ok() {
            printed = page.tell(&sent);
        }
    };
    let fits = |flow: &_| wanted.fits(flow);
    let sending = consoletap_replay::send(&session, &fits, settings, &mut tell);
    let tally = runtime()?.block_on(sending).map_err(|error| match error {
        SendError::Bind(_) => anyhow::Error::from(error),
        error => Usage::new(error).into(),
    })?;
    printed?;
    if tally == Tally::default() {
        let nothing = format!("no request of {} fits", args.directory.display());
        return Err(Usage::new(nothing).into());
    }
    printer.say(&summary(tally));
    Ok(if tally.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn settings(args: &Args, catalog: Arc<Catalog>) -> anyhow::Result<SendSettings> {
    let trust = TrustSettings {
        extra_roots: args.upstream_ca.clone(),
        insecure: args.insecure_upstream.clone(),
        client_certificates: args.client_cert.clone(),
        ..TrustSettings::default()
    };
    let mut redirects = args.resolve.clone();
    redirects.extend(args.to.iter().map(|goal| goal.redirect.clone()));
    let fields = args.header.iter().fold(Fields::default(), |fields, name| fields.with(name));
    let fields = args.ignore_header.iter().fold(fields, |fields, name| fields.without(name));
    // Names of the environment that are no text are none of ours.
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let given = Variables::default().with_environment(environment);
    let given = args.var.iter().fold(given, |given, Var(name, value)| given.with(name, value));
    Ok(SendSettings {
        catalog,
        redirects,
        scheme: args.to.as_ref().and_then(|goal| goal.scheme),
        order: args.parallel.map_or(Order::OneByOne, |Parallel::Recorded| Order::Recorded),
        variables: if args.keep_stand_ins { given.keeping_stand_ins() } else { given },
        fields,
        trust: Arc::new(Trust::new(&trust).map_err(Usage::new)?),
        patience: args.timeout.map_or(PATIENCE, |Span(time)| time),
    })
}

/// What is secret in the session, not to be printed.
pub(super) fn learned(session: &Session, catalog: Arc<Catalog>) -> Redactor {
    let mut redactor = Redactor::masking(catalog);
    Lessons::quick(session).take_all(&mut redactor);
    redactor
}

struct Page<'a> {
    args: &'a Args,
    look: Look,
    redactor: Option<Redactor>,
    printer: &'a Printer,
}

impl Page<'_> {
    fn tell(&self, sent: &Sent) -> std::io::Result<()> {
        let is_same =
            matches!(&sent.outcome, Outcome::Compared(found) if found.differences.is_empty());
        if self.args.quiet && is_same {
            return Ok(());
        }
        self.printer.data(&if self.args.json { self.json(sent) } else { self.text(sent) })
    }

    fn text(&self, sent: &Sent) -> String {
        let (word, ink) = match &sent.outcome {
            Outcome::Compared(found) if found.differences.is_empty() => ("same", Ink::Good),
            Outcome::Compared(_) => ("differs", Ink::Bad),
            Outcome::Failed(_) => ("failed", Ink::Bad),
            Outcome::NotSent(_) => ("not sent", Ink::Notice),
        };
        let word = self.look.paint(ink, &format!("{word:<8}"));
        let url = self.shown(&sent.url);
        let mut text = format!("{word} {:>4} {} {url}", sent.flow.0, sent.method);
        if let Outcome::Compared(Comparison { document: Some(document), .. }) = &sent.outcome {
            text.push_str(&self.look.paint(Ink::Dim, &format!(" ({document})")));
        }
        text.push('\n');
        match &sent.outcome {
            Outcome::Compared(found) => self.comparison(&mut text, found),
            Outcome::Failed(why) => self.line(&mut text, Ink::Plain, &self.shown(why)),
            Outcome::NotSent(why) => self.line(&mut text, Ink::Plain, why),
        }
        text
    }

    fn comparison(&self, text: &mut String, found: &Comparison) {
        for difference in found.differences.iter().take(MOST_SHOWN) {
            let place = escape(&difference.place, self.look.charset);
            let (before, after) = self.values(difference);
            for (sign, value, ink) in [('-', before, Ink::Bad), ('+', after, Ink::Good)] {
                if let Some(value) = value {
                    self.line(text, ink, &format!("{sign} {place}: {value}"));
                }
            }
        }
        let more = found.differences.len().saturating_sub(MOST_SHOWN);
        if more > 0 {
            self.line(text, Ink::Dim, &format!("and {}", count(more as u64, "more", "more")));
        }
        for remark in &found.remarks {
            self.line(text, Ink::Dim, remark);
        }
    }

    fn line(&self, text: &mut String, ink: Ink, line: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "         {}", self.look.paint(ink, line));
    }

    /// What was there and what came, as it may be shown.
    fn values(&self, difference: &Difference) -> (Option<String>, Option<String>) {
        let name = difference.place.rsplit(['/', '@']).next().unwrap_or_default();
        let is_secret = self.redactor.is_some() && is_secret_name(name);
        let shown = |value: &Option<String>| {
            value.as_ref().map(|value| if is_secret { "***".to_owned() } else { self.shown(value) })
        };
        (shown(&difference.before), shown(&difference.after))
    }

    fn shown(&self, text: &str) -> String {
        let clean =
            self.redactor.as_ref().map_or_else(|| text.into(), |redactor| redactor.text(text));
        escape(&clean, self.look.charset).into_owned()
    }

    fn json(&self, sent: &Sent) -> String {
        let clean = |text: &str| {
            self.redactor.as_ref().map_or_else(|| text.to_owned(), |it| it.text(text).into_owned())
        };
        let mut line = json!({
            "flow": sent.flow, "method": sent.method, "url": clean(&sent.url), "result": null,
        });
        match &sent.outcome {
            Outcome::Compared(found) => {
                let differences = found.differences.iter().map(|difference| {
                    let (before, after) = self.values(difference);
                    json!({ "place": difference.place, "before": before, "after": after })
                });
                let same = found.differences.is_empty();
                line["result"] = if same { "same" } else { "different" }.into();
                line["document"] = found.document.into();
                line["differences"] = differences.collect();
                line["remarks"] = found.remarks.clone().into();
            }
            Outcome::Failed(why) => {
                line["result"] = "failed".into();
                line["error"] = clean(why).into();
            }
            Outcome::NotSent(why) => {
                line["result"] = "not-sent".into();
                line["error"] = (*why).into();
            }
        }
        format!("{line}\n")
    }
}

fn summary(tally: Tally) -> String {
    let Tally { same, different, failed, not_sent, problems } = tally;
    let sent = same + different + failed;
    let mut text =
        format!("{}: {same} the same", count(sent, "request was sent", "requests were sent"));
    for (number, what) in [(different, "different"), (failed, "without an answer")] {
        if number > 0 {
            let _ = write!(text, ", {number} {what}");
        }
    }
    text.push_str(".\n");
    if not_sent > 0 {
        let _ = writeln!(text, "{} not sent.", count(not_sent, "request was", "requests were"));
    }
    if problems > 0 {
        let lines = count(problems, "line", "lines");
        let _ = writeln!(text, "{lines} of the log could not be read.");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_is_a_place_with_or_without_a_scheme() {
        let goal = |text: &str| text.parse::<Goal>();
        assert_eq!(goal("127.0.0.1:8000").unwrap().scheme, None);
        assert_eq!(goal("http://[::1]:8000/").unwrap().scheme, Some(Scheme::Http));
        assert_eq!(goal("https://a.example").unwrap().redirect.to_string(), "*=a.example");
        for bad in ["", "ftp://a", "a:0", "http://"] {
            assert!(goal(bad).is_err(), "{bad}");
        }
        assert_eq!("sid=a=b".parse(), Ok(Var("sid".to_owned(), "a=b".to_owned())));
        assert!("=x".parse::<Var>().is_err() && "x".parse::<Var>().is_err());
    }
}
