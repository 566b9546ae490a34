//! `docs/filters.md` says what is true: each example is tried on the flows that the page gives.

use consoletap_filter::{Answer, Filter, Stage, Subject};

use crate::flows::{Sample, kept, read};

const PAGE: &str = include_str!("../../../../docs/filters.md");

/// A row of a table of examples.
struct Example {
    filter: String,
    fits: Vec<String>,
    needs: Stage,
}

/// The cells of the rows below every table head that begins with `| filter |`.
fn examples() -> Vec<Example> {
    let mut rows = Vec::new();
    let mut lines = PAGE.lines();
    while let Some(line) = lines.next() {
        if !line.starts_with("| filter |") {
            continue;
        }
        rows.extend(lines.by_ref().skip(1).take_while(|line| line.starts_with('|')).map(example));
    }
    rows
}

fn example(row: &str) -> Example {
    let row = row.replace("\\|", "\u{1}");
    let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
    let [filter, _, fits, needs] = cells[..] else { panic!("a row has four cells: {row}") };
    Example {
        filter: filter.trim_matches('`').replace('\u{1}', "|"),
        fits: fits.split(", ").map(str::to_owned).collect(),
        needs: match needs {
            "request" => Stage::Request,
            "hello" => Stage::Hello,
            "answer" => Stage::Response,
            "end" => Stage::Finished,
            other => panic!("{row} is known {other}?"),
        },
    }
}

fn flows() -> Vec<Sample> {
    let (_, rest) = PAGE.split_once("```toml\n").unwrap();
    let (toml, _) = rest.split_once("```").unwrap();
    read(toml)
}

#[test]
fn every_example_fits_the_flows_that_the_page_says() {
    let flows = flows();
    let examples = examples();
    assert!(examples.len() > 60, "{}", examples.len());
    for Example { filter, fits, .. } in examples {
        let parsed = Filter::parse(&filter).unwrap_or_else(|error| panic!("{error}"));
        let found: Vec<&str> = flows
            .iter()
            .filter(|sample| parsed.matches(&sample.subject()))
            .map(|sample| &*sample.name)
            .collect();
        assert_eq!(found, fits, "{filter}");
    }
}

#[test]
fn every_example_is_known_when_the_page_says() {
    for Example { filter, needs, .. } in examples() {
        let parsed = Filter::parse(&filter).unwrap();
        assert_eq!(parsed.needs(), needs, "{filter}");
        parsed.check(needs).unwrap_or_else(|error| panic!("{error}"));
    }
}

/// What a flow says while it is under way never turns out to be wrong.
#[test]
fn an_early_answer_is_the_last_one() {
    for sample in flows().iter().filter(|sample| !sample.is_live()) {
        for Example { filter, .. } in examples() {
            // These ask for the moment.
            if ["~q", "~live", "is:running"].contains(&&*filter) {
                continue;
            }
            let parsed = Filter::parse(&filter).unwrap();
            let early = parsed.answer(&sample.request());
            let last = parsed.answer(&sample.subject());
            assert!(
                early == last || early == Answer::NotYet,
                "{filter} of {}: {early:?}, then {last:?}",
                sample.name
            );
        }
    }
}

#[test]
fn every_word_of_the_language_has_an_example() {
    let examples = examples();
    for word in Filter::words() {
        let name = match word.split_once(':').filter(|_| !word.starts_with('~')) {
            Some((key, _)) => format!("{key}:"),
            None => word.split(' ').next().unwrap().to_owned(),
        };
        let begins = |text: &str| {
            text.strip_prefix(&*name)
                .is_some_and(|rest| name.ends_with(':') || !rest.starts_with(char::is_alphanumeric))
        };
        let named = PAGE.contains(&format!("`{word}`"));
        assert!(named || examples.iter().any(|e| begins(&e.filter)), "{word} has no example");
        assert!(Filter::parse(&word).is_ok(), "{word}");
    }
}

#[test]
fn every_filter_in_the_text_is_one() {
    let mut is_code = false;
    let mut filters = Vec::new();
    for line in PAGE.lines() {
        is_code ^= line.starts_with("```");
        if !is_code && !line.starts_with("| `~operator`") {
            let codes = line.split('`').skip(1).step_by(2);
            filters.extend(codes.filter(|code| code.contains('~')));
        }
    }
    assert!(filters.len() > 70, "{filters:?}");
    for filter in filters {
        Filter::parse(&filter.replace("\\|", "|")).unwrap_or_else(|error| panic!("{error}"));
    }
}

#[test]
fn what_is_never_so_fits_nothing() {
    for filter in ["~dns", "~udp", "~marked", "~marker .", "~replay", "~replayq", "~replays"] {
        let parsed = Filter::parse(filter).unwrap();
        assert!(flows().iter().all(|sample| !parsed.matches(&sample.subject())), "{filter}");
        let not = Filter::parse(&format!("!{filter}")).unwrap();
        assert!(not.matches(&Subject::default()), "!{filter}");
    }
}

#[test]
fn bodies_are_fetched_only_when_they_are_asked_for() {
    let flows = flows();
    let list = &flows[0];
    let asked = |filter: &str| {
        let before = kept(list).asked.get();
        let _ = Filter::parse(filter).unwrap().matches(&list.subject());
        kept(list).asked.get() - before
    };
    assert_eq!(asked("~c 404 & ~b x"), 0);
    assert_eq!(asked("~c 200 | ~b x"), 0);
    assert_eq!(asked("~bs x"), 1);
}
