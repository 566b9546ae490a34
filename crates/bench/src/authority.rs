//! The certificates of a run: one authority, and leaves signed by it.
//!
//! The origin and the bare relay each have an authority of their own, as in life: a client
//! that trusts the relay's must not reach the origin by mistake unnoticed.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::ServerSessionMemoryCache;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

/// Where an authority lies on disk.
#[derive(Clone, Debug)]
pub(crate) struct AuthorityFiles {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

/// Signs leaves. One P-256 key serves them all: making a key for each host would be the
/// dearest part of a first contact, and a proxy has no need of it.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    leaf_key: KeyPair,
    provider: Arc<CryptoProvider>,
    /// One memory of TLS sessions for all hosts: rustls gives each config one of its own, and
    /// with a config for each host they add up.
    sessions: Arc<ServerSessionMemoryCache>,
}

impl AuthorityFiles {
    /// Makes a new authority called `name` and writes `name.pem` and `name-key.pem` to `folder`.
    pub(crate) fn create(folder: &Path, name: &str) -> Result<Self> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().context("a new key for the authority")?;
        let certificate = params.self_signed(&key).context("the certificate of the authority")?;
        let files = Self {
            certificate: folder.join(format!("{name}.pem")),
            key: folder.join(format!("{name}-key.pem")),
        };
        fs::write(&files.certificate, certificate.pem())
            .and_then(|()| fs::write(&files.key, key.serialize_pem()))
            .with_context(|| format!("writing the authority to {}", folder.display()))?;
        Ok(files)
    }
}

impl Authority {
    /// Reads an authority that [`AuthorityFiles::create`] wrote.
    pub(crate) fn load(files: &AuthorityFiles) -> Result<Self> {
        let read = |path: &Path| {
            fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
        };
        let key = KeyPair::from_pem(&read(&files.key)?)
            .with_context(|| format!("{} should hold a private key", files.key.display()))?;
        let issuer =
            Issuer::from_ca_cert_pem(&read(&files.certificate)?, key).with_context(|| {
                format!("{} should hold a CA certificate", files.certificate.display())
            })?;
        let leaf_key = KeyPair::generate().context("a new key for the leaves")?;
        let sessions = ServerSessionMemoryCache::new(1024);
        Ok(Self { issuer, leaf_key, provider: provider(), sessions })
    }

    /// A ready TLS server for `names` (host names, wildcards or addresses).
    pub(crate) fn server_config(&self, names: &[&str]) -> Result<ServerConfig> {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).context("a certificate for this host")?;
        params.is_ca = IsCa::ExplicitNoCa;
        let leaf = params.signed_by(&self.leaf_key, &self.issuer).context("signing a leaf")?;
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(self.leaf_key.serialize_der()));
        let mut config = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], key)?;
        config.session_storage = Arc::<ServerSessionMemoryCache>::clone(&self.sessions);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}

/// A TLS client that trusts the certificates in `file` and nothing else.
pub(crate) fn client_config(file: &Path) -> Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(file)
        .with_context(|| format!("cannot read {}", file.display()))?;
    for certificate in certificates {
        let certificate =
            certificate.with_context(|| format!("{} should be PEM", file.display()))?;
        roots.add(certificate).with_context(|| format!("in {}", file.display()))?;
    }
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_read_from_disk_signs_for_a_host() {
        let folder = tempfile::tempdir().unwrap();
        let files = AuthorityFiles::create(folder.path(), "bench").unwrap();
        let authority = Authority::load(&files).unwrap();
        assert!(authority.server_config(&["*.bench.test", "127.0.0.1"]).is_ok());
        assert!(client_config(&files.certificate).is_ok());
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = client_config(Path::new("/nowhere/ca.pem")).unwrap_err();
        assert!(format!("{error:#}").contains("/nowhere/ca.pem"), "{error:#}");
    }
}
