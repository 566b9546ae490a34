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

fn told(source: &str) -> String {
    load(source).map(|_| ()).unwrap_err()
}

/// What a rule for all title metadata with this `json` makes of the sample.
fn replaced(json: &str, details: Details) -> Rewritten {
    let rules = format!("[[rule]]\nname = 'mine'\nwhen = '~all'\nrewrite.json = {json}\n");
    let rules = load(&rules).unwrap_or_else(|error| panic!("{error}"));
    let target = Target::Url("http://example.org/".parse().unwrap());
    let category = Category::from("title-metadata");
    let class = Classification { category, details, ..Classification::default() };
    let subject = Subject::request("GET", &target, &class, [127, 0, 0, 1].into());
    let context = Context { classification: &class, target: &target };
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
fn rules_follow_each_other_and_may_undo_each_other() {
    let rule = |name: &str, value: &str| {
        format!("[[rule]]\nname='{name}'\nwhen='~all'\nrewrite.json={{ console = '{value}' }}\n")
    };
    let rules = load(&(rule("one", "{value}X") + &rule("two", "PS4"))).unwrap();
    let target = Target::Url("http://example.org/".parse().unwrap());
    let class = Classification::default();
    let subject = Subject::request("GET", &target, &class, [127, 0, 0, 1].into());
    let context = Context { classification: &class, target: &target };
    let rewritten = rules.decide(&subject).rewrite(METADATA.as_bytes(), &context);
    assert_eq!(rewritten.body, None);
    let hits: Vec<_> = rewritten.hits.iter().map(|hit| (hit.name.as_str(), hit.effect)).collect();
    assert_eq!(hits, [("one", Effect::Noted), ("two", Effect::Noted)]);
}

#[test]
fn mistakes_are_told_by_file_line_and_column() {
    let rule = "[[rule]]\nname = \"x\"\nwhen = \"~all\"\n";
    for (source, expected) in [
        ("", "mine.toml:1:1: there is no [[rule]] in this file"),
        ("[[rule]\n", "mine.toml:1:"),
        ("[[rule]]\nname = 'x'\n", "mine.toml:1:1: missing field `when`"),
        (rule, "mine.toml:1:1: a rule needs an action: rewrite = { … }"),
        (&format!("{rule}rewirte = {{}}"), "mine.toml:4:1: unknown field `rewirte`, expected"),
        (&format!("{rule}rewrite = {{}}"), "mine.toml:4:11: `rewrite` needs one of firmware"),
        (
            &format!("{rule}rewrite = {{ firmware = 'hide', json = {{ a = 1 }} }}"),
            "mine.toml:4:11: `rewrite` needs one of firmware",
        ),
        (&format!("{rule}rewrite.firmware = 'show'"), "mine.toml:4:20: unknown variant `show`"),
        (&format!("{rule}rewrite.json = {{}}"), "`json` needs a field"),
        (&format!("{rule}rewrite.json = {{ 'a..b' = 1 }}"), "\"a..b\" is no path"),
        (&format!("{rule}rewrite.json = {{ a = '{{b}}' }}"), "{b} cannot be filled in; there are"),
        (&format!("{rule}rewrite.json = {{ a = nan }}"), "a: JSON has no inf and no nan"),
        (
            &format!("{rule}rewrite.json = {{ 'n.*.a' = 1, 'n.0' = 2 }}"),
            "n.*.a and n.0 can mean the same field; keep one",
        ),
        ("[[rule]]\nname = ''\nwhen = '~all'", "mine.toml:2:8: a rule needs a name"),
        (
            "[[rule]]\nname = 'x'\nwhen = '~d a & ~cta b'",
            "mine.toml:3:16: in `when`: ~cta is no operator",
        ),
        ("[[rule]]\nname = 'x'\nwhen = '~c 404'", "mine.toml:3:8: `when` asks for what is known"),
        (
            &format!("{rule}rewrite.firmware='hide'\n{rule}rewrite.firmware='hide'"),
            "mine.toml:5:1: a rule \"x\" is already at mine.toml:1; rename one",
        ),
    ] {
        let told = told(source);
        assert!(told.contains(expected), "{source}\n{told}\nexpected {expected}");
    }
}

#[test]
fn a_name_that_no_pack_has_lists_the_packs() {
    let told = |name: &str| Rules::load(&[name.to_owned()]).unwrap_err().to_string();
    assert_eq!(
        told("firmware"),
        "there is no rule pack \"firmware\"; the packs are firmware-guard, title-metadata. \
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
