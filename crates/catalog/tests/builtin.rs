//! What the page says, as vectors: platform, category and every field of each line.

#![expect(clippy::unwrap_used, reason = "a test may stop here")]

use std::collections::HashSet;
use std::sync::LazyLock;

use consoletap_catalog::{Catalog, Question};
use consoletap_flow::{Classification, Environment};

/// Reading all tables takes a moment in a debug build: once for all cases.
static CATALOG: LazyLock<Catalog> = LazyLock::new(Catalog::builtin);

const SEED: &str = include_str!("vectors/seed.tsv");

struct Vector<'t> {
    line: usize,
    kind: &'t str,
    method: &'t str,
    target: &'t str,
    user_agent: &'t str,
    platform: &'t str,
    category: &'t str,
    expected: &'t str,
}

fn vectors() -> impl Iterator<Item = Vector<'static>> {
    SEED.lines().enumerate().skip(1).map(|(index, line)| {
        let cells: Vec<_> = line.split('\t').collect();
        let [kind, method, target, user_agent, platform, category, expected, ..] = cells[..] else {
            panic!("line {}: too few cells", index + 1)
        };
        Vector { line: index + 1, kind, method, target, user_agent, platform, category, expected }
    })
}

#[test]
fn every_vector_of_the_page_holds() {
    let catalog = Catalog::builtin();
    let mut kinds = HashSet::new();
    for vector in vectors() {
        kinds.insert(vector.kind);
        match vector.kind {
            "template" => check_template(&catalog, &vector),
            "body" => check_body(&catalog, &vector),
            "port" => check_port(&catalog, &vector),
            "marker" => check_request(&catalog, &vector, "x.ww.sp-int.dl.playstation.net"),
            _ => check_request(&catalog, &vector, vector.target),
        }
    }
    assert_eq!(kinds.len(), 13, "a kind of vector is missing: {kinds:?}");
}

fn check_request(catalog: &Catalog, vector: &Vector<'_>, target: &str) {
    // `host` is the host alone, as a server name gives it: no request, and so no method.
    let method = Some(vector.method).filter(|text| !text.is_empty() && vector.kind != "host");
    let target = Some(target).filter(|text| !text.is_empty());
    let user_agent = Some(vector.user_agent).filter(|text| !text.is_empty());
    let question = Question::parse(method, target, user_agent)
        .unwrap_or_else(|error| panic!("line {}: {error}", vector.line));
    let said = catalog.classify(&question.query());
    let line = vector.line;
    assert_eq!(said.platform.to_string(), vector.platform, "line {line}: platform, {said:?}");
    assert_eq!(said.category.as_str(), vector.category, "line {line}: category, {said:?}");
    assert_eq!(said.documented, vector.category != "unknown", "line {line}: documented");
    let nonretail = said.environment != Environment::Retail;
    assert_eq!(nonretail, vector.kind == "marker", "line {line}: environment");
    for item in vector.expected.split(';').map(str::trim) {
        check_item(vector, &said, item);
    }
}

/// Holds one item of the column `expected`; remarks for people (words without `=`) are passed over.
fn check_item(vector: &Vector<'_>, said: &Classification, item: &str) {
    let Some((key, want)) = item.split_once('=') else {
        if let Some(webkit) = item.strip_prefix("AppleWebKit/") {
            let want = webkit.split(' ').next();
            assert_eq!(told(said, "webkit").as_deref(), want, "line {}", vector.line);
        }
        return;
    };
    let (key, want) = (key.trim(), want.trim());
    let (want, _) = want.split_once(" (").unwrap_or((want, ""));
    let keys: &[&str] = match key {
        "fw" => &["firmware"],
        "fw(libhttp)" => &["firmware", "libhttp"],
        // Not said by the catalog: a limit of the service, the wire, the tunnel.
        "w*h<" | "http_version" | "sni expected" => return,
        _ => &[key],
    };
    for key in keys {
        let found = told(said, key);
        if *key == "image" {
            let inner = vector.target.split_once("image=").map(|(_, inner)| inner.to_owned());
            assert_eq!(found, inner, "line {}: the inner URL is kept whole", vector.line);
        } else if let Some(whole) = item.strip_prefix("agent=WebMAF") {
            assert_eq!(found, Some(format!("WebMAF{whole}")), "line {}", vector.line);
        } else {
            assert_eq!(found.as_deref(), Some(want), "line {}: {item}, {said:?}", vector.line);
        }
    }
}

