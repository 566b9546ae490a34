//! A connection to a client or a server, plain or TLS, in two halves that can be used at once.

use std::fs::File;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf as _, BytesMut};
#[cfg(target_os = "linux")]
use tokio::io::Interest;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

/// What TLS takes before it wants the socket: all that was read in one go, with the heads and tags
/// of its records, so that it leaves in one go, too. With less, every second write was a small one.
pub(crate) const TLS_TURN: usize = TLS_BULK + (32 << 10);

/// The buffer for a long body that comes through TLS. Twice as much took no less CPU.
const TLS_BULK: usize = 64 << 10;

/// TLS over TCP, on either side.
pub(crate) type TlsStream = consoletap_tls::TlsStream<Prefixed>;

/// A TCP connection of which the first octets were read already; they are given again.
#[derive(Debug)]
pub(crate) struct Prefixed {
    prefix: BytesMut,
    tcp: TcpStream,
}

impl Prefixed {
    pub(crate) fn new(prefix: BytesMut, tcp: TcpStream) -> Self {
        Self { prefix, tcp }
    }

    pub(crate) fn get_ref(&self) -> &TcpStream {
        &self.tcp
    }
}

impl AsyncRead for Prefixed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.prefix.is_empty() {
            return Pin::new(&mut self.tcp).poll_read(cx, buffer);
        }
        let count = self.prefix.len().min(buffer.remaining());
        buffer.put_slice(&self.prefix[..count]);
        self.prefix.advance(count);
        if self.prefix.is_empty() {
            self.prefix = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Prefixed {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write(cx, octets)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write_vectored(cx, slices)
    }
}

/// A connection before it is split.
#[derive(Debug)]
pub(crate) enum Stream {
    Tcp(TcpStream),
    Tls(TlsStream),
}

impl Stream {
    /// Two halves. TCP halves cost nothing; TLS ones share a lock that nobody waits for, since
    /// one task uses both.
    pub(crate) fn into_halves(self) -> (ReadHalf, WriteHalf) {
        match self {
            Self::Tcp(tcp) => {
                let (read, write) = tcp.into_split();
                (ReadHalf::Tcp(read), WriteHalf::Tcp(write))
            }
            Self::Tls(tls) => {
                let (read, write) = tokio::io::split(tls);
                (ReadHalf::Tls(read), WriteHalf::Tls(write))
            }
        }
    }
}

/// The half that reads.
#[derive(Debug)]
pub(crate) enum ReadHalf {
    Tcp(OwnedReadHalf),
    Tls(tokio::io::ReadHalf<TlsStream>),
}

impl ReadHalf {
    /// Reads what there is behind what the buffer holds; 0 at the end. Safe to cancel.
    pub(crate) async fn read(&mut self, buffer: &mut BytesMut) -> io::Result<usize> {
        match self {
            Self::Tcp(half) => half.read_buf(buffer).await,
            // A TLS peer that goes without close_notify is an error here, `UnexpectedEof`: where
            // the end of a body is the end of the connection, something may be missing.
            Self::Tls(half) => half.read_buf(buffer).await,
        }
    }

    /// The buffer that suits a long body. Over TCP larger ones save system calls and wake-ups for as
    /// long as they stay in the cache (512 KiB took less CPU than 256 in each of three measurements,
    /// with the hash of `tap.rs` between); TLS gives some records at once.
    pub(crate) fn bulk_size(&self) -> usize {
        match self {
            Self::Tcp(_) => 512 << 10,
            Self::Tls(_) => TLS_BULK,
        }
    }
}

/// The half that writes.
#[derive(Debug)]
pub(crate) enum WriteHalf {
    Tcp(OwnedWriteHalf),
    Tls(tokio::io::WriteHalf<TlsStream>),
}

impl WriteHalf {
    pub(crate) async fn write_all(&mut self, octets: &[u8]) -> io::Result<()> {
        match self {
            Self::Tcp(half) => half.write_all(octets).await,
            Self::Tls(half) => half.write_all(octets).await,
        }
    }

    pub(crate) async fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Tcp(_) => Ok(()),
            Self::Tls(half) => half.flush().await,
        }
    }

    /// Whether the kernel can send files here.
    pub(crate) fn takes_files(&self) -> bool {
        cfg!(target_os = "linux") && matches!(self, Self::Tcp(_))
    }

    /// Lets the kernel send octets of a file: sendfile(2). As many as the socket has room for, at
    /// least one; 0 where the file ends before.
    pub(crate) async fn file(&mut self, file: &File, at: u64, count: u64) -> io::Result<u64> {
        #[cfg(target_os = "linux")]
        if let Self::Tcp(half) = self {
            let tcp = half.as_ref();
            let count = usize::try_from(count).unwrap_or(usize::MAX);
            loop {
                tcp.writable().await?;
                let mut from = at;
                let sent = tcp.try_io(Interest::WRITABLE, || {
                    Ok(rustix::fs::sendfile(tcp, file, Some(&mut from), count)?)
                });
                match sent {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    sent => return sent.map(|sent| sent as u64),
                }
            }
        }
        let _ = (file, at, count);
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) async fn shutdown(&mut self) -> io::Result<()> {
        match self {
            Self::Tcp(half) => half.shutdown().await,
            Self::Tls(half) => half.shutdown().await,
        }
    }
}

/// Makes the closing of a connection a reset, so that whoever reads a body of unknown length
/// cannot take its end for a real one.
pub(crate) fn reset_on_close(tcp: &TcpStream) {
    // Nothing to do about a failure: the connection is being thrown away.
    let _ = socket2::SockRef::from(tcp).set_linger(Some(std::time::Duration::ZERO));
}

impl WriteHalf {
    /// See [`reset_on_close`].
    pub(crate) fn reset_on_close(&self) {
        // A TLS client notices by itself: close_notify never comes.
        if let Self::Tcp(half) = self {
            reset_on_close(half.as_ref());
        }
    }
}
