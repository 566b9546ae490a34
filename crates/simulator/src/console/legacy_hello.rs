//! ClientHello messages of consoles that no current TLS library can play, built as bytes.
//!
//! Versions, suites and extensions are those of public captures; the MD5 in each comment is the
//! JA3 that was published with the capture and that these bytes give.

/// A ClientHello in one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LegacyHello {
    version: u16,
    suites: &'static [u16],
    server_name: Option<String>,
    signature_algorithms: &'static [u16],
}

const TLS10: u16 = 0x0301;
const TLS11: u16 = 0x0302;
const TLS12: u16 = 0x0303;

impl LegacyHello {
    /// PS3 4.75: TLS 1.0, no extensions (020944dd06c6d915f917237ca3ca4c14).
    #[must_use]
    pub fn ps3_4_75() -> Self {
        Self::new(TLS10, &[0x000a, 0x0005, 0x0004])
    }

    /// PS3 4.81: TLS 1.0, no extensions (7f340e6caa1fa4c979df919227160ff6).
    #[must_use]
    pub fn ps3_4_81() -> Self {
        Self::new(TLS10, &[0x0035, 0x002f, 0x000a, 0x0005, 0x0004, 0x00ff])
    }

    /// PS3 4.82: TLS 1.1 and SNI (59566b3606a7fa636a100d2b1693687f).
    #[must_use]
    pub fn ps3_4_82(host: &str) -> Self {
        let hello = Self::new(TLS11, &[0x0035, 0x002f, 0x000a, 0x0005, 0x0004, 0x00ff]);
        Self { server_name: Some(host.to_owned()), ..hello }
    }

    /// A Vita before 3.73: TLS 1.1, no SNI (4f193c90be6e0aed1752e8aa0daee95a).
    #[must_use]
    pub fn vita() -> Self {
        Self::new(TLS11, &[0x0035, 0x002f, 0x000a, 0x0005, 0x0004, 0x00ff])
    }

    /// A Vita of 3.73: TLS 1.2 without any suite of today, SNI
    /// (fc2299d5b2964cd242c5a2c8c531a5f0). Which signature algorithms it names is not published.
    #[must_use]
    pub fn vita_3_73(host: &str) -> Self {
        const SUITES: &[u16] = &[0x003d, 0x003c, 0x0035, 0x002f, 0x000a, 0x0005, 0x0004, 0x00ff];
        Self {
            server_name: Some(host.to_owned()),
            signature_algorithms: &[0x0401, 0x0201],
            ..Self::new(TLS12, SUITES)
        }
    }

    fn new(version: u16, suites: &'static [u16]) -> Self {
        Self { version, suites, server_name: None, signature_algorithms: &[] }
    }

    /// The version that it offers.
    #[cfg(feature = "legacy-tls")]
    pub(super) fn version(&self) -> u16 {
        self.version
    }

    /// The record. Its random is constant: nothing here depends on a secret.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let mut body = self.version.to_be_bytes().to_vec();
        body.extend(0..32);
        body.push(0); // no session id
        let suites: Vec<u8> = self.suites.iter().flat_map(|suite| suite.to_be_bytes()).collect();
        body.extend(with_length(&suites));
        body.extend([1, 0]); // no compression
        let extensions = self.extensions();
        if !extensions.is_empty() {
            body.extend(with_length(&extensions));
        }
        let mut message = vec![1, 0]; // client_hello, the high byte of its length
        message.extend(with_length(&body));
        // The PS3 writes the version of the hello into the record too; of the others the record
        // is not published.
        let mut record = vec![0x16];
        record.extend(self.version.to_be_bytes());
        record.extend(with_length(&message));
        record
    }

    fn extensions(&self) -> Vec<u8> {
        let mut extensions = Vec::new();
        if let Some(host) = &self.server_name {
            let mut name = vec![0]; // host_name
            name.extend(with_length(host.as_bytes()));
            extensions.extend([0, 0]);
            extensions.extend(with_length(&with_length(&name)));
        }
        if !self.signature_algorithms.is_empty() {
            let algorithms = self.signature_algorithms.iter();
            let list: Vec<u8> = algorithms.flat_map(|algorithm| algorithm.to_be_bytes()).collect();
            extensions.extend([0, 13]);
            extensions.extend(with_length(&with_length(&list)));
        }
        extensions
    }
}

