//! The two files of an authority: read, and refused where they would fail on the console only, where
//! nobody sees why.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::PathBuf;
use std::time::SystemTime;

use rcgen::{Issuer, KeyPair, PKCS_RSA_SHA256, PublicKeyData as _};
use rustls_pki_types::pem::{self, PemObject as _};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::{Authority, CERTIFICATE, CaError, KEY, known, seconds};

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// Where an authority is.
pub(super) struct Files {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
    /// Whether consoletap made it, and can make another.
    pub(super) ours: bool,
}

impl Files {
    /// In the folder where consoletap keeps its own.
    pub(super) fn ours(dir: &std::path::Path) -> Self {
        Self { certificate: dir.join(CERTIFICATE), key: dir.join(KEY), ours: true }
    }

    /// The authority in the files; `None` where at least the certificate is missing.
    pub(super) fn load(&self) -> Result<Option<Authority>, CaError> {
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
            Ok(text) => self.check(&text, key).map(Some),
            Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(CaError::Read { path: self.certificate.clone(), source }),
        }
    }

    pub(super) fn read_key(&self) -> Result<Option<KeyPair>, CaError> {
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
                let otherwise = self.repair(
                    "Otherwise remove it and ca.pem beside it; a new CA is made at the next start",
                    "Otherwise make a new CA",
                );
                return Err(CaError::LaxKey { path: self.key.clone(), mode, otherwise });
            }
        }
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(read)?;
        let unusable = |found: String| CaError::Unusable {
            path: self.key.clone(),
            expected: "a private key in PEM form (PKCS #8, PKCS #1 or SEC 1)",
            found,
            repair: self.usual_repair(),
        };
        let der = PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|error| {
            unusable(match error {
                pem::Error::NoItemsFound if text.contains("ENCRYPTED") => {
                    "it is encrypted; openssl pkey -in FILE -out FILE takes the password off"
                        .to_owned()
                }
                pem::Error::NoItemsFound => "there is none".to_owned(),
                error => error.to_string(),
            })
        })?;
        KeyPair::try_from(&der).map(Some).map_err(|error| unusable(error.to_string()))
    }

    /// Takes the first certificate for the authority, and what follows for the way to its root.
    pub(super) fn check(&self, text: &str, key: KeyPair) -> Result<Authority, CaError> {
        let unusable = |found: String| CaError::Unusable {
            path: self.certificate.clone(),
            expected: "the certificate of a CA in PEM form",
            found,
            repair: self.usual_repair(),
        };
        let chain = CertificateDer::pem_slice_iter(text.as_bytes())
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| unusable(error.to_string()))?;
        let Some(der) = chain.first() else { return Err(unusable("there is none".to_owned())) };
        let (_, certificate) =
            X509Certificate::from_der(der).map_err(|error| unusable(error.to_string()))?;
        if !is_authority(&certificate) {
            return Err(unusable("it may not sign other certificates".to_owned()));
        }
        let public = certificate.public_key().raw;
        if let Some(program) = known::whose(public) {
            return Err(CaError::PublicKey { path: self.certificate.clone(), program });
        }
        let (since, until) = (certificate.validity().not_before, certificate.validity().not_after);
        let now = seconds(SystemTime::now());
        if until.timestamp() <= now {
            return Err(unusable(format!("it expired on {until}")));
        }
        if since.timestamp() > now {
            return Err(unusable(format!("it is not valid before {since}")));
        }
        if public != key.subject_public_key_info() {
            return Err(CaError::Mismatch {
                certificate: self.certificate.clone(),
                key: self.key.clone(),
                repair: self.usual_repair(),
            });
        }
        let validity = since.timestamp()..until.timestamp();
        let is_rsa = key.is_compatible(&PKCS_RSA_SHA256);
        let takes_another = takes_another(&certificate);
        let issuer = Issuer::from_ca_cert_der(der, key)?;
        Ok(Authority { pem: first(text), validity, is_rsa, takes_another, chain, issuer })
    }

    fn usual_repair(&self) -> &'static str {
        self.repair(
            "Put the right file back, or remove ca.pem and ca-key.pem to have a new CA made",
            "Name another file, or leave --ca-cert and --ca-key away to have a CA made",
        )
    }

    fn repair(&self, ours: &'static str, own: &'static str) -> &'static str {
        if self.ours { ours } else { own }
    }
}

/// The text of the first certificate alone: the file may hold the key as well.
fn first(text: &str) -> String {
    let begin = text.find(BEGIN).unwrap_or(0);
    let end = text[begin..].find(END).map_or(text.len(), |end| begin + end + END.len());
    format!("{}\n", &text[begin..end])
}

/// Whether a root leaves room for an authority below it. Of one that is no root we do not know what
/// those above it say.
fn takes_another(certificate: &X509Certificate<'_>) -> bool {
    let constraints = certificate.basic_constraints().ok().flatten();
    let length = constraints.and_then(|constraints| constraints.value.path_len_constraint);
    certificate.subject() == certificate.issuer() && length != Some(0)
}

fn is_authority(certificate: &X509Certificate<'_>) -> bool {
    let may_sign = match certificate.key_usage() {
        Ok(Some(usage)) => usage.value.key_cert_sign(),
        Ok(None) => true,
        Err(_) => false,
    };
    certificate.is_ca() && may_sign
}
