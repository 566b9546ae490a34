//! `consoletap session export`: flows in the forms of other tools, without secrets unless they
//! are asked for.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use clap::ValueEnum;
use consoletap_catalog::Catalog;
use consoletap_flow::{Flow, Kind};
use consoletap_interchange::export::{Har, HarPage, Warc, curl, jsonl, raw};
use consoletap_interchange::{Exchange, Secrets, Source};
use consoletap_session::Session;

use crate::amounts::count;
use crate::consoles::{Consoles, address};
use crate::look::Look;
use crate::session::wanted::Wanted;

/// Text that JavaScript can hold (V8: 512 MB); no viewer of HAR opens more.
const VIEWERS_HOLD: u64 = 400 << 20;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The session's folder
    pub(crate) directory: PathBuf,
    /// Which flows: the number of one, or a filter [default: all]
    pub(crate) filter: Vec<String>,
    /// The form
    #[arg(short, long, value_enum)]
    pub(crate) format: Format,
    /// Write to this file, which must not be there yet [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Bodies that are larger, decoded, are left out; the file says so
    #[arg(long, value_name = "BYTES", default_value_t = 1 << 20)]
    pub(crate) max_body: u64,
    /// Leave out tunnels that were passed on unopened
    #[arg(long)]
    pub(crate) no_tunnels: bool,
    /// Keep passwords, tokens and device ids
    #[arg(long, visible_alias = "raw")]
    pub(crate) with_secrets: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// HAR 1.2: Chrome DevTools, Firefox, mitmproxy, HTTP Toolkit, Charles
    Har,
    /// A command of curl for each request
    Curl,
    /// Requests and answers as octets
    Raw,
    /// Everything that is known, a line of JSON for each flow
    Jsonl,
    /// A web archive (WARC 1.1, gzip)
    Warc,
}

/// Writes them; gives what is to be said of it.
pub(crate) fn run(
    args: &Args,
    catalog: Arc<Catalog>,
    stdout: &mut dyn Write,
) -> anyhow::Result<String> {
    let wanted = Wanted::parse(&args.filter)?;
    let session = Session::open(&args.directory)?;
    let wanted = wanted.of(&session);
    let secrets = if args.with_secrets { Secrets::Keep } else { Secrets::Replace };
    let source = Source::new(session, catalog, secrets, args.max_body.max(1 << 20))
        .context("cannot make a key for pseudonyms")?;
    let Some(path) = &args.output else {
        return Export::new(args, &source, &wanted).write(stdout);
    };
    let file = File::options().write(true).create_new(true).mode(0o600).open(path);
    let file = file.with_context(|| format!("cannot write {}", path.display()))?;
    let mut out = BufWriter::with_capacity(1 << 16, file);
    let remarks = Export::new(args, &source, &wanted).write(&mut out)?;
    out.flush().with_context(|| format!("cannot write {}", path.display()))?;
    let bytes = path.metadata().map_or(0, |file| file.len());
    let large = args.format == Format::Har && bytes > VIEWERS_HOLD;
    let advice = if large {
        "It is too large for most viewers: export less of it with a filter, or with --max-body.\n"
    } else {
        ""
    };
    Ok(format!("{remarks}{advice}"))
}

struct Export<'a> {
    args: &'a Args,
    source: &'a Source,
    wanted: &'a Wanted,
    written: u64,
    left_out: BTreeMap<String, u64>,
    problems: u64,
}

impl<'a> Export<'a> {
    fn new(args: &'a Args, source: &'a Source, wanted: &'a Wanted) -> Self {
        Self { args, source, wanted, written: 0, left_out: BTreeMap::new(), problems: 0 }
    }

    fn write(mut self, mut out: &mut dyn Write) -> anyhow::Result<String> {
        let cap = usize::try_from(self.args.max_body).unwrap_or(usize::MAX);
        let about = self.source.session().about();
        let version = env!("CARGO_PKG_VERSION");
        let comment = match (self.args.with_secrets, about.redacted) {
            (true, false) => "WITH SECRETS: passwords, tokens and device ids are in it",
            _ => "secrets were replaced by pseudonyms",
        };
        match self.args.format {
            Format::Har => {
                let mut har = Har::begin(&mut out, "consoletap", version, comment, cap)?;
                let pages = self.each(|exchange| {
                    har.entry(exchange)?;
                    Ok(Ok(()))
                })?;
                har.end(&pages)?;
            }
            Format::Curl => {
                self.each(|exchange| match curl(exchange) {
                    Ok(command) => Ok(Ok(out.write_all(command.as_bytes())?)),
                    Err(why) => Ok(Err(why)),
                })?;
            }
            Format::Raw => {
                self.each(|exchange| Ok(Ok(raw(exchange, &mut out)?)))?;
            }
            Format::Jsonl => {
                self.each(|exchange| Ok(Ok(jsonl(exchange, cap, &mut out)?)))?;
            }
            Format::Warc => {
                let software = format!("consoletap {version}; {comment}");
                let seed = format!("{}{}", self.args.directory.display(), about.started);
                let mut warc = Warc::begin(&mut out, &software, &seed, about.started, true)?;
                self.each(|exchange| {
                    let whole = warc.exchange(exchange)?;
                    Ok(if whole { Ok(()) } else { Err("it is no exchange of HTTP".to_owned()) })
                })?;
                warc.end()?;
            }
        }
        Ok(self.remarks())
    }

    /// Gives every exchange that is wanted to `write`; the clients that were met.
    fn each(
        &mut self,
        mut write: impl FnMut(&Exchange) -> anyhow::Result<Result<(), String>>,
    ) -> anyhow::Result<Vec<HarPage>> {
        let mut pages: Vec<HarPage> = Vec::new();
        let mut consoles = Consoles::default();
        for flow in self.source.flows() {
            let Ok(flow) = flow else {
                self.problems += 1;
                continue;
            };
            if !self.is_wanted(&flow) {
                continue;
            }
            let exchange = self.source.exchange(&flow);
            consoles.learn(&exchange.flow);
            let client = address(&exchange.flow);
            if !pages.iter().any(|page| page.client == client) {
                let started = flow.started;
                pages.push(HarPage { client, title: String::new(), started });
            }
            match write(&exchange)? {
                Ok(()) => self.written += 1,
                Err(why) => *self.left_out.entry(why).or_default() += 1,
            }
        }
        for page in &mut pages {
            let name = consoles.label(page.client, &Look::PLAIN);
            page.title = format!("{name} ({})", page.client);
        }
        Ok(pages)
    }

    fn is_wanted(&self, flow: &Flow) -> bool {
        let is_tunnel = matches!(flow.kind, Kind::Tunnel | Kind::TlsFailure);
        self.wanted.fits(flow) && !(self.args.no_tunnels && is_tunnel)
    }

    fn remarks(&self) -> String {
        let mut text = format!("{}.\n", count(self.written, "flow", "flows"));
        for (why, number) in &self.left_out {
            text.push_str(&format!("{} left out: {why}.\n", count(*number, "flow", "flows")));
        }
        if self.problems > 0 {
            let lines = count(self.problems, "line", "lines");
            text.push_str(&format!("{lines} of the log could not be read.\n"));
        }
        text
    }
}
