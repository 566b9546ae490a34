//! `consoletap demo`: a simulated PS4 starts up through a real proxy on loopback, so that
//! somebody without a console sees the log, the categories and a session within seconds.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use consoletap_catalog::Catalog;
use consoletap_proxy::{Listener, Parts, Proxy, Redirect, TlsParts};
use consoletap_rules::RuleBook;
use consoletap_simulator::{Pace, World, ps4_start_up};
use consoletap_tls::{Learned, Trust, TrustSettings};
use tokio::sync::oneshot;

use crate::args::DemoArgs;
use crate::recording::Recording;
use crate::run::{runtime, trace};
use crate::settings::{SessionPlace, Views};
use crate::shown::Shown;
use crate::terminal::Printer;

/// Plays the start-up once.
pub(crate) fn run(args: DemoArgs, printer: &Arc<Printer>) -> anyhow::Result<ExitCode> {
    trace(false, printer);
    runtime()?.block_on(play(args, printer))
}

async fn play(args: DemoArgs, printer: &Arc<Printer>) -> anyhow::Result<ExitCode> {
    let world = World::start().await.context("cannot start the simulated servers")?;
    let listener = Listener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, args.port))).await?;
    let proxy = listener.local_addr();
    let views = Views { log: true, json: false, summary: true, verbose: false };
    let place = args.write.map_or(SessionPlace::New, SessionPlace::Folder);
    let options = serde_json::json!({ "demo": true });
    let catalog = Arc::new(Catalog::builtin());
    let recording = Recording::start(
        &place.into(),
        options,
        views,
        &Shown::default(),
        &catalog,
        Arc::clone(printer),
        || {},
    )?;
    printer.say(&format!("listening on {proxy}\nA simulated PS4 starts up through it.\n\n"));

    let wire = consoletap_proxy::Settings {
        first_flow: recording.first_flow(),
        redirects: redirects(&world)?,
        ..consoletap_proxy::Settings::default()
    };
    let parts = Parts {
        catalog,
        rules: Arc::new(RuleBook::default()),
        tls: TlsParts {
            interceptor: None,
            trust: Arc::new(Trust::new(&TrustSettings::default())?),
            learned: Arc::new(Learned::load(None)),
        },
        recorder: recording.recorder(),
        seen: Some(recording.seen()),
        origin: None,
    };
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(Proxy::new(listener, wire, parts).run(async {
        let _ = stopped.await;
    }));
    let report = ps4_start_up(proxy, &world, Pace::for_people()).await;
    drop(stop);
    serving.await.context("the proxy ended with a panic")?;
    let whole = recording.close()?;

    let report = report.context("the simulated console could not reach the proxy")?;
    for step in report.surprises() {
        printer.say(&format!("Unlike a real start-up: {step}\n"));
    }
    let good = whole && report.is_as_documented();
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Every documented host leads to the simulated servers.
fn redirects(world: &World) -> anyhow::Result<Vec<Redirect>> {
    let rules = world.resolve_rules();
    rules.iter().map(|rule| rule.parse().context("a redirect of the simulator")).collect()
}
