//! The wire: from the console's octets to the server's, and back. It knows no file format and no
//! terminal; what happens is told as events to a `consoletap_flow::Recorder`.
//!
//! The way of a flow, a file a step:
//!
//! ```text
//! accept.rs      who comes in, and how many
//! client.rs      first octets; one HTTP/1 request after the other
//!  ├─ connect.rs     CONNECT: dial, 200, read the ClientHello, ask policy.rs
//!  │    ├─ tunnel.rs      octets both ways; the handshake is watched as it passes
//!  │    └─ intercept.rs   TLS with our certificate; HTTP inside: client.rs or http2.rs again
//!  └─ exchange.rs    one request: classify → decide → send on → answer
//!       ├─ exchange/request.rs  what is meant, and what the server gets to see
//!       ├─ exchange/relay.rs, download.rs  both directions at once
//!       ├─ exchange/refusal.rs  exchanges that end with words of ours
//!       ├─ exchange/own.rs, page.rs  the proxy's own pages
//!       ├─ console.rs, server.rs  its two sides, whichever HTTP they speak
//!       ├─ headers.rs    what a proxy must do to fields
//!       ├─ upstream.rs, dial.rs  connections to servers
//!       ├─ exchange/local.rs, serve.rs  answers from here: rules and files
//!       ├─ exchange/stand_in.rs, origin.rs  answers of something that stands in for servers
//!       ├─ rewrite.rs    bodies that a rule changes
//!       ├─ shape.rs      what rules do to octets on their way
//!       ├─ upgrade.rs    what follows a 101
//!       └─ tap.rs        every body streams through
//! proxy.rs, shared.rs  a proxy from its parts, and what its connections share
//! open_flow.rs   a flow that is under way; its last event is always written
//! http1.rs, http2.rs, stream.rs  the protocols; HTTP/2 in a build with the feature `http2`, TLS in
//!                one with `interception`: without, their types have no values
//! ```

mod accept;
mod client;
mod connect;
mod console;
mod describe;
mod dial;
mod exchange;
mod headers;
mod http1;
mod http2;
mod intercept;
mod open_flow;
mod origin;
mod page;
mod policy;
mod proxy;
mod rewrite;
mod serve;
mod server;
mod settings;
mod shape;
mod shared;
mod stream;
mod tap;
mod tunnel;
mod upgrade;
mod upstream;

pub use accept::{BindError, Listener};
pub use origin::{Answering, Asked, ForTunnel, OpenBody, Origin, Reply, StandIn, StoredBody};
pub use page::Seen;
pub use policy::{InvalidPick, TlsPick, TlsPolicy};
pub use proxy::{Parts, Proxy, TlsParts};
pub use serve::Coverage;
pub use settings::{DEFAULT_LISTEN, Deadlines, InvalidRedirect, Keep, Limits, Redirect, Settings};

/// Doors for the targets in `fuzz/`; there in fuzz builds only, and in tests so that they keep
/// fitting.
#[cfg(any(fuzzing, test))]
pub mod fuzzing {
    use crate::http1::{HeadLimits, parse_request, parse_response, request_framing};
    use crate::settings::Limits;

    /// Reads a request head, and where its body ends.
    pub fn request_head(octets: &[u8]) {
        if let Ok(head) = parse_request(octets, HeadLimits::from(&Limits::default())) {
            let _ = request_framing(head.version, &head.headers);
        }
    }

    /// Reads the head of an answer.
    pub fn response_head(octets: &[u8]) {
        drop(parse_response(octets, HeadLimits::from(&Limits::default())));
    }
}
