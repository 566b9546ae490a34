//! HTTP/2 in opened tunnels: what passes, what ends it, and what is recorded.

mod abuse;
mod peers;
mod rules;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use consoletap_flow::{Kind, State, Version};
use http::{HeaderMap, Request, Response};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::{Notify, mpsc};

use self::peers::{http2, push, whole};
use super::harness::LIMIT;
use super::tls_peers::{self, TlsOrigin, offering};

fn ask(path: &str) -> Request<()> {
    Request::get(format!("https://h.test{path}")).body(()).unwrap()
}

/// A server that reads one HTTP/1 request head inside TLS, sends this and closes.
async fn http1_origin(answer: &'static str) -> (TlsOrigin, mpsc::UnboundedReceiver<String>) {
    let (heads, received) = mpsc::unbounded_channel();
    let origin = TlsOrigin::start("h.test", &["http/1.1"], move |mut tls| {
        let heads = heads.clone();
        async move {
            let mut read = Vec::new();
            while !read.ends_with(b"\r\n\r\n") && tls.read_buf(&mut read).await.unwrap_or(0) > 0 {}
            let _ = heads.send(String::from_utf8(read).unwrap());
            let _ = tls.write_all(answer.as_bytes()).await;
            let _ = tls.shutdown().await;
        }
    })
    .await;
    (origin, received)
}

#[tokio::test]
async fn bodies_pass_both_ways_whole() {
    let origin = TlsOrigin::http2(|request, mut respond| async move {
        let (octets, _) = whole(request.into_body()).await.unwrap();
        let mut stream = respond.send_response(Response::new(()), false).unwrap();
        push(&mut stream, &octets.into()).await.unwrap();
        stream.send_data(Bytes::new(), true).unwrap();
    })
    .await;
    let proxy = origin.proxy().await;
    let body: Bytes = (0..6_u32 << 20).map(|i| (i % 251) as u8).collect::<Vec<_>>().into();
    let mut client = http2(&proxy).await;
    let request = Request::post("https://h.test/").body(()).unwrap();
    let (answer, mut stream) = client.send_request(request, false).unwrap();
    push(&mut stream, &body).await.unwrap();
    stream.send_data(Bytes::new(), true).unwrap();
    let (octets, _) = whole(answer.await.unwrap().into_body()).await.unwrap();
    assert!(octets == body);
    drop(client);
    let flows = proxy.flows().await;
    let size = body.len() as u64;
    assert_eq!((flows[1].request_bytes, flows[1].response_bytes), (size, size));
    assert_eq!((flows[1].state(), flows[0].state()), (State::Complete, State::Complete));
}

#[tokio::test]
async fn trailers_pass_both_ways_as_grpc_needs_them() {
    let origin = TlsOrigin::http2(|request, mut respond| async move {
        assert_eq!(request.headers()["te"], "trailers");
        let (octets, trailers) = whole(request.into_body()).await.unwrap();
        assert_eq!((&octets[..], trailers.unwrap()["x-sum"].as_bytes()), (&b"ask"[..], &b"3"[..]));
        let mut stream = respond.send_response(Response::new(()), false).unwrap();
        stream.send_data("answer".into(), false).unwrap();
        stream.send_trailers(HeaderMap::from_iter([fields("grpc-status", "0")])).unwrap();
    })
    .await;
    let proxy = origin.proxy().await;
    let mut client = http2(&proxy).await;
    let request = Request::post("https://h.test/").header("te", "trailers").body(()).unwrap();
    let (answer, mut stream) = client.send_request(request, false).unwrap();
    stream.send_data("ask".into(), false).unwrap();
    stream.send_trailers(HeaderMap::from_iter([fields("x-sum", "3")])).unwrap();
    let (octets, trailers) = whole(answer.await.unwrap().into_body()).await.unwrap();
    assert_eq!(
        (&octets[..], trailers.unwrap()["grpc-status"].as_bytes()),
        (&b"answer"[..], &b"0"[..])
    );
}

fn fields(name: &'static str, value: &'static str) -> (http::HeaderName, http::HeaderValue) {
    (http::HeaderName::from_static(name), http::HeaderValue::from_static(value))
}

