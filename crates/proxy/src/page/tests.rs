//! What each console is shown, and that its browser can draw it.

use std::sync::{Arc, LazyLock};

use consoletap_flow::{
    Classification, Client, ConnectionId, Event, Flow, FlowId, Happening, Kind, Opened, Target,
    Timestamp,
};

use super::*;

/// A browser of a handheld has little memory, and may be slow over its radio.
const MOST: usize = 8 << 10;

/// The elements of HTML 3.2 that are used, and their attributes. Nothing here is needed to read the
/// page: what a browser does not know of them it leaves out.
const ELEMENTS: [(&str, &[&str]); 14] = [
    ("html", &[]),
    ("head", &[]),
    ("title", &[]),
    ("body", &["bgcolor", "text", "link", "vlink"]),
    ("font", &["size"]),
    ("h1", &[]),
    ("h2", &[]),
    ("p", &[]),
    ("b", &[]),
    ("a", &["href"]),
    ("ul", &[]),
    ("li", &[]),
    ("br", &[]),
    ("hr", &[]),
];

const CONSOLES: [(&str, Option<Platform>); 7] = [
    ("ps3", Some(Platform::Ps3)),
    ("vita", Some(Platform::PsVita)),
    ("ps4", Some(Platform::Ps4)),
    ("ps5", Some(Platform::Ps5)),
    ("switch", Some(Platform::Switch)),
    ("xbox", Some(Platform::XboxOne)),
    ("unknown", None),
];

static AUTHORITY: LazyLock<CertificateAuthority> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    CertificateAuthority::load_or_create(folder.path()).unwrap()
});

fn facts(platform: Option<Platform>) -> Facts<'static> {
    Facts {
        client: IpAddr::from([192, 168, 1, 23]),
        platform,
        authority: Some(&AUTHORITY),
        intercepts: true,
        tested: None,
        seen: None,
        secure: false,
    }
}

fn page(facts: &Facts<'_>, host: &str, path: &str) -> String {
    let document = answer(facts, "GET", &host.parse().unwrap(), path);
    String::from_utf8(document.body).unwrap()
}

/// The page as it is the same on every machine.
fn told(page: &str) -> String {
    let print = AUTHORITY.fingerprint();
    let octets: Vec<&str> = print.split(':').collect();
    let lines: Vec<String> = octets.chunks(8).map(|octets| octets.join(":")).collect();
    assert!(page.contains(&lines.join(" ")), "the fingerprint is on the page");
    page.replace(&lines.join(" "), "[fingerprint]")
}

#[test]
fn each_console_has_its_page() {
    for (name, platform) in CONSOLES {
        let page = page(&facts(platform), HOST, "/");
        insta::assert_snapshot!(format!("start_{name}"), told(&page));
    }
}

#[test]
fn tests_that_ended_are_told() {
    for (name, outcome) in [
        ("opened", Outcome::Opened),
        ("failed", Outcome::Failed("the console rejected our certificate (unknown_ca)".into())),
    ] {
        let facts = Facts { tested: Some(outcome), intercepts: false, ..facts(None) };
        insta::assert_snapshot!(format!("test_{name}"), told(&page(&facts, HOST, "/")));
    }
    let secure = Facts { secure: true, ..facts(None) };
    insta::assert_snapshot!("it_works", page(&secure, TEST_HOST, "/"));
}

/// Somebody who saw one flow of every client.
struct One;

impl Seen for One {
    fn latest(&self, client: IpAddr) -> Vec<Arc<Flow>> {
        let url = format!("http://a.example/{}?token=secret", "<b>'x'".repeat(40));
        let happening = Happening::Opened(Box::new(Opened {
            kind: Kind::Http,
            client: Client { address: (client, 1).into(), connection: ConnectionId(1) },
            tunnel: None,
            target: Some(Target::Url(url.parse().unwrap())),
            request: None,
            classification: Classification::default(),
        }));
        let event = Event { flow: FlowId(1), at: Timestamp(0), happening };
        let flow = Arc::new(Flow::open(event).unwrap());
        vec![flow; 1000]
    }
}

/// Whatever a browser of 2006 could stumble over: unknown elements, elements that are not closed in
/// order, scripts, styles, frames, things to load, octets that are not in its fonts, sheer size.
#[test]
fn a_browser_of_2006_can_draw_every_page() {
    for (name, platform) in CONSOLES {
        let secure = Facts { secure: true, ..facts(platform) };
        let nobody = Facts { authority: None, intercepts: false, ..facts(platform) };
        let seen = Facts { seen: Some(&One), ..facts(platform) };
        for page in [
            page(&facts(platform), HOST, "/"),
            page(&nobody, HOST, "/"),
            page(&secure, TEST_HOST, "/"),
            page(&facts(platform), HOST, "/seen"),
            page(&facts(platform), HOST, "/none"),
        ] {
            assert!(page.len() < MOST, "{name}: {} octets", page.len());
            check(&page);
        }
        let full = page(&seen, HOST, "/seen");
        assert!(full.len() < 10 * MOST, "{name}: {} octets", full.len());
        check(&full);
    }
}

fn check(page: &str) {
    assert!(page.bytes().all(|octet| octet == b'\n' || (b' '..=b'~').contains(&octet)), "{page}");
    let rest = page.strip_prefix("<!DOCTYPE HTML PUBLIC \"-//W3C//DTD HTML 3.2 Final//EN\">\n");
    let mut open = Vec::new();
    for piece in rest.expect("a document type").split('<').skip(1) {
        let (tag, text) = piece.split_once('>').expect("a tag ends");
        assert!(!text.contains('>') && !text.contains('"'), "{text}");
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "elements end in order: {page}");
            continue;
        }
        let (name, attributes) = tag.split_once(' ').unwrap_or((tag, ""));
        let (_, known) = ELEMENTS.iter().find(|(known, _)| *known == name).expect(name);
        for attribute in attributes.split_inclusive("\" ").filter(|one| !one.is_empty()) {
            let (attribute, value) = attribute.trim_end().split_once("=\"").expect("a value");
            assert!(known.contains(&attribute), "{name} {attribute}");
            assert!(value.ends_with('"') && !value.contains("script:"), "{value}");
        }
        open.push(name);
    }
    assert!(open.is_empty(), "{open:?}");
}
