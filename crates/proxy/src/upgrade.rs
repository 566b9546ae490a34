//! What follows a 101: a WebSocket. Octets both ways, unread; the TLS of an intercepted connection
//! is between, so they come through our buffers.

use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use consoletap_flow::{Happening, Kind};

use crate::http1::{Reader, Writer};
use crate::open_flow::OpenFlow;
use crate::tunnel::{self, Broken, Counts, Direction};
use crate::upstream::Http1Connection;

/// Relays until both sides have closed.
pub(crate) async fn relay(
    flow: &mut OpenFlow,
    client_reader: &mut Reader,
    client_writer: &mut Writer,
    server: Http1Connection,
) {
    let Http1Connection { reader: mut server_reader, writer: mut server_writer, .. } = server;
    flow.log.tell(Happening::Became(Kind::Websocket));
    let idle = flow.idle_tunnel();
    let stopping = flow.stopping();
    let counts = Counts::default();
    let result = {
        let log = Mutex::new(&mut flow.log);
        let tell = || counts.tell(&log);
        let ways = async {
            tokio::try_join!(
                copy(client_reader, &mut server_writer, true, &counts.up, tell),
                copy(&mut server_reader, client_writer, false, &counts.down, tell),
            )
        };
        tokio::select! {
            ways = ways => ways.and_then(tunnel::both),
            () = counts.idle(idle) => Err(Broken::Idle(idle)),
            () = stopping.cancelled() => Err(Broken::Stopped),
        }
    };
    tunnel::finish(flow, &counts, result);
}

async fn copy(
    from: &mut Reader,
    to: &mut Writer,
    from_client: bool,
    moved: &AtomicU64,
    tell: impl Fn(),
) -> Direction {
    let undelivered = |error| Ok(Some(Broken::Side { client: !from_client, error }));
    loop {
        if from.buffered().is_empty() {
            let count = match from.fill().await {
                // A WebSocket has an end of its own; that of TLS adds nothing.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
                count => count,
            };
            match count {
                Ok(0) => return to.shutdown().await.map_or_else(undelivered, |()| Ok(None)),
                Ok(_) => {}
                Err(error) => return Err(Broken::Side { client: from_client, error }),
            }
        }
        let octets = from.take(from.buffered().len());
        if let Err(error) = to.data(&octets).await {
            return undelivered(error);
        }
        if let Err(error) = to.flush().await {
            return undelivered(error);
        }
        moved.fetch_add(octets.len() as u64, Ordering::Relaxed);
        tell();
    }
}
