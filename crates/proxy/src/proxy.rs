//! A proxy, built from its parts. There is nothing global: ten of them can run in one process.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use consoletap_catalog::Catalog;
use consoletap_flow::Recorder;
use consoletap_rules::RuleBook;
use consoletap_tls::{Interceptor, Learned, Trust};

use crate::accept::{self, Listener};
use crate::origin::Origin;
use crate::page::Seen;
use crate::settings::Settings;
use crate::shared::Shared;

/// What a proxy is built from.
pub struct Parts {
    /// What is known of console traffic.
    pub catalog: Arc<Catalog>,
    /// What the user wants done.
    pub rules: Arc<RuleBook>,
    /// What TLS needs.
    pub tls: TlsParts,
    /// Who keeps the events.
    pub recorder: Arc<dyn Recorder>,
    /// Who remembers what was seen of a client, for the page that it can look at.
    pub seen: Option<Arc<dyn Seen>>,
    /// Who answers in the place of servers; mostly nobody.
    pub origin: Option<Arc<dyn Origin>>,
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
        pruning.abort();
        shared.stop().await;
    }
}

async fn prune(shared: Arc<Shared>) {
    let every = shared.settings.deadlines.idle_upstream / 4;
    loop {
        tokio::time::sleep(every.max(Duration::from_millis(250))).await;
        shared.upstreams.prune();
    }
}
