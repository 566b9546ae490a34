//! The three subjects, and the processes they are made of.

use std::fs::{self, File};
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustls::client::Resumption;
use serde::Serialize;
use tempfile::TempDir;

use crate::authority::{AuthorityFiles, client_config};
use crate::client::{Reuse, Route};
use crate::origin::FILE_PATH;
use crate::process::Process;

/// How long a process may take until it listens.
const START_LIMIT: Duration = Duration::from_secs(10);
/// Longer than any run: what is left behind by a killed load program ends by itself.
const STOP_AFTER: &str = "1800";

/// The file of the mode `map-local`, in the folder of the run.
const BULK_FILE: &str = "bulk";

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Subject {
    Direct,
    Relay,
    Consoletap,
    /// consoletap without a session: what is left is what recording costs.
    Unrecorded,
    /// consoletap, which answers from a session that was recorded before.
    Replay,
}

/// What the proxy does with TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TlsHandling {
    Tunnel,
    Intercept,
}

/// The origin, the certificates, and where the programs are.
pub(crate) struct Workbench {
    folder: TempDir,
    own: PathBuf,
    consoletap: Option<PathBuf>,
    relay_authority: AuthorityFiles,
    origin_authority: AuthorityFiles,
    origin: Running,
}

/// A process that listens; it ends with this value.
pub(crate) struct Running {
    child: Child,
    pub(crate) address: SocketAddr,
    /// Its session, gone with it.
    session: Option<PathBuf>,
}

impl Workbench {
    /// Makes certificates and starts the origin.
    pub(crate) fn new(consoletap: Option<PathBuf>) -> Result<Self> {
        let own = std::env::current_exe().context("cannot find this program itself")?;
        let folder = tempfile::tempdir().context("a folder for the run")?;
        let origin_authority = AuthorityFiles::create(folder.path(), "origin")?;
        let relay_authority = AuthorityFiles::create(folder.path(), "relay")?;
        let mut command = Command::new(&own);
        command.args(["origin", "--stop-after", STOP_AFTER, "--ca"]);
        command.arg(&origin_authority.certificate).arg("--ca-key").arg(&origin_authority.key);
        command.arg("--file").arg(folder.path().join(BULK_FILE));
        let origin = Running::spawn(command, &folder.path().join("origin.log"))?;
        Ok(Self { folder, own, consoletap, relay_authority, origin_authority, origin })
    }

    /// Those that can be measured here.
    pub(crate) fn subjects(&self) -> Vec<Subject> {
        let mut subjects = vec![Subject::Direct, Subject::Relay];
        if self.consoletap.is_some() {
            subjects.extend([Subject::Consoletap, Subject::Unrecorded, Subject::Replay]);
        }
        subjects
    }

    /// Starts a fresh proxy on a port it chooses; nothing for a direct connection.
    pub(crate) fn start(&self, subject: Subject, tls: TlsHandling) -> Result<Option<Running>> {
        let Some(command) = self.command(subject, tls, 0)? else { return Ok(None) };
        let mut running = Running::spawn(command, &self.log(subject))?;
        running.session = Some(self.session());
        Ok(Some(running))
    }

    /// The same with a rule for consoletap that answers with this file.
    pub(crate) fn start_mapping(&self, subject: Subject, file: &Path) -> Result<Option<Running>> {
        let Some(mut command) = self.command(subject, TlsHandling::Tunnel, 0)? else {
            return Ok(None);
        };
        if subject == Subject::Consoletap {
            let rules = self.folder.path().join("map-local.toml");
            let rule = format!(
                "[[rule]]\nname = 'file'\nwhen = '~u {FILE_PATH}$'\nmap-local = {{ file = '{}' }}\n",
                file.display()
            );
            fs::write(&rules, rule).context("the rule of the benchmark")?;
            command.arg("--rules").arg(rules);
        }
        let mut running = Running::spawn(command, &self.log(subject))?;
        running.session = Some(self.session());
        Ok(Some(running))
    }

    /// A file of so many bytes that are no holes, which the origin serves too; made once.
    pub(crate) fn bulk_file(&self, bytes: u64) -> Result<PathBuf> {
        let path = self.folder.path().join(BULK_FILE);
        if !fs::metadata(&path).is_ok_and(|file| file.len() == bytes) {
            let mut file = File::create(&path).context("the file of the benchmark")?;
            let block = vec![b'x'; 1 << 20];
            let mut left = bytes;
            while left > 0 {
                let piece = usize::try_from(left).map_or(block.len(), |left| left.min(block.len()));
                file.write_all(&block[..piece]).context("the file of the benchmark")?;
                left -= piece as u64;
            }
        }
        Ok(path)
    }

