//! Carries requests to the proxy of this process, and hears from it what was answered.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use consoletap_flow::{Kind, Recorder, ResponseHead};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use crate::capture::{Capture, Captured};
use crate::compare::Body;
use crate::send::parcel::Parcel;

/// Who waits for the flow of which connection.
type Waiting = Arc<Mutex<HashMap<SocketAddr, oneshot::Sender<Captured>>>>;

/// The way to the proxy.
#[derive(Default)]
pub(super) struct Wire {
    waiting: Waiting,
}

/// An answer.
pub(super) struct Got {
    pub(super) head: ResponseHead,
    /// Why it is not all of it.
    pub(super) failure: Option<String>,
    captured: Captured,
}

impl Wire {
    /// Who hears what the proxy tells.
    pub(super) fn recorder(&self) -> Arc<dyn Recorder> {
        let waiting = Arc::clone(&self.waiting);
        Arc::new(Capture::new(move |captured: Captured| {
            if captured.flow.kind != Kind::Http {
                return;
            }
            if let Some(waits) = locked(&waiting).remove(&captured.flow.client.address) {
                // Nobody waits any more: it failed on this side.
                let _ = waits.send(captured);
            }
        }))
    }

    /// Sends a request, and waits for all of its answer.
    pub(super) async fn carry(&self, proxy: SocketAddr, parcel: Parcel) -> Result<Got, String> {
        let here = |error: io::Error| format!("it could not be sent from here: {error}");
        let mut stream = TcpStream::connect(proxy).await.map_err(here)?;
        let from = stream.local_addr().map_err(here)?;
        let (told, tells) = oneshot::channel();
        locked(&self.waiting).insert(from, told);
        let talked = talk(&mut stream, &parcel).await;
        drop(stream);
        if let Err(error) = talked {
            locked(&self.waiting).remove(&from);
            return Err(here(error));
        }
        let mut captured = tells.await.map_err(|_| "it was never told of".to_owned())?;
        let failure = captured.flow.finished.as_ref().and_then(|end| end.failure.as_ref());
        let failure = failure.map(|failure| failure.cause.clone());
        match captured.flow.response.take() {
            Some(head) => Ok(Got { head, failure, captured }),
            None => Err(failure.unwrap_or_else(|| "no answer came".to_owned())),
        }
    }
}

fn locked(waiting: &Waiting) -> MutexGuard<'_, HashMap<SocketAddr, oneshot::Sender<Captured>>> {
    // One insertion or removal at a time: whole, whatever panicked.
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes the request while the answer is read: a server may answer before it has all of it.
async fn talk(stream: &mut TcpStream, parcel: &Parcel) -> io::Result<()> {
    let (mut reads, mut writes) = stream.split();
    let write = async {
        writes.write_all(&parcel.head).await?;
        writes.write_all(&parcel.body).await
    };
    let read = async {
        let (mut buffer, mut came) = (vec![0; 64 << 10], 0_u64);
        loop {
            match reads.read(&mut buffer).await? {
                0 => return Ok(()),
                count => came += count as u64,
            }
            // The head counts as well, so that a little less of the body is taken than then.
            if parcel.enough.is_some_and(|enough| came >= enough) {
                return Ok(());
            }
        }
    };
    tokio::pin!(write, read);
    let mut written = false;
    loop {
        tokio::select! {
            // What was not taken any more is no failure where an answer came.
            _ = &mut write, if !written => written = true,
            done = &mut read => return done,
        }
    }
}

impl Got {
    /// The answer's body.
    pub(super) fn body(&self) -> Body<'_> {
        let summary = self.captured.flow.finished.as_ref().map(|end| end.response_body);
        Body::copied(self.captured.response.as_ref(), summary.unwrap_or_default())
    }
}
