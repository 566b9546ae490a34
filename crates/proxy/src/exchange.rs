//! One request: classify, decide, send on, answer. The heart; it knows neither which HTTP the
//! client speaks (`console.rs`) nor which the server does (`server.rs`).

mod relay;

use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};

use consoletap_catalog::Query;
use consoletap_filter::Subject;
use consoletap_flow::{
    Authority, Classification, Client, Failure, FlowId, Headers, Host, Kind, Opened, RequestHead,
    Scheme, Side, State, Target, Timings, Url, Version,
};
use consoletap_rules::Decision;
use tokio::net::TcpStream;

use crate::console::{Answer, RequestBody};
use crate::dial::DialError;
use crate::headers;
use crate::http1::{BodyWriter, Framing};
use crate::open_flow::OpenFlow;
use crate::proxy::Shared;
use crate::rewrite;
use crate::serve::Page;
use crate::server::{AnswerSource, RequestSink};
use crate::upgrade;
use crate::upstream::{Http1Connection, Key, Upstream};
use relay::{Ending, Exchange};

/// Where requests come in: a client's connection, or the inside of a tunnel that was opened.
pub(crate) struct Inlet {
    pub(crate) shared: Arc<Shared>,
    pub(crate) client: Client,
    pub(crate) inside: Option<Inside>,
}

/// The tunnel around an intercepted request.
#[derive(Debug, Clone)]
pub(crate) struct Inside {
    pub(crate) flow: FlowId,
    /// Where the tunnel leads.
    pub(crate) authority: Authority,
    /// Whom the client asked for in its ClientHello, or else in its CONNECT.
    pub(crate) server_name: Host,
    /// Whether the client negotiated HTTP/2; then it is offered to the server too.
    pub(crate) http2: bool,
    /// The connection to the server that was made for the tunnel, until a request takes it.
    pub(crate) spare: Arc<Mutex<Option<TcpStream>>>,
}

impl Inside {
    /// Whom a request means that names a path alone (RFC 9112 3.3): its `Host`, even if the
    /// tunnel leads elsewhere. A client that connected by address says a name only here, and one
    /// with HTTP/2 may use a connection for every name of its certificate (RFC 9113 9.1.1).
    fn meant(&self, head: &RequestHead) -> Authority {
        head.headers
            .text("host")
            .and_then(|host| Authority::parse(host, Some(self.authority.port)).ok())
            .unwrap_or_else(|| self.authority.clone())
    }
}

/// What the client's connection is good for afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum After {
    /// The next request.
    Next,
    /// Nothing, but the client may still read what it was sent.
    Close,
    /// Nothing at all: it is gone, or must not take the end for the end of its answer.
    Drop,
}

/// Serves one request.
pub(crate) async fn run(
    inlet: &Inlet,
    head: RequestHead,
    source: RequestBody<'_>,
    mut answer: Answer<'_>,
) -> After {
    let url = match target(inlet, &head) {
        Ok(url) => url,
        Err((status, cause)) => {
            return refuse(inlet, head, None, &mut answer, status, cause).await;
        }
    };
    if let Some((status, cause)) = objection(inlet, &head) {
        return refuse(inlet, head, Some(Target::Url(url)), &mut answer, status, cause).await;
    }
    let classification = classify(&inlet.shared, &head, &url);
    let target = Target::Url(url.clone());
    let decision = inlet.shared.rules.decide(&Subject::request(
        &head.method,
        &target,
        &classification,
        inlet.client.address.ip(),
    ));
    let flow = OpenFlow::begin(
        &inlet.shared,
        Opened {
            kind: Kind::Http,
            client: inlet.client,
            tunnel: inlet.inside.as_ref().map(|inside| inside.flow),
            target: Some(target.clone()),
            request: Some(head.clone()),
            classification: classification.clone(),
        },
    );
    let request = Request { head, url, target, classification, decision };
    serve(inlet, request, flow, source, answer).await
}

/// A request that is going to be sent on.
pub(crate) struct Request<'a> {
    pub(crate) head: RequestHead,
    pub(crate) url: Url,
    /// The same as the rest of the house names it.
    pub(crate) target: Target,
    pub(crate) classification: Classification,
    pub(crate) decision: Decision<'a>,
}