    /// Records these answers of the origin, whole, for [`Subject::Replay`].
    pub(crate) async fn record(&self, paths: &[&str]) -> Result<()> {
        // Not there: nothing was recorded before.
        let _ = fs::remove_dir_all(self.recorded());
        let program = self.consoletap.as_ref().context("no consoletap to measure")?;
        let mut command = Command::new(program);
        command.args(["run", "--port=0", "--listen-host=127.0.0.1", "--store=full", "-w"]);
        command.arg(self.recorded()).arg("--certs").arg(self.certificates());
        command.arg("--upstream-ca").arg(&self.origin_authority.certificate);
        command.arg(format!("--resolve=*={}", self.origin.address));
        // No faster than any disk takes it: what one cannot take is not in the session.
        let rules = self.folder.path().join("slowly.toml");
        let rule = "[[rule]]\nname = 'slowly'\nwhen = '~all'\nthrottle = { down = '100m' }\n";
        fs::write(&rules, rule).context("the rule of the recording")?;
        command.arg("--rules").arg(rules);
        command.current_dir(self.folder.path());
        let recorder = Running::spawn(command, &self.log(Subject::Replay))?;
        let route = self.route(Subject::Consoletap, Some(recorder.address), None)?;
        let mut connection = route.open().await?;
        for path in paths {
            // An answer is recorded before its last octet is there.
            connection.exchange(&route.request(path, Reuse::KeepAlive)).await?;
        }
        Ok(())
    }

    fn recorded(&self) -> PathBuf {
        self.folder.path().join("recorded")
    }

    /// The command line of a proxy that listens on `port`.
    pub(crate) fn command(
        &self,
        subject: Subject,
        tls: TlsHandling,
        port: u16,
    ) -> Result<Option<Command>> {
        let origin = self.origin.address;
        let command = match subject {
            Subject::Direct => return Ok(None),
            Subject::Relay => {
                let mut command = Command::new(&self.own);
                command.args(["relay", "--stop-after", STOP_AFTER]);
                command.arg(format!("--listen=127.0.0.1:{port}"));
                command.arg(format!("--resolve-all={origin}"));
                command.arg("--upstream-ca").arg(&self.origin_authority.certificate);
                if tls == TlsHandling::Intercept {
                    command.arg("--intercept-cert").arg(&self.relay_authority.certificate);
                    command.arg("--intercept-key").arg(&self.relay_authority.key);
                }
                command
            }
            Subject::Consoletap | Subject::Unrecorded | Subject::Replay => {
                let program = self.consoletap.as_ref().context("no consoletap to measure")?;
                let mut command = Command::new(program);
                match subject {
                    Subject::Replay => command.args(["replay", "serve"]).arg(self.recorded()),
                    _ => command.arg("run"),
                };
                command.arg(format!("--port={port}")).arg("--listen-host=127.0.0.1");
                match subject {
                    Subject::Unrecorded => command.arg("--no-session"),
                    Subject::Replay => &mut command,
                    _ => command.arg("-w").arg(self.session()),
                };
                command.arg("--certs").arg(self.certificates());
                command.arg("--upstream-ca").arg(&self.origin_authority.certificate);
                command.arg(format!("--resolve=*={origin}"));
                if tls == TlsHandling::Intercept {
                    command.arg("--intercept-all");
                }
                // Nothing of the user's own settings comes into a measurement.
                command.current_dir(self.folder.path());
                command
            }
        };
        Ok(Some(command))
    }

    /// The log of a proxy: a file, as people keep it.
    pub(crate) fn log(&self, subject: Subject) -> PathBuf {
        self.folder.path().join(format!("{subject:?}.log"))
    }

