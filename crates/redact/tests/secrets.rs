//! Secrets planted in every place that a flow and its bodies have: none comes out.

#![expect(clippy::unwrap_used, reason = "a test may stop")]

use std::sync::Arc;

use consoletap_catalog::{Catalog, Query};
use consoletap_content::{Coding, encode};
use consoletap_flow::{
    BodySide, Classification, Client, ClientHelloFacts, ConnectionId, Effect, Failure, Finished,
    Flow, FlowId, Header, Headers, Kind, RequestHead, ResponseHead, RuleHit, Side, State, Target,
    Timestamp, Url, Version,
};
use consoletap_redact::{Key, Redacted, Redactor};

fn fields(list: &[(&str, &str)]) -> Headers {
    list.iter().map(|(name, value)| Header::new(name, value).unwrap()).collect()
}

fn flow(url: &str, request: &[(&str, &str)], response: &[(&str, &str)]) -> Flow {
    let url: Url = url.parse().unwrap();
    let classification = Catalog::builtin().classify(&Query {
        method: Some("POST"),
        host: Some(&url.authority.host),
        port: Some(url.authority.port),
        path: Some(&url.path),
        ..Query::default()
    });
    Flow {
        id: FlowId(1),
        kind: Kind::Http,
        started: Timestamp(0),
        latest: Timestamp(1),
        client: Client {
            address: "192.168.77.66:50000".parse().unwrap(),
            connection: ConnectionId(1),
        },
        tunnel: None,
        request: Some(RequestHead {
            method: "POST".into(),
            target: url.to_string().into(),
            version: Version::Http11,
            headers: fields(request),
        }),
        target: Some(Target::Url(url)),
        classification,
        hello: None,
        server_hello: None,
        certificate: None,
        policy: None,
        document: None,
        intercepted: false,
        interim: Vec::new(),
        response: Some(ResponseHead {
            status: 200,
            reason: "OK".into(),
            version: Version::Http11,
            headers: fields(response),
        }),
        request_bytes: 0,
        response_bytes: 0,
        rules: Vec::new(),
        notes: Vec::new(),
        finished: None,
    }
}

fn redactor() -> Redactor {
    Redactor::with_pseudonyms(Arc::new(Catalog::builtin()), Key([7; 32]))
}

/// Everything that a flow says.
fn told(flow: &Flow) -> String {
    serde_json::to_string(flow).unwrap()
}

#[test]
fn a_secret_under_a_usual_name_is_found_in_every_place_of_a_flow() {
    let mut flow = flow(
        "https://a.example/x/T0psecret-path;jsessionid=T0psecret-matrix?sid=T0psecret-query&v=1\
         &next=https%3A%2F%2Fb%2F%3Ftoken%3DT0psecret-nested#access_token=T0psecret-fragment",
        &[
            ("Authorization", "Basic VDBwc2VjcmV0LXVzZXI6VDBwc2VjcmV0LXBhc3M="),
            ("Proxy-Authorization", "Bearer T0psecret-bearer"),
            ("Cookie", "lang=en; s=T0psecret-cookie1"),
            ("X-Np-Access-Token", "T0psecret-xtoken"),
            ("X-I-5-Ticket", "T0psecret-ticket"),
            ("Npsso", "T0psecret-npsso"),
            ("Referer", "http://c/?password=T0psecret-referer"),
            ("X-Mac", "00:1f:a7:12:34:56"),
            ("X-Odd", "eyJhbGciOiJub25lIn0.VDBwc2VjcmV0.c2ln and 192.168.77.66"),
        ],
        &[
            ("Set-Cookie", "t=T0psecret-setcookie; Path=/"),
            ("Location", "http://u:T0psecret-userinfo@d/?code=T0psecret-code"),
        ],
    );
    flow.classification.details.fields.push(("consoleid".into(), "T0psecret-path".into()));
    flow.notes.push("the login: T0psecret-note was seen".to_owned());
    flow.rules.push(RuleHit {
        name: "r".to_owned(),
        did: "sent token=T0psecret-rule on".to_owned(),
        effect: Effect::Noted,
    });
    flow.hello = Some(ClientHelloFacts {
        sni: Some("t0psecret-xtoken.a.example".to_owned()),
        alpn: vec!["T0psecret-xtoken".to_owned()],
        ..ClientHelloFacts::default()
    });
    flow.finished =
        Some(Box::new(Finished {
            state: State::Refused,
            failure: Some(Failure::new(Side::Client, "bad password=T0psecret-cause").with_raw(
                b"GET /?sid=T0psecret-raw X\r\nAuthorization: Bearer T0psecret-rawhead\r\n",
            )),
            request_body: Default::default(),
            response_body: Default::default(),
            timings: Default::default(),
            server: Some("192.168.77.1:80".parse().unwrap()),
        }));
    let mut redactor = redactor();
    redactor.learn(&flow);
    let clean = told(&redactor.flow(&flow));
    for hidden in ["T0psecret", "t0psecret", "VDBwc2VjcmV0", "192.168.77", "00:1f:a7", "1f:a7"] {
        assert!(!clean.contains(hidden), "{hidden} in {clean}");
    }
    for kept in ["lang=", "a.example", "Basic redacted-", "Bearer redacted-", "; Path=/", "v=1"] {
        assert!(clean.contains(kept), "{kept} in {clean}");
    }
    // What stands in for a secret is none.
    let once = redactor.flow(&flow);
    assert_eq!(redactor.flow(&once).target, once.target);
}

