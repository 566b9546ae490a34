//! PKCS #12 (RFC 7292) with one certificate and no key, unencrypted, with the checksum that readers
//! insist on. Written here because it is one fixed shape: nested lengths around the certificate.

use aws_lc_rs::{digest, hmac, rand};

/// Rounds of the derivation; the password is no secret.
const ROUNDS: u16 = 2048;

// Object identifiers, encoded.
/// pkcs-7 data, 1.2.840.113549.1.7.1.
const DATA: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01];
/// pkcs-12 certBag, 1.2.840.113549.1.12.10.1.3.
const CERT_BAG: [u8; 11] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x0a, 0x01, 0x03];
/// pkcs-9 x509Certificate, 1.2.840.113549.1.9.22.1.
const X509: [u8; 10] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x16, 0x01];
/// pkcs-9 friendlyName, 1.2.840.113549.1.9.20.
const FRIENDLY_NAME: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x14];
/// Oracle's trustedKeyUsage, 2.16.840.1.113894.746875.1.1: without it Java shows no entry.
const TRUSTED: [u8; 12] = [0x60, 0x86, 0x48, 0x01, 0x86, 0xf9, 0x66, 0xad, 0xca, 0x7b, 0x01, 0x01];
/// anyExtendedKeyUsage, 2.5.29.37.0.
const ANY_USAGE: [u8; 4] = [0x55, 0x1d, 0x25, 0x00];
/// SHA-1, 1.3.14.3.2.26: what every reader knows, and nothing depends on it.
const SHA1: [u8; 5] = [0x2b, 0x0e, 0x03, 0x02, 0x1a];

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OBJECT: u8 = 0x06;
const OCTETS: u8 = 0x04;
const INTEGER: u8 = 0x02;
const BMP_STRING: u8 = 0x1e;
/// `[0] EXPLICIT`.
const TAGGED: u8 = 0xa0;

/// A store with this certificate as one to trust.
pub(super) fn trusted(certificate: &[u8], password: &str) -> Vec<u8> {
    let bag = sequence(&[oid(&X509), value(TAGGED, &value(OCTETS, certificate))]);
    let name = value(BMP_STRING, &bmp("consoletap"));
    let usage = oid(&ANY_USAGE);
    let attributes = [
        sequence(&[oid(&FRIENDLY_NAME), value(SET, &name)]),
        sequence(&[oid(&TRUSTED), value(SET, &usage)]),
    ];
    let attributes = value(SET, &attributes.concat());
    let bags = sequence(&[sequence(&[oid(&CERT_BAG), value(TAGGED, &bag), attributes])]);
    let safe = sequence(&[data(&bags)]);
    // A salt that repeats would do no harm: what it protects is public.
    let mut salt = [0; 16];
    let _ = rand::fill(&mut salt);
    let algorithm = sequence(&[oid(&SHA1), vec![0x05, 0x00]]);
    let checksum = sequence(&[algorithm, value(OCTETS, &mac(&safe, password, &salt))]);
    let rounds = value(INTEGER, &ROUNDS.to_be_bytes());
    let mac_data = sequence(&[checksum, value(OCTETS, &salt), rounds]);
    sequence(&[value(INTEGER, &[3]), data(&safe), mac_data])
}

/// `ContentInfo` of type data.
fn data(content: &[u8]) -> Vec<u8> {
    sequence(&[oid(&DATA), value(TAGGED, &value(OCTETS, content))])
}

fn oid(encoded: &[u8]) -> Vec<u8> {
    value(OBJECT, encoded)
}

fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
    value(SEQUENCE, &parts.concat())
}

/// Tag, length (X.690 8.1.3) and content.
fn value(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let significant = &length[length.iter().take_while(|&&octet| octet == 0).count()..];
    let mut encoded = vec![tag];
    match content.len() {
        short @ 0..=0x7f => encoded.push(u8::try_from(short).unwrap_or(0x7f)),
        _ => {
            encoded.push(0x80 | u8::try_from(significant.len()).unwrap_or(8));
            encoded.extend(significant);
        }
    }
    encoded.extend(content);
    encoded
}

/// UTF-16, big end first.
fn bmp(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_be_bytes).collect()
}

/// RFC 7292 section 4: HMAC with a key from the password.
fn mac(content: &[u8], password: &str, salt: &[u8]) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &derived_key(password, salt));
    hmac::sign(&key, content).as_ref().to_vec()
}

/// RFC 7292 appendix B.2, for a key (ID 3) that one SHA-1 fills: the general rule ends after its
/// first block.
fn derived_key(password: &str, salt: &[u8]) -> Vec<u8> {
    /// The block size of SHA-1.
    const BLOCK: usize = 64;
    let repeated = |octets: &[u8]| -> Vec<u8> {
        let length = octets.len().div_ceil(BLOCK) * BLOCK;
        octets.iter().copied().cycle().take(length).collect()
    };
    let password = [bmp(password), vec![0, 0]].concat();
    let input = [vec![3; BLOCK], repeated(salt), repeated(&password)].concat();
    let sha1 = |octets: &[u8]| digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, octets);
    let mut key = sha1(&input);
    for _ in 1..ROUNDS {
        key = sha1(key.as_ref());
    }
    key.as_ref().to_vec()
}