impl Request<'_> {
    fn is_head(&self) -> bool {
        self.head.method == "HEAD"
    }

    /// RFC 9110 9.2.2. Only such a request may be sent again, and only while it has no body.
    fn is_idempotent(&self) -> bool {
        matches!(self.head.method.as_str(), "GET" | "HEAD" | "OPTIONS" | "TRACE" | "PUT" | "DELETE")
    }

    /// Whether the client may hold its body back until the server asks for it.
    fn awaits_continue(&self) -> bool {
        self.head.version == Version::Http11 && headers::expects_continue(&self.head.headers)
    }

    /// The tunnel that this request goes on through. What names a whole URL does not: it goes
    /// where the URL says.
    fn tunnel<'i>(&self, inlet: &'i Inlet) -> Option<&'i Inside> {
        inlet.inside.as_ref().filter(|_| !self.head.target.contains("://"))
    }

    /// The fields for the server.
    fn fields(&self, inlet: &Inlet, upgrade: Option<&str>) -> Headers {
        let mut fields = self.head.headers.clone();
        headers::strip_hop_by_hop(&mut fields);
        headers::say_length_once(&mut fields);
        if self.head.version == Version::Http10 {
            // RFC 9110 10.1.1: there is no 100 in HTTP/1.0, so nobody waits for one.
            fields.remove("expect");
        }
        // Inside a tunnel `Host` is all that is said of the authority, and stays as it is.
        let says_all =
            self.tunnel(inlet).is_some() && fields.get("host").is_some_and(|host| !host.is_empty());
        if !says_all {
            headers::set_host(&mut fields, self.url.scheme, &self.url.authority);
        }
        if self.decision.rewrites() {
            rewrite::ask_for_all(&mut fields);
        }
        if let Some(protocol) = upgrade {
            headers::restore_upgrade(&mut fields, protocol);
        }
        if inlet.shared.settings.via {
            inlet.shared.pseudonym.add(&mut fields, self.head.version);
        }
        fields
    }
}

/// The URL that is meant (RFC 9112 3.2), or our answer's status and why.
fn target(inlet: &Inlet, head: &RequestHead) -> Result<Url, (u16, String)> {
    let text = head.target.as_str();
    if let Some(inside) = &inlet.inside {
        if text.starts_with('/') || (text == "*" && head.method == "OPTIONS") {
            return Ok(Url {
                scheme: Scheme::Https,
                authority: inside.meant(head),
                path: text.to_owned(),
            });
        }
    } else if text.starts_with('/') || text == "*" {
        return Err((
            400,
            "this is a proxy: set its address and port on the console's proxy page, \
             and open no page here"
                .to_owned(),
        ));
    }
    if !text.contains("://") {
        return Err((400, "the request target is neither a URL nor a path".to_owned()));
    }
    let url: Url = text
        .parse()
        .map_err(|error| (400, format!("the request target is no http or https URL: {error}")))?;
    // RFC 9112 3.2.4: OPTIONS for the server itself becomes `*` on the last leg.
    let has_path = text.split_once("://").is_some_and(|(_, rest)| rest.contains(['/', '?']));
    if head.method == "OPTIONS" && !has_path {
        return Ok(Url { path: "*".to_owned(), ..url });
    }
    Ok(url)
}

/// What speaks against serving a request, whatever it is for.
fn objection(inlet: &Inlet, head: &RequestHead) -> Option<(u16, String)> {
    if let Err(cause) = headers::check_host(head.version, &head.headers) {
        return Some((400, cause.to_owned()));
    }
    if headers::passed_here(&head.headers, &inlet.shared.pseudonym) {
        return Some((508, "the request came back to this proxy".to_owned()));
    }
    None
}

fn classify(shared: &Shared, head: &RequestHead, url: &Url) -> Classification {
    shared.catalog.classify(&Query {
        method: Some(&head.method),
        host: Some(&url.authority.host),
        port: Some(url.authority.port),
        path: Some(&url.path),
        user_agent: head.headers.text("user-agent"),
        sni: None,
    })
}

/// Says no, with a row and a page.
pub(crate) async fn refuse(
    inlet: &Inlet,
    head: RequestHead,
    target: Option<Target>,
    answer: &mut Answer<'_>,
    status: u16,
    cause: String,
) -> After {
    let page = Page::new(status, &cause, head.method == "HEAD");
    let mut flow = OpenFlow::begin(
        &inlet.shared,
        Opened {
            kind: Kind::Refused,
            client: inlet.client,
            tunnel: inlet.inside.as_ref().map(|inside| inside.flow),
            target,
            request: Some(head),
            classification: Classification::default(),
        },
    );
    let side = if status == 508 { Side::Here } else { Side::Client };
    answer.close_after();
    say(&mut flow, answer, &page, State::Refused, Failure::new(side, cause)).await;
    After::Close
}

