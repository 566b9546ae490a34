//! One connection of a capture: what it speaks is told by its first octets.

use std::net::SocketAddr;

use consoletap_catalog::Query;
use consoletap_flow::{
    Authority, BodySummary, Client, ConnectionId, Finished, Flow, FlowId, Host, Kept, Kind, State,
    Target, Timestamp, Timings,
};
use consoletap_tls::{ClientHello, Peek, ServerSeen, ServerSide, peek};

use super::super::message::{Message, Response};
use super::super::{Import, whole};
use super::http::{Exchanged, Http, begins_request};
use super::stream::{Piece, Stream};

/// So many octets tell what is spoken; a ClientHello with a post-quantum key share has 2 KiB.
const HEAD: usize = 16 << 10;

/// Part of a connection, as a packet brought it.
pub(super) struct Segment<'a> {
    pub(super) at: Timestamp,
    pub(super) sequence: u32,
    pub(super) begins: bool,
    pub(super) ends: bool,
    pub(super) octets: &'a [u8],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    /// From the client.
    Up,
    /// To the client.
    Down,
}

#[derive(Debug)]
pub(super) struct Connection {
    pub(super) number: u64,
    pub(super) latest: Timestamp,
    client: SocketAddr,
    server: SocketAddr,
    is_tcp: bool,
    started: Timestamp,
    up: Stream,
    down: Stream,
    up_bytes: u64,
    down_bytes: u64,
    speaks: Speaks,
    /// Its first octets, until it is known what it speaks.
    first_up: Vec<u8>,
    first_down: Vec<u8>,
    /// Where a CONNECT leads.
    through: Option<Authority>,
}

#[derive(Debug)]
enum Speaks {
    Unknown,
    Http(Box<Http>),
    Tls(Box<ClientHello>),
    Other,
}

impl Connection {
    pub(super) fn new(
        client: SocketAddr,
        server: SocketAddr,
        is_tcp: bool,
        number: u64,
        started: Timestamp,
    ) -> Self {
        Self {
            number,
            latest: started,
            client,
            server,
            is_tcp,
            started,
            up: Stream::default(),
            down: Stream::default(),
            up_bytes: 0,
            down_bytes: 0,
            speaks: Speaks::Unknown,
            first_up: Vec::new(),
            first_down: Vec::new(),
            through: None,
        }
    }

    /// Whether both sides, or a reset, ended it.
    pub(super) fn is_over(&self) -> bool {
        self.up.ended && self.down.ended
    }

    /// Whether nothing of it waits for a missing segment.
    pub(super) fn is_quiet(&self) -> bool {
        !self.up.is_waiting() && !self.down.is_waiting()
    }

    pub(super) fn take(
        &mut self,
        direction: Direction,
        segment: &Segment<'_>,
        import: &mut Import<'_>,
    ) {
        self.latest = self.latest.max(segment.at);
        if !self.is_tcp {
            match direction {
                Direction::Up => self.up_bytes += segment.octets.len() as u64,
                Direction::Down => self.down_bytes += segment.octets.len() as u64,
            }
            return;
        }
        let mut stream = match direction {
            Direction::Up => std::mem::take(&mut self.up),
            Direction::Down => std::mem::take(&mut self.down),
        };
        let mut give = |piece: Piece<'_>| self.piece(direction, segment.at, &piece, import);
        stream.take(segment.sequence, segment.begins, segment.octets, &mut give);
        stream.ended |= segment.ends;
        match direction {
            Direction::Up => self.up = stream,
            Direction::Down => self.down = stream,
        }
    }

    /// Ends it: everything that is still to be told of it becomes flows.
    pub(super) fn finish(mut self, import: &mut Import<'_>) {
        for direction in [Direction::Up, Direction::Down] {
            let mut stream = match direction {
                Direction::Up => std::mem::take(&mut self.up),
                Direction::Down => std::mem::take(&mut self.down),
            };
            let at = self.latest;
            stream.finish(&mut |piece| self.piece(direction, at, &piece, import));
        }
        let mut done = Vec::new();
        if let Speaks::Http(http) = &mut self.speaks {
            http.finish(self.latest, &mut done);
            self.emit(done, import);
        } else {
            self.tunnel(import);
        }
    }

