//! Files that a console fetches in pieces: listed as downloads, checked, and saved.

use consoletap_simulator::{Console, Request, World};
use serde_json::Value;

use super::harness::{Home, json_lines};

const MANIFEST: &str = "http://gs2.ww.prod.dl.playstation.net/gs2/ppkgo/prod/CUSA00135_00/21/f_06da3b33d65c72bc25dac70c5d3c5669addbe50a94e87cc644e5b9471101303f/f/EP1018-CUSA00135_00-BATMANARKHAMKNHT-A0118-V0100.json";

/// Fetches a file in slices of this size, but not those for which `leave_out` says so; the octets.
async fn fetch(
    client: &mut consoletap_simulator::Client,
    url: &str,
    total: usize,
    slice: usize,
    leave_out: impl Fn(usize) -> bool,
) -> Vec<u8> {
    let mut file = vec![0; total];
    for (number, start) in (0..total).step_by(slice).enumerate() {
        let end = (start + slice).min(total);
        if leave_out(number) {
            continue;
        }
        // The console asks with another token each time.
        let request = Request::get(&format!("{url}?downloadId={number}"))
            .header("Range", &format!("bytes={start}-{}", end - 1));
        let answer = client.ask(&request).await.unwrap();
        assert_eq!(answer.head.status, 206);
        file[start..end].copy_from_slice(&answer.body);
    }
    file
}

#[tokio::test]
async fn slices_are_one_download_with_its_check_and_can_be_saved() {
    let (home, world) = (Home::new(), World::start().await.unwrap());
    let tap = home.tap().world(&world).args(["--store", "full"]).start().await;
    let mut client = Console::ps4("5.05").behind(tap.address());
    let manifest = client.ask(&Request::get(MANIFEST)).await.unwrap();
    let manifest: Value = serde_json::from_slice(&manifest.body).unwrap();
    let piece = |number: usize| {
        let piece = &manifest["pieces"][number];
        let size = usize::try_from(piece["fileSize"].as_u64().unwrap()).unwrap();
        (piece["url"].as_str().unwrap().to_owned(), size)
    };
    let (first, size) = piece(0);
    // A slice above 1 MiB is a body of a file of its own, streamed to disk.
    let file = fetch(&mut client, &first, size, 1_200_000, |_| false).await;
    let (second, size) = piece(1);
    fetch(&mut client, &second, size, 500_000, |number| number == 2).await;
    let (third, _) = piece(2);
    let whole = client.ask(&Request::get(&third)).await.unwrap().body;
    tap.stop().await;

    let session = home.text("session");
    let listed = home.run(&["session", "downloads", &session, "--json"]).await;
    assert_eq!(listed.code, Some(0), "{listed:?}");
    let rows = json_lines(&listed.stdout);
    let column = |key: &str| rows.iter().map(|row| row[key].clone()).collect::<Vec<_>>();
    assert_eq!(column("url"), [first.as_str(), &second, &third]);
    assert_eq!(column("check"), ["right", "incomplete", "right"]);
    assert_eq!(column("complete"), [true, false, true]);
    assert_eq!(rows[1]["missing"], serde_json::json!(["1000000-1499999"]));
    assert_eq!(rows[0]["flows"].as_array().unwrap().len(), size.div_ceil(1_200_000));

    let text = home.run(&["session", "downloads", &session]).await.stdout;
    assert!(text.contains("its SHA-1 is the one that flow 1 says"), "{text}");
    assert!(text.contains("missing: 1000000-1499999"), "{text}");

    for (name, octets) in [("d1", &file), ("d3", &whole)] {
        let to = home.text(name);
        let saved = home.run(&["session", "save", &session, name, &to]).await;
        assert_eq!(saved.code, Some(0), "{saved:?}");
        assert!(std::fs::read(&to).unwrap() == **octets, "{name}");
        let again = home.run(&["session", "save", &session, name, &to]).await;
        assert_eq!(again.code, Some(1), "a file that is there is left alone");
    }
    let missing = home.run(&["session", "save", &session, "d2", &home.text("d2")]).await;
    assert_eq!(missing.code, Some(1));
    assert!(missing.stderr.contains("1000000-1499999"), "{}", missing.stderr);
    assert!(!home.path("d2").exists());
    // The answer of one flow.
    let to = home.text("manifest.json");
    assert_eq!(home.run(&["session", "save", &session, "1", &to]).await.code, Some(0));
    let saved: Value = serde_json::from_slice(&std::fs::read(to).unwrap()).unwrap();
    assert_eq!(saved, manifest);
    assert_eq!(home.run(&["session", "save", &session, "d9", "x"]).await.code, Some(2));
    assert_eq!(home.run(&["session", "save", &session, "what", "x"]).await.code, Some(2));
}

#[tokio::test]
async fn the_addresses_are_printed_for_other_programs() {
    let (home, world) = (Home::new(), World::start().await.unwrap());
    let tap = home.tap().world(&world).start().await;
    let mut client = Console::ps4("5.05").behind(tap.address());
    let manifest = client.ask(&Request::get(MANIFEST)).await.unwrap();
    let manifest: Value = serde_json::from_slice(&manifest.body).unwrap();
    let url = manifest["pieces"][0]["url"].as_str().unwrap();
    fetch(&mut client, url, 2000, 1000, |_| false).await;
    tap.stop().await;
    let name = url.rsplit('/').next().unwrap();
    let hash = manifest["pieces"][0]["hashValue"].as_str().unwrap().to_lowercase();
    for (program, expected) in [
        ("--links=aria2", format!("{url}\n  out={name}\n  checksum=sha-1={hash}\n")),
        ("--links", format!("{url}\n  out={name}\n  checksum=sha-1={hash}\n")),
        ("--links=wget", format!("{url}\n")),
        ("--links=curl", format!("url = \"{url}\"\noutput = \"{name}\"\n")),
    ] {
        let session = home.text("session");
        let links = home.run(&["session", "downloads", &session, program]).await;
        assert_eq!(links.stdout, expected, "{program}");
    }
}
