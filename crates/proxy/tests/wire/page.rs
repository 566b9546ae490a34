//! The proxy's own pages: through the proxy, by its address, and inside TLS of ours.

use std::time::Duration;

use consoletap_flow::{Kind, State};
use consoletap_simulator::RawOrigin;
use rustls::RootCertStore;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::harness::{LIMIT, Tested, Wanted};
use super::tls_peers::{offering, tls};

const PS3: &str = "Mozilla/5.0 (PLAYSTATION 3; 1.00)";

/// Head and body of the answer to this request.
async fn ask(proxy: &Tested, request: &str) -> (String, String) {
    let answer = proxy.say(request).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    (head.to_owned(), body.to_owned())
}

async fn get(proxy: &Tested, url: &str, host: &str) -> (String, String) {
    ask(
        proxy,
        &format!(
            "GET {url} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {PS3}\r\nConnection: close\r\n\r\n"
        ),
    )
    .await
}

fn field<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

#[tokio::test]
async fn the_page_comes_through_the_proxy_and_from_its_address() {
    let proxy = Tested::start().await;
    let own = proxy.address.to_string();
    let [asked, mapped] = [&*own, &format!("[::ffff:127.0.0.1]:{}", proxy.address.port())]
        .map(|address| format!("http://{address}/"));
    for (url, host) in [
        // A browser that uses the proxy, and was told the proxy's own address.
        (&*asked, &*own),
        (&*mapped, &*own),
        ("http://consoletap.test/", "consoletap.test"),
        ("http://CONSOLETAP.test", "consoletap.test"),
        ("http://consoletap.test:8080/?x=1", "consoletap.test:8080"),
        ("/", &*own),
        ("/", "localhost:8080"),
        ("/", "[::1]:8080"),
        ("/", "consoletap.test"),
    ] {
        let (head, body) = get(&proxy, url, host).await;
        assert!(head.starts_with("HTTP/1.1 200 OK"), "{url} {host}: {head}");
        assert!(body.contains("You are seen as: PlayStation 3, address 127.0.0.1"), "{body}");
        assert_eq!(field(&head, "Content-Length"), Some(&*body.len().to_string()));
        assert_eq!(field(&head, "X-Content-Type-Options"), Some("nosniff"));
        assert_eq!(field(&head, "Cache-Control"), Some("no-store"));
        let policy = field(&head, "Content-Security-Policy").unwrap();
        assert!(policy.starts_with("default-src 'none'"), "{policy}");
        assert!(!head.contains("Access-Control"), "{head}");
        assert!(body.is_ascii() && !body.contains("<script") && !body.contains("style"), "{body}");
    }
    let flows = proxy.flows().await;
    assert_eq!(flows.len(), 9, "a page is a row too");
    for flow in flows {
        assert_eq!((flow.kind, flow.state()), (Kind::Http, State::Complete));
        assert_eq!(flow.notes, ["answered by consoletap itself"]);
        assert!(flow.finished.unwrap().server.is_none());
    }
}

