//! CONNECT: dial, say 200, look at the ClientHello without consuming it, and decide what becomes
//! of the tunnel.

use std::sync::Arc;

use bytes::BytesMut;
use consoletap_catalog::Query;
use consoletap_flow::{
    Authority, Classification, Failure, Happening, Headers, Hello, Host, Kind, Opened, RequestHead,
    ResponseHead, Scheme, Side, State, Target, Version,
};
use consoletap_tls::{ClientHello, Peek, Stack};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout_at};

use crate::client::linger;
use crate::console::Answer;
use crate::dial::DialError;
use crate::exchange::{self, Inlet};
use crate::http1::{Framing, Reader, Writer, request_framing};
use crate::intercept;
use crate::open_flow::{OpenFlow, now};
use crate::serve::Page;
use crate::stream::{ReadHalf, WriteHalf};
use crate::tunnel;
use crate::upstream::Key;

/// Serves a CONNECT and everything inside it.
pub(crate) async fn run(
    inlet: Inlet,
    head: RequestHead,
    reader: Reader,
    mut writer: Writer,
    place: Option<OwnedSemaphorePermit>,
) {
    let target = match target(&head) {
        Ok(target) => target,
        Err(cause) => {
            let mut answer = Answer::http1(&mut writer, head.version, false);
            exchange::refuse(&inlet, head, None, &mut answer, 400, cause).await;
            return linger(reader, writer).await;
        }
    };
    let user_agent = head.headers.text("user-agent").map(str::to_owned);
    let classification = classify(&inlet, &target, user_agent.as_deref(), None);
    let mut flow = OpenFlow::begin(
        &inlet.shared,
        Opened {
            kind: Kind::Tunnel,
            client: inlet.client,
            tunnel: None,
            target: Some(Target::Authority(target.clone())),
            request: Some(head.clone()),
            classification: classification.clone(),
        },
    );
    let mut way = Way { inlet, target, user_agent, classification, place };
    let server = match way.dial(&mut flow).await {
        Ok(server) => server,
        Err(error) => {
            say_unreachable(&mut flow, head.version, &mut writer, &error).await;
            return linger(reader, writer).await;
        }
    };
    if establish(&mut flow, &mut writer).await.is_err() {
        let failure = Failure::new(Side::Client, "the client was gone before the tunnel stood");
        flow.finish(State::AbortedByClient, Some(failure));
        return;
    }
    let Some((client, early)) = reunite(reader, writer) else {
        let failure = Failure::new(Side::Here, "the halves of the client's connection do not fit");
        flow.finish(State::Refused, Some(failure));
        return;
    };
    way.open(flow, client, early, server).await;
}

