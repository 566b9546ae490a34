//! A home folder, and the binary in it. Whatever is started is killed when it is dropped.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use consoletap_flow::Flow;
use consoletap_session::Session;
use consoletap_simulator::World;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// What takes longer is broken. Far more than is needed, since all tests share the machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until this gives something; `what` is for the message when it never does.
pub(crate) async fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let waiting = async {
        loop {
            if let Some(found) = look() {
                return found;
            }
            sleep(Duration::from_millis(5)).await;
        }
    };
    match timeout(PATIENCE, waiting).await {
        Ok(found) => found,
        Err(_) => panic!("waited {PATIENCE:?} in vain for {what}"),
    }
}

/// A home folder with nothing in it.
pub(crate) struct Home(TempDir);

impl Home {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// A path in it.
    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.0.path().join(below)
    }

    /// The same as text, for an argument.
    pub(crate) fn text(&self, below: &str) -> String {
        self.path(below).into_os_string().into_string().unwrap()
    }

    /// Writes a file; gives its path.
    pub(crate) fn write(&self, below: &str, octets: impl AsRef<[u8]>) -> String {
        let path = self.path(below);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, octets).unwrap();
        self.text(below)
    }

    /// The text with the folder's name taken out, for snapshots.
    pub(crate) fn hide(&self, text: &str) -> String {
        text.replace(self.0.path().to_str().unwrap(), "HOME")
    }

    /// A program whose environment is this home and nothing else.
    pub(crate) fn program(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.0.path())
            .env("XDG_CONFIG_HOME", self.path("config"))
            .env("XDG_DATA_HOME", self.path("data"))
            .env("LANG", "C.UTF-8")
            .env("TZ", "UTC")
            .current_dir(self.0.path())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// The binary with these arguments, to its end.
    pub(crate) async fn run(&self, args: &[&str]) -> Ended {
        let mut command = self.program(env!("CARGO_BIN_EXE_consoletap"));
        let running = command.args(args).output();
        let output = timeout(PATIENCE, running).await.expect("the program ends").unwrap();
        Ended {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// A proxy on a free port of loopback, which writes `session` and prints JSON lines.
    pub(crate) fn tap(&self) -> Start<'_> {
        let session = "session";
        Start { home: self, shell: None, args: Vec::new(), json: true, session, ready_ca: true }
    }

    /// Starts a command that runs a proxy, and waits until it listens.
    pub(crate) async fn spawn(&self, mut command: Command) -> Tap {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Tap::of(command.spawn().unwrap()).await
    }

    /// Puts a CA where [`Home::tap`] looks for it, unless there is one. It is the same for all
    /// homes: the key of a new one costs more than most tests.
    fn install_ca(&self) {
        static CA: OnceLock<[(&str, Vec<u8>); 2]> = OnceLock::new();
        let files = CA.get_or_init(|| {
            let folder = tempfile::tempdir().unwrap();
            consoletap_tls::Authority::load_or_create(folder.path()).unwrap();
            ["ca.pem", "ca-key.pem"].map(|file| (file, fs::read(folder.path().join(file)).unwrap()))
        });
        let certs = self.path("certs");
        if fs::DirBuilder::new().mode(0o700).create(&certs).is_ok() {
            for (file, octets) in files {
                let mut options = File::options();
                options.write(true).create_new(true).mode(0o600);
                options.open(certs.join(file)).unwrap().write_all(octets).unwrap();
            }
        }
    }

    /// The session that a [`Home::tap`] writes.
    pub(crate) fn session(&self) -> Session {
        Session::open(&self.path("session")).unwrap()
    }

    /// Its flows, as the crate that wrote them reads them.
    pub(crate) fn flows(&self) -> Vec<Flow> {
        self.session().flows().map(Result::unwrap).collect()
    }

    /// Its rows, as the binary prints them.
    pub(crate) async fn rows(&self, filter: &[&str]) -> Vec<Value> {
        let session = self.text("session");
        let args = [&["session", "show", &session, "--json"], filter].concat();
        let ended = self.run(&args).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        json_lines(&ended.stdout)
    }
}

/// A proxy that is about to be started.
pub(crate) struct Start<'h> {
    home: &'h Home,
    shell: Option<&'static str>,
    args: Vec<String>,
    json: bool,
    session: &'static str,
    ready_ca: bool,
}

