//! The flows of an evening with four consoles, as many as are asked for: half of them slices of a
//! game, the others documents, services, tunnels and what nobody knows.

use anyhow::Result;
use consoletap_catalog::{Catalog, Query};
use consoletap_flow::{
    Authority, BodyCopy, BodySummary, Classification, Client, ClientHelloFacts, ConnectionId,
    Event, Finished, FlowId, Happening, Header, Headers, Hello, Kind, Opened, RequestHead,
    ResponseHead, State, Target, Timestamp, Timings, Url, Version,
};

/// 2026-11-23T20:43:00Z, in microseconds.
pub(crate) const START: i64 = 1_795_466_580_000_000;

/// A slice of a game, as consoles ask for them.
const SLICE: u64 = 4 << 20;
const GAME: u64 = 50 << 30;

const LIST: &str = "http://fus01.ps4.update.playstation.net/update/ps4/list/us/ps4-updatelist.xml";
const GAME_URL: &str = "http://gs2.ww.prod.dl.playstation.net/gs2/appkgo/prod/CUSA00001_00/1/f_0123456789abcdef/f/UP0001-CUSA00001_00-GAME000000000000_0.pkg";
const AGENTS: [&str; 4] = [
    "Download/1.00 libhttp/5.05 (PlayStation 4)",
    "Download/1.00 libhttp/9.00 (PlayStation 5)",
    "NX NIM 6.2.0 (Platform:NX)",
    "Mozilla/5.0 (PLAYSTATION 3; 4.90)",
];

/// Makes the flows.
pub(crate) struct Evening {
    catalog: Catalog,
}

impl Evening {
    pub(crate) fn new() -> Self {
        Self { catalog: Catalog::builtin() }
    }

    /// The events of a flow, from its first to its last, and what is kept of its answer.
    pub(crate) fn flow(&self, number: u64) -> Result<(Vec<Event>, Option<BodyCopy>)> {
        let events = match number % 20 {
            0..=9 => self.slice(number)?,
            10 | 11 => {
                let text = format!("<?xml version=\"1.0\"?>\n<list n=\"{}\"/>\n", number % 97);
                let body = BodyCopy { octets: text.into_bytes(), whole: true };
                let size = body.octets.len() as u64;
                return Ok((self.answered(number, LIST, "text/xml", size)?, Some(body)));
            }
            12..=14 => {
                let (service, token) = (number % 40, number % 200);
                let url = format!(
                    "http://service-{service}.example.net/v1/users/{number}?access_token=t0k3n{token}"
                );
                self.answered(number, &url, "application/json", 412)?
            }
            15 | 16 => {
                let url = format!("http://image-{}.example.org/{number}.png", number % 12);
                self.answered(number, &url, "image/png", 48_000)?
            }
            _ => self.tunnel(number)?,
        };
        Ok((events, None))
    }

    /// A slice of the game.
    fn slice(&self, number: u64) -> Result<Vec<Event>> {
        let first = number * SLICE % GAME;
        let last = first + SLICE - 1;
        let range = Header::new("Range", format!("bytes={first}-{last}"))?;
        let got = Header::new("Content-Range", format!("bytes {first}-{last}/{GAME}"))?;
        let (mut request, target) = request(number, GAME_URL)?;
        request.headers.push(range);
        let mut response = response(206, "application/octet-stream", SLICE)?;
        response.headers.push(got);
        Ok(self.exchange(number, target, request, response, SLICE))
    }

    fn answered(&self, number: u64, url: &str, kind: &str, size: u64) -> Result<Vec<Event>> {
        let (request, target) = request(number, url)?;
        Ok(self.exchange(number, target, request, response(200, kind, size)?, size))
    }

    fn exchange(
        &self,
        number: u64,
        target: Url,
        request: RequestHead,
        response: ResponseHead,
        size: u64,
    ) -> Vec<Event> {
        let classification = self.catalog.classify(&Query {
            method: Some(&request.method),
            host: Some(&target.authority.host),
            port: Some(target.authority.port),
            path: Some(&target.path),
            user_agent: request.headers.text("user-agent"),
            headers: Some(&request.headers),
            ..Query::default()
        });
        let target = Target::Url(target);
        let opened = opened(number, Kind::Http, target, request, classification);
        vec![
            event(number, 0, opened),
            event(number, 31_000, Happening::Response(Box::new(response))),
            finished(number, size),
        ]
    }

