//! HTTP/2 that no client of good will speaks: frames by hand, inside TLS.

use std::time::Duration;

use consoletap_flow::{Kind, State};
use http::{Request, Response};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::peers::{http2, whole};
use crate::wire::harness::{LIMIT, Tested};
use crate::wire::tls_peers::{ClientTls, TlsOrigin, offering, tls};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Fields as literals without indexing (RFC 7541 6.2.2), each name and value up to 126 octets.
fn literals(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            block.push(u8::try_from(text.len()).unwrap());
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

fn request(more: &[(&str, &str)]) -> Vec<u8> {
    let mut fields =
        vec![(":method", "POST"), (":scheme", "https"), (":path", "/"), (":authority", "h.test")];
    fields.extend_from_slice(more);
    literals(&fields)
}

/// A connection after its preface.
async fn raw(proxy: &Tested) -> ClientTls {
    let config = offering(proxy, &["h2"]);
    let mut client = tls(proxy, "h.test:443", "h.test", config).await.unwrap();
    client.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    client.write_all(&frame(4, 0, 0, &[])).await.unwrap();
    client
}

/// The next frame of this kind: its stream and payload; `None` at the end of the connection.
async fn next(client: &mut ClientTls, kinds: &[u8]) -> Option<(u8, u32, Vec<u8>)> {
    let reading = async {
        loop {
            let mut head = [0; 9];
            client.read_exact(&mut head).await.ok()?;
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; length as usize];
            client.read_exact(&mut payload).await.ok()?;
            if kinds.contains(&head[3]) {
                let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
                return Some((head[3], stream, payload));
            }
        }
    };
    tokio::time::timeout(LIMIT, reading).await.expect("the proxy answers")
}

async fn answering() -> TlsOrigin {
    TlsOrigin::http2(|_, mut respond| async move {
        let _ = respond.send_response(Response::new(()), true);
    })
    .await
}

async fn is_still_served(proxy: &Tested) {
    let mut client = http2(proxy).await;
    let request = Request::get("https://h.test/").body(()).unwrap();
    let answer = client.send_request(request, true).unwrap().0;
    let answer = tokio::time::timeout(LIMIT, answer).await.unwrap();
    assert_eq!(answer.unwrap().status(), 200);
}

#[tokio::test]
async fn what_concerns_http1_connections_is_refused() {
    let origin = answering().await;
    let proxy = origin.proxy().await;
    // Well-formed fields cost the stream, octets that no field may have the connection.
    let bad = [
        (("connection", "close"), RST_STREAM),
        (("transfer-encoding", "chunked"), RST_STREAM),
        (("upgrade", "websocket"), RST_STREAM),
        (("keep-alive", "5"), RST_STREAM),
        (("proxy-connection", "close"), RST_STREAM),
        (("te", "gzip"), RST_STREAM),
        ((":status", "200"), RST_STREAM),
        (("X-Upper", "1"), GOAWAY),
        (("a b", "1"), GOAWAY),
        (("x", "a\r\nb: c"), GOAWAY),
        (("x", "a\0b"), GOAWAY),
    ];
    for (field, refusal) in bad {
        let mut client = raw(&proxy).await;
        let head = frame(HEADERS, END_STREAM | END_HEADERS, 1, &request(&[field]));
        client.write_all(&head).await.unwrap();
        let (kind, _, payload) = next(&mut client, &[HEADERS, RST_STREAM, GOAWAY]).await.unwrap();
        assert_eq!(kind, refusal, "{field:?}: {payload:?}");
        assert!(payload.ends_with(&[0, 0, 0, 1]), "{field:?}: PROTOCOL_ERROR");
    }
    is_still_served(&proxy).await;
    assert_eq!(origin.handshakes.lock().unwrap().len(), 1, "none of it came through");
}

#[tokio::test]
async fn lengths_that_are_not_true_are_resets() {
    let origin = TlsOrigin::http2(|request, mut respond| async move {
        let _ = whole(request.into_body()).await;
        let _ = respond.send_response(Response::new(()), true);
    })
    .await;
    let proxy = origin.proxy().await;
    let mut client = raw(&proxy).await;
    for (index, length) in ["2", "4", "x", "+3", "3, 4"].into_iter().enumerate() {
        let stream = u32::try_from(index).unwrap() * 2 + 1;
        let block = request(&[("content-length", length)]);
        client.write_all(&frame(HEADERS, END_HEADERS, stream, &block)).await.unwrap();
        client.write_all(&frame(DATA, END_STREAM, stream, b"abc")).await.unwrap();
        let (kind, at, _) = next(&mut client, &[HEADERS, RST_STREAM, GOAWAY]).await.unwrap();
        assert_eq!((kind, at), (RST_STREAM, stream), "{length}");
    }
    drop(client);
    for flow in &proxy.flows().await[1..] {
        assert_eq!(flow.state(), State::AbortedByClient);
    }
}

