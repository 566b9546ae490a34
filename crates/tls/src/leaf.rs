//! The certificates that the console sees: one for each host, made in memory, all with the same
//! two keys (making a key takes longer than a handshake; none of them is the CA's key).

use std::net::IpAddr;
use std::ops::Range;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use aws_lc_rs::rand;
use consoletap_flow::Host;
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, RsaKeySize, SanType, SerialNumber,
    date_time_ymd,
};
use rustls::sign::{CertifiedKey, SigningKey};
use rustls::{ProtocolVersion, SignatureScheme};
use rustls_pki_types::PrivatePkcs8KeyDer;

use crate::ca::Authority;
use crate::intermediate::Intermediate;
use crate::provider::{TlsError, provider};
use crate::stack::LeafKey;
use crate::upstream_names::UpstreamNames;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Consoles with a clock that is behind must not find the certificate in their future.
const BACKDATED: Duration = DAY.saturating_mul(2);
/// With the two days before: 197 in all. Chromium takes 200 at most since 2026.
const VALID: Duration = DAY.saturating_mul(195);

impl LeafKey {
    /// The signatures that such a key can make in a handshake.
    pub(crate) fn schemes(self, version: ProtocolVersion) -> &'static [SignatureScheme] {
        use SignatureScheme as Scheme;
        match (self, version) {
            (Self::Ecdsa, _) => &[Scheme::ECDSA_NISTP256_SHA256],
            // RFC 8446 4.2.3: PKCS #1 v1.5 signs no TLS 1.3 handshake.
            (Self::Rsa, ProtocolVersion::TLSv1_3) => {
                &[Scheme::RSA_PSS_SHA256, Scheme::RSA_PSS_SHA384, Scheme::RSA_PSS_SHA512]
            }
            (Self::Rsa, _) => &[
                Scheme::RSA_PKCS1_SHA256,
                Scheme::RSA_PKCS1_SHA384,
                Scheme::RSA_PKCS1_SHA512,
                Scheme::RSA_PSS_SHA256,
                Scheme::RSA_PSS_SHA384,
                Scheme::RSA_PSS_SHA512,
            ],
        }
    }
}

/// Both keys, each made when it is first needed: RSA takes 77 ms (measured).
#[derive(Default)]
pub(crate) struct LeafKeys {
    ecdsa: OnceLock<Result<Key, String>>,
    rsa: OnceLock<Result<Key, String>>,
    between: OnceLock<Result<Intermediate, rcgen::Error>>,
}

/// A key, as rcgen signs requests with it and as rustls signs handshakes with it.
struct Key {
    kind: LeafKey,
    pair: KeyPair,
    signing: Arc<dyn SigningKey>,
}

impl LeafKeys {
    /// Makes a certificate for the host, with the names that the server's own has where they are
    /// given.
    pub(crate) fn mint(
        &self,
        authority: &Authority,
        host: &Host,
        copied: Option<&UpstreamNames>,
        key: LeafKey,
    ) -> Result<CertifiedKey, TlsError> {
        let key = self.key(key)?;
        let mint = |source| TlsError::Mint { host: host.clone(), source };
        let signer = self.signer(authority, key.kind).map_err(mint)?;
        let leaf = params(host, copied, key.kind, authority.validity())
            .map_err(mint)?
            .signed_by(&key.pair, signer.issuer())
            .map_err(mint)?;
        let mut chain = vec![leaf.into()];
        match signer {
            Signer::Authority(authority) => chain.extend_from_slice(authority.chain()),
            // Whoever believes the authority has its certificate.
            Signer::Intermediate(between) => chain.push(between.certificate.clone()),
        }
        Ok(CertifiedKey::new(chain, Arc::clone(&key.signing)))
    }

