//! The certificate authority: made once for this installation, kept in two files, never replaced.
//!
//! `ca.pem` is what goes to the console; `ca-key.pem` stays here and is readable by its owner
//! only. Whoever has the key can read the traffic of every console that trusts the certificate.

mod error;
mod files;
mod known;
mod place;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use aws_lc_rs::digest;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_RSA_SHA256, RsaKeySize, date_time_ymd,
};
use rustls_pki_types::CertificateDer;
use x509_parser::prelude::{FromDer as _, X509Certificate};

pub use self::error::CaError;
use self::files::Files;
use self::place::{create_folder, lock, write_new};
use crate::leaf::serial_number;

const CERTIFICATE: &str = "ca.pem";
const KEY: &str = "ca-key.pem";
const DAY: u64 = 24 * 60 * 60;
/// Ten years and their leap days, to be installed on a console once.
const VALID: Duration = Duration::from_secs((10 * 365 + 3) * DAY);
/// A console whose clock is behind must not find the authority in its future.
const BACKDATED: Duration = Duration::from_secs(2 * DAY);

/// The authority that signs our certificates.
pub struct Authority {
    pem: String,
    /// Its certificate, and those between it and its root, where it is none.
    chain: Vec<CertificateDer<'static>>,
    /// In seconds since 1970.
    validity: Range<i64>,
    /// Whether its key is RSA, which takes 0.3 ms to sign with.
    is_rsa: bool,
    /// Whether it is a root that leaves room for an authority below it.
    takes_another: bool,
    issuer: Issuer<'static, KeyPair>,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The key must not get into a log.
        f.debug_struct("Authority")
            .field("fingerprint", &self.fingerprint())
            .finish_non_exhaustive()
    }
}

impl Authority {
    /// Reads `ca.pem` and `ca-key.pem`, or makes them at the first start.
    ///
    /// # Errors
    /// When the files are not safe or not what they should be. Nothing is ever overwritten.
    pub fn load_or_create(dir: &Path) -> Result<Self, CaError> {
        let files = Files::ours(dir);
        if let Some(authority) = files.load()? {
            return Ok(authority);
        }
        let folder = |source| CaError::Folder { path: dir.to_owned(), source };
        create_folder(dir).map_err(folder)?;
        // Of two first starts one makes the CA, and the other waits and reads it.
        let _turn = lock(dir).map_err(folder)?;
        match files.load()? {
            Some(authority) => Ok(authority),
            None => create(&files),
        }
    }

    /// Reads an authority that the user has: its certificate, behind which those up to its root may
    /// follow, and its key (PKCS #8, PKCS #1 or SEC 1), both in PEM form and maybe in one file.
    ///
    /// # Errors
    /// When a file is missing, the key can be read by others, or the two are no authority that can
    /// sign now.
    pub fn load(certificate: PathBuf, key: PathBuf) -> Result<Self, CaError> {
        let files = Files { certificate, key, ours: false };
        files.load()?.ok_or_else(|| CaError::Read {
            path: if files.key.exists() { files.certificate } else { files.key },
            source: std::io::ErrorKind::NotFound.into(),
        })
    }

    /// The certificate as text, to be given to the console.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        &self.pem
    }

    /// The certificate as octets.
    #[must_use]
    pub fn certificate_der(&self) -> CertificateDer<'static> {
        self.chain[0].clone()
    }

    /// Its name, as `CN=consoletap CA …`.
    #[must_use]
    pub fn name(&self) -> String {
        X509Certificate::from_der(&self.chain[0])
            .map_or_else(|_| String::new(), |(_, certificate)| certificate.subject().to_string())
    }

    /// The last day on which it is believed, as `2036-11-23`.
    #[must_use]
    pub fn valid_until(&self) -> String {
        let until = jiff::Timestamp::from_second(self.validity.end).unwrap_or_default();
        until.strftime("%Y-%m-%d").to_string()
    }

    /// What a server shows behind its own certificate.
    pub(crate) fn chain(&self) -> &[CertificateDer<'static>] {
        &self.chain
    }

    /// When what it signs is valid at the most, in seconds since 1970.
    pub(crate) fn validity(&self) -> Range<i64> {
        self.validity.clone()
    }

    /// The SHA-256 of the certificate, as `AB:CD:…`, to compare with what the console shows.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let digest = digest::digest(&digest::SHA256, &self.chain[0]);
        let octets: Vec<String> =
            digest.as_ref().iter().map(|octet| format!("{octet:02X}")).collect();
        octets.join(":")
    }

    /// Whether another is to sign in its place, and may: it is a root itself, and does not say that none
    /// may follow (RFC 5280 4.2.1.9), as those of the first versions did.
    pub(crate) fn may_have_intermediate(&self) -> bool {
        self.is_rsa && self.takes_another
    }

    /// Whether RSA signs every leaf, even a P-256 one.
    pub(crate) fn signs_leaves_with_rsa(&self) -> bool {
        self.is_rsa && !self.takes_another
    }

    pub(crate) fn issuer(&self) -> &Issuer<'static, KeyPair> {
        &self.issuer
    }
}

/// Makes what is missing. The key is written first: a certificate that anybody can have
/// installed is never without its key, and a key without one (a crash between the two) is used.
fn create(files: &Files) -> Result<Authority, CaError> {
    let key = match files.read_key()? {
        Some(key) => key,
        None => {
            // RSA, since some consoles verify nothing else. It signs a leaf in 0.3 ms.
            let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048)?;
            write_new(&files.key, &key.serialize_pem(), 0o600)?;
            key
        }
    };
    let pem = params()?.self_signed(&key)?.pem();
    write_new(&files.certificate, &pem, 0o644)?;
    files.check(&pem, key)
}

fn params() -> Result<CertificateParams, rcgen::Error> {
    let now = SystemTime::now();
    let epoch = date_time_ymd(1970, 1, 1);
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let today = jiff::Timestamp::from_second(seconds(now)).unwrap_or_default();
    let mut params = CertificateParams::default();
    params.not_before = epoch + since - BACKDATED;
    params.not_after = epoch + since + VALID;
    params.serial_number = Some(serial_number()?);
    // Whoever finds it among the certificates of a console shall know whose it is.
    let name = format!("consoletap CA {} {}", machine(), today.strftime("%Y-%m-%d"));
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    // One below it may sign, too: see `intermediate`.
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(1));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

/// The name of this machine; 64 characters is all that a common name holds.
fn machine() -> String {
    let name = rustix::system::uname();
    let name = name.nodename().to_string_lossy();
    let plain = |c: &char| c.is_ascii_alphanumeric() || "-.".contains(*c);
    let name: String = name.chars().filter(plain).take(32).collect();
    if name.is_empty() { "proxy".to_owned() } else { name }
}

fn seconds(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
