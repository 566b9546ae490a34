//! What opens TLS, in a build without it. Most of the types have no values, so that whoever uses
//! them needs no conditions of his own.

#![allow(clippy::unused_async, reason = "the build with rustls waits here")]

use std::convert::Infallible;
use std::io;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use consoletap_flow::{CertificateFacts, Host, ServerHelloFacts};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::alpn::Alpn;
use crate::export::CertificateForm;
use crate::hello::ClientHello;
use crate::learned::Refusal;
use crate::stack::{Answerer, Stack};

/// Why there is no TLS.
const NONE: &str = "this build speaks no TLS; one with the feature interception does";

impl ClientHello {
    /// Which stack can open it: none.
    #[must_use]
    #[allow(clippy::unused_self, reason = "the build with rustls looks at it")]
    pub fn stack(&self) -> Stack {
        Stack::Unsupported("speaks TLS, and this build does not".to_owned())
    }
}

/// What a certificate says. Nobody reads it here.
pub(crate) fn facts(_der: &[u8], _chain: usize) -> Option<CertificateFacts> {
    None
}

/// Judges how a handshake with a console ended; there are none.
#[must_use]
pub fn refusal(_: &io::Error) -> Option<Refusal> {
    None
}

/// An error of TLS behind the handshake, in plain words; there are none.
#[must_use]
pub fn explain_late(_: &io::Error) -> Option<String> {
    None
}

/// Why TLS could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("{NONE}")]
#[non_exhaustive]
pub struct TlsError(());

/// A CA; cannot be had in this build.
#[derive(Debug)]
pub struct Authority(Infallible);

impl Authority {
    /// The certificate in this form.
    #[must_use]
    pub fn export(&self, _: CertificateForm) -> Vec<u8> {
        match self.0 {}
    }

    /// What people compare.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        match self.0 {}
    }
}

/// Opens connections with certificates of our own authority; cannot be had in this build.
#[derive(Debug)]
pub struct Interceptor(Infallible);

impl Interceptor {
    /// The authority that signs.
    #[must_use]
    pub fn authority(&self) -> &Authority {
        match self.0 {}
    }

    /// Whether the names of this host's own certificate are known.
    #[must_use]
    pub fn has_names(&self, _: &Host) -> bool {
        match self.0 {}
    }

    /// Takes the names of a host's own certificate.
    pub fn copy_names(&self, _: &Host, _: UpstreamNames) {
        match self.0 {}
    }

    /// What answers this hello.
    ///
    /// # Errors
    /// None: there is no interceptor in this build.
    pub fn acceptor(
        &self,
        _name: &Host,
        _answerer: Answerer,
        _alpn: Alpn,
        _hello: &ClientHello,
    ) -> Result<Acceptor, TlsError> {
        match self.0 {}
    }

    /// The same at once.
    ///
    /// # Errors
    /// None: there is no interceptor in this build.
    pub fn acceptor_at_once(
        &self,
        _name: &Host,
        _answerer: Answerer,
        _alpn: Alpn,
        _hello: &ClientHello,
    ) -> Result<Option<Acceptor>, TlsError> {
        match self.0 {}
    }
}

/// Ready to open one connection; cannot be had in this build.
#[derive(Debug)]
pub struct Acceptor(Infallible);

impl Acceptor {
    /// Opens the connection.
    ///
    /// # Errors
    /// None: there is no acceptor in this build.
    pub async fn accept<S>(self, _stream: S) -> io::Result<TlsStream<S>> {
        match self.0 {}
    }
}

/// The names in a server's certificate; cannot be had in this build.
#[derive(Debug)]
pub enum UpstreamNames {}

/// Whom to believe, and what to show: there is nothing to choose in this build.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct TrustSettings {}

/// Whom we believe upstream: nobody is spoken to.
#[derive(Debug)]
pub struct Trust(());

impl Trust {
    /// Nothing can go wrong.
    ///
    /// # Errors
    /// None.
    pub fn new(_: &TrustSettings) -> Result<Self, TlsError> {
        Ok(Self(()))
    }

    /// Whether the user gave up the checks for this host.
    #[must_use]
    pub fn is_insecure(&self, _: &Host) -> bool {
        false
    }

    /// A failed handshake in plain words.
    #[must_use]
    pub fn explain(&self, _: &Host, error: &io::Error) -> String {
        error.to_string()
    }

    /// Does not begin TLS.
    ///
    /// # Errors
    /// Always.
    pub async fn connect<S>(&self, _: &Host, _: Alpn, _stream: S) -> io::Result<TlsStream<S>> {
        Err(io::Error::new(io::ErrorKind::Unsupported, NONE))
    }
}

/// A connection on which TLS stands; cannot be had in this build.
#[derive(Debug)]
pub struct TlsStream<S>(Infallible, PhantomData<S>);

impl<S> TlsStream<S> {
    /// How much is taken before the connection underneath is wanted.
    pub fn set_buffer_limit(&mut self, _: usize) {
        match self.0 {}
    }

    /// Whether both sides agreed on HTTP/2.
    #[must_use]
    pub fn speaks_http2(&self) -> bool {
        match self.0 {}
    }

    /// What was agreed on.
    #[must_use]
    pub fn negotiated(&self) -> ServerHelloFacts {
        match self.0 {}
    }

    /// What the certificate of the other side says.
    #[must_use]
    pub fn certificate_facts(&self) -> Option<CertificateFacts> {
        match self.0 {}
    }

    /// The names in it.
    #[must_use]
    pub fn names(&self) -> Option<UpstreamNames> {
        match self.0 {}
    }

    /// What was agreed on, where it protects nothing any more.
    #[must_use]
    pub fn is_unsafe(&self) -> Option<String> {
        match self.0 {}
    }

    /// The connection underneath.
    #[must_use]
    pub fn get_ref(&self) -> &S {
        match self.0 {}
    }

    /// Whether something comes before the end.
    ///
    /// # Errors
    /// None: there is no stream in this build.
    pub async fn has_more(&mut self) -> io::Result<bool> {
        match self.0 {}
    }
}

impl<S: Unpin> AsyncRead for TlsStream<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.0 {}
    }
}

impl<S: Unpin> AsyncWrite for TlsStream<S> {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        match self.0 {}
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.0 {}
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.0 {}
    }
}
