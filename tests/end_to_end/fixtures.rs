//! The sessions in `tests/sessions`: that they are whole, that the catalog knows them, and how they
//! are made. They come from the simulator, which speaks as consoles are documented to speak; none
//! of them was recorded from a console.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use consoletap_catalog::{Catalog, Query};
use consoletap_flow::{Flow, Headers, Host, Kept, Kind, State, Target};
use consoletap_session::Session;
use consoletap_simulator::{
    Console, Pace, Report, Request, Sizes, TlsVersion, World, ps3_update_check, ps4_start_up,
    ps5_download, switch_connection_test, vita_update_check,
};

use super::exports::files_below;
use super::harness::{Home, Tap};

pub(crate) const CONSOLES: [&str; 5] = ["ps3", "vita", "ps4", "ps5", "switch"];

/// Small enough for a slice to be a line of the log, and large enough for more than one.
pub(crate) const SIZES: Sizes = Sizes { package_piece: 2500, firmware: 300 << 20 };
const SLICE: u64 = 1024;

const NOTE: &str = "Made by the simulator of consoletap from documented traffic; no console was \
                    recorded. tests/sessions/README.md says how to make it again.";

/// Where a session of these lies.
pub(crate) fn fixture(console: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sessions").join(console)
}

/// Copies a session, for a test that leaves something in it.
pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let (from, to) = (entry.as_ref().unwrap().path(), to.join(entry.unwrap().file_name()));
        if from.is_dir() {
            copy(&from, &to);
        } else {
            std::fs::copy(&from, &to).unwrap();
        }
    }
}

fn flows(console: &str) -> (Session, Vec<Flow>) {
    let session = Session::open(&fixture(console)).unwrap();
    let flows = session.flows().map(|flow| flow.unwrap_or_else(|problem| panic!("{problem}")));
    let flows = flows.collect();
    (session, flows)
}

#[test]
fn they_read_back_whole_and_say_where_they_come_from() {
    for console in CONSOLES {
        let (session, flows) = flows(console);
        let about = session.about();
        assert!(about.redacted && about.trimmed, "{console}");
        assert!(about.note.as_ref().is_some_and(|note| note.contains("simulator")), "{console}");
        assert!(!flows.is_empty(), "{console}");
        for flow in flows {
            let end = flow.finished.unwrap_or_else(|| panic!("{console}: {} has no end", flow.id));
            for body in [end.request_body, end.response_body] {
                let name = match body.kept {
                    Kept::Whole => body.digest,
                    Kept::Prefix { digest, .. } => Some(digest),
                    Kept::Nothing | Kept::Lost => None,
                };
                if let Some(name) = name {
                    session.body(&name).unwrap_or_else(|error| panic!("{console}: {error}"));
                }
            }
        }
        let octets: u64 =
            files_below(&fixture(console)).iter().map(|f| f.metadata().unwrap().len()).sum();
        assert!(octets < 128 << 10, "{console} has {octets} octets");
    }
}

#[test]
fn the_catalog_knows_all_of_it() {
    let catalog = Catalog::builtin();
    let mut told = String::new();
    for console in CONSOLES {
        for flow in flows(console).1 {
            let target = flow.target.unwrap();
            let (path, port) = match &target {
                Target::Url(url) => (Some(url.path.as_str()), url.authority.port),
                Target::Authority(authority) => (None, authority.port),
            };
            let request = flow.request.unwrap();
            let (host, agent): (Host, _) =
                (target.authority().host.clone(), request.headers.text("user-agent"));
            let known = catalog.classify(&Query {
                method: Some(&request.method),
                host: Some(&host),
                port: Some(port),
                path,
                user_agent: agent,
                headers: Some(&request.headers),
                sni: flow.hello.as_ref().and_then(|hello| hello.sni.as_deref()),
                ..Query::default()
            });
            assert_eq!(known.entry, flow.classification.entry, "{console}: {target}");
            let status =
                flow.response.map_or_else(|| "-".to_owned(), |head| head.status.to_string());
            let (platform, category) = (&known.platform, &known.category);
            let (method, state) = (&request.method, flow.finished.unwrap().state);
            told.push_str(&format!("{platform} {category} {status} {state:?} {method} {target}\n"));
        }
    }
    insta::assert_snapshot!(told);
}

/// Whoever edits one by hand makes it whole by trimming it again.
#[tokio::test]
async fn they_are_as_trim_writes_them() {
    for console in CONSOLES {
        let home = Home::new();
        let from = fixture(console).into_os_string().into_string().unwrap();
        let ended = home.run(&["session", "trim", &from, &home.text("t")]).await;
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        for file in files_below(&home.path("t")) {
            let name = file.strip_prefix(home.path("t")).unwrap();
            let (now, then) = (
                std::fs::read(&file).unwrap(),
                std::fs::read(fixture(console).join(name)).unwrap(),
            );
            assert!(now == then, "{console}/{}: trim it again", name.display());
        }
    }
}

/// How much of a firmware image came before the player pressed Cancel is another number each time.
const LASTING: &str = "!~d ^deu01";

