//! From the start of the process until it listens, and until a first TLS handshake is done.

use std::net::{SocketAddr, TcpStream};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::Metric;
use crate::report::{Figures, median};
use crate::subject::{Running, Subject, TlsHandling, Workbench, free_port};

/// Starts in one measurement; the figure is their median.
const STARTS: usize = 5;
const LIMIT: Duration = Duration::from_secs(10);

pub(super) async fn measure(bench: &Workbench, subject: Subject) -> Result<Figures> {
    // The first start of all makes the certificate authority; people start more than once.
    let first = bench.start(subject, TlsHandling::Intercept)?;
    bench.route(subject, None, Some(TlsHandling::Intercept))?;
    drop(first);

    let (mut listening, mut handshake) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        let port = free_port()?;
        let command = bench
            .command(subject, TlsHandling::Intercept, port)?
            .context("a direct connection has nothing to start")?;
        let begun = Instant::now();
        let proxy = Running::spawn_on(command, &bench.log(subject), port)?;
        await_listening(proxy.address)?;
        listening.push(milliseconds(begun.elapsed()));
        let tls = Some(TlsHandling::Intercept);
        bench.route(subject, Some(proxy.address), tls)?.open().await?;
        handshake.push(milliseconds(begun.elapsed()));
        drop(proxy);
        bench.remove_session();
    }
    Ok(Figures::from([
        (Metric::ListeningMs, median(&mut listening)),
        (Metric::FirstHandshakeMs, median(&mut handshake)),
    ]))
}

fn await_listening(address: SocketAddr) -> Result<()> {
    let deadline = Instant::now() + LIMIT;
    while Instant::now() < deadline {
        if let Ok(stream) = TcpStream::connect(address) {
            // Nobody listens and the kernel chose that very port for us: TCP then connects a
            // socket to itself.
            if stream.local_addr()? != address {
                return Ok(());
            }
        }
        sleep(Duration::from_micros(100));
    }
    bail!("expected a listener at {address} within 10 s")
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
