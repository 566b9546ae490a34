//! Plain HTTP by curl and by the simulated consoles.

use consoletap_simulator::{Act, Console, RawOrigin, Request, World};

use super::clients::{curl, have_curl, speak};
use super::harness::{Home, eventually};

const GET_2M: &str = "http://get.net.playstation.net/networktest/get_2m";
const LIST: &str = "http://fus01.ps4.update.playstation.net/update/ps4/list/us/ps4-updatelist.xml";

#[tokio::test]
async fn curl_gets_bodies_parts_of_them_and_heads() {
    if !have_curl() {
        return;
    }
    let (home, world) = (Home::new(), World::start().await.unwrap());
    let tap = home.tap().world(&world).start().await;

    let whole = curl(&home, &tap, &[GET_2M]).await;
    assert_eq!((whole.code, whole.status), (0, 200), "{whole:?}");
    assert_eq!(whole.body, vec![0; 2 << 20]);

    let head = curl(&home, &tap, &["--head", GET_2M]).await;
    assert_eq!((head.code, head.status), (0, 200), "{head:?}");
    assert_eq!(head.field("content-length"), Some("2097152"));

    let piece = "http://gs2.ww.prod.dl.playstation.net/gs2/ppkgo/prod/CUSA00001_00/1/f_1/f/IP9100-CUSA00001_00-PLAYROOM00000000-A0107-V0100.pkg";
    let part = curl(&home, &tap, &["--range", "100-1099", piece]).await;
    assert_eq!((part.code, part.status), (0, 206), "{part:?}");
    let path = piece.split_once(".net").unwrap().1;
    assert_eq!(part.body, world.sizes().file(path).unwrap().read(100..1100));
    assert!(part.field("content-range").unwrap().starts_with("bytes 100-1099/"));

    let old = curl(&home, &tap, &["--http1.0", LIST]).await;
    assert_eq!((old.code, old.status), (0, 200), "{old:?}");
    assert!(old.text().contains("<region id=\"us\">"));

    let rows = tap.rows(4).await;
    let seen = |key: &str| rows.iter().map(|row| row[key].to_string()).collect::<Vec<_>>();
    assert_eq!(seen("method"), ["\"GET\"", "\"HEAD\"", "\"GET\"", "\"GET\""]);
    assert_eq!(seen("status"), ["200", "200", "206", "200"]);
    assert_eq!(seen("response_bytes"), ["2097152", "0", "1000", "849"]);
    let versions: Vec<_> = world.requests().iter().map(|seen| seen.version.clone()).collect();
    assert_eq!(versions, ["HTTP/1.1"; 4], "upstream is always spoken to in 1.1");
}

#[tokio::test]
async fn curl_uploads_at_once_and_after_being_told_to_go_on() {
    if !have_curl() {
        return;
    }
    let (home, world) = (Home::new(), World::start().await.unwrap());
    let tap = home.tap().world(&world).start().await;
    let body: Vec<u8> = (0..300_000_u32).map(|number| (number % 251) as u8).collect();
    let file = format!("@{}", home.write("upload", &body));
    let url = "http://crepo.ww.dl.playstation.net/upload";

    let at_once = ["--data-binary", &file, "-H", "Expect:", url];
    let got = curl(&home, &tap, &at_once).await;
    assert_eq!(got.code, 0, "{got:?}");
    let waiting =
        ["--data-binary", &file, "-H", "Expect: 100-continue", "--expect100-timeout", "14", url];
    let got = curl(&home, &tap, &waiting).await;
    assert_eq!(got.code, 0, "{got:?}");
    assert!(got.heads.starts_with("HTTP/1.1 100 Continue\r\n"), "{}", got.heads);

    for seen in world.requests() {
        assert_eq!((seen.method.as_str(), seen.body_length), ("POST", 300_000));
        assert!(seen.body_complete);
    }
    tap.rows(2).await;
    for flow in home.flows() {
        let digest = flow.finished.unwrap().request_body.digest.unwrap();
        assert!(home.session().body(&digest).unwrap() == body, "the upload is kept as it was sent");
    }
}

#[tokio::test]
async fn one_connection_upstream_serves_many_requests() {
    let (home, world) = (Home::new(), World::start().await.unwrap());
    let tap = home.tap().world(&world).start().await;
    let mut kept = Console::ps4("1.51").behind(tap.address());
    for _ in 0..5 {
        kept.ask(&Request::get(LIST)).await.unwrap();
    }
    assert_eq!(kept.opened(), 1, "the console's connection is kept");
    for _ in 0..5 {
        // A console that opens one connection a request costs the server none more.
        let mut client = Console::ps4("1.51").behind(tap.address());
        client.ask(&Request::get(LIST).close()).await.unwrap();
    }
    assert_eq!(world.requests().len(), 10);
    assert_eq!(world.connections(), 1);
    let hop_by_hop = |seen: &consoletap_simulator::SeenRequest| {
        seen.header("connection").is_none_or(|value| value.eq_ignore_ascii_case("keep-alive"))
    };
    assert!(world.requests().iter().all(hop_by_hop), "our side of the connection is ours");
}

