//! A tunnel that is opened: our certificate towards the client, and HTTP inside.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::BytesMut;
use consoletap_flow::{Authority, Failure, FlowId, Happening, Host, Kind, Scheme, Side, State};
use consoletap_tls::{Alpn, Answerer, ClientHello, Interceptor, Refusal, TlsError};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use crate::client;
use crate::exchange::{Inlet, Inside};
use crate::http1::{Reader, Writer};
use crate::http2;
use crate::open_flow::{OpenFlow, now};
use crate::page::{self, Outcome};
use crate::stream::{Prefixed, Stream, TLS_TURN, TlsStream};
use crate::upstream::Key;

/// A client that ends a connection so soon after TLS stood, without asking for anything, did not
/// like what it saw: some compare the certificate with a known one only then. A connection that a
/// browser opens in advance is left open for longer.
const AT_ONCE: Duration = Duration::from_secs(2);

/// What it takes to open a tunnel.
pub(crate) struct Opening {
    pub(crate) inlet: Inlet,
    pub(crate) target: Authority,
    pub(crate) answerer: Answerer,
    /// The connection to the server that stands already; the first request inside uses it.
    pub(crate) spare: Option<TcpStream>,
    pub(crate) place: Option<OwnedSemaphorePermit>,
}

/// Why there is nothing to serve.
#[derive(Debug)]
struct NotOpened {
    cause: String,
    /// Whether that says something of our certificate.
    refusal: Option<Refusal>,
}

/// Opens TLS and serves what is inside. `first` is the ClientHello, to the octet.
pub(crate) async fn run(
    opening: Opening,
    mut flow: OpenFlow,
    client: TcpStream,
    first: BytesMut,
    hello: Box<ClientHello>,
) {
    let mut opening = opening;
    let server_name = server_name(&opening, &hello);
    copy_names(&mut opening, &mut flow, &hello, &server_name).await;
    let opened = match shake_hands(&opening, client, first, &hello, &server_name).await {
        Ok(mut tls) => {
            flow.log.tell(Happening::ServerHello(tls.negotiated()));
            flow.log.tell(Happening::Intercepted);
            if let Some(note) = what_is_unsafe(&tls, &hello) {
                flow.log.note(note);
            }
            flow.rest();
            let idle = opening.inlet.shared.settings.deadlines.idle_client;
            asks_for_something(&mut tls, idle).await.map(|asks| asks.then_some(tls))
        }
        Err(not) => Err(not),
    };
    match opened {
        Ok(Some(tls)) => {
            let address = opening.inlet.client.address.ip();
            let shared = &opening.inlet.shared;
            if page::is_ours(&opening.target.host) {
                shared.tested.tell(address.to_canonical(), Outcome::Opened);
            }
            shared.tls.learned.forget(address, &opening.target.host);
            let alpn = http2::alpn(&hello);
            Box::pin(serve(opening, flow.id(), server_name, alpn, tls)).await;
            flow.close(State::Complete, None);
        }
        Ok(None) => {
            flow.log.note("TLS was opened, and nothing was asked for");
            flow.close(State::Complete, None);
        }
        Err(not) => {
            flow.log.tell(Happening::Became(Kind::TlsFailure));
            let cause = learn(&opening, not);
            flow.close(State::AbortedByClient, Some(Failure::new(Side::Client, cause)));
        }
    }
}

/// The certificate, here and at the server, is for the name that the client asks for; the
/// connection follows CONNECT. Both are in the row.
fn server_name(opening: &Opening, hello: &ClientHello) -> Host {
    let asked = hello.facts.sni.as_deref().and_then(|sni| sni.parse().ok());
    asked.unwrap_or_else(|| opening.target.host.clone())
}

/// Asks the server for its certificate first, where its names are to stand in ours and are not known
/// yet. The connection is there for the first request then.
async fn copy_names(
    opening: &mut Opening,
    flow: &mut OpenFlow,
    hello: &ClientHello,
    server_name: &Host,
) {
    let shared = Arc::clone(&opening.inlet.shared);
    let Some(interceptor) = &shared.tls.interceptor else { return };
    if page::is_ours(&opening.target.host)
        || shared.origin.is_some()
        || !shared.settings.tls.copies_names(server_name)
        || interceptor.has_names(server_name)
    {
        return;
    }
    let client = opening.inlet.client.address.ip();
    let alpn = http2::alpn(hello);
    let key = Key::tunnelled(&opening.target, server_name, alpn, client);
    match shared.upstreams.greet(key, client, opening.spare.take(), flow).await {
        Ok(Some(names)) => interceptor.copy_names(server_name, names),
        Ok(None) => flow.log.note("the names in the server's certificate cannot be read"),
        // The first request tells it to the client, with a page.
        Err(error) => flow.log.note(format!("the server's names are not copied: {error}")),
    }
}

