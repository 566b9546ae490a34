//! Each ready pack with the consoles that it is for, octets compared.

use std::fs;

use consoletap_simulator::{
    Console, Content, Download, GotAnswer, Request, Sizes, World, ps3_update_check,
    switch_connection_test,
};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::clients::speak;
use super::harness::{Home, PATIENCE, Tap};

async fn ask(tap: &Tap, console: &Console, request: &Request) -> GotAnswer {
    console.behind(tap.address()).ask(request).await.unwrap()
}

async fn status(tap: &Tap, console: &Console, url: &str) -> u16 {
    let request = Request::get(url).agent(console.update_agent());
    ask(tap, console, &request).await.head.status
}

#[tokio::test]
async fn firmware_guard_lets_a_ps3_sign_in_and_no_image_through() {
    let (home, world) = (Home::new(), World::start().await.unwrap());
    let tap = home.tap().world(&world).args(["--rules", "firmware-guard"]).start().await;
    let report = ps3_update_check(tap.address()).await.unwrap();
    assert!(report.is_as_documented(), "a list with CRLF of its region: {report:?}");
    let before = world.requests().len();
    let images = [
        (
            Console::ps4("1.51"),
            "http://dus01.ps4.update.playstation.net/update/ps4/image/2014_0527/sys_00000000000000000000000000000000/PS4UPDATE.PUP?dest=us",
        ),
        (
            Console::vita("3.60"),
            "http://dus01.psp2.update.playstation.net/update/psp2/image/2017_0317/rel_00000000000000000000000000000000/PSP2UPDAT.PUP",
        ),
        (Console::ps3("4.55"), "http://mirror.example/PS3UPDAT.PUP"),
    ];
    for (console, url) in images {
        assert_eq!(status(&tap, &console, url).await, 404, "{url}");
    }
    let psp = "http://fu01.psp.update.playstation.org/update/psp/list/us/psp-updatelist.txt";
    let psp = Request::get(psp).agent("PSPUpdate-agent/1.0.0 libhttp/1.0.0");
    assert_eq!(ask(&tap, &Console::ps3("4.55"), &psp).await.head.status, 404);
    assert_eq!(world.requests().len(), before, "nothing was asked for");
}

#[tokio::test]
async fn quiet_blocks_telemetry_and_nothing_else() {
    let (home, world) = (Home::new(), World::start().await.unwrap());
    let tap = home.tap().world(&world).args(["--rules", "quiet"]).start().await;
    let refused = speak(tap.address(), b"CONNECT telemetry-console.api.playstation.com:443 HTTP/1.1\r\nHost: telemetry-console.api.playstation.com:443\r\n\r\n").await;
    assert!(refused.starts_with("HTTP/1.1 404 "), "{refused}");
    let ps4 = Console::ps4("9.00");
    assert_eq!(status(&tap, &ps4, "http://a.ad.playstation.net/banner").await, 404);
    assert_eq!(world.connections(), 0, "no server was asked");
    assert_eq!(status(&tap, &ps4, "http://ena.net.playstation.net/netstart/icst").await, 200);
    let row = tap.row("the tunnel", |row| row["method"] == "CONNECT").await;
    assert_eq!(row["rules"], serde_json::json!(["quiet-telemetry"]), "{row}");
}

/// The folder has one piece, and the other one comes from the net; both by four connections, of
/// which some are dropped half way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn local_packages_come_from_disk_and_the_rest_from_the_net() {
    let sizes = Sizes { package_piece: 2 << 20, ..Sizes::default() };
    let (home, world) = (Home::new(), World::start_with(sizes).await.unwrap());
    let folder = "/gs2/ppkgo/prod/CUSA00001_00/1/f_1/f";
    let [ours, theirs] = ["A0107-V0100_0.pkg", "A0107-V0100_1.pkg"]
        .map(|piece| format!("IP9100-CUSA00001_00-PLAYROOM00000000-{piece}"));
    let mine = Content::noise("mine", (3 << 20) + 77);
    fs::create_dir(home.path("packages")).unwrap();
    home.write(&format!("packages/{ours}"), mine.read(0..mine.size()));
    let rules = "local-packages:folder=packages";
    let tap = home.tap().world(&world).args(["--rules", rules]).start().await;
    let console = Console::ps4("9.00");
    let fetch = async |name: &str, content: Content| {
        let query = "?&product=0287&serverIpAddr=127.0.0.1&r=00000004";
        let url = format!("http://gs2.ww.prod.dl.playstation.net{folder}/{name}{query}");
        let slices = content.size().div_ceil(256 << 10) as usize;
        let download =
            Download { url, content, slice: 256 << 10, connections: 4, drops: vec![1, 3] };
        let done = download.run(&console, tap.address()).await.unwrap();
        assert_eq!((done.slices, done.dropped), (slices, 2), "every octet was compared");
    };
    fetch(&ours, mine).await;
    assert!(world.requests().is_empty(), "nothing of it comes from the net");
    fetch(&theirs, world.sizes().file(&format!("{folder}/{theirs}")).unwrap()).await;
    assert!(!world.requests().is_empty());

    let missing = home.run(&["run", "--rules", "local-packages", "--port", "0"]).await;
    assert_eq!(missing.code, Some(2));
    let said = "local-packages: it needs to know folder: the folder with your PKG and PUP files";
    assert!(missing.stderr.contains(said), "{missing:?}");
}

