//! HTTP/1 between raw clients and raw servers: what goes out is compared octet by octet, and what
//! was recorded of it too.

mod bad_answers;
mod bad_requests;
mod bodies;
mod connections;
mod forwarding;
mod framing;
mod interim;
mod limits;
mod rewriting;
mod targets;

use consoletap_proxy::Settings;
use consoletap_simulator::{Act, RawOrigin};

use super::harness::{Tested, Wanted};

/// A proxy before one server, which it finds under every name in `.test`. It adds no `Via`, whose
/// value differs from run to run.
async fn before(origin: &RawOrigin) -> Tested {
    before_with(origin, |_| {}).await
}

/// The same with other settings.
async fn before_with(origin: &RawOrigin, change: impl FnOnce(&mut Settings)) -> Tested {
    Tested::with(Wanted { settings: settings(origin.address(), change), ..Wanted::default() }).await
}

fn settings(origin: std::net::SocketAddr, change: impl FnOnce(&mut Settings)) -> Settings {
    let redirect = format!("*.test={origin}").parse().unwrap();
    let mut settings = Settings { via: false, redirects: vec![redirect], ..Settings::default() };
    change(&mut settings);
    settings
}

/// What a connection to the server carried.
fn received(origin: &RawOrigin, connection: usize) -> String {
    String::from_utf8(origin.received().remove(connection)).unwrap()
}

fn send(octets: impl Into<Vec<u8>>) -> Act {
    Act::Send(octets.into().into())
}

fn until(octets: &'static str) -> Act {
    Act::ReadUntil(octets.into())
}

const GET: &str = "GET http://h.test/p HTTP/1.1\r\nHost: h.test\r\n\r\n";
const GET_AND_CLOSE: &str =
    "GET http://h.test/p HTTP/1.1\r\nHost: h.test\r\nConnection: close\r\n\r\n";
const GET_SENT_ON: &str = "GET /p HTTP/1.1\r\nHost: h.test\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const OK_AND_CLOSE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
