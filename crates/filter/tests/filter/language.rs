//! The language as people write it: what fits, what binds how, what is told of mistakes.

use consoletap_filter::{Answer, Filter, Stage, Subject};
use consoletap_flow::{
    BodySummary, Category, Classification, Client, ConnectionId, Details, Effect, Event, Finished,
    Flow, FlowId, Happening, Headers, Kind, Opened, Platform, Platforms, ResponseHead, RuleHit,
    State, Target, Timestamp, Timings, Version,
};
use proptest::prelude::*;

fn classification() -> Classification {
    Classification {
        platform: Platform::Ps4.into(),
        category: Category::from("fw-updatelist"),
        details: Details { np_title_id: Some("CUSA00001_00".into()), ..Details::default() },
        ..Classification::default()
    }
}

fn target() -> Target {
    Target::Url(
        "http://fus01.ps4.update.playstation.net/update/ps4/list/us/ps4-updatelist.xml?a=1"
            .parse()
            .unwrap(),
    )
}

/// Whether a filter fits a GET of a PS4's update list at the time of the request.
fn fits(expression: &str) -> bool {
    let filter = Filter::parse(expression).unwrap_or_else(|error| panic!("{error}"));
    filter.matches(&Subject::request(
        "GET",
        &target(),
        &classification(),
        "::ffff:192.168.1.20".parse().unwrap(),
    ))
}

#[test]
fn operators_fit_what_they_name() {
    for expression in [
        "~all",
        "~cat fw-updatelist",
        "~cat FW-*|store",
        "~console ps4",
        "~console ps3|PS4",
        "~console playstation",
        "~d playstation\\.net$",
        "~d PLAYSTATION",
        "~u list/us/.*\\?a=1",
        "ps4-updatelist",
        "'ps4-updatelist'",
        "\"update/ps4\"",
        "~m GET",
        "~m ^get$",
        "~title CUSA00001",
        "~title cusa00001_00",
        "~title CUSA*",
        "~client 192.168.1.20",
        "~client 10.0.0.0/8|192.168.0.0/16",
        "~HTTP",
        "~q",
        "~port 80",
        "DOMAIN:*.playstation.net",
        "method:get",
        "url:\"us/ps4-updatelist.xml?a\"",
        "scheme:http",
        "~since 1s",
        "-method:POST&~all",
    ] {
        assert!(fits(expression), "{expression}");
        assert!(!fits(&format!("!{expression}")), "! {expression}");
    }
    for expression in [
        "~cat fw",
        "~cat updatelist",
        "~console ps5",
        "~console nintendo",
        "~console unknown",
        "~d ^playstation",
        "~m POST",
        "~title CUSA0000",
        "~client 192.168.1.2",
        "nothing-of-the-kind",
    ] {
        assert!(!fits(expression), "{expression}");
    }
}

/// mitmproxy's `infix_notation` with `OneOrMore` around it: `!`, `&`, `|`, side by side.
#[test]
fn precedence_is_that_of_mitmproxy() {
    let (yes, no) = ("~m GET", "~m POST");
    assert!(fits(&format!("{yes} | {no} & {no}")), "& before |");
    assert!(!fits(&format!("!{yes} & {no}")), "! before &");
    assert!(!fits(&format!("{yes} | {yes} {no}")), "| before side by side");
    assert!(fits(&format!("{yes} | ({yes} {no})")));
    assert!(fits(&format!("!({yes} & {no})")));
    assert!(fits(&format!("!!{yes}")));
    assert!(fits("~m GET~d playstation"), "a tilde ends a word");
    assert!(fits("~u playstation|nintendo"), "in a word | is the regex's");
    assert!(fits("~m POST|GET & ~all"));
    assert!(!fits("~m !GET"), "the value may begin with an operator's sign");
}

#[test]
fn what_is_not_known_yet_does_not_fit() {
    for expression in
        ["~c 200", "~c >=100", "~rule x", "~size >=0", "~dur >=0s", "~e", "~b .", "~ip ::/0"]
    {
        assert!(!fits(expression), "{expression}");
        assert!(!fits(&format!("!{expression}")), "! {expression}: nobody knows");
        assert!(fits(&format!("{expression} | ~m GET")), "{expression}: it does not matter");
        assert_eq!(answer(&format!("{expression} & ~m POST")), Answer::No, "{expression}");
        assert_eq!(answer(&format!("{expression} & ~m GET")), Answer::NotYet, "{expression}");
    }
    // What comes with a tunnel's hello never comes with a request.
    for expression in ["~sni x", "~ja3 x", "~tls 1.0", "~tlsfail", "~tunnel"] {
        assert_eq!(answer(expression), Answer::No, "{expression}");
    }
}

