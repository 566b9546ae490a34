//! The listener and its loop: who comes in, and how many.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use consoletap_flow::Client;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;

use crate::client;
use crate::shared::Shared;

/// Connections that wait in the kernel's queue; consoles open a dozen at once.
const BACKLOG: u32 = 1024;

/// Descriptors that stay free for files, name look-ups and servers.
const RESERVED_DESCRIPTORS: u64 = 128;

/// A bound listener.
#[derive(Debug)]
pub struct Listener {
    tcp: TcpListener,
    address: SocketAddr,
}

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Somebody listens there.
    #[error(
        "{0} is taken: another program, or another consoletap, listens there (choose another with --port)"
    )]
    Taken(SocketAddr),
    /// Anything else.
    #[error("cannot listen on {address}: {cause}")]
    Other {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        cause: io::Error,
    },
}

impl Listener {
    /// Listens on an address; port 0 takes a free one.
    ///
    /// # Errors
    /// When the address is taken, or may not be listened on.
    pub async fn bind(address: SocketAddr) -> Result<Self, BindError> {
        let fail = |cause: io::Error| match cause.kind() {
            io::ErrorKind::AddrInUse => BindError::Taken(address),
            _ => BindError::Other { address, cause },
        };
        let listen = || {
            let socket =
                if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
            // A proxy that was just stopped can be started again at once.
            socket.set_reuseaddr(true)?;
            socket.bind(address)?;
            socket.listen(BACKLOG)
        };
        let tcp = listen().map_err(fail)?;
        let address = tcp.local_addr().map_err(fail)?;
        Ok(Self { tcp, address })
    }

    /// The address, with the port that was taken.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }
}

/// Accepts clients for ever; a task each.
pub(crate) async fn run(shared: &Arc<Shared>, listener: &Listener) {
    let room = Arc::new(Semaphore::new(room(shared.settings.limits.clients)));
    loop {
        // When all places are taken, whoever comes next waits in the kernel's queue.
        let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
        let (tcp, address) = accept(&listener.tcp).await;
        let client = Client { address, connection: shared.next_connection() };
        let task = client::serve(Arc::clone(shared), tcp, client, place);
        shared.spawn(task);
    }
}

/// The next connection. Errors are a client's (it went away in the queue) or ours (no
/// descriptors): both pass, and the second only with time.
async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    let mut pause = Duration::from_millis(5);
    loop {
        match listener.accept().await {
            Ok((tcp, address)) => {
                // Without it small packets wait for the acknowledgement of the one before.
                let _ = tcp.set_nodelay(true);
                return (tcp, address);
            }
            Err(error) if is_the_clients(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection; trying again");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(1));
            }
        }
    }
}

fn is_the_clients(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

/// How many clients there is room for: two descriptors each, one for the client and one for the
/// server.
fn room(wanted: usize) -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let affordable = limit.unwrap_or(u64::MAX).saturating_sub(RESERVED_DESCRIPTORS) / 2;
    wanted.min(usize::try_from(affordable).unwrap_or(usize::MAX)).max(16)
}