/// Where the tunnel leads (RFC 9110 9.3.6): host and port, both necessary.
fn target(head: &RequestHead) -> Result<Authority, String> {
    let target = Authority::parse(&head.target, None)
        .map_err(|error| format!("CONNECT needs host:port, and {error}"))?;
    if head.headers.all("host").count() > 1 {
        return Err("there is more than one Host field".to_owned());
    }
    match request_framing(head.version, &head.headers) {
        Ok(Framing::Empty) => Ok(target),
        Ok(_) => Err("CONNECT has no body, but one is announced".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn classify(
    inlet: &Inlet,
    target: &Authority,
    user_agent: Option<&str>,
    sni: Option<&str>,
) -> Classification {
    inlet.shared.catalog.classify(&Query {
        method: Some("CONNECT"),
        host: Some(&target.host),
        port: Some(target.port),
        path: None,
        user_agent,
        sni,
    })
}

async fn say_unreachable(
    flow: &mut OpenFlow,
    version: Version,
    writer: &mut Writer,
    error: &DialError,
) {
    let page = Page::new(error.status(), &error.to_string(), false);
    let state = if error.is_refusal() { State::Refused } else { State::UpstreamError };
    let mut answer = Answer::http1(writer, version, false);
    exchange::say(flow, &mut answer, &page, state, error.failure()).await;
}

async fn establish(flow: &mut OpenFlow, writer: &mut Writer) -> std::io::Result<()> {
    let head = ResponseHead {
        status: 200,
        reason: "Connection established".into(),
        version: Version::Http11,
        headers: Headers::default(),
    };
    writer.response_head(head.status, &head.reason, &head.headers);
    flow.log.response(head);
    writer.flush().await
}

/// The client's connection in one piece, and what it sent early. Only TCP comes here: CONNECT
/// inside TLS was refused before.
fn reunite(reader: Reader, writer: Writer) -> Option<(TcpStream, BytesMut)> {
    let (read, early) = reader.into_parts();
    match (read, writer.into_half()) {
        (ReadHalf::Tcp(read), WriteHalf::Tcp(write)) => Some((read.reunite(write).ok()?, early)),
        _ => None,
    }
}

/// A tunnel on its way to becoming one.
struct Way {
    inlet: Inlet,
    target: Authority,
    user_agent: Option<String>,
    classification: Classification,
    place: Option<OwnedSemaphorePermit>,
}

/// What the first octets are.
enum First {
    Hello(Box<ClientHello>),
    /// No TLS, or none that can be told; why, where that is worth a note.
    Other(Option<String>),
    /// The client closed its side, or failed.
    Closed,
}

impl Way {
    /// A connection to the server; `None` where one is kept that the requests inside will use.
    async fn dial(&mut self, flow: &mut OpenFlow) -> Result<Option<TcpStream>, DialError> {
        let upstreams = &self.inlet.shared.upstreams;
        if self.wants_to_open(&self.target.host)
            && (upstreams.has_open(&self.key(false)) || upstreams.has_open(&self.key(true)))
        {
            return Ok(None);
        }
        let client = self.inlet.client.address.ip();
        let tcp = upstreams.tunnel(&self.target, client, &mut flow.timings).await?;
        flow.server = tcp.peer_addr().ok();
        Ok(Some(tcp))
    }

    fn key(&self, http2: bool) -> Key {
        Key {
            scheme: Scheme::Https,
            authority: self.target.clone(),
            server_name: self.target.host.clone(),
            http2,
            local: self.inlet.client.address.ip().to_canonical().is_loopback(),
        }
    }

    /// Whether TLS for this host would be opened, as far as it is known before the hello.
    fn wants_to_open(&self, host: &Host) -> bool {
        let shared = &self.inlet.shared;
        shared.tls.interceptor.is_some() && shared.settings.intercept.wants(host)
    }

    /// Looks at what the client sends first, and goes the one way or the other.
    async fn open(
        self,
        mut flow: OpenFlow,
        client: TcpStream,
        mut first: BytesMut,
        server: Option<TcpStream>,
    ) {
        let seen = self.look(&client, &mut first, server.as_ref()).await;
        let hello = match seen {
            First::Hello(hello) => {
                self.tell_hello(&flow, &hello);
                Some(hello)
            }
            First::Other(note) => {
                if let Some(note) = note {
                    flow.log.note(note);
                }
                None
            }
            First::Closed => None,
        };
        if let Some(hello) = hello {
            match self.decide(&hello) {
                Ok(Some(key)) => {
                    let opening = intercept::Opening {
                        inlet: self.inlet,
                        target: self.target,
                        key,
                        spare: server,
                        place: self.place,
                    };
                    return Box::pin(intercept::run(opening, flow, client, first, hello)).await;
                }
                Ok(None) => {}
                Err(note) => flow.log.note(note),
            }
        }
        let server = match server {
            Some(server) => server,
            // It was to be opened, and is not: now a connection of its own is needed.
            None => match self.dial_late(&mut flow).await {
                Some(server) => server,
                None => return,
            },
        };
        let shared = Arc::clone(&self.inlet.shared);
        let place = self.place;
        // A task of its own, small as it is: the state of the HTTP connection goes away. Boxed, for
        // each layer that a future is wrapped in has room for it twice: 3 KB would become 12.
        shared.spawn(Box::pin(async move {
            tunnel::run(flow, client, server, first).await;
            drop(place);
        }));
    }

    async fn dial_late(&self, flow: &mut OpenFlow) -> Option<TcpStream> {
        let client = self.inlet.client.address.ip();
        let upstreams = &self.inlet.shared.upstreams;
        match upstreams.tunnel(&self.target, client, &mut flow.timings).await {
            Ok(server) => {
                flow.server = server.peer_addr().ok();
                Some(server)
            }
            Err(error) => {
                flow.finish(State::UpstreamError, Some(error.failure()));
                None
            }
        }
    }

    /// Reads until the first octets tell what they are. Not for long: with some protocols the
    /// server speaks first, and the client waits for it.
    async fn look(
        &self,
        client: &TcpStream,
        first: &mut BytesMut,
        server: Option<&TcpStream>,
    ) -> First {
        let until = Instant::now() + self.inlet.shared.settings.deadlines.hello;
        loop {
            match consoletap_tls::peek(first) {
                Peek::Hello(hello) => return First::Hello(hello),
                Peek::NotTls => return First::Other(None),
                Peek::Malformed(why) => {
                    return First::Other(Some(format!("the ClientHello cannot be read: {why}")));
                }
                Peek::NeedMore => {}
            }
            let server_speaks = async {
                match server {
                    Some(server) if first.is_empty() => server.readable().await,
                    _ => std::future::pending().await,
                }
            };
            let readable = tokio::select! {
                readable = timeout_at(until, client.readable()) => readable,
                _ = server_speaks => return First::Other(None),
            };
            match readable {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return First::Closed,
                Err(_) => return First::Other(None),
            }
            first.reserve(4096);
            match client.try_read_buf(first) {
                Ok(0) => return First::Closed,
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(_) => return First::Closed,
            }
        }
    }

    fn tell_hello(&self, flow: &OpenFlow, hello: &ClientHello) {
        let sni = hello.facts.sni.as_deref();
        let now = classify(&self.inlet, &self.target, self.user_agent.as_deref(), sni);
        let classification = (now != self.classification).then(|| Box::new(now));
        let facts = hello.facts.clone();
        flow.log.tell(Happening::Hello(Box::new(Hello { facts, classification })));
    }

    /// Whether to open this handshake, and with which key; why not, where the user wanted it.
    fn decide(&self, hello: &ClientHello) -> Result<Option<consoletap_tls::LeafKey>, String> {
        let sni: Option<Host> = hello.facts.sni.as_deref().and_then(|sni| sni.parse().ok());
        let wanted = self.wants_to_open(&self.target.host)
            || sni.as_ref().is_some_and(|sni| self.wants_to_open(sni));
        if !wanted {
            return Ok(None);
        }
        let client = self.inlet.client.address.ip();
        let learned = &self.inlet.shared.tls.learned;
        if let Some(reason) = learned.refuses(client, &self.target.host, now()) {
            return Err(format!(
                "not opened: this client refused our certificate before ({reason})"
            ));
        }
        match hello.stack() {
            Stack::Rustls(key) => Ok(Some(key)),
            Stack::Unsupported(why) => Err(format!("not opened: the client {why}")),
        }
    }
}
