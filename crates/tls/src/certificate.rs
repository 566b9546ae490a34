//! What a certificate says of itself. Nothing is believed here, only told.

use std::net::{Ipv4Addr, Ipv6Addr};

use aws_lc_rs::digest;
use consoletap_flow::{CertificateFacts, Timestamp};
use x509_parser::prelude::{
    FromDer as _, GeneralName, ParsedExtension, X509Certificate, X509Extension,
};
use x509_parser::public_key::PublicKey;
use x509_parser::time::ASN1Time;
use x509_parser::x509::SubjectPublicKeyInfo;

use crate::wire::hex;

/// Some certificates carry thousands of names.
const MOST_NAMES: usize = 100;
/// What a name of a person or a company is cut to.
const LONGEST: usize = 512;

/// What a certificate in DER says; `None` where it cannot be read.
pub(crate) fn facts(der: &[u8], chain: usize) -> Option<CertificateFacts> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let validity = certificate.validity();
    Some(CertificateFacts {
        subject: cut(certificate.subject().to_string()),
        issuer: cut(certificate.issuer().to_string()),
        names: certificate.extensions().iter().flat_map(names).take(MOST_NAMES).collect(),
        not_before: stamp(validity.not_before),
        not_after: stamp(validity.not_after),
        key: key(certificate.public_key()),
        sha256: hex(digest::digest(&digest::SHA256, der).as_ref()),
        chain,
    })
}

/// The certificates of a connection of our own, the server's first.
#[must_use]
pub fn certificate_facts(
    chain: &[rustls_pki_types::CertificateDer<'_>],
) -> Option<CertificateFacts> {
    facts(chain.first()?, chain.len())
}

fn cut(mut text: String) -> String {
    if text.len() > LONGEST {
        let end = (0..=LONGEST).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
        text.truncate(end);
    }
    text
}

fn names(extension: &X509Extension<'_>) -> Vec<String> {
    let ParsedExtension::SubjectAlternativeName(alternative) = extension.parsed_extension() else {
        return Vec::new();
    };
    alternative.general_names.iter().filter_map(name).collect()
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some(cut((*name).to_owned())),
        GeneralName::IPAddress(octets) => match <[u8; 4]>::try_from(*octets) {
            Ok(octets) => Some(Ipv4Addr::from(octets).to_string()),
            Err(_) => <[u8; 16]>::try_from(*octets).ok().map(|ip| Ipv6Addr::from(ip).to_string()),
        },
        _ => None,
    }
}

fn stamp(time: ASN1Time) -> Timestamp {
    Timestamp(time.timestamp().saturating_mul(1_000_000))
}

fn key(info: &SubjectPublicKeyInfo<'_>) -> String {
    match info.parsed() {
        Ok(PublicKey::RSA(key)) => format!("RSA {}", key.key_size()),
        Ok(PublicKey::EC(point)) => match point.key_size() {
            // The size of a point on P-521 is that of whole octets.
            528 => "ECDSA P-521".to_owned(),
            bits => format!("ECDSA P-{bits}"),
        },
        Ok(PublicKey::DSA(_)) => "DSA".to_owned(),
        _ if info.algorithm.algorithm.to_id_string() == "1.3.101.112" => "Ed25519".to_owned(),
        _ => format!("algorithm {}", info.algorithm.algorithm.to_id_string()),
    }
}
