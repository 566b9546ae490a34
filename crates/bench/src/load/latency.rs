//! Open loop: requests leave at 500 a second whether answers came or not, so that a proxy
//! that stalls is charged for everybody who waited meanwhile (no coordinated omission).

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tokio::task::JoinSet;

use super::{Extent, Metric};
use crate::client::{Reuse, Route};
use crate::origin::SMALL_PATH;
use crate::report::{Figures, microseconds, percentile};
use crate::subject::{Subject, TlsHandling, Workbench};

const RATE: u32 = 500;
const CLIENTS: u32 = 16;
/// Answers of the first moments are not counted.
const WARM_UP: u32 = RATE / 4;

pub(super) async fn measure(
    bench: &Workbench,
    subject: Subject,
    extent: Extent,
    tls: Option<TlsHandling>,
) -> Result<Figures> {
    let proxy = bench.start(subject, tls.unwrap_or(TlsHandling::Tunnel))?;
    let address = proxy.as_ref().map(|proxy| proxy.address);
    let route = Arc::new(bench.route(subject, address, tls)?);
    let counted = (extent.duration.as_secs_f64() * f64::from(RATE)).ceil() as u32;
    let begin = Instant::now() + Duration::from_millis(200);
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        clients.spawn(ask_on_time(Arc::clone(&route), begin, client, WARM_UP + counted));
    }
    let mut latencies = Vec::new();
    while let Some(client) = clients.join_next().await {
        latencies.extend(client.context("a client of the load ended early")??);
    }
    let mut figures = Figures::from([
        (Metric::MedianUs, microseconds(percentile(&mut latencies, 0.5))),
        (Metric::P99Us, microseconds(percentile(&mut latencies, 0.99))),
    ]);
    if let Some(proxy) = proxy {
        let peak = proxy.process().peak_memory_kib()? as f64 / 1024.0;
        figures.insert(Metric::PeakMemoryMib, peak);
    }
    Ok(figures)
}

/// Every `CLIENTS`th request of the schedule, on one connection.
async fn ask_on_time(
    route: Arc<Route>,
    begin: Instant,
    client: u32,
    total: u32,
) -> Result<Vec<Duration>> {
    let request = route.request(SMALL_PATH, Reuse::KeepAlive);
    let mut connection = route.open().await?;
    let mut latencies = Vec::new();
    let mut free_since = Instant::now();
    for number in (client..total).step_by(CLIENTS as usize) {
        let due = begin + Duration::from_secs(1) * number / RATE;
        tokio::time::sleep_until(due.into()).await;
        // Held up by the answer before: the clock runs since the request was due. Free when
        // it was due: since it really left, for the timer's own lateness (up to 1 ms) is not
        // the proxy's.
        let from = if free_since > due { due } else { Instant::now() };
        connection.exchange(&request).await?;
        free_since = Instant::now();
        if number >= WARM_UP {
            latencies.push(free_since - from);
        }
    }
    Ok(latencies)
}
