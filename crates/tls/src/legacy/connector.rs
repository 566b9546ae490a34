//! Old TLS towards a server that speaks nothing else, for hosts that the user named: OpenSSL shakes
//! hands, and who is believed is decided as for every other server.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use openssl::error::ErrorStack;
use openssl::pkey::PKey;
use openssl::ssl::{
    Ssl, SslContext, SslContextBuilder, SslMethod, SslOptions, SslVerifyMode, SslVersion,
};
use openssl::x509::X509;
use rustls::KeyLog;
use rustls::client::danger::ServerCertVerifier;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::io::{AsyncRead, AsyncWrite};

use super::openssl::{LegacyStream, explain, load_providers, log_secrets};
use super::suites::{cipher_list, group_list, signature_list};
use crate::alpn::Alpn;
use crate::client_certificate::Identity;
use crate::provider::TlsError;

/// Opens old connections to one server.
#[derive(Clone)]
pub(crate) struct LegacyConnector {
    context: SslContext,
    verifier: Arc<dyn ServerCertVerifier>,
}

impl fmt::Debug for LegacyConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LegacyConnector").finish_non_exhaustive()
    }
}

impl LegacyConnector {
    pub(crate) fn new(
        verifier: Arc<dyn ServerCertVerifier>,
        identity: Option<&Identity>,
        alpn: Alpn,
        key_log: &Arc<dyn KeyLog>,
    ) -> Result<Self, TlsError> {
        match context(identity, alpn, key_log) {
            Ok(context) => Ok(Self { context, verifier }),
            Err(error) => Err(TlsError::Legacy(error.to_string())),
        }
    }

    /// Opens the connection. No octet of the user's has been sent where the server is not believed.
    ///
    /// # Errors
    /// When the handshake fails, in the words that [`explain`](crate::explain) understands, or the
    /// certificate is not valid for `name`.
    pub(crate) async fn connect<S>(
        &self,
        name: &ServerName<'_>,
        stream: S,
    ) -> io::Result<LegacyStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut ssl = Ssl::new(&self.context)?;
        // Addresses have no place in SNI (RFC 6066 3).
        if let ServerName::DnsName(name) = name {
            ssl.set_hostname(name.as_ref())?;
        }
        let mut stream = tokio_openssl::SslStream::new(ssl, stream)?;
        Pin::new(&mut stream).connect().await.map_err(explain)?;
        let stream = LegacyStream(stream);
        self.check(&stream.peer_certificates(), name).map_err(io::Error::other)?;
        Ok(stream)
    }

    /// OpenSSL made sure that the server has the key of the first one.
    fn check(
        &self,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
    ) -> Result<(), rustls::Error> {
        let Some((own, others)) = chain.split_first() else {
            return Err(rustls::Error::NoCertificatesPresented);
        };
        self.verifier.verify_server_cert(own, others, name, &[], UnixTime::now()).map(drop)
    }
}

fn context(
    identity: Option<&Identity>,
    alpn: Alpn,
    key_log: &Arc<dyn KeyLog>,
) -> Result<SslContext, ErrorStack> {
    load_providers()?;
    let mut context = SslContextBuilder::new(SslMethod::tls_client())?;
    log_secrets(&mut context, key_log);
    // A server of its time may know nothing of RFC 5746; it is no older danger than the rest.
    context.set_options(
        SslOptions::ALL
            | SslOptions::NO_COMPRESSION
            | SslOptions::ALLOW_UNSAFE_LEGACY_RENEGOTIATION,
    );
    context.set_min_proto_version(Some(SslVersion::TLS1))?;
    // TLS 1.3 is what rustls speaks. A server that is named here by mistake still has 1.2.
    context.set_max_proto_version(Some(SslVersion::TLS1_2))?;
    context.set_cipher_list(&cipher_list())?;
    context.set_groups_list(&group_list())?;
    context.set_sigalgs_list(&signature_list())?;
    // See `check`.
    context.set_verify(SslVerifyMode::NONE);
    if let Some(identity) = identity {
        context.set_private_key(&*PKey::private_key_from_der(identity.key.secret_der())?)?;
        for (index, der) in identity.certified.cert.iter().enumerate() {
            let certificate = X509::from_der(der)?;
            if index == 0 {
                context.set_certificate(&certificate)?;
            } else {
                context.add_extra_chain_cert(certificate)?;
            }
        }
    }
    // HTTP/2 forbids all of these suites (RFC 9113 9.2.2).
    if alpn.has_http1() {
        context.set_alpn_protos(b"\x08http/1.1")?;
    }
    Ok(context.build())
}
