//! What all connections of one proxy share: its parts, its counters, and how its tasks end.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use consoletap_catalog::Catalog;
use consoletap_flow::{ConnectionId, FlowId, Recorder};
use consoletap_rules::RuleBook;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::dial::Dialer;
use crate::headers::Pseudonym;
use crate::origin::Origin;
use crate::page::{Seen, Tested};
use crate::proxy::{Parts, TlsParts};
use crate::settings::Settings;
use crate::upstream::Upstreams;

/// What all connections of a proxy share.
pub(crate) struct Shared {
    pub(crate) settings: Arc<Settings>,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) rules: Arc<RuleBook>,
    pub(crate) tls: TlsParts,
    pub(crate) recorder: Arc<dyn Recorder>,
    /// Who remembers what was seen of a client.
    pub(crate) seen: Option<Arc<dyn Seen>>,
    /// Who stands in for servers.
    pub(crate) origin: Option<Arc<dyn Origin>>,
    /// How the tests of the page ended.
    pub(crate) tested: Tested,
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
    /// From the parts of a proxy that listens there.
    pub(crate) fn new(settings: Settings, parts: Parts, listen: SocketAddr) -> Self {
        let settings = Arc::new(settings);
        let dialer = Dialer::new(Arc::clone(&settings), listen, parts.origin.clone());
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
            seen: parts.seen,
            origin: parts.origin,
            tested: Tested::default(),
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

    /// Ends everything: nothing new begins, what is under way gets a short grace, and when this
    /// returns every task is over.
    pub(crate) async fn stop(&self) {
        self.stopping.cancel();
        self.tasks.close();
        // Whoever takes longer than the grace is cut off, and every idle connection is.
        let _ = tokio::time::timeout(self.settings.deadlines.grace, self.rest()).await;
        self.stopped.cancel();
        self.tasks.wait().await;
        let unwritten = self.unwritten.load(Ordering::Relaxed);
        if unwritten > 0 {
            tracing::warn!("{unwritten} answers went out before they were recorded");
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