    fn piece(
        &mut self,
        direction: Direction,
        at: Timestamp,
        piece: &Piece<'_>,
        import: &mut Import<'_>,
    ) {
        let octets = match piece {
            Piece::Octets(octets) => *octets,
            Piece::Gap(missing) => {
                if let Speaks::Http(http) = &mut self.speaks {
                    http.gap(direction == Direction::Up, *missing);
                } else if matches!(self.speaks, Speaks::Unknown) {
                    self.speaks = Speaks::Other;
                }
                return;
            }
        };
        let (bytes, first) = match direction {
            Direction::Up => (&mut self.up_bytes, &mut self.first_up),
            Direction::Down => (&mut self.down_bytes, &mut self.first_down),
        };
        *bytes += octets.len() as u64;
        let mut done = Vec::new();
        match &mut self.speaks {
            Speaks::Http(http) => {
                match direction {
                    Direction::Up => http.up(at, octets),
                    Direction::Down => http.down(at, octets, &mut done),
                }
                self.emit(done, import);
            }
            Speaks::Unknown | Speaks::Tls(_) => {
                let room = HEAD.saturating_sub(first.len()).min(octets.len());
                first.extend_from_slice(&octets[..room]);
                if matches!(self.speaks, Speaks::Unknown) {
                    self.decide(at, import);
                }
            }
            Speaks::Other => {}
        }
    }

    /// Tells from the first octets what is spoken.
    fn decide(&mut self, at: Timestamp, import: &mut Import<'_>) {
        self.speaks = match peek(&self.first_up) {
            Peek::Hello(hello) => Speaks::Tls(hello),
            Peek::NeedMore if self.first_up.len() < HEAD => return,
            Peek::NotTls if begins_request(&self.first_up) => {
                let mut http = Http::default();
                http.up(at, &std::mem::take(&mut self.first_up));
                let mut done = Vec::new();
                http.down(at, &std::mem::take(&mut self.first_down), &mut done);
                self.speaks = Speaks::Http(Box::new(http));
                return self.emit(done, import);
            }
            _ => Speaks::Other,
        };
    }

    fn emit(&mut self, done: Vec<Exchanged>, import: &mut Import<'_>) {
        for exchanged in done {
            if exchanged.leaves_http && exchanged.request.method == "CONNECT" {
                // What follows inside is told by one flow, with the handshake that it begins with.
                self.through = Authority::parse(&exchanged.request.target, Some(443)).ok();
                self.started = exchanged.request.at;
                self.speaks = Speaks::Unknown;
                self.first_up.clear();
                self.first_down.clear();
                (self.up_bytes, self.down_bytes) = (0, 0);
                return;
            }
            self.exchange(exchanged, import);
        }
    }

    fn exchange(&self, exchanged: Exchanged, import: &mut Import<'_>) {
        let Exchanged { request, answer, ended, leaves_http } = exchanged;
        let url = if request.target.contains("://") {
            request.target.clone()
        } else {
            let host = request.headers.text("host").map(str::to_owned);
            let host =
                host.filter(|host| !host.is_empty()).unwrap_or_else(|| self.server.to_string());
            format!("http://{host}{}", request.target)
        };
        let micros = |from: Timestamp, to: Timestamp| {
            u64::try_from(to.since(from).as_micros()).unwrap_or(u64::MAX)
        };
        let timings = Timings {
            wait: answer.as_ref().map(|answer| micros(request.at, answer.began)),
            receive: answer.as_ref().map(|answer| micros(answer.began, ended)),
            ..Timings::default()
        };
        let mut notes = Vec::new();
        let mut copies = [None, None];
        let answer_body = answer.as_ref().map(|answer| &answer.body);
        for (copy, body) in copies.iter_mut().zip([Some(&request.body), answer_body]) {
            let Some(body) = body else { continue };
            if body.missing > 0 {
                notes.push(format!("{} bytes of a body are not in the capture", body.missing));
            }
            if body.missing == 0 && body.kept.len() as u64 == body.bytes && body.bytes > 0 {
                *copy = Some(body.kept.clone());
            }
        }
        let error = match &answer {
            None => Some("there is no answer in the capture".to_owned()),
            Some(answer) if !answer.body.is_whole => {
                Some("the capture, or the connection, ends within the answer".to_owned())
            }
            Some(_) => None,
        };
        let message = Message {
            started: request.at,
            took_micros: micros(request.at, ended),
            client: Some(self.client),
            connection: self.number,
            server: Some(self.server),
            method: request.method,
            url,
            version: request.version,
            request_headers: request.headers,
            request_body: request.body.bytes,
            response: answer.map(|answer| Response { body: answer.body.bytes, ..answer.head }),
            error,
            timings,
            is_websocket: leaves_http,
        };
        match message.into_flow(&import.catalog) {
            Ok(flow) => import.flow(Flow { notes, ..flow }, whole(copies)),
            Err(why) => import.remark(format!("a request was left out: {why}")),
        }
    }