    /// The end of that log, for a measurement that failed.
    pub(crate) fn last_words(&self, subject: Subject) -> String {
        // A direct connection has no log.
        let log = fs::read(self.log(subject)).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(5)..].join("\n")
    }

    /// The way to the origin through `proxy`. `tls`: what the proxy does with it, if TLS is spoken.
    pub(crate) fn route(
        &self,
        subject: Subject,
        proxy: Option<SocketAddr>,
        tls: Option<TlsHandling>,
    ) -> Result<Route> {
        let trusted = match (subject, tls) {
            (_, None) => None,
            (Subject::Direct, _) | (_, Some(TlsHandling::Tunnel)) => {
                Some(self.origin_authority.certificate.clone())
            }
            (Subject::Relay, _) => Some(self.relay_authority.certificate.clone()),
            (Subject::Consoletap | Subject::Unrecorded | Subject::Replay, _) => {
                let file = self.certificates().join("ca.pem");
                await_certificate(&file)?;
                Some(file)
            }
        };
        let tls = trusted.map(|file| client_config(&file)).transpose()?.map(|mut config| {
            // Every handshake is a full one: what a console does at first contact.
            config.resumption = Resumption::disabled();
            Arc::new(config)
        });
        let host = "www.bench.test".to_owned();
        Ok(Route { origin: self.origin.address, proxy, tls, host })
    }

    /// Forgets what a proxy recorded.
    pub(crate) fn remove_session(&self) {
        // Not there: this proxy records nothing.
        let _ = fs::remove_dir_all(self.session());
    }

    fn session(&self) -> PathBuf {
        self.folder.path().join("session")
    }

    fn certificates(&self) -> PathBuf {
        self.folder.path().join("certs")
    }
}

impl Running {
    /// Starts `command`, with its words in `log`, and waits until it tells its port and has settled.
    fn spawn(command: Command, log: &Path) -> Result<Self> {
        let child = spawn_logged(command, log)?;
        let unknown = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        // From here on the process ends with this value, whatever fails.
        let mut running = Self { child, address: unknown, session: None };
        let deadline = Instant::now() + START_LIMIT;
        loop {
            let said = fs::read_to_string(log).unwrap_or_default();
            if let Some(port) = port_told(&said) {
                running.address.set_port(port);
                running.process().settle()?;
                return Ok(running);
            }
            if let Some(status) = running.child.try_wait()? {
                bail!("the process ended at once ({status}): {}", said.trim());
            }
            if Instant::now() > deadline {
                bail!("expected \"listening on ADDRESS:PORT\" within 10 s, got: {}", said.trim());
            }
            sleep(Duration::from_millis(1));
        }
    }

    /// Starts a process whose port is known, without waiting.
    pub(crate) fn spawn_on(command: Command, log: &Path, port: u16) -> Result<Self> {
        let child = spawn_logged(command, log)?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Ok(Self { child, address, session: None })
    }

    /// The process, for its figures.
    pub(crate) fn process(&self) -> Process {
        Process(self.child.id())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Ended already: nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(session) = &self.session {
            // The relay never made one.
            let _ = fs::remove_dir_all(session);
        }
    }
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
    Ok(listener.local_addr()?.port())
}

fn spawn_logged(mut command: Command, log: &Path) -> Result<Child> {
    let file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file);
    let program = command.get_program().to_owned();
    command.spawn().with_context(|| format!("cannot start {}", program.display()))
}

/// The port in the first line that says `listening on …:PORT`.
fn port_told(said: &str) -> Option<u16> {
    // Up to the last line break: the port of a line half written would be cut.
    let (whole, _) = said.rsplit_once('\n')?;
    let (_, rest) = whole.split_once("listening on")?;
    let line = rest.lines().next()?;
    line.split(':').skip(1).find_map(|after| {
        let digits = after.split(|it: char| !it.is_ascii_digit()).next()?;
        digits.parse().ok()
    })
}

/// The authority of consoletap is made at its first run, after it listens.
fn await_certificate(file: &Path) -> Result<()> {
    let deadline = Instant::now() + START_LIMIT;
    while !fs::read_to_string(file).is_ok_and(|text| text.contains("END CERTIFICATE")) {
        if Instant::now() > deadline {
            bail!("expected consoletap to make {} within 10 s", file.display());
        }
        sleep(Duration::from_millis(1));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_port_that_was_told() {
        assert_eq!(port_told("hello\nlistening on 127.0.0.1:41234\n"), Some(41234));
        assert_eq!(port_told("listening on http://127.0.0.1:80 (type it in)\n"), Some(80));
        assert_eq!(port_told("listening on 127.0.0.1:412"), None);
        assert_eq!(port_told("listening on nothing\n"), None);
    }

    proptest::proptest! {
        #[test]
        fn no_log_makes_it_panic(log: String) {
            let _ = port_told(&format!("listening on{log}\n"));
        }
    }
}