fn told(said: &Classification, key: &str) -> Option<String> {
    let details = &said.details;
    match key {
        "title_id" => details.title_id.as_ref().map(ToString::to_string),
        "np_title_id" => details.np_title_id.as_ref().map(ToString::to_string),
        "content_id" => details.content_id.as_ref().map(ToString::to_string),
        "firmware" => details.firmware.as_ref().map(ToString::to_string),
        "region" => details.region.as_ref().map(ToString::to_string),
        "hash_ok" => details.hash_ok.map(|fits| fits.to_string()),
        _ => {
            let field = details.fields.iter().find(|(name, _)| &**name == key);
            field.map(|(_, value)| value.to_string())
        }
    }
}

fn check_template(catalog: &Catalog, vector: &Vector<'_>) {
    let rows: Vec<_> = catalog
        .entries()
        .filter(|entry| entry.format.iter().any(|format| format == vector.target))
        .collect();
    assert!(!rows.is_empty(), "line {}: no row carries {}", vector.line, vector.target);
    let fits = rows.iter().any(|row| {
        row.category.as_str() == vector.category && row.platform.to_string() == vector.platform
    });
    assert!(fits, "line {}: {rows:?}", vector.line);
}

fn check_body(catalog: &Catalog, vector: &Vector<'_>) {
    let root = vector.target.trim_start_matches("ps4-eb ").trim_end_matches(".xml");
    assert!(vector.expected.contains(&format!("<{root} ")), "line {}", vector.line);
    let entry = catalog.document(root).unwrap_or_else(|| panic!("line {}: {root}", vector.line));
    assert_eq!(entry.category.as_str(), vector.category, "line {}", vector.line);
    assert_eq!(entry.platform.to_string(), vector.platform, "line {}", vector.line);
    assert!(entry.documented);
}

fn check_port(catalog: &Catalog, vector: &Vector<'_>) {
    let (first, last) = vector.target.split_once('-').unwrap_or((vector.target, vector.target));
    let (first, last): (u16, u16) = (first.parse().unwrap(), last.parse().unwrap());
    for port in [first, last] {
        let rows = catalog.ports(port);
        let row = rows.iter().find(|row| {
            (row.first, row.last) == (first, last)
                && row.protocol == vector.method
                && vector
                    .expected
                    .split(" / ")
                    .all(|word| format!("{} {}", row.usage, row.remarks).contains(word))
        });
        let row = row.unwrap_or_else(|| panic!("line {}: {rows:?}", vector.line));
        assert_eq!(row.platform.to_string(), vector.platform);
        assert!(row.documented);
    }
}

fn ask(target: &str, user_agent: Option<&str>) -> Classification {
    let question = Question::parse(None, Some(target), user_agent).unwrap();
    CATALOG.classify(&question.query())
}

#[test]
fn hosts_that_only_look_alike_are_unknown() {
    for host in [
        "tmdb.np.dl.playstation.net.evil.example",
        "xtmdb.np.dl.playstation.net",
        "fus01.ps4.update.xplaystation.net",
        "fusa01.ps4.update.playstation.net",
        "x.sp-int.dl.playstation.net.evil.example",
        "playstation.net",
        "127.0.0.1",
    ] {
        let said = ask(&format!("http://{host}/tcap.m"), None);
        assert!(said.category.is_unknown() && said.platform.is_unknown(), "{host}: {said:?}");
    }
}

#[test]
fn another_spelling_of_a_url_is_the_same_url() {
    let plain = "http://fus01.ps4.update.playstation.net/update/ps4/list/us/ps4-updatelist.xml";
    let want = ask(plain, None);
    assert_eq!(want.category.as_str(), "fw-updatelist");
    for other in [
        "http://FUS01.PS4.update.playstation.net./update/ps4/list/us/ps4-updatelist.xml",
        "http://fus01.ps4.update.playstation.net:80//update/ps4/./list/us/ps4-updatelist.xml?x=/a",
        "https://fus01.ps4.update.playstation.net:443/update/x/../ps4/list/%75s/ps4-updatelist%2Exml",
    ] {
        assert_eq!(ask(other, None), want, "{other}");
    }
}