#[tokio::test]
async fn an_answer_without_a_body_ends_with_its_head() {
    let origin = TlsOrigin::http2(|request, mut respond| async move {
        let status: u16 = request.uri().path()[1..].parse().unwrap();
        let mut answer = Response::builder().status(status).header("grpc-status", "5");
        if request.method() == "HEAD" || status == 304 {
            answer = answer.header("content-length", "7");
        }
        respond.send_response(answer.body(()).unwrap(), true).unwrap();
    })
    .await;
    let proxy = origin.proxy().await;
    let mut client = http2(&proxy).await;
    for (method, status) in [("GET", 200), ("HEAD", 200), ("GET", 204), ("GET", 304)] {
        let uri = format!("https://h.test/{status}");
        let request = Request::builder().method(method).uri(uri).body(()).unwrap();
        let answer = client.send_request(request, true).unwrap().0.await.unwrap();
        assert_eq!(answer.status(), status);
        assert!(answer.body().is_end_stream(), "{method} {status}");
        let length = answer.headers().get("content-length").map(|value| value.as_bytes());
        let expected = (method == "HEAD" || status == 304).then_some(&b"7"[..]);
        assert_eq!(length, expected, "{method} {status}");
    }
    drop(client);
    let flows = proxy.flows().await;
    assert!(flows[1..].iter().all(|flow| flow.state() == State::Complete), "{flows:#?}");
}

#[tokio::test]
async fn a_hundred_streams_at_once_share_one_connection() {
    let origin = TlsOrigin::http2(|request, mut respond| async move {
        let mut stream = respond.send_response(Response::new(()), false).unwrap();
        stream.send_data(request.uri().path().to_owned().into(), true).unwrap();
    })
    .await;
    let proxy = origin.proxy().await;
    let mut client = http2(&proxy).await;
    let mut answers = Vec::new();
    for number in 0..100 {
        client = client.ready().await.unwrap();
        answers.push(client.send_request(ask(&format!("/{number}")), true).unwrap().0);
    }
    for (number, answer) in answers.into_iter().enumerate() {
        let (octets, _) = whole(answer.await.unwrap().into_body()).await.unwrap();
        assert_eq!(octets, format!("/{number}").into_bytes());
    }
    drop(client);
    assert_eq!(origin.connections(), 1);
    let flows = proxy.flows().await;
    assert_eq!(flows.len(), 101);
    assert!(flows[1..].iter().all(|flow| flow.state() == State::Complete));
}

