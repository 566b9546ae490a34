//! Sessions that are written line by line, and a proxy that serves them.

use std::fmt::Write as _;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use consoletap_catalog::Catalog;
use consoletap_flow::{Classification, Event, Flow, Record, Recorder};
use consoletap_proxy::{Listener, Parts, Proxy, Settings, TlsParts};
use consoletap_replay::{Replay, ReplaySettings};
use consoletap_rules::{RuleBook, Rules};
use consoletap_tls::{Authority, Interceptor, Learned, Trust, TrustSettings};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// A recorded exchange.
#[derive(Debug, Clone)]
pub(crate) struct Exchange {
    method: &'static str,
    url: String,
    asked: Vec<(String, String)>,
    sent: String,
    status: u16,
    fields: Vec<(String, String)>,
    body: String,
    kept: Option<usize>,
    state: &'static str,
    wait: u64,
}

/// A GET of this URL, answered 200 with this body.
pub(crate) fn get(url: &str, body: &str) -> Exchange {
    Exchange {
        method: "GET",
        url: url.to_owned(),
        asked: Vec::new(),
        sent: String::new(),
        status: 200,
        fields: Vec::new(),
        body: body.to_owned(),
        kept: None,
        state: "complete",
        wait: 1000,
    }
}

impl Exchange {
    pub(crate) fn method(mut self, method: &'static str) -> Self {
        self.method = method;
        self
    }
    pub(crate) fn asked(mut self, name: &str, value: &str) -> Self {
        self.asked.push((name.to_owned(), value.to_owned()));
        self
    }
    pub(crate) fn post(mut self, body: &str) -> Self {
        self.method = "POST";
        self.sent = body.to_owned();
        self
    }
    pub(crate) fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }
    pub(crate) fn field(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }
    /// Only so many octets of the body were kept.
    pub(crate) fn kept(mut self, octets: usize) -> Self {
        self.kept = Some(octets);
        self
    }
    pub(crate) fn state(mut self, state: &'static str) -> Self {
        self.state = state;
        self
    }
    /// The server took so many microseconds.
    pub(crate) fn wait(mut self, micros: u64) -> Self {
        self.wait = micros;
        self
    }
}

fn sha256(octets: &[u8]) -> String {
    use aws_lc_rs::digest::{SHA256, digest};
    digest(&SHA256, octets).as_ref().iter().fold(String::new(), |mut hex, octet| {
        let _ = write!(hex, "{octet:02x}");
        hex
    })
}

/// A line for a body, and what `finished` says of it.
fn body(text: &str, kept: Option<usize>, lines: &mut Vec<Value>) -> Value {
    if text.is_empty() {
        return json!({"bytes": 0, "kept": "nothing"});
    }
    let there = &text[..kept.unwrap_or(text.len())];
    let (whole, name) = (sha256(text.as_bytes()), sha256(there.as_bytes()));
    if !there.is_empty() {
        lines.push(json!({"body": {"sha256": name, "text": there}}));
    }
    let kept = match kept {
        None => json!("whole"),
        Some(0) => json!("nothing"),
        Some(bytes) => json!({"prefix": {"bytes": bytes, "digest": format!("sha256:{name}")}}),
    };
    json!({"bytes": text.len(), "digest": format!("sha256:{whole}"), "kept": kept})
}

/// A session in a folder of its own.
pub(crate) struct Recording {
    folder: tempfile::TempDir,
}

impl Recording {
    pub(crate) fn of(exchanges: &[Exchange]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let about = json!({"format": 1, "tool": "consoletap", "version": "0.1.0",
            "started": "2026-01-01T00:00:00.000000Z", "trimmed": true});
        fs::write(folder.path().join("session.json"), about.to_string()).unwrap();
        let mut log = String::new();
        for (flow, exchange) in (1_u64..).zip(exchanges) {
            for line in lines(flow, exchange) {
                let _ = writeln!(log, "{line}");
            }
        }
        fs::write(folder.path().join("log-000001.jsonl"), log).unwrap();
        Self { folder }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.path().join("log-000001.jsonl")
    }
}

fn lines(flow: u64, exchange: &Exchange) -> Vec<Value> {
    let at = format!("2026-01-01T00:00:{:02}.000000Z", flow % 60);
    let pairs = |pairs: &[(String, String)]| json!(pairs);
    let line = |event: Value| json!({"flow": flow, "at": at, "event": event});
    let Exchange { method, url, asked, sent, status, fields, body: text, .. } = exchange;
    let mut lines = vec![
        line(json!({"opened": {"kind": "http",
            "client": {"address": "192.168.0.1:49153", "connection": flow}, "target": url,
            "request": {"method": method, "target": url, "version": "HTTP/1.1",
                "headers": pairs(asked)}, "classification": Classification::default()}})),
        line(json!({"response": {"status": status, "reason": "", "version": "HTTP/1.1",
            "headers": pairs(fields)}})),
    ];
    let request = body(sent, None, &mut lines);
    let response = body(text, exchange.kept, &mut lines);
    lines.push(line(json!({"finished": {"state": exchange.state, "request_body": request,
        "response_body": response, "timings": {"wait": exchange.wait, "receive": 1000}}})));
    lines
}

