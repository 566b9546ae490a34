//! The ClientHello, read by ourselves before anything else touches the connection: what rustls
//! cannot speak must still show its name and its fingerprint. Pure; nothing is consumed.

use consoletap_flow::{ClientHelloFacts, Resumption};

use crate::client_side::ClientSide;
use crate::fingerprint;
use crate::wire::{Cursor, is_grease, numbers};

/// What the first bytes of a connection are.
#[derive(Debug, Clone)]
pub enum Peek {
    /// Not enough to tell; read on.
    NeedMore,
    /// Something else than TLS.
    NotTls,
    /// A complete hello.
    Hello(Box<ClientHello>),
    /// It began as TLS, and then this was wrong with it.
    Malformed(&'static str),
}

/// A ClientHello. Lists are in the order sent, without GREASE (RFC 8701).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientHello {
    /// What a flow says of it.
    pub facts: ClientHelloFacts,
    /// The version in the head of the message, which TLS 1.3 freezes at 0x0303.
    pub legacy_version: u16,
    /// The compression methods; one of them should be 0.
    pub compression: Vec<u8>,
    /// The extensions by number.
    pub extensions: Vec<u16>,
    /// The key exchange groups; `None` where the extension is absent.
    pub groups: Option<Vec<u16>>,
    /// The formats of curve points; `None` where the extension is absent.
    pub point_formats: Option<Vec<u8>>,
    /// The signature algorithms; `None` where the extension is absent.
    pub signature_algorithms: Option<Vec<u16>>,
    /// The first ALPN protocol as sent, which JA4 wants to the octet.
    pub(crate) first_alpn: Option<Vec<u8>>,
    /// Whether the server name can stand in a certificate.
    pub sni_is_name: bool,
    /// Whether it came in the framing of SSL 2.0 (RFC 5246 appendix E.2).
    pub sslv2_framed: bool,
}

/// Looks at all bytes read so far from a connection.
#[must_use]
pub fn peek(bytes: &[u8]) -> Peek {
    ClientSide::new().hello(bytes)
}

impl ClientHello {
    /// Whether the client may be too old to check our certificates, which are signed with SHA-256:
    /// clients before TLS 1.2 do not say what they can check.
    #[must_use]
    pub fn may_not_check_sha256(&self) -> bool {
        let sha256 = [0x0401, 0x0403, 0x0804];
        self.signature_algorithms
            .as_ref()
            .is_none_or(|offered| !sha256.iter().any(|one| offered.contains(one)))
    }

    /// A hello without extensions, as old consoles send it.
    pub(crate) fn bare(legacy_version: u16, suites: Vec<u16>) -> Self {
        let facts =
            ClientHelloFacts { versions: vec![legacy_version], suites, ..Default::default() };
        Self {
            facts,
            legacy_version,
            compression: vec![0],
            extensions: Vec::new(),
            groups: None,
            point_formats: None,
            signature_algorithms: None,
            first_alpn: None,
            sni_is_name: true,
            sslv2_framed: false,
        }
    }

    /// Reads the body of the message (RFC 8446 section 4.1.2; the same shape since SSL 3.0).
    /// `None` where it contradicts its own lengths.
    pub(crate) fn parse(message: &[u8]) -> Option<Self> {
        let mut rest = Cursor::new(message);
        let legacy_version = rest.u16()?;
        let _random = rest.take(32)?;
        let session_id = rest.vector8().filter(|id| id.len() <= 32)?;
        let mut suites = numbers(rest.vector16()?)?;
        suites.retain(|&suite| !is_grease(suite));
        let mut hello = Self::bare(legacy_version, suites);
        hello.compression = rest.vector8()?.to_vec();
        if !rest.is_empty() {
            let mut extensions = Cursor::new(rest.vector16()?);
            while !extensions.is_empty() {
                let number = extensions.u16()?;
                let body = extensions.vector16()?;
                if !is_grease(number) {
                    hello.extend(number, body);
                }
            }
        }
        // RFC 8446 appendix D.4: a client of TLS 1.3 makes a number up, to please old machines.
        if !session_id.is_empty() && !hello.facts.versions.contains(&0x0304) {
            hello.facts.resumes.get_or_insert(Resumption::SessionId);
        }
        rest.is_empty().then(|| hello.finished())
    }

