//! CONNECT: dial, say 200, look at the ClientHello without consuming it, and decide what becomes
//! of the tunnel.

use std::sync::Arc;

use bytes::BytesMut;
use consoletap_catalog::Query;
use consoletap_filter::Subject;
use consoletap_flow::{
    Authority, Classification, ClientHelloFacts, Effect, Failure, Happening, Headers, Hello, Host,
    Kind, Opened, RequestHead, ResponseHead, RuleHit, Side, State, Target, TlsAction, Verdict,
    Version,
};
use consoletap_rules::{Block, Context, Decision, FromHere, Here, Tls};
use consoletap_tls::{Alpn, Answerer, ClientHello, ClientSide, Peek, Stack};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout_at};

use crate::client::{linger, vanish};
use crate::console::Answer;
use crate::dial::DialError;
use crate::exchange::{self, Inlet};
use crate::http1::{Framing, Reader, Writer, request_framing};
use crate::http2;
use crate::intercept;
use crate::open_flow::{OpenFlow, now};
use crate::origin::ForTunnel;
use crate::page::{self, Outcome};
use crate::policy::{self, Connection, Obstacles, Wish};
use crate::serve::LocalAnswer;
use crate::stream::{ReadHalf, WriteHalf};
use crate::tunnel::{Shapes, Tunnel, Watch};
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
    let whole_target = Target::Authority(target.clone());
    let shared = Arc::clone(&inlet.shared);
    let address = inlet.client.address.ip();
    let asked = Subject::request(&head.method, &whole_target, &classification, address);
    let rules = shared.rules.current();
    let decision = rules.decide(&asked.with_headers(&head.headers));
    let mut flow = OpenFlow::begin_storing(
        &inlet.shared,
        decision.store().map(|by| by.what),
        Opened {
            kind: Kind::Tunnel,
            client: inlet.client,
            tunnel: None,
            target: Some(Target::Authority(target.clone())),
            request: Some(head.clone()),
            classification: classification.clone(),
        },
    );
    flow.tell_rules(&decision);
    let context = Context {
        classification: &classification,
        target: &whole_target,
        method: &head.method,
        client: address,
    };
    if let (Some(FromHere { what: Here::Block(block), hit }), _) = decision.from_here(&context) {
        return Box::pin(say_blocked(flow, head.version, reader, writer, block, hit)).await;
    }
    if let Some(delay) = decision.delay() {
        let did = format!("waited {} ms", delay.what.as_millis());
        flow.log.rule(delay.hit(Effect::Noted, did));
        tokio::time::sleep(delay.what).await;
    }
    let rule = wish_of_a_rule(&flow, &decision);
    let shapes = Shapes::of(&decision);
    let stood_in = shared.origin.as_ref().filter(|_| !page::is_ours(&target.host));
    let stood_in = match stood_in.map(|origin| origin.tunnel(&target)) {
        Some(ForTunnel::Refuse { status, why }) => {
            let page = LocalAnswer::page(status, &why, false);
            let mut answer = Answer::http1(&mut writer, head.version, false);
            let failure = Failure::new(Side::Here, why);
            exchange::say(&mut flow, &mut answer, &page, State::Refused, failure).await;
            return linger(reader, writer).await;
        }
        Some(ForTunnel::Open) => true,
        Some(ForTunnel::Live) | None => false,
    };
    let way = Way { inlet, target, user_agent, classification, place, rule, shapes, stood_in };
    let wish = way.wish(None);
    if let Some(Wish { action: TlsAction::Block, by }) = wish {
        flow.log.tell(Happening::Policy(Box::new(blocked(&by))));
        let cause = format!("TLS to {} is refused here ({by})", way.target.host);
        let page = LocalAnswer::page(403, &cause, false);
        let mut answer = Answer::http1(&mut writer, head.version, false);
        let failure = Failure::new(Side::Here, cause);
        exchange::say(&mut flow, &mut answer, &page, State::Refused, failure).await;
        return linger(reader, writer).await;
    }
    let to_be_opened = wish.is_some_and(|wish| wish.action == TlsAction::Intercept);
    let server = match way.dial(&mut flow, to_be_opened).await {
        Ok(server) => server,
        Err(error) => {
            say_unreachable(&mut flow, head.version, &mut writer, &error).await;
            return linger(reader, writer).await;
        }
    };
    if establish(&mut flow, &mut writer).await.is_err() {
        let failure = Failure::new(Side::Client, "the client was gone before the tunnel stood");
        flow.close(State::AbortedByClient, Some(failure));
        return;
    }
    let Some((client, early)) = reunite(reader, writer) else {
        let failure = Failure::new(Side::Here, "the halves of the client's connection do not fit");
        flow.close(State::Refused, Some(failure));
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
    hello: Option<&ClientHelloFacts>,
) -> Classification {
    inlet.shared.catalog.classify(&Query {
        method: Some("CONNECT"),
        host: Some(&target.host),
        port: Some(target.port),
        user_agent,
        sni: hello.and_then(|hello| hello.sni.as_deref()),
        ja3: hello.map(|hello| hello.ja3.as_str()),
        ja4: hello.map(|hello| hello.ja4.as_str()),
        ..Query::default()
    })
}