#[test]
fn the_console_that_asks_is_the_platform_and_the_title_says_its_own() {
    let url = "http://gs2.ww.prod.dl.playstation.net/gs2/appkgo/prod/CUSA15565_00/1/f_d5223d5db4a13ad6ee3847bde08cfe1b4c04d34bebf7c210b3a9167e3a3f4edc/f/EP1003-CUSA15565_00-DOOM199300000000.pkg?&product=0287";
    let said = ask(url, Some("libhttp/4.00 (PlayStation 5)"));
    assert_eq!(said.platform.to_string(), "ps5");
    assert_eq!(said.details.title_platform.unwrap().to_string(), "ps4");
    assert_eq!(said.details.firmware.as_deref(), Some("4.00"));
    assert_eq!(said.category.as_str(), "base-game-pkg");
}

#[test]
fn a_wrong_hash_and_developers_servers_are_told() {
    let url = "http://tmdb.np.dl.playstation.net/tmdb2/CUSA00081_00_4ED0D1374CB128AC8E277C9A3145505220D6D93A/CUSA00081_00.json";
    assert_eq!(ask(url, None).details.hash_ok, Some(false));
    let said = ask("ps4updptl.jp.sp-int.community.playstation.net:443", None);
    assert_eq!(said.environment.to_string(), "sp-int");
    assert!(!said.platform.is_unknown());
    let said = ask("ps4updptl.jp.e1-np.community.playstation.net:443", None);
    assert_eq!(
        (said.category.as_str(), &*said.environment.to_string()),
        ("fw-update-portal", "e1-np")
    );
}

#[test]
fn the_worked_example_of_the_manual_is_a_row_that_works() {
    let manual = include_str!("../../../docs/catalog.md");
    let row = manual.split("```toml").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("mine.toml"), row).unwrap();
    let catalog = Catalog::load(&[dir.path().to_owned()]).unwrap();
    let findings: Vec<_> = catalog.check().iter().map(ToString::to_string).collect();
    assert!(findings.is_empty(), "{findings:?}");
    assert_eq!(catalog.entries().count(), Catalog::builtin().entries().count() + 1);

    // What the manual shows is what is printed.
    let shown = manual.split("```console\n").nth(1).and_then(|rest| rest.split("```").next());
    let (command, answer) = shown.unwrap().split_once('\n').unwrap();
    let url = command.strip_prefix("$ consoletap explain --catalog FOLDER ").unwrap();
    let question = Question::parse(None, Some(url), None).unwrap();
    assert_eq!(catalog.explain(&question).to_string(), answer);
}

#[test]
fn the_table_of_coverage_is_up_to_date_and_nothing_in_it_is_untested() {
    let want = consoletap_catalog::coverage(&Catalog::builtin(), "seed.tsv", SEED);
    let untested: Vec<&str> = want.lines().filter(|line| line.contains("**none**")).collect();
    assert!(untested.is_empty(), "{}", untested.join("\n"));
    let written = include_str!("../../../docs/coverage.md");
    assert!(
        written == want,
        "docs/coverage.md is out of date: consoletap catalog coverage > docs/coverage.md"
    );
}

