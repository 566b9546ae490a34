//! The scenes and the consoles against the simulated internet, through the simplest proxy there
//! can be: it passes bytes on and answers CONNECT.

#![expect(clippy::unwrap_used, reason = "what surrounds a test may end it")]

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use consoletap_simulator::{
    Act, Console, Download, Error, HelloReply, LegacyHello, Pace, RawOrigin, Report, Request,
    Sizes, TlsVersion, World, ps3_update_check, ps4_start_up, ps5_download, switch_connection_test,
    vita_update_check,
};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

/// Every connection goes to `origin`, whatever host it names.
async fn passing_proxy(origin: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(pass(client, origin));
        }
    });
    address
}

async fn pass(client: TcpStream, origin: SocketAddr) -> std::io::Result<()> {
    let mut client = BufReader::new(client);
    let mut upstream = TcpStream::connect(origin).await?;
    let mut line = String::new();
    client.read_line(&mut line).await?;
    if line.starts_with("CONNECT ") {
        while line != "\r\n" {
            line.clear();
            client.read_line(&mut line).await?;
        }
        client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
    } else {
        upstream.write_all(line.as_bytes()).await?;
    }
    copy_bidirectional(&mut client, &mut upstream).await?;
    Ok(())
}

async fn world_and_proxy() -> (World, SocketAddr) {
    let world = World::start().await.unwrap();
    let proxy = passing_proxy(world.address()).await;
    (world, proxy)
}

fn assert_as_documented(report: &Report, steps: usize) {
    let surprises: Vec<_> = report.surprises().collect();
    assert!(surprises.is_empty(), "{surprises:#?}");
    assert_eq!(report.steps.len(), steps, "{report:#?}");
}

#[tokio::test]
async fn a_ps4_starts_up() {
    let (world, proxy) = world_and_proxy().await;
    let report = ps4_start_up(proxy, &world, Pace::at_once()).await.unwrap();
    assert_as_documented(&report, 25);

    let requests = world.requests();
    let test = &requests[0];
    assert_eq!(
        String::from_utf8_lossy(&test.raw_head),
        "GET http://get.net.playstation.net/networktest/get_2m HTTP/1.1\r\n\
         Host: get.net.playstation.net\r\n\
         Connection: Keep-Alive\r\n\
         Accept-Encoding: identity\r\n\
         User-Agent: btest/1.0 libhttp/1.50 (PlayStation 4)\r\n\r\n"
    );
    let upload = &requests[1];
    assert_eq!((upload.body_length, upload.body_complete), (128 << 10, true));
    assert_eq!(upload.connection, test.connection, "the connection is kept alive");
    let inside: Vec<_> = requests.iter().filter(|r| r.tls).map(|r| r.host()).collect();
    assert_eq!(inside.len(), 10, "{inside:?}");
    assert!(inside.contains(&"gs-sec.ww.np.dl.playstation.net"));
    let images = requests.iter().filter(|r| r.target.contains("/update/ps4/image/2014_0528/"));
    assert!(images.clone().all(|r| r.header("Connection") == Some("close")));
    assert_eq!(images.filter(|r| r.header("User-Agent").is_none()).count(), 2);
    let ranges: Vec<_> = requests.iter().filter_map(|r| r.header("Range")).collect();
    assert!(ranges.contains(&"bytes=262144-524287"), "{ranges:?}");
    assert_eq!(ranges.iter().filter(|r| **r == "bytes=262144-524287").count(), 3 + 1);
}

#[tokio::test]
async fn the_other_consoles_play_their_scenes() {
    let (world, proxy) = world_and_proxy().await;
    assert_as_documented(&ps3_update_check(proxy).await.unwrap(), 1);
    assert_as_documented(&vita_update_check(proxy).await.unwrap(), 1);
    assert_as_documented(&ps5_download(proxy, &world, Pace::at_once()).await.unwrap(), 2);
    assert_as_documented(&switch_connection_test(proxy).await.unwrap(), 3);
    let vita = world.requests().into_iter().find(|r| r.host().contains("psp2")).unwrap();
    let head = String::from_utf8(vita.raw_head).unwrap();
    assert!(head.contains("\r\nUser-Agent:  libhttp/3.73 (PS Vita)\r\n"), "{head}");
    let speed = world.requests().into_iter().find(|r| r.target.ends_with("/30m")).unwrap();
    assert_eq!(speed.version, "HTTP/1.0");
}

