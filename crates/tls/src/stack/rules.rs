//! Which stack can open a connection, decided from its hello alone.
//!
//! rustls speaks TLS 1.2 and 1.3 with forward secrecy and authenticated encryption. Anything else
//! would end in an alert that costs the console a failed operation, so it is told beforehand.
//! The rule mirrors what rustls 0.23 asks for (measured; `server/hs.rs`, `server/tls12.rs`), and
//! behind it what OpenSSL 3.6 asks for as `legacy` sets it up. It is the same in a build that has
//! no OpenSSL: what is missing there is told, and not another rule.

use rustls::crypto::aws_lc_rs::{ALL_CIPHER_SUITES, DEFAULT_KX_GROUPS};
use rustls::{ProtocolVersion, SupportedCipherSuite};

use crate::hello::{ClientHello, extension};
use crate::legacy;
use crate::stack::{LeafKey, Stack};

impl ClientHello {
    /// Which stack can open it. The leaf is RSA unless the hello takes ECDSA.
    #[must_use]
    pub fn stack(&self) -> Stack {
        match self.rustls_key() {
            Ok(key) => Stack::Rustls(key),
            Err(reason) if legacy::opens(self) => Stack::Legacy(reason),
            Err(reason) => Stack::Unsupported(reason),
        }
    }

    /// Whether it names ChaCha20 first, as clients do whose processor has no instructions for AES.
    #[must_use]
    pub fn prefers_chacha(&self) -> bool {
        let chacha = [0x1303, 0xcca8, 0xcca9];
        self.facts.suites.first().is_some_and(|first| chacha.contains(first))
    }

    /// The leaf's key for rustls, or why rustls cannot open this.
    fn rustls_key(&self) -> Result<LeafKey, String> {
        if let Some(reason) = self.hindrance() {
            return Err(reason);
        }
        let works = |key: &LeafKey| self.offers_suite(*key) && self.takes_signature_of(*key);
        let key = [LeafKey::Ecdsa, LeafKey::Rsa].into_iter().find(works);
        key.ok_or_else(|| self.missing_suite_or_signature())
    }

    fn offers_tls13(&self) -> bool {
        self.facts.versions.contains(&0x0304)
    }

    /// What keeps rustls from answering, whatever the certificate.
    fn hindrance(&self) -> Option<String> {
        if self.sslv2_framed {
            return Some(format!(
                "sends its hello in the form of SSL 2.0 and offers {} at most",
                self.facts.highest_version()
            ));
        }
        if !self.offers_tls13() && !self.facts.versions.contains(&0x0303) {
            // Without the extension, a version means itself and everything below.
            return Some(format!("offers {} at most", self.facts.highest_version()));
        }
        let reason = if self.facts.suites.iter().all(|suite| RSA_KEY_EXCHANGE.contains(suite)) {
            "offers only cipher suites with RSA key exchange, as old consoles do"
        } else if self.signature_algorithms.is_none() {
            "names no signature algorithms, as clients before TLS 1.2 do"
        } else if !self.shares_group() {
            "offers no key exchange of today (X25519, P-256 or P-384)"
        } else if self.offers_tls13() && !self.extensions.contains(&extension::KEY_SHARE) {
            "offers TLS 1.3 without the key share that belongs to it"
        } else if !self.compression.contains(&0) {
            "insists on compression inside TLS"
        } else if !self.offers_tls13()
            && self.point_formats.as_ref().is_some_and(|formats| !formats.contains(&0))
        {
            "does not take uncompressed curve points"
        } else if self.repeats_extension() {
            "repeats an extension"
        } else if !self.sni_is_name {
            "asks for a server name that is no valid name"
        } else {
            return None;
        };
        Some(reason.to_owned())
    }

    pub(crate) fn repeats_extension(&self) -> bool {
        let mut sorted = self.extensions.clone();
        sorted.sort_unstable();
        sorted.windows(2).any(|pair| pair[0] == pair[1])
    }

    fn shares_group(&self) -> bool {
        let version = self.version();
        self.groups.iter().flatten().any(|&group| {
            DEFAULT_KX_GROUPS
                .iter()
                .any(|one| u16::from(one.name()) == group && one.usable_for_version(version))
        })
    }

    /// The version that rustls will choose: the highest, and it does not fall back.
    fn version(&self) -> ProtocolVersion {
        if self.offers_tls13() { ProtocolVersion::TLSv1_3 } else { ProtocolVersion::TLSv1_2 }
    }

    fn offers_suite(&self, key: LeafKey) -> bool {
        self.common_suites().any(|suite| match suite {
            SupportedCipherSuite::Tls13(_) => true,
            SupportedCipherSuite::Tls12(suite) => suite
                .sign
                .iter()
                .any(|&scheme| key.schemes(ProtocolVersion::TLSv1_2).contains(&scheme)),
        })
    }

    fn common_suites(&self) -> impl Iterator<Item = SupportedCipherSuite> {
        let version = self.version();
        ALL_CIPHER_SUITES.iter().copied().filter(move |suite| {
            suite.version().version == version
                && self.facts.suites.contains(&u16::from(suite.suite()))
        })
    }

    fn takes_signature_of(&self, key: LeafKey) -> bool {
        let offered = self.signature_algorithms.as_deref().unwrap_or_default();
        key.schemes(self.version()).iter().any(|&scheme| offered.contains(&u16::from(scheme)))
    }

    fn missing_suite_or_signature(&self) -> String {
        if self.common_suites().next().is_some() {
            "takes no signature that can be made here (ECDSA with P-256, or RSA with SHA-256)"
        } else {
            "offers no cipher suite of today (ECDHE with AES-GCM or ChaCha20)"
        }
        .to_owned()
    }
}

/// The suites with RSA key exchange that consoles offer (PS3, Vita, Wii U, 3DS), and the marker of
/// secure renegotiation that stands among them.
const RSA_KEY_EXCHANGE: [u16; 11] =
    [0x0004, 0x0005, 0x000a, 0x002f, 0x0035, 0x003c, 0x003d, 0x009c, 0x009d, 0x00ff, 0x5600];