async fn shake_hands(
    opening: &Opening,
    client: TcpStream,
    first: BytesMut,
    hello: &ClientHello,
    server_name: &Host,
) -> Result<TlsStream, NotOpened> {
    let shared = &opening.inlet.shared;
    let here = |cause: String| NotOpened { cause, refusal: None };
    let Some(interceptor) = &shared.tls.interceptor else {
        return Err(here("there is no certificate authority to open TLS with".to_owned()));
    };
    let limit = shared.settings.deadlines.handshake;
    // A client that got our certificate and is silent is told from one that is out of reach: with
    // the latter, what we sent stays unacknowledged and the kernel gives up before we do.
    unacknowledged(&client, Some(limit * 3 / 4));
    let client = Prefixed::new(first, client);
    let accept = accept(opening.answerer, interceptor, client, hello, server_name);
    match tokio::time::timeout(limit, accept).await {
        Ok(Ok(tls)) => {
            unacknowledged(tls.get_ref().get_ref(), None);
            Ok(tls)
        }
        Ok(Err(error)) => {
            let refusal = consoletap_tls::refusal(&error);
            let cause = match &refusal {
                Some(refusal) => refusal.reason().to_owned(),
                None if is_out_of_reach(&error) => "the client is out of reach: it did not even \
                    acknowledge our certificate (its network, not a refusal)"
                    .to_owned(),
                None => format!("TLS with the client failed: {error}"),
            };
            Err(NotOpened { cause, refusal })
        }
        Err(_) => {
            let silent = "the console said nothing more when it saw our certificate".to_owned();
            let cause =
                format!("the TLS handshake did not end within {} s: {silent}", limit.as_secs());
            Err(NotOpened { cause, refusal: Some(Refusal::Likely(silent)) })
        }
    }
}

async fn accept(
    answerer: Answerer,
    interceptor: &Arc<Interceptor>,
    client: Prefixed,
    hello: &ClientHello,
    server_name: &Host,
) -> io::Result<TlsStream> {
    let alpn = http2::alpn(hello);
    let ready = interceptor.acceptor_at_once(server_name, answerer, alpn, hello);
    let acceptor = match ready.map_err(io::Error::other)? {
        Some(acceptor) => acceptor,
        None => {
            let (interceptor, name) = (Arc::clone(interceptor), server_name.clone());
            let hello = hello.clone();
            aside(move || interceptor.acceptor(&name, answerer, alpn, &hello)).await?
        }
    };
    let mut tls = acceptor.accept(client).await?;
    tls.set_buffer_limit(TLS_TURN);
    Ok(tls)
}

/// Makes a certificate on a thread that nobody else waits for: signing with RSA takes its time.
async fn aside<T: Send + 'static>(
    make: impl FnOnce() -> Result<T, TlsError> + Send + 'static,
) -> io::Result<T> {
    let made = tokio::task::spawn_blocking(make).await.map_err(io::Error::other)?;
    made.map_err(io::Error::other)
}

/// What the row says of a connection that only OpenSSL could open.
fn what_is_unsafe(tls: &TlsStream, hello: &ClientHello) -> Option<String> {
    let mut note = format!("opened with {}", tls.is_unsafe()?);
    if hello.may_not_check_sha256() {
        note.push_str("; the client is of a time when certificates were signed with SHA-1");
    }
    Some(note)
}

/// How long what we sent may stay unacknowledged (TCP_USER_TIMEOUT).
fn unacknowledged(tcp: &TcpStream, limit: Option<Duration>) {
    // Where it cannot be set, a client out of reach is taken for a silent one.
    #[cfg(target_os = "linux")]
    let _ = socket2::SockRef::from(tcp).set_tcp_user_timeout(limit);
    #[cfg(not(target_os = "linux"))]
    let _ = (tcp, limit);
}

