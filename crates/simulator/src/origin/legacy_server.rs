//! Servers that were never renewed: TLS 1.0 to 1.2 with the suites of their time, by the vendored
//! OpenSSL. Only with the feature `legacy-tls`.

use std::fmt;
use std::io;
use std::pin::Pin;

use openssl::error::ErrorStack;
use openssl::pkey::PKey;
use openssl::ssl::{Ssl, SslContext, SslContextBuilder, SslMethod, SslVerifyMode, SslVersion};
use openssl::x509::X509;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_openssl::SslStream;

use crate::console::load_providers;

/// A server that speaks one version of TLS, and no other.
#[derive(Clone)]
pub struct LegacyServer(SslContext);

impl fmt::Debug for LegacyServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LegacyServer").finish_non_exhaustive()
    }
}

/// The version that a server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LegacyVersion {
    /// RFC 2246.
    Tls10,
    /// RFC 4346.
    Tls11,
    /// RFC 5246.
    Tls12,
}

impl LegacyServer {
    /// A server with these suites, as OpenSSL names them, and a certificate and key in PEM form.
    /// Where `client_ca` is given, it wants a certificate of the client from there.
    ///
    /// # Errors
    /// What OpenSSL does not understand.
    pub fn new(
        version: LegacyVersion,
        suites: &str,
        certificate: &str,
        key: &str,
        client_ca: Option<&str>,
    ) -> io::Result<Self> {
        Ok(Self(context(version, suites, (certificate, key), client_ca)?))
    }

    /// Shakes hands over this connection.
    ///
    /// # Errors
    /// As OpenSSL has them: what the client offers nothing of, or why its certificate is refused.
    pub async fn accept<S>(&self, stream: S) -> io::Result<SslStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut stream = SslStream::new(Ssl::new(&self.0)?, stream)?;
        match Pin::new(&mut stream).accept().await {
            Ok(()) => Ok(stream),
            Err(error) => Err(io::Error::other(error.to_string())),
        }
    }
}

fn context(
    version: LegacyVersion,
    suites: &str,
    (certificate, key): (&str, &str),
    client_ca: Option<&str>,
) -> Result<SslContext, ErrorStack> {
    load_providers()?;
    let version = match version {
        LegacyVersion::Tls10 => SslVersion::TLS1,
        LegacyVersion::Tls11 => SslVersion::TLS1_1,
        LegacyVersion::Tls12 => SslVersion::TLS1_2,
    };
    let mut context = SslContextBuilder::new(SslMethod::tls_server())?;
    context.set_min_proto_version(Some(version))?;
    context.set_max_proto_version(Some(version))?;
    context.set_cipher_list(&format!("{suites}:@SECLEVEL=0"))?;
    context.set_certificate(&*X509::from_pem(certificate.as_bytes())?)?;
    context.set_private_key(&*PKey::private_key_from_pem(key.as_bytes())?)?;
    if let Some(client_ca) = client_ca {
        context.cert_store_mut().add_cert(X509::from_pem(client_ca.as_bytes())?)?;
        context.set_verify(SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT);
    }
    Ok(context.build())
}