#[tokio::test]
async fn a_world_has_one_port_for_http_and_tls() {
    let (world, proxy) = world_and_proxy().await;
    let console = Console::ps4("9.00").trusting(world.roots());
    let host = "commerce1.api.np.km.playstation.net";
    let path =
        "/store/api/ps4/00_09_000/container/FR/fr/19/EP4389-CUSA08652_00-CAR0050000000000/image";
    let plain = Request::get(&format!("http://{host}{path}"));
    let plain = console.behind(proxy).ask(&plain).await.unwrap();
    for version in [TlsVersion::Tls12, TlsVersion::Tls13] {
        let tunnel = console.tunnel(proxy, host, None).await.unwrap();
        let mut client = tunnel.handshake(version).await.unwrap();
        let expected = if version == TlsVersion::Tls12 { "TLSv1_2" } else { "TLSv1_3" };
        assert!(client.agreed().starts_with(expected), "{}", client.agreed());
        let secret = client.ask(&Request::get(&format!("https://{host}{path}"))).await.unwrap();
        assert_eq!(secret.body, plain.body);
        assert!(secret.body.starts_with(b"\x89PNG"));
    }
    assert_eq!(world.requests().iter().filter(|request| request.tls).count(), 2);
    let port = world.address().port();
    assert!(world.resolve_rules().contains(&format!("*.playstation.net=127.0.0.1:{port}")));
    assert!(world.ca_pem().starts_with("-----BEGIN CERTIFICATE-----"));
}

#[tokio::test]
async fn a_console_without_the_root_says_unknown_ca() {
    let (world, proxy) = world_and_proxy().await;
    let host = "themis.dl.playstation.net";
    let tunnel = Console::ps4("1.51").tunnel(proxy, host, None).await.unwrap();
    let refused = tunnel.handshake(TlsVersion::Tls12).await.unwrap_err();
    assert!(matches!(refused, Error::Refused(_)), "{refused}");

    // The same with somebody listening between the two.
    let between = RecordingRelay::start(world.address()).await;
    let proxy = passing_proxy(between.address).await;
    let tunnel = Console::ps4("1.51").tunnel(proxy, host, None).await.unwrap();
    tunnel.handshake(TlsVersion::Tls12).await.unwrap_err();
    let sent = between.sent.await.unwrap();
    assert!(sent.ends_with(&[0x15, 3, 3, 0, 2, 2, 48]), "fatal unknown_ca: {sent:02x?}");
}

/// Passes one connection on and tells what the client sent.
struct RecordingRelay {
    address: SocketAddr,
    sent: tokio::task::JoinHandle<Vec<u8>>,
}

impl RecordingRelay {
    async fn start(origin: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let sent = tokio::spawn(async move {
            let (client, _) = listener.accept().await.unwrap();
            let (mut from_client, mut to_client) = client.into_split();
            let (mut from_origin, mut to_origin) =
                TcpStream::connect(origin).await.unwrap().into_split();
            tokio::spawn(async move { tokio::io::copy(&mut from_origin, &mut to_client).await });
            let mut sent = Vec::new();
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) =
                tokio::io::AsyncReadExt::read(&mut from_client, &mut buffer).await
            {
                sent.extend_from_slice(&buffer[..count]);
                if to_origin.write_all(&buffer[..count]).await.is_err() {
                    break;
                }
            }
            sent
        });
        Self { address, sent }
    }
}

#[tokio::test]
async fn old_hellos_are_refused_by_a_server_of_today() {
    let (_world, proxy) = world_and_proxy().await;
    let host = "getprof.us.np.community.playstation.net";
    let hellos = [
        LegacyHello::ps3_4_75(),
        LegacyHello::ps3_4_81(),
        LegacyHello::ps3_4_82(host),
        LegacyHello::vita(),
        LegacyHello::vita_3_73(host),
    ];
    for hello in hellos {
        let tunnel = Console::ps3("4.75").tunnel(proxy, host, None).await.unwrap();
        let reply = tunnel.send_hello(&hello).await.unwrap();
        // handshake_failure or protocol_version: which one is the server's affair. A hello that
        // could not be parsed would be answered with decode_error, 50.
        assert!(
            matches!(reply, HelloReply::Alert { level: 2, description: 40 | 70 }),
            "{hello:?}: {reply:?}"
        );
    }
}