/// Answers with a page of ours and ends the flow.
async fn say(
    flow: &mut OpenFlow,
    answer: &mut Answer<'_>,
    page: &Page,
    state: State,
    failure: Failure,
) {
    flow.log.response(page.head.clone());
    let sent = page.send(answer).await;
    if sent.is_ok() {
        flow.response.see(page.body());
    }
    flow.finish(state, Some(failure)).wait().await;
    if sent.is_ok() {
        // A client that went away meanwhile has no use for the page.
        let _ = answer.end(None).await;
    }
}

/// Sends a request on and its answer back, on a kept connection or a new one.
async fn serve(
    inlet: &Inlet,
    request: Request<'_>,
    mut flow: OpenFlow,
    mut source: RequestBody<'_>,
    mut answer: Answer<'_>,
) -> After {
    let bodiless = source.is_done();
    // With a body, nobody could tell where it ends and the other protocol begins.
    let upgrade = headers::upgrade(&request.head).filter(|_| bodiless);
    let key = key(inlet, &request, upgrade.is_some());
    note_what_differs(inlet, &request, &key, &flow);
    let fields = request.fields(inlet, upgrade.as_deref());
    let repeatable = request.is_idempotent() && bodiless;
    flow.request.expect(source.expected());

    let mut kept = inlet.shared.upstreams.reuse(&key, repeatable && upgrade.is_none());
    loop {
        // A new connection is not stale, whatever comes of it: nothing is tried without end.
        let may_be_stale = kept.is_some() && repeatable;
        let upstream = match kept.take() {
            Some(upstream) => upstream,
            None => match open(inlet, &request, &key, &mut flow.timings).await {
                Ok(upstream) => upstream,
                Err(error) => {
                    return unreachable(&request, &mut flow, &source, &mut answer, &error).await;
                }
            },
        };
        let mut exchange = Exchange {
            inlet,
            request: &request,
            upgrade: upgrade.as_deref(),
            flow: &mut flow,
            source: &mut source,
            answer: &mut answer,
        };
        let (ending, connection) = match upstream {
            Upstream::Http1(mut connection) => {
                let ending = over_http1(&mut exchange, &fields, repeatable, &mut connection).await;
                (ending, Some(connection))
            }
            Upstream::Http2(sender, server) => {
                exchange.flow.server = server;
                let method = &request.head.method;
                let fields = headers::for_http2(&fields, &request.head.headers);
                match AnswerSource::http2(&sender, method, &request.url, &fields, bodiless) {
                    Some((from, into)) => (exchange.run(from, into, may_be_stale).await, None),
                    None => (Ending::NoAnswer("HTTP/2 cannot carry this request".to_owned()), None),
                }
            }
        };
        match ending {
            Ending::Stale => {}
            Ending::Switched => {
                return switched(flow, source, answer, connection).await;
            }
            Ending::Complete { reusable, ended, trailers } => {
                let whole = source.is_done();
                if let Some(connection) = connection.filter(|_| reusable && whole) {
                    inlet.shared.upstreams.keep(key, *connection);
                }
                if !whole {
                    answer.close_after();
                }
                flow.finish(State::Complete, None).wait().await;
                if !ended && !end_in_time(inlet, &mut answer, trailers.as_ref()).await {
                    answer.reset();
                    return After::Drop;
                }
                return after(&answer);
            }
            ending => return broken(&request, &mut flow, &source, &mut answer, ending).await,
        }
    }
}

/// Sends the end of an answer, to a client that takes it.
async fn end_in_time(inlet: &Inlet, answer: &mut Answer<'_>, trailers: Option<&Headers>) -> bool {
    let idle = inlet.shared.settings.deadlines.idle;
    tokio::time::timeout(idle, answer.end(trailers)).await.is_ok_and(|sent| sent.is_ok())
}

/// What a connection must be good for to serve this request.
fn key(inlet: &Inlet, request: &Request<'_>, upgrade: bool) -> Key {
    let (authority, server_name) = match request.tunnel(inlet) {
        Some(inside) => (inside.authority.clone(), inside.server_name.clone()),
        None => (request.url.authority.clone(), request.url.authority.host.clone()),
    };
    Key {
        scheme: request.url.scheme,
        authority,
        server_name,
        // A protocol can be switched to in HTTP/1.1 only.
        http2: !upgrade && inlet.inside.as_ref().is_some_and(|inside| inside.http2),
        local: inlet.client.address.ip().to_canonical().is_loopback(),
    }
}

