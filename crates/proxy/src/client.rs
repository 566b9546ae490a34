//! A client's connection: its first octets, then one HTTP/1 request after the other.

use std::sync::Arc;
use std::time::Duration;

use consoletap_flow::{Client, Failure, RequestHead, Side, Target, Version};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout};

use crate::connect;
use crate::console::{Answer, RequestBody};
use crate::exchange::{self, After, Inlet};
use crate::headers;
use crate::http1::{
    BodyLimits, BodyReader, HeadError, HeadLimits, ReadError, Reader, Writer, parse_request,
    request_framing,
};
use crate::open_flow;
use crate::serve::LocalAnswer;
use crate::shared::Shared;
use crate::stream::{Stream, WriteHalf};

/// How long a client may take to read our last words before the connection goes.
const LINGER: Duration = Duration::from_secs(2);
/// And how much of what it still sends is thrown away meanwhile.
const LINGER_BYTES: usize = 4 << 20;

/// Serves a client that just connected.
pub(crate) async fn serve(
    shared: Arc<Shared>,
    tcp: TcpStream,
    client: Client,
    place: OwnedSemaphorePermit,
) {
    let inlet = Inlet { shared, client, inside: None };
    let (read, write) = Stream::Tcp(tcp).into_halves();
    let (reader, writer) = (Reader::new(read), Writer::new(write));
    // A boxed future, so that the task of a tunnel (which it hands over to) is not as large.
    Box::pin(requests(inlet, reader, writer, Some(place))).await;
}

/// Serves requests until the connection ends. `place` is there for a client itself, and not for
/// the inside of a tunnel.
pub(crate) async fn requests(
    inlet: Inlet,
    mut reader: Reader,
    mut writer: Writer,
    place: Option<OwnedSemaphorePermit>,
) {
    let mut served = 0_u64;
    loop {
        let head = match next_head(&inlet, &mut reader, served).await {
            Ok(head) => head,
            Err(NoHead::Over) => break,
            Err(NoHead::Broken(broken)) => {
                say_broken(&inlet, &reader, &mut writer, broken).await;
                linger(reader, writer).await;
                return;
            }
        };
        served += 1;
        let keep_alive = headers::keeps_alive(head.version, &head.headers);
        let version = head.version;
        if let Some((status, cause)) = forbidden(&inlet, &head) {
            let target = head.target.as_str().parse().ok().map(Target::Url);
            let mut answer = Answer::http1(&mut writer, version, false);
            exchange::refuse(&inlet, head, target, &mut answer, status, cause).await;
            linger(reader, writer).await;
            return;
        }
        if head.method == "CONNECT" {
            return connect::run(inlet, head, reader, writer, place).await;
        }
        match one(&inlet, head, &mut reader, &mut writer, keep_alive).await {
            After::Next => {}
            After::Close => return linger(reader, writer).await,
            After::Drop => return vanish(writer),
        }
        reader.shrink();
    }
    // Nothing is owed to the client; a TLS one is told that this is the end.
    let _ = timeout(LINGER, writer.shutdown()).await;
}

/// One request and its answer.
async fn one(
    inlet: &Inlet,
    head: RequestHead,
    reader: &mut Reader,
    writer: &mut Writer,
    keep_alive: bool,
) -> After {
    let version = head.version;
    let mut answer = Answer::http1(writer, version, keep_alive);
    match request_framing(version, &head.headers) {
        Ok(framing) => {
            let body = BodyReader::new(framing, BodyLimits::from(&inlet.shared.settings.limits));
            exchange::run(inlet, head, RequestBody::Http1 { reader, body }, answer).await
        }
        Err(error) => {
            let target = head.target.as_str().parse().ok().map(Target::Url);
            let cause = error.to_string();
            exchange::refuse(inlet, head, target, &mut answer, error.status(), cause).await
        }
    }
}

/// Who may not be served, whatever is asked.
fn forbidden(inlet: &Inlet, head: &RequestHead) -> Option<(u16, String)> {
    let address = inlet.client.address.ip();
    if !inlet.shared.settings.admits(address) {
        let cause = format!("{address} may not use this proxy (--allow widens who may)");
        return Some((403, cause));
    }
    if head.method == "CONNECT" && inlet.inside.is_some() {
        return Some((400, "CONNECT inside a tunnel that was opened leads nowhere".to_owned()));
    }
    None
}

/// Why there is no next request.
enum NoHead {
    /// The connection is over, as connections are.
    Over,
    /// Something came that cannot be served.
    Broken(Broken),
}

/// What cannot be served.
struct Broken {
    status: Option<u16>,
    cause: String,
}