#[test]
fn the_same_secret_has_one_pseudonym_wherever_it_is() {
    let one = flow("http://a/?sid=T0psecret-1", &[("Cookie", "sid=T0psecret-1")], &[]);
    let other = flow("http://b/T0psecret-1/x", &[], &[]);
    let mut redactor = redactor();
    redactor.learn(&one);
    let (one, other) = (told(&redactor.flow(&one)), told(&redactor.flow(&other)));
    let at = one.find("redacted-").unwrap();
    let pseudonym = &one[at..at + 19];
    assert!(one.matches(pseudonym).count() >= 3, "target, request line and cookie: {one}");
    assert!(other.contains(&format!("http://b/{pseudonym}/x")), "{other}");
}

/// The body that is left; `None` where it was withheld.
/// What is learned must cost the same for the last flow as for the first: a console may send another
/// ticket with each request.
#[test]
fn ten_thousand_flows_each_with_secrets_of_its_own_are_learned_and_told_without_them() {
    let mut redactor = redactor();
    let mut flow = flow("http://a.example/x?token=none", &[("X-Ticket", "none")], &[]);
    let with_secrets_of = |flow: &mut Flow, number: u32| {
        let (token, ticket) = (format!("tok3n-{number:05}-x"), format!("T1CKET+{number:05}"));
        flow.target =
            Some(Target::Url(format!("http://a.example/x?token={token}").parse().unwrap()));
        let request = flow.request.as_mut().unwrap();
        request.target = format!("/x?token={token}").into();
        request.headers = fields(&[("X-Ticket", &ticket)]);
        (token, ticket)
    };
    for number in 0..10_000 {
        with_secrets_of(&mut flow, number);
        redactor.learn(&flow);
    }
    assert_eq!(redactor.known(), 20_000 + 1, "tokens, tickets, and the address of the client");
    for number in [0, 4_711, 9_999] {
        let (token, ticket) = with_secrets_of(&mut flow, number);
        let text = told(&redactor.flow(&flow));
        let elsewhere =
            redactor.text(&format!("{token} {}", ticket.replace('+', "%2B"))).into_owned();
        for text in [text, elsewhere] {
            let secrets =
                [format!("tok3n-{number:05}"), format!("{number:05}-x"), "T1CKET".to_owned()];
            assert!(!secrets.iter().any(|secret| text.contains(secret)), "{text}");
        }
    }
}

fn body(redactor: &Redactor, flow: &Flow, octets: &[u8]) -> Option<Vec<u8>> {
    match redactor.body(flow, BodySide::Request, octets) {
        Redacted::Same => Some(octets.to_vec()),
        Redacted::Changed { octets, .. } => Some(octets),
        Redacted::Withheld(_) => None,
    }
}

