//! A connection on which TLS stands, on either side, by whichever stack the other side could be
//! spoken with.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use consoletap_flow::{CertificateFacts, ServerHelloFacts, suite_name, version_name};
use rustls_pki_types::CertificateDer;
use tokio::io::{AsyncBufRead as _, AsyncRead, AsyncWrite, ReadBuf};

use crate::certificate::certificate_facts;
use crate::legacy::LegacyStream;
use crate::negotiated::negotiated;
use crate::upstream_names::UpstreamNames;

/// TLS over a connection.
#[derive(Debug)]
pub struct TlsStream<S>(By<S>);

#[derive(Debug)]
enum By<S> {
    Rustls(Box<tokio_rustls::TlsStream<S>>),
    /// With an old console, or an old server.
    Legacy(Box<LegacyStream<S>>),
}

impl<S> TlsStream<S> {
    pub(crate) fn rustls(tls: tokio_rustls::TlsStream<S>) -> Self {
        Self(By::Rustls(Box::new(tls)))
    }

    pub(crate) fn legacy(tls: LegacyStream<S>) -> Self {
        Self(By::Legacy(Box::new(tls)))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream<S> {
    /// How much is taken before the connection underneath is wanted.
    pub fn set_buffer_limit(&mut self, limit: usize) {
        match &mut self.0 {
            By::Rustls(tls) => match &mut **tls {
                tokio_rustls::TlsStream::Client(tls) => {
                    tls.get_mut().1.set_buffer_limit(Some(limit));
                }
                tokio_rustls::TlsStream::Server(tls) => {
                    tls.get_mut().1.set_buffer_limit(Some(limit));
                }
            },
            By::Legacy(_) => {}
        }
    }

    /// Whether both sides agreed on HTTP/2. Nobody who needs the old stack speaks it.
    #[must_use]
    pub fn speaks_http2(&self) -> bool {
        match &self.0 {
            By::Rustls(tls) => tls.get_ref().1.alpn_protocol() == Some(b"h2"),
            By::Legacy(_) => false,
        }
    }

    /// What was agreed on.
    #[must_use]
    pub fn negotiated(&self) -> ServerHelloFacts {
        match &self.0 {
            By::Rustls(tls) => negotiated(tls.get_ref().1),
            By::Legacy(tls) => tls.negotiated(),
        }
    }

    /// What the certificate of the other side says.
    #[must_use]
    pub fn certificate_facts(&self) -> Option<CertificateFacts> {
        self.with_peer_certificates(certificate_facts)
    }

    /// The names in it; `None` where it cannot be read.
    #[must_use]
    pub fn names(&self) -> Option<UpstreamNames> {
        self.with_peer_certificates(UpstreamNames::of)
    }

    fn with_peer_certificates<T>(&self, see: impl Fn(&[CertificateDer<'_>]) -> T) -> T {
        match &self.0 {
            By::Rustls(tls) => see(tls.get_ref().1.peer_certificates().unwrap_or_default()),
            By::Legacy(tls) => see(&tls.peer_certificates()),
        }
    }

    /// What was agreed on in words, where only OpenSSL speaks it and it protects nothing any more.
    #[must_use]
    pub fn is_unsafe(&self) -> Option<String> {
        /// With Diffie-Hellman and AES-GCM, which TLS 1.3 has as well.
        const SAFE: [u16; 4] = [0x009e, 0x009f, 0xc02f, 0xc030];
        let By::Legacy(tls) = &self.0 else { return None };
        let agreed = tls.negotiated();
        if agreed.version >= 0x0303 && SAFE.contains(&agreed.suite) {
            return None;
        }
        let version = version_name(agreed.version).unwrap_or("TLS");
        let suite = suite_name(agreed.suite).unwrap_or("an old suite");
        Some(format!("{version} and {suite}, which protects nothing any more"))
    }

    /// The connection underneath.
    #[must_use]
    pub fn get_ref(&self) -> &S {
        match &self.0 {
            By::Rustls(tls) => tls.get_ref().0,
            By::Legacy(tls) => tls.get_ref(),
        }
    }

    /// Whether something comes before the end: it is waited for, and stays where it is.
    ///
    /// # Errors
    /// When the connection fails, or the other side says that it does not go on.
    pub async fn has_more(&mut self) -> io::Result<bool> {
        match &mut self.0 {
            By::Rustls(tls) => {
                poll_fn(|cx| {
                    Pin::new(&mut *tls).poll_fill_buf(cx).map_ok(|octets| !octets.is_empty())
                })
                .await
            }
            By::Legacy(tls) => tls.has_more().await,
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for TlsStream<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.get_mut().0 {
            By::Rustls(tls) => Pin::new(tls).poll_read(cx, buffer),
            By::Legacy(tls) => Pin::new(tls).poll_read(cx, buffer),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for TlsStream<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().0 {
            By::Rustls(tls) => Pin::new(tls).poll_write(cx, octets),
            By::Legacy(tls) => Pin::new(tls).poll_write(cx, octets),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().0 {
            By::Rustls(tls) => Pin::new(tls).poll_flush(cx),
            By::Legacy(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().0 {
            By::Rustls(tls) => Pin::new(tls).poll_shutdown(cx),
            By::Legacy(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.0 {
            By::Rustls(tls) => tls.is_write_vectored(),
            By::Legacy(tls) => tls.is_write_vectored(),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().0 {
            By::Rustls(tls) => Pin::new(tls).poll_write_vectored(cx, slices),
            By::Legacy(tls) => Pin::new(tls).poll_write_vectored(cx, slices),
        }
    }
}
