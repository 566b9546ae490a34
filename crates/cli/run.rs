//! `consoletap run`: the socket first, then everything that takes time; at the end everything is
//! written down before the program says good-bye.

use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use consoletap_catalog::Catalog;
use consoletap_flow::Recorder;
use consoletap_proxy::{Listener, Origin, Parts, Proxy, TlsParts};
use consoletap_rules::{RuleBook, Rules};
use consoletap_tls::{Interceptor, KeyLogFile, Learned, Trust, TrustSettings};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustls::KeyLog;
use serde_json::json;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;
use tracing_subscriber::EnvFilter;

use crate::args::RunArgs;
use crate::banner;
use crate::certs::CaPlace;
use crate::exit::Usage;
use crate::recording::Recording;
use crate::rules::watch::{Named, Watch};
use crate::settings::Settings;
use crate::shown::Shown;
use crate::terminal::{Printer, Tracing};

/// Runs the proxy until it is told to stop.
pub(crate) fn run(args: RunArgs, printer: &Arc<Printer>) -> anyhow::Result<ExitCode> {
    let settings = Settings::read(args)?;
    trace(settings.views.verbose, printer);
    raise_descriptor_limit();
    runtime()?.block_on(serve(settings, printer, None))
}

/// The same with a session that stands in for servers.
pub(crate) fn run_with(
    settings: Settings,
    stand_in: Box<dyn StandIn>,
    printer: &Arc<Printer>,
) -> anyhow::Result<ExitCode> {
    trace(settings.views.verbose, printer);
    raise_descriptor_limit();
    runtime()?.block_on(serve(settings, printer, Some(stand_in)))
}

/// What a run has that does not ask servers, or not for all.
pub(crate) trait StandIn {
    /// Who answers.
    fn origin(&self) -> Arc<dyn Origin>;

    /// Who keeps the flows, given who shows or keeps them in any run.
    fn recorder(&mut self, usual: Arc<dyn Recorder>) -> anyhow::Result<Arc<dyn Recorder>>;

    /// The number of the first flow, where it matters.
    fn first_flow(&self) -> Option<u64>;

    /// What a person should know before it begins.
    fn greeting(&self) -> String;

    /// At the end: what came of it, and whether all is well.
    fn close(&mut self) -> (String, bool);
}

/// The most descriptors that are asked for; each is a line in a table of the kernel.
const MOST_DESCRIPTORS: u64 = 1 << 18;

/// Every client costs two descriptors, and the usual limit of 1,024 is for programs that count
/// them in a bit set. What may be had without asking is taken.
fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(u64::MAX).min(MOST_DESCRIPTORS);
    if limit.current.is_some_and(|current| current < most) {
        let raised = Rlimit { current: Some(most), maximum: limit.maximum };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            tracing::debug!(%error, "the limit of open files stays as it is");
        }
    }
}

/// The runtime of the commands that use the network.
pub(crate) fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.enable_all().build().context("cannot start the threads of the proxy")
}

