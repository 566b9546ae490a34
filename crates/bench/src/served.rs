//! What the origin and the relay have in common as processes: they tell the port they took,
//! and they end by themselves, so that nothing is left over when the load program is killed.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::net::TcpListener;

/// Options of a process that listens.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct ServedOptions {
    /// Where to listen; port 0 takes a free one and prints it
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDRESS:PORT")]
    pub(crate) listen: SocketAddr,
    /// End after this many seconds, whatever happens
    #[arg(long, default_value_t = 3600, value_name = "SECONDS")]
    pub(crate) stop_after: u64,
}

/// Binds, says `listening on ADDRESS:PORT`, and serves until the time is over.
pub(crate) fn serve<Serving>(
    options: &ServedOptions,
    serving: impl FnOnce(TcpListener) -> Serving,
) -> Result<()>
where
    Serving: Future<Output = ()>,
{
    anyhow::ensure!(
        options.listen.ip().is_loopback(),
        "--listen {}: expected a loopback address; this program is for one machine",
        options.listen
    );
    crate::process::raise_descriptor_limit();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(options.listen)
            .await
            .with_context(|| format!("cannot listen on {}", options.listen))?;
        crate::say(&format!("listening on {}", listener.local_addr()?));
        let _ =
            tokio::time::timeout(Duration::from_secs(options.stop_after), serving(listener)).await;
        Ok(())
    })
}