#[test]
fn a_secret_is_found_in_bodies_of_every_kind() {
    let secret = "T0psecret+/=\"&é";
    for (kind, text) in [
        (
            "application/x-www-form-urlencoded",
            "loginid=T0psecret%2B%2F%3D%22%26%C3%A9&x=1".to_owned(),
        ),
        ("application/json", r#"{"a":[{"access_token":"T0psecret+/=\"&é"}],"x":1}"#.to_owned()),
        ("application/json", r#"{"acc\u0065ss_token":"T0psecret+\/=\"&\u00e9","x":1}"#.to_owned()),
        (
            "text/xml",
            "<p sid='T0psecret+/=\"&amp;é'><ticket>T0psecret+/=\"&amp;é</ticket>x</p>".to_owned(),
        ),
        (
            "multipart/form-data; boundary=b",
            format!(
                "--b\r\nContent-Disposition: form-data; name=\"password\"\r\n\r\n{secret}\r\n--b--"
            ),
        ),
        ("text/plain", "password: 'T0psecret+/=\"&é' x".to_owned()),
    ] {
        let flow = flow("http://a/", &[("Content-Type", kind)], &[]);
        let mut redactor = redactor();
        redactor.learn_body(&flow, BodySide::Request, text.as_bytes());
        let clean = String::from_utf8(body(&redactor, &flow, text.as_bytes()).unwrap()).unwrap();
        assert!(!clean.contains("T0psecret") && clean.contains("redacted-"), "{kind}: {clean}");
        // Learned here, it is found anywhere.
        let binary = [b"\0\x01", secret.as_bytes(), b"\0"].concat();
        let elsewhere = body(&redactor, &flow, &binary).unwrap();
        assert!(!String::from_utf8_lossy(&elsewhere).contains("T0psecret"), "{kind}");
    }
}

#[test]
fn coded_bodies_are_undone_and_coded_again() {
    let json = br#"{"password":"T0psecret-gzip"}"#;
    let gzip = encode(json, Coding::Gzip).unwrap();
    let coded = flow("http://a/", &[("Content-Encoding", "gzip")], &[]);
    let clean = body(&redactor(), &coded, &gzip).unwrap();
    let plain = consoletap_content::decode(&clean, "gzip", 1000).unwrap().octets.into_owned();
    assert!(plain.starts_with(b"{\"password\":\"redacted-"), "{plain:?}");
    // A file that is gzip by itself.
    let file = flow("http://a/", &[("Content-Type", "application/octet-stream")], &[]);
    let clean = body(&redactor(), &file, &gzip).unwrap();
    let plain = consoletap_content::decode(&clean, "gzip", 1000).unwrap().octets.into_owned();
    assert!(plain.starts_with(b"{\"password\":\"redacted-"), "{plain:?}");
    // What cannot be looked into is not handed on; a coding that is not there is no cover.
    let unknown = flow("http://a/", &[("Content-Encoding", "x-unknown")], &[]);
    assert_eq!(body(&redactor(), &unknown, json), None);
    let clean = body(&redactor(), &coded, json).unwrap();
    assert!(clean.starts_with(b"{\"password\":\"redacted-"), "{clean:?}");
    // Brotli can be undone, not applied.
    let brotli = flow("http://a/", &[("Content-Encoding", "br")], &[]);
    let octets = b"\x0b\x0f\x80{\"password\":\"T0psecret-brotli\"}\x03";
    let redacted = redactor().body(&brotli, BodySide::Request, octets);
    assert!(matches!(redacted, Redacted::Changed { uncoded: true, .. }), "{redacted:?}");
}

#[test]
fn the_rows_own_names_count() {
    let catalog = Arc::new(Catalog::builtin());
    let row =
        catalog.entries().find(|entry| entry.secret.query.contains(&"serverIpAddr".to_owned()));
    let mut flow = flow("http://a/?serverIpAddr=81.2.69.142", &[], &[]);
    flow.classification =
        Classification { entry: Some(row.unwrap().id.clone()), ..flow.classification };
    let clean = told(&Redactor::masking(catalog).flow(&flow));
    assert!(clean.contains("serverIpAddr=***"), "{clean}");
}

#[test]
fn what_is_no_secret_stays_to_the_letter() {
    let flow = flow(
        "http://gs2.ww.prod.dl.playstation.net/gs2/ppkgo/prod/CUSA00001_00/1/f_1/f/a.pkg?a=b&c=%20",
        &[("User-Agent", "Download/1.00 libhttp/5.05 (PlayStation 4)"), ("Range", "bytes=0-1")],
        &[("ETag", "\"a:1\""), ("Date", "Mon, 23 Nov 2026 20:43:00 GMT")],
    );
    let mut redactor = redactor();
    redactor.learn(&flow);
    let mut clean = redactor.flow(&flow);
    assert_ne!(clean.client, flow.client);
    clean.client = flow.client;
    assert_eq!(clean, flow);
    let json = br#"{"revision":14,"npTitleId":"CUSA00001_00","code":404}"#;
    assert_eq!(redactor.body(&flow, BodySide::Response, json), Redacted::Same);
}
