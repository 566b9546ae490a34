//! Vectors drawn from what is known beyond the page: each line is asked, and the answer held
//! against platform, category and fields. Lines of the kind `negative` are near misses, look-alikes
//! and hostile input.

#![expect(clippy::unwrap_used, reason = "a test may stop here")]

use consoletap_catalog::{Catalog, Question};
use consoletap_flow::Classification;

const FACTS: &str = include_str!("vectors/facts.tsv");

fn question(kind: &str, method: &str, target: &str, user_agent: &str) -> Question {
    let known = |text: &'static str| Some(text).filter(|text| !text.is_empty());
    let question = Question::default();
    match kind.trim_start_matches("negative-") {
        "header" => question.with_header(target).unwrap(),
        "ja3" => question.with_ja3(target),
        "ja4" => question.with_ja4(target),
        _ => {
            let (method, target) = (method.to_owned().leak(), target.to_owned().leak());
            let user_agent = user_agent.to_owned().leak();
            Question::parse(known(method), known(target), known(user_agent)).unwrap()
        }
    }
}

fn told(said: &Classification, key: &str) -> Option<String> {
    let details = &said.details;
    let known = match key {
        "title_id" => details.title_id.as_ref(),
        "np_title_id" => details.np_title_id.as_ref(),
        "content_id" => details.content_id.as_ref(),
        "firmware" => details.firmware.as_ref(),
        "region" => details.region.as_ref(),
        "hash_ok" => return details.hash_ok.map(|fits| fits.to_string()),
        "environment" => return Some(said.environment.to_string()),
        "entry" => return said.entry.as_ref().map(ToString::to_string),
        "title_platform" => return details.title_platform.map(|platform| platform.to_string()),
        _ => details.fields.iter().find(|(name, _)| name == key).map(|(_, value)| value),
    };
    known.map(ToString::to_string)
}

#[test]
fn every_vector_of_the_facts_holds() {
    let catalog = Catalog::builtin();
    let (mut lines, mut negatives, mut wrong) = (0, 0, Vec::new());
    for (index, line) in FACTS.lines().enumerate().skip(1) {
        let cells: Vec<&str> = line.split('\t').collect();
        let [kind, method, target, user_agent, platform, category, expected, _] = cells[..] else {
            panic!("line {}: expected eight columns", index + 1)
        };
        lines += 1;
        negatives += usize::from(kind.starts_with("negative"));
        let said = catalog.classify(&question(kind, method, target, user_agent).query());
        let mut expect = |what: &str, found: Option<&str>, want: &str| {
            if found != Some(want) {
                wrong.push(format!(
                    "line {}: {what} is {found:?}, expected {want}: {line}",
                    index + 1
                ));
            }
        };
        expect("platform", Some(&said.platform.to_string()), platform);
        expect("category", Some(said.category.as_str()), category);
        for item in expected.split("; ").filter(|item| !item.is_empty()) {
            let (key, want) = item.split_once('=').unwrap();
            expect(key, told(&said, key).as_deref(), want);
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(lines >= 300 && negatives >= 40, "{lines} vectors, {negatives} of them negative");
}
