//! The cipher suites that OpenSSL opens for old consoles, and which hellos it can answer with them.

use crate::hello::{ClientHello, extension};

/// A suite. All of them sign or decrypt with RSA, for the leaf has such a key.
struct Suite {
    /// The number that IANA gave it.
    number: u16,
    /// The name that OpenSSL gave it.
    #[cfg_attr(not(feature = "legacy-tls"), allow(dead_code, reason = "for OpenSSL alone"))]
    name: &'static str,
    /// Whether TLS 1.2 is the first to have it (RFC 5246, 5288, 5289).
    tls12: bool,
    exchange: Exchange,
}

/// How the keys are agreed on.
#[derive(PartialEq, Eq)]
enum Exchange {
    /// The client encrypts a secret for the server's RSA key.
    Rsa,
    /// Diffie-Hellman, signed.
    Dhe,
    /// The same on an elliptic curve.
    Ecdhe,
}

const fn old(number: u16, name: &'static str, exchange: Exchange) -> Suite {
    Suite { number, name, tls12: false, exchange }
}

const fn tls12(number: u16, name: &'static str, exchange: Exchange) -> Suite {
    Suite { number, name, tls12: true, exchange }
}

/// What consoles are known to offer, and what clients of their time offered beside it. The order
/// says nothing: the console's own is followed, as the servers it was made for did.
const SUITES: [Suite; 24] = [
    old(0x0004, "RC4-MD5", Exchange::Rsa),
    old(0x0005, "RC4-SHA", Exchange::Rsa),
    old(0x000a, "DES-CBC3-SHA", Exchange::Rsa),
    old(0x0016, "DHE-RSA-DES-CBC3-SHA", Exchange::Dhe),
    old(0x002f, "AES128-SHA", Exchange::Rsa),
    old(0x0033, "DHE-RSA-AES128-SHA", Exchange::Dhe),
    old(0x0035, "AES256-SHA", Exchange::Rsa),
    old(0x0039, "DHE-RSA-AES256-SHA", Exchange::Dhe),
    tls12(0x003c, "AES128-SHA256", Exchange::Rsa),
    tls12(0x003d, "AES256-SHA256", Exchange::Rsa),
    tls12(0x0067, "DHE-RSA-AES128-SHA256", Exchange::Dhe),
    tls12(0x006b, "DHE-RSA-AES256-SHA256", Exchange::Dhe),
    tls12(0x009c, "AES128-GCM-SHA256", Exchange::Rsa),
    tls12(0x009d, "AES256-GCM-SHA384", Exchange::Rsa),
    tls12(0x009e, "DHE-RSA-AES128-GCM-SHA256", Exchange::Dhe),
    tls12(0x009f, "DHE-RSA-AES256-GCM-SHA384", Exchange::Dhe),
    old(0xc011, "ECDHE-RSA-RC4-SHA", Exchange::Ecdhe),
    old(0xc012, "ECDHE-RSA-DES-CBC3-SHA", Exchange::Ecdhe),
    old(0xc013, "ECDHE-RSA-AES128-SHA", Exchange::Ecdhe),
    old(0xc014, "ECDHE-RSA-AES256-SHA", Exchange::Ecdhe),
    tls12(0xc027, "ECDHE-RSA-AES128-SHA256", Exchange::Ecdhe),
    tls12(0xc028, "ECDHE-RSA-AES256-SHA384", Exchange::Ecdhe),
    tls12(0xc02f, "ECDHE-RSA-AES128-GCM-SHA256", Exchange::Ecdhe),
    tls12(0xc030, "ECDHE-RSA-AES256-GCM-SHA384", Exchange::Ecdhe),
];

/// The groups for elliptic curves, as IANA numbers them and as OpenSSL writes them.
const GROUPS: [(u16, &str); 4] =
    [(0x001d, "X25519"), (0x0017, "P-256"), (0x0018, "P-384"), (0x0019, "P-521")];

/// The signatures with RSA, in the same two ways. SHA-1 is there for those who know nothing else.
const SIGNATURES: [(u16, &str); 5] = [
    (0x0401, "RSA+SHA256"),
    (0x0501, "RSA+SHA384"),
    (0x0601, "RSA+SHA512"),
    (0x0804, "rsa_pss_rsae_sha256"),
    (0x0201, "RSA+SHA1"),
];

/// Whether OpenSSL, as it is set up here, answers this hello.
pub(crate) fn opens(hello: &ClientHello) -> bool {
    // A hello without the extension offers its version and everything below (RFC 5246 E.1).
    let highest = hello.facts.versions.iter().copied().filter(|&one| one <= 0x0303).max();
    let Some(highest @ 0x0301..) = highest else { return false };
    // RFC 8446 4.2.1 and appendix D.5: with that extension a hello must not call itself SSL 3.0.
    if hello.legacy_version <= 0x0300 && hello.extensions.contains(&extension::VERSIONS) {
        return false;
    }
    let is_tls12 = highest == 0x0303;
    hello.compression.contains(&0)
        && !hello.repeats_extension()
        && (!is_tls12 || signs(hello))
        && SUITES.iter().any(|suite| {
            hello.facts.suites.contains(&suite.number)
                && (is_tls12 || !suite.tls12)
                && (suite.exchange != Exchange::Ecdhe || has_curve(hello))
        })
}

/// Without the extension the client takes what its time took; before TLS 1.2 it means nothing.
fn signs(hello: &ClientHello) -> bool {
    hello
        .signature_algorithms
        .as_ref()
        .is_none_or(|offered| SIGNATURES.iter().any(|(number, _)| offered.contains(number)))
}

/// A client that names no curve gets none from OpenSSL, though RFC 8422 4 would allow it.
fn has_curve(hello: &ClientHello) -> bool {
    hello
        .groups
        .as_ref()
        .is_some_and(|offered| GROUPS.iter().any(|(number, _)| offered.contains(number)))
        && hello.point_formats.as_ref().is_none_or(|formats| formats.contains(&0))
}

#[cfg(feature = "legacy-tls")]
pub(super) use lists::{cipher_list, group_list, signature_list};

/// The same in OpenSSL's own writing.
#[cfg(feature = "legacy-tls")]
mod lists {
    use super::{GROUPS, SIGNATURES, SUITES};

    /// Level 0 of security allows TLS 1.0 and 1.1, SHA-1 and short keys.
    pub(in crate::legacy) fn cipher_list() -> String {
        joined(SUITES.iter().map(|suite| suite.name)) + ":@SECLEVEL=0"
    }

    pub(in crate::legacy) fn group_list() -> String {
        joined(GROUPS.iter().map(|(_, name)| *name))
    }

    pub(in crate::legacy) fn signature_list() -> String {
        joined(SIGNATURES.iter().map(|(_, name)| *name))
    }

    fn joined(names: impl Iterator<Item = &'static str>) -> String {
        names.collect::<Vec<_>>().join(":")
    }
}
