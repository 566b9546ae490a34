//! The server's direction of a tunnel, as far as it is in the clear: which version and suite were
//! agreed, the certificate up to TLS 1.2, and the alert of a server that does not want to.

use consoletap_flow::{CertificateFacts, ServerHelloFacts};

use crate::certificate;
use crate::handshake::{Next, Records};
use crate::hello::{extension, text};
use crate::wire::Cursor;

/// Handshake types.
const SERVER_HELLO: u8 = 2;
const NEW_SESSION_TICKET: u8 = 4;
const CERTIFICATE: u8 = 11;
const SUPPLEMENTAL_DATA: u8 = 23;

/// The random of a ServerHello that asks for another hello: the SHA-256 of "HelloRetryRequest"
/// (RFC 8446 section 4.1.3).
const RETRY: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
    0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

/// What a server sends, read as it comes, in any pieces. It holds the message that is under way
/// and nothing else.
#[derive(Debug)]
pub struct ServerSide {
    records: Records,
    state: State,
}

#[derive(Debug)]
enum State {
    /// The hello is to come; whether another one was asked for.
    Hello {
        retried: bool,
    },
    /// What follows the hello up to TLS 1.2; the hello, where it was not told yet.
    Certificate(ServerHelloFacts, Told),
    Over,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Yes,
    No,
}

/// What a server was seen to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerSeen {
    /// Its choice. It may come twice, the second one with more in it.
    Hello(ServerHelloFacts),
    /// Its certificate.
    Certificate(Box<CertificateFacts>),
    /// It gave the handshake up, with this alert (RFC 8446 section 6). Nothing follows.
    Alert(u8),
}

impl Default for ServerSide {
    fn default() -> Self {
        Self::new()
    }
}

impl ServerSide {
    /// A connection of which nothing was seen.
    #[must_use]
    pub fn new() -> Self {
        Self { records: Records::new(SERVER_HELLO), state: State::Hello { retried: false } }
    }

    /// Takes in what came next and tells what it was; whether more can be seen.
    pub fn read(&mut self, octets: &[u8], mut tell: impl FnMut(ServerSeen)) -> bool {
        let mut rest = octets;
        while !matches!(self.state, State::Over) {
            match self.records.next(&mut rest) {
                Next::NeedMore => break,
                next => self.step(next, &mut tell),
            }
        }
        // What is known is told now: the rest may be long in coming.
        if let State::Certificate(hello, told @ Told::No) = &mut self.state {
            *told = Told::Yes;
            tell(ServerSeen::Hello(hello.clone()));
        }
        !matches!(self.state, State::Over)
    }

    fn step(&mut self, next: Next, tell: &mut impl FnMut(ServerSeen)) {
        let state = std::mem::replace(&mut self.state, State::Over);
        self.state = match (state, next) {
            (State::Hello { retried }, Next::Message(SERVER_HELLO, body)) => {
                let Some((mut hello, retry)) = parse(&body) else { return };
                hello.retried = retried || retry;
                if retry {
                    tell(ServerSeen::Hello(hello));
                    State::Hello { retried: true }
                } else if hello.version >= 0x0304 {
                    tell(ServerSeen::Hello(hello));
                    return;
                } else {
                    State::Certificate(hello, Told::No)
                }
            }
            // RFC 8446 appendix D.4: between the two hellos of a server.
            (State::Hello { retried: true }, Next::ChangeCipherSpec) => {
                State::Hello { retried: true }
            }
            (State::Certificate(mut hello, told), next) => {
                let resumed = match &next {
                    // RFC 4680: it may stand before the certificate.
                    Next::Message(SUPPLEMENTAL_DATA, _) => {
                        self.state = State::Certificate(hello, told);
                        return;
                    }
                    // RFC 5246 7.3, RFC 5077 3.1: a session goes on where no certificate comes.
                    Next::ChangeCipherSpec | Next::Message(NEW_SESSION_TICKET, _) => Some(true),
                    Next::Message(..) => Some(false),
                    _ => None,
                };
                hello.resumed = resumed;
                if told == Told::No || resumed.is_some() {
                    tell(ServerSeen::Hello(hello));
                }
                match next {
                    Next::Message(CERTIFICATE, body) => {
                        if let Some(facts) = leaf(&body) {
                            tell(ServerSeen::Certificate(Box::new(facts)));
                        }
                    }
                    Next::Alert(number) => tell(ServerSeen::Alert(number)),
                    _ => {}
                }
                return;
            }
            (State::Hello { .. }, Next::Alert(number)) => {
                tell(ServerSeen::Alert(number));
                return;
            }
            _ => return,
        };
    }
}

/// What the server chose, from all octets it has sent so far. `None` while the hello is not
/// complete, and for ever where these octets are none.
#[must_use]
pub fn server_hello(octets: &[u8]) -> Option<ServerHelloFacts> {
    let mut found = None;
    ServerSide::new().read(octets, |seen| {
        if let ServerSeen::Hello(hello) = seen {
            found = Some(hello);
        }
    });
    found
}

/// RFC 8446 section 4.1.3; and whether it asks for another hello, which has the same shape.
fn parse(message: &[u8]) -> Option<(ServerHelloFacts, bool)> {
    let mut rest = Cursor::new(message);
    let legacy_version = rest.u16()?;
    let retry = rest.take(32)? == RETRY;
    let _session_id = rest.vector8()?;
    let suite = rest.u16()?;
    let _compression = rest.u8()?;
    let mut facts =
        ServerHelloFacts { version: legacy_version, suite, ..ServerHelloFacts::default() };
    let mut psk = false;
    let mut extensions = Cursor::new(rest.vector16().unwrap_or_default());
    while let Some((number, body)) = extensions.u16().zip(extensions.vector16()) {
        let mut body = Cursor::new(body);
        match number {
            extension::VERSIONS => facts.version = body.u16().unwrap_or(legacy_version),
            extension::KEY_SHARE => facts.group = body.u16(),
            extension::PRE_SHARED_KEY => psk = true,
            extension::ALPN => {
                let mut list = Cursor::new(body.vector16().unwrap_or_default());
                facts.alpn = list.vector8().map(text);
            }
            _ => {}
        }
    }
    if facts.version >= 0x0304 && !retry {
        facts.resumed = Some(psk);
    }
    Some((facts, retry))
}

/// RFC 5246 section 7.4.2: a list of certificates, the server's own first.
fn leaf(message: &[u8]) -> Option<CertificateFacts> {
    let mut list = Cursor::new(message).vector24().map(Cursor::new)?;
    let first = list.vector24()?;
    let mut chain = 1;
    while list.vector24().is_some() {
        chain += 1;
    }
    certificate::facts(first, chain)
}
