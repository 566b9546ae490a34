//! The certificate authority: made once for this installation, kept in two files, never replaced.
//!
//! `ca.pem` is what goes to the console; `ca-key.pem` stays here and is readable by its owner
//! only. Whoever has the key can read the traffic of every console that trusts the certificate.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use aws_lc_rs::digest;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_RSA_SHA256, PublicKeyData as _, RsaKeySize, date_time_ymd,
};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::leaf::serial_number;

const CERTIFICATE: &str = "ca.pem";
const KEY: &str = "ca-key.pem";
const DAY: u64 = 24 * 60 * 60;
/// Ten years and their leap days, to be installed on a console once.
const VALID: Duration = Duration::from_secs((10 * 365 + 3) * DAY);
/// A console whose clock is behind must not find the authority in its future.
const BACKDATED: Duration = Duration::from_secs(2 * DAY);

/// What is wrong with the authority's files.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CaError {
    /// The folder cannot be made or locked.
    #[error("cannot use the folder {} for the CA: {source}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others can read the key.
    #[error(
        "the CA key {} can be read by others (mode {mode:04o}); they could read what your \
         consoles send. If you trust everybody who had access: chmod 600 {}. Otherwise remove it \
         and {CERTIFICATE} beside it; a new CA is made at the next start",
        path.display(), path.display()
    )]
    LaxKey {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The certificate is there, the key is not.
    #[error(
        "{} is there, but its key {} is missing: put the key back, or remove the certificate to \
         have a new CA made",
        certificate.display(), key.display()
    )]
    MissingKey {
        /// The file that is there.
        certificate: PathBuf,
        /// The file that is not.
        key: PathBuf,
    },
    /// A file is not what it should be.
    #[error("{}: {expected} is expected here ({found}). {REPAIR}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What should be there.
        expected: &'static str,
        /// What is there.
        found: String,
    },
    /// The certificate belongs to another key.
    #[error("{} and {} do not belong together. {REPAIR}", certificate.display(), key.display())]
    Mismatch {
        /// The certificate.
        certificate: PathBuf,
        /// The key.
        key: PathBuf,
    },
    /// No new authority could be made.
    #[error("no new CA can be made: {0}")]
    Generate(#[from] rcgen::Error),
}

/// What to do with files that are no CA.
const REPAIR: &str =
    "Put the right file back, or remove ca.pem and ca-key.pem to have a new CA made";

/// The authority that signs our certificates.
pub struct Authority {
    pem: String,
    der: CertificateDer<'static>,
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
        let files = Files { certificate: dir.join(CERTIFICATE), key: dir.join(KEY) };
        if let Some(authority) = files.load()? {
            return Ok(authority);
        }
        let folder = |source| CaError::Folder { path: dir.to_owned(), source };
        create_folder(dir).map_err(folder)?;
        // Of two first starts one makes the CA, and the other waits and reads it.
        let _turn = lock(dir).map_err(folder)?;
        match files.load()? {
            Some(authority) => Ok(authority),
            None => files.create(),
        }
    }

    /// The certificate as text, to be given to the console.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        &self.pem
    }

    /// The certificate as octets.
    #[must_use]
    pub fn certificate_der(&self) -> CertificateDer<'static> {
        self.der.clone()
    }

    /// The SHA-256 of the certificate, as `AB:CD:…`, to compare with what the console shows.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let digest = digest::digest(&digest::SHA256, &self.der);
        let octets: Vec<String> =
            digest.as_ref().iter().map(|octet| format!("{octet:02X}")).collect();
        octets.join(":")
    }

    pub(crate) fn issuer(&self) -> &Issuer<'static, KeyPair> {
        &self.issuer
    }
}

/// The two files.
struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

impl Files {
    /// The authority in the files; `None` where at least the certificate is missing.
    fn load(&self) -> Result<Option<Authority>, CaError> {
        let Some(key) = self.read_key()? else {
            return match self.certificate.try_exists() {
                // Seen between the two steps of `create` this cannot be: the key comes first.
                Ok(true) => Err(CaError::MissingKey {
                    certificate: self.certificate.clone(),
                    key: self.key.clone(),
                }),
                Ok(false) => Ok(None),
                Err(source) => Err(CaError::Read { path: self.certificate.clone(), source }),
            };
        };
        match fs::read_to_string(&self.certificate) {
            Ok(pem) => self.check(pem, key).map(Some),
            Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(CaError::Read { path: self.certificate.clone(), source }),
        }
    }

