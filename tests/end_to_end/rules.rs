//! Rules on the wire: packs by name and files by path, and what client, server and row see.

use std::io::Write as _;

use consoletap_flow::Kept;
use consoletap_simulator::{Console, GotAnswer, RawOrigin, Request, Sizes, World};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::harness::{Home, Tap};

const PS4: &str = "http://fus01.ps4.update.playstation.net/update/ps4/list/us/ps4-updatelist.xml";
const PS3: &str = "http://feu01.ps3.update.playstation.net/update/ps3/list/eu/ps3-updatelist.txt";
const VITA: &str = "http://fus01.psp2.update.playstation.net/update/psp2/list/us/psp2-updatelist.xml?ver=03600000&nd=2";
const PS5: &str = "http://fus01.ps5.update.playstation.net/update/ps5/official/tJMRE80IbXnE9YuG0jzTXgKEjIMoabr6/list/us/updatelist.xml";
const TITLE: &str = "http://tmdb.np.dl.playstation.net/tmdb2/CUSA00080_00_4ED0D1374CB128AC8E277C9A3145505220D6D93A/CUSA00080_00.json";

/// What a console gets, with the length that was announced.
async fn ask(tap: &Tap, console: &Console, request: &Request) -> GotAnswer {
    let answer = console.behind(tap.address()).ask(request).await.unwrap();
    assert_eq!(answer.head.status, 200);
    let length = answer.body.len().to_string();
    assert_eq!(answer.head.header("content-length"), Some(length.as_str()));
    answer
}

async fn rewritten(tap: &Tap, url: &str, rule: &str) -> Value {
    let row = tap.row(url, |row| row["url"] == url).await;
    assert_eq!(row["rules"], serde_json::json!([rule]), "{row}");
    row
}

