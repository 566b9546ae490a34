//! What lies on disk after a run, and how it is shown.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use consoletap_flow::{BodySummary, DigestAlgorithm, Kept};
use consoletap_simulator::{Console, Request, Sizes, World};

use super::harness::Home;

const PIECE: &str =
    "/gs2/ppkgo/prod/CUSA00001_00/1/f_1/f/IP9100-CUSA00001_00-PLAYROOM00000000-A0107-V0100.pkg";
const MIB: u64 = 1 << 20;

/// A session with one answer of this size; its octets, and what is known of the body.
async fn with_body(home: &Home, size: u64) -> (Vec<u8>, BodySummary) {
    let sizes = Sizes { package_piece: size, ..Sizes::default() };
    let world = World::start_with(sizes).await.unwrap();
    let tap = home.tap().world(&world).start().await;
    let url = format!("http://gs2.ww.prod.dl.playstation.net{PIECE}");
    let answer = Console::ps4("1.51").behind(tap.address()).ask(&Request::get(&url)).await.unwrap();
    assert_eq!(answer.body.len() as u64, size);
    tap.stop().await;
    let body = home.flows().remove(0).finished.unwrap().response_body;
    (answer.body, body)
}

/// The file of this hash, and what `sha256sum` says of it.
async fn file_of(home: &Home, hex: &str) -> Vec<u8> {
    let path = home.path("session/bodies").join(&hex[..2]).join(format!("{hex}.bin"));
    let sum = home.program("sha256sum").arg(&path).output().await.unwrap();
    assert!(sum.stdout.starts_with(hex.as_bytes()), "the name is the SHA-256 of the octets");
    std::fs::read(path).unwrap()
}

#[tokio::test]
async fn a_body_of_a_mebibyte_is_kept_whole_under_its_hash() {
    for size in [1, 849, 4096, 4097, MIB] {
        let home = Home::new();
        let (served, body) = with_body(&home, size).await;
        assert_eq!((body.bytes, body.kept), (size, Kept::Whole));
        let digest = body.digest.unwrap();
        assert_eq!(digest.algorithm, DigestAlgorithm::Sha256);
        // A small one is a line of the log.
        if size > 4096 {
            assert!(file_of(&home, &digest.hex()).await == served);
        } else {
            assert_eq!(files(&home.path("session/bodies")).len(), 0);
        }
        assert!(home.session().body(&digest).unwrap() == served);
    }
}

#[tokio::test]
async fn of_a_larger_body_the_beginning_is_kept_and_the_hash_and_length_of_all() {
    for size in [MIB + 1, 3 * MIB] {
        let home = Home::new();
        let (served, body) = with_body(&home, size).await;
        let Kept::Prefix { bytes, digest } = body.kept else { panic!("{body:?}") };
        assert_eq!((body.bytes, bytes), (size, 64 << 10));
        assert_eq!(body.digest.unwrap().octets, *blake3::hash(&served).as_bytes());
        assert_eq!(body.digest.unwrap().algorithm, DigestAlgorithm::Blake3);
        assert!(file_of(&home, &digest.hex()).await == served[..64 << 10]);
    }
}

#[tokio::test]
async fn an_equal_body_is_kept_once() {
    let (home, world) = (Home::new(), World::start().await.unwrap());
    let tap = home.tap().world(&world).start().await;
    let mut client = Console::ps4("1.51").behind(tap.address());
    for number in 0..3 {
        let url = format!(
            "http://fus01.ps4.update.playstation.net/update/ps4/list/us/ps4-updatelist.xml?{number}"
        );
        client.ask(&Request::get(&url)).await.unwrap();
    }
    tap.stop().await;
    let log = std::fs::read_to_string(home.path("session/log-000001.jsonl")).unwrap();
    assert_eq!(log.lines().filter(|line| line.starts_with("{\"body\":")).count(), 1);
}

#[tokio::test]
async fn only_the_owner_may_read_what_was_recorded() {
    let home = Home::new();
    with_body(&home, 5000).await;
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&home.path("session")), 0o700);
    assert_eq!(mode(&home.path("session/bodies")), 0o700);
    let files = files(&home.path("session"));
    assert!(files.len() >= 4, "{files:?}");
    for file in files {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}

#[tokio::test]
async fn sessions_are_listed_and_shown_by_filter_and_by_number() {
    let (home, world) = (Home::new(), World::start().await.unwrap());
    let tap = home.tap().session("mine/one.psession").world(&world).start().await;
    let console = Console::ps4("1.51");
    let mut client = console.behind(tap.address());
    let list =
        "http://fus01.ps4.update.playstation.net/update/ps4/list/us/ps4-updatelist.xml?sid=geheim";
    let list = Request::get(list).agent(console.update_agent()).header("Cookie", "npsso=geheim");
    client.ask(&list).await.unwrap();
    client.ask(&Request::get("http://get.net.playstation.net/networktest/get_2m")).await.unwrap();
    client.ask(&Request::get("http://127.0.0.1:1/")).await.unwrap();
    tap.stop().await;

    let listed = home.run(&["session", "list", &home.text("mine")]).await;
    assert_eq!(listed.code, Some(0));
    assert!(listed.stdout.contains("3 flows"), "{}", listed.stdout);
    assert!(listed.stdout.contains(&home.text("mine/one.psession")), "{}", listed.stdout);
    let none = home.run(&["session", "list"]).await;
    assert!(none.stdout.starts_with("There is no session in "), "{}", none.stdout);

    let session = home.text("mine/one.psession");
    let show = async |words: &[&str]| {
        let ended = home.run(&[&["session", "show", &session], words].concat()).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        ended.stdout
    };
    let all = show(&[]).await;
    assert_eq!(all.lines().filter(|line| line.contains(" GET ")).count(), 3, "{all}");
    let updates = show(&["~cat", "fw-updatelist"]).await;
    assert_eq!(updates.lines().filter(|line| line.contains(" GET ")).count(), 1, "{updates}");
    let failed = show(&["~c", "5xx"]).await;
    assert!(
        failed.contains("127.0.0.1:1") && failed.contains("refused the connection"),
        "{failed}"
    );
    assert_eq!(show(&["~c 404"]).await, "");

    let page = show(&["1"]).await;
    for part in ["ps4-updatelist.xml", "fw-updatelist", "libhttp", "200", "<region id=\"us\">"] {
        assert!(page.contains(part), "{part} is missing: {page}");
    }
    assert!(!page.contains("geheim"), "{page}");
    let page = show(&["1", "--with-secrets"]).await;
    assert_eq!(page.matches("geheim").count(), 3, "{page}");
    let missing = home.run(&["session", "show", &session, "99"]).await;
    assert_eq!(missing.code, Some(1));
    assert!(missing.stderr.contains("there is no flow 99"), "{}", missing.stderr);
}

#[tokio::test]
async fn a_session_can_be_read_while_it_is_written() {
    let (home, world) = (Home::new(), World::start().await.unwrap());
    let tap = home.tap().world(&world).start().await;
    let mut client = Console::ps4("1.51").behind(tap.address());
    for number in 1..=5 {
        let url = format!(
            "http://tmdb.np.dl.playstation.net/tmdb2/CUSA00080_00_4ED0D1374CB128AC8E277C9A3145505220D6D93A/CUSA00080_00.json?{number}"
        );
        client.ask(&Request::get(&url)).await.unwrap();
        let rows = home.rows(&[]).await;
        assert_eq!(rows.len(), number);
        assert_eq!(rows[number - 1]["state"], "complete", "what a client got in full is there");
    }
    tap.stop().await;
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}