async fn serve(
    settings: Settings,
    printer: &Arc<Printer>,
    mut stand_in: Option<Box<dyn StandIn>>,
) -> anyhow::Result<ExitCode> {
    let signals = Signals::listen().context("cannot listen for Ctrl-C")?;
    let listener = Listener::bind(settings.listen).await?;
    let listen = listener.local_addr();
    printer.say(&format!("listening on {listen}\n"));
    // A thread that only warms a cache up: whether it gets to run does not matter.
    let _ = std::thread::Builder::new().spawn(consoletap_tls::warm_up);

    let catalog = Arc::new(Catalog::load(&settings.catalog).map_err(Usage::new)?);
    let rules = Rules::load_naming(&settings.rules, &settings.clients).map_err(Usage::new)?;
    let rules = Arc::new(RuleBook::new(rules));
    let tls = tls(&settings)?;
    let reader_gone = Arc::new(Notify::new());
    let tell = Arc::clone(&reader_gone);
    let shown = Shown::new(settings.filter.clone());
    let recording = Recording::start(
        &settings.session,
        options(&settings),
        settings.views,
        &shown,
        &catalog,
        Arc::clone(printer),
        move || tell.notify_one(),
    )?;
    let recorder = match &mut stand_in {
        Some(stand_in) => stand_in.recorder(recording.recorder())?,
        None => recording.recorder(),
    };
    let first_flow = stand_in.as_ref().and_then(|stand_in| stand_in.first_flow());
    let told = stand_in.as_ref().map(|stand_in| stand_in.greeting()).unwrap_or_default();
    printer.say(&greeting(&settings, &tls, &recording, listen, &told, printer));

    let first_flow = first_flow.unwrap_or_else(|| recording.first_flow());
    let wire = consoletap_proxy::Settings { first_flow, ..settings.proxy };
    let parts = Parts {
        catalog,
        rules: Arc::clone(&rules),
        tls,
        recorder,
        seen: Some(recording.seen()),
        origin: stand_in.as_ref().map(|stand_in| stand_in.origin()),
    };
    let named = Named { rules: settings.rules.clone(), clients: settings.clients.clone() };
    let watch = Watch::start(named, rules, Arc::clone(printer));
    let stop = stop(signals, reader_gone, Arc::clone(printer));
    Proxy::new(listener, wire, parts).run(stop).await;
    drop(watch);
    let (told, is_well) = match &mut stand_in {
        Some(stand_in) => stand_in.close(),
        None => (String::new(), true),
    };
    let whole = recording.close()? && is_well;
    printer.say(&told);
    Ok(if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Our certificates and what we believe. A CA that cannot be made matters only where TLS is to be
/// opened.
fn tls(settings: &Settings) -> anyhow::Result<TlsParts> {
    let key_log: Option<Arc<dyn KeyLog>> = match &settings.key_log {
        Some(path) => {
            let file = KeyLogFile::open(path)
                .with_context(|| format!("cannot write the key log {}", path.display()))?;
            Some(Arc::new(file))
        }
        None => None,
    };
    let trust = TrustSettings { key_log: key_log.clone(), ..settings.trust.clone() };
    let trust = Arc::new(Trust::new(&trust).map_err(Usage::new)?);
    let with_key_log = |interceptor: Interceptor| match key_log {
        Some(key_log) => interceptor.with_key_log(key_log),
        None => interceptor,
    };
    let authority = settings.ca.authority().and_then(Interceptor::new).map(with_key_log);
    let interceptor = match authority {
        Ok(interceptor) => Some(Arc::new(interceptor)),
        Err(error) if settings.intercepts() || is_own(settings) => return Err(error.into()),
        Err(error) => {
            tracing::warn!("TLS cannot be opened in this run: {error}");
            None
        }
    };
    if let Some(interceptor) = interceptor.clone().filter(|_| settings.intercepts()) {
        let trust = Arc::clone(&trust);
        // Keys and roots cost up to 100 ms; what fails here fails again in its flow's row.
        let _ = std::thread::Builder::new().spawn(move || {
            let _ = interceptor.prepare();
            trust.prepare();
        });
    }
    let learned = Arc::new(Learned::load(Some(crate::tls::list_file(&settings.certs))));
    Ok(TlsParts { interceptor, trust, learned })
}

/// Whether the user named a CA, so that a mistake in it is one to tell at once.
fn is_own(settings: &Settings) -> bool {
    matches!(settings.ca, CaPlace::Files { .. })
}

/// What to type into the console, what is written, and how to stop.
fn greeting(
    settings: &Settings,
    tls: &TlsParts,
    recording: &Recording,
    listen: std::net::SocketAddr,
    told: &str,
    printer: &Printer,
) -> String {
    let mut text = banner::draw(listen, &banner::places(), &printer.look());
    match recording.directory() {
        Some(directory) => text.push_str(&format!("Session: {}\n", directory.display())),
        None => text.push_str("No session is written.\n"),
    }
    text.push_str(told);
    if !settings.rules.is_empty() {
        text.push_str(&format!("Rules: {}\n", settings.rules.join(", ")));
    }
    if let Some(filter) = &settings.filter {
        text.push_str(&format!("Shown are only flows that fit {filter}\n"));
    }
    if settings.intercepts() && tls.interceptor.is_some() {
        let file = settings.ca.certificate();
        text.push_str(&format!("TLS is opened; the certificate to trust: {}\n", file.display()));
    }
    if let Some(path) = &settings.key_log {
        text.push_str(&format!(
            "SECRETS ARE WRITTEN: whoever has {} can read all TLS that is opened in this run\n",
            path.display()
        ));
    }
    text.push_str("Stop with Ctrl-C.\n");
    text
}

/// The options of a run, for whoever reads the session later.
fn options(settings: &Settings) -> serde_json::Value {
    fn texts<T: ToString>(list: &[T]) -> Vec<String> {
        list.iter().map(ToString::to_string).collect()
    }
    let wire = &settings.proxy;
    json!({
        "listen": settings.listen.to_string(),
        "intercept": texts(&wire.tls.intercept),
        "intercept-all": wire.tls.intercept_all,
        "tunnel": texts(&wire.tls.tunnel),
        "block-tls": texts(&wire.tls.block),
        "force": wire.tls.force,
        "legacy-tls": texts(&wire.tls.legacy),
        "legacy-upstream": texts(&settings.trust.legacy),
        "copy-upstream-names": texts(&wire.tls.copy_names),
        "insecure-upstream": texts(&settings.trust.insecure),
        "upstream-ca": texts(&settings.trust.extra_roots),
        "client-cert": texts(&settings.trust.client_certificates),
        "key-log": settings.key_log,
        "resolve": texts(&wire.redirects),
        "rules": settings.rules,
        "keep-whole": wire.keep.whole,
        "keep-prefix": wire.keep.prefix,
        "keep-full": wire.keep.full,
    })
}

/// What tells the program to stop. Listening begins early: a signal that comes while the proxy
/// starts ends it as properly.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// A signal so soon after the first is the same wish: `timeout` signals its child and then the
/// child's group, and a wrapper may pass on the Ctrl-C that the terminal has sent already.
const SAME_WISH: Duration = Duration::from_millis(250);

/// Resolves at the first signal, or when nobody reads the JSON lines any more. A second signal
/// ends the program at once: what was shown is on disk already.
async fn stop(mut signals: Signals, reader_gone: Arc<Notify>, printer: Arc<Printer>) {
    tokio::select! {
        () = signals.next() => {}
        () = reader_gone.notified() => {}
    }
    let first = Instant::now();
    tokio::spawn(async move {
        while first.elapsed() < SAME_WISH {
            signals.next().await;
        }
        printer.redraw(Vec::new());
        std::process::exit(1);
    });
}

/// Warnings go to people always, more where it is asked for.
pub(crate) fn trace(verbose: bool, printer: &Arc<Printer>) {
    let usual = if verbose { "warn,consoletap=debug" } else { "warn" };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(usual));
    let colour = printer.look().colour;
    let printer = Arc::clone(printer);
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(colour)
        .with_writer(move || Tracing(Arc::clone(&printer)))
        .finish();
    // It fails only where one is set, which then is the one to use.
    let _ = tracing::subscriber::set_global_default(subscriber);
}
