//! Messages as they would be in HTTP/1, with their bodies as they went over the wire.

use std::io::{self, Write};

use consoletap_flow::{Headers, Version};

use crate::Exchange;

/// Writes request and answer one behind the other. A body was kept without its chunks: where the
/// head tells of chunks, it says the length instead.
///
/// # Errors
/// When it cannot be written.
pub fn raw(exchange: &Exchange, out: &mut dyn Write) -> io::Result<()> {
    if let Some(octets) = request(exchange) {
        out.write_all(&octets)?;
    }
    if let Some(octets) = response(exchange) {
        out.write_all(&octets)?;
    }
    Ok(())
}

/// The request as octets.
pub(super) fn request(exchange: &Exchange) -> Option<Vec<u8>> {
    let head = exchange.flow.request.as_ref()?;
    let line = format!("{} {} {}\r\n", head.method, head.target, version(head.version));
    Some(message(line, &head.headers, &exchange.request_body.octets))
}

/// The answer as octets.
pub(super) fn response(exchange: &Exchange) -> Option<Vec<u8>> {
    let head = exchange.flow.response.as_ref()?;
    let line = format!("{} {} {}\r\n", version(head.version), head.status, head.reason);
    Some(message(line, &head.headers, &exchange.response_body.octets))
}

fn message(line: String, headers: &Headers, body: &[u8]) -> Vec<u8> {
    let mut octets = line.into_bytes();
    let chunked = headers.contains("transfer-encoding");
    for header in headers.iter().filter(|header| !header.is("transfer-encoding")) {
        octets.extend_from_slice(header.name().as_bytes());
        octets.extend_from_slice(b": ");
        octets.extend_from_slice(header.value());
        octets.extend_from_slice(b"\r\n");
    }
    if chunked && !headers.contains("content-length") {
        octets.extend_from_slice(format!("Content-Length: {}\r\n", body.len()).as_bytes());
    }
    octets.extend_from_slice(b"\r\n");
    octets.extend_from_slice(body);
    octets
}

/// HTTP/2 has no such form; it is written as HTTP/1.1.
fn version(version: Version) -> Version {
    if version == Version::Http2 { Version::Http11 } else { version }
}