    /// A tunnel, with what its handshake tells.
    fn tunnel(&self, number: u64) -> Result<Vec<Event>> {
        let host = format!("telemetry-{}.example.com", number % 60);
        let at = Authority::parse(&host, Some(443))?;
        let query = Query { host: Some(&at.host), port: Some(at.port), ..Query::default() };
        let classification = self.catalog.classify(&query);
        let request = RequestHead {
            method: "CONNECT".into(),
            target: at.to_string().into(),
            version: Version::Http11,
            headers: [Header::new("Host", at.to_string())?].into_iter().collect(),
        };
        let facts = ClientHelloFacts {
            sni: Some(host),
            alpn: vec!["h2".to_owned(), "http/1.1".to_owned()],
            versions: vec![0x0304, 0x0303],
            suites: vec![0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030],
            groups: vec![0x001d, 0x0017, 0x0018],
            signature_algorithms: vec![0x0403, 0x0804, 0x0401],
            resumes: None,
            ech: false,
            sslv2: false,
            ja3: "0d4ef5c8ea1bbd5e13ab4a1d3f15a5c0".to_owned(),
            ja4: "t13d070500_0d4ef5c8ea1b_13ab4a1d3f15".to_owned(),
        };
        let hello = Hello { facts, classification: None, policy: None };
        let opened = opened(number, Kind::Tunnel, Target::Authority(at), request, classification);
        Ok(vec![
            event(number, 0, opened),
            event(number, 2_000, Happening::Hello(Box::new(hello))),
            finished(number, 5_300),
        ])
    }
}

fn request(number: u64, url: &str) -> Result<(RequestHead, Url)> {
    let target: Url = url.parse()?;
    let agent = AGENTS[console(number)];
    let fields = [
        ("Host", target.authority.host.to_string()),
        ("User-Agent", agent.to_owned()),
        ("Accept", "*/*".to_owned()),
        ("Connection", "Keep-Alive".to_owned()),
    ];
    let head = RequestHead {
        method: "GET".into(),
        target: url.to_owned().into(),
        version: Version::Http11,
        headers: headers(fields)?,
    };
    Ok((head, target))
}

fn response(status: u16, kind: &str, size: u64) -> Result<ResponseHead> {
    let headers = headers([
        ("Server", "Apache".to_owned()),
        ("Content-Type", kind.to_owned()),
        ("Content-Length", size.to_string()),
        ("ETag", format!("\"{size:x}-5f1\"")),
        ("Cache-Control", "max-age=300".to_owned()),
        ("Date", "Mon, 23 Nov 2026 20:43:00 GMT".to_owned()),
    ])?;
    Ok(ResponseHead { status, reason: "OK".into(), version: Version::Http11, headers })
}

fn headers<const N: usize>(fields: [(&'static str, String); N]) -> Result<Headers> {
    let fields = fields.into_iter().map(|(name, value)| Ok(Header::new(name, value)?));
    fields.collect()
}

fn opened(
    number: u64,
    kind: Kind,
    target: Target,
    request: RequestHead,
    classification: Classification,
) -> Happening {
    let last = 20 + console(number) as u8;
    Happening::Opened(Box::new(Opened {
        kind,
        client: Client {
            address: ([192, 168, 1, last], 50_000 + (number % 10_000) as u16).into(),
            connection: ConnectionId(number / 8),
        },
        tunnel: None,
        target: Some(target),
        request: Some(request),
        classification,
    }))
}

fn finished(number: u64, size: u64) -> Event {
    let end = Finished {
        state: State::Complete,
        failure: None,
        request_body: BodySummary::default(),
        response_body: BodySummary { bytes: size, ..BodySummary::default() },
        timings: Timings {
            connect: Some(12_000),
            wait: Some(31_000),
            receive: Some(40_000),
            ..Timings::default()
        },
        server: Some(([203, 0, 113, 9], 80).into()),
    };
    event(number, 85_000, Happening::Finished(Box::new(end)))
}

/// Which of the four asks.
fn console(number: u64) -> usize {
    (number / 20 % 4) as usize
}

/// What happens so many microseconds after the flow began; one begins every 50 ms.
fn event(number: u64, after: i64, happening: Happening) -> Event {
    let began = i64::try_from(number).unwrap_or(i64::MAX).saturating_mul(50_000);
    Event {
        flow: FlowId(number),
        at: Timestamp(START.saturating_add(began).saturating_add(after)),
        happening,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flow_begins_ends_and_is_whole() {
        let evening = Evening::new();
        for number in 1..=20 {
            let (events, _) = evening.flow(number).unwrap();
            let mut events = events.into_iter();
            let mut flow = consoletap_flow::Flow::open(events.next().unwrap()).unwrap();
            events.for_each(|event| flow.apply(event));
            assert_eq!((flow.id, flow.state()), (FlowId(number), State::Complete));
            let asks_for_a_slice = flow.request.unwrap().headers.contains("range");
            assert_eq!(asks_for_a_slice, flow.response.is_some_and(|head| head.status == 206));
        }
    }
}