async fn say_unreachable(
    flow: &mut OpenFlow,
    version: Version,
    writer: &mut Writer,
    error: &DialError,
) {
    let page = LocalAnswer::page(error.status(), &error.to_string(), false);
    let state = if error.is_refusal() { State::Refused } else { State::UpstreamError };
    let mut answer = Answer::http1(writer, version, false);
    exchange::say(flow, &mut answer, &page, state, error.failure()).await;
}

/// What a rule wants of the TLS in this tunnel.
fn wish_of_a_rule(flow: &OpenFlow, decision: &Decision<'_>) -> Option<Wish> {
    let by = decision.tls()?;
    let (action, did) = match by.what {
        Tls::Tunnel => (TlsAction::Tunnel, "wants the tunnel passed on unopened"),
        Tls::Intercept => (TlsAction::Intercept, "wants the tunnel opened"),
    };
    flow.log.rule(by.hit(Effect::Noted, did));
    Some(Wish { action, by: format!("rule {}", by.rule) })
}

/// A rule does not want this tunnel.
async fn say_blocked(
    mut flow: OpenFlow,
    version: Version,
    reader: Reader,
    mut writer: Writer,
    block: Block,
    hit: RuleHit,
) {
    let failure = Failure::new(Side::Here, format!("blocked by the rule {}", hit.name));
    flow.log.rule(hit);
    let Block::Status(status) = block else {
        flow.finish(State::Refused, Some(failure)).wait().await;
        if block == Block::Reset {
            writer.half().reset_on_close();
            return vanish(writer);
        }
        return linger(reader, writer).await;
    };
    let page = LocalAnswer::page(status, &failure.cause, false);
    let mut answer = Answer::http1(&mut writer, version, false);
    exchange::say(&mut flow, &mut answer, &page, State::Refused, failure).await;
    linger(reader, writer).await;
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

fn blocked(by: &str) -> Verdict {
    Verdict { action: TlsAction::Block, because: by.to_owned() }
}

/// A tunnel on its way to becoming one.
struct Way {
    inlet: Inlet,
    target: Authority,
    user_agent: Option<String>,
    classification: Classification,
    place: Option<OwnedSemaphorePermit>,
    /// What a rule wants, whatever the settings say.
    rule: Option<Wish>,
    /// What rules do to the octets, where it stays closed.
    shapes: Option<Box<Shapes>>,
    /// Whether what is inside is answered without its server.
    stood_in: bool,
}

/// What the first octets are.
enum First {
    Hello(Box<ClientHello>),
    /// It is not known yet, and was waited for long enough: the hello may come in the tunnel.
    Open,
    /// No TLS; why, where that is worth a note.
    Other(Option<String>),
    /// The client closed its side, or failed.
    Closed,
}

impl Way {
    /// A connection to the server; `None` where one is kept that the requests inside will use.
    async fn dial(
        &self,
        flow: &mut OpenFlow,
        to_be_opened: bool,
    ) -> Result<Option<TcpStream>, DialError> {
        if self.is_ours() || self.stood_in {
            return Ok(None);
        }
        let upstreams = &self.inlet.shared.upstreams;
        if to_be_opened
            && self.inlet.shared.tls.interceptor.is_some()
            && Alpn::ALL.iter().any(|&alpn| upstreams.has_open(&self.key(alpn)))
        {
            return Ok(None);
        }
        let client = self.inlet.client.address.ip();
        let tcp = upstreams.tunnel(&self.target, client, &mut flow.timings).await?;
        flow.server = tcp.peer_addr().ok();
        Ok(Some(tcp))
    }

    fn key(&self, alpn: Alpn) -> Key {
        let Authority { host, .. } = &self.target;
        Key::tunnelled(&self.target, host, alpn, self.inlet.client.address.ip())
    }

    /// Whether this leads to the proxy's own page, and so no further.
    fn is_ours(&self) -> bool {
        page::is_ours(&self.target.host)
    }

    fn connection<'w>(&'w self, sni: Option<&'w Host>) -> Connection<'w> {
        Connection {
            client: self.inlet.client.address.ip(),
            platform: self.classification.platform,
            host: &self.target.host,
            sni: sni.filter(|sni| **sni != self.target.host),
        }
    }

    /// What is wanted of this connection, as far as it is known.
    fn wish(&self, sni: Option<&Host>) -> Option<Wish> {
        if self.is_ours() {
            let by = "the page of consoletap itself".to_owned();
            return Some(Wish { action: TlsAction::Intercept, by });
        }
        let rule = self.rule.clone();
        let wish =
            rule.or_else(|| policy::wish(&self.inlet.shared.settings.tls, &self.connection(sni)));
        match wish {
            Some(Wish { action: TlsAction::Block, .. }) => wish,
            _ if self.stood_in => {
                let by = "a recorded session stands in for the server".to_owned();
                Some(Wish { action: TlsAction::Intercept, by })
            }
            wish => wish,
        }
    }

    /// Decides, with the hello where there is one.
    fn decide(&self, hello: Option<&ClientHello>) -> Option<Verdict> {
        let sni: Option<Host> =
            hello.and_then(|hello| hello.facts.sni.as_deref()).and_then(|sni| sni.parse().ok());
        // Most connections are nobody's wish, and nothing more is looked up for them.
        let wish = self.wish(sni.as_ref())?;
        let shared = &self.inlet.shared;
        let client = self.inlet.client.address.ip();
        let entry = self.classification.entry.as_ref();
        // Who asks for what was recorded is no console with a list of its own, or refuses once more.
        let pinned = entry.filter(|_| !self.stood_in);
        let pinned = pinned.filter(|id| shared.catalog.entry(id).is_some_and(|entry| entry.pinned));
        let unsupported = match hello.map(|hello| (hello, hello.stack())) {
            Some((hello, Stack::Rustls(_))) => http2::unsupported(hello),
            Some((_, Stack::Legacy(why))) => policy::without_legacy(
                &shared.settings.tls,
                &self.connection(sni.as_ref()),
                &why,
                self.is_ours(),
            ),
            Some((_, Stack::Unsupported(why))) => Some(why),
            None => Some("sent no TLS that could be read".to_owned()),
        };
        let against = Obstacles {
            no_authority: shared.tls.interceptor.is_none(),
            pinned: pinned.cloned(),
            // The test of the page is to be tried again, once the certificate was installed.
            refused: shared
                .tls
                .learned
                .refuses(client, &self.target.host, now())
                .filter(|_| !self.is_ours() && !self.stood_in),
            unsupported,
        };
        policy::decide(Some(wish), &self.target.host, shared.settings.tls.force, &against)
    }

    /// Looks at what the client sends first, and goes the one way or the other.
    async fn open(
        mut self,
        mut flow: OpenFlow,
        client: TcpStream,
        mut first: BytesMut,
        server: Option<TcpStream>,
    ) {
        let mut side = ClientSide::new();
        let seen = self.look(&client, &mut first, &mut side, server.as_ref()).await;
        if self.stood_in && matches!(seen, First::Other(None)) {
            let Self { inlet, target, place, .. } = self;
            let plain = intercept::run_plain(inlet, target, flow, client, first, place);
            return Box::pin(plain).await;
        }
        let watch = match &seen {
            First::Hello(_) | First::Open => Watch::both(side),
            First::Other(_) | First::Closed => Watch::nothing(),
        };
        let action = self.tell(&flow, &seen);
        if action == TlsAction::Block {
            let cause = "TLS is refused here for the name that was asked for inside the tunnel";
            flow.close(State::Refused, Some(Failure::new(Side::Here, cause)));
            return;
        }
        if let (TlsAction::Intercept, First::Hello(hello)) = (action, seen)
            && let Some(answerer) = Answerer::of(&hello)
        {
            let opening = intercept::Opening {
                inlet: self.inlet,
                target: self.target,
                answerer,
                spare: server,
                place: self.place,
            };
            return Box::pin(intercept::run(opening, flow, client, first, hello)).await;
        }
        if self.is_ours() {
            // What stood in the way is in the row already.
            let client = self.inlet.client.address.ip().to_canonical();
            let cause = "the TLS of this client cannot be opened here; its row in the log says why";
            self.inlet.shared.tested.tell(client, Outcome::Failed(cause.to_owned()));
            flow.close(State::Refused, Some(Failure::new(Side::Here, cause)));
            return;
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
        let tunnel = Box::new(Tunnel::new(flow, client, server, self.place, self.shapes));
        // A task of its own, small as it is: the state of the HTTP connection goes away. Boxed, for
        // each layer that a future is wrapped in has room for it twice.
        shared.spawn(Box::pin(tunnel.run(first, watch)));
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
                flow.close(State::UpstreamError, Some(error.failure()));
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
        side: &mut ClientSide,
        server: Option<&TcpStream>,
    ) -> First {
        let until = Instant::now() + self.inlet.shared.settings.deadlines.hello;
        let mut looked_at = 0;
        loop {
            let new = &first[looked_at..];
            looked_at = first.len();
            match side.hello(new) {
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
                _ = server_speaks => return First::Open,
            };
            match readable {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return First::Closed,
                Err(_) => return First::Open,
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

    /// Tells what was seen and what is done about it.
    fn tell(&mut self, flow: &OpenFlow, seen: &First) -> TlsAction {
        let action = |verdict: Option<&Verdict>| verdict.map_or(TlsAction::Tunnel, |it| it.action);
        match seen {
            First::Hello(hello) => {
                let classification = self.classify_again(hello);
                let policy = self.decide(Some(hello)).map(Box::new);
                let action = action(policy.as_deref());
                let hello = Hello { facts: hello.facts.clone(), classification, policy };
                flow.log.tell(Happening::Hello(Box::new(hello)));
                return action;
            }
            First::Other(Some(note)) => flow.log.note(note.clone()),
            First::Other(None) | First::Open => {}
            First::Closed => return TlsAction::Tunnel,
        }
        let verdict = self.decide(None);
        let action = action(verdict.as_ref());
        if let Some(verdict) = verdict {
            flow.log.tell(Happening::Policy(Box::new(verdict)));
        }
        action
    }

    /// What the catalog says now, where that is more than before.
    fn classify_again(&mut self, hello: &ClientHello) -> Option<Box<Classification>> {
        let now =
            classify(&self.inlet, &self.target, self.user_agent.as_deref(), Some(&hello.facts));
        (now != self.classification).then(|| {
            self.classification = now.clone();
            Box::new(now)
        })
    }
}
