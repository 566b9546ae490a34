//! The ready packs, on the flows that consoles make.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use consoletap_filter::Subject;
use consoletap_flow::{Category, Classification, Details, Effect, Platform, Target};
use consoletap_rules::{Context, Rewritten, Rules};

const PS4_LIST: &[u8] = include_bytes!("../../documents/samples/ps4-updatelist.xml");
const PS5_LIST: &[u8] = include_bytes!("../../documents/samples/ps5-updatelist.xml");
const VITA_LIST: &[u8] = include_bytes!("../../documents/samples/psp2-updatelist.xml");
const PS3_LIST: &[u8] = include_bytes!("../../documents/samples/ps3-updatelist.txt");
const METADATA: &[u8] = include_bytes!("../../documents/samples/title-metadata.json");

fn pack(name: &str) -> Rules {
    Rules::load(&[name.to_owned()]).unwrap()
}

fn update_list_of(platform: Platform, firmware: Option<&str>) -> Classification {
    Classification {
        platform: platform.into(),
        category: Category::from("fw-updatelist"),
        details: Details { firmware: firmware.map(Into::into), ..Details::default() },
        ..Classification::default()
    }
}

/// What the rules make of a body; `None` where no rule wants it.
fn rewrite(rules: &Rules, class: &Classification, url: &str, body: &[u8]) -> Option<Rewritten> {
    let target = Target::Url(url.parse().unwrap());
    let subject = Subject::request("GET", &target, class, [192, 168, 1, 20].into());
    let decision = rules.decide(&subject);
    assert_eq!(decision.is_pass(), !decision.rewrites());
    decision.rewrites().then(|| {
        let client = [192, 168, 1, 20].into();
        let context = Context { classification: class, target: &target, method: "GET", client };
        decision.rewrite(body, &context)
    })
}

fn text(body: Option<Vec<u8>>) -> String {
    String::from_utf8(body.expect("a new body")).unwrap()
}

#[test]
fn every_pack_is_read_and_says_what_it_does() {
    let packs = Rules::packs();
    assert_eq!(
        packs.iter().map(|p| p.name).collect::<Vec<_>>(),
        [
            "firmware-guard",
            "local-packages",
            "network-test",
            "pin-game-version",
            "quiet",
            "title-metadata"
        ]
    );
    for pack in packs {
        assert!(!pack.description.is_empty(), "{}", pack.name);
        let settings: Vec<String> =
            pack.settings.iter().map(|(name, _)| format!("{name}=x")).collect();
        let name = match settings.as_slice() {
            [] => pack.name.to_owned(),
            _ => {
                let missing = Rules::load(&[pack.name.to_owned()]).unwrap_err().to_string();
                assert!(missing.contains("it needs to know"), "{missing}");
                format!("{}:{}", pack.name, settings.join(","))
            }
        };
        Rules::load(&[name]).unwrap_or_else(|error| panic!("{error}"));
    }
}