#[test]
fn the_tables_are_many_and_every_row_says_where_it_is_from() {
    let catalog = Catalog::builtin();
    assert!(catalog.entries().count() >= 600);
    for entry in catalog.entries() {
        assert!(!entry.source.is_empty(), "{}: no source", entry.id);
        assert!(!entry.examples.is_empty() || entry.document.is_some(), "{}: no example", entry.id);
    }
    // The names of the field (docs/consoles): a category that is none of them is a slip.
    let known = "fw-updatelist fw-image fw-feature-page fw-update-portal network-test \
        title-metadata title-update-xml title-update-json title-update-pkg title-update-delta \
        playgo-manifest base-game-json base-game-pkg addcont-json addcont-pkg addcont-digest \
        title-pkg title-pkg-sc pkg-crc title-content pkg-sideload game-patch license-kdc auth \
        account np-core np-profile np-community friends presence community activity-feed avatar \
        trophy ranking clans title-storage matching push stun store store-image store-content \
        store-cdn image-convert whats-new livearea service-config feature-switch telemetry \
        system-logger downloader webkit-browser crash-report crl ads eula manual browser \
        video-app music-app media-app cloud-stream cloud-save parental-control spotpass \
        game-server nonretail unknown";
    let known: HashSet<&str> = known.split_whitespace().collect();
    for entry in catalog.entries() {
        assert!(known.contains(entry.category.as_str()), "{}: {}", entry.id, entry.category);
    }
}

/// Rows in any order, over files in any order, give the same answers.
fn shuffled(seed: u64) -> Catalog {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../config/catalog");
    let mut pieces: Vec<(u64, String)> = Vec::new();
    let dir = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let mut parts = text.split("\n[[entry]]\n");
        let head = parts.next().unwrap();
        let rows: Vec<&str> = parts.collect();
        let order = |index: usize| {
            // Any permutation will do: a multiplicative hash of the place.
            (index as u64 + 1).wrapping_mul(seed | 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
        };
        let mut rows: Vec<(u64, &str)> =
            rows.into_iter().enumerate().map(|(index, row)| (order(index), row)).collect();
        rows.sort_unstable();
        let rows: String = rows.iter().map(|(_, row)| format!("\n[[entry]]\n{row}")).collect();
        pieces.push((order(pieces.len()), format!("{head}{rows}")));
    }
    pieces.sort_unstable();
    for (index, (_, text)) in pieces.iter().enumerate() {
        std::fs::write(dir.path().join(format!("{index:03}.toml")), text).unwrap();
    }
    Catalog::load_alone(dir.path()).unwrap()
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(4))]

    #[test]
    fn the_order_of_rows_changes_no_answer(seed in proptest::num::u64::ANY) {
        let (catalog, shuffled) = (&*CATALOG, shuffled(seed));
        let facts = include_str!("vectors/facts.tsv").lines().skip(1);
        for line in SEED.lines().skip(1).chain(facts) {
            let cells: Vec<&str> = line.split('\t').collect();
            let given = |text: &'static str| Some(text).filter(|text| !text.is_empty());
            let Ok(question) = Question::parse(given(cells[1]), given(cells[2]), given(cells[3]))
            else { continue };
            proptest::prop_assert_eq!(
                catalog.classify(&question.query()),
                shuffled.classify(&question.query()),
                "{}", line
            );
        }
    }
}

proptest::proptest! {
    #[test]
    fn hostile_requests_never_panic_and_never_come_from_a_console(
        host in "[a-z0-9.%-]{0,40}|\\PC{0,20}",
        path in "/[a-z0-9/_.%?&=-]{0,80}|\\PC{0,60}",
        user_agent in "[ -~]{0,60}|\\PC{0,30}",
    ) {
        let target = format!("http://{host}.evil.example{path}");
        if let Ok(question) = Question::parse(None, Some(&target), Some(&user_agent)) {
            let answer = CATALOG.explain(&question);
            let _ = (answer.to_string(), serde_json::to_string(&answer).unwrap());
        }
    }

    #[test]
    fn hostile_paths_under_known_hosts_never_panic(
        host in proptest::sample::select(vec![
            "gs2.ww.prod.dl.playstation.net", "tmdb.np.dl.playstation.net",
            "fus01.ps4.update.playstation.net", "atum.hac.lp1.d4c.nintendo.net",
            "nsx.np.dl.playstation.net", "account.nintendo.net",
        ]),
        path in "/(gs2|tmdb2|update|c1|nsx|v1|cdn)?[a-zA-Z0-9/_.%{}*-]{0,200}|/\\PC{0,80}",
    ) {
        if let Ok(question) = Question::parse(None, Some(&format!("http://{host}{path}")), None) {
            let said = CATALOG.classify(&question.query());
            proptest::prop_assert!(said.entry.is_some());
        }
    }
}
