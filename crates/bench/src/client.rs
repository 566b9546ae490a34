//! The client that makes the load: raw bytes over tokio, prebuilt requests, and no more
//! reading of an answer than its status and length, so that the cores are left to the proxy.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail, ensure};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

pub(crate) use head::AnswerHead;

mod head;

/// As a console calls itself; a proxy that classifies has something to read.
const USER_AGENT: &str =
    "Mozilla/5.0 (PlayStation; PlayStation 4/11.00) AppleWebKit/605.1.15 (KHTML, like Gecko)";

/// Room for a head and the small answer; bulk has a buffer of its own.
const BUFFER: usize = 16 * 1024;

/// How a client gets to the origin.
#[derive(Clone)]
pub(crate) struct Route {
    /// The origin itself, for a direct connection.
    pub(crate) origin: SocketAddr,
    /// The proxy in between, if any.
    pub(crate) proxy: Option<SocketAddr>,
    /// Speak TLS, and trust what this says.
    pub(crate) tls: Option<Arc<ClientConfig>>,
    /// The name that is asked for.
    pub(crate) host: String,
}

/// Whether a connection is used once or again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reuse {
    KeepAlive,
    Close,
}

/// A connection on which requests can be sent.
pub(crate) struct Connection {
    stream: Box<dyn Stream>,
    received: Vec<u8>,
}

/// What a connection runs on: TCP, or TLS on TCP.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

impl Route {
    /// The same way to another name.
    pub(crate) fn to_host(&self, host: String) -> Self {
        Self { host, ..self.clone() }
    }

    /// The bytes of a request for `path`, as this way wants them.
    pub(crate) fn request(&self, path: &str, reuse: Reuse) -> Vec<u8> {
        let host = &self.host;
        // Absolute form is for a proxy that is asked in the clear (RFC 9112, 3.2.2).
        let target = match (&self.proxy, &self.tls) {
            (Some(_), None) => format!("http://{host}{path}"),
            _ => path.to_owned(),
        };
        let connection = match reuse {
            Reuse::KeepAlive => "keep-alive",
            Reuse::Close => "close",
        };
        format!(
            "GET {target} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {USER_AGENT}\r\nAccept: */*\r\nConnection: {connection}\r\n\r\n"
        )
        .into_bytes()
    }

    /// A connection that is ready for a request.
    pub(crate) async fn open(&self) -> Result<Connection> {
        let stream = match (self.proxy, &self.tls) {
            (Some(_), Some(_)) => self.tunnel().await?,
            (Some(proxy), None) => dial(proxy).await?,
            (None, _) => dial(self.origin).await?,
        };
        let Some(tls) = &self.tls else { return Ok(Connection::new(Box::new(stream))) };
        let name = ServerName::try_from(self.host.clone()).context("the host of the benchmark")?;
        let connector = TlsConnector::from(Arc::clone(tls));
        let stream = connector.connect(name, stream).await.context("TLS handshake")?;
        Ok(Connection::new(Box::new(stream)))
    }

    /// A way for bytes that are not HTTP: through CONNECT, or straight to the origin.
    pub(crate) async fn tunnel(&self) -> Result<TcpStream> {
        let Some(proxy) = self.proxy else { return dial(self.origin).await };
        let mut stream = dial(proxy).await?;
        let host = &self.host;
        let request = format!(
            "CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\nUser-Agent: {USER_AGENT}\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await?;
        let mut received = Vec::with_capacity(512);
        let (head, length) = read_head(&mut stream, &mut received).await?;
        ensure!(head.status == 200, "expected 200 to CONNECT, got {}", head.status);
        ensure!(received.len() == length, "the proxy sent bytes before the server did");
        Ok(stream)
    }
}

impl Connection {
    fn new(stream: Box<dyn Stream>) -> Self {
        Self { stream, received: Vec::with_capacity(BUFFER) }
    }

    /// Sends prebuilt bytes and reads one answer to its end; gives the length of its body.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> Result<u64> {
        self.stream.write_all(request).await?;
        self.stream.flush().await?;
        self.received.clear();
        let (head, length) = read_head(&mut self.stream, &mut self.received).await?;
        ensure!(head.status == 200, "expected 200, got {}", head.status);
        let Some(body) = head.content_length else { bail!("expected a Content-Length") };
        let begun = (self.received.len() - length) as u64;
        let Some(left) = body.checked_sub(begun) else { bail!("more bytes than announced") };
        skip(&mut self.stream, left, &mut self.received).await?;
        Ok(body)
    }

    /// Waits until the other side has closed.
    #[cfg(test)]
    pub(crate) async fn end(mut self) {
        // Closed or reset: an end all the same.
        let _ = self.stream.read_to_end(&mut self.received).await;
    }

    /// Says goodbye as a client does that asked for `Connection: close`.
    pub(crate) async fn close(mut self) {
        // The answer was read in full: how the other side takes the end changes nothing.
        let _ = self.stream.shutdown().await;
    }
}

/// A new TCP connection without Nagle's delay.
pub(crate) async fn dial(address: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect(address)
        .await
        .with_context(|| format!("cannot connect to {address}"))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Reads `left` bytes and forgets them. `buffer` is grown for a long body, and only then.
pub(crate) async fn skip<S: AsyncRead + Unpin>(
    stream: &mut S,
    mut left: u64,
    buffer: &mut Vec<u8>,
) -> Result<()> {
    const BULK: u64 = 256 * 1024;
    if left == 0 {
        return Ok(());
    }
    let wanted = left.min(BULK).max(BUFFER as u64);
    buffer.resize(usize::try_from(wanted)?, 0);
    while left > 0 {
        let room = usize::try_from(left.min(wanted))?;
        match stream.read(&mut buffer[..room]).await? {
            0 => bail!("the answer ended {left} bytes early"),
            read => left -= read as u64,
        }
    }
    Ok(())
}

/// Reads until the head is complete; its content and its length.
async fn read_head<S: AsyncRead + Unpin>(
    stream: &mut S,
    received: &mut Vec<u8>,
) -> Result<(AnswerHead, usize)> {
    loop {
        if let Some(found) = AnswerHead::parse(received)? {
            return Ok(found);
        }
        ensure!(received.len() < BUFFER, "an answer whose head is beyond 16 KiB");
        ensure!(stream.read_buf(received).await? > 0, "the connection ended before the answer");
    }
}