/// Tells in the row what its URL does not.
fn note_what_differs(inlet: &Inlet, request: &Request<'_>, key: &Key, flow: &OpenFlow) {
    if key.scheme == Scheme::Https && inlet.shared.tls.trust.is_insecure(&key.server_name) {
        flow.log.note(format!("the certificate of {} is not checked", key.server_name));
    }
    let host = &request.url.authority.host;
    if *host != key.authority.host && *host != key.server_name {
        flow.log.note(format!("asks for {host}, in a tunnel to {}", key.authority));
    }
}

async fn open(
    inlet: &Inlet,
    request: &Request<'_>,
    key: &Key,
    timings: &mut Timings,
) -> Result<Upstream, DialError> {
    let spare = request
        .tunnel(inlet)
        .and_then(|inside| inside.spare.lock().unwrap_or_else(PoisonError::into_inner).take());
    inlet.shared.upstreams.open(key, inlet.client.address.ip(), spare, timings).await
}

async fn over_http1(
    exchange: &mut Exchange<'_, '_>,
    fields: &Headers,
    repeatable: bool,
    connection: &mut Http1Connection,
) -> Ending {
    let Exchange { request, .. } = exchange;
    let framing = match exchange.source.expected() {
        _ if exchange.source.is_done() => Framing::Empty,
        Some(length) => Framing::Length(length),
        None => Framing::Chunked,
    };
    let mut announced = Cow::Borrowed(fields);
    if framing == Framing::Chunked {
        headers::announce(announced.to_mut(), framing);
    }
    connection.writer.request_head(&request.head.method, &request.url.path, &announced);
    exchange.flow.server = connection.server;
    let may_be_stale = connection.reused && repeatable;
    let into = RequestSink::Http1 {
        writer: &mut connection.writer,
        body: BodyWriter::new(framing, Version::Http11),
        ended: false,
    };
    exchange.run(AnswerSource::Http1(&mut connection.reader), into, may_be_stale).await
}

/// There is no way to the server.
async fn unreachable(
    request: &Request<'_>,
    flow: &mut OpenFlow,
    source: &RequestBody<'_>,
    answer: &mut Answer<'_>,
    error: &DialError,
) -> After {
    let page = Page::new(error.status(), &error.to_string(), request.is_head());
    let state = if error.is_refusal() { State::Refused } else { State::UpstreamError };
    if !source.is_done() {
        answer.close_after();
    }
    say(flow, answer, &page, state, error.failure()).await;
    after(answer)
}

/// The exchange began and did not end well.
async fn broken(
    request: &Request<'_>,
    flow: &mut OpenFlow,
    source: &RequestBody<'_>,
    answer: &mut Answer<'_>,
    ending: Ending,
) -> After {
    let (status, state, failure) = match ending {
        Ending::NoAnswer(cause) => {
            (Some(502), State::UpstreamError, Failure::new(Side::Upstream, cause))
        }
        Ending::Silent(cause) => {
            (Some(504), State::UpstreamError, Failure::new(Side::Upstream, cause))
        }
        Ending::BadRequest(cause) => (Some(400), State::Refused, Failure::new(Side::Client, cause)),
        Ending::Truncated(cause) => (None, State::Truncated, Failure::new(Side::Upstream, cause)),
        Ending::ClientGone(cause) => {
            (None, State::AbortedByClient, Failure::new(Side::Client, cause))
        }
        // Handled by the caller; a second way to end them would be a second truth.
        Ending::Stale | Ending::Switched | Ending::Complete { .. } => return After::Close,
    };
    let Some(status) = status else {
        flow.finish(state, Some(failure)).wait().await;
        // What waits for a client that is gone may have been sent in part: it is left alone.
        if state == State::Truncated && answer.break_off().await {
            return After::Close;
        }
        answer.reset();
        return After::Drop;
    };
    if !source.is_done() {
        answer.close_after();
    }
    let page = Page::new(status, &failure.cause, request.is_head());
    say(flow, answer, &page, state, failure).await;
    after(answer)
}

/// The server agreed to another protocol: from here on octets go both ways, unread.
async fn switched(
    mut flow: OpenFlow,
    source: RequestBody<'_>,
    answer: Answer<'_>,
    connection: Option<Box<Http1Connection>>,
) -> After {
    if let (RequestBody::Http1 { reader, .. }, Answer::Http1(answer), Some(connection)) =
        (source, answer, connection)
    {
        upgrade::relay(&mut flow, reader, answer.writer, *connection).await;
    }
    After::Close
}

fn after(answer: &Answer<'_>) -> After {
    if answer.keeps_alive() { After::Next } else { After::Close }
}
