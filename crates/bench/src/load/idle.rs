//! Tunnels that are open and silent, as consoles keep them for notifications: how many stay
//! open, and what each one holds.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Result, bail, ensure};
use tokio::task::JoinSet;

use super::{Extent, Metric};
use crate::client::{Connection, Reuse, Route};
use crate::origin::SMALL_PATH;
use crate::report::{Figures, microseconds};
use crate::subject::{Subject, TlsHandling, Workbench};

/// Opened at the same time.
const OPENERS: usize = 32;

pub(super) async fn measure(
    bench: &Workbench,
    subject: Subject,
    extent: Extent,
) -> Result<Figures> {
    let Some(proxy) = bench.start(subject, TlsHandling::Tunnel)? else {
        bail!("a direct connection is no tunnel");
    };
    let route = Arc::new(bench.route(subject, Some(proxy.address), Some(TlsHandling::Tunnel))?);
    let process = proxy.process();
    // What the first tunnels of all cost is not what one more costs. They stay open, so that
    // their end does not fall into the measurement.
    let first = open(&route, OPENERS).await?;

    let wanted = extent.tunnels as usize;
    let (memory, descriptors) = (process.memory_kib()?, process.descriptors()?);
    let (cpu, begun) = (process.cpu_time()?, Instant::now());
    let mut tunnels = open(&route, wanted).await?;
    let opening = begun.elapsed();
    let cpu_open = process.cpu_time()?;
    tokio::time::sleep(extent.duration).await;
    let cpu_idle = process.cpu_time()?.saturating_sub(cpu_open);
    let memory_each = process.memory_kib()?.saturating_sub(memory) as f64 / wanted as f64;
    let descriptors_each =
        process.descriptors()?.saturating_sub(descriptors) as f64 / wanted as f64;
    let open = count_answering(&route, &mut tunnels).await;
    drop(first);

    Ok(Figures::from([
        (Metric::Rate, wanted as f64 / opening.as_secs_f64()),
        (Metric::Cpu, microseconds(cpu_open.saturating_sub(cpu)) / wanted as f64),
        (Metric::TunnelsOpen, open as f64 / wanted as f64),
        (Metric::DescriptorsEach, descriptors_each),
        (Metric::MemoryEachKib, memory_each),
        (Metric::IdleCpuPercent, 100.0 * cpu_idle.as_secs_f64() / extent.duration.as_secs_f64()),
    ]))
}

/// Opens `wanted` tunnels, each with TLS to the origin inside: a handshake has passed through
/// it before it falls silent, as in life.
async fn open(route: &Arc<Route>, wanted: usize) -> Result<Vec<Connection>> {
    let mut openers = JoinSet::new();
    for opener in 0..OPENERS {
        let route = Arc::clone(route);
        let share = wanted / OPENERS + usize::from(opener < wanted % OPENERS);
        openers.spawn(async move {
            let mut opened = Vec::with_capacity(share);
            for _ in 0..share {
                opened.push(route.open().await?);
            }
            anyhow::Ok(opened)
        });
    }
    let mut all = Vec::with_capacity(wanted);
    while let Some(opened) = openers.join_next().await {
        all.extend(opened??);
    }
    ensure!(all.len() == wanted, "expected {wanted} tunnels, opened {}", all.len());
    Ok(all)
}

/// Those through which an answer still comes.
async fn count_answering(route: &Route, tunnels: &mut [Connection]) -> usize {
    // Inside the tunnel it is the origin that reads the request.
    let request = route.request(SMALL_PATH, Reuse::KeepAlive);
    let mut open = 0;
    for tunnel in tunnels {
        open += usize::from(tunnel.exchange(&request).await.is_ok());
    }
    open
}