#[tokio::test]
async fn a_client_that_resets_its_stream_ends_the_transfer_at_the_server() {
    let (ended, mut end) = mpsc::unbounded_channel();
    let origin = TlsOrigin::http2(move |_, mut respond| {
        let ended = ended.clone();
        async move {
            let mut stream = respond.send_response(Response::new(()), false).unwrap();
            stream.send_data("begin".into(), false).unwrap();
            let reason = std::future::poll_fn(|context| stream.poll_reset(context)).await;
            ended.send(reason.unwrap()).unwrap();
        }
    })
    .await;
    let proxy = origin.proxy().await;
    let mut client = http2(&proxy).await;
    let (answer, mut stream) = client.send_request(ask("/"), true).unwrap();
    let mut body = answer.await.unwrap().into_body();
    assert_eq!(body.data().await.unwrap().unwrap(), "begin");
    stream.send_reset(h2::Reason::CANCEL);
    let reason = tokio::time::timeout(LIMIT, end.recv()).await.unwrap().unwrap();
    assert_eq!(reason, h2::Reason::CANCEL);
    drop((client, body, stream));
    let flows = proxy.flows().await;
    let failure = flows[1].finished.as_ref().unwrap().failure.as_ref().unwrap();
    assert_eq!(flows[1].state(), State::AbortedByClient);
    assert_eq!(failure.cause, "the client closed the connection");
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_a_reset_and_no_end() {
    let cut = Arc::new(Notify::new());
    let told = Arc::clone(&cut);
    let two = TlsOrigin::http2(move |_, mut respond| {
        let told = Arc::clone(&told);
        async move {
            let mut stream = respond.send_response(Response::new(()), false).unwrap();
            stream.send_data("half".into(), false).unwrap();
            told.notified().await;
            stream.send_reset(h2::Reason::INTERNAL_ERROR);
        }
    })
    .await;
    let told = Arc::clone(&cut);
    let one = TlsOrigin::start("h.test", &["http/1.1"], move |mut tls| {
        let told = Arc::clone(&told);
        async move {
            tls.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf").await.unwrap();
            tls.flush().await.unwrap();
            told.notified().await;
        }
    })
    .await;
    for origin in [one, two] {
        let proxy = origin.proxy().await;
        let mut client = http2(&proxy).await;
        let answer = client.send_request(ask("/"), true).unwrap().0.await.unwrap();
        let mut body = answer.into_body();
        assert_eq!(body.data().await.unwrap().unwrap(), "half");
        cut.notify_one();
        let error = body.data().await.unwrap().unwrap_err();
        assert!(error.is_reset(), "{error}");
        // The connection is good for more.
        drop((client.ready().await.unwrap(), body));
        let flows = proxy.flows().await;
        assert_eq!((flows[1].state(), flows[1].response_bytes), (State::Truncated, 4));
    }
}

#[tokio::test]
async fn a_server_that_speaks_http1_gets_http1() {
    let (origin, mut heads) =
        http1_origin("HTTP/1.1 200 OK\r\nKeep-Alive: timeout=5\r\nConnection: Keep-Alive, X-Hop\r\nX-Hop: 1\r\nTransfer-Encoding: chunked\r\nX-A: 1\r\n\r\n2\r\nok\r\n0\r\nX-End: 1\r\n\r\n").await;
    let proxy = origin.proxy().await;
    let mut client = http2(&proxy).await;
    let request = Request::get("https://h.test/p?q")
        .header("cookie", "a=1")
        .header("x-one", "1")
        .header("cookie", "b=2")
        .header("te", "trailers")
        .body(())
        .unwrap();
    let answer = client.send_request(request, true).unwrap().0.await.unwrap();
    assert_eq!(answer.headers(), &HeaderMap::from_iter([fields("x-a", "1")]));
    let (octets, trailers) = whole(answer.into_body()).await.unwrap();
    assert_eq!((&octets[..], trailers.unwrap()["x-end"].as_bytes()), (&b"ok"[..], &b"1"[..]));
    assert_eq!(
        heads.recv().await.unwrap(),
        "GET /p?q HTTP/1.1\r\nhost: h.test\r\nx-one: 1\r\ncookie: a=1; b=2\r\n\r\n"
    );
    drop(client);
    let flows = proxy.flows().await;
    let (request, response) = (flows[1].request.as_ref(), flows[1].response.as_ref());
    assert_eq!(request.unwrap().version, Version::Http2);
    assert_eq!(response.unwrap().version, Version::Http11);
}

#[tokio::test]
async fn a_client_that_speaks_http1_is_not_turned_into_http2() {
    let origin = TlsOrigin::start("h.test", &["h2", "http/1.1"], |mut tls| async move {
        assert_eq!(tls.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
        let mut read = Vec::new();
        while !read.ends_with(b"\r\n\r\n") && tls.read_buf(&mut read).await.unwrap() > 0 {}
        tls.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
    })
    .await;
    let proxy = origin.proxy().await;
    let mut client = tls_peers::http1(&proxy).await;
    client.write_all(b"GET / HTTP/1.1\r\nHost: h.test\r\n\r\n").await.unwrap();
    let mut answer = vec![0; 40];
    client.read_exact(&mut answer).await.unwrap();
    assert!(answer.ends_with(b"\r\n\r\nok"), "{}", answer.escape_ascii());
}

#[tokio::test]
async fn a_request_for_another_name_keeps_it_and_stays_in_its_tunnel() {
    let (names, mut named) = mpsc::unbounded_channel();
    let origin = TlsOrigin::http2(move |request, mut respond| {
        let authority = request.uri().authority().unwrap().to_string();
        let _ = names.send(authority);
        async move { drop(respond.send_response(Response::new(()), true).unwrap()) }
    })
    .await;
    let proxy = origin.proxy().await;
    let mut client = http2(&proxy).await;
    let other = Request::get("https://Other.test/p").body(()).unwrap();
    assert_eq!(client.send_request(other, true).unwrap().0.await.unwrap().status(), 200);
    assert_eq!(named.recv().await.unwrap(), "Other.test");
    assert_eq!(origin.handshakes.lock().unwrap()[0].1.as_deref(), Some("h.test"));
    drop(client);
    let flows = proxy.flows().await;
    assert_eq!(flows[1].target.as_ref().unwrap().to_string(), "https://other.test/p");
    assert_eq!(flows[1].notes, ["asks for other.test, in a tunnel to h.test:443"]);
}

#[tokio::test]
async fn connect_inside_is_refused() {
    let origin = TlsOrigin::http2(|_, _| async { panic!("nothing may come") }).await;
    let proxy = origin.proxy().await;
    let mut client = http2(&proxy).await;
    let request = Request::connect("x.test:443").body(()).unwrap();
    let answer = client.send_request(request, true).unwrap().0.await.unwrap();
    assert_eq!(answer.status(), 400);
    drop(client);
    assert_eq!(proxy.flows().await[1].kind, Kind::Refused);
}

#[tokio::test]
async fn a_client_that_takes_nothing_stops_the_server() {
    let sent = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&sent);
    let origin = TlsOrigin::http2(move |_, mut respond| {
        let counted = Arc::clone(&counted);
        async move {
            let mut stream = respond.send_response(Response::new(()), false).unwrap();
            let block = Bytes::from(vec![0; 64 << 10]);
            while push(&mut stream, &block).await.is_ok() {
                counted.fetch_add(block.len(), Ordering::Relaxed);
            }
        }
    })
    .await;
    let proxy = origin.proxy().await;
    let mut client = http2(&proxy).await;
    let (answer, _stream) = client.send_request(ask("/"), true).unwrap();
    let body = answer.await.unwrap().into_body();
    let stopped = stands_still(&sent).await;
    // A window on each side, what hyper queues for sending, and what the sockets hold.
    assert!(stopped < 6 << 20, "{stopped} octets went");
    drop((body, client));
}

#[tokio::test]
async fn a_server_that_takes_nothing_stops_the_client() {
    let origin = TlsOrigin::http2(|request, respond| async move {
        tokio::time::sleep(LIMIT).await;
        drop((request, respond));
    })
    .await;
    let proxy = origin.proxy().await;
    let mut client = http2(&proxy).await;
    let request = Request::post("https://h.test/").body(()).unwrap();
    let (_answer, mut stream) = client.send_request(request, false).unwrap();
    let sent = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&sent);
    let pushing = tokio::spawn(async move {
        let block = Bytes::from(vec![0; 64 << 10]);
        while push(&mut stream, &block).await.is_ok() {
            counted.fetch_add(block.len(), Ordering::Relaxed);
        }
    });
    let stopped = stands_still(&sent).await;
    assert!(stopped < 6 << 20, "{stopped} octets went");
    pushing.abort();
}

