//! Events as a PS4 makes them, shared by the tests and the benchmark.
#![allow(dead_code, missing_docs, unreachable_pub)]

use consoletap_flow::{
    BodySummary, CertificateFacts, Classification, Client, ClientHelloFacts, ConnectionId,
    DocumentSummary, Effect, Event, Failure, Finished, FlowId, Happening, Header, Headers, Hello,
    Kind, Opened, RequestHead, ResponseHead, Resumption, RuleHit, ServerHelloFacts, Side, State,
    Target, Timestamp, Timings, TlsAction, Verdict, Version,
};
use consoletap_session::About;

pub fn about() -> About {
    About {
        tool: "consoletap".to_owned(),
        version: "0.1.0".to_owned(),
        started: at(0),
        options: serde_json::json!({ "port": 8080 }),
        ..About::default()
    }
}

/// One exchange: opened, response, finished.
pub fn exchange(flow: u64) -> Vec<Event> {
    vec![opened(flow), event(flow, 2, Happening::Response(Box::new(response()))), finished(flow)]
}

pub fn opened(flow: u64) -> Event {
    event(flow, 1, Happening::Opened(Box::new(opening())))
}

pub fn finished(flow: u64) -> Event {
    event(flow, 3, Happening::Finished(Box::new(end())))
}

pub fn sample_of_every_kind() -> Vec<Event> {
    let hello = Hello {
        facts: ClientHelloFacts {
            sni: Some("gs-sec.ww.np.dl.playstation.net".to_owned()),
            alpn: vec!["http/1.1".to_owned()],
            versions: vec![0x0303],
            suites: vec![0xc02f, 0x009c],
            groups: vec![0x001d, 0x0017],
            signature_algorithms: vec![0x0403, 0x0804],
            resumes: Some(Resumption::Ticket),
            ech: false,
            sslv2: false,
            ja3: "0d4ef5c8ea1bbd5e13ab4a1d3f15a5c0".to_owned(),
            ja4: "t12d020500_0d4ef5c8ea1b_13ab4a1d3f15".to_owned(),
        },
        classification: None,
        policy: None,
    };
    let interim = ResponseHead { status: 100, reason: "Continue".into(), ..bare() };
    let rule = RuleHit {
        name: "no-updates".to_owned(),
        did: "answered 404".to_owned(),
        effect: Effect::Blocked,
    };
    let failed = Finished {
        state: State::UpstreamError,
        failure: Some(
            Failure::new(Side::Upstream, "the server sent no HTTP").with_raw(b"\x16\x03"),
        ),
        ..end()
    };
    [
        Happening::Opened(Box::new(opening())),
        Happening::Hello(Box::new(hello)),
        Happening::ServerHello(ServerHelloFacts {
            version: 0x0303,
            suite: 0xc02f,
            alpn: Some("http/1.1".to_owned()),
            resumed: Some(false),
            ..ServerHelloFacts::default()
        }),
        Happening::Intercepted,
        Happening::Became(Kind::Websocket),
        Happening::Rule(rule),
        Happening::Interim(Box::new(interim)),
        Happening::Response(Box::new(response())),
        Happening::Progress { request_bytes: 0, response_bytes: 1_048_576 },
        Happening::Note("the answer was longer than it said".to_owned()),
        Happening::Certificate(Box::new(certificate())),
        Happening::Policy(Box::new(Verdict {
            action: TlsAction::Tunnel,
            because: "this console refused our certificate before".to_owned(),
        })),
        Happening::Document(DocumentSummary {
            format: "update-list".to_owned(),
            summary: "offers 5.05 (forced 4.55), region us".to_owned(),
        }),
        Happening::Finished(Box::new(failed)),
    ]
    .into_iter()
    .zip(1..)
    .map(|(happening, micros)| event(1, micros, happening))
    .collect()
}

fn certificate() -> CertificateFacts {
    CertificateFacts {
        subject: "CN=*.ww.np.dl.playstation.net".to_owned(),
        issuer: "C=US, O=Example, CN=Example CA".to_owned(),
        names: vec!["*.ww.np.dl.playstation.net".to_owned()],
        not_before: at(-86_400_000_000),
        not_after: at(86_400_000_000),
        key: "RSA 2048".to_owned(),
        sha256: "ab".repeat(32),
        chain: 2,
    }
}

fn at(micros: i64) -> Timestamp {
    // 2026-11-23T20:43:00Z
    Timestamp(1_795_466_580_000_000 + micros)
}

fn event(flow: u64, micros: i64, happening: Happening) -> Event {
    Event { flow: FlowId(flow), at: at(micros), happening }
}

fn opening() -> Opened {
    let url = "http://fus01.ps4.update.playstation.net/update/ps4/list/us/ps4-updatelist.xml";
    Opened {
        kind: Kind::Http,
        client: Client { address: ([192, 168, 1, 23], 50123).into(), connection: ConnectionId(1) },
        tunnel: None,
        target: Some(Target::Url(url.parse().unwrap())),
        request: Some(RequestHead {
            method: "GET".into(),
            target: url.into(),
            version: Version::Http11,
            headers: headers(&[
                ("Host", "fus01.ps4.update.playstation.net"),
                ("User-Agent", "Download/1.00 libhttp/5.05 (PlayStation 4)"),
                ("Connection", "close"),
            ]),
        }),
        classification: Classification::default(),
    }
}

fn response() -> ResponseHead {
    let headers = headers(&[
        ("Server", "Apache"),
        ("Content-Type", "text/xml"),
        ("Content-Length", "1337"),
        ("Cache-Control", "max-age=300"),
        ("Connection", "close"),
    ]);
    ResponseHead { headers, ..bare() }
}

fn bare() -> ResponseHead {
    ResponseHead {
        status: 200,
        reason: "OK".into(),
        version: Version::Http11,
        headers: Headers::default(),
    }
}

fn end() -> Finished {
    Finished {
        state: State::Complete,
        failure: None,
        request_body: BodySummary::default(),
        response_body: BodySummary { bytes: 1337, ..BodySummary::default() },
        timings: Timings { connect: Some(12_000), wait: Some(31_000), ..Timings::default() },
        server: Some(([203, 0, 113, 9], 80).into()),
    }
}

fn headers(fields: &[(&'static str, &'static str)]) -> Headers {
    let mut headers = Headers::with_capacity(fields.len());
    for (name, value) in fields {
        headers.push(Header::new(*name, *value).unwrap());
    }
    headers
}