impl NoHead {
    fn broken(status: impl Into<Option<u16>>, cause: impl Into<String>) -> Self {
        Self::Broken(Broken { status: status.into(), cause: cause.into() })
    }
}

/// The next request's head.
async fn next_head(inlet: &Inlet, reader: &mut Reader, served: u64) -> Result<RequestHead, NoHead> {
    let shared = &inlet.shared;
    let deadlines = shared.settings.deadlines;
    let fresh = served == 0 && inlet.inside.is_none();
    if reader.buffered().is_empty() {
        let first = timeout(deadlines.idle_client, reader.fill()).await;
        match first {
            Ok(Ok(count)) if count > 0 => {}
            // A connection that never said anything is a row too: somebody may be looking for it.
            Ok(Ok(_)) if fresh => {
                return Err(NoHead::broken(None, "the client connected and sent nothing"));
            }
            Err(_) if fresh => {
                let seconds = deadlines.idle_client.as_secs();
                let cause = format!("the client connected and sent nothing for {seconds} s");
                return Err(NoHead::broken(408, cause));
            }
            Ok(Err(error)) if fresh => {
                let cause = format!("the client connected and was gone: {error}");
                return Err(NoHead::broken(None, cause));
            }
            _ => return Err(NoHead::Over),
        }
    }
    if let Some(cause) = other_protocol(reader.buffered()).filter(|_| fresh) {
        return Err(NoHead::broken(None, cause));
    }
    let limits = HeadLimits::from(&shared.settings.limits);
    let until = Instant::now() + deadlines.head;
    match tokio::time::timeout_at(until, reader.head(limits, parse_request)).await {
        Ok(Ok(head)) => Ok(head),
        Ok(Err(ReadError::Closed)) => Err(NoHead::Over),
        Ok(Err(ReadError::Head(error))) => Err(NoHead::broken(error.status(), explain(error))),
        // Who has finished sending may still listen.
        Ok(Err(error @ ReadError::Cut)) => Err(NoHead::broken(400, error.to_string())),
        Ok(Err(error)) => Err(NoHead::broken(None, error.to_string())),
        Err(_) => {
            let cause =
                format!("the request head did not come within {} s", deadlines.head.as_secs());
            Err(NoHead::broken(408, cause))
        }
    }
}

fn explain(error: HeadError) -> String {
    error.to_string()
}

/// Protocols that people mistake for HTTP, by their first octets.
fn other_protocol(octets: &[u8]) -> Option<String> {
    match octets {
        [0x16, 0x03, ..] => Some(
            "the client began TLS with the proxy itself: set an HTTP proxy, not an HTTPS one"
                .to_owned(),
        ),
        [version @ (4 | 5), 1..=9, ..] => {
            Some(format!("the client speaks SOCKS {version}: set an HTTP proxy, not a SOCKS one"))
        }
        _ => None,
    }
}

/// Answers what cannot be read, with a row that shows it.
async fn say_broken(inlet: &Inlet, reader: &Reader, writer: &mut Writer, broken: Broken) {
    let mut failure = Failure::new(Side::Client, &broken.cause);
    if !reader.buffered().is_empty() {
        failure = failure.with_raw(reader.buffered());
    }
    let page = broken.status.map(|status| LocalAnswer::page(status, &broken.cause, false));
    let head = page.as_ref().map(|page| page.head.clone());
    open_flow::refuse(&inlet.shared, inlet.client, failure, head).wait().await;
    if let Some(page) = page {
        let mut answer = Answer::http1(writer, Version::Http11, false);
        if exchange::put(&page, &mut answer).await.is_ok() {
            // A client that does not even speak HTTP may not listen either.
            let _ = answer.end(None).await;
        }
    }
}

/// Ends a connection without a word: a writing half that is dropped says that this is the end, and
/// for some answers that would be a lie.
pub(crate) fn vanish(writer: Writer) {
    if let WriteHalf::Tcp(half) = writer.into_half() {
        half.forget();
    }
}

/// Ends a connection so that the client can still read what it was sent: a connection that is
/// closed with unread octets is reset, and takes our last words with it (RFC 9112 9.6).
pub(crate) async fn linger(mut reader: Reader, mut writer: Writer) {
    let drained = async {
        if writer.shutdown().await.is_err() {
            return;
        }
        let mut thrown_away = 0;
        while let Ok(count) = reader.fill_bulk().await {
            thrown_away += count;
            if count == 0 || thrown_away > LINGER_BYTES {
                return;
            }
            reader.skip(reader.buffered().len());
        }
    };
    let _ = timeout(LINGER, drained).await;
}
