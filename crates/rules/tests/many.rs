//! Many rules at once: the decision is the same as if each were asked in turn.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;

use consoletap_filter::Subject;
use consoletap_flow::{Category, Classification, Details, Platform, Target};
use consoletap_rules::Rules;
use proptest::prelude::*;
use proptest::sample::select;

const WHENS: [&str; 10] = [
    "~all",
    "~cat fw-updatelist",
    "~cat update & ~console ps4",
    "~title CUSA00001 & ~cat title-*",
    "~title CUSA00002",
    "!~d playstation",
    "~d ^fus01\\.ps4\\. | ~u /tmdb2/",
    "~u \\.xml$ & ~m GET",
    "~client 10.0.0.1",
    "~hq nothing",
];

const ACTIONS: [&str; 5] =
    ["block = 404", "delay = '1ms'", "tag = 'x'", "store = 'head'", "answer = { body = 'x' }"];

fn rules() -> impl Strategy<Value = String> {
    let rule = (select(&WHENS[..]), select(&ACTIONS[..]), any::<bool>());
    prop::collection::vec(rule, 1..40).prop_map(|rules| {
        let rule = |(number, (when, action, has_url)): (usize, (&str, &str, bool))| {
            let url = if has_url { "url = 'update'\n" } else { "" };
            format!("[[rule]]\nname = 'r{number}'\nwhen = '{when}'\n{url}{action}\n")
        };
        rules.into_iter().enumerate().map(rule).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn the_first_of_each_kind_that_fits_acts(
        source in rules(),
        url in select(&[
            "http://fus01.ps4.update.playstation.net/update/ps4/list/us/ps4-updatelist.xml",
            "http://tmdb.np.dl.playstation.net/tmdb2/CUSA00001_00_X/CUSA00001_00.json",
            "http://example.org/x.XML",
        ][..]),
        category in select(&["fw-updatelist", "title-metadata", "unknown"][..]),
        title in select(&[None, Some("CUSA00001_00"), Some("CUSA00002_00")][..]),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("many.toml");
        fs::write(&file, &source).unwrap();
        let rules = Rules::load(&[file.to_str().unwrap().to_owned()]).unwrap();
        let target = Target::Url(url.parse().unwrap());
        let class = Classification {
            category: Category::from(category),
            platform: Platform::Ps4.into(),
            details: Details { np_title_id: title.map(Into::into), ..Details::default() },
            ..Classification::default()
        };
        let subject = Subject::request("GET", &target, &class, [10, 0, 0, 1].into());
        // One by one, as `explain` asks them.
        let mut expected: Vec<String> = Vec::new();
        let mut kinds: Vec<String> = Vec::new();
        for rule in rules.explain(&subject).into_iter().filter(|rule| rule.fits) {
            let kind = rule.action.split([' ', ':']).next().unwrap().to_owned();
            if !kinds.contains(&kind) {
                kinds.push(kind);
                expected.push(rule.rule.to_owned());
            }
        }
        let decided: Vec<&str> = rules.decide(&subject).names().collect();
        prop_assert_eq!(decided, expected);
    }
}
