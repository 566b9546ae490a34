//! Certificates that we show to servers in the console's place, because they ask for one: some
//! services of consoles do, and whoever has the certificate of his own console can give it to us.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use consoletap_flow::HostGlob;
#[cfg(feature = "p12")]
use p12_keystore::{KeyStore, Pkcs12ImportPolicy};
use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::sign::CertifiedKey;
#[cfg(feature = "p12")]
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::provider::{TlsError, provider};

/// Which certificate is shown to which servers: `GLOB=FILE[:SECOND]`. The file is PEM or P12; the
/// second one holds the key of a PEM, where it is not in the first, or the password of a P12.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The servers.
    pub hosts: HostGlob,
    /// The certificate.
    pub file: PathBuf,
    /// Its key, or its password.
    pub second: Option<PathBuf>,
}

/// Text that names no client certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidClientCertificate(String);

impl fmt::Display for InvalidClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} names no client certificate: write HOST-GLOB=FILE, or HOST-GLOB=FILE:SECOND where \
             SECOND holds the password of a P12 or the key of a PEM",
            self.0
        )
    }
}

impl std::error::Error for InvalidClientCertificate {}

impl FromStr for ClientCertificate {
    type Err = InvalidClientCertificate;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidClientCertificate(text.to_owned());
        let (hosts, files) = text.split_once('=').ok_or_else(invalid)?;
        let (file, second) = match files.rsplit_once(':') {
            Some((file, second)) => (file, Some(second)),
            None => (files, None),
        };
        if file.is_empty() || second.is_some_and(str::is_empty) {
            return Err(invalid());
        }
        let hosts = hosts.parse().map_err(|_| invalid())?;
        Ok(Self { hosts, file: file.into(), second: second.map(PathBuf::from) })
    }
}

impl fmt::Display for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.hosts, self.file.display())?;
        self.second.as_ref().map_or(Ok(()), |second| write!(f, ":{}", second.display()))
    }
}

impl ClientCertificate {
    /// Reads certificate and key.
    pub(crate) fn read(&self) -> Result<Identity, TlsError> {
        let octets = fs::read(&self.file).map_err(|error| self.wrong(&self.file, error))?;
        let is_pem = octets.windows(11).any(|window| window == b"-----BEGIN ");
        let (chain, key) = if is_pem { self.pem(&octets)? } else { self.p12(&octets)? };
        let certified = CertifiedKey::from_der(chain, key.clone_key(), &provider())
            .map_err(|error| self.wrong(&self.file, error))?;
        Ok(Identity { certified: Arc::new(certified), key: Arc::new(key) })
    }

    fn wrong(&self, file: &Path, why: impl fmt::Display) -> TlsError {
        TlsError::ClientCertificate { path: file.to_owned(), why: why.to_string() }
    }

    fn pem(&self, octets: &[u8]) -> Result<Parts, TlsError> {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(octets)
            .collect::<Result<_, _>>()
            .map_err(|error| self.wrong(&self.file, error))?;
        if chain.is_empty() {
            return Err(self.wrong(&self.file, "there is no BEGIN CERTIFICATE in it"));
        }
        let (file, octets) = match &self.second {
            Some(second) => {
                let octets = fs::read(second).map_err(|error| self.wrong(second, error))?;
                (second, octets)
            }
            None => (&self.file, octets.to_vec()),
        };
        if find(&octets, b"BEGIN ENCRYPTED PRIVATE KEY") || find(&octets, b"ENCRYPTED\n") {
            return Err(self.wrong(
                file,
                "its key is encrypted; put both into a P12, with its password in a file: \
                 GLOB=FILE.p12:PASSWORD-FILE",
            ));
        }
        let key = PrivateKeyDer::from_pem_slice(&octets).map_err(|_| {
            self.wrong(
                file,
                "there is no private key in it; GLOB=CERTIFICATE.pem:KEY.pem names another file",
            )
        })?;
        Ok((chain, key))
    }

    #[cfg(not(feature = "p12"))]
    fn p12(&self, _: &[u8]) -> Result<Parts, TlsError> {
        let why = "it is no PEM, and this build reads no P12 (it lacks the feature `p12`)";
        Err(self.wrong(&self.file, why))
    }

    #[cfg(feature = "p12")]
    fn p12(&self, octets: &[u8]) -> Result<Parts, TlsError> {
        let password = match &self.second {
            Some(file) => fs::read_to_string(file).map_err(|error| self.wrong(file, error))?,
            None => String::new(),
        };
        // Editors end a file with a line feed, which is no part of a password.
        let password = password.trim_end_matches(['\r', '\n']);
        let store = KeyStore::from_pkcs12(octets, password, Pkcs12ImportPolicy::Strict).map_err(
            |error| {
                let hint = match &self.second {
                    Some(_) => "is the password right?",
                    None => "has it a password? GLOB=FILE.p12:PASSWORD-FILE names it",
                };
                self.wrong(&self.file, format!("it is no P12 that can be read ({error}); {hint}"))
            },
        )?;
        let Some((_, chain)) = store.private_key_chain() else {
            return Err(self.wrong(&self.file, "there is no private key with a certificate in it"));
        };
        let key = PrivatePkcs8KeyDer::from(chain.key().as_der().to_vec());
        let certificates =
            chain.certs().iter().map(|one| CertificateDer::from(one.as_der().to_vec())).collect();
        Ok((certificates, key.into()))
    }
}

/// A certificate with its key.
#[derive(Clone)]
pub(crate) struct Identity {
    pub(crate) certified: Arc<CertifiedKey>,
    /// The key once more, for a stack that signs on its own.
    #[cfg_attr(not(feature = "legacy-tls"), allow(dead_code, reason = "for OpenSSL alone"))]
    pub(crate) key: Arc<PrivateKeyDer<'static>>,
}

type Parts = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn find(octets: &[u8], wanted: &[u8]) -> bool {
    octets.windows(wanted.len()).any(|window| window == wanted)
}

/// What is shown to one server that asks, and whether it asked.
pub(crate) struct Shown {
    certified: Option<Arc<CertifiedKey>>,
    asked: AtomicBool,
}

impl Shown {
    pub(crate) fn new(certified: Option<Arc<CertifiedKey>>) -> Self {
        Self { certified, asked: AtomicBool::new(false) }
    }

    /// Whether the server asked for a certificate, and there was none to show.
    pub(crate) fn is_missed(&self) -> bool {
        self.certified.is_none() && self.asked.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shown").field("asked", &self.asked).finish_non_exhaustive()
    }
}

impl ResolvesClientCert for Shown {
    /// The authorities that the server names are no reason to show nothing: the user chose.
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.asked.store(true, Ordering::Relaxed);
        self.certified.clone()
    }

    fn has_certs(&self) -> bool {
        self.certified.is_some()
    }
}
