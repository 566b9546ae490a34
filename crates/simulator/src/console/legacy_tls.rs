//! Old consoles that really shake hands, with the vendored OpenSSL: versions, suites and their
//! order, and extensions as public captures have them. Only with the feature `legacy-tls`.

use std::io;
use std::pin::Pin;
use std::sync::OnceLock;

use openssl::error::ErrorStack;
use openssl::provider::Provider;
use openssl::ssl::{Ssl, SslContextBuilder, SslMethod, SslOptions, SslVerifyMode, SslVersion};
use openssl::x509::X509;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_openssl::SslStream;

/// A console with TLS that is not safe any more.
#[derive(Debug, Clone)]
pub struct LegacyConsole {
    version: Version,
    /// In OpenSSL's names. It adds 00ff by itself.
    suites: String,
    server_name: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    Tls10,
    Tls11,
    Tls12,
}

/// `SSL_OP_NO_EXTENDED_MASTER_SECRET` and `SSL_OP_NO_ENCRYPT_THEN_MAC` of OpenSSL 3
/// (openssl/ssl.h), which have no names in the crate.
const FEWER_EXTENSIONS: u64 = 1 | 1 << 19;

/// {0035,002f,000a,0005,0004}, as PS3 and Vita offer them.
const SUITES: &str = "AES256-SHA:AES128-SHA:DES-CBC3-SHA:RC4-SHA:RC4-MD5";

impl LegacyConsole {
    /// PS3 4.75: {000a,0005,0004}. OpenSSL sends 00ff besides, which that console did not: for its very
    /// octets there is [`LegacyHello::handshake`](crate::LegacyHello::handshake).
    #[must_use]
    pub fn ps3_4_75() -> Self {
        Self::new(Version::Tls10, "DES-CBC3-SHA:RC4-SHA:RC4-MD5")
    }

    /// PS3 4.81 (JA3 7f340e6caa1fa4c979df919227160ff6).
    #[must_use]
    pub fn ps3_4_81() -> Self {
        Self::new(Version::Tls10, SUITES)
    }

    /// PS3 4.82 (JA3 59566b3606a7fa636a100d2b1693687f).
    #[must_use]
    pub fn ps3_4_82(host: &str) -> Self {
        Self { server_name: Some(host.to_owned()), ..Self::new(Version::Tls11, SUITES) }
    }

    /// A Vita before 3.73 (JA3 4f193c90be6e0aed1752e8aa0daee95a).
    #[must_use]
    pub fn vita() -> Self {
        Self::new(Version::Tls11, SUITES)
    }

    /// A Vita of 3.73 or with iTLS (JA3 fc2299d5b2964cd242c5a2c8c531a5f0).
    #[must_use]
    pub fn vita_3_73(host: &str) -> Self {
        let suites = format!("AES256-SHA256:AES128-SHA256:{SUITES}");
        Self { server_name: Some(host.to_owned()), ..Self::new(Version::Tls12, &suites) }
    }

    /// The same console with these suites alone, as OpenSSL names them.
    #[must_use]
    pub fn with_suites(self, suites: &str) -> Self {
        Self { suites: suites.to_owned(), ..self }
    }

    /// The suite that it wants most, as OpenSSL names it.
    #[must_use]
    pub fn first_suite(&self) -> &str {
        self.suites.split(':').next().unwrap_or_default()
    }

    fn new(version: Version, suites: &str) -> Self {
        Self { version, suites: suites.to_owned(), server_name: None }
    }

    /// Shakes hands over this connection, with a server whose certificate must come from `ca_pem`.
    ///
    /// # Errors
    /// As OpenSSL has them: what the server refused, or what is wrong with its certificate.
    pub async fn handshake<S>(&self, stream: S, ca_pem: &str) -> io::Result<SslStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut stream = SslStream::new(self.ssl(ca_pem)?, stream)?;
        match Pin::new(&mut stream).connect().await {
            Ok(()) => Ok(stream),
            Err(error) => Err(io::Error::other(error.to_string())),
        }
    }

    fn ssl(&self, ca_pem: &str) -> Result<Ssl, ErrorStack> {
        load_providers()?;
        let version = match self.version {
            Version::Tls10 => SslVersion::TLS1,
            Version::Tls11 => SslVersion::TLS1_1,
            Version::Tls12 => SslVersion::TLS1_2,
        };
        let mut context = SslContextBuilder::new(SslMethod::tls_client())?;
        // From TLS 1.1 on, OpenSSL says in an extension what these consoles say with 00ff.
        context.set_min_proto_version(Some(SslVersion::TLS1))?;
        context.set_max_proto_version(Some(version))?;
        context.set_cipher_list(&format!("{}:@SECLEVEL=0", self.suites))?;
        // No extension that these consoles do not know.
        context.set_options(SslOptions::NO_TICKET | SslOptions::from_bits_retain(FEWER_EXTENSIONS));
        context.cert_store_mut().add_cert(X509::from_pem(ca_pem.as_bytes())?)?;
        context.set_verify(SslVerifyMode::PEER);
        let mut ssl = Ssl::new(&context.build())?;
        if let Some(name) = &self.server_name {
            ssl.set_hostname(name)?;
            ssl.param_mut().set_host(name)?;
        }
        Ok(ssl)
    }
}

/// RC4 is in a provider that is not loaded by itself, and then the other is not either.
pub(crate) fn load_providers() -> Result<(), ErrorStack> {
    static LOADED: OnceLock<Result<[Provider; 2], ErrorStack>> = OnceLock::new();
    let load = || Ok([Provider::load(None, "legacy")?, Provider::load(None, "default")?]);
    LOADED.get_or_init(load).as_ref().map(drop).map_err(Clone::clone)
}
