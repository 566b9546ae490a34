//! Requests that go somewhere else, and heads that are changed on the way.

use consoletap_flow::{Effect, State};
use consoletap_simulator::RawOrigin;

use super::{alone, answer, did, rule, ruled, ruled_with};

fn received(origin: &RawOrigin) -> String {
    String::from_utf8(origin.received().remove(0)).unwrap()
}

#[tokio::test]
async fn a_request_goes_to_another_host_port_and_path() {
    let origin = RawOrigin::answer(answer("Connection: close\r\n", "older")).await.unwrap();
    let rules = format!(
        "[[rule]]\nname = 'r'\nwhen = '~m GET'\nurl = '/(?<title>CUSA\\d+)-ver\\.json'\n\
         map-remote = {{ host = '{}', path = '/old/{{title}}.json' }}\n",
        origin.address()
    );
    let ruled = alone_directly(&rules).await;
    let got = ruled.get("/a/CUSA00001-ver.json?x=1").await;
    assert_eq!(got.text(), "older");
    assert_eq!(
        received(&origin),
        format!("GET /old/CUSA00001.json?x=1 HTTP/1.1\r\nHost: {}\r\n\r\n", origin.address())
    );
    let flow = ruled.flow().await;
    assert_eq!(flow.target.as_ref().unwrap().to_string(), "http://h.test/a/CUSA00001-ver.json?x=1");
    let expected = format!("r: asked http://{}/old/CUSA00001.json?x=1 instead", origin.address());
    assert_eq!((did(&flow), flow.rules[0].effect), (vec![expected], Effect::Rewritten));
}

/// Without a redirect: names are what they are.
async fn alone_directly(rules: &str) -> super::Ruled {
    ruled_with(([127, 0, 0, 1], 1).into(), rules, |settings| settings.redirects.clear()).await
}

#[tokio::test]
async fn the_host_that_was_asked_for_can_be_kept() {
    let origin = RawOrigin::answer(answer("Connection: close\r\n", "x")).await.unwrap();
    let action = format!("map-remote = {{ host = '{}', keep-host = true }}", origin.address());
    let ruled = alone_directly(&rule(&action)).await;
    ruled.get("/p?q").await;
    assert_eq!(received(&origin), "GET /p?q HTTP/1.1\r\nHost: h.test\r\n\r\n");
}

#[tokio::test]
async fn no_rule_leads_back_to_the_proxy() {
    // The port is known only once the proxy listens, so the client says it.
    let rules =
        rule("url = '/(?<port>\\d+)'\nmap-remote = { host = '127.0.0.1:{port}', path = '/' }");
    let ruled = alone_directly(&rules).await;
    let got = ruled.get(&format!("/{}", ruled.proxy.address.port())).await;
    assert_eq!(got.status(), 508, "{}", got.text());
    let got = ruled.get("/99999").await;
    assert!(got.status() >= 500, "the request goes where it wanted, which is nowhere");
    let flows = ruled.proxy.flows().await;
    assert_eq!(flows[0].state(), State::Refused);
    assert!(flows[1].notes[0].contains("is no host"), "{:?}", flows[1].notes);
}

#[tokio::test]
async fn fields_are_set_removed_and_renamed_on_both_ways() {
    let fields = "Connection: close\r\nETag: \"1\"\r\nX-Old: 1\r\nServer: s\r\nX-Old: 2\r\n";
    let origin = RawOrigin::answer(answer(fields, "x")).await.unwrap();
    let rules = r#"
[[rule]]
name = "set"
when = "~all"
url = 'test/(.*)'
set-header = { request = { "User-Agent" = "agent of {1}", "X-New" = ["a", "b"] }, answer = { "server" = "mine" } }
[[rule]]
name = "remove"
when = "~all"
remove-header = { request = ["Cookie"], answer = ["etag", "X-None"] }
[[rule]]
name = "rename"
when = "~all"
rename-header = { request = { "X-Who" = "X-Whom" }, answer = { "X-Old" = "X-New" } }
[[rule]]
name = "never"
when = "~all"
set-header = { answer = { "X-Second" = "of its kind" } }
"#;
    let ruled = ruled(&origin, rules).await;
    let more = "user-agent: old\r\nCookie: a=b\r\nX-Who: me\r\n";
    let got = ruled.ask("GET", "/path", more).await;
    assert_eq!(
        received(&origin),
        "GET /path HTTP/1.1\r\nHost: h.test\r\nuser-agent: agent of path\r\nX-Whom: me\r\n\
         X-New: a\r\nX-New: b\r\n\r\n"
    );
    assert_eq!(
        got.head,
        "HTTP/1.1 200 OK\r\nX-New: 1\r\nServer: mine\r\nX-New: 2\r\nContent-Length: 1\r\n\
         Connection: close\r\n\r\n"
    );
    let flow = ruled.flow().await;
    assert_eq!(
        did(&flow),
        [
            "rename: request: renamed X-Who to X-Whom",
            "remove: request: removed Cookie: a=b",
            "set: request: User-Agent: old -> agent of path; added X-New: a, b",
            "rename: answer: renamed X-Old to X-New",
            "remove: answer: removed etag: \"1\"",
            "set: answer: server: s -> mine",
        ]
    );
    // The row shows what the server said.
    assert!(flow.response.unwrap().headers.contains("etag"));
}

#[tokio::test]
async fn a_rule_is_for_the_clients_it_names() {
    let ruled = alone(&rule("client = '192.0.2.0/24'\nblock = 404")).await;
    assert_eq!(ruled.get("/").await.status(), 502);
    let ruled = alone(&rule("client = ['192.0.2.1', '127.0.0.1']\nblock = 404")).await;
    assert_eq!(ruled.get("/").await.status(), 404);
}

#[tokio::test]
async fn a_tag_and_a_store_policy_are_in_the_row() {
    let origin =
        RawOrigin::answer(answer("Connection: close\r\nX-Secret: 1\r\n", "x")).await.unwrap();
    let rules = rule("tag = ['seen', 'twice']") + &rule("store = 'none'").replace("\"r\"", "\"s\"");
    let ruled = ruled(&origin, &rules).await;
    let got = ruled.ask("GET", "/", "Cookie: secret\r\n").await;
    assert_eq!((got.field("x-secret"), got.text().as_str()), (Some("1"), "x"));
    assert!(received(&origin).contains("Cookie: secret"));
    let flow = ruled.flow().await;
    assert_eq!(did(&flow), ["r: tagged seen, twice", "s: keep the row alone in the session"]);
    assert!(flow.request.unwrap().headers.is_empty() && flow.response.unwrap().headers.is_empty());
}
