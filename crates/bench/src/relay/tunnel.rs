//! A blind tunnel: both ways until both have ended.

use anyhow::{Result, anyhow};
use hyper::Request;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncWriteExt as _, copy_bidirectional_with_sizes};
use tokio::net::TcpStream;

/// tokio's own 8 KiB cost two to three times the CPU for each GiB.
const BUFFER: usize = 256 * 1024;

/// Takes the connection back from hyper and copies.
pub(super) async fn run(request: Request<Incoming>, mut upstream: TcpStream) -> Result<()> {
    let upgraded = hyper::upgrade::on(request).await?;
    let parts = upgraded
        .downcast::<TokioIo<TcpStream>>()
        .map_err(|_| anyhow!("expected the TCP connection that hyper was given"))?;
    let mut client = parts.io.into_inner();
    // What the client sent behind its CONNECT without waiting.
    upstream.write_all(&parts.read_buf).await?;
    copy_bidirectional_with_sizes(&mut client, &mut upstream, BUFFER, BUFFER).await?;
    Ok(())
}
