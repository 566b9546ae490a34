//! What the simulated internet answers, and what it keeps of the requests.

#![expect(clippy::unwrap_used, reason = "what surrounds a test may end it")]

use std::sync::Arc;

use bytes::Bytes;
use consoletap_simulator::{Client, Console, GotAnswer, Request, World};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A console that takes the origin for its proxy.
async fn world_and_client() -> (World, Client) {
    let world = World::start().await.unwrap();
    let client = Console::ps4("9.00").behind(world.address());
    (world, client)
}

async fn get(client: &mut Client, url: &str) -> GotAnswer {
    client.ask(&Request::get(url)).await.unwrap()
}

#[tokio::test]
async fn a_head_is_kept_byte_for_byte() {
    let world = World::start().await.unwrap();
    let head = "GET /netstart/icst HTTP/1.1\r\nuser-AGENT:  odd\r\nHost: ena.net.playstation.net\r\n\
                X-A: 2\r\nx-a: 1\r\nConnection: close\r\n\r\n";
    let mut stream = TcpStream::connect(world.address()).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nSuccess"),
        "{answer}"
    );
    let seen = &world.requests()[0];
    assert_eq!(seen.raw_head, head.as_bytes());
    let names: Vec<_> = seen.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["user-AGENT", "Host", "X-A", "x-a", "Connection"]);
    assert_eq!((seen.target.as_str(), seen.host()), ("/netstart/icst", "ena.net.playstation.net"));
}

#[tokio::test]
async fn http_2_is_spoken_to_those_who_offer_it() {
    let world = World::start().await.unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(rustls::ALL_VERSIONS)
        .unwrap()
        .with_root_certificates(world.roots())
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let stream = TcpStream::connect(world.address()).await.unwrap();
    let name = "ps4-eb.ww.np.dl.playstation.net".try_into().unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let stream = TokioIo::new(connector.connect(name, stream).await.unwrap());
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    tokio::spawn(connection);
    let request =
        hyper::Request::post("https://ps4-eb.ww.np.dl.playstation.net/a/servicelist.xml?b")
            .header("x-first", "1")
            .body(Full::new(Bytes::from_static(b"body")))
            .unwrap();
    let answer = sender.send_request(request).await.unwrap();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    assert!(body.starts_with(b"<?xml") && body.ends_with(b"</servicelist>\n"));
    let seen = &world.requests()[0];
    assert_eq!((seen.version.as_str(), seen.target.as_str()), ("HTTP/2.0", "/a/servicelist.xml?b"));
    assert_eq!(seen.host(), "ps4-eb.ww.np.dl.playstation.net");
    assert_eq!((seen.tls, seen.body_length, seen.body_complete), (true, 4, true));
}

#[tokio::test]
async fn lists_are_of_the_region_that_was_asked_for() {
    let (_world, mut client) = world_and_client().await;
    for region in ["jp", "us", "eu"] {
        let base = format!("http://f{region}01");
        let ps4 = format!(
            "{base}.ps4.update.playstation.net/update/ps4/list/{region}/ps4-updatelist.xml"
        );
        let list = get(&mut client, &ps4).await.text();
        assert!(list.contains(&format!("<region id=\"{region}\">")), "{list}");
        assert!(
            list.contains(&format!("http://d{region}01.ps4"))
                && list.contains(&format!("dest={region}<"))
        );
        let ps3 = format!(
            "{base}.ps3.update.playstation.net/update/ps3/list/{region}/ps3-updatelist.txt"
        );
        let list = get(&mut client, &ps3).await.text();
        assert!(list.starts_with(&format!("# {}\r\n", region.to_uppercase())), "{list}");
        assert_eq!(list.lines().count(), 4);
    }
    let none = "http://fus01.ps4.update.playstation.net/update/ps4/list/x%22/ps4-updatelist.xml";
    assert_eq!(get(&mut client, none).await.head.status, 404);
}

#[tokio::test]
async fn a_description_leads_to_a_manifest_and_that_to_its_pieces() {
    let (world, mut client) = world_and_client().await;
    let hash = "9228795a710cf58e86af98f8496dc2db2ec104abd199812ba9780b8b691327a9";
    let gs_sec = "http://gs-sec.ww.np.dl.playstation.net/plo/np";
    let version =
        get(&mut client, &format!("{gs_sec}/CUSA00135/{hash}/CUSA00135-ver.xml")).await.text();
    let start = version.find("manifest_url=\"").unwrap() + "manifest_url=\"".len();
    let url = version[start..].split('"').next().unwrap();
    let manifest = get(&mut client, url).await;
    let manifest: serde_json::Value = serde_json::from_slice(&manifest.body).unwrap();
    let pieces = manifest["pieces"].as_array().unwrap();
    assert_eq!(manifest["numberOfSplitFiles"], pieces.len());
    let mut end = 0;
    for piece in pieces {
        let package = get(&mut client, piece["url"].as_str().unwrap()).await;
        assert_eq!(piece["fileOffset"], end);
        end += package.body.len() as u64;
        assert_eq!(piece["fileSize"], package.body.len());
        assert_eq!(&package.body[..4], b"\x7fCNT");
        assert_eq!(&package.body[0x40..0x64], b"EP1018-CUSA00135_00-BATMANARKHAMKNHT");
        assert_eq!(piece["hashValue"], sha1(&package.body));
    }
    assert_eq!(manifest["originalFileSize"], end);
    assert_eq!(world.sizes().package_piece, pieces[0]["fileSize"].as_u64().unwrap());

    let other = get(&mut client, &format!("{gs_sec}/CUSA99999/{hash}/CUSA99999-ver.xml")).await;
    assert_eq!(other.head.status, 404);
    assert!(other.text().contains("<Code>NoSuchKey</Code>"));
}

fn sha1(bytes: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, bytes);
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn metadata_has_the_fields_of_tmdb2() {
    let (_world, mut client) = world_and_client().await;
    let url = "http://tmdb.np.dl.playstation.net/tmdb2/CUSA00080_00_4ED0D1374CB128AC8E277C9A3145505220D6D93A/CUSA00080_00.json";
    let answer = get(&mut client, url).await;
    let metadata: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(metadata["npTitleId"], "CUSA00080_00");
    for number in
        ["revision", "patchRevision", "formatVersion", "parentalLevel", "psVr", "neoEnable"]
    {
        assert!(metadata[number].is_u64(), "{number}");
    }
    assert_eq!(metadata["contentId"].as_str().unwrap().len(), 36);
    assert_eq!(
        metadata["names"][0].as_object().unwrap().len(),
        1,
        "the first name has no language"
    );
}

#[tokio::test]
async fn the_image_converter_keeps_to_its_limits() {
    let (_world, mut client) = world_and_client().await;
    let image = "image=https://pbs.twimg.com/profile_images/785892918645129216/1bmhzm0t.jpg";
    let base = "http://image.api.np.km.playstation.net";
    for (path, query, status) in [
        ("/images/", format!("?format=png&w=4096&h=2160&{image}"), 200),
        ("/dis/images/", format!("?format=png&w=4096&h=2160&{image}"), 200),
        ("/images/", format!("?{image}?w=9999"), 200),
        ("/images/", format!("?w=4097&{image}"), 400),
        ("/images/", "?format=png".to_owned(), 400),
        ("/images/", format!("?format=jpg&{image}"), 501),
    ] {
        let answer = get(&mut client, &format!("{base}{path}{query}")).await;
        assert_eq!(answer.head.status, status, "{path}{query}");
    }
}
