//! One request: classify, decide, send on, answer. The heart; it knows neither which HTTP the
//! client speaks (`console.rs`) nor which the server does (`server.rs`).

mod download;
mod held;
mod local;
mod outlet;
mod own;
mod refusal;
mod relay;
mod request;
mod stand_in;

use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};

use consoletap_filter::Subject;
use consoletap_flow::{
    Authority, Client, FlowId, Headers, Host, Kind, Opened, RequestHead, Scheme, State, Target,
    Version,
};
use consoletap_tls::Alpn;
use tokio::net::TcpStream;

use crate::console::{Answer, RequestBody};
use crate::dial::DialError;
use crate::headers;
use crate::http1::{BodyWriter, Framing};
use crate::open_flow::OpenFlow;
use crate::server::{AnswerSource, RequestSink};
use crate::shared::Shared;
use crate::upgrade;
use crate::upstream::{Http1Connection, Key, Upstream};
pub(crate) use refusal::{put, refuse, say};
use relay::{Ending, Exchange};
use request::Request;

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
    /// What is spoken in it: HTTPS, or HTTP in a tunnel that a stand-in answers in.
    pub(crate) scheme: Scheme,
    /// Where the tunnel leads.
    pub(crate) authority: Authority,
    /// Whom the client asked for in its ClientHello, or else in its CONNECT.
    pub(crate) server_name: Host,
    /// What the client offered; the server is offered the same.
    pub(crate) alpn: Alpn,
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
    mut source: RequestBody<'_>,
    mut answer: Answer<'_>,
) -> After {
    let url = match request::target(inlet, &head) {
        Ok(url) => url,
        Err((status, cause)) => {
            return refuse(inlet, head, None, &mut answer, status, cause).await;
        }
    };
    if let Some((status, cause)) = request::objection(inlet, &head) {
        return refuse(inlet, head, Some(Target::Url(url)), &mut answer, status, cause).await;
    }
    if own::is_for(inlet, &url) {
        return Box::pin(own::run(inlet, head, url, source, answer)).await;
    }
    let classification = request::classify(&inlet.shared, &head, &url);
    let target = Target::Url(url.clone());
    let client = inlet.client.address.ip();
    let asked = Subject::request(&head.method, &target, &classification, client);
    // The flow keeps the rules with which it begins.
    let rules = inlet.shared.rules.current();
    let decision = rules.decide(&asked.with_headers(&head.headers));
    let mut flow = OpenFlow::begin_storing(
        &inlet.shared,
        decision.store().map(|by| by.what),
        Opened {
            kind: Kind::Http,
            client: inlet.client,
            tunnel: inlet.inside.as_ref().map(|inside| inside.flow),
            target: Some(target.clone()),
            request: Some(head.clone()),
            classification: classification.clone(),
        },
    );
    let mut request = Request::new(head, url, target, classification, decision);
    if !request.decision.is_pass()
        && let Some(after) =
            Box::pin(local::act(inlet, &mut request, &mut flow, &mut source, &mut answer)).await
    {
        return after;
    }
    if request.decision.rewrites_request() && !source.is_done() {
        let held = held::rewritten(inlet, &mut request, &mut flow, source, &mut answer);
        match Box::pin(held).await {
            Ok(rewritten) => source = rewritten,
            Err(after) => return after,
        }
    }
    serve(inlet, request, flow, source, answer).await
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
    let fields = request.fields(inlet, upgrade.as_deref(), &flow.log);
    if let Some(origin) = &inlet.shared.origin {
        let asking =
            stand_in::ask(origin, inlet, &request, &fields, &mut flow, source, &mut answer);
        match Box::pin(asking).await {
            Ok(after) => return after,
            Err(not_answered) => source = not_answered,
        }
    }
    let key = request::key(inlet, &request, upgrade.is_some());
    request::note_what_differs(inlet, &request, &key, &flow);
    let repeatable = request.is_idempotent() && bodiless;
    flow.request.expect(source.expected());

    let mut kept = inlet.shared.upstreams.reuse(&key, repeatable && upgrade.is_none());
    loop {
        // A new connection is not stale, whatever comes of it: nothing is tried without end.
        let may_be_stale = kept.is_some() && repeatable;
        let upstream = match kept.take() {
            Some(upstream) => upstream,
            None => match open(inlet, &request, &key, &mut flow).await {
                Ok(upstream) => upstream,
                Err(error) => {
                    return refusal::unreachable(&request, &mut flow, &source, &mut answer, &error)
                        .await;
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
            ending => {
                return refusal::broken(&request, &mut flow, &source, &mut answer, ending).await;
            }
        }
    }
}

/// Sends the end of an answer, to a client that takes it.
async fn end_in_time(inlet: &Inlet, answer: &mut Answer<'_>, trailers: Option<&Headers>) -> bool {
    let idle = inlet.shared.settings.deadlines.idle;
    tokio::time::timeout(idle, answer.end(trailers)).await.is_ok_and(|sent| sent.is_ok())
}

async fn open(
    inlet: &Inlet,
    request: &Request<'_>,
    key: &Key,
    flow: &mut OpenFlow,
) -> Result<Upstream, DialError> {
    let spare = request
        .tunnel(inlet)
        .and_then(|inside| inside.spare.lock().unwrap_or_else(PoisonError::into_inner).take());
    inlet.shared.upstreams.open(key, inlet.client.address.ip(), spare, flow).await
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
