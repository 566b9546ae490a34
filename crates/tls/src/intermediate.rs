//! Between the authority, whose key is RSA for the sake of old clients, and leaves for clients of
//! today: a P-256 key that signs those. It is made for one run, and never leaves its memory.

use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, date_time_ymd,
};
use rustls_pki_types::CertificateDer;

use crate::ca::Authority;
use crate::leaf::serial_number;

/// A key that may sign leaves, and the authority's word for it.
pub(crate) struct Intermediate {
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) issuer: Issuer<'static, KeyPair>,
}

impl Intermediate {
    /// As long valid as the authority: it goes with the process.
    pub(crate) fn new(authority: &Authority) -> Result<Self, rcgen::Error> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = CertificateParams::default();
        let at = |seconds: i64| {
            date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds.max(0).unsigned_abs())
        };
        let validity = authority.validity();
        (params.not_before, params.not_after) = (at(validity.start), at(validity.end));
        params.serial_number = Some(serial_number()?);
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "consoletap, for one run");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&key, authority.issuer())?;
        Ok(Self { certificate: certificate.into(), issuer: Issuer::new(params, key) })
    }
}