#[tokio::test]
async fn an_old_server_may_be_scripted() {
    let mut hello = vec![0x16, 3, 1, 0, 42, 2, 0, 0, 38, 3, 1];
    hello.extend([7; 32]);
    hello.extend([0, 0, 0x05, 0]);
    hello.push(0);
    let script = vec![Act::Read(54), Act::Send(hello.into()), Act::Hold];
    let origin = RawOrigin::play(script).await.unwrap();
    let proxy = passing_proxy(origin.address()).await;
    let tunnel = Console::ps3("4.75").tunnel(proxy, "x.np.community.playstation.net", None).await;
    let reply = tunnel.unwrap().send_hello(&LegacyHello::ps3_4_75()).await.unwrap();
    assert_eq!(reply, HelloReply::ServerHello { version: 0x0301, suite: 0x0005 });
    assert_eq!(origin.received(), [LegacyHello::ps3_4_75().bytes()]);
}

#[tokio::test]
async fn a_changed_byte_of_a_download_is_found() {
    let sizes = Sizes { package_piece: 1000, firmware: 1000 };
    let world = World::start_with(sizes).await.unwrap();
    let path = "/gs2/appkgo/prod/CUSA15565_00/1/f_00/f/EP1003-CUSA15565_00-DOOM199300000000.pkg";
    let url = format!("http://gs2.ww.prod.dl.playstation.net{path}");
    let content = sizes.file(path).unwrap();
    let download = Download { url, content, slice: 300, connections: 2, drops: vec![0] };
    let console = Console::ps4("9.00");
    let done = download.run(&console, world.address()).await.unwrap();
    assert_eq!((done.slices, done.dropped), (4, 1));
    assert!(done.bytes >= 1150, "{done:?}");

    let mut bytes = download.content.read(0..300).to_vec();
    bytes[123] ^= 0x20;
    let mut answer = b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-299/1000\r\n\
                       Content-Length: 300\r\n\r\n"
        .to_vec();
    answer.extend(bytes);
    let origin = RawOrigin::answer(answer).await.unwrap();
    let one = Download { connections: 1, ..download };
    let error = one.run(&console, origin.address()).await.unwrap_err();
    assert!(matches!(error, Error::Changed(difference) if difference.offset == 123), "{error}");
}

#[tokio::test]
async fn ranges_of_an_image_are_answered_as_a_cdn_does() {
    let world = World::start().await.unwrap();
    let mut client = Console::ps4("9.00").behind(world.address());
    let url = "http://deu01.ps4.update.playstation.net/update/ps4/image/2014_0528/sys_ce90f2e9274e4614ffde6934e08e4b6e/PS4UPDATE.PUP?dest=eu";
    let size = world.sizes().firmware;
    let get = |range: &str| Request::get(url).header("Range", range);
    let part = client.ask(&get("bytes=4-7")).await.unwrap();
    let content = world.sizes().file(url.split_once(".net").unwrap().1).unwrap();
    assert_eq!((part.head.status, &part.body[..]), (206, &content.read(4..8)[..]));
    let tag = part.head.header("etag").unwrap().to_owned();
    let same = client.ask(&get("bytes=4-7").header("If-Range", &tag)).await.unwrap();
    assert_eq!(same.head.status, 206);
    let beyond = client.ask(&get(&format!("bytes={size}-"))).await.unwrap();
    assert_eq!(beyond.head.status, 416);
    assert_eq!(beyond.head.header("content-range"), Some(&*format!("bytes */{size}")));
    let other = get("bytes=4-7").header("If-Range", "\"another\"");
    let whole = client.ask_and_abort(&other, 4).await.unwrap();
    assert_eq!((whole.head.status, &whole.body[..4]), (200, &b"SLB2"[..]));
    assert_eq!(client.opened(), 1);
}

#[tokio::test]
async fn a_connection_is_kept_only_while_both_sides_wish_so() {
    let world = World::start().await.unwrap();
    let mut client = Console::switch().behind(world.address());
    let test = Request::get("http://ctest.cdn.nintendo.net/").agent("NX NIFM/00");
    client.ask(&test).await.unwrap();
    client.ask(&test).await.unwrap();
    assert_eq!(client.opened(), 1);
    client.ask(&test.clone().close()).await.unwrap();
    client.ask(&test).await.unwrap();
    assert_eq!((client.opened(), world.connections()), (2, 2));
    let other = client.ask(&Request::get("http://ctest.cdn.nintendo.net/").agent("curl")).await;
    assert_eq!(other.unwrap().head.status, 403);
}

