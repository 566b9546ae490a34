//! A proxy, built from its parts. There is nothing global: ten of them can run in one process.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use consoletap_catalog::Catalog;
use consoletap_flow::{ConnectionId, FlowId, Recorder};
use consoletap_rules::Rules;
use consoletap_tls::{Interceptor, Learned, Trust};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::accept::{self, Listener};
use crate::dial::Dialer;
use crate::headers::Pseudonym;
use crate::settings::Settings;
use crate::upstream::Upstreams;

/// What a proxy is built from.
pub struct Parts {
    /// What is known of console traffic.
    pub catalog: Arc<Catalog>,
    /// What the user wants done.
    pub rules: Arc<Rules>,
    /// What TLS needs.
    pub tls: TlsParts,
    /// Who keeps the events.
    pub recorder: Arc<dyn Recorder>,
}

/// The TLS of a proxy.
#[derive(Clone)]
pub struct TlsParts {
    /// Our certificates; without them nothing is opened, whatever the settings say.
    pub interceptor: Option<Arc<Interceptor>>,
    /// Which servers are believed.
    pub trust: Arc<Trust>,
    /// Which clients refused our certificates.
    pub learned: Arc<Learned>,
}

/// A proxy that is ready to run.
pub struct Proxy {
    listener: Listener,
    shared: Arc<Shared>,
}

impl Proxy {
    /// A proxy on this listener. Clients that connected meanwhile wait in the kernel's queue.
    #[must_use]
    pub fn new(listener: Listener, settings: Settings, parts: Parts) -> Self {
        let shared = Shared::new(settings, parts, listener.local_addr());
        Self { listener, shared: Arc::new(shared) }
    }

    /// The address that it listens on.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.listener.local_addr()
    }

    /// Serves until `stop` resolves. Then nothing new is accepted, what is under way gets a short
    /// grace, and every flow is closed with its last event before this returns.
    pub async fn run(self, stop: impl Future<Output = ()> + Send) {
        let Self { listener, shared } = self;
        let pruning = shared.spawn(prune(Arc::clone(&shared)));
        tokio::select! {
            () = accept::run(&shared, &listener) => {}
            () = stop => {}
        }
        drop(listener);
        shared.stopping.cancel();
        shared.tasks.close();
        pruning.abort();
        // Whoever takes longer than the grace is cut off, and every idle connection is.
        let _ = tokio::time::timeout(shared.settings.deadlines.grace, shared.rest()).await;
        shared.stopped.cancel();
        shared.tasks.wait().await;
        let unwritten = shared.unwritten.load(Ordering::Relaxed);
        if unwritten > 0 {
            tracing::warn!("{unwritten} answers went out before they were recorded");
        }
    }
}

async fn prune(shared: Arc<Shared>) {
    let every = shared.settings.deadlines.idle_upstream / 4;
    loop {
        tokio::time::sleep(every.max(Duration::from_millis(250))).await;
        shared.upstreams.prune();
    }
}

/// What all connections of a proxy share.
pub(crate) struct Shared {
    pub(crate) settings: Arc<Settings>,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) rules: Arc<Rules>,
    pub(crate) tls: TlsParts,
    pub(crate) recorder: Arc<dyn Recorder>,
    pub(crate) upstreams: Upstreams,
    /// Our name in `Via`, different for each run, so that a loop is noticed and another
    /// consoletap on the way is not.
    pub(crate) pseudonym: Pseudonym,
    flows: AtomicU64,
    connections: AtomicU64,
    /// Flows that are worth waiting for when the proxy stops.
    busy: AtomicU64,
    /// Flows whose client got everything before their last event was written.
    unwritten: AtomicU64,
    tasks: TaskTracker,
    /// Nothing new begins.
    pub(crate) stopping: CancellationToken,
    /// What is under way ends.
    stopped: CancellationToken,
}

impl Shared {
    fn new(settings: Settings, parts: Parts, listen: SocketAddr) -> Self {
        let settings = Arc::new(settings);
        let dialer = Dialer::new(Arc::clone(&settings), listen);
        let deadlines = settings.deadlines;
        let trust = Arc::clone(&parts.tls.trust);
        let upstreams = Upstreams::new(dialer, trust, deadlines.handshake, deadlines.idle_upstream);
        let begun = crate::open_flow::now();
        Self {
            pseudonym: Pseudonym::new(&format!(
                "consoletap-{:x}",
                begun.0 ^ i64::from(std::process::id()) << 20 ^ i64::from(listen.port())
            )),
            flows: AtomicU64::new(settings.first_flow),
            connections: AtomicU64::new(1),
            busy: AtomicU64::new(0),
            unwritten: AtomicU64::new(0),
            settings,
            catalog: parts.catalog,
            rules: parts.rules,
            tls: parts.tls,
            recorder: parts.recorder,
            upstreams,
            tasks: TaskTracker::new(),
            stopping: CancellationToken::new(),
            stopped: CancellationToken::new(),
        }
    }

    pub(crate) fn next_flow(&self) -> FlowId {
        FlowId(self.flows.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) fn next_connection(&self) -> ConnectionId {
        ConnectionId(self.connections.fetch_add(1, Ordering::Relaxed))
    }

    /// Counts a flow that is worth waiting for when the proxy stops, or one less.
    pub(crate) fn count_busy(&self, begins: bool) {
        if begins {
            self.busy.fetch_add(1, Ordering::Relaxed);
        } else {
            self.busy.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Waits until no flow is worth waiting for.
    async fn rest(&self) {
        while self.busy.load(Ordering::Relaxed) > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Counts an answer that could not wait for the disk, and says so the first time.
    pub(crate) fn count_unwritten(&self) {
        if self.unwritten.fetch_add(1, Ordering::Relaxed) == 0 {
            tracing::warn!(
                "the disk of the session is slow: answers go out before they are recorded"
            );
        }
    }

    /// Runs a task that ends with the proxy. A task that is ended drops what it holds, and an
    /// open flow writes its last event when it is dropped.
    pub(crate) fn spawn(
        &self,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> tokio::task::JoinHandle<()> {
        let stopped = self.stopped.clone();
        self.tasks.spawn(async move {
            stopped.run_until_cancelled_owned(task).await;
        })
    }
}
