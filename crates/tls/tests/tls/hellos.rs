//! Hellos, written octet by octet from what is documented of the consoles.

use std::sync::Arc;

use consoletap_tls::{ClientHello, Peek, peek};

/// A hello to be.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hello {
    pub(crate) version: u16,
    pub(crate) suites: Vec<u16>,
    pub(crate) extensions: Vec<(u16, Vec<u8>)>,
}

impl Hello {
    pub(crate) fn new(version: u16, suites: &[u16]) -> Self {
        Self { version, suites: suites.to_vec(), extensions: Vec::new() }
    }

    pub(crate) fn with(mut self, number: u16, body: Vec<u8>) -> Self {
        self.extensions.push((number, body));
        self
    }

    pub(crate) fn name(self, name: &str) -> Self {
        let entry = [&[0], &*vector16(name.as_bytes())].concat();
        self.with(0, vector16(&entry))
    }

    pub(crate) fn alpn(self, protocols: &[&[u8]]) -> Self {
        let list: Vec<u8> = protocols.iter().flat_map(|protocol| vector8(protocol)).collect();
        self.with(16, vector16(&list))
    }

    /// Extensions whose body is a list of numbers: groups, signature algorithms.
    pub(crate) fn list(self, number: u16, numbers: &[u16]) -> Self {
        self.with(number, vector16(&octets(numbers)))
    }

    pub(crate) fn versions(self, versions: &[u16]) -> Self {
        self.with(43, vector8(&octets(versions)))
    }

    /// The handshake message.
    pub(crate) fn message(&self) -> Vec<u8> {
        let mut body = self.version.to_be_bytes().to_vec();
        body.extend([7; 32]);
        body.extend(vector8(&[9; 32]));
        body.extend(vector16(&octets(&self.suites)));
        body.extend(vector8(&[0]));
        if !self.extensions.is_empty() {
            let mut extensions = Vec::new();
            for (number, content) in &self.extensions {
                extensions.extend(number.to_be_bytes());
                extensions.extend(vector16(content));
            }
            body.extend(vector16(&extensions));
        }
        let length = u32::try_from(body.len()).unwrap().to_be_bytes();
        [&[1], &length[1..], &body].concat()
    }

    /// The message in one record, as consoles send it.
    pub(crate) fn record(&self) -> Vec<u8> {
        records(&self.message(), &[usize::MAX])
    }

    pub(crate) fn parsed(&self) -> ClientHello {
        read(&self.record())
    }
}

/// The message in records of these sizes, the last of which is repeated.
pub(crate) fn records(message: &[u8], sizes: &[usize]) -> Vec<u8> {
    let mut wire = Vec::new();
    let mut rest = message;
    let mut sizes = sizes.iter().copied();
    let mut size = 1;
    while !rest.is_empty() {
        size = sizes.next().unwrap_or(size);
        let (fragment, later) = rest.split_at(size.clamp(1, rest.len().min(1 << 14)));
        wire.extend([22, 3, 1]);
        wire.extend(vector16(fragment));
        rest = later;
    }
    wire
}

pub(crate) fn read(wire: &[u8]) -> ClientHello {
    match peek(wire) {
        Peek::Hello(hello) => *hello,
        other => panic!("a hello was expected, not {other:?}"),
    }
}

pub(crate) fn octets(numbers: &[u16]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_be_bytes()).collect()
}

pub(crate) fn vector8(body: &[u8]) -> Vec<u8> {
    [&[u8::try_from(body.len()).unwrap()], body].concat()
}

pub(crate) fn vector16(body: &[u8]) -> Vec<u8> {
    [&u16::try_from(body.len()).unwrap().to_be_bytes()[..], body].concat()
}

/// PS3 4.75: TLS 1.0, three suites, no extensions.
pub(crate) fn ps3_475() -> Hello {
    Hello::new(0x0301, &[0x000a, 0x0005, 0x0004])
}

/// PS3 4.81.
pub(crate) fn ps3_481() -> Hello {
    Hello::new(0x0301, &OLD_SUITES)
}

/// PS3 4.82: TLS 1.1 and a server name.
pub(crate) fn ps3_482() -> Hello {
    Hello::new(0x0302, &OLD_SUITES).name("auth.np.ac.playstation.net")
}

/// PS Vita before 3.73: no server name.
pub(crate) fn vita() -> Hello {
    Hello::new(0x0302, &OLD_SUITES)
}

/// PS Vita 3.73: TLS 1.2 with RSA key exchange only.
pub(crate) fn vita_373() -> Hello {
    let suites = [&[0x003d, 0x003c], &OLD_SUITES[..]].concat();
    Hello::new(0x0303, &suites)
        .name("auth.np.ac.playstation.net")
        .list(13, &[0x0601, 0x0401, 0x0301, 0x0201])
}

const OLD_SUITES: [u16; 6] = [0x0035, 0x002f, 0x000a, 0x0005, 0x0004, 0x00ff];

/// What the rustls client of this build sends.
pub(crate) fn of_rustls(versions: &[&'static rustls::SupportedProtocolVersion]) -> Vec<u8> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let name = "store.playstation.com".try_into().unwrap();
    let mut client = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let mut wire = Vec::new();
    client.write_tls(&mut wire).unwrap();
    wire
}
