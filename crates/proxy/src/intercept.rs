//! A tunnel that is opened: our certificate towards the client, and HTTP inside.

use std::io;
use std::sync::{Arc, Mutex};

use bytes::BytesMut;
use consoletap_flow::{Authority, Failure, FlowId, Happening, Host, Kind, Side, State};
use consoletap_tls::{Alpn, ClientHello, LeafKey, Refusal};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;

use crate::client;
use crate::exchange::{Inlet, Inside};
use crate::http1::{Reader, Writer};
use crate::http2;
use crate::open_flow::{OpenFlow, now};
use crate::stream::{Prefixed, Stream, TlsStream};

/// What it takes to open a tunnel.
pub(crate) struct Opening {
    pub(crate) inlet: Inlet,
    pub(crate) target: Authority,
    pub(crate) key: LeafKey,
    /// The connection to the server that stands already; the first request inside uses it.
    pub(crate) spare: Option<TcpStream>,
    pub(crate) place: Option<OwnedSemaphorePermit>,
}

/// Opens TLS and serves what is inside. `first` is the ClientHello, to the octet.
pub(crate) async fn run(
    opening: Opening,
    mut flow: OpenFlow,
    client: TcpStream,
    first: BytesMut,
    hello: Box<ClientHello>,
) {
    let host = opening.target.host.clone();
    let address = opening.inlet.client.address.ip();
    let shared = Arc::clone(&opening.inlet.shared);
    let learned = &shared.tls.learned;
    let server_name = server_name(&opening, &hello);
    match shake_hands(&opening, client, first, &hello, &server_name).await {
        Ok(tls) => {
            learned.forget(address, &host);
            flow.log.tell(Happening::Intercepted);
            flow.rest();
            serve(opening, flow.id(), server_name, tls).await;
            flow.finish(State::Complete, None);
        }
        Err(error) => {
            flow.log.tell(Happening::Became(Kind::TlsFailure));
            let refusal = consoletap_tls::refusal(&error);
            let remembered = refusal
                .clone()
                .is_some_and(|refusal| learned.refused(address, &host, refusal, now()));
            let cause = explain(&error, refusal.as_ref(), remembered, &host);
            flow.finish(State::AbortedByClient, Some(Failure::new(Side::Client, cause)));
        }
    }
}

/// The certificate, here and at the server, is for the name that the client asks for; the
/// connection follows CONNECT. Both are in the row.
fn server_name(opening: &Opening, hello: &ClientHello) -> Host {
    let asked = hello.facts.sni.as_deref().and_then(|sni| sni.parse().ok());
    asked.unwrap_or_else(|| opening.target.host.clone())
}

async fn shake_hands(
    opening: &Opening,
    client: TcpStream,
    first: BytesMut,
    hello: &ClientHello,
    server_name: &Host,
) -> io::Result<TlsStream> {
    let shared = &opening.inlet.shared;
    let interceptor = shared.tls.interceptor.as_ref().ok_or_else(no_authority)?;
    // The server is offered what the client offered.
    let alpn = if hello.facts.alpn.iter().any(|protocol| protocol == "h2") {
        Alpn::Http2AndHttp1
    } else {
        Alpn::Http1
    };
    let config =
        interceptor.server_config(server_name, opening.key, alpn).map_err(io::Error::other)?;
    let accept = tokio_rustls::TlsAcceptor::from(config).accept(Prefixed::new(first, client));
    let limit = shared.settings.deadlines.handshake;
    match tokio::time::timeout(limit, accept).await {
        Ok(result) => Ok(result?.into()),
        Err(_) => Err(io::Error::new(
            io::ErrorKind::TimedOut,
            format!("the TLS handshake did not end within {} s", limit.as_secs()),
        )),
    }
}

fn no_authority() -> io::Error {
    io::Error::other("there is no certificate authority to open TLS with")
}

async fn serve(opening: Opening, flow: FlowId, server_name: Host, tls: TlsStream) {
    let Opening { inlet, target, spare, place, .. } = opening;
    let http2 = tls.get_ref().1.alpn_protocol() == Some(b"h2");
    let spare = Arc::new(Mutex::new(spare));
    let inside = Some(Inside { flow, authority: target, server_name, http2, spare });
    let inlet = Inlet { inside, ..inlet };
    if http2 {
        http2::serve(inlet, tls).await;
    } else {
        let (read, write) = Stream::Tls(Box::new(tls)).into_halves();
        client::requests(inlet, Reader::new(read), Writer::new(write), None).await;
    }
    drop(place);
}

fn explain(error: &io::Error, refusal: Option<&Refusal>, remembered: bool, host: &Host) -> String {
    let cause = match refusal {
        Some(refusal) => refusal.reason().to_owned(),
        None => format!("TLS with the client failed: {error}"),
    };
    if remembered {
        format!("{cause}; {host} is tunnelled for this client from now on")
    } else {
        cause
    }
}
