//! `docs/rules.md` says what is true: its examples are read, and known when it says so.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;

use consoletap_filter::Filter;
use consoletap_rules::Rules;

const PAGE: &str = include_str!("../../../docs/rules.md");

#[test]
fn every_filter_in_the_text_is_one() {
    let codes = PAGE.lines().filter(|line| !line.starts_with("```")).collect::<Vec<_>>().join("\n");
    let filters: Vec<&str> = codes
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|code| code.contains('~') && *code != "~/")
        .collect();
    assert!(!filters.is_empty(), "{filters:?}");
    for filter in filters {
        Filter::parse(&filter.replace("\\|", "|")).unwrap_or_else(|error| panic!("{error}"));
    }
}

#[test]
fn the_example_file_is_a_rule_file() {
    let (_, rest) = PAGE.split_once("```toml\n").unwrap();
    let (example, _) = rest.split_once("```").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("example.toml");
    fs::write(&file, example).unwrap();
    let rules = Rules::load(&[file.to_str().unwrap().to_owned()]).unwrap();
    assert!(!rules.is_empty());
}

#[test]
fn every_action_of_the_text_is_one() {
    let (_, actions) = PAGE.split_once("### Actions").unwrap();
    let (actions, bodies) = actions.split_once("### Changing a body").unwrap();
    let (bodies, _) = bodies.split_once("## Settings of a file").unwrap();
    let codes = |text: &str| -> Vec<String> {
        text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    };
    let actions = codes(actions).into_iter().filter(|code| {
        let key = code.split(" = ").next().unwrap_or_default();
        code.contains(" = ") && !["missing", "keep-host"].contains(&key)
    });
    let bodies = codes(bodies).into_iter().filter(|code| code.contains(" = "));
    let rewrites = bodies.map(|code| match code.starts_with("rewrite-request") {
        true => code,
        false => format!("rewrite = {{ {code} }}"),
    });
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("example.toml");
    let mut count = 0;
    for action in actions.chain(rewrites).filter(|action| !action.contains("= { … }")) {
        let action = action.replace(", request = { … }", "");
        fs::write(&file, format!("[[rule]]\nname = 'x'\nwhen = '~all'\n{action}\n")).unwrap();
        let loaded = Rules::load(&[file.to_str().unwrap().to_owned()]);
        loaded.unwrap_or_else(|error| panic!("{action}: {error}"));
        count += 1;
    }
    assert_eq!(count, 27);
}

#[test]
fn every_pack_has_a_section() {
    for pack in Rules::packs() {
        assert!(PAGE.contains(&format!("### {}: ", pack.name)), "{}", pack.name);
    }
}
