//! The types of `openssl.rs` in a build without it. They have no values, so that whoever uses them
//! needs no conditions of his own.

use std::convert::Infallible;
use std::io;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use consoletap_flow::{Host, ServerHelloFacts};
use rustls::KeyLog;
use rustls::client::danger::ServerCertVerifier;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::alpn::Alpn;
use crate::ca::Authority;
use crate::client_certificate::Identity;
use crate::leaf::LeafKeys;
use crate::provider::TlsError;
use crate::upstream_names::UpstreamNames;

/// The acceptors that are ready: none.
#[derive(Default)]
pub(crate) struct Contexts(());

impl Contexts {
    #[allow(clippy::unused_self, reason = "the build with OpenSSL keeps acceptors here")]
    pub(crate) fn acceptor(
        &self,
        _authority: &Authority,
        _keys: &LeafKeys,
        _host: &Host,
        _names: Option<&UpstreamNames>,
        _key_log: &Arc<dyn KeyLog>,
    ) -> Result<LegacyAcceptor, TlsError> {
        Err(TlsError::NoLegacy)
    }

    #[allow(clippy::unused_self, reason = "the build with OpenSSL keeps acceptors here")]
    pub(crate) fn ready(&self, _host: &Host) -> Option<LegacyAcceptor> {
        None
    }

    #[allow(clippy::unused_self, reason = "the build with OpenSSL keeps acceptors here")]
    pub(crate) fn forget(&self, _host: &Host) {}
}

/// Answers old hellos for one host; cannot be had in this build.
#[derive(Debug, Clone)]
pub(crate) struct LegacyAcceptor(Infallible);

impl LegacyAcceptor {
    /// Opens the connection.
    #[allow(clippy::unused_async, reason = "the build with OpenSSL waits here")]
    pub(crate) async fn accept<S>(&self, _stream: S) -> io::Result<LegacyStream<S>> {
        match self.0 {}
    }
}

/// Opens old connections to one server; cannot be had in this build.
#[derive(Debug, Clone)]
pub(crate) struct LegacyConnector(Infallible);

impl LegacyConnector {
    pub(crate) fn new(
        _verifier: Arc<dyn ServerCertVerifier>,
        _identity: Option<&Identity>,
        _alpn: Alpn,
        _key_log: &Arc<dyn KeyLog>,
    ) -> Result<Self, TlsError> {
        Err(TlsError::NoLegacyUpstream)
    }

    /// Opens the connection.
    #[allow(clippy::unused_async, reason = "the build with OpenSSL waits here")]
    pub(crate) async fn connect<S>(
        &self,
        _name: &ServerName<'_>,
        _stream: S,
    ) -> io::Result<LegacyStream<S>> {
        match self.0 {}
    }
}

/// An opened connection; cannot be had in this build.
#[derive(Debug)]
pub(crate) struct LegacyStream<S>(Infallible, PhantomData<S>);

impl<S> LegacyStream<S> {
    /// The certificates that a server showed, its own first.
    pub(crate) fn peer_certificates(&self) -> Vec<CertificateDer<'static>> {
        match self.0 {}
    }

    /// What both sides agreed on.
    pub(crate) fn negotiated(&self) -> ServerHelloFacts {
        match self.0 {}
    }

    /// The connection underneath.
    pub(crate) fn get_ref(&self) -> &S {
        match self.0 {}
    }

    /// Whether something came before the end.
    #[allow(clippy::unused_async, reason = "the build with OpenSSL waits here")]
    pub(crate) async fn has_more(&mut self) -> io::Result<bool> {
        match self.0 {}
    }
}

impl<S: Unpin> AsyncRead for LegacyStream<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.0 {}
    }
}

impl<S: Unpin> AsyncWrite for LegacyStream<S> {
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