/// The count once it has not moved for a while.
async fn stands_still(count: &AtomicUsize) -> usize {
    let mut before = 0;
    loop {
        tokio::time::sleep(Duration::from_millis(150)).await;
        let now = count.load(Ordering::Relaxed);
        if now == before && now > 0 {
            return now;
        }
        before = now;
    }
}

#[tokio::test]
async fn a_connection_that_is_going_away_is_left() {
    let origin = TlsOrigin::start("h.test", &["h2"], |tls| async move {
        let mut connection = h2::server::handshake(tls).await.unwrap();
        let (_, mut respond) = connection.accept().await.unwrap().unwrap();
        respond.send_response(Response::new(()), true).unwrap();
        connection.graceful_shutdown();
        while connection.accept().await.is_some() {}
    })
    .await;
    let proxy = origin.proxy().await;
    let mut client = http2(&proxy).await;
    for _ in 0..3 {
        client = client.ready().await.unwrap();
        assert_eq!(client.send_request(ask("/"), true).unwrap().0.await.unwrap().status(), 200);
    }
    drop(client);
    assert_eq!(origin.connections(), 3);
    assert!(proxy.flows().await[1..].iter().all(|flow| flow.state() == State::Complete));
}

#[tokio::test]
async fn a_refused_stream_is_tried_again_where_that_is_safe() {
    let seen = Arc::new(AtomicUsize::new(0));
    let origin = TlsOrigin::http2(move |_, mut respond| {
        let number = seen.fetch_add(1, Ordering::Relaxed);
        async move {
            match number {
                1 | 3 => respond.send_reset(h2::Reason::REFUSED_STREAM),
                _ => drop(respond.send_response(Response::new(()), true).unwrap()),
            }
        }
    })
    .await;
    let proxy = origin.proxy().await;
    let mut client = http2(&proxy).await;
    for (method, status) in [("GET", 200), ("GET", 200), ("POST", 502)] {
        client = client.ready().await.unwrap();
        let request = Request::builder().method(method).uri("https://h.test/").body(()).unwrap();
        let answer = client.send_request(request, true).unwrap().0.await.unwrap();
        assert_eq!(answer.status(), status, "{method}");
    }
}

#[tokio::test]
async fn interim_answers_of_the_server_do_not_end_the_exchange() {
    let origin = TlsOrigin::http2(|_, mut respond| async move {
        let early = Response::builder().status(103).header("link", "</a>").body(()).unwrap();
        respond.send_informational(early).unwrap();
        let mut stream = respond.send_response(Response::new(()), false).unwrap();
        stream.send_data("ok".into(), true).unwrap();
    })
    .await;
    let proxy = origin.proxy().await;
    let mut client = http2(&proxy).await;
    let answer = client.send_request(ask("/"), true).unwrap().0.await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(whole(answer.into_body()).await.unwrap().0, b"ok");
}