#[tokio::test]
async fn a_kept_connection_that_was_closed_meanwhile_costs_nothing() {
    let answer = || Act::Send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".into());
    let origin = RawOrigin::play(vec![Act::ReadHead, answer()]).await.unwrap();
    let mut client = Console::ps4("9.00").behind(origin.address());
    let request = Request::get("http://ena.net.playstation.net/netstart/icst");
    for _ in 0..3 {
        assert_eq!(client.ask(&request).await.unwrap().text(), "ok");
    }
    assert_eq!(client.opened(), 3);
}

#[tokio::test]
async fn broken_servers_are_told_apart() {
    let console = Console::ps4("9.00");
    let request = Request::get("http://x.playstation.net/");
    let ask = |origin: RawOrigin| {
        let mut client = console.behind(origin.address());
        let request = request.clone();
        async move { (client.ask(&request).await.unwrap_err(), origin) }
    };
    let short = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc";
    let (error, _) = ask(RawOrigin::answer(short).await.unwrap()).await;
    assert!(matches!(error, Error::Ended("within a body")), "{error}");
    let reset = vec![Act::ReadHead, Act::Send(short.into()), Act::Reset];
    let (error, origin) = ask(RawOrigin::play(reset).await.unwrap()).await;
    assert!(matches!(error, Error::Connection { .. }), "{error}");
    assert!(origin.received()[0].starts_with(b"GET http://x.playstation.net/ HTTP/1.1\r\n"));
    let (error, _) = ask(RawOrigin::answer("").await.unwrap()).await;
    assert!(matches!(error, Error::Ended("before the answer")), "{error}");

    let slow = Act::Trickle("HTTP/1.1 204 No Content\r\n\r\n".into(), Duration::from_millis(1));
    let origin = RawOrigin::play(vec![Act::ReadHead, slow, Act::FinishSending, Act::Hold]).await;
    let origin = origin.unwrap();
    let answer = console.behind(origin.address()).ask(&request).await.unwrap();
    assert_eq!(answer.head.status, 204);
}

#[tokio::test]
async fn an_answer_that_comes_before_the_upload_is_read_counts() {
    let refusal = "HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n";
    let script = vec![Act::ReadHead, Act::Send(refusal.into()), Act::Reset];
    let origin = RawOrigin::play(script).await.unwrap();
    // More than the buffers of two sockets hold: sending fails.
    let upload =
        Request::post("http://post.net.playstation.net/networktest/post_128", vec![0; 32 << 20]);
    let answer = Console::ps4("9.00").behind(origin.address()).ask(&upload).await.unwrap();
    assert_eq!(answer.head.status, 413);
}

#[tokio::test]
async fn a_console_may_be_given_another_root() {
    let (world, proxy) = world_and_proxy().await;
    let console = Console::ps4("9.00").also_trusting_pem(world.ca_pem()).unwrap();
    let tunnel = console.tunnel(proxy, "themis.dl.playstation.net", None).await.unwrap();
    let client = tunnel.handshake(TlsVersion::Tls13).await.unwrap();
    assert_eq!(client.certificates().len(), 1);
    client.close().await.unwrap();
    let broken = world.ca_pem().replace("MII", "!!!");
    assert!(matches!(console.also_trusting_pem(&broken), Err(Error::Root(_))));
}

#[tokio::test]
async fn nobody_at_the_proxy_address_ends_a_scene() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = ps3_update_check(address).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
}

#[tokio::test]
async fn a_refused_tunnel_is_a_surprise_of_the_report() {
    let world = World::start().await.unwrap();
    let refusal = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let proxy = RawOrigin::answer(refusal).await.unwrap();
    let report = ps4_start_up(proxy.address(), &world, Pace::at_once()).await.unwrap();
    assert!(!report.is_as_documented());
    let tunnel = report.steps.iter().find(|step| step.asked.starts_with("CONNECT")).unwrap();
    let error = tunnel.came.as_ref().unwrap_err().to_string();
    assert_eq!(error, "expected a tunnel, got 403 Forbidden");
}