/// A session of this project's fixtures.
pub(crate) fn fixture(console: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/sessions").join(console)
}

static CATALOG: LazyLock<Arc<Catalog>> = LazyLock::new(|| Arc::new(Catalog::builtin()));

/// The usual settings.
pub(crate) fn settings() -> ReplaySettings {
    ReplaySettings::new(Arc::clone(&CATALOG))
}

#[derive(Default)]
struct Memory(Mutex<Vec<Event>>);

impl Recorder for Memory {
    fn record(&self, record: Record) {
        self.0.lock().unwrap().push(record.event);
        if let Some(written) = record.written {
            written();
        }
    }
}

static IDENTITY: LazyLock<(Arc<Interceptor>, String)> = LazyLock::new(|| {
    let certs = tempfile::tempdir().unwrap();
    let authority = Authority::load_or_create(&certs.path().join("certs")).unwrap();
    let pem = authority.certificate_pem().to_owned();
    (Arc::new(Interceptor::new(authority).unwrap()), pem)
});

/// A session that is served.
pub(crate) struct Served {
    pub(crate) address: SocketAddr,
    pub(crate) replay: Arc<Replay>,
    pub(crate) ca_pem: String,
    memory: Arc<Memory>,
    stop: oneshot::Sender<()>,
    running: JoinHandle<()>,
}

impl Served {
    pub(crate) async fn start(session: &Path) -> Self {
        Self::with(session, settings(), &[]).await
    }

    pub(crate) async fn with(session: &Path, settings: ReplaySettings, rules: &[String]) -> Self {
        let replay = Arc::new(Replay::open(session, settings).unwrap());
        let (interceptor, ca_pem) = &*IDENTITY;
        let memory = Arc::new(Memory::default());
        let listener = Listener::bind((Ipv4Addr::LOCALHOST, 0).into()).await.unwrap();
        let parts = Parts {
            catalog: Arc::clone(&CATALOG),
            rules: Arc::new(RuleBook::new(Rules::load(rules).unwrap())),
            tls: TlsParts {
                interceptor: Some(Arc::clone(interceptor)),
                trust: Arc::new(Trust::new(&TrustSettings::default()).unwrap()),
                learned: Arc::new(Learned::load(None)),
            },
            recorder: memory.clone(),
            seen: None,
            origin: Some(replay.clone()),
        };
        let proxy = Proxy::new(listener, Settings::default(), parts);
        let address = proxy.local_addr();
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(proxy.run(async {
            let _ = stopped.await;
        }));
        Self { address, replay, ca_pem: ca_pem.clone(), memory, stop, running }
    }

    /// Sends octets and reads until the proxy closes.
    pub(crate) async fn say(&self, octets: impl AsRef<[u8]>) -> String {
        let mut tcp = TcpStream::connect(self.address).await.unwrap();
        tcp.write_all(octets.as_ref()).await.unwrap();
        let mut got = Vec::new();
        // A reset ends an answer that is not all of it.
        let _ = tokio::time::timeout(LIMIT, tcp.read_to_end(&mut got)).await.unwrap();
        String::from_utf8_lossy(&got).into_owned()
    }

    /// A GET with these fields, on a connection of its own.
    pub(crate) async fn get(&self, url: &str, fields: &str) -> String {
        self.ask("GET", url, fields, "").await
    }

    /// A request with these fields and this body, on a connection of its own.
    pub(crate) async fn ask(&self, method: &str, url: &str, fields: &str, body: &str) -> String {
        let host = url.split('/').nth(2).unwrap();
        let length = match body {
            "" => String::new(),
            body => format!("Content-Length: {}\r\n", body.len()),
        };
        let head = format!(
            "{method} {url} HTTP/1.1\r\nHost: {host}\r\n{fields}{length}Connection: close\r\n\r\n"
        );
        self.say(format!("{head}{body}")).await
    }

    /// Stops it, and says whether anybody was connected to; its flows in the order they began.
    pub(crate) async fn stop(self) -> Vec<Flow> {
        let _ = self.stop.send(());
        tokio::time::timeout(LIMIT, self.running).await.unwrap().unwrap();
        assert_eq!(self.replay.refused_dials(), 0, "nobody is even tried to be connected to");
        let mut flows: Vec<Flow> = Vec::new();
        for event in std::mem::take(&mut *self.memory.0.lock().unwrap()) {
            match flows.iter_mut().find(|flow| flow.id == event.flow) {
                Some(flow) => flow.apply(event),
                None => flows.push(Flow::open(event).unwrap()),
            }
        }
        flows
    }
}

/// The status of an answer, and its body.
pub(crate) fn parts(answer: &str) -> (u16, &str) {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer:?}"));
    (head[9..12].parse().unwrap(), body)
}

/// A field of an answer.
pub(crate) fn field<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    let (head, _) = answer.split_once("\r\n\r\n")?;
    head.lines()
        .filter_map(|line| line.split_once(": "))
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
}
