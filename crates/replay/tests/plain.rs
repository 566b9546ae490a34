//! A build without TLS: HTTP is replayed as ever, HTTPS is refused with its reason.

#![cfg(not(feature = "interception"))]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;

use consoletap_replay::{Answer, TestProxy};

const LIST: &str = "http://fus01.ps4.update.playstation.net/update/ps4/list/us/ps4-updatelist.xml";

fn ps4() -> PathBuf {
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/sessions/ps4").into()
}

/// What comes for this, until the end.
fn say(replay: &TestProxy, request: &str) -> String {
    let mut stream = TcpStream::connect(replay.address()).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn http_is_answered_in_a_tunnel_and_outside_of_one() {
    let replay = TestProxy::serve(ps4());
    let outside = say(
        &replay,
        &format!(
            "GET {LIST} HTTP/1.1\r\nHost: fus01.ps4.update.playstation.net\r\nConnection: close\r\n\r\n"
        ),
    );
    assert!(outside.contains("<update_data_list>"), "{outside}");
    // ureq asks for a tunnel even for HTTP.
    let proxy = ureq::Proxy::new(&replay.url()).unwrap();
    let client: ureq::Agent = ureq::config::Config::builder().proxy(Some(proxy)).build().into();
    let inside = client.get(LIST).call().unwrap().body_mut().read_to_string().unwrap();
    assert!(outside.ends_with(&inside));
    replay.asked("~cat fw-updatelist").times(2);
}

#[test]
fn a_tunnel_to_what_was_https_is_refused_with_its_reason() {
    let replay = TestProxy::of(ps4()).tolerate("~m CONNECT").start();
    let host = "ps4-eb.ww.np.dl.playstation.net:443";
    let answer = say(&replay, &format!("CONNECT {host} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    assert!(answer.starts_with("HTTP/1.1 504 "), "{answer}");
    let why = format!(
        "{host} was spoken to by HTTPS, which this build does not replay; one with the feature interception does"
    );
    assert!(answer.contains(&why), "{answer}");
}

#[test]
#[should_panic(expected = "HTTPS is answered by a build with the feature interception")]
fn an_answer_to_https_cannot_be_written_by_hand() {
    drop(TestProxy::of(ps4()).answer(Answer::get("https://by-hand.test/").body("hand")).start());
}
