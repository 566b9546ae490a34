//! One large transfer: MB/s, what a GiB costs, and whether memory stays flat.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tokio::io::AsyncWriteExt as _;

use super::{Extent, Metric};
use crate::client::{Reuse, skip};
use crate::origin::{FILE_PATH, SMALL_PATH};
use crate::process::Process;
use crate::report::Figures;
use crate::subject::{Subject, TlsHandling, Workbench};

const GIB: f64 = (1_u64 << 30) as f64;

/// An answer over HTTP, plain or opened.
pub(super) async fn measure_http(
    bench: &Workbench,
    subject: Subject,
    extent: Extent,
    tls: Option<TlsHandling>,
) -> Result<Figures> {
    let total = extent.bulk_bytes;
    let path = format!("/bytes/{total}");
    if subject == Subject::Replay {
        bench.record(&[SMALL_PATH, &path]).await?;
    }
    let proxy = bench.start(subject, tls.unwrap_or(TlsHandling::Tunnel))?;
    let route = bench.route(subject, proxy.as_ref().map(|proxy| proxy.address), tls)?;
    let mut connection = route.open().await?;
    connection.exchange(&route.request(SMALL_PATH, Reuse::KeepAlive)).await?;

    let request = route.request(&path, Reuse::KeepAlive);
    let gauge = Gauge::begin(proxy.as_ref().map(|proxy| proxy.process()))?;
    let length = connection.exchange(&request).await?;
    ensure!(length == total, "expected {total} bytes, got {length}");
    gauge.figures(total)
}

/// A file: read by a plain static server, and by consoletap itself, which never asks that server.
pub(super) async fn measure_file(
    bench: &Workbench,
    subject: Subject,
    extent: Extent,
) -> Result<Figures> {
    let total = extent.bulk_bytes;
    let path = bench.bulk_file(total)?;
    let proxy = bench.start_mapping(subject, &path)?;
    let route = bench.route(subject, proxy.as_ref().map(|proxy| proxy.address), None)?;
    let mut connection = route.open().await?;
    let request = route.request(FILE_PATH, Reuse::KeepAlive);
    let gauge = Gauge::begin(proxy.as_ref().map(|proxy| proxy.process()))?;
    let length = connection.exchange(&request).await?;
    ensure!(length == total, "expected {total} bytes, got {length}");
    gauge.figures(total)
}

/// Bytes that are neither HTTP nor TLS, through CONNECT: the proxy copies and no more, and
/// the client and the origin spend nothing on ciphers that would hide what copying costs.
pub(super) async fn measure_tunnel(
    bench: &Workbench,
    subject: Subject,
    extent: Extent,
) -> Result<Figures> {
    let proxy = bench.start(subject, TlsHandling::Tunnel)?;
    let route = bench.route(subject, proxy.as_ref().map(|proxy| proxy.address), None)?;
    let mut stream = route.tunnel().await?;
    let mut buffer = Vec::new();
    let total = extent.bulk_bytes;
    let gauge = Gauge::begin(proxy.as_ref().map(|proxy| proxy.process()))?;
    stream.write_all(format!("\0bytes {total}\r\n\r\n").as_bytes()).await?;
    skip(&mut stream, total, &mut buffer).await?;
    gauge.figures(total)
}

/// Time and CPU of a stretch.
struct Gauge {
    begun: Instant,
    process: Option<(Process, Duration)>,
}

impl Gauge {
    fn begin(process: Option<Process>) -> Result<Self> {
        let process = match process {
            Some(process) => Some((process, process.cpu_time()?)),
            None => None,
        };
        Ok(Self { begun: Instant::now(), process })
    }

    fn figures(self, bytes: u64) -> Result<Figures> {
        let elapsed = self.begun.elapsed().as_secs_f64();
        let mut figures = Figures::from([(Metric::Rate, bytes as f64 / 1e6 / elapsed)]);
        if let Some((process, before)) = self.process {
            let spent = process.cpu_time()?.saturating_sub(before).as_secs_f64();
            figures.insert(Metric::Cpu, spent / (bytes as f64 / GIB));
            figures.insert(Metric::PeakMemoryMib, process.peak_memory_kib()? as f64 / 1024.0);
        }
        Ok(figures)
    }
}