#[tokio::test]
async fn streams_end_with_the_proxy_within_its_grace() {
    let origin = TlsOrigin::http2(|_, mut respond| async move {
        let mut stream = respond.send_response(Response::new(()), false).unwrap();
        stream.send_data("begin".into(), false).unwrap();
        tokio::time::sleep(LIMIT).await;
    })
    .await;
    let proxy = origin
        .proxy_with(|wanted| wanted.settings.deadlines.grace = Duration::from_millis(200))
        .await;
    let mut client = http2(&proxy).await;
    let (answer, _stream) = client.send_request(ask("/"), true).unwrap();
    let mut body = answer.await.unwrap().into_body();
    body.data().await.unwrap().unwrap();
    let begun = Instant::now();
    let flows = proxy.flows().await;
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert_eq!(flows.len(), 2);
    for flow in &flows {
        let cause = &flow.finished.as_ref().unwrap().failure.as_ref().unwrap().cause;
        assert_eq!(cause, "the proxy was stopped");
    }
    assert!(body.data().await.unwrap().is_err(), "cut off, and no clean end");
}

#[tokio::test]
async fn an_idle_client_does_not_hold_up_the_end() {
    let origin = TlsOrigin::http2(|_, mut respond| async move {
        drop(respond.send_response(Response::new(()), true).unwrap());
    })
    .await;
    let proxy = origin.proxy().await;
    let mut client = http2(&proxy).await;
    client.send_request(ask("/"), true).unwrap().0.await.unwrap();
    let begun = Instant::now();
    let flows = proxy.flows().await;
    assert!(begun.elapsed() < Duration::from_millis(900), "{:?}", begun.elapsed());
    assert!(flows.iter().all(|flow| flow.state() == State::Complete), "{flows:#?}");
    drop(client);
}

#[tokio::test]
async fn an_idle_client_is_told_to_go() {
    let origin = TlsOrigin::http2(|_, _| async {}).await;
    let idle = Duration::from_millis(40);
    let proxy = origin.proxy_with(|wanted| wanted.settings.deadlines.idle_client = idle).await;
    let tls = tls_peers::tls(&proxy, "h.test:443", "h.test", offering(&proxy, &["h2"])).await;
    let (client, connection) = h2::client::handshake::<_>(tls.unwrap()).await.unwrap();
    let _ = tokio::time::timeout(LIMIT, connection).await.expect("the connection ends");
    drop(client);
}

#[tokio::test]
async fn an_http2_connection_that_nobody_uses_is_closed() {
    let (ended, mut end) = mpsc::unbounded_channel();
    let origin = TlsOrigin::start("h.test", &["h2"], move |tls| {
        let ended = ended.clone();
        async move {
            let mut connection = h2::server::handshake(tls).await.unwrap();
            while let Some(Ok((_, mut respond))) = connection.accept().await {
                respond.send_response(Response::new(()), true).unwrap();
            }
            let _ = ended.send(());
        }
    })
    .await;
    let proxy = origin
        .proxy_with(|wanted| {
            wanted.settings.deadlines.idle_upstream = Duration::from_millis(20);
        })
        .await;
    let mut client = http2(&proxy).await;
    client.send_request(ask("/"), true).unwrap().0.await.unwrap();
    tokio::time::timeout(LIMIT, end.recv()).await.expect("it is closed");
}

#[tokio::test]
async fn an_http2_connection_in_use_is_not_idle() {
    let origin = TlsOrigin::http2(|_, mut respond| async move {
        let mut stream = respond.send_response(Response::new(()), false).unwrap();
        for _ in 0..8 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            stream.send_data(Bytes::from_static(b"x"), false).unwrap();
        }
        stream.send_data(Bytes::new(), true).unwrap();
    })
    .await;
    let proxy = origin
        .proxy_with(|wanted| {
            wanted.settings.deadlines.idle_upstream = Duration::from_millis(20);
            wanted.settings.deadlines.idle_client = Duration::from_millis(20);
        })
        .await;
    let mut client = http2(&proxy).await;
    let answer = client.send_request(ask("/"), true).unwrap().0.await.unwrap();
    assert_eq!(whole(answer.into_body()).await.unwrap().0, b"xxxxxxxx");
    assert_eq!(origin.handshakes.lock().unwrap().len(), 1);
}
