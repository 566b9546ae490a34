//! Closed loop: so many clients, each asks again as soon as it was answered. Shows the rate
//! and what a request costs; for latency at a given rate see `latency.rs`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use tokio::task::JoinSet;

use super::{Extent, Metric};
use crate::client::{Connection, Reuse, Route};
use crate::origin::{SMALL_BYTES, SMALL_PATH};
use crate::report::{Figures, microseconds, percentile};
use crate::subject::{Subject, TlsHandling, Workbench};

/// Before the measurement: connections, pools, certificates and allocators warm up.
const WARM_UP: Duration = Duration::from_millis(300);
/// A client that failed this often in one run gives up.
const MOST_ERRORS: u64 = 20;

/// Who asks, and how.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    pub(crate) clients: usize,
    pub(crate) reuse: Reuse,
    pub(crate) tls: Option<TlsHandling>,
    /// Every connection goes to a name that was not asked for before.
    pub(crate) new_hosts: bool,
}

#[derive(Default)]
struct Outcome {
    latencies: Vec<Duration>,
    errors: u64,
    first_error: Option<anyhow::Error>,
}

pub(super) async fn measure(
    bench: &Workbench,
    subject: Subject,
    extent: Extent,
    load: Load,
) -> Result<Figures> {
    if subject == Subject::Replay {
        bench.record(&[SMALL_PATH]).await?;
    }
    let proxy = bench.start(subject, load.tls.unwrap_or(TlsHandling::Tunnel))?;
    let address = proxy.as_ref().map(|proxy| proxy.address);
    let route = Arc::new(bench.route(subject, address, load.tls)?);
    let hosts = Arc::new(AtomicU64::new(0));
    run(&route, &hosts, load, WARM_UP.min(extent.duration)).await?;

    let process = proxy.as_ref().map(|proxy| proxy.process());
    let cpu_before = process.map(|process| process.cpu_time()).transpose()?;
    let begun = Instant::now();
    let mut outcome = run(&route, &hosts, load, extent.duration).await?;
    let elapsed = begun.elapsed();
    let done = outcome.latencies.len() as f64;

    let mut figures = Figures::from([
        (Metric::Rate, done / elapsed.as_secs_f64()),
        (Metric::MedianUs, microseconds(percentile(&mut outcome.latencies, 0.5))),
        (Metric::P99Us, microseconds(percentile(&mut outcome.latencies, 0.99))),
        (Metric::Errors, outcome.errors as f64),
    ]);
    if let (Some(process), Some(before)) = (process, cpu_before) {
        let spent = process.cpu_time()?.saturating_sub(before);
        figures.insert(Metric::Cpu, microseconds(spent) / done);
        figures.insert(Metric::PeakMemoryMib, process.peak_memory_kib()? as f64 / 1024.0);
    }
    Ok(figures)
}

async fn run(
    route: &Arc<Route>,
    hosts: &Arc<AtomicU64>,
    load: Load,
    time: Duration,
) -> Result<Outcome> {
    let deadline = Instant::now() + time;
    let mut clients = JoinSet::new();
    for _ in 0..load.clients {
        clients.spawn(ask_until(Arc::clone(route), Arc::clone(hosts), load, deadline));
    }
    let mut all = Outcome::default();
    while let Some(one) = clients.join_next().await {
        let one = one.context("a client of the load ended early")?;
        all.latencies.extend(one.latencies);
        all.errors += one.errors;
        all.first_error = all.first_error.or(one.first_error);
    }
    if let Some(error) = all.first_error.take() {
        crate::say(&format!("        {} errors, the first: {error:#}", all.errors));
        ensure!(!all.latencies.is_empty(), "nothing was answered: {error:#}");
    }
    ensure!(!all.latencies.is_empty(), "nothing was answered in {time:?}");
    Ok(all)
}

async fn ask_until(
    route: Arc<Route>,
    hosts: Arc<AtomicU64>,
    load: Load,
    deadline: Instant,
) -> Outcome {
    let request = route.request(SMALL_PATH, load.reuse);
    let mut outcome = Outcome::default();
    let mut kept = None;
    while Instant::now() < deadline && outcome.errors < MOST_ERRORS {
        let begun = Instant::now();
        let asked = if load.new_hosts {
            let number = hosts.fetch_add(1, Ordering::Relaxed);
            let route = route.to_host(format!("host-{number}.bench.test"));
            let request = route.request(SMALL_PATH, load.reuse);
            ask(&route, &request, load.reuse, &mut kept).await
        } else {
            ask(&route, &request, load.reuse, &mut kept).await
        };
        match asked {
            Ok(()) => outcome.latencies.push(begun.elapsed()),
            Err(error) => {
                outcome.errors += 1;
                outcome.first_error.get_or_insert(error);
            }
        }
    }
    outcome
}

/// One request, on the kept connection if there is one.
async fn ask(
    route: &Route,
    request: &[u8],
    reuse: Reuse,
    kept: &mut Option<Connection>,
) -> Result<()> {
    let mut connection = match kept.take() {
        Some(connection) => connection,
        None => route.open().await?,
    };
    let length = connection.exchange(request).await?;
    ensure!(length == SMALL_BYTES as u64, "expected {SMALL_BYTES} bytes, got {length}");
    match reuse {
        Reuse::KeepAlive => *kept = Some(connection),
        Reuse::Close => connection.close().await,
    }
    Ok(())
}