impl Start<'_> {
    /// With one more argument.
    pub(crate) fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// With more arguments.
    pub(crate) fn args<S: Into<String>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// With every documented host led to this world.
    pub(crate) fn world(self, world: &World) -> Self {
        let rules = world.resolve_rules();
        self.args(rules.into_iter().flat_map(|rule| ["--resolve".to_owned(), rule]))
    }

    /// And with the certificates of that world believed.
    pub(crate) fn trusted_world(self, world: &World) -> Self {
        let roots = self.home.write("world.pem", world.ca_pem());
        self.world(world).args(["--upstream-ca".to_owned(), roots])
    }

    /// With another session.
    pub(crate) fn session(mut self, below: &'static str) -> Self {
        self.session = below;
        self
    }

    /// With the log for people in place of the JSON lines.
    pub(crate) fn with_log(mut self) -> Self {
        self.json = false;
        self
    }

    /// Without a CA that was made before: it makes its own.
    pub(crate) fn without_ca(mut self) -> Self {
        self.ready_ca = false;
        self
    }

    /// Started by these words of a shell, which end in `exec "$@"`.
    pub(crate) fn by_shell(mut self, script: &'static str) -> Self {
        self.shell = Some(script);
        self
    }

    /// Starts it, and waits until it listens.
    pub(crate) async fn start(self) -> Tap {
        if self.ready_ca {
            self.home.install_ca();
        }
        let binary = env!("CARGO_BIN_EXE_consoletap");
        let mut command = match self.shell {
            Some(script) => {
                let mut command = self.home.program("sh");
                command.args(["-c", script, "sh", binary]);
                command
            }
            None => self.home.program(binary),
        };
        command.args(["run", "--listen-host", "127.0.0.1", "--port", "0"]);
        command.arg("--write").arg(self.home.path(self.session));
        command.arg("--certs").arg(self.home.path("certs"));
        command.args(self.json.then_some("--json")).args(self.args);
        self.home.spawn(command).await
    }
}

/// A proxy that runs.
pub(crate) struct Tap {
    child: Child,
    address: SocketAddr,
    stdout: Gathered,
    stderr: Gathered,
}

impl Tap {
    async fn of(mut child: Child) -> Self {
        let stdout = Gathered::from(child.stdout.take().unwrap());
        let stderr = Gathered::from(child.stderr.take().unwrap());
        let address = eventually("the proxy to listen", || {
            let text = stderr.text();
            let (line, _) = text.split_once("Stop with Ctrl-C.\n")?;
            let address = line.lines().find_map(|line| line.strip_prefix("listening on "))?;
            Some(address.parse().unwrap())
        })
        .await;
        Self { child, address, stdout, stderr }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it said to people so far.
    pub(crate) fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// What it said to programs so far.
    pub(crate) fn stdout(&self) -> String {
        self.stdout.text()
    }

    /// The rows, once there are so many.
    pub(crate) async fn rows(&self, count: usize) -> Vec<Value> {
        let what = format!("{count} rows");
        eventually(&what, || {
            let text = self.stdout();
            let whole = text.rfind('\n').map_or("", |end| &text[..end]);
            Some(json_lines(whole)).filter(|rows| rows.len() >= count)
        })
        .await
    }

    /// The first row that fits, once there is one.
    pub(crate) async fn row(&self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        eventually(what, || {
            let text = self.stdout();
            let whole = text.rfind('\n').map_or("", |end| &text[..end]);
            json_lines(whole).into_iter().find(&fits)
        })
        .await
    }

    /// Its process.
    pub(crate) fn pid(&self) -> Pid {
        self.child.id().and_then(|id| Pid::from_raw(id.cast_signed())).expect("it runs")
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Stops it as Ctrl-C does; what it said, and how it ended.
    pub(crate) async fn stop(self) -> Ended {
        self.signal(Signal::INT);
        self.end().await
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits for its end.
    pub(crate) async fn end(mut self) -> Ended {
        let status = timeout(PATIENCE, self.child.wait()).await.expect("the proxy ends").unwrap();
        Ended {
            code: status.code(),
            stdout: self.stdout.all().await,
            stderr: self.stderr.all().await,
        }
    }
}

/// What a program left behind.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Its exit code; none where a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// What comes out of a stream, gathered while the program runs.
struct Gathered {
    octets: Arc<Mutex<Vec<u8>>>,
    reading: JoinHandle<io::Result<()>>,
}

impl Gathered {
    fn from(mut stream: impl AsyncRead + Unpin + Send + 'static) -> Self {
        let octets = Arc::<Mutex<Vec<u8>>>::default();
        let gathered = Arc::clone(&octets);
        let reading = tokio::spawn(async move {
            let mut buffer = [0; 8192];
            loop {
                let count = stream.read(&mut buffer).await?;
                if count == 0 {
                    return Ok(());
                }
                gathered.lock().unwrap().extend_from_slice(&buffer[..count]);
            }
        });
        Self { octets, reading }
    }

    /// The whole characters so far.
    fn text(&self) -> String {
        let octets = self.octets.lock().unwrap();
        let whole = octets.utf8_chunks().next().map_or("", |chunk| chunk.valid());
        whole.to_owned()
    }

    async fn all(self) -> String {
        self.reading.await.unwrap().unwrap();
        let octets = std::mem::take(&mut *self.octets.lock().unwrap());
        String::from_utf8(octets).expect("the program writes UTF-8")
    }
}

/// Each line is one JSON object.
pub(crate) fn json_lines(text: &str) -> Vec<Value> {
    let parse = |line: &str| match serde_json::from_str::<Value>(line) {
        Ok(value @ Value::Object(_)) => value,
        other => panic!("{line:?} is no JSON object: {other:?}"),
    };
    text.lines().map(parse).collect()
}
