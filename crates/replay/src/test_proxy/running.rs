//! A proxy on a thread of its own, which a test may hold up as it likes.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use consoletap_proxy::{Deadlines, Listener, Parts, Proxy, Settings};
use tokio::sync::oneshot;

/// A proxy that runs.
pub(super) struct Running {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    /// Starts it, and waits until it listens.
    pub(super) fn start(parts: Parts) -> Result<Self, String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| format!("there is no runtime for it: {error}"))?;
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = mpsc::channel();
        let run = async move {
            let listener = match Listener::bind((Ipv4Addr::LOCALHOST, 0).into()).await {
                Ok(listener) => listener,
                Err(error) => {
                    let _ = tell.send(Err(error.to_string()));
                    return;
                }
            };
            // Who is still talking when the test ends is not waited for.
            let deadlines = Deadlines { grace: Duration::ZERO, ..Deadlines::default() };
            let proxy = Proxy::new(listener, Settings { deadlines, ..Settings::default() }, parts);
            let _ = tell.send(Ok(proxy.local_addr()));
            proxy
                .run(async {
                    let _ = stopped.await;
                })
                .await;
        };
        let thread = std::thread::Builder::new().name("test proxy".to_owned());
        let thread = thread
            .spawn(move || runtime.block_on(run))
            .map_err(|error| format!("there is no thread for it: {error}"))?;
        let address = told.recv().map_err(|_| "its thread ended at once".to_owned())??;
        Ok(Self { address, stop: Some(stop), thread: Some(thread) })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops it, and waits until every flow has its end.
    pub(super) fn stop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // Its panic was told where it happened.
            let _ = thread.join();
        }
    }
}
