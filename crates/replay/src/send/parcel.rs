//! A recorded request as octets for the proxy.

use std::borrow::Cow;

use consoletap_content::{Coding, End, Kind, decode, encode, kind};
use consoletap_flow::{BodySummary, Header, Headers, Kept, Scheme, Url, Version};
use consoletap_session::Session;

use crate::send::plan::Recorded;
use crate::send::variables::{Values, Written};

/// A larger body is not looked into for what stands in for secrets.
const LARGEST_SEARCHED: usize = 16 << 20;

/// A request, ready to go.
pub(super) struct Parcel {
    pub(super) head: Vec<u8>,
    pub(super) body: Vec<u8>,
    /// So much of the answer was taken when it was recorded, before the client left.
    pub(super) enough: Option<u64>,
}

/// Fields between two neighbours (RFC 9110 7.6.1), and those that say where the body ends: here it
/// ends as its length says, and the connection with the answer.
const NEIGHBOURS: [&str; 11] = [
    "connection",
    "content-length",
    "expect",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Makes the octets of a request; or says why they cannot be made.
pub(super) fn make(
    session: &Session,
    recorded: &Recorded,
    scheme: Option<Scheme>,
    values: &Values,
) -> Result<Parcel, &'static str> {
    if let Some(why) = recorded.unfit {
        return Err(why);
    }
    let (mut headers, mut body) = (recorded.head.headers.clone(), body(session, recorded)?);
    fill_body(&mut headers, &mut body, values);
    let url = url(&recorded.url, scheme);
    let url = values.fill(url.as_bytes(), Written::Url);
    // HTTP/2 has no words of its own for what a server gets to see.
    let version = match recorded.head.version {
        Version::Http10 => "HTTP/1.0",
        Version::Http11 | Version::Http2 => "HTTP/1.1",
    };
    let announced = headers.contains("content-length") || headers.contains("transfer-encoding");
    let mut head = format!("{} ", recorded.head.method).into_bytes();
    head.extend_from_slice(&url);
    head.extend_from_slice(format!(" {version}\r\n").as_bytes());
    if !headers.contains("host") {
        field(&mut head, "Host", host(&recorded.url).as_bytes());
    }
    for header in headers.iter().filter(|header| !is_for_neighbours(header, &headers)) {
        field(&mut head, header.name(), &values.fill(header.value(), Written::Field));
    }
    if announced || !body.is_empty() {
        field(&mut head, "Content-Length", body.len().to_string().as_bytes());
    }
    head.extend_from_slice(b"Connection: close\r\n\r\n");
    let enough = recorded.is_cut_short().then_some(recorded.answer_body.bytes);
    Ok(Parcel { head, body, enough })
}

fn field(head: &mut Vec<u8>, name: &str, value: &[u8]) {
    head.extend_from_slice(name.as_bytes());
    head.extend_from_slice(b": ");
    head.extend_from_slice(value);
    head.extend_from_slice(b"\r\n");
}

fn is_for_neighbours(header: &Header, headers: &Headers) -> bool {
    let named = |option: &[u8]| option.eq_ignore_ascii_case(header.name().as_bytes());
    NEIGHBOURS.iter().any(|name| header.is(name)) || headers.elements("connection").any(named)
}

/// The URL for the proxy. Where another scheme is wanted, the port stays the one that the server is
/// known by; where to connect is for a redirect to say.
fn url(url: &Url, scheme: Option<Scheme>) -> String {
    match scheme.filter(|scheme| *scheme != url.scheme) {
        None => url.to_string(),
        Some(scheme) => {
            let mut authority = url.authority.clone();
            if authority.port == url.scheme.default_port() {
                authority.port = scheme.default_port();
            }
            Url { scheme, authority, path: url.path.clone() }.to_string()
        }
    }
}

fn host(url: &Url) -> String {
    let authority = &url.authority;
    if authority.port == url.scheme.default_port() {
        authority.host.to_string()
    } else {
        authority.to_string()
    }
}

fn body(session: &Session, recorded: &Recorded) -> Result<Vec<u8>, &'static str> {
    let BodySummary { bytes, digest, kept } = recorded.request_body;
    match (kept, digest) {
        (Kept::Whole, Some(name)) => {
            session.body(&name).map_err(|_| "its body is damaged in the session")
        }
        _ if bytes == 0 => Ok(Vec::new()),
        (Kept::Prefix { .. }, _) => Err("only the beginning of its body was kept"),
        _ => Err("its body was not kept"),
    }
}

/// Puts values into a body, within its codings.
fn fill_body(headers: &mut Headers, body: &mut Vec<u8>, values: &Values) {
    let Some((plain, codings)) = plain(headers, body) else { return };
    let filled = values.fill(&plain, written(headers, &plain));
    if *filled == *plain {
        return;
    }
    let filled = filled.into_owned();
    let coded = codings.iter().try_fold(filled.clone(), |octets, &coding| encode(&octets, coding));
    *body = match coded {
        Some(coded) => coded,
        None => {
            headers.remove("content-encoding");
            filled
        }
    };
}

/// A body without its codings, and these; `None` where they cannot be undone.
pub(super) fn plain<'b>(headers: &Headers, body: &'b [u8]) -> Option<(Cow<'b, [u8]>, Vec<Coding>)> {
    let coding = headers.text("content-encoding").unwrap_or_default();
    let decoded = decode(body, coding, LARGEST_SEARCHED).ok()?;
    (decoded.end == End::Whole).then_some((decoded.octets, Coding::list(coding).ok()?))
}

fn written(headers: &Headers, plain: &[u8]) -> Written {
    match kind(headers.text("content-type"), plain) {
        Kind::Json => Written::Json,
        Kind::Xml => Written::Xml,
        Kind::Form => Written::Url,
        _ => Written::Plain,
    }
}