#[test]
fn a_ps4_sees_no_newer_firmware_than_its_own() {
    let class = update_list_of(Platform::Ps4, Some("1.501"));
    let url = "http://fus01.ps4.update.playstation.net/update/ps4/list/us/ps4-updatelist.xml";
    let rewritten = rewrite(&pack("firmware-guard"), &class, url, PS4_LIST).unwrap();
    let hit = &rewritten.hits[0];
    assert_eq!((hit.name.as_str(), hit.effect), ("firmware-guard", Effect::Rewritten));
    assert_eq!(
        hit.did,
        "rewrote the update list: offers 1.50, region us \
         (the server offers 5.05 (forced 4.55), region us)"
    );
    assert!(rewritten.notes.is_empty());
    let list = text(rewritten.body);
    assert!(list.contains(r#"sdk_version="01.501.000" version="01.501.000""#), "{list}");
    assert!(!list.contains("5.05") && !list.contains("04.550.000"), "{list}");
    assert_eq!(list.len(), PS4_LIST.len());
}

#[test]
fn a_vita_tells_its_version_in_the_query() {
    let url = "http://fus01.psp2.update.playstation.net/update/psp2/list/us/psp2-updatelist.xml\
               ?ver=03600000&sid=0&nd=2";
    let class = update_list_of(Platform::PsVita, None);
    let rewritten = rewrite(&pack("firmware-guard"), &class, url, VITA_LIST).unwrap();
    assert!(text(rewritten.body).contains(r#"system_version="03.600.000" label="3.60""#));
}

#[test]
fn ps3_and_ps5_see_zero() {
    let rules = pack("firmware-guard");
    let url = "http://feu01.ps3.update.playstation.net/update/ps3/list/eu/ps3-updatelist.txt";
    let list = rewrite(&rules, &update_list_of(Platform::Ps3, None), url, PS3_LIST).unwrap();
    assert!(text(list.body).contains("Dest=85;ImageVersion=00000000;SystemSoftwareVersion=0.00;"));
    let list =
        rewrite(&rules, &update_list_of(Platform::Ps5, Some("4.00")), url, PS5_LIST).unwrap();
    assert!(text(list.body).contains(r#"upd_version="00.00.00.00""#));
}

#[test]
fn what_is_no_update_list_passes_unchanged_and_the_row_says_why() {
    let class = update_list_of(Platform::Ps4, None);
    let url = "http://fus01.ps4.update.playstation.net/x";
    let page = b"<html>\n<body>\n<br></body>";
    let rewritten = rewrite(&pack("firmware-guard"), &class, url, page).unwrap();
    assert_eq!((rewritten.body, rewritten.hits.len()), (None, 0));
    let note = &rewritten.notes[0];
    assert!(note.starts_with("rule firmware-guard: the body is not an update list: "), "{note}");
    assert!(note.ends_with("at line 3, column 5 (byte 18); passed unchanged"), "{note}");
}

#[test]
fn a_field_of_a_document_is_set_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mine.toml");
    let rule = "[[rule]]\nname = 'mine'\nwhen = '~all'\n[rule.rewrite.document]\n\
                updatelist.offer = '09.000.000'\nupdatelist.region = '{value}'\n";
    std::fs::write(&file, rule).unwrap();
    let rules = Rules::load(&[file.to_str().unwrap().to_owned()]).unwrap();
    let class = update_list_of(Platform::Ps4, None);
    let rewritten = rewrite(&rules, &class, "http://example.org/", PS4_LIST).unwrap();
    assert!(
        rewritten.hits[0].did.starts_with("rewrote the document: offers 9.00"),
        "{rewritten:?}"
    );
    assert!(text(rewritten.body).contains("version=\"09.000.000\""));
    let rewritten = rewrite(&rules, &class, "http://example.org/", b"<html/>").unwrap();
    assert!(rewritten.body.is_none() && rewritten.notes[0].contains("passed unchanged"));
}

#[test]
fn a_list_without_anything_newer_is_not_called_rewritten() {
    let rules = pack("firmware-guard");
    let class = update_list_of(Platform::Ps4, None);
    let url = "http://fus01.ps4.update.playstation.net/x";
    let hidden = rewrite(&rules, &class, url, PS4_LIST).unwrap().body.unwrap();
    let again = rewrite(&rules, &class, url, &hidden).unwrap();
    assert_eq!((again.body, again.hits[0].effect), (None, Effect::Noted));
}

#[test]
fn names_show_the_title_id() {
    let class = Classification {
        category: Category::from("title-metadata"),
        platform: Platform::Ps4.into(),
        ..Classification::default()
    };
    let url = "http://tmdb.np.dl.playstation.net/tmdb2/CUSA00080_00_4ED0/CUSA00080_00.json";
    let rewritten = rewrite(&pack("title-metadata"), &class, url, METADATA).unwrap();
    assert_eq!(rewritten.hits[0].did, "rewrote the title metadata of CUSA00080_00: 2 fields");
    let expected = String::from_utf8(METADATA.to_vec())
        .unwrap()
        .replace("\"Example Title\"", "\"Example Title [CUSA00080_00]\"")
        .replace("\"Beispiel\"", "\"Beispiel [CUSA00080_00]\"");
    assert_eq!(text(rewritten.body), expected);
}

#[test]
fn other_flows_and_no_rules_pass() {
    let url = "http://example.org/";
    let class = update_list_of(Platform::Switch, None);
    assert_eq!(rewrite(&pack("firmware-guard"), &class, url, b""), None);
    assert_eq!(rewrite(&Rules::none(), &update_list_of(Platform::Ps4, None), url, b""), None);
    assert!(Rules::none().is_empty() && !pack("firmware-guard").is_empty());
}

#[test]
fn explain_says_which_rule_fits_and_where_it_stands() {
    let rules = Rules::load(&["firmware-guard".into(), "title-metadata".into()]).unwrap();
    let class = update_list_of(Platform::Ps4, None);
    let target = Target::Url("http://example.org/".parse().unwrap());
    let subject = Subject::request("GET", &target, &class, [127, 0, 0, 1].into());
    let explained = rules.explain(&subject);
    let fits: Vec<_> = explained.iter().map(|rule| (rule.rule, rule.fits)).collect();
    let expected = [
        ("firmware-guard", true),
        ("firmware-guard-psp", false),
        ("firmware-guard-images", false),
        ("title-metadata", false),
    ];
    assert_eq!(fits, expected);
    assert!(explained[0].place.starts_with("firmware-guard:"), "{}", explained[0].place);
    assert!(explained[3].action.contains("names.*.name"), "{}", explained[1].action);
}
