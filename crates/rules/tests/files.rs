//! Rule files of users: what they can say, and what is told of mistakes.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;

use consoletap_filter::Subject;
use consoletap_flow::{Category, Classification, Details, Effect, Target};
use consoletap_rules::{Context, Rewritten, Rules};
use proptest::prelude::*;

const METADATA: &str = include_str!("../../documents/samples/title-metadata.json");

/// The rules of a file with this content; the file is gone when this returns, they are not.
fn load(source: &str) -> Result<Rules, String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mine.toml");
    fs::write(&file, source).unwrap();
    let name = file.to_str().unwrap().to_owned();
    let shown = format!("{}/", folder.path().display());
    Rules::load(&[name]).map_err(|error| error.to_string().replace(&shown, ""))
}

fn context<'a>(classification: &'a Classification, target: &'a Target) -> Context<'a> {
    Context { classification, target, method: "GET", client: [127, 0, 0, 1].into() }
}

/// What a rule for all title metadata with this `json` makes of the sample.
fn replaced(json: &str, details: Details) -> Rewritten {
    let rules = format!("[[rule]]\nname = 'mine'\nwhen = '~all'\nrewrite.json = {json}\n");
    let rules = load(&rules).unwrap_or_else(|error| panic!("{error}"));
    let target = Target::Url("http://example.org/".parse().unwrap());
    let category = Category::from("title-metadata");
    let class = Classification { category, details, ..Classification::default() };
    let subject = Subject::request("GET", &target, &class, [127, 0, 0, 1].into());
    let context = context(&class, &target);
    rules.decide(&subject).rewrite(METADATA.as_bytes(), &context)
}

#[test]
fn values_keep_their_types_and_paths_may_stand_without_quotes() {
    let json =
        r#"{ names.0.name = "New", "parentalLevel" = 1, icons = [ { icon = "http://x/" } ] }"#;
    let rewritten = replaced(json, Details::default());
    let body = String::from_utf8(rewritten.body.unwrap()).unwrap();
    for part in [
        r#"{"name":"New"}"#,
        r#""parentalLevel" : 1,"#,
        r#""icons": [{"icon":"http://x/"}],"#,
        r#"{"name" : "Beispiel", "lang":"de"}"#,
    ] {
        assert!(body.contains(part), "{part} in {body}");
    }
    assert_eq!(rewritten.hits[0].did, "rewrote the title metadata of CUSA00080_00: 3 fields");
}

#[test]
fn what_is_missing_or_unknown_is_noted_and_the_rest_is_done() {
    let json = r#"{ "nothere" = 1, "console" = "{region}", "category" = "{title_id}" }"#;
    let rewritten = replaced(json, Details::default());
    assert!(
        String::from_utf8(rewritten.body.unwrap()).unwrap().contains(r#""category":"CUSA00080""#)
    );
    assert_eq!(
        rewritten.notes,
        [
            "console stays as it is: region is not known here",
            "the title metadata has no nothere; nothing was added"
        ]
    );
    let region = Details { region: Some("jp".into()), ..Details::default() };
    let rewritten = replaced(r#"{ "console" = "{region}" }"#, region);
    assert!(String::from_utf8(rewritten.body.unwrap()).unwrap().contains(r#""console": "jp""#));
}

#[test]
fn of_rules_of_a_kind_that_fit_the_first_acts() {
    let rule =
        |name: &str, action: &str| format!("[[rule]]\nname='{name}'\nwhen='~all'\n{action}\n");
    let rules = rule("one", "rewrite.json={ console = 'X' }")
        + &rule("two", "rewrite.json={ console = 'Y' }")
        + &rule("three", "set-header.answer = { X-A = '1' }")
        + &rule("four", "set-header.answer = { X-B = '1' }");
    let rules = load(&rules).unwrap();
    let target = Target::Url("http://example.org/".parse().unwrap());
    let class = Classification::default();
    let subject = Subject::request("GET", &target, &class, [127, 0, 0, 1].into());
    let decision = rules.decide(&subject);
    assert_eq!(decision.names().collect::<Vec<_>>(), ["one", "three"]);
    let rewritten = decision.rewrite(METADATA.as_bytes(), &context(&class, &target));
    assert_eq!((rewritten.hits.len(), rewritten.hits[0].effect), (1, Effect::Rewritten));
    let body = String::from_utf8(rewritten.body.unwrap()).unwrap();
    assert!(body.contains("\"console\": \"X\""), "{body}");
}

#[test]
fn a_name_that_no_pack_has_lists_the_packs() {
    let told = |name: &str| Rules::load(&[name.to_owned()]).unwrap_err().to_string();
    assert_eq!(
        told("firmware"),
        "there is no rule pack \"firmware\"; the packs are firmware-guard, \
         local-packages, network-test, pin-game-version, quiet, title-metadata. \
         A file of yours is named with a slash or its ending, as ./firmware.toml"
    );
    assert!(told("./nothere.toml").starts_with("the rule file ./nothere.toml cannot be read: "));
    let twice = Rules::load(&["firmware-guard".into(), "firmware-guard".into()]).unwrap_err();
    assert!(twice.to_string().contains("is already at firmware-guard:"), "{twice}");
}

proptest! {
    #[test]
    fn arbitrary_files_are_rules_or_mistakes(
        middle in "[a-z\\[\\]{}='\". \n,0-9~&é]{0,60}", at in 0..90_usize,
    ) {
        let mut source = "[[rule]]\nname = \"x\"\nwhen = '~all'\nrewrite.json = { a.b = \"{value}\" }\n"
            .to_owned();
        source.insert_str(at.min(source.len()), &middle);
        let _ = load(&source);
    }
}
