//! OpenSSL, set up to speak what nobody should speak any more. What was needed for it was measured
//! with OpenSSL 3.6: security level 0 for TLS 1.0 and 1.1, the build option `weak-crypto` for 3DES
//! and RC4, the `legacy` provider for RC4, and a DH group for DHE.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Instant;

use consoletap_flow::{Host, ServerHelloFacts};
use openssl::dh::Dh;
use openssl::error::{Error as OpensslError, ErrorStack};
use openssl::pkey::PKey;
use openssl::provider::Provider;
use openssl::ssl::{
    AlpnError, ErrorCode, Ssl, SslContext, SslContextBuilder, SslMethod, SslOptions, SslVersion,
    select_next_proto,
};
use openssl::x509::X509;
use quick_cache::sync::Cache;
use rustls::{AlertDescription, KeyLog};
use rustls_pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::suites::{cipher_list, group_list, signature_list};
use crate::ca::Authority;
use crate::intercept::FRESH;
use crate::leaf::LeafKeys;
use crate::provider::TlsError;
use crate::stack::LeafKey;
use crate::upstream_names::UpstreamNames;
use crate::wire::unhex;

/// How many hosts are kept ready.
const HOSTS: usize = 256;

/// The acceptors that are ready, one for each host; each resumes its own sessions.
pub(crate) struct Contexts(Cache<Host, Ready>);

#[derive(Clone)]
struct Ready {
    acceptor: LegacyAcceptor,
    made: Instant,
}

impl Default for Contexts {
    fn default() -> Self {
        Self(Cache::new(HOSTS))
    }
}

impl Contexts {
    /// The acceptor for a host: the same for every connection to it.
    pub(crate) fn acceptor(
        &self,
        authority: &Authority,
        keys: &LeafKeys,
        host: &Host,
        names: Option<&UpstreamNames>,
        key_log: &Arc<dyn KeyLog>,
    ) -> Result<LegacyAcceptor, TlsError> {
        let make = || {
            let acceptor = LegacyAcceptor::new(authority, keys, host, names, key_log)?;
            Ok::<_, TlsError>(Ready { acceptor, made: Instant::now() })
        };
        let ready = self.0.get_or_insert_with(host, make)?;
        if ready.made.elapsed() < FRESH {
            return Ok(ready.acceptor);
        }
        let renewed = make()?;
        self.0.insert(host.clone(), renewed.clone());
        Ok(renewed.acceptor)
    }

    /// The acceptor for a host, where there is one.
    pub(crate) fn ready(&self, host: &Host) -> Option<LegacyAcceptor> {
        let ready = self.0.get(host)?;
        (ready.made.elapsed() < FRESH).then_some(ready.acceptor)
    }

    /// The next one is made anew.
    pub(crate) fn forget(&self, host: &Host) {
        self.0.remove(host);
    }
}

/// Answers old hellos for one host.
#[derive(Clone)]
pub(crate) struct LegacyAcceptor(SslContext);

impl LegacyAcceptor {
    fn new(
        authority: &Authority,
        keys: &LeafKeys,
        host: &Host,
        names: Option<&UpstreamNames>,
        key_log: &Arc<dyn KeyLog>,
    ) -> Result<Self, TlsError> {
        let leaf = keys.mint(authority, host, names, LeafKey::Rsa)?;
        let key = keys.pkcs8(LeafKey::Rsa)?;
        let chain: Vec<&[u8]> = leaf.cert.iter().map(|one| &**one).collect();
        context(&chain, &key, key_log)
            .map(Self)
            .map_err(|error| TlsError::Legacy(error.to_string()))
    }

    /// Opens the connection. The octets of the hello must come out of `stream` once more.
    ///
    /// # Errors
    /// When the handshake fails: an alert of the console as rustls would tell it, so that
    /// [`refusal`](crate::refusal) understands it, its hanging up as `UnexpectedEof`, or OpenSSL's
    /// own words.
    pub(crate) async fn accept<S>(&self, stream: S) -> io::Result<LegacyStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let ssl = Ssl::new(&self.0)?;
        let mut stream = tokio_openssl::SslStream::new(ssl, stream)?;
        match Pin::new(&mut stream).accept().await {
            Ok(()) => Ok(LegacyStream(stream)),
            Err(error) => Err(explain(error)),
        }
    }
}

fn context(
    chain: &[&[u8]],
    key: &[u8],
    key_log: &Arc<dyn KeyLog>,
) -> Result<SslContext, ErrorStack> {
    load_providers()?;
    let mut context = SslContextBuilder::new(SslMethod::tls_server())?;
    log_secrets(&mut context, key_log);
    // Among them: no empty records before those with CBC, at which old clients stumble. Servers
    // of their time sent none either.
    context.set_options(SslOptions::ALL | SslOptions::NO_COMPRESSION);
    context.set_min_proto_version(Some(SslVersion::TLS1))?;
    // What has TLS 1.3 is not sent here.
    context.set_max_proto_version(Some(SslVersion::TLS1_2))?;
    context.set_cipher_list(&cipher_list())?;
    context.set_groups_list(&group_list())?;
    context.set_sigalgs_list(&signature_list())?;
    context.set_tmp_dh(&*Dh::get_2048_256()?)?;
    context.set_private_key(&*PKey::private_key_from_pkcs8(key)?)?;
    for (index, der) in chain.iter().enumerate() {
        let certificate = X509::from_der(der)?;
        if index == 0 {
            context.set_certificate(&certificate)?;
        } else {
            context.add_extra_chain_cert(certificate)?;
        }
    }
    context.set_alpn_select_callback(|_, offered| {
        select_next_proto(b"\x08http/1.1", offered).ok_or(AlpnError::NOACK)
    });
    Ok(context.build())
}

