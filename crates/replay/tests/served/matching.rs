//! Which recorded answer a request gets, and what it is told where there is none.

use consoletap_replay::{Repeat, ReplaySettings};

use super::harness::{Recording, Served, get, parts, settings};

/// The bodies that these requests get, under these keys.
async fn answers(
    keys: &str,
    recorded: &[super::harness::Exchange],
    asked: &[(&str, &str, &str, &str)],
) -> Vec<String> {
    let recording = Recording::of(recorded);
    let keys = keys.parse().unwrap();
    let served = Served::with(recording.path(), ReplaySettings { keys, ..settings() }, &[]).await;
    let mut got = Vec::new();
    for (method, url, fields, body) in asked {
        let answer = served.ask(method, url, fields, body).await;
        let (status, body) = parts(&answer);
        got.push(if status == 200 { body.to_owned() } else { status.to_string() });
    }
    served.stop().await;
    got
}

#[tokio::test]
async fn every_key_tells_requests_apart_and_no_other() {
    let url = "http://a.test/x?k=1&t=1";
    let two = |one: &str, other: &str| [get(one, "one"), get(other, "other")];
    let posted =
        |one: &str, other: &str| [get(url, "one").post(one), get(url, "other").post(other)];
    let gets =
        |asked: &[&'static str]| -> Vec<(&'static str, &'static str, &'static str, &'static str)> {
            asked.iter().map(|url| ("GET", *url, "", "")).collect()
        };
    // The host, the path, the query and some of its keys.
    let by_host = two("http://a.test/x", "http://b.test/x");
    let asked = gets(&["http://b.test/x", "http://a.test/x", "http://c.test/x"]);
    assert_eq!(answers("method,host,path", &by_host, &asked).await, ["other", "one", "504"]);
    let asked = gets(&["http://c.test/y"]);
    assert_eq!(answers("host", &by_host, &asked).await, ["504"]);
    assert_eq!(answers("path", &by_host, &gets(&["http://c.test/x"])).await, ["one"]);
    let by_query = two("http://a.test/x?k=1&t=1", "http://a.test/x?k=2&t=2");
    let asked =
        gets(&["http://a.test/x?t=9&k=2", "http://a.test/x?k=1&t=8", "http://a.test/x?k=3"]);
    assert_eq!(answers("+method,-query:t", &by_query, &asked).await, ["other", "one", "504"]);
    assert_eq!(answers("path,query:k", &by_query, &asked).await, ["other", "one", "504"]);
    // The method.
    let by_method = [get(url, "one"), get(url, "other").post("")];
    let asked = [("POST", url, "", ""), ("GET", url, "", ""), ("PUT", url, "", "")];
    assert_eq!(answers("method,path", &by_method, &asked).await, ["other", "one", "504"]);
    // A named header.
    let by_header =
        [get(url, "one").asked("X-Version", "1"), get(url, "other").asked("x-version", "2")];
    let asked = [
        ("GET", url, "X-Version: 2\r\n", ""),
        ("GET", url, "X-Version: 1\r\n", ""),
        ("GET", url, "", ""),
    ];
    let got = answers("+method,header:X-Version", &by_header, &asked).await;
    assert_eq!(got, ["other", "one", "504"]);
    // The body: its octets, its JSON, its form.
    let post = |body: &'static str| ("POST", url, "", body);
    let asked = [post("bb"), post("aa"), post("cc")];
    assert_eq!(answers("path,body", &posted("aa", "bb"), &asked).await, ["other", "one", "504"]);
    let json = posted(r#"{"id":1,"at":1}"#, r#"{"id":2,"at":1}"#);
    let asked = [post(r#"{ "at": 1, "id": 2 }"#), post(r#"{"id":1,"at":7}"#)];
    assert_eq!(answers("path,json", &json, &asked).await, ["other", "504"]);
    assert_eq!(answers("path,json:/id", &json, &asked).await, ["other", "one"]);
    let form = posted("user=a&time=1", "user=b&time=1");
    let asked = [post("time=3&user=%62"), post("user=a&time=1")];
    assert_eq!(answers("path,form:user", &form, &asked).await, ["other", "one"]);
    assert_eq!(answers("path,form", &form, &asked).await, ["504", "one"]);
}

#[tokio::test]
async fn the_catalog_knows_what_means_nothing() {
    // `serverIpAddr` and `r` of a download: signatures and addresses of the moment.
    let url = "http://gs2.ww.prod.dl.playstation.net/gs2/ppkgo/prod/CUSA00080_00/1/f_0/f/\
               UP9000-CUSA00080_00-GAME0000000000-A0101-V0100.pkg";
    let recorded = [get(&format!("{url}?product=0287&serverIpAddr=1.2.3.4&r=00000001"), "package")];
    let asked = format!("{url}?serverIpAddr=9.9.9.9&r=00000002&downloadId=7");
    let got = answers("+method", &recorded, &[("GET", &asked, "", "")]).await;
    assert_eq!(got, ["package"]);
}

/// Outside of downloads, where the rest of the query counts.
#[tokio::test]
async fn only_the_keys_that_the_catalog_names_mean_nothing() {
    let json = "http://gs2.ww.prod.dl.playstation.net/gs2/ppkgo/prod/CUSA00135_00/21/\
                f_06da3b33d65c72bc25dac70c5d3c5669addbe50a94e87cc644e5b9471101303f/f/\
                EP1018-CUSA00135_00-BATMANARKHAMKNHT-A0118-V0100.json";
    let list = "http://fus01.psp2.update.playstation.net/update/psp2/list/us/psp2-updatelist.xml";
    let sun = "https://sun.hac.lp1.d4c.nintendo.net/v1/system_update_meta";
    for (recorded, same, other) in [
        // The signature and the address of the moment; `lang` is no such thing.
        (
            format!("{json}?product=0287&serverIpAddr=1.2.3.4&r=00000001&lang=en"),
            format!("{json}?lang=en&serverIpAddr=9.9.9.9&downloadId=7&q=1&du=0"),
            format!("{json}?product=0287&serverIpAddr=1.2.3.4&r=00000001&lang=de"),
        ),
        // The id of a session; the firmware of the console counts.
        (
            format!("{list}?ver=03730000&sid=0011&nd=2"),
            format!("{list}?ver=03730000&sid=ffee&nd=2"),
            format!("{list}?ver=03740000&sid=0011&nd=2"),
        ),
        (
            format!("{sun}?device_id=6200000000000001&extra=1"),
            format!("{sun}?extra=1"),
            format!("{sun}?device_id=6200000000000001&extra=2"),
        ),
    ] {
        // In the clear, so that plain sockets can ask: the scheme is left out.
        let ask = |url: &str| url.replace("https://", "http://").replace(".net/v1", ".net:443/v1");
        let (same, other) = (ask(&same), ask(&other));
        let asked = [("GET", &*same, "", ""), ("GET", &other, "", "")];
        let got = answers("-scheme", &[get(&recorded, "recorded")], &asked).await;
        assert_eq!(got, ["recorded", "504"], "{recorded}");
    }
}

#[tokio::test]
async fn repeated_requests_get_their_answers_in_order() {
    let url = "http://a.test/state";
    let recording = Recording::of(&[get(url, "1"), get(url, "2"), get(url, "3").status(503)]);
    for (repeat, expected) in [
        (Repeat::Last, ["200 1", "200 2", "503 3", "503 3", "503 3"]),
        (Repeat::Again, ["200 1", "200 2", "503 3", "200 1", "200 2"]),
        (Repeat::Never, ["200 1", "200 2", "503 3", "504 ", "504 "]),
    ] {
        let served =
            Served::with(recording.path(), ReplaySettings { repeat, ..settings() }, &[]).await;
        assert_eq!(served.replay.unused().len(), 3);
        let mut got = Vec::new();
        for _ in 0..5 {
            let answer = served.get(url, "").await;
            let (status, body) = parts(&answer);
            let body = if status == 504 { "" } else { body };
            got.push(format!("{status} {body}"));
        }
        assert_eq!(got, expected, "{repeat:?}");
        assert!(served.replay.unused().is_empty());
        served.stop().await;
    }
}

#[tokio::test]
async fn what_has_no_answer_is_told_with_the_nearest() {
    let recording = Recording::of(&[
        get("http://news.test/other", "news"),
        get("http://api.game.test/v1/scores/list?level=3&page=1&token=SECRET", "scores"),
    ]);
    let settings = ReplaySettings { unmatched: 418, ..settings() };
    let served = Served::with(recording.path(), settings, &[]).await;
    let url = "http://api.game.test/v1/scores/list?level=4&token=OTHER&sort=name";
    let near = served.get(url, "").await;
    let far = served.get("http://elsewhere.example/", "").await;
    assert_eq!((parts(&near).0, parts(&far).0), (418, 418));
    insta::assert_snapshot!(format!("{}---\n{}", parts(&near).1, parts(&far).1));
    let flows = served.stop().await;
    let failure = flows[0].finished.as_ref().unwrap().failure.as_ref().unwrap();
    insta::assert_snapshot!(failure.cause);
}

#[tokio::test]
async fn anything_may_come_for_a_secret_that_was_taken_out() {
    let recorded = [get("http://a.test/x?user=redacted-k3jx7q2m4a&id=1", "one")];
    let asked = [
        ("GET", "http://a.test/x?user=me&id=1", "", ""),
        ("GET", "http://a.test/x?user=me&id=2", "", ""),
    ];
    assert_eq!(answers("+method", &recorded, &asked).await, ["one", "504"]);
}
