//! What passes through a tunnel unopened is looked at while it is in the clear: the handshake, and
//! who gave it up. Whoever has nothing more to see is dropped at once.

use consoletap_flow::{Happening, Hello};
use consoletap_tls::{ClientSeen, ClientSide, ServerSeen, ServerSide, alert_name};

use crate::open_flow::FlowLog;

/// What is watched of a tunnel.
pub(crate) struct Watch {
    pub(super) client: Watched,
    pub(super) server: Watched,
}

impl Watch {
    /// Both directions of a handshake, of which this much was seen of the client.
    pub(crate) fn both(client: ClientSide) -> Self {
        let client =
            if client.is_over() { Watched::Nothing } else { Watched::Client(Box::new(client)) };
        Self { client, server: Watched::Server(Box::default()) }
    }

    /// Nothing: this is no TLS.
    pub(crate) fn nothing() -> Self {
        Self { client: Watched::Nothing, server: Watched::Nothing }
    }
}

/// What is watched of one direction.
pub(super) enum Watched {
    Nothing,
    Client(Box<ClientSide>),
    Server(Box<ServerSide>),
}

impl Watched {
    pub(super) fn is_over(&self) -> bool {
        matches!(self, Self::Nothing)
    }

    /// Looks at octets that passed.
    pub(super) fn look(&mut self, octets: &[u8], log: &FlowLog) {
        let more = match self {
            Self::Nothing => return,
            Self::Client(side) => side.read(octets, |seen| tell_client(seen, log)),
            Self::Server(side) => side.read(octets, |seen| tell_server(seen, log)),
        };
        if !more {
            *self = Self::Nothing;
        }
    }
}

fn tell_client(seen: ClientSeen, log: &FlowLog) {
    match seen {
        ClientSeen::Hello(hello) => {
            let hello = Hello { facts: hello.facts, classification: None, policy: None };
            log.tell(Happening::Hello(Box::new(hello)));
        }
        ClientSeen::NotTls => {}
        ClientSeen::Malformed(why) => log.note(format!("the ClientHello cannot be read: {why}")),
        ClientSeen::Alert(number) => log.note(format!(
            "the console ended the handshake with this server itself ({})",
            alert_name(number)
        )),
    }
}

fn tell_server(seen: ServerSeen, log: &FlowLog) {
    match seen {
        ServerSeen::Hello(facts) => log.tell(Happening::ServerHello(facts)),
        ServerSeen::Certificate(facts) => log.tell(Happening::Certificate(facts)),
        ServerSeen::Alert(number) => {
            log.note(format!("the server ended the handshake ({})", alert_name(number)));
        }
    }
}