/// OpenSSL tells a line of the file as it is to be.
pub(super) fn log_secrets(context: &mut SslContextBuilder, key_log: &Arc<dyn KeyLog>) {
    if !key_log.will_log("CLIENT_RANDOM") {
        return;
    }
    let key_log = Arc::clone(key_log);
    context.set_keylog_callback(move |_, line| {
        let mut words = line.split(' ');
        let (label, random, secret) = (words.next(), words.next(), words.next());
        let octets = |hex: Option<&str>| hex.and_then(unhex);
        if let (Some(label), Some(random), Some(secret)) = (label, octets(random), octets(secret)) {
            key_log.log(label, &random, &secret);
        }
    });
}

/// RC4 lives in the provider `legacy`. Once one is loaded by name, OpenSSL does not load `default`
/// by itself. Both are a matter of the process in OpenSSL, and are never unloaded.
pub(super) fn load_providers() -> Result<(), ErrorStack> {
    static LOADED: OnceLock<Result<[Provider; 2], ErrorStack>> = OnceLock::new();
    let load = || Ok([Provider::load(None, "legacy")?, Provider::load(None, "default")?]);
    LOADED.get_or_init(load).as_ref().map(drop).map_err(Clone::clone)
}

impl std::fmt::Debug for LegacyAcceptor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LegacyAcceptor").finish_non_exhaustive()
    }
}

/// A connection that OpenSSL opened.
#[derive(Debug)]
pub(crate) struct LegacyStream<S>(pub(super) tokio_openssl::SslStream<S>);

impl<S: AsyncRead + AsyncWrite + Unpin> LegacyStream<S> {
    /// The connection underneath.
    pub(crate) fn get_ref(&self) -> &S {
        self.0.get_ref()
    }

    /// Whether something came before the end; it is waited for, and stays where it is.
    ///
    /// # Errors
    /// When the connection fails, as [`LegacyAcceptor::accept`] tells it.
    pub(crate) async fn has_more(&mut self) -> io::Result<bool> {
        let peeked = Pin::new(&mut self.0).peek(&mut [0]).await;
        match peeked {
            Ok(count) => Ok(count > 0),
            Err(error) if error.code() == ErrorCode::ZERO_RETURN => Ok(false),
            Err(error) => Err(explain(error)),
        }
    }

    /// The certificates that a server showed, its own first.
    pub(crate) fn peer_certificates(&self) -> Vec<CertificateDer<'static>> {
        let chain = self.0.ssl().peer_cert_chain();
        let der = chain.into_iter().flatten().filter_map(|one| one.to_der().ok());
        der.map(CertificateDer::from).collect()
    }

    /// What both sides agreed on.
    pub(crate) fn negotiated(&self) -> ServerHelloFacts {
        let ssl = self.0.ssl();
        let version = match ssl.version2() {
            Some(SslVersion::TLS1) => 0x0301,
            Some(SslVersion::TLS1_1) => 0x0302,
            Some(SslVersion::TLS1_2) => 0x0303,
            _ => 0,
        };
        let number = ssl.current_cipher().map(|cipher| u16::from_be_bytes(cipher.protocol_id()));
        ServerHelloFacts {
            version,
            suite: number.unwrap_or_default(),
            alpn: ssl.selected_alpn_protocol().map(crate::hello::text),
            resumed: Some(ssl.session_reused()),
            ..ServerHelloFacts::default()
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for LegacyStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer).map_err(truncation)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for LegacyStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, octets)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// `SSL_R_UNEXPECTED_EOF_WHILE_READING` and `SSL_R_SSLV3_ALERT_CLOSE_NOTIFY`; an alert that came is
/// 1000 and its number (openssl/sslerr.h).
const UNEXPECTED_EOF: i32 = 294;
const FIRST_ALERT: i32 = 1000;

/// A connection that ends without `close_notify` is cut off, as rustls sees it too.
fn truncation(error: io::Error) -> io::Error {
    let stack = error.get_ref().and_then(|inner| inner.downcast_ref::<openssl::ssl::Error>());
    let cut = stack.is_some_and(|error| error.ssl_error().is_some_and(|s| has(s, UNEXPECTED_EOF)));
    if cut { io::ErrorKind::UnexpectedEof.into() } else { error }
}

fn has(stack: &ErrorStack, reason: i32) -> bool {
    stack.errors().iter().any(|error| error.reason_code() == reason)
}

/// How a handshake failed, in the words of the rest of the house.
pub(super) fn explain(error: openssl::ssl::Error) -> io::Error {
    let Some(stack) = error.ssl_error() else {
        // A peer that is gone is told as an error of the system without a number.
        let gone = error.code() == ErrorCode::SYSCALL || error.code() == ErrorCode::ZERO_RETURN;
        let other = |error| io::Error::other(format!("OpenSSL: {error}"));
        return match error.into_io_error() {
            Ok(error) => error,
            Err(_) if gone => io::ErrorKind::UnexpectedEof.into(),
            Err(error) => other(error),
        };
    };
    if has(stack, UNEXPECTED_EOF) {
        return io::ErrorKind::UnexpectedEof.into();
    }
    let alert = stack
        .errors()
        .iter()
        .find_map(|error| u8::try_from(error.reason_code().checked_sub(FIRST_ALERT)?).ok());
    if let Some(alert) = alert {
        return io::Error::other(rustls::Error::AlertReceived(AlertDescription::from(alert)));
    }
    let words: Vec<&str> = stack.errors().iter().filter_map(OpensslError::reason).collect();
    io::Error::other(format!("OpenSSL: {}", words.join(", ")))
}
