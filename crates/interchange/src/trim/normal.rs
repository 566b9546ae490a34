//! What is another one each time, made the same: numbers, times, addresses.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use consoletap_flow::{
    Client, ConnectionId, Event, Finished, FlowId, Happening, Header, Headers, Timestamp, Timings,
};
use jiff::fmt::rfc2822::{DateTimeParser, DateTimePrinter};

/// When every trimmed session begins: 2026-01-01T00:00:00Z.
pub(super) const START: Timestamp = Timestamp(1_767_225_600_000_000);

/// Clients are of this network, in the order in which they come.
const NETWORK: [u8; 4] = [192, 168, 0, 0];
/// Their ports, behind which their connections are counted: the first of those that RFC 6335 6
/// leaves to everybody.
const PORTS: u64 = 49_152;

const SECOND: i64 = 1_000_000;

/// What becomes of what.
pub(super) struct Normal {
    flows: HashMap<FlowId, FlowId>,
    connections: HashMap<ConnectionId, ConnectionId>,
    clients: HashMap<IpAddr, IpAddr>,
    times: BTreeMap<Timestamp, Timestamp>,
}

impl Normal {
    /// Numbers flows in the order of these events.
    pub(super) fn of<'e>(events: impl Iterator<Item = &'e Event>) -> Self {
        let (mut flows, mut connections) = (HashMap::new(), HashMap::new());
        let mut clients = HashMap::new();
        let mut times = BTreeSet::new();
        for event in events {
            times.insert(event.at);
            if let Happening::Opened(opened) = &event.happening {
                let next = flows.len() as u64 + 1;
                flows.entry(event.flow).or_insert(FlowId(next));
                let next = connections.len() as u64 + 1;
                connections.entry(opened.client.connection).or_insert(ConnectionId(next));
                // A network of a hundred consoles is none.
                let next = u8::try_from(clients.len() + 1).unwrap_or(u8::MAX);
                let [a, b, c, _] = NETWORK;
                let client = Ipv4Addr::new(a, b, c, next).into();
                clients.entry(opened.client.address.ip().to_canonical()).or_insert(client);
            }
        }
        Self { flows, connections, clients, times: normal_times(&times) }
    }

    /// The event of a flow of this client. What the event itself says of the client may be a
    /// pseudonym already.
    pub(super) fn event(&self, client: Client, mut event: Event) -> Event {
        let at = self.time(event.at);
        match &mut event.happening {
            Happening::Opened(opened) => {
                opened.client = self.client(client);
                opened.tunnel = opened.tunnel.and_then(|tunnel| self.flows.get(&tunnel).copied());
            }
            Happening::Response(head) | Happening::Interim(head) => {
                dates(&mut head.headers, event.at, at);
            }
            Happening::Finished(end) => finished(end),
            _ => {}
        }
        let flow = self.flows.get(&event.flow).copied().unwrap_or(event.flow);
        Event { flow, at, ..event }
    }

    fn time(&self, at: Timestamp) -> Timestamp {
        self.times.get(&at).copied().unwrap_or(at)
    }

    fn client(&self, client: Client) -> Client {
        let connection = self.connections.get(&client.connection).unwrap_or(&client.connection);
        let ip = client.address.ip().to_canonical();
        let ip = self.clients.get(&ip).copied().unwrap_or(ip);
        let port = u16::try_from(PORTS + connection.0).unwrap_or(u16::MAX);
        Client { address: SocketAddr::new(ip, port), connection: *connection }
    }
}

/// The same order, from [`START`] on; what lies between two of them is rounded.
fn normal_times(times: &BTreeSet<Timestamp>) -> BTreeMap<Timestamp, Timestamp> {
    let mut now = START;
    let mut before = None;
    let mut normal = BTreeMap::new();
    for &at in times {
        if let Some(before) = before {
            let between = u64::try_from(at.0.saturating_sub(before)).unwrap_or(0);
            let between = i64::try_from(rounded(between)).unwrap_or(i64::MAX);
            now = Timestamp(now.0.saturating_add(between));
        }
        normal.insert(at, now);
        before = Some(at.0);
    }
    normal
}