/// `CONSOLETAP_SESSIONS=write` makes them anew, where the simulator says something else now.
#[tokio::test]
async fn they_say_what_the_simulator_says() {
    let writes = std::env::var_os("CONSOLETAP_SESSIONS").is_some_and(|value| value == "write");
    for console in CONSOLES {
        let home = Home::new();
        let made = make(console, &home).await;
        let (now, then) = (sayings(&made), sayings(&fixture(console)));
        if now != then && writes {
            replace(&fixture(console), &made);
        } else {
            let how = "CONSOLETAP_SESSIONS=write cargo test --workspace --test tests fixtures";
            assert!(
                now == then,
                "{console} is another one now: {how}\n{now:#?}\nand not\n{then:#?}"
            );
        }
    }
}

/// A trimmed session of what the simulator does for a console.
async fn make(console: &str, home: &Home) -> PathBuf {
    let world = Arc::new(World::start_with(SIZES).await.unwrap());
    let tap = home.tap().trusted_world(&world).args(INTERCEPTED).start().await;
    let report = play(console, home, &tap, &world).await;
    assert!(report.is_as_documented(), "{report:?}");
    tap.stop().await;
    // Pseudonyms that are the same each time: what they stand for was made up.
    home.write("session/pseudonyms.key", [0; 32]);
    let (from, to) = (home.text("session"), home.text("trimmed"));
    let ended = home.run(&["session", "trim", &from, LASTING, &to, "--note", NOTE]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    home.path("trimmed")
}

/// What a session says, without what is another one each time: times, the order of what was under
/// way at once, certificates, and how much came of what was dropped.
fn sayings(session: &Path) -> Vec<String> {
    let session = Session::open(session).unwrap();
    let fields = |headers: &Headers| {
        let lasting = headers.iter().filter(|field| !field.is("date") && !field.is("expires"));
        lasting.map(|field| format!("{field:?}")).collect::<Vec<_>>().join(", ")
    };
    let mut sayings: Vec<String> = session
        .flows()
        .map(|flow| {
            let flow = flow.unwrap();
            let (request, end) = (flow.request.unwrap(), flow.finished.unwrap());
            let answer = flow.response.map(|head| (head.status, fields(&head.headers)));
            let is_whole = end.state == State::Complete && flow.kind == Kind::Http;
            let bodies = is_whole.then_some((end.request_body, end.response_body));
            let (asked, target) = (fields(&request.headers), flow.target.unwrap());
            let (method, document) = (&request.method, flow.document);
            format!("{method} {target} {asked} {answer:?} {:?} {bodies:?} {document:?}", end.state)
        })
        .collect();
    sayings.sort();
    sayings
}

fn replace(place: &Path, made: &Path) {
    std::fs::remove_dir_all(place).unwrap();
    for file in files_below(made) {
        let to = place.join(file.strip_prefix(made).unwrap());
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(file, to).unwrap();
    }
}

/// Hosts whose TLS is opened; the others stay tunnels.
const INTERCEPTED: [&str; 4] = ["--intercept", "ps4-eb.*", "--intercept", "a0.*"];

async fn play(console: &str, home: &Home, tap: &Tap, world: &World) -> Report {
    let proxy = tap.address();
    let pace = |connections| Pace { slice: SLICE, connections, ..Pace::at_once() };
    match console {
        "ps3" => {
            let ps3 = Console::ps3("4.81");
            let url = "https://a0.ww.np.dl.playstation.net/tpl/np/BLUS30001/BLUS30001-ver.xml";
            let report = ps3_update_check(proxy).await.unwrap();
            inside(home, tap, &ps3, &Request::get(url).agent(ps3.agent())).await;
            report
        }
        "vita" => {
            let report = vita_update_check(proxy).await.unwrap();
            let vita = Console::vita("3.73");
            let test = "http://ena.net.playstation.net/netstart/icst";
            vita.behind(proxy).ask(&Request::get(test).agent(vita.agent())).await.unwrap();
            report
        }
        "ps4" => {
            let ps4 = Console::ps4("1.51");
            let report = ps4_start_up(proxy, world, pace(1)).await.unwrap();
            let list = "https://ps4-eb.ww.np.dl.playstation.net/ps4-eb/servicelist.xml";
            inside(home, tap, &ps4, &Request::get(list).agent(ps4.agent())).await;
            report
        }
        "ps5" => ps5_download(proxy, world, pace(2)).await.unwrap(),
        "switch" => switch_connection_test(proxy).await.unwrap(),
        other => panic!("{other} is no console of these"),
    }
}

/// A request inside a tunnel, by a console that trusts our CA.
async fn inside(home: &Home, tap: &Tap, console: &Console, request: &Request) {
    let ours = std::fs::read_to_string(home.path("certs/ca.pem")).unwrap();
    let console = console.clone().also_trusting_pem(&ours).unwrap();
    let line = request.line();
    let host = line.split('/').nth(2).unwrap();
    let tunnel = console.tunnel(tap.address(), host, None).await.unwrap();
    let mut client = tunnel.handshake(TlsVersion::Tls12).await.unwrap();
    client.ask(request).await.unwrap();
    client.close().await.unwrap();
}
