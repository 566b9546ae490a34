//! The ServerHello of a tunnel, which TLS sends in the clear: which version and suite were agreed.

use consoletap_flow::ServerHelloFacts;

use crate::handshake::{First, first};
use crate::hello::extension;
use crate::wire::Cursor;

/// The handshake type `server_hello`.
const SERVER_HELLO: u8 = 2;

/// What the server chose, from all bytes it has sent so far. `None` while the hello is not
/// complete, and for ever where these bytes are none: give up after 64 KiB.
#[must_use]
pub fn server_hello(bytes: &[u8]) -> Option<ServerHelloFacts> {
    match first(bytes, SERVER_HELLO) {
        First::Message(message) => parse(&message),
        First::NeedMore | First::NotTls | First::Malformed(_) => None,
    }
}

/// RFC 8446 section 4.1.3. A HelloRetryRequest has the same shape and already names the suite.
fn parse(message: &[u8]) -> Option<ServerHelloFacts> {
    let mut rest = Cursor::new(message);
    let legacy_version = rest.u16()?;
    let _random = rest.take(32)?;
    let _session_id = rest.vector8()?;
    let suite = rest.u16()?;
    let _compression = rest.u8()?;
    let extensions = rest.vector16().unwrap_or_default();
    Some(ServerHelloFacts { version: selected(extensions).unwrap_or(legacy_version), suite })
}

/// The version in the extension, which counts since TLS 1.3.
fn selected(extensions: &[u8]) -> Option<u16> {
    let mut rest = Cursor::new(extensions);
    loop {
        let number = rest.u16()?;
        let body = rest.vector16()?;
        if number == extension::VERSIONS {
            return Cursor::new(body).u16();
        }
    }
}