fn answer(expression: &str) -> Answer {
    let filter = Filter::parse(expression).unwrap();
    let (target, class) = (target(), classification());
    filter.answer(&Subject::request("GET", &target, &class, [192, 168, 1, 20].into()))
}

#[test]
fn an_operator_that_is_never_known_at_a_stage_is_refused_there() {
    let check = |expression: &str, stage| {
        let checked = Filter::parse(expression).unwrap().check(stage);
        checked.map_err(|error| error.to_string())
    };
    assert_eq!(check("~d a & ~hq x & ~h x | ~http", Stage::Request), Ok(()));
    assert_eq!(
        check("~d a & (~m GET | !~c 404)", Stage::Request).unwrap_err(),
        "~c is known only when the answer has come, and this is asked when the request has come\n  \
         ~d a & (~m GET | !~c 404)\n                    ^^^^^^"
    );
    assert_eq!(check("~c 404", Stage::Response), Ok(()));
    assert!(
        check("status-code:404", Stage::Request).unwrap_err().starts_with("status-code:404 is")
    );
    assert!(
        check("~client ps4", Stage::Request).unwrap_err().contains("no client is called ps4 in")
    );
    assert!(check("~sni x", Stage::Request).unwrap_err().contains("when the ClientHello has come"));
    assert_eq!(check("~sni x", Stage::Hello), Ok(()));
    let never = check("!~h x", Stage::Request).unwrap_err();
    assert!(never.contains("this never fits when the request has come"), "{never}");
    assert_eq!(check("!~h x", Stage::Response), Ok(()));
}

/// `test_flowfilter.py` of mitmproxy, as far as its flows are HTTP: what it parses is parsed.
#[test]
fn what_mitmproxy_parses_is_parsed() {
    for expression in [
        "~q",
        "~c 10",
        "~m foobar",
        "~u foobar",
        "~q ~c 10",
        "~replay",
        "~replayq",
        "~replays",
        "~comment .",
        "~s шгн",
        "foobar ~h rex",
        "~u 'foo ~u bar' ~u voing",
        "~u 'foobar\"\\''",
        "~u \"foo \\'bar\"",
        "(~u foobar & ~h voing)",
        "!~h test",
        "!(~u test & ~h bar)",
        "~hq 'header: qvalue'",
        "!~c 201 !~c 202",
        "~meta \"'key': 'value'\"",
        "~src :22 | ~dst :22",
        "~marked & ~marker X",
    ] {
        Filter::parse(expression).unwrap_or_else(|error| panic!("{error}"));
    }
}

/// A CONNECT that was refused with 404 after two seconds and ten megabytes.
fn finished_tunnel() -> Flow {
    let at = |seconds: i64, happening| Event {
        flow: FlowId(1),
        at: Timestamp(seconds * 1_000_000),
        happening,
    };
    let mut flow = Flow::open(at(
        5,
        Happening::Opened(Box::new(Opened {
            kind: Kind::Http,
            client: Client { address: "[::1]:9".parse().unwrap(), connection: ConnectionId(1) },
            tunnel: None,
            target: Some(Target::Authority("[::1]:443".parse().unwrap())),
            request: None,
            classification: classification(),
        })),
    ))
    .unwrap();
    flow.apply(at(5, Happening::Became(Kind::Tunnel)));
    let name = "firmware-guard".to_owned();
    let hit = RuleHit { name, did: String::new(), effect: Effect::Rewritten };
    flow.apply(at(5, Happening::Rule(hit)));
    let head = ResponseHead {
        status: 404,
        reason: "".into(),
        version: Version::Http11,
        headers: Headers::default(),
    };
    flow.apply(at(6, Happening::Response(Box::new(head))));
    let early = Subject::from(&flow);
    assert_eq!((early.status, early.kind), (Some(404), Some(Kind::Tunnel)));
    let response_body = BodySummary { bytes: 10 << 20, ..BodySummary::default() };
    let finished = Finished {
        state: State::Complete,
        failure: None,
        request_body: BodySummary::default(),
        response_body,
        timings: Timings::default(),
        server: None,
    };
    flow.apply(at(7, Happening::Finished(Box::new(finished))));
    flow
}