    /// Makes what is missing. The key is written first: a certificate that anybody can have
    /// installed is never without its key, and a key without one (a crash between the two) is used.
    fn create(&self) -> Result<Authority, CaError> {
        let key = match self.read_key()? {
            Some(key) => key,
            None => {
                // RSA, since some consoles verify nothing else. It signs a leaf in 0.3 ms.
                let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048)?;
                write_new(&self.key, &key.serialize_pem(), 0o600)?;
                key
            }
        };
        let pem = params()?.self_signed(&key)?.pem();
        write_new(&self.certificate, &pem, 0o644)?;
        self.check(pem, key)
    }

    fn read_key(&self) -> Result<Option<KeyPair>, CaError> {
        let read = |source| CaError::Read { path: self.key.clone(), source };
        let mut file = match File::open(&self.key) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(read(error)),
        };
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = file.metadata().map_err(read)?.permissions().mode() & 0o7777;
            if mode & 0o077 != 0 {
                return Err(CaError::LaxKey { path: self.key.clone(), mode });
            }
        }
        let mut pem = String::new();
        file.read_to_string(&mut pem).map_err(read)?;
        KeyPair::from_pem(&pem).map(Some).map_err(|error| CaError::Unusable {
            path: self.key.clone(),
            expected: "a private key in PEM form (PKCS #8)",
            found: error.to_string(),
        })
    }

    /// Refuses what would fail on the console only, where nobody sees why.
    fn check(&self, pem: String, key: KeyPair) -> Result<Authority, CaError> {
        let unusable = |found: String| CaError::Unusable {
            path: self.certificate.clone(),
            expected: "the certificate of a CA in PEM form",
            found,
        };
        let der = CertificateDer::from_pem_slice(pem.as_bytes())
            .map_err(|error| unusable(error.to_string()))?;
        let (_, certificate) =
            X509Certificate::from_der(&der).map_err(|error| unusable(error.to_string()))?;
        if !is_authority(&certificate) {
            return Err(unusable("it may not sign other certificates".to_owned()));
        }
        let until = certificate.validity().not_after;
        if until.timestamp() <= seconds(SystemTime::now()) {
            return Err(unusable(format!("it expired on {until}")));
        }
        if certificate.public_key().raw != key.subject_public_key_info() {
            let Self { certificate, key } = self;
            return Err(CaError::Mismatch { certificate: certificate.clone(), key: key.clone() });
        }
        let issuer = Issuer::from_ca_cert_der(&der, key)?;
        Ok(Authority { pem, der, issuer })
    }
}

fn is_authority(certificate: &X509Certificate<'_>) -> bool {
    let may_sign = match certificate.key_usage() {
        Ok(Some(usage)) => usage.value.key_cert_sign(),
        Ok(None) => true,
        Err(_) => false,
    };
    certificate.is_ca() && may_sign
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
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
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

/// A folder that is there already keeps its mode: it may hold other things.
fn create_folder(dir: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

/// Locks the folder itself, so that no lock file stays behind. Where the file system has no
/// locks, the second of two first starts is told that the file exists.
fn lock(dir: &Path) -> io::Result<File> {
    let folder = File::open(dir)?;
    match folder.lock() {
        Err(error) if error.kind() != io::ErrorKind::Unsupported => Err(error),
        _ => Ok(folder),
    }
}

/// Writes a file that must not exist yet. It gets its name only when it is whole, so that a crash
/// leaves no half of one.
fn write_new(path: &Path, text: &str, mode: u32) -> Result<(), CaError> {
    let write = |source| CaError::Write { path: path.to_owned(), source };
    let draft = path.with_extension(format!("{}.new", std::process::id()));
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    let mut file = options.open(&draft).map_err(write)?;
    let placed = file
        .write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .and_then(|()| give_name(&draft, path));
    // Gone already where it was renamed.
    let _ = fs::remove_file(&draft);
    placed.map_err(write)
}

fn give_name(draft: &Path, path: &Path) -> io::Result<()> {
    // Unlike a rename, a link replaces nothing.
    match fs::hard_link(draft, path) {
        // File systems without links (FAT, some shares): the lock and the look before must do.
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists && !path.try_exists()? => {
            fs::rename(draft, path)
        }
        linked => linked,
    }
}
