//! Rules between raw clients and raw servers: each action, octet by octet, and its row.

mod bodies;
mod breaking;
mod clients;
mod files;
mod here;
mod on_the_way;
mod sent;
mod tunnels;
mod uploads;

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use consoletap_flow::Flow;
use consoletap_proxy::Settings;
use consoletap_simulator::RawOrigin;
use tempfile::TempDir;

use super::harness::{Client, Tested, Wanted};

/// A proxy with a rule file of the test, in a folder of its own.
struct Ruled {
    proxy: Tested,
    folder: TempDir,
    /// A server that must be there as long as the proxy.
    origin: Option<RawOrigin>,
}

/// What a client got.
#[derive(Debug)]
struct Got {
    head: String,
    body: Vec<u8>,
}

impl Got {
    fn status(&self) -> u16 {
        self.head[9..12].parse().unwrap()
    }

    /// The value of a field.
    fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A proxy with these rules that finds every host at this server.
async fn ruled(origin: &RawOrigin, rules: &str) -> Ruled {
    ruled_with(origin.address(), rules, |_| {}).await
}

/// The same for a test in which no server is asked.
async fn alone(rules: &str) -> Ruled {
    // Nobody listens on port 1.
    ruled_with(([127, 0, 0, 1], 1).into(), rules, |_| {}).await
}

async fn ruled_with(origin: SocketAddr, rules: &str, change: impl FnOnce(&mut Settings)) -> Ruled {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rules.toml");
    fs::write(&file, rules).unwrap();
    let redirects = vec![format!("*={origin}").parse().unwrap()];
    let mut settings = Settings { via: false, redirects, ..Settings::default() };
    change(&mut settings);
    let rules = vec![file.to_str().unwrap().to_owned()];
    let proxy = Tested::with(Wanted { settings, rules, ..Wanted::default() }).await;
    Ruled { proxy, folder, origin: None }
}

/// A rule for everything.
pub(crate) fn rule(action: &str) -> String {
    format!("[[rule]]\nname = \"r\"\nwhen = \"~all\"\n{action}\n")
}

impl Ruled {
    fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    fn write(&self, below: &str, octets: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(below);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, octets).unwrap();
        path
    }

    /// Asks for a path of `h.test` and reads until the end; `more` are whole lines.
    async fn ask(&self, method: &str, path: &str, more: &str) -> Got {
        let mut client = self.proxy.connect().await;
        client.send(request(method, path, &format!("{more}Connection: close\r\n"))).await;
        split(client.rest_octets().await)
    }

    async fn get(&self, path: &str) -> Got {
        self.ask("GET", path, "").await
    }

    async fn flow(self) -> Flow {
        self.proxy.flow().await
    }
}

fn request(method: &str, path: &str, more: &str) -> String {
    format!("{method} http://h.test{path} HTTP/1.1\r\nHost: h.test\r\n{more}\r\n")
}

fn split(octets: Vec<u8>) -> Got {
    let at = octets.windows(4).position(|four| four == b"\r\n\r\n");
    let at = at.unwrap_or_else(|| panic!("no head in {}", octets.escape_ascii())) + 4;
    Got { head: String::from_utf8(octets[..at].to_vec()).unwrap(), body: octets[at..].to_vec() }
}

/// The head of the next answer on this connection.
async fn next_head(client: &mut Client) -> Got {
    Got { head: client.until("\r\n\r\n").await, body: Vec::new() }
}

/// The next answer on this connection, which has a length.
async fn next_answer(client: &mut Client) -> Got {
    let mut got = next_head(client).await;
    let length = got.field("content-length").map_or(0, |length| length.parse().unwrap());
    got.body = client.exactly(length).await;
    got
}

/// The rule hits of a flow in words.
fn did(flow: &Flow) -> Vec<String> {
    flow.rules.iter().map(|hit| format!("{}: {}", hit.name, hit.did)).collect()
}

/// A server's answer.
fn answer(fields: &str, body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: {}\r\n\r\n{body}", body.len())
}