    /// Who signs such a leaf: signing with RSA takes 0.3 ms, ten times as long as all the rest, so it
    /// is done once where the client can check ECDSA anyway.
    fn signer<'a>(
        &'a self,
        authority: &'a Authority,
        key: LeafKey,
    ) -> Result<Signer<'a>, rcgen::Error> {
        if key != LeafKey::Ecdsa || !authority.may_have_intermediate() {
            return Ok(Signer::Authority(authority));
        }
        match self.between.get_or_init(|| Intermediate::new(authority)) {
            Ok(between) => Ok(Signer::Intermediate(between)),
            Err(error) => Err(error.clone()),
        }
    }

    /// The key itself, for a stack that signs on its own.
    #[cfg(feature = "legacy-tls")]
    pub(crate) fn pkcs8(&self, key: LeafKey) -> Result<Vec<u8>, TlsError> {
        Ok(self.key(key)?.pair.serialize_der())
    }

    /// Makes the key now, and what signs it, so that no handshake has to wait for it.
    pub(crate) fn prepare(&self, authority: &Authority, key: LeafKey) -> Result<(), TlsError> {
        self.key(key)?;
        self.signer(authority, key).map(drop).map_err(|error| TlsError::Key(error.to_string()))
    }

    fn key(&self, key: LeafKey) -> Result<&Key, TlsError> {
        let place = match key {
            LeafKey::Ecdsa => &self.ecdsa,
            LeafKey::Rsa => &self.rsa,
        };
        let made = place.get_or_init(|| generate(key));
        made.as_ref().map_err(|why| TlsError::Key(why.clone()))
    }
}

fn generate(key: LeafKey) -> Result<Key, String> {
    let pair = match key {
        LeafKey::Ecdsa => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256),
        LeafKey::Rsa => KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048),
    }
    .map_err(|error| error.to_string())?;
    let der = PrivatePkcs8KeyDer::from(pair.serialize_der());
    let signing =
        provider().key_provider.load_private_key(der.into()).map_err(|error| error.to_string())?;
    Ok(Key { kind: key, pair, signing })
}

/// Who signs a leaf.
enum Signer<'a> {
    Authority(&'a Authority),
    Intermediate(&'a Intermediate),
}

impl Signer<'_> {
    fn issuer(&self) -> &Issuer<'static, KeyPair> {
        match self {
            Self::Authority(authority) => authority.issuer(),
            Self::Intermediate(between) => &between.issuer,
        }
    }
}

fn params(
    host: &Host,
    copied: Option<&UpstreamNames>,
    key: LeafKey,
    authority: Range<i64>,
) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::default();
    let epoch = date_time_ymd(1970, 1, 1);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let at = |seconds: i64| epoch + Duration::from_secs(seconds.max(0).unsigned_abs());
    // Never outside of the authority's own days: some clients check that these fit into those.
    params.not_before = (epoch + now - BACKDATED).max(at(authority.start));
    params.not_after = (epoch + now + VALID).min(at(authority.end));
    params.serial_number = Some(serial_number()?);
    (params.subject_alt_names, params.distinguished_name) = match copied {
        Some(names) => (names.alternative_names(host), subject(host, names.common_name())),
        None => (vec![alternative_name(host)?], subject(host, None)),
    };
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    if key == LeafKey::Rsa {
        // RSA key exchange (RFC 5246 7.4.2) encrypts for the key instead.
        params.key_usages.push(KeyUsagePurpose::KeyEncipherment);
    }
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

/// Random, since clients refuse two certificates of one issuer with the same number; 20 octets
/// at most and positive (RFC 5280 section 4.1.2.2).
pub(crate) fn serial_number() -> Result<SerialNumber, rcgen::Error> {
    let mut octets = [0; 20];
    rand::fill(&mut octets).map_err(|_| rcgen::Error::RingUnspecified)?;
    octets[0] = octets[0] & 0x3f | 0x40;
    Ok(SerialNumber::from_slice(&octets))
}

pub(crate) fn alternative_name(host: &Host) -> Result<SanType, rcgen::Error> {
    Ok(match host {
        // A client may ask for `*.example`; it shall get no certificate for all of them.
        Host::Name(name) => SanType::DnsName(name.replace('*', "_").try_into()?),
        Host::V4(ip) => SanType::IpAddress(IpAddr::V4(*ip)),
        Host::V6(ip) => SanType::IpAddress(IpAddr::V6(*ip)),
    })
}

/// Old clients look at the common name, which holds 64 characters (RFC 5280 appendix A.1).
fn subject(host: &Host, copied: Option<&str>) -> DistinguishedName {
    let name = host.ip().map_or_else(|| host.to_string(), |ip| ip.to_string()).replace('*', "_");
    let mut subject = DistinguishedName::new();
    let common_name = copied.unwrap_or(if name.len() <= 64 { &*name } else { "consoletap" });
    subject.push(DnType::CommonName, common_name);
    subject
}
