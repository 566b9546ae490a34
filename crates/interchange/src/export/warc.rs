//! WARC 1.1 (ISO 28500:2017): each record is a member of gzip of its own, as web archives have
//! them.

use std::io::{self, Write};

use aws_lc_rs::digest::{SHA256, digest};
use consoletap_content::{Coding, encode};
use consoletap_flow::{Flow, Kind, Target, Timestamp};

use super::raw;
use crate::{Exchange, Missing};

/// A WARC file that is being written.
#[derive(Debug)]
pub struct Warc<W> {
    out: W,
    compressed: bool,
    /// Makes the ids of the records.
    seed: String,
    records: u64,
}

impl<W: Write> Warc<W> {
    /// Begins a file. `seed` makes the ids of its records, and should be unique to the session.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn begin(
        out: W,
        software: &str,
        seed: &str,
        at: Timestamp,
        compressed: bool,
    ) -> io::Result<Self> {
        let mut warc = Self { out, compressed, seed: seed.to_owned(), records: 0 };
        let body = format!("software: {software}\r\nformat: WARC File Format 1.1\r\n");
        let kind = ("warcinfo", "application/warc-fields");
        warc.record(kind, at, &[], body.as_bytes())?;
        Ok(warc)
    }

    /// Writes request and answer of an exchange; says whether it is one that a WARC can hold.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn exchange(&mut self, exchange: &Exchange) -> io::Result<bool> {
        let flow = &exchange.flow;
        let (Some(Target::Url(url)), Kind::Http) = (&flow.target, flow.kind) else {
            return Ok(false);
        };
        let Some(response) = raw::response(exchange) else { return Ok(false) };
        let mut fields = vec![("WARC-Target-URI", url.to_string())];
        if let Some(server) = flow.finished.as_ref().and_then(|end| end.server) {
            fields.push(("WARC-IP-Address", server.ip().to_canonical().to_string()));
        }
        let mut of_response = fields.clone();
        of_response.push(("WARC-Payload-Digest", sha256(&exchange.response_body.octets)));
        if let Some(Missing::Rest | Missing::All(_)) = exchange.response_body.missing {
            of_response.push(("WARC-Truncated", "length".to_owned()));
        }
        let answer_id = self.next_id();
        let kind = ("response", "application/http;msgtype=response");
        self.record(kind, flow.started, &of_response, &response)?;
        if let Some(request) = raw::request(&in_origin_form(exchange)) {
            fields.push(("WARC-Concurrent-To", answer_id));
            fields.push(("WARC-Payload-Digest", sha256(&exchange.request_body.octets)));
            let kind = ("request", "application/http;msgtype=request");
            self.record(kind, flow.started, &fields, &request)?;
        }
        Ok(true)
    }

    /// Ends the file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn end(mut self) -> io::Result<W> {
        self.out.flush()?;
        Ok(self.out)
    }

    /// A UUID (RFC 9562 5.8) of what the file is and how many records it has.
    fn next_id(&self) -> String {
        let hash = digest(&SHA256, format!("{}#{}", self.seed, self.records).as_bytes());
        let mut octets = [0; 16];
        octets.iter_mut().zip(hash.as_ref()).for_each(|(to, from)| *to = *from);
        octets[6] = octets[6] & 0x0f | 0x80;
        octets[8] = octets[8] & 0x3f | 0x80;
        let hex: String = octets.iter().map(|octet| format!("{octet:02x}")).collect();
        let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
        format!("<urn:uuid:{}>", parts.join("-"))
    }

    fn record(
        &mut self,
        (kind, media): (&str, &str),
        at: Timestamp,
        fields: &[(&str, String)],
        block: &[u8],
    ) -> io::Result<()> {
        let mut octets = format!(
            "WARC/1.1\r\nWARC-Type: {kind}\r\nWARC-Record-ID: {}\r\nWARC-Date: {at}\r\n\
             WARC-Block-Digest: {}\r\nContent-Type: {media}\r\nContent-Length: {}\r\n",
            self.next_id(),
            sha256(block),
            block.len()
        );
        for (name, value) in fields {
            octets.push_str(&format!("{name}: {value}\r\n"));
        }
        octets.push_str("\r\n");
        let mut octets = octets.into_bytes();
        octets.extend_from_slice(block);
        octets.extend_from_slice(b"\r\n\r\n");
        self.records += 1;
        if self.compressed {
            // Gzip can always be applied.
            octets = encode(&octets, Coding::Gzip).unwrap_or(octets);
        }
        self.out.write_all(&octets)
    }
}

/// An archive wants the request as the server got it, not as the proxy did (RFC 9112 3.2.1).
fn in_origin_form(exchange: &Exchange) -> Exchange {
    let mut exchange = exchange.clone();
    if let Flow { request: Some(head), target: Some(Target::Url(url)), .. } = &mut exchange.flow {
        head.target = url.path.clone().into();
    }
    exchange
}

/// Algorithm and base32 is the older custom; hex is what the standard's own examples of SHA-256
/// have, and what `warcio` checks as well.
fn sha256(octets: &[u8]) -> String {
    let hash = digest(&SHA256, octets);
    let hex: String = hash.as_ref().iter().map(|octet| format!("{octet:02x}")).collect();
    format!("sha256:{hex}")
}