    /// A flow for what is no HTTP: its facts, and what the port table says.
    fn tunnel(&self, import: &mut Import<'_>) {
        let hello = match &self.speaks {
            Speaks::Tls(hello) => Some(&hello.facts),
            _ => None,
        };
        let sni = hello.and_then(|hello| hello.sni.as_deref());
        let named = sni.and_then(|name| name.parse::<Host>().ok());
        let target = self.through.clone().unwrap_or_else(|| Authority {
            host: named.unwrap_or_else(|| self.server.ip().to_canonical().into()),
            port: self.server.port(),
        });
        // Port 0 can stand in a packet, and in no authority.
        let target = (target.port != 0).then_some(target);
        let mut notes = Vec::new();
        if hello.is_none() && self.through.is_none() {
            let protocol = if self.is_tcp { "TCP" } else { "UDP" };
            let ports = import.catalog.ports(self.server.port());
            let usages: Vec<String> = ports
                .iter()
                .filter(|row| row.protocol.contains(protocol))
                .map(|row| format!("{} ({})", row.usage, row.platform))
                .collect();
            notes.push(match usages.as_slice() {
                [] => format!("{protocol}, on a port that is in no table"),
                usages => format!("{protocol}, by its port: {}", usages.join("; ")),
            });
        }
        let classification = import.catalog.classify(&Query {
            host: target.as_ref().map(|target| &target.host),
            port: Some(self.server.port()),
            sni,
            ja3: hello.map(|hello| hello.ja3.as_str()),
            ja4: hello.map(|hello| hello.ja4.as_str()),
            ..Query::default()
        });
        let (mut server_hello, mut certificate) = (None, None);
        if hello.is_some() {
            ServerSide::new().read(&self.first_down, |seen| match seen {
                ServerSeen::Hello(facts) => server_hello = Some(facts),
                ServerSeen::Certificate(facts) => certificate = Some(facts),
                ServerSeen::Alert(_) => {}
            });
        }
        let body = |bytes| BodySummary { bytes, digest: None, kept: Kept::Nothing };
        let flow = Flow {
            id: FlowId(0),
            kind: Kind::Tunnel,
            started: self.started,
            latest: self.latest,
            client: Client { address: self.client, connection: ConnectionId(self.number) },
            tunnel: None,
            target: target.map(Target::Authority),
            request: None,
            classification,
            hello: hello.cloned(),
            server_hello,
            certificate,
            policy: None,
            document: None,
            intercepted: false,
            interim: Vec::new(),
            response: None,
            request_bytes: self.up_bytes,
            response_bytes: self.down_bytes,
            rules: Vec::new(),
            notes,
            finished: Some(Box::new(Finished {
                state: State::Complete,
                failure: None,
                request_body: body(self.up_bytes),
                response_body: body(self.down_bytes),
                timings: Timings::default(),
                server: Some(self.server),
            })),
        };
        import.flow(flow, [None, None]);
    }
}
