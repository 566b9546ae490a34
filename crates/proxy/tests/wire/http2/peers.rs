//! Servers and clients that speak HTTP/2, inside TLS.

use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;

use crate::wire::harness::{LIMIT, Tested};
use crate::wire::tls_peers::{TlsOrigin, offering, tls};

impl TlsOrigin {
    /// A server that speaks HTTP/2 and answers each stream with `answer`.
    pub(crate) async fn http2<F>(
        answer: impl Fn(http::Request<h2::RecvStream>, h2::server::SendResponse<Bytes>) -> F
        + Send
        + Sync
        + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let answer = Arc::new(answer);
        Self::start("h.test", &["h2"], move |tls| {
            let answer = Arc::clone(&answer);
            async move {
                let Ok(mut connection) = h2::server::handshake(tls).await else { return };
                while let Some(Ok((request, respond))) = connection.accept().await {
                    let answer = Arc::clone(&answer);
                    tokio::spawn(async move { answer(request, respond).await });
                }
            }
        })
        .await
    }
}

/// A client in a tunnel to `h.test` that speaks HTTP/2.
pub(crate) async fn http2(proxy: &Tested) -> h2::client::SendRequest<Bytes> {
    let config = offering(proxy, &["h2", "http/1.1"]);
    let tls = tls(proxy, "h.test:443", "h.test", config).await.unwrap();
    assert_eq!(tls.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (sender, connection) = h2::client::handshake(tls).await.unwrap();
    tokio::spawn(connection);
    sender.ready().await.unwrap()
}

/// All of a body, taken as it comes, and its trailers.
pub(crate) async fn whole(
    mut body: h2::RecvStream,
) -> Result<(Vec<u8>, Option<http::HeaderMap>), h2::Error> {
    let mut octets = Vec::new();
    while let Some(part) = tokio::time::timeout(LIMIT, body.data()).await.expect("octets come") {
        let part = part?;
        body.flow_control().release_capacity(part.len())?;
        octets.extend_from_slice(&part);
    }
    Ok((octets, body.trailers().await?))
}

/// Sends octets as the windows allow.
pub(crate) async fn push(
    stream: &mut h2::SendStream<Bytes>,
    octets: &Bytes,
) -> Result<(), h2::Error> {
    let mut octets = octets.clone();
    while !octets.is_empty() {
        stream.reserve_capacity(octets.len().min(64 << 10));
        let capacity = std::future::poll_fn(|context| stream.poll_capacity(context)).await;
        let Some(capacity) = capacity.transpose()? else {
            return Err(h2::Reason::STREAM_CLOSED.into());
        };
        let part = octets.split_to(capacity.min(octets.len()));
        stream.send_data(part, false)?;
    }
    Ok(())
}
