//! HTTP/2, by hyper. Here its types become ours and back.

mod body;
mod client;
mod heads;
mod server;

use crate::exchange::Inlet;
use crate::stream::TlsStream;

pub(crate) use body::{Body, Error};
pub(crate) use client::{Answer, RequestBody};
pub(crate) use server::{Pending, RequestSink, Response, Sender};

/// What a peer may send on one stream, and on a connection, before it was taken. hyper lets a
/// server's streams have 2 MiB of 5: three clients that take nothing would then stop a connection
/// for all others that share it. With these it takes sixteen, and no more than 16 MiB wait here.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 16 << 20;

/// A connection on which both sides agreed on HTTP/2.
pub(crate) struct Agreed(TlsStream);

impl Agreed {
    /// The connection, where that was agreed on; else it comes back.
    pub(crate) fn on(tls: TlsStream) -> Result<Self, TlsStream> {
        if tls.speaks_http2() { Ok(Self(tls)) } else { Err(tls) }
    }

    /// Serves an intercepted client, until it goes, or has had no stream open for as long as any
    /// idle client may have.
    pub(crate) async fn serve(self, inlet: Inlet) {
        client::serve(inlet, self.0).await;
    }

    /// Begins to speak with a server.
    pub(crate) async fn connect(self) -> Result<Sender, Error> {
        Sender::connect(self.0).await
    }
}
