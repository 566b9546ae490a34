//! A proxy with a recorder that remembers, and a raw client.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use consoletap_catalog::Catalog;
use consoletap_filter::NamedClient;
use consoletap_flow::{Event, Flow, Happening, Record, Recorder};
use consoletap_proxy::{Listener, Parts, Proxy, Seen, Settings, TlsParts};
use consoletap_rules::{RuleBook, Rules};
use consoletap_tls::{Authority, Interceptor, Learned, Trust, TrustSettings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Nothing in these tests takes longer, unless it hangs.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// Remembers every event.
#[derive(Default)]
pub(crate) struct Memory {
    events: Mutex<Vec<Event>>,
}

impl Memory {
    /// How many events there are.
    pub(crate) fn count(&self) -> usize {
        self.events.lock().unwrap().len()
    }
}

impl Recorder for Memory {
    fn record(&self, record: Record) {
        self.events.lock().unwrap().push(record.event);
        if let Some(written) = record.written {
            written();
        }
    }
}

impl Seen for Memory {
    fn latest(&self, client: IpAddr) -> Vec<Arc<Flow>> {
        let mut flows: Vec<Flow> = Vec::new();
        for event in self.events.lock().unwrap().iter().cloned() {
            match flows.iter_mut().find(|flow| flow.id == event.flow) {
                Some(flow) => flow.apply(event),
                None => flows.extend(Flow::open(event)),
            }
        }
        let over = flows.into_iter().filter(|flow| flow.finished.is_some());
        over.filter(|flow| flow.client.address.ip() == client).rev().map(Arc::new).collect()
    }
}

/// A proxy under test.
pub(crate) struct Tested {
    pub(crate) address: SocketAddr,
    pub(crate) memory: Arc<Memory>,
    pub(crate) ca_pem: String,
    stop: oneshot::Sender<()>,
    running: JoinHandle<()>,
}

/// One authority for all tests, since its RSA keys take longer to make than most tests to run.
static IDENTITY: LazyLock<(Arc<Interceptor>, String)> = LazyLock::new(|| {
    let certs = tempfile::tempdir().unwrap();
    let authority = Authority::load_or_create(&certs.path().join("certs")).unwrap();
    let ca_pem = authority.certificate_pem().to_owned();
    (Arc::new(Interceptor::new(authority).unwrap()), ca_pem)
});

/// How a test wants its proxy.
#[derive(Default)]
pub(crate) struct Wanted {
    pub(crate) settings: Settings,
    pub(crate) rules: Vec<String>,
    /// Clients with a name, as `tv=10.0.0.1`.
    pub(crate) clients: Vec<&'static str>,
    pub(crate) trust: TrustSettings,
}

impl Tested {
    pub(crate) async fn start() -> Self {
        Self::with(Wanted::default()).await
    }

    pub(crate) async fn with(wanted: Wanted) -> Self {
        let (interceptor, ca_pem) = &*IDENTITY;
        let memory = Arc::new(Memory::default());
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let clients: Vec<NamedClient> =
            wanted.clients.iter().map(|client| client.parse().unwrap()).collect();
        let parts = Parts {
            catalog: Arc::new(Catalog::builtin()),
            rules: Arc::new(RuleBook::new(Rules::load_naming(&wanted.rules, &clients).unwrap())),
            tls: TlsParts {
                interceptor: Some(Arc::clone(interceptor)),
                trust: Arc::new(Trust::new(&wanted.trust).unwrap()),
                learned: Arc::new(Learned::load(None)),
            },
            recorder: memory.clone(),
            seen: Some(memory.clone()),
            origin: None,
        };
        let proxy = Proxy::new(listener, wanted.settings, parts);
        let address = proxy.local_addr();
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(proxy.run(async {
            let _ = stopped.await;
        }));
        Self { address, memory, ca_pem: ca_pem.clone(), stop, running }
    }

    /// Resolves once every flow that began has ended.
    pub(crate) async fn all_finished(&self) {
        loop {
            {
                let events = self.memory.events.lock().unwrap();
                let count = |wanted: fn(&Happening) -> bool| {
                    events.iter().filter(|event| wanted(&event.happening)).count()
                };
                let opened = count(|happening| matches!(happening, Happening::Opened(_)));
                if opened == count(|happening| matches!(happening, Happening::Finished(_))) {
                    return;
                }
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Resolves once so many flows have ended.
    pub(crate) async fn finished(&self, wanted: usize) {
        let ended = |event: &&Event| matches!(event.happening, Happening::Finished(_));
        let all = async {
            while self.memory.events.lock().unwrap().iter().filter(ended).count() < wanted {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(LIMIT, all).await.expect("the flows end");
    }

    /// Stops the proxy and gives its flows, in the order they began.
    pub(crate) async fn flows(self) -> Vec<Flow> {
        let _ = self.stop.send(());
        tokio::time::timeout(LIMIT, self.running).await.expect("the proxy stops").unwrap();
        let events = std::mem::take(&mut *self.memory.events.lock().unwrap());
        let mut flows: Vec<Flow> = Vec::new();
        for event in events {
            match flows.iter_mut().find(|flow| flow.id == event.flow) {
                Some(flow) => flow.apply(event),
                None => flows.push(Flow::open(event).expect("a flow begins with Opened")),
            }
        }
        flows
    }

    /// The only flow.
    pub(crate) async fn flow(self) -> Flow {
        let mut flows = self.flows().await;
        assert_eq!(flows.len(), 1, "{flows:#?}");
        flows.remove(0)
    }

    pub(crate) async fn connect(&self) -> Client {
        let tcp = TcpStream::connect(self.address).await.unwrap();
        tcp.set_nodelay(true).unwrap();
        Client { tcp, read: Vec::new() }
    }

    /// Sends octets and reads until the proxy closes.
    pub(crate) async fn say(&self, octets: impl AsRef<[u8]>) -> String {
        let mut client = self.connect().await;
        client.send(octets).await;
        client.rest().await
    }
}

/// A client that says what it is told.
pub(crate) struct Client {
    pub(crate) tcp: TcpStream,
    pub(crate) read: Vec<u8>,
}

impl Client {
    pub(crate) async fn send(&mut self, octets: impl AsRef<[u8]>) {
        // A proxy that has said no may have closed already; what it said is what counts.
        let _ = self.tcp.write_all(octets.as_ref()).await;
    }

    /// Everything until the connection ends.
    pub(crate) async fn rest(&mut self) -> String {
        String::from_utf8_lossy(&self.rest_octets().await).into_owned()
    }

    /// The same where it is no text.
    pub(crate) async fn rest_octets(&mut self) -> Vec<u8> {
        let mut rest = std::mem::take(&mut self.read);
        let read = tokio::time::timeout(LIMIT, self.tcp.read_to_end(&mut rest));
        let _ = read.await.expect("the proxy ends the connection");
        rest
    }

    /// So many octets.
    pub(crate) async fn exactly(&mut self, count: usize) -> Vec<u8> {
        let octets = self.at_most(count).await;
        assert_eq!(octets.len(), count, "the end came too early");
        octets
    }

    /// So many octets, or fewer where the connection ends before.
    pub(crate) async fn at_most(&mut self, count: usize) -> Vec<u8> {
        while self.read.len() < count {
            let read = tokio::time::timeout(LIMIT, self.tcp.read_buf(&mut self.read)).await;
            match read.expect("octets or an end come") {
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            }
        }
        let rest = self.read.split_off(count.min(self.read.len()));
        std::mem::replace(&mut self.read, rest)
    }

    /// Reads until `end` has come, and gives everything up to it.
    pub(crate) async fn until(&mut self, end: &str) -> String {
        loop {
            if let Some(at) = find(&self.read, end.as_bytes()) {
                let taken: Vec<u8> = self.read.drain(..at + end.len()).collect();
                return String::from_utf8_lossy(&taken).into_owned();
            }
            let count = tokio::time::timeout(LIMIT, self.tcp.read_buf(&mut self.read))
                .await
                .unwrap_or_else(|_| {
                    panic!("{end:?} did not come after {}", self.read.escape_ascii())
                })
                .unwrap();
            assert!(count > 0, "the end came before {end:?}: {}", self.read.escape_ascii());
        }
    }
}

fn find(octets: &[u8], wanted: &[u8]) -> Option<usize> {
    octets.windows(wanted.len()).position(|window| window == wanted)
}