#[tokio::test]
async fn the_server_sees_the_bytes_of_the_console() {
    let home = Home::new();
    let origin = RawOrigin::answer("HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
    let redirect = format!("*.example={}", origin.address());
    let tap = home.tap().args(["--resolve", &redirect]).start().await;
    let request = "GET http://A.Example/p%41th//x;y?b&&a=%zz HTTP/1.1\r\nHost: A.Example\r\n\
                   X-oDD:  1 \r\nuser-AGENT: x\r\nX-Odd: 2\r\nProxy-Connection: keep-alive\r\n\
                   Connection: close, X-Hop\r\nX-Hop: 1\r\n\r\n";
    let answer = speak(tap.address(), request).await;
    assert!(answer.starts_with("HTTP/1.1 204 No Content\r\n"), "{answer}");
    let got = String::from_utf8(origin.received().concat()).unwrap();
    let mut lines = got.split("\r\n");
    assert_eq!(lines.next(), Some("GET /p%41th//x;y?b&&a=%zz HTTP/1.1"));
    let names: Vec<_> = lines.filter_map(|line| line.split_once(':')).collect();
    let kept: Vec<_> = names.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("via")).collect();
    let kept: Vec<_> = kept.iter().map(|(name, value)| (*name, value.trim())).collect();
    assert_eq!(kept[0].0.to_ascii_lowercase(), "host");
    assert_eq!(kept[1..], [("X-oDD", "1"), ("user-AGENT", "x"), ("X-Odd", "2")], "{got}");
}

#[tokio::test]
async fn what_cannot_be_reached_is_a_502_that_says_why() {
    let (home, world) = (Home::new(), World::start().await.unwrap());
    // A port that was free a moment ago, and that nobody listens on.
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let tap = home.tap().world(&world).start().await;
    let own = tap.address();
    for (url, status, why) in [
        ("http://console.invalid/", 502, "console.invalid is not known"),
        (&format!("http://{nobody}/"), 502, "refused the connection"),
        (&format!("https://{own}/"), 508, "leads back to this proxy"),
        (&format!("https://localhost:{}/", own.port()), 508, "leads back to this proxy"),
    ] {
        let request = format!("GET {url} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let answer = speak(own, request).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{url}: {answer}");
        let (_, page) = answer.split_once("\r\n\r\n").unwrap();
        assert!(page.contains(why), "{url}: {page}");
        let row = tap.row(url, |row| row["url"] == url).await;
        assert_eq!(row["status"], status);
        assert!(row["error"].as_str().unwrap().contains(why), "{row}");
        let state = if status == 508 { "refused" } else { "upstream-error" };
        assert_eq!(row["state"], state);
    }
    let next = Console::ps4("1.51").behind(own).ask(&Request::get(LIST)).await.unwrap();
    assert_eq!(next.head.status, 200, "and the proxy goes on");
}

#[tokio::test]
async fn what_is_no_request_to_a_proxy_has_a_row_and_an_answer() {
    let home = Home::new();
    let tap = home.tap().start().await;
    for (octets, status) in [
        (&b"GET / HTTP/1.1\r\nHost: me\r\n\r\n"[..], "400"),
        (b"GET http://a b/ HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
        (b"NONSENSE\r\n\r\n", "400"),
        (b"CONNECT nowhere HTTP/1.1\r\nHost: nowhere\r\n\r\n", "400"),
    ] {
        let answer = speak(tap.address(), octets).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{octets:?}: {answer}");
    }
    let rows = tap.rows(4).await;
    assert!(rows.iter().all(|row| row["state"] == "refused"), "{rows:#?}");
    assert!(rows.iter().all(|row| row["error"].is_string()), "{rows:#?}");
}

#[tokio::test]
async fn resolve_leads_names_elsewhere_with_and_without_a_port() {
    let home = Home::new();
    let origin = RawOrigin::answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi").await.unwrap();
    let port = origin.address().port();
    let tap = home
        .tap()
        .args(["--resolve", "bare.example=127.0.0.1"])
        .args(["--resolve".to_owned(), format!("*.sub.example=127.0.0.1:{port}")])
        .start()
        .await;
    let mut client = Console::ps4("1.51").behind(tap.address());
    for url in [format!("http://bare.example:{port}/"), "http://a.sub.example/".to_owned()] {
        let answer = client.ask(&Request::get(&url)).await.unwrap();
        assert_eq!(answer.text(), "hi", "{url}");
    }
    let received = String::from_utf8(origin.received().concat()).unwrap().to_lowercase();
    assert!(received.contains(&format!("host: bare.example:{port}\r\n")), "{received}");
    assert!(received.contains("host: a.sub.example\r\n"), "{received}");
}

#[tokio::test]
async fn a_body_that_ends_too_early_is_told_to_the_client_and_the_row() {
    let home = Home::new();
    let acts = vec![
        Act::ReadHead,
        Act::Send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this".into()),
    ];
    let origin = RawOrigin::play(acts).await.unwrap();
    let redirect = format!("a.example={}", origin.address());
    let tap = home.tap().args(["--resolve", &redirect]).start().await;
    let got =
        Console::ps4("1.51").behind(tap.address()).ask(&Request::get("http://a.example/")).await;
    assert!(got.is_err(), "nobody may take it for whole: {got:?}");
    let row = tap.rows(1).await.remove(0);
    assert_eq!((&row["state"], &row["response_bytes"]), (&"truncated".into(), &9.into()), "{row}");
    let flow = eventually("the flow", || home.flows().into_iter().next()).await;
    let failure = flow.finished.unwrap().failure.unwrap();
    assert_eq!(failure.side, consoletap_flow::Side::Upstream);
}