/// Microseconds as milliseconds of one digit that counts: 1, 2, … 9, 10, 20, … 90, 100, 200.
fn rounded(micros: u64) -> u64 {
    let millis = (micros.saturating_add(500) / 1000).max(1);
    let unit = 10_u64.pow(millis.ilog10());
    ((millis + unit / 2) / unit).saturating_mul(unit).saturating_mul(1000)
}

fn finished(end: &mut Finished) {
    let Timings { dns, connect, tls, wait, receive } = &mut end.timings;
    for time in [dns, connect, tls, wait, receive] {
        *time = time.map(rounded);
    }
    // Where a name of the internet led to says something; a port of this machine does not.
    end.server = end.server.filter(|server| is_public(server.ip()));
}

fn is_public(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            !(ip.is_loopback() || ip.is_private() || ip.is_link_local() || ip.is_unspecified())
        }
        IpAddr::V6(ip) => {
            !(ip.is_loopback()
                || ip.is_unique_local()
                || ip.is_unicast_link_local()
                || ip.is_unspecified())
        }
    }
}

/// Moves the dates of an answer as the answer was moved, so that it stays as fresh as it was (RFC
/// 9111 4.2).
fn dates(headers: &mut Headers, before: Timestamp, now: Timestamp) {
    for name in ["Date", "Expires"] {
        let Some(said) = headers.text(name).and_then(read_date) else { continue };
        // They are whole seconds: one that was said within the second of the answer stays so.
        let ahead = said.0.saturating_sub(before.0.div_euclid(SECOND) * SECOND);
        let moved = (now.0.div_euclid(SECOND) * SECOND).saturating_add(ahead);
        if let Some(field) = date(Timestamp(moved)).and_then(|date| Header::new(name, date).ok()) {
            headers.set(field);
        }
    }
}

fn read_date(text: &str) -> Option<Timestamp> {
    DateTimeParser::new().parse_timestamp(text).ok().map(Timestamp::from)
}

fn date(at: Timestamp) -> Option<String> {
    DateTimePrinter::new().timestamp_to_rfc9110_string(&at.calendar()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_rounded_and_nothing_happens_at_once_that_did_not() {
        let cases =
            [(1, 1), (1_499, 1), (9_600, 10), (47_000, 50), (96_000, 100), (1_678_000, 2000)];
        for (micros, millis) in cases {
            assert_eq!(rounded(micros), millis * 1000, "{micros}");
            assert_eq!(rounded(millis * 1000), millis * 1000, "rounded twice: {micros}");
        }
        let times = [5, 6, 900, 1_000_000].map(Timestamp).into();
        let normal: Vec<i64> = normal_times(&times).values().map(|at| at.0 - START.0).collect();
        assert_eq!(normal, [0, 1_000, 2_000, 1_002_000]);
        assert_eq!(START.to_string(), "2026-01-01T00:00:00.000000Z");
    }

    #[test]
    fn dates_move_with_the_answer_and_keep_their_distance() {
        let fields = [
            ("date", "Mon, 23 Nov 2026 20:43:00 GMT"),
            ("Expires", "Mon, 23 Nov 2026 20:48:00 GMT"),
            ("Last-Modified", "Wed, 28 May 2014 00:00:00 GMT"),
        ];
        let mut headers: Headers =
            fields.iter().map(|(name, value)| Header::new(*name, *value).unwrap()).collect();
        let at = "2026-11-23T20:43:00.900000Z".parse().unwrap();
        let moved = Timestamp(START.0 + 7_000);
        for (before, now) in [(at, moved), (moved, moved)] {
            dates(&mut headers, before, now);
            let told: Vec<_> = headers.iter().map(|field| format!("{field:?}")).collect();
            assert_eq!(
                told,
                [
                    "date: Thu, 01 Jan 2026 00:00:00 GMT",
                    "Expires: Thu, 01 Jan 2026 00:05:00 GMT",
                    "Last-Modified: Wed, 28 May 2014 00:00:00 GMT",
                ]
            );
        }
        let mut odd: Headers = [Header::new("Expires", "0").unwrap()].into_iter().collect();
        dates(&mut odd, at, moved);
        assert_eq!(odd.text("expires"), Some("0"));
    }
}
