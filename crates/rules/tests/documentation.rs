//! `docs/rules.md` says what is true: its examples are read, and known when it says so.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;

use consoletap_filter::{Filter, Stage};
use consoletap_rules::Rules;

const PAGE: &str = include_str!("../../../docs/rules.md");

/// The first cell's code and the last cell of every row of the table of filters.
fn filters() -> Vec<(String, String)> {
    let (_, table) = PAGE.split_once("| filter | fits | known |").unwrap();
    table
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| {
            let line = line.replace("\\|", "\u{1}");
            let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
            let filter = cells[0].trim_matches('`').replace('\u{1}', "|");
            (filter, cells[2].to_owned())
        })
        .collect()
}

#[test]
fn every_filter_of_the_table_is_one_and_is_known_when_the_table_says() {
    let filters = filters();
    assert_eq!(filters.len(), 22);
    for (filter, known) in filters {
        let stage = match known.as_str() {
            "at the request" => Stage::Request,
            "at the answer" => Stage::Response,
            "at the end" => Stage::Finished,
            other => panic!("{filter} is known {other}?"),
        };
        let parsed = Filter::parse(&filter).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(parsed.needs(), stage, "{filter}");
    }
}

#[test]
fn every_filter_in_the_text_is_one() {
    let codes = PAGE.lines().filter(|line| !line.starts_with("```")).collect::<Vec<_>>().join("\n");
    let filters: Vec<&str> =
        codes.split('`').skip(1).step_by(2).filter(|code| code.contains('~')).collect();
    assert!(filters.len() > 20, "{filters:?}");
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
fn every_pack_has_a_section() {
    for pack in Rules::packs() {
        assert!(PAGE.contains(&format!("### {}: ", pack.name)), "{}", pack.name);
    }
}