#[tokio::test]
async fn no_console_sees_a_newer_firmware() {
    let (home, world) = (Home::new(), World::start().await.unwrap());
    let tap = home.tap().world(&world).args(["--rules", "firmware-guard"]).start().await;
    assert!(tap.stderr().contains("Rules: firmware-guard"), "{}", tap.stderr());

    let ps4 = Console::ps4("1.51");
    let list = ask(&tap, &ps4, &Request::get(PS4).agent(ps4.update_agent())).await.text();
    assert!(list.contains(r#"level1_system_version="00.000.000""#), "nothing is forced: {list}");
    assert!(
        list.contains(r#"version="01.500.000""#),
        "the version of its user agent is on offer: {list}"
    );
    assert!(!list.contains("01.720.000") && !list.contains("1.72"), "{list}");
    assert!(list.contains("PS4UPDATE.PUP?dest=us"), "the addresses stay: {list}");
    rewritten(&tap, PS4, "firmware-guard").await;

    let ps3 = Console::ps3("4.55");
    let list = ask(&tap, &ps3, &Request::get(PS3).agent(ps3.update_agent())).await.text();
    assert!(list.contains("ImageVersion=00000000;"), "{list}");
    assert!(!list.contains("4.8100"), "{list}");
    assert!(list.contains("Dest=85;"), "{list}");
    assert!(list.matches('\n').count() > 0);
    assert_eq!(list.matches('\n').count(), list.matches("\r\n").count(), "the PS3 insists on CRLF");
    rewritten(&tap, PS3, "firmware-guard").await;

    let vita = Console::vita("3.60");
    let list = ask(&tap, &vita, &Request::get(VITA).agent(vita.update_agent())).await.text();
    assert!(list.contains(r#"<version system_version="03.600.000" label="3.60">"#), "{list}");
    assert!(list.contains(r#"level1_system_version="03.600.000""#), "to sign in: {list}");
    assert!(!list.contains("3.65\""), "{list}");
    rewritten(&tap, VITA, "firmware-guard").await;

    let ps5 = Console::ps5("4.00");
    let list = ask(&tap, &ps5, &Request::get(PS5).agent(ps5.update_agent())).await.text();
    assert!(!list.contains("02.20"), "{list}");
    assert!(list.contains("<region id=\"us\">"), "{list}");
    rewritten(&tap, PS5, "firmware-guard").await;

    // The row says what the rule did; the answer that was sent by the server is told, too.
    let flow = home.flows().remove(0);
    assert_eq!(flow.rules[0].effect, consoletap_flow::Effect::Rewritten);
    assert!(!flow.rules[0].did.is_empty());
}

#[tokio::test]
async fn without_rules_nothing_is_changed() {
    let (home, world) = (Home::new(), World::start().await.unwrap());
    let tap = home.tap().world(&world).start().await;
    let list = ask(&tap, &Console::ps4("1.51"), &Request::get(PS4)).await.text();
    assert!(list.contains("01.720.000"), "{list}");
    assert_eq!(tap.rows(1).await[0]["rules"], serde_json::json!([]));
}

#[tokio::test]
async fn a_rule_that_must_read_the_answer_gets_all_of_it() {
    let (home, world) = (Home::new(), World::start().await.unwrap());
    let tap = home.tap().world(&world).args(["--rules", "firmware-guard"]).start().await;
    let ps4 = Console::ps4("1.51");
    let picky = Request::get(PS4)
        .agent(ps4.update_agent())
        .header("If-None-Match", "\"known\"")
        .header("If-Modified-Since", "Wed, 28 May 2014 00:00:00 GMT")
        .header("Range", "bytes=0-9")
        .header("If-Range", "\"of an older list\"")
        .header("X-Kept", "yes");
    let answer = ask(&tap, &ps4, &picky).await;
    assert!(answer.text().contains("01.500.000"), "{}", answer.text());
    let seen = world.requests().remove(0);
    for field in ["if-none-match", "if-modified-since", "range", "if-range"] {
        assert_eq!(seen.header(field), None, "{field} is withheld");
    }
    assert_eq!(seen.header("x-kept"), Some("yes"));

    // Where no rule acts they go through.
    let other = "http://get.net.playstation.net/networktest/get_2m";
    let part = Request::get(other).header("Range", "bytes=0-9").header("If-None-Match", "\"x\"");
    let answer = ps4.behind(tap.address()).ask(&part).await.unwrap();
    assert_eq!((answer.head.status, answer.body.len()), (206, 10));
    assert_eq!(world.requests()[1].header("if-none-match"), Some("\"x\""));
}

#[tokio::test]
async fn a_packed_list_is_unpacked_where_a_rule_must_read_it() {
    let (home, world) = (Home::new(), World::start().await.unwrap());
    let plain = Console::ps4("1.51").behind(world.address()).ask(&Request::get(PS4)).await.unwrap();
    let mut packer = GzEncoder::new(Vec::new(), Compression::best());
    packer.write_all(&plain.body).unwrap();
    let packed = packer.finish().unwrap();
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\nContent-Encoding: gzip\r\nETag: \"1\"\r\nContent-Length: {}\r\n\r\n",
        packed.len()
    );
    let origin = RawOrigin::answer([head.as_bytes(), &packed].concat()).await.unwrap();
    let redirect = format!("*.playstation.net={}", origin.address());
    let tap = home.tap().args(["--resolve", &redirect, "--rules", "firmware-guard"]).start().await;
    let ps4 = Console::ps4("1.51");
    let answer = ask(&tap, &ps4, &Request::get(PS4).agent(ps4.update_agent())).await;
    assert_eq!(answer.head.header("content-encoding"), None);
    assert_ne!(answer.head.header("etag"), Some("\"1\""), "it is not that of this body");
    assert!(answer.text().contains("01.500.000") && !answer.text().contains("01.720.000"));
    rewritten(&tap, PS4, "firmware-guard").await;
}

#[tokio::test]
async fn what_is_no_list_passes_unchanged_and_the_row_says_why() {
    let home = Home::new();
    let broken = "HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\nContent-Length: 15\r\n\r\n<update_data_li";
    let origin = RawOrigin::answer(broken).await.unwrap();
    let redirect = format!("*.playstation.net={}", origin.address());
    let tap = home.tap().args(["--resolve", &redirect, "--rules", "firmware-guard"]).start().await;
    let answer = ask(&tap, &Console::ps4("1.51"), &Request::get(PS4)).await;
    assert_eq!(answer.text(), "<update_data_li");
    tap.rows(1).await;
    let flow = home.flows().remove(0);
    assert!(flow.notes.iter().any(|note| note.contains("firmware-guard")), "{flow:#?}");
}

#[tokio::test]
async fn fields_of_title_metadata_are_replaced_by_the_pack() {
    let (home, world) = (Home::new(), World::start().await.unwrap());
    let tap = home.tap().world(&world).args(["--rules", "title-metadata"]).start().await;
    let answer = ask(&tap, &Console::ps4("1.51"), &Request::get(TITLE)).await;
    let json: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(json["names"][0]["name"], "Simulated title CUSA00080 [CUSA00080_00]");
    assert_eq!(json["names"][1]["name"], "Titre simulé CUSA00080 [CUSA00080_00]");
    assert_eq!(json["parentalLevel"], 5);
    rewritten(&tap, TITLE, "title-metadata").await;
}

#[tokio::test]
async fn rules_of_ones_own_come_from_a_file_and_from_the_settings() {
    let (home, world) = (Home::new(), World::start().await.unwrap());
    let text = "[[rule]]\nname = \"mine\"\nwhen = \"~cat title-metadata & ~title CUSA00080\"\n\
                [rule.rewrite.json]\n\"names.0.name\" = \"Mine: {value}\"\nparentalLevel = 1\n";
    let file = home.write("mine.toml", text);
    let settings = home.write("settings.toml", "rules = [\"./mine.toml\"]\n");
    for args in [["--rules", &file], ["--config", &settings]] {
        let tap = home.tap().world(&world).args(args).start().await;
        let answer = ask(&tap, &Console::ps4("1.51"), &Request::get(TITLE)).await;
        let json: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(json["names"][0]["name"], "Mine: Simulated title CUSA00080");
        assert_eq!((&json["parentalLevel"], &json["revision"]), (&1.into(), &3.into()));
        rewritten(&tap, TITLE, "mine").await;
        tap.stop().await;
    }
}

#[tokio::test]
async fn packs_are_listed() {
    let ended = Home::new().run(&["rules", "list"]).await;
    assert_eq!(ended.code, Some(0));
    assert!(ended.stdout.contains("firmware-guard") && ended.stdout.contains("title-metadata"));
}

#[tokio::test]
async fn the_log_marks_what_was_changed() {
    let (home, world) = (Home::new(), World::start().await.unwrap());
    let tap = home.tap().with_log().world(&world).args(["--rules", "firmware-guard"]).start().await;
    ask(&tap, &Console::ps4("1.51"), &Request::get(PS4)).await;
    let ended = tap.stop().await;
    let mut lines = ended.stderr.lines().skip_while(|line| !line.contains(" fw-updatelist "));
    assert!(lines.next().unwrap().ends_with(" ✎"), "{}", ended.stderr);
    assert!(lines.next().unwrap().contains("✎ firmware-guard: "), "{}", ended.stderr);
}

/// A rule file below this home.
fn rules(home: &Home, rules: &str) -> String {
    home.write("rules.toml", rules)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slices_of_a_package_come_from_disk_and_the_rest_from_the_net() {
    let sizes = Sizes { package_piece: 2 << 20, ..Sizes::default() };
    let (home, world) = (Home::new(), World::start_with(sizes).await.unwrap());
    let folder =
        "/gs2/ppkgo/prod/CUSA00001_00/1/f_1/f/IP9100-CUSA00001_00-PLAYROOM00000000-A0107-V0100";
    let content: Vec<u8> = (0..2_u32 << 20).map(|at| (at % 249) as u8).collect();
    home.write("packages/IP9100-CUSA00001_00-PLAYROOM00000000-A0107-V0100_0.pkg", &content);
    let file = rules(
        &home,
        "[[rule]]\nname = 'local'\nwhen = '~u \\.pkg'\n\
         map-local = { folder = 'packages', missing = 'net' }\n",
    );
    let tap = home.tap().world(&world).args(["--rules", &file]).start().await;
    let mut slices = tokio::task::JoinSet::new();
    for slice in 0..8_usize {
        let (proxy, content) = (tap.address(), content.clone());
        let here = slice % 2 == 0;
        let piece = if here { "_0" } else { "" };
        let url = format!(
            "http://gs2.ww.prod.dl.playstation.net{folder}{piece}.pkg?product=0287&serverIpAddr=1.2.3.4"
        );
        let expected = match here {
            true => content[slice << 18..(slice + 1) << 18].to_vec(),
            false => {
                let range = (slice as u64) << 18..(slice as u64 + 1) << 18;
                world.sizes().file(&format!("{folder}.pkg")).unwrap().read(range).to_vec()
            }
        };
        slices.spawn(async move {
            let range = format!("bytes={}-{}", slice << 18, ((slice + 1) << 18) - 1);
            let mut console = Console::ps4("9.00").behind(proxy);
            let answer = console.ask(&Request::get(&url).header("Range", &range)).await.unwrap();
            assert_eq!(answer.head.status, 206);
            assert!(answer.body == expected, "slice {slice}");
        });
    }
    while let Some(slice) = slices.join_next().await {
        slice.unwrap();
    }
    assert!(world.requests().iter().all(|seen| !seen.target.contains("_0.pkg")));
    assert_eq!(tap.stop().await.code, Some(0));
}

#[tokio::test]
async fn a_file_of_a_gibibyte_leaves_the_memory_flat() {
    let home = Home::new();
    home.write("title.pkg", "");
    let size = 1_u64 << 30;
    std::fs::File::options()
        .write(true)
        .open(home.path("title.pkg"))
        .unwrap()
        .set_len(size)
        .unwrap();
    let file =
        rules(&home, "[[rule]]\nname = 'r'\nwhen = '~all'\nmap-local = { file = 'title.pkg' }\n");
    let tap = home.tap().args(["--rules", &file]).start().await;
    let mut client = tokio::net::TcpStream::connect(tap.address()).await.unwrap();
    let ask =
        "GET http://a.example/title.pkg HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n";
    client.write_all(ask.as_bytes()).await.unwrap();
    let mut block = vec![0; 1 << 20];
    let mut got = 0_u64;
    loop {
        let count = client.read(&mut block).await.unwrap();
        if count == 0 {
            break;
        }
        got += count as u64;
    }
    assert!(got > size && got < size + 1000, "{got}");
    let status =
        std::fs::read_to_string(format!("/proc/{}/status", tap.pid().as_raw_nonzero())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(peak < 96 << 10, "{peak} KiB at the most");
    let row = tap.rows(1).await.remove(0);
    assert_eq!(
        (row["state"].as_str(), row["response_bytes"].as_u64()),
        (Some("complete"), Some(size))
    );
}

#[tokio::test]
async fn the_session_keeps_what_rules_want() {
    let body = "0123456789".repeat(200_000);
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    for (store, kept) in [
        ("'none'", Kept::Nothing),
        ("'head'", Kept::Nothing),
        ("'full'", Kept::Whole),
        ("10", Kept::Prefix { bytes: 10, digest: consoletap_flow::Digest::sha256([0; 32]) }),
    ] {
        let home = Home::new();
        let origin = RawOrigin::answer(answer.clone()).await.unwrap();
        let redirect = format!("a.example={}", origin.address());
        let file = rules(&home, &format!("[[rule]]\nname = 'r'\nwhen = '~all'\nstore = {store}\n"));
        let tap = home.tap().args(["--resolve", &redirect, "--rules", &file]).start().await;
        let got = Console::ps4("9.00")
            .behind(tap.address())
            .ask(&Request::get("http://a.example/").header("Cookie", "secret"))
            .await
            .unwrap();
        assert_eq!(got.body.len(), body.len());
        assert_eq!(tap.stop().await.code, Some(0));
        let flow = home.flows().remove(0);
        let has_heads = !flow.request.unwrap().headers.is_empty();
        assert_eq!(has_heads, store != "'none'", "{store}");
        let finished = flow.finished.unwrap();
        assert_eq!(finished.response_body.bytes, body.len() as u64, "{store}");
        match (finished.response_body.kept, kept) {
            (Kept::Prefix { bytes, .. }, Kept::Prefix { bytes: wanted, .. }) => {
                assert_eq!(bytes, wanted, "{store}");
            }
            (is, wanted) => assert_eq!(is, wanted, "{store}"),
        }
    }
}

#[tokio::test]
async fn an_update_list_is_answered_with_a_version_of_ones_own() {
    let (home, world) = (Home::new(), World::start().await.unwrap());
    let file = rules(
        &home,
        "[[rule]]\nname = 'r'\nwhen = '~cat fw-updatelist'\n\
         [rule.rewrite.document]\nupdatelist.offer = '09.000.000'\n",
    );
    let tap = home.tap().world(&world).args(["--rules", &file]).start().await;
    let list = ask(&tap, &Console::ps4("1.51"), &Request::get(PS4)).await.text();
    assert!(list.contains("version=\"09.000.000\""), "{list}");
    rewritten(&tap, PS4, "r").await;
}