#[test]
fn a_finished_flow_is_asked_for_its_end() {
    let flow = finished_tunnel();
    let subject = Subject::from(&flow);
    let fits = |expression: &str| Filter::parse(expression).unwrap().matches(&subject);
    for expression in [
        "~c 404",
        "~c 4xx",
        "~c >=400",
        "~c <405",
        "~c =404",
        "~tunnel",
        "~size >9m",
        "~size >=10m",
        "~size <=10485760",
        "~dur >1s",
        "~dur >=2",
        "~dur <2001ms",
        "~tunnel & !~http",
        "~s | !~s",
        "~rule firmware-guard",
        "~rule FIRMWARE-*",
        "~d ^::1$",
        "~u ^\\[::1]:443$",
        "~client ::1",
    ] {
        assert!(fits(expression), "{expression}");
    }
    for expression in [
        "~c 40",
        "~c 5xx",
        "~c >404",
        "~http",
        "~websocket",
        "~tlsfail",
        "~size >10m",
        "~dur >2s",
        "~rule firmware",
    ] {
        assert!(!Filter::parse(expression).is_ok_and(|f| f.matches(&subject)), "{expression}");
    }
}

#[test]
fn a_filter_needs_the_last_of_what_it_asks() {
    let needs = |expression: &str| Filter::parse(expression).unwrap().needs();
    assert_eq!(needs("~d a & ~m GET"), Stage::Request);
    assert_eq!(needs("~d a | !(~c 404)"), Stage::Response);
    assert_eq!(needs("~c 404 ~size >1k"), Stage::Finished);
}

#[test]
fn an_unknown_platform_is_nobodys() {
    let class = Classification { platform: Platforms::UNKNOWN, ..classification() };
    let target = target();
    let subject = Subject::request("GET", &target, &class, [10, 0, 0, 1].into());
    assert!(Filter::parse("~console unknown").unwrap().matches(&subject));
    assert!(!Filter::parse("~console playstation").unwrap().matches(&subject));
}

/// An expression of the language, with what it must say of a flow.
fn expression() -> impl Strategy<Value = (String, bool)> {
    let leaf = prop_oneof![
        Just(("~all".to_owned(), true)),
        Just(("~m POST".to_owned(), false)),
        Just(("\"ps4-(up|down)\"".to_owned(), true)),
    ];
    leaf.prop_recursive(5, 24, 3, |inner| {
        let many = prop::collection::vec(inner.clone(), 2..4);
        let joined = |sign: &'static str, parts: Vec<(String, bool)>| {
            let texts: Vec<String> = parts.into_iter().map(|(text, _)| text).collect();
            format!("({})", texts.join(sign))
        };
        prop_oneof![
            inner.prop_map(|(text, fits)| (format!("!{text}"), !fits)),
            many.clone().prop_map(move |p| {
                let fits = p.iter().all(|(_, fits)| *fits);
                (joined(" & ", p), fits)
            }),
            many.clone().prop_map(move |p| {
                let fits = p.iter().all(|(_, fits)| *fits);
                (joined(" ", p), fits)
            }),
            many.prop_map(move |p| {
                let fits = p.iter().any(|(_, fits)| *fits);
                (joined(" | ", p), fits)
            }),
        ]
    })
}

proptest! {
    #[test]
    fn an_expression_says_what_its_parts_say((text, expected) in expression()) {
        prop_assert_eq!(fits(&text), expected, "{}", text);
    }

    #[test]
    fn arbitrary_text_is_a_filter_or_a_mistake_that_can_be_shown(
        text in "[~a-d!&|()'\"\\\\ \t.*+\\[{é<>=0-9]{0,40}|\\PC{0,30}|(-?[a-z-]{1,9}:|~[a-z]{1,6} ?|[<>=!]|[0-9a-z.*]{1,4}| ){0,9}",
    ) {
        match Filter::parse(&text) {
            Ok(filter) => {
                let known = filter.needs() <= Stage::Request;
                let answer = filter.answer(&Subject::default());
                prop_assert!(!known || answer != Answer::NotYet || text.contains("since"), "{}", text);
                if let Err(error) = filter.check(Stage::Request) {
                    prop_assert!(error.span().end <= text.len());
                    prop_assert_ne!(answer, Answer::Yes, "{}", text);
                }
            }
            Err(error) => {
                prop_assert!(error.to_string().lines().count() >= 3);
                prop_assert!(error.span().end <= text.len());
            }
        }
    }
}