/// The bytes behind their length in two bytes; hellos and host names are short.
fn with_length(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    let mut with = length.to_be_bytes().to_vec();
    with.extend(&bytes[..usize::from(length)]);
    with
}

/// The first that comes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HelloReply {
    /// An alert.
    Alert {
        /// 1 warning, 2 fatal.
        level: u8,
        /// As in RFC 5246, 7.2: 40 handshake_failure, 70 protocol_version.
        description: u8,
    },
    /// A ServerHello.
    ServerHello {
        /// The version that was chosen, as 0x0301.
        version: u16,
        /// The suite that was chosen.
        suite: u16,
    },
    /// Something that is no TLS.
    Other(Vec<u8>),
    /// The connection was closed without a word.
    Closed,
}

impl HelloReply {
    /// `None` as long as more bytes are needed.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let (&kind, rest) = bytes.split_first()?;
        let other = Some(Self::Other(bytes.to_vec()));
        if kind != 0x15 && kind != 0x16 {
            return other;
        }
        let length = usize::from(u16::from_be_bytes([*rest.get(2)?, *rest.get(3)?]));
        let record = rest.get(4..4 + length)?;
        if kind == 0x15 {
            return match record {
                &[level, description] => Some(Self::Alert { level, description }),
                _ => other,
            };
        }
        // Message type, length (3), version (2), random (32), session id.
        let chosen = || {
            let (version, id) = (record.get(4..6)?, usize::from(*record.get(38)?));
            let suite = record.get(39 + id..41 + id)?;
            let number = |two: &[u8]| u16::from_be_bytes([two[0], two[1]]);
            (record[0] == 2).then(|| (number(version), number(suite)))
        };
        match chosen() {
            Some((version, suite)) => Some(Self::ServerHello { version, suite }),
            None => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_ps3_hello_is_these_bytes() {
        let hello = LegacyHello::ps3_4_75().bytes();
        let mut expected = vec![0x16, 3, 1, 0, 49, 1, 0, 0, 45, 3, 1];
        expected.extend(0..32);
        expected.extend([0, 0, 6, 0, 0x0a, 0, 5, 0, 4, 1, 0]);
        assert_eq!(hello, expected);
    }

    #[test]
    fn a_vita_hello_ends_with_sni_and_signature_algorithms() {
        let hello = LegacyHello::vita_3_73("a.b").bytes();
        assert_eq!(&hello[..3], [0x16, 3, 3]);
        assert!(hello.ends_with(&[
            0, 22, // extensions
            0, 0, 0, 8, 0, 6, 0, 0, 3, b'a', b'.', b'b', // server_name
            0, 13, 0, 6, 0, 4, 4, 1, 2, 1, // signature_algorithms
        ]));
        assert_eq!(usize::from(hello[4]), hello.len() - 5);
    }

    #[test]
    fn replies_are_read_once_complete() {
        assert_eq!(HelloReply::read(&[0x15, 3, 1, 0, 2, 2]), None);
        let alert = HelloReply::Alert { level: 2, description: 40 };
        assert_eq!(HelloReply::read(&[0x15, 3, 1, 0, 2, 2, 40]), Some(alert));
        let mut hello = vec![0x16, 3, 1, 0, 42, 2, 0, 0, 38, 3, 1];
        hello.extend([0; 32]);
        hello.extend([0, 0, 0x2f, 0]);
        hello.push(0);
        let chosen = HelloReply::ServerHello { version: 0x0301, suite: 0x002f };
        assert_eq!(HelloReply::read(&hello), Some(chosen));
        assert_eq!(HelloReply::read(b"HTTP"), Some(HelloReply::Other(b"HTTP".to_vec())));
    }

    proptest! {
        #[test]
        fn no_reply_panics(bytes in proptest::collection::vec(any::<u8>(), 0..80), kind in 0x14u8..0x18) {
            let _ = HelloReply::read(&bytes);
            let _ = HelloReply::read(&[&[kind, 3, 1, 0, 40][..], &bytes].concat());
        }
    }
}