#[tokio::test]
async fn pin_game_version_answers_with_the_older_manifest() {
    let (home, world) = (Home::new(), World::start().await.unwrap());
    let tree = "/gs2/ppkgo/prod/CUSA00135_00";
    let manifest = |version: &str, folder: &str| {
        format!("{tree}/{folder}/f/EP1018-CUSA00135_00-BATMANARKHAMKNHT-A0{version}-V0100.json")
    };
    let newest =
        manifest("118", "21/f_06da3b33d65c72bc25dac70c5d3c5669addbe50a94e87cc644e5b9471101303f");
    let older =
        manifest("101", "3/f_1111111111111111111111111111111111111111111111111111111111111111");
    let rules = format!("pin-game-version:title=CUSA00135,manifest={older}");
    let tap = home.tap().world(&world).args(["--rules".to_owned(), rules]).start().await;
    let url = format!("http://gs2.ww.prod.dl.playstation.net{newest}?downloadId=1&du=2");
    let ps4 = Console::ps4("9.00");
    let pinned = ask(&tap, &ps4, &Request::get(&url)).await;
    let asked = Request::get(&format!("http://gs2.ww.prod.dl.playstation.net{older}"));
    let plain = ps4.behind(world.address()).ask(&asked).await.unwrap();
    assert_eq!(pinned.body, plain.body, "the same octets as the older one");
    assert!(pinned.text().contains("A0101"), "{}", pinned.text());
    assert!(world.requests()[0].target.contains("/3/f_1111"), "{:?}", world.requests()[0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn network_test_answers_every_console_without_a_net() {
    let home = Home::new();
    // Nothing is resolved, and nothing has to be.
    let tap = home.tap().args(["--rules", "network-test"]).start().await;
    let report = switch_connection_test(tap.address()).await.unwrap();
    assert!(report.is_as_documented(), "{report:?}");

    for console in [Console::ps4("9.00"), Console::ps5("4.00"), Console::vita("3.73")] {
        let get = async |url: &str| {
            let answer = ask(&tap, &console, &Request::get(url).agent(console.agent())).await;
            assert_eq!(answer.head.status, 200, "{url}");
            let length = answer.body.len().to_string();
            assert_eq!(answer.head.header("content-length"), Some(&*length), "{url}");
            assert_eq!(answer.head.header("content-type"), Some("text/plain"), "{url}");
            answer.body
        };
        assert_eq!(get("http://ena.net.playstation.net/netstart/icst").await, b"Success"[..]);
        let speed = "http://get.net.playstation.net/networktest/get_";
        for (name, size) in [("2m", 2_097_152), ("6m", 6_291_456)] {
            let body = get(&format!("{speed}{name}")).await;
            assert!(body.len() == size && body.iter().all(|&octet| octet == 0), "{name}");
        }
        let upload = "http://post.net.playstation.net/networktest/post_128";
        let upload = Request::post(upload, vec![7; 128 << 10]).agent(console.agent());
        assert_eq!(ask(&tap, &console, &upload).await.head.status, 200);
    }
    upload_is_answered_at_once(&tap).await;
    let ps3 = Console::ps3("4.81");
    let trial = "http://fj00.ps3.update.playstation.org/networktest/trial.txt";
    let trial = Request::get(trial).agent(ps3.network_test_agent());
    assert_eq!(ask(&tap, &ps3, &trial).await.head.status, 200);
    let wii_u = Request::get("http://conntest.nintendowifi.net/");
    let answer = ask(&tap, &Console::switch(), &wii_u).await;
    assert_eq!(answer.head.header("x-organization"), Some("Nintendo"));
    assert_eq!(answer.body, b"ok"[..]);
    let xbox = Request::get("http://www.msftncsi.com/ncsi.txt");
    assert_eq!(ask(&tap, &Console::switch(), &xbox).await.body, b"Microsoft NCSI"[..]);
}

/// The PS4 wants the answer to its upload before the upload is through.
async fn upload_is_answered_at_once(tap: &Tap) {
    let head = b"POST http://post.net.playstation.net/networktest/post_128 HTTP/1.1\r\n\
        Host: post.net.playstation.net\r\nContent-Length: 131072\r\n\r\n";
    let expected = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 0\r\n\r\n";
    let mut console = TcpStream::connect(tap.address()).await.unwrap();
    // Twice: the connection is as good as before.
    for _ in 0..2 {
        console.write_all(head).await.unwrap();
        let mut answer = vec![0; expected.len()];
        let read = console.read_exact(&mut answer);
        timeout(PATIENCE, read).await.expect("the answer does not wait for the body").unwrap();
        assert_eq!(String::from_utf8_lossy(&answer), expected);
        console.write_all(&[7; 128 << 10]).await.unwrap();
    }
}