/// What came through us before is a loop, whatever it asks for.
#[tokio::test]
async fn our_own_address_with_our_own_mark_is_a_loop() {
    let seen = RawOrigin::answer("HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
    let proxy = Tested::start().await;
    let (head, _) = get(&proxy, &format!("http://{}/", seen.address()), "x").await;
    assert!(head.starts_with("HTTP/1.1 204 "), "{head}");
    let sent = String::from_utf8(seen.received().concat()).unwrap();
    let via = sent.lines().find_map(|line| line.strip_prefix("Via: ")).unwrap();
    let own = proxy.address;
    let (head, _) =
        ask(&proxy, &format!("GET http://{own}/ HTTP/1.1\r\nHost: {own}\r\nVia: {via}\r\n\r\n"))
            .await;
    assert!(head.starts_with("HTTP/1.1 508 "), "{head}");
}

#[tokio::test]
async fn http_1_0_and_head_are_served() {
    let proxy = Tested::start().await;
    let (head, body) = ask(&proxy, "GET http://consoletap.test/ HTTP/1.0\r\n\r\n").await;
    assert!(head.contains(" 200 OK\r\n") && !head.contains("chunked"), "{head}");
    assert!(body.ends_with("</html>\n"), "{body}");
    let (old, _) = ask(&proxy, "GET / HTTP/1.0\r\n\r\n").await;
    assert!(old.contains(" 200 OK\r\n"), "{old}");
    let length = field(&head, "Content-Length").map(str::to_owned);
    let (head, body) = ask(&proxy, "HEAD http://consoletap.test/ HTTP/1.0\r\n\r\n").await;
    assert_eq!((field(&head, "Content-Length").map(str::to_owned), &*body), (length, ""));
}

/// A page of the web whose name was made to lead here gets what it always got.
#[tokio::test]
async fn other_names_get_no_page() {
    let proxy = Tested::start().await;
    for host in ["evil.example", "consoletap.test.evil.example", "evilconsoletap.test", ""] {
        let (head, body) = get(&proxy, "/", host).await;
        assert!(head.starts_with("HTTP/1.1 400 "), "{host}: {head}");
        assert!(!body.contains("<html>"), "{host}: {body}");
    }
}

#[tokio::test]
async fn what_is_not_there_is_404_and_nothing_can_be_sent() {
    let proxy = Tested::start().await;
    for path in ["/x", "/ca-key.pem", "/../ca-key.pem", "/seen/", "/%73een", "//"] {
        let (head, body) =
            get(&proxy, &format!("http://consoletap.test{path}"), "consoletap.test").await;
        assert!(head.starts_with("HTTP/1.1 404 "), "{path}: {head}");
        assert!(!body.contains(path) || path == "//", "what was asked for is not repeated");
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        let request = format!(
            "{method} http://consoletap.test/ HTTP/1.1\r\nHost: consoletap.test\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        let (head, _) = ask(&proxy, &request).await;
        assert!(head.starts_with("HTTP/1.1 405 "), "{method}: {head}");
        assert_eq!(field(&head, "Allow"), Some("GET, HEAD"));
    }
}

#[tokio::test]
async fn the_certificate_comes_in_each_form_and_never_the_key() {
    let proxy = Tested::start().await;
    for (path, media_type) in [
        ("consoletap-ca.pem", "application/x-x509-ca-cert"),
        ("consoletap-ca.cer", "application/x-x509-ca-cert"),
        ("consoletap-ca.p12", "application/x-pkcs12"),
        ("CA60.cer", "application/x-x509-ca-cert"),
        ("CA_LIST.cer", "application/x-x509-ca-cert"),
    ] {
        let (head, body) =
            get(&proxy, &format!("http://consoletap.test/{path}"), "consoletap.test").await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{path}: {head}");
        assert_eq!(field(&head, "Content-Type"), Some(media_type));
        let disposition = format!("attachment; filename=\"{path}\"");
        assert_eq!(field(&head, "Content-Disposition"), Some(&*disposition));
        assert!(!body.contains("PRIVATE"), "{path}");
        if path.ends_with(".pem") || path.starts_with("CA") {
            assert_eq!(body, proxy.ca_pem);
        }
    }
}

#[tokio::test]
async fn a_client_is_told_what_was_seen_of_it_without_secrets_or_markup() {
    let origin = RawOrigin::answer("HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
    let redirect = format!("*.example={}", origin.address()).parse().unwrap();
    let mut wanted = Wanted::default();
    wanted.settings.redirects = vec![redirect];
    let proxy = Tested::with(wanted).await;
    get(&proxy, "http://a.example/list'<b>.xml?token=secret", "a.example").await;
    proxy.finished(1).await;
    let (_, body) = get(&proxy, "http://consoletap.test/seen", "consoletap.test").await;
    assert!(body.contains("<li>GET a.example/list&#39;&lt;b&gt;.xml 204 browser</li>"), "{body}");
    assert!(!body.contains("secret"), "{body}");
    let (_, again) = get(&proxy, "http://consoletap.test/seen", "consoletap.test").await;
    assert!(
        !again.contains("<li>GET consoletap.test"),
        "pages of ours are not what was seen: {again}"
    );
}

/// The test of the page, with a client that believes our certificate, and one that does not.
#[tokio::test]
async fn the_test_link_works_or_teaches() {
    let mut wanted = Wanted::default();
    // Nothing is to be opened, and no server exists: the test needs neither.
    wanted.settings.deadlines.handshake = Duration::from_secs(10);
    let proxy = Tested::with(wanted).await;
    let last = async || {
        let (_, body) = get(&proxy, "http://consoletap.test/", "consoletap.test").await;
        let at = body.find("The last test");
        at.map(|at| body[at..].lines().next().unwrap_or_default().to_owned())
    };
    assert_eq!(last().await, None);

    let trusting = offering(&proxy, &["http/1.1"]);
    let mut stranger = trusting.clone();
    let verifier = rustls::client::WebPkiServerVerifier::builder_with_provider(
        {
            let mut roots = RootCertStore::empty();
            let ca = consoletap_tls::Authority::load_or_create(
                &tempfile::tempdir().unwrap().path().join("other"),
            );
            roots.add(ca.unwrap().certificate_der()).unwrap();
            roots.into()
        },
        rustls::crypto::aws_lc_rs::default_provider().into(),
    );
    stranger.dangerous().set_certificate_verifier(verifier.build().unwrap());
    // Twice, and the third time is a test as well: nothing is learned from these.
    for _ in 0..2 {
        let refused =
            tls(&proxy, "test.consoletap.test:443", "test.consoletap.test", stranger.clone()).await;
        assert!(refused.is_err());
    }
    let told = tokio::time::timeout(LIMIT, async {
        loop {
            if let Some(told) = last().await {
                return told;
            }
        }
    });
    let told = told.await.unwrap();
    assert!(told.contains("failed: the console rejected our certificate"), "{told}");

    let mut page =
        tls(&proxy, "test.consoletap.test:443", "test.consoletap.test", trusting).await.unwrap();
    page.write_all(b"GET / HTTP/1.1\r\nHost: test.consoletap.test\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut answer = String::new();
    let _ = page.read_to_string(&mut answer).await;
    assert!(answer.contains("<h1>It works</h1>"), "{answer}");
    let told = last().await.unwrap();
    assert!(told.contains("HTTPS could be opened"), "{told}");
}

#[tokio::test]
async fn nothing_of_ours_goes_upstream() {
    let origin = RawOrigin::answer("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
    let mut wanted = Wanted::default();
    wanted.settings.redirects = vec![format!("*={}", origin.address()).parse().unwrap()];
    let proxy = Tested::with(wanted).await;
    for url in
        ["http://consoletap.test/x", "http://any.consoletap.test/", "http://consoletap.test./"]
    {
        get(&proxy, url, "consoletap.test").await;
    }
    // A tunnel to us that holds no TLS, and one whose requests are for somebody else.
    let mut client = proxy.connect().await;
    client.send("CONNECT consoletap.test:80 HTTP/1.1\r\nHost: consoletap.test:80\r\n\r\n").await;
    client.until("\r\n\r\n").await;
    client.send("GET / HTTP/1.1\r\nHost: consoletap.test\r\n\r\n").await;
    client.rest().await;
    let config = offering(&proxy, &["http/1.1"]);
    let mut page =
        tls(&proxy, "test.consoletap.test:443", "test.consoletap.test", config).await.unwrap();
    page.write_all(b"GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut answer = String::new();
    let _ = page.read_to_string(&mut answer).await;
    drop(page);
    assert!(answer.starts_with("HTTP/1.1 "), "{answer}");
    assert!(origin.received().is_empty(), "{:?}", origin.received());
}