#[tokio::test]
async fn heads_that_are_too_large_are_a_431() {
    let origin = answering().await;
    let proxy = origin.proxy().await;
    let mut client = http2(&proxy).await;
    // So much that h2 itself says no comes last: there is no row for it.
    for (count, size, status) in
        [(90, 10, 200), (100, 10, 431), (60, 1200, 431), (2, 70 << 10, 431)]
    {
        let mut asked = Request::get("https://h.test/");
        for number in 0..count {
            asked = asked.header(format!("x-{number}"), "v".repeat(size));
        }
        client = client.ready().await.unwrap();
        let answer = client.send_request(asked.body(()).unwrap(), true).unwrap().0;
        assert_eq!(answer.await.unwrap().status(), status, "{count} of {size}");
    }
    let long = format!("https://h.test/{}", "p".repeat(17 << 10));
    let asked = Request::get(long).body(()).unwrap();
    assert_eq!(client.send_request(asked, true).unwrap().0.await.unwrap().status(), 414);
    drop(client);
    let flows = proxy.flows().await;
    let rows: Vec<_> = flows[1..].iter().map(|flow| (flow.kind, flow.status())).collect();
    let refused = |status| (Kind::Refused, Some(status));
    assert_eq!(rows, [(Kind::Http, Some(200)), refused(431), refused(431), refused(414)]);
}

#[tokio::test]
async fn a_head_without_end_ends_the_connection() {
    let origin = answering().await;
    let proxy = origin.proxy().await;
    let mut client = raw(&proxy).await;
    client.write_all(&frame(HEADERS, END_STREAM, 1, &request(&[]))).await.unwrap();
    let more = frame(CONTINUATION, 0, 1, &literals(&[("x", "y")]));
    let mut sent = 0;
    while sent < 100_000 && client.write_all(&more).await.is_ok() {
        sent += 1;
    }
    // Whether its GOAWAY is still to be had depends on what was under way.
    while next(&mut client, &[GOAWAY]).await.is_some() {}
    drop(client);
    is_still_served(&proxy).await;
}

#[tokio::test]
async fn streams_that_are_reset_at_once_end_the_connection() {
    let origin = TlsOrigin::http2(|request, respond| async move {
        tokio::time::sleep(Duration::from_secs(5)).await;
        drop((request, respond));
    })
    .await;
    let proxy = origin.proxy().await;
    let mut client = raw(&proxy).await;
    let block = request(&[]);
    let mut octets = Vec::new();
    for index in 0..5_000 {
        let stream = index * 2 + 1;
        octets.extend(frame(HEADERS, END_STREAM | END_HEADERS, stream, &block));
        octets.extend(frame(RST_STREAM, 0, stream, &[0, 0, 0, 8]));
    }
    let _ = client.write_all(&octets).await;
    let _ = client.flush().await;
    let refused = next(&mut client, &[GOAWAY]).await;
    drop(client);
    let flows = proxy.flows().await;
    assert!(flows.iter().all(|flow| flow.finished.is_some()));
    assert!(refused.is_none_or(|(_, _, payload)| payload[7] == 11), "ENHANCE_YOUR_CALM");
    assert!(flows.len() < 1_000, "{} rows", flows.len());
}

#[tokio::test]
async fn empty_parts_of_a_body_without_end_end_the_connection() {
    let origin = TlsOrigin::http2(|request, respond| async move {
        tokio::time::sleep(LIMIT).await;
        drop((request, respond));
    })
    .await;
    let proxy = origin.proxy().await;
    let mut client = raw(&proxy).await;
    client.write_all(&frame(HEADERS, END_HEADERS, 1, &request(&[]))).await.unwrap();
    let empty = frame(DATA, 0, 1, &[]).repeat(1_000);
    let mut sent = 0;
    while sent < 100 && client.write_all(&empty).await.is_ok() {
        sent += 1;
    }
    let _ = client.flush().await;
    let refused = next(&mut client, &[GOAWAY]).await;
    assert!(refused.is_none_or(|(_, _, payload)| payload[7] == 11), "ENHANCE_YOUR_CALM");
    drop(client);
    tokio::time::timeout(LIMIT, proxy.all_finished()).await.expect("all of it ended");
}