/// Whether the kernel gave the connection up, as [`unacknowledged`] asked it to: with its own error,
/// or with what a router said of the way there.
fn is_out_of_reach(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::TimedOut
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::NetworkDown
    )
}

/// Waits for the first octets of a request, which stay where they are. A client that checks our
/// certificate only when TLS stands goes without one.
async fn asks_for_something(tls: &mut TlsStream, idle: Duration) -> Result<bool, NotOpened> {
    let stood = Instant::now();
    let Ok(first) = tokio::time::timeout(idle, tls.has_more()).await else { return Ok(false) };
    let at_once = stood.elapsed() < AT_ONCE;
    let refusal = match first {
        Ok(true) => return Ok(true),
        Ok(false) => Some(Refusal::Likely(
            "the console hung up when TLS stood, without asking for anything".to_owned(),
        )),
        Err(error) => consoletap_tls::refusal(&error),
    };
    match refusal {
        Some(refusal) if at_once => {
            Err(NotOpened { cause: refusal.reason().to_owned(), refusal: Some(refusal) })
        }
        _ => Ok(false),
    }
}

async fn serve(opening: Opening, flow: FlowId, server_name: Host, alpn: Alpn, tls: TlsStream) {
    let Opening { inlet, target, spare, place, .. } = opening;
    let spare = Arc::new(Mutex::new(spare));
    let scheme = Scheme::Https;
    let inside = Some(Inside { flow, scheme, authority: target, server_name, alpn, spare });
    let inlet = Inlet { inside, ..inlet };
    match http2::Agreed::on(tls) {
        Ok(agreed) => agreed.serve(inlet).await,
        Err(tls) => {
            let (read, write) = Stream::Tls(tls).into_halves();
            client::requests(inlet, Reader::new(read), Writer::new(write), None).await;
        }
    }
    drop(place);
}

/// Serves HTTP that is spoken in a tunnel without TLS, as some clients do with every proxy. `first`
/// is what was read of it.
pub(crate) async fn run_plain(
    inlet: Inlet,
    target: Authority,
    mut flow: OpenFlow,
    client: TcpStream,
    first: BytesMut,
    place: Option<OwnedSemaphorePermit>,
) {
    flow.log.note("HTTP without TLS is spoken in it");
    flow.rest();
    let inside = Inside {
        flow: flow.id(),
        scheme: Scheme::Http,
        server_name: target.host.clone(),
        authority: target,
        alpn: Alpn::Http1,
        spare: Arc::default(),
    };
    let (read, write) = Stream::Tcp(client).into_halves();
    let reader = Reader::with_buffer(read, first);
    let inlet = Inlet { inside: Some(inside), ..inlet };
    client::requests(inlet, reader, Writer::new(write), None).await;
    flow.close(State::Complete, None);
    drop(place);
}

/// Takes note of a refusal; the words for the row, with what comes of it.
fn learn(opening: &Opening, not: NotOpened) -> String {
    let NotOpened { cause, refusal } = not;
    let host = &opening.target.host;
    let address = opening.inlet.client.address.ip();
    let learned = &opening.inlet.shared.tls.learned;
    if page::is_ours(host) {
        // The test is to fail as often as it is tried, and to say why.
        let tested = &opening.inlet.shared.tested;
        tested.tell(address.to_canonical(), Outcome::Failed(cause.clone()));
        return cause;
    }
    match refusal.map(|refusal| learned.refused(address, host, refusal, now())) {
        Some(true) => format!(
            "{cause}; {host} is tunnelled for this client from now on, for a day. To open it, make \
             the client trust our CA, and then `consoletap tls learned --clear {host}`"
        ),
        Some(false) => {
            format!("{cause}; should that happen again soon, this client is left alone with {host}")
        }
        None => cause,
    }
}

#[cfg(test)]
mod tests {
    use super::io;

    #[test]
    fn a_fault_of_the_network_is_no_refusal() {
        for kind in [io::ErrorKind::TimedOut, io::ErrorKind::HostUnreachable] {
            assert_eq!(consoletap_tls::refusal(&kind.into()), None, "{kind}");
            assert!(super::is_out_of_reach(&kind.into()), "{kind}");
        }
    }
}
