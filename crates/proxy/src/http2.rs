//! HTTP/2 on either side: an intercepted client that negotiated it, and servers that did. hyper
//! speaks it, in a build with the feature `http2`; without that the same types are here, and nobody
//! can make one: no connection agrees on HTTP/2, since none is offered.
//!
//! Whoever uses them needs no conditions: `console.rs` and `server.rs` have HTTP/2 as one of the
//! ways in which bodies and answers come and go.

#[cfg(not(feature = "http2"))]
mod absent;
#[cfg(feature = "http2")]
mod spoken;

use consoletap_tls::{Alpn, ClientHello};

#[cfg(not(feature = "http2"))]
pub(crate) use absent::{
    Agreed, Answer, Body, Error, Pending, RequestBody, RequestSink, Response, Sender,
};
#[cfg(feature = "http2")]
pub(crate) use spoken::{
    Agreed, Answer, Body, Error, Pending, RequestBody, RequestSink, Response, Sender,
};

/// Whether this build speaks it.
const AVAILABLE: bool = cfg!(feature = "http2");

/// Of the protocols that a client offers, those that are offered to its server, and spoken here.
pub(crate) fn alpn(hello: &ClientHello) -> Alpn {
    let offered = Alpn::offered(&hello.facts.alpn);
    if AVAILABLE { offered } else { offered.without_http2() }
}

/// Why a client cannot be answered that offers HTTP/2 and nothing else; `None` where it can.
pub(crate) fn unsupported(hello: &ClientHello) -> Option<String> {
    let alone = Alpn::offered(&hello.facts.alpn) == Alpn::Http2;
    (alone && !AVAILABLE)
        .then(|| "offers HTTP/2 alone, which a build with the feature http2 speaks".to_owned())
}
