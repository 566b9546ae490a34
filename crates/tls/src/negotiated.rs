//! What came of a handshake of our own, in the words of a flow.

use consoletap_flow::ServerHelloFacts;
use rustls::{CommonState, HandshakeKind};

/// What was agreed, on either side.
pub(crate) fn negotiated(connection: &CommonState) -> ServerHelloFacts {
    let kind = connection.handshake_kind();
    ServerHelloFacts {
        version: connection.protocol_version().map_or(0, u16::from),
        suite: connection.negotiated_cipher_suite().map_or(0, |suite| suite.suite().into()),
        alpn: connection.alpn_protocol().map(crate::hello::text),
        group: connection.negotiated_key_exchange_group().map(|group| group.name().into()),
        resumed: kind.map(|kind| kind == HandshakeKind::Resumed),
        retried: kind == Some(HandshakeKind::FullWithHelloRetryRequest),
    }
}
