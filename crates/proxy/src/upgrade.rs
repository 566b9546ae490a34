//! What follows a 101: a WebSocket, or another protocol. Octets both ways, unread; the TLS of an
//! intercepted connection is between, so they come through our buffers.

use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use consoletap_flow::{Happening, Kind, State};

use crate::http1::{Reader, Writer};
use crate::open_flow::{FlowLog, OpenFlow};
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
    let (up, down) = (AtomicU64::new(0), AtomicU64::new(0));
    let result = {
        let log = Mutex::new(&mut flow.log);
        let count = |log: &Mutex<&mut FlowLog>| {
            if let Ok(mut log) = log.try_lock() {
                log.progress(up.load(Ordering::Relaxed), down.load(Ordering::Relaxed));
            }
        };
        let both = async {
            tokio::try_join!(
                copy(client_reader, &mut server_writer, &up, || count(&log)),
                copy(&mut server_reader, client_writer, &down, || count(&log)),
            )
        };
        let quiet = async {
            let sum = || up.load(Ordering::Relaxed) + down.load(Ordering::Relaxed);
            let mut before = sum();
            loop {
                tokio::time::sleep(idle).await;
                if std::mem::replace(&mut before, sum()) == before {
                    return;
                }
            }
        };
        tokio::select! {
            result = both => result.map(|_| ()),
            () = quiet => Ok(()),
            () = flow.stopping.cancelled() => Ok(()),
        }
    };
    flow.request.count(up.load(Ordering::Relaxed));
    flow.response.count(down.load(Ordering::Relaxed));
    // WebSockets close inside their own protocol; how TCP ends afterwards says nothing.
    let state = match result {
        Ok(()) => State::Complete,
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => State::AbortedByClient,
        Err(_) => State::Complete,
    };
    flow.finish(state, None);
}

async fn copy(
    from: &mut Reader,
    to: &mut Writer,
    moved: &AtomicU64,
    told: impl Fn(),
) -> io::Result<()> {
    loop {
        if from.buffered().is_empty() && from.fill().await? == 0 {
            return to.shutdown().await;
        }
        let octets = from.take(from.buffered().len());
        to.data(&octets).await?;
        to.flush().await?;
        moved.fetch_add(octets.len() as u64, Ordering::Relaxed);
        told();
    }
}