    /// With what follows from the rest.
    pub(crate) fn finished(mut self) -> Self {
        self.facts.groups = self.groups.clone().unwrap_or_default();
        self.facts.signature_algorithms = self.signature_algorithms.clone().unwrap_or_default();
        self.facts.sslv2 = self.sslv2_framed;
        self.facts.ja3 = fingerprint::ja3(&self);
        self.facts.ja4 = fingerprint::ja4(&self);
        self
    }

    /// Takes what one extension says. An extension that contradicts itself counts as present and
    /// empty: the hello as a whole is still worth showing.
    fn extend(&mut self, number: u16, body: &[u8]) {
        self.extensions.push(number);
        match number {
            extension::SERVER_NAME => self.set_server_name(body),
            extension::GROUPS => self.groups = Some(numbers_of(Cursor::new(body).vector16())),
            extension::POINT_FORMATS => {
                self.point_formats = Some(Cursor::new(body).vector8().unwrap_or_default().to_vec());
            }
            extension::SIGNATURE_ALGORITHMS => {
                self.signature_algorithms = Some(numbers_of(Cursor::new(body).vector16()));
            }
            extension::ALPN => self.set_alpn(body),
            extension::VERSIONS => self.facts.versions = numbers_of(Cursor::new(body).vector8()),
            // RFC 5077 3.2: an empty one asks for a ticket, and goes on from none.
            extension::SESSION_TICKET if !body.is_empty() => {
                self.facts.resumes.get_or_insert(Resumption::Ticket);
            }
            extension::PRE_SHARED_KEY => self.facts.resumes = Some(Resumption::Psk),
            extension::ENCRYPTED_HELLO => self.facts.ech = true,
            _ => {}
        }
    }

    /// RFC 6066 section 3: a list of names, of which one may be a host name (type 0).
    fn set_server_name(&mut self, body: &[u8]) {
        self.sni_is_name = false;
        let mut names = Cursor::new(Cursor::new(body).vector16().unwrap_or_default());
        let Some((0, name)) = names.u8().zip(names.vector16()) else { return };
        self.sni_is_name = names.is_empty() && is_server_name(name);
        self.facts.sni = Some(text(name));
    }

    /// RFC 7301 section 3.1: a list of protocol names.
    fn set_alpn(&mut self, body: &[u8]) {
        let mut protocols = Cursor::new(Cursor::new(body).vector16().unwrap_or_default());
        while let Some(protocol) = protocols.vector8() {
            self.first_alpn.get_or_insert_with(|| protocol.to_vec());
            self.facts.alpn.push(text(protocol));
        }
    }
}

/// The numbers of extensions (IANA, "TLS ExtensionType Values").
pub(crate) mod extension {
    pub(crate) const SERVER_NAME: u16 = 0;
    pub(crate) const GROUPS: u16 = 10;
    pub(crate) const POINT_FORMATS: u16 = 11;
    pub(crate) const SIGNATURE_ALGORITHMS: u16 = 13;
    pub(crate) const ALPN: u16 = 16;
    pub(crate) const SESSION_TICKET: u16 = 35;
    pub(crate) const PRE_SHARED_KEY: u16 = 41;
    pub(crate) const VERSIONS: u16 = 43;
    pub(crate) const KEY_SHARE: u16 = 51;
    pub(crate) const ENCRYPTED_HELLO: u16 = 0xfe0d;
}

fn numbers_of(list: Option<&[u8]>) -> Vec<u16> {
    let mut numbers = list.and_then(numbers).unwrap_or_default();
    numbers.retain(|&number| !is_grease(number));
    numbers
}

/// Names come from the wire: what is not printable ASCII is escaped.
pub(crate) fn text(octets: &[u8]) -> String {
    octets.escape_ascii().to_string()
}

/// What rustls takes for a server name: a DNS name, or an address, which it ignores.
fn is_server_name(name: &[u8]) -> bool {
    rustls_pki_types::ServerName::try_from(name).is_ok()
}
