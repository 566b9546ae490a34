//! The client's direction of a connection: its hello, and the alert with which it gives up a
//! handshake that it does not like, as far as both are in the clear.

use crate::handshake::{LIMIT, Next, Records};
use crate::hello::{ClientHello, Peek};
use crate::sslv2;

/// The handshake type `client_hello`.
const CLIENT_HELLO: u8 = 1;

/// What a client sends, read as it comes, in any pieces. It holds the message that is under way
/// and nothing else.
#[derive(Debug)]
pub struct ClientSide {
    state: State,
}

#[derive(Debug)]
enum State {
    /// Nothing came yet.
    Silent,
    /// What may become a hello in the framing of SSL 2.0.
    Sslv2(Vec<u8>),
    /// Records, the hello first.
    Hello(Records),
    /// Records behind the hello.
    After(Records),
    Over,
}

impl Default for ClientSide {
    fn default() -> Self {
        Self::new()
    }
}

impl ClientSide {
    /// A connection of which nothing was seen.
    #[must_use]
    pub fn new() -> Self {
        Self { state: State::Silent }
    }

    /// Takes in what came next until the hello is known, or known to be none. What stands behind
    /// it in the same octets is looked at, too.
    pub fn hello(&mut self, octets: &[u8]) -> Peek {
        let mut found = Peek::NeedMore;
        self.read(octets, |seen| match seen {
            ClientSeen::Hello(hello) => found = Peek::Hello(hello),
            ClientSeen::NotTls => found = Peek::NotTls,
            ClientSeen::Malformed(why) => found = Peek::Malformed(why),
            ClientSeen::Alert(_) => {}
        });
        found
    }

    /// Takes in what came next and tells what it was; whether more can be seen.
    pub fn read(&mut self, octets: &[u8], mut tell: impl FnMut(ClientSeen)) -> bool {
        let mut rest = octets;
        while let Some(seen) = self.step(&mut rest) {
            tell(seen);
        }
        !matches!(self.state, State::Over)
    }

    /// Whether nothing more can be seen.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    fn step(&mut self, rest: &mut &[u8]) -> Option<ClientSeen> {
        match &mut self.state {
            State::Silent => {
                self.state = match rest.first()? {
                    128.. => State::Sslv2(Vec::new()),
                    _ => State::Hello(Records::new(CLIENT_HELLO)),
                };
                self.step(rest)
            }
            State::Sslv2(held) => {
                held.extend_from_slice(&rest[..rest.len().min(LIMIT)]);
                *rest = &[];
                let found = match sslv2::read(held) {
                    sslv2::Found::NeedMore => return None,
                    sslv2::Found::Nothing => ClientSeen::NotTls,
                    sslv2::Found::Hello(hello) => hello_or_not(hello),
                };
                self.state = State::Over;
                Some(found)
            }
            State::Hello(records) => {
                let seen = match records.next(rest) {
                    Next::NeedMore => return None,
                    Next::Message(_, body) => {
                        let seen = hello_or_not(ClientHello::parse(&body).map(Box::new));
                        if let (ClientSeen::Hello(_), State::Hello(records)) =
                            (&seen, std::mem::replace(&mut self.state, State::Over))
                        {
                            self.state = State::After(records);
                        }
                        return Some(seen);
                    }
                    Next::NotTls => ClientSeen::NotTls,
                    Next::Broken(why) => ClientSeen::Malformed(why),
                    Next::Alert(_) | Next::ChangeCipherSpec | Next::Encrypted => {
                        ClientSeen::Malformed("something else comes before the ClientHello")
                    }
                };
                self.state = State::Over;
                Some(seen)
            }
            State::After(records) => loop {
                let seen = match records.next(rest) {
                    Next::NeedMore => return None,
                    // A second hello, a certificate, a key: nothing that a flow speaks of.
                    Next::Message(..) => continue,
                    Next::Alert(number) => Some(ClientSeen::Alert(number)),
                    Next::ChangeCipherSpec | Next::Encrypted | Next::NotTls | Next::Broken(_) => {
                        None
                    }
                };
                self.state = State::Over;
                return seen;
            },
            State::Over => None,
        }
    }
}

fn hello_or_not(hello: Option<Box<ClientHello>>) -> ClientSeen {
    hello.map_or(
        ClientSeen::Malformed("the ClientHello contradicts its own lengths"),
        ClientSeen::Hello,
    )
}

/// What a client was seen to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientSeen {
    /// Its hello.
    Hello(Box<ClientHello>),
    /// Something else than TLS. Nothing follows.
    NotTls,
    /// It began as TLS, and then this was wrong with it. Nothing follows.
    Malformed(&'static str),
    /// It gave the handshake up, with this alert (RFC 8446 section 6). Nothing follows.
    Alert(u8),
}
