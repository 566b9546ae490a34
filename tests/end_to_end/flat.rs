//! A session of 200 MB goes out, comes back in and is saved in flat memory.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use consoletap_simulator::{Console, Request, Sizes, World};
use tokio::time::{sleep, timeout};

use super::harness::Home;

const PIECE: &str = "http://gs2.ww.prod.dl.playstation.net/gs2/ppkgo/prod/CUSA00001_00/1/f_1/f/IP9100-CUSA00001_00-PLAYROOM00000000-A0107-V0100.pkg";
const FILE: u64 = 100 << 20;
const SLICE: u64 = 1 << 20;

/// What holds one body of 100 MB, or its base64, is above this.
const MOST_KIB: u64 = 64 << 10;

/// Minutes, on a machine that compiles meanwhile and without optimisation.
const PATIENCE: Duration = Duration::from_secs(240);

/// Runs it to its end; how much memory it had at the most. What it takes in its last two
/// milliseconds is not seen.
async fn peak_kib(home: &Home, args: &[&str]) -> u64 {
    let mut command = home.program(env!("CARGO_BIN_EXE_consoletap"));
    let mut child = command.args(args).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id().unwrap());
    let mut peak = 0;
    let running = async {
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            // It only grows, and is gone with the process.
            let text = std::fs::read_to_string(&status).unwrap_or_default();
            if let Some(line) = text.lines().find_map(|line| line.strip_prefix("VmHWM:")) {
                peak = line.trim().trim_end_matches(" kB").parse().unwrap();
            }
            sleep(Duration::from_millis(2)).await;
        }
    };
    let status = timeout(PATIENCE, running).await.expect("it ends");
    assert!(status.success(), "{args:?}");
    assert!(peak > 0, "{args:?} was over before it was looked at");
    peak
}

fn hash(path: &Path) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    std::io::copy(&mut File::open(path).unwrap(), &mut hasher).unwrap();
    hasher.finalize()
}

#[tokio::test]
async fn a_large_session_is_saved_exported_and_imported_in_flat_memory() {
    let home = Home::new();
    let sizes = Sizes { package_piece: FILE, ..Sizes::default() };
    let world = World::start_with(sizes).await.unwrap();
    let tap = home.tap().world(&world).args(["--store", "full"]).start().await;
    let mut client = Console::ps4("1.51").behind(tap.address());
    let mut served = blake3::Hasher::new();
    for first in (0..FILE).step_by(SLICE as usize) {
        let range = format!("bytes={first}-{}", first + SLICE - 1);
        let answer = client.ask(&Request::get(PIECE).header("Range", &range)).await.unwrap();
        served.update(&answer.body);
    }
    let served = served.finalize();
    let whole = client.ask(&Request::get(&format!("{PIECE}?whole"))).await.unwrap();
    assert_eq!(blake3::hash(&whole.body), served);
    drop(whole);
    tap.stop().await;

    let session = home.text("session");
    let run = |args: &'static [&'static str]| {
        let args: Vec<String> = args.iter().map(|arg| arg.replace("SESSION", &session)).collect();
        let home = &home;
        async move {
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            let peak = peak_kib(home, &args).await;
            assert!(peak < MOST_KIB, "{args:?}: {peak} KiB");
        }
    };
    // 100 slices in one file, and one body of that size.
    run(&["session", "save", "SESSION", "d1", "slices"]).await;
    assert_eq!(hash(&home.path("slices")), served);
    run(&["session", "save", "SESSION", "101", "body"]).await;
    assert_eq!(hash(&home.path("body")), served);
    run(&["session", "export", "SESSION", "-f", "har", "-o", "out.har"]).await;
    let exported = home.path("out.har").metadata().unwrap().len();
    assert!(exported > FILE * 4 / 3, "in base64 it is {exported} bytes");
    run(&["session", "import", "out.har", "back"]).await;
    let back = consoletap_session::Session::open(&home.path("back")).unwrap();
    let mut again = blake3::Hasher::new();
    for flow in back.flows().take(100).map(Result::unwrap) {
        let digest = flow.finished.unwrap().response_body.digest.unwrap();
        again.update(&back.body(&digest).unwrap());
    }
    assert_eq!(again.finalize(), served);
}
