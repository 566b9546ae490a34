//! What a person should know of the tables before using them: ties, and examples that miss.

use std::fmt;

use consoletap_flow::EntryId;

use crate::catalog::Catalog;
use crate::entry::Place;
use crate::explain::Question;
use crate::hosts::HostMatch;
use crate::index::Matcher;
use crate::pattern::Pattern;
use crate::row::Row;

/// Something wrong with the tables.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CheckFinding {
    /// Two rows are equally specific and fit the same request, so that only their names decide.
    Tie {
        /// The one.
        first: (EntryId, Place),
        /// The other.
        second: (EntryId, Place),
        /// What both fit.
        example: String,
    },
    /// An example of a row is explained by another row, or by none.
    Example {
        /// The row.
        entry: (EntryId, Place),
        /// Its example.
        example: String,
        /// The row that won.
        found: Option<EntryId>,
    },
}

impl fmt::Display for CheckFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tie { first: (first, at), second: (second, there), example } => write!(
                f,
                "{at}: row `{first}` ties with row `{second}` ({there}): both match `{example}`; expected one of them to be narrower"
            ),
            Self::Example { entry: (entry, place), example, found } => {
                write!(f, "{place}: row `{entry}`: its example `{example}` is explained by ")?;
                match found {
                    Some(found) => write!(f, "row `{found}`")?,
                    None => f.write_str("no row")?,
                }
                f.write_str("; expected the row itself")
            }
        }
    }
}

impl Catalog {
    /// Looks for rows that cannot be told apart and for examples that their row does not explain.
    #[must_use]
    pub fn check(&self) -> Vec<CheckFinding> {
        let mut findings = Vec::new();
        let mut lists = self.index.lists();
        // Patterns of hosts can meet across domains.
        let patterns = lists.iter().flatten().copied();
        lists.push(patterns.filter(|m| matches!(m.host, Some(HostMatch::Pattern(_)))).collect());
        for list in &mut lists {
            list.sort_by_key(|matcher| std::cmp::Reverse(matcher.rank));
            self.find_ties(list, &mut findings);
        }
        for row in &self.rows {
            findings.extend(row.entry.examples.iter().filter_map(|text| self.missed(row, text)));
        }
        findings.sort_by_key(ToString::to_string);
        findings.dedup();
        findings
    }

    fn find_ties(&self, list: &[&Matcher], findings: &mut Vec<CheckFinding>) {
        for (index, one) in list.iter().enumerate() {
            // Only equals can tie, and they stand together.
            let equals = list[index + 1..]
                .iter()
                .take_while(|other| other.rank.specificity == one.rank.specificity);
            for other in equals.filter(|other| other.row != one.row) {
                let (first, second) = (&self.rows[one.row], &self.rows[other.row]);
                if let Some(example) = meeting(one, other)
                    && may_both_fit(first, second)
                {
                    let name = |row: &Row| (row.entry.id.clone(), row.entry.place.clone());
                    let (first, second) = (name(first), name(second));
                    findings.push(CheckFinding::Tie { first, second, example });
                }
            }
        }
    }

    fn missed(&self, row: &Row, example: &str) -> Option<CheckFinding> {
        let question = Question::parse_example(example);
        let found = question.ok().and_then(|question| self.classify(&question.query()).entry);
        (found.as_ref() != Some(&row.entry.id)).then(|| CheckFinding::Example {
            entry: (row.entry.id.clone(), row.entry.place.clone()),
            example: example.to_owned(),
            found,
        })
    }
}

/// Host and text that fit both ways to a row.
fn meeting(one: &Matcher, other: &Matcher) -> Option<String> {
    let host = match (&one.host, &other.host) {
        (Some(HostMatch::Pattern(one)), Some(HostMatch::Pattern(other))) => {
            one.shared_text(other)?
        }
        (None, None) => String::new(),
        // Of one list, and so of one domain.
        (Some(HostMatch::Exact), Some(HostMatch::Exact)) => "its host".into(),
        (Some(HostMatch::Below), Some(HostMatch::Below)) => "its domain".into(),
        _ => return None,
    };
    let text = match (&one.text, &other.text) {
        (None, None) => String::new(),
        (Some(one), Some(other)) => one.shared_text(other)?,
        _ => return None,
    };
    Some(format!("{host}{text}"))
}

/// Whether a request can have what both rows ask for besides the way to them.
fn may_both_fit(one: &Row, other: &Row) -> bool {
    fn agree<T: PartialEq>(one: Option<&T>, other: Option<&T>) -> bool {
        one.zip(other).is_none_or(|(one, other)| one == other)
    }
    fn meet<T>(one: &[T], other: &[T], mut both: impl FnMut(&T, &T) -> bool) -> bool {
        one.is_empty()
            || other.is_empty()
            || one.iter().any(|one| other.iter().any(|other| both(one, other)))
    }
    let shared = |one: &Pattern, other: &Pattern| one.shared_text(other).is_some();
    agree(one.method.as_ref(), other.method.as_ref())
        && agree(one.port.as_ref(), other.port.as_ref())
        && agree(one.environment.as_ref(), other.environment.as_ref())
        && meet(&one.ja3, &other.ja3, |one, other| one == other)
        && meet(&one.ja4, &other.ja4, |one, other| one == other)
        && meet(&one.agents, &other.agents, shared)
        && meet(&one.headers, &other.headers, |one, other| {
            one.name != other.name
                || one.value.as_ref().zip(other.value.as_ref()).is_none_or(|(a, b)| shared(a, b))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(rows: &[&str]) -> Vec<String> {
        let row = |(index, row): (usize, &&str)| {
            format!("[[entry]]\nid = \"r{index}\"\ncategory = \"c\"\nsummary = \"s\"\n{row}\n")
        };
        let text: String = rows.iter().enumerate().map(row).collect();
        let catalog = Catalog::from_text("t.toml", &text).unwrap();
        catalog.check().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn our_own_tables_have_no_findings() {
        let findings = Catalog::builtin().check();
        let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
        assert!(lines.is_empty(), "{}", lines.join("\n"));
    }

    #[test]
    fn rows_that_cannot_be_told_apart_are_found_with_a_request_that_shows_it() {
        let same = "host = \"a.example\"";
        assert!(
            findings(&[same, same])[0]
                .starts_with("t.toml:2: row `r0` ties with row `r1` (t.toml:7)")
        );
        let one = "host = \"a.example\"\npath = \"/x/{a:digits}.js\"";
        let other = "host = \"a.example\"\npath = \"/x/{b:word}.js\"";
        assert!(findings(&[one, other])[0].contains("/x/0.js"), "{:?}", findings(&[one, other]));
        let agents = ["user_agent = \"X/{a:dotted}\"", "user_agent = \"X/{a:hex2}\""];
        assert_eq!(findings(&agents).len(), 1);
        let hosts = ["host = \"{a:cc}.b.example\"", "host = \"{a:word}.b.example\""];
        assert!(findings(&hosts)[0].contains("`aa.b.example`"));
        let headers = ["header = \"X-A: b*\"", "header = \"x-a: b*\""];
        assert_eq!(findings(&headers).len(), 1);
        let sought = ["user_agent = \"*(X {a:digits})*\"", "user_agent = \"*(X {a:word})*\""];
        assert!(findings(&sought)[0].contains("`(X 0)`"), "{:?}", findings(&sought));
        let paths = ["*/x/{a:digits}.js", "*/x/{a:word}.js"]
            .map(|path| format!("host = \"a.example\"\npath = \"{path}\""));
        let paths = findings(&[&paths[0], &paths[1]]);
        assert!(paths[0].contains("its host/x/0.js"), "{paths:?}");
        let hello = "ja3 = \"020944dd06c6d915f917237ca3ca4c14\"";
        assert_eq!(findings(&[hello, hello]).len(), 1);
    }

    #[test]
    fn rows_that_something_tells_apart_do_not_tie() {
        for pair in [
            ["host = \"a.example\"", "host = \"b.example\""],
            ["host = \"a.example\"\nmethod = \"GET\"", "host = \"a.example\"\nmethod = \"POST\""],
            ["host = \"a.example\"\nport = 1", "host = \"a.example\"\nport = 2"],
            [
                "host = \"a.example\"\npath = \"/{a:digits}\"",
                "host = \"a.example\"\npath = \"/{a:cc}\"",
            ],
            ["host = \"*.example\"", "host = \"a.example\""],
            ["user_agent = \"*(A*\"", "user_agent = \"*(B*\""],
            [
                "host = \"a.example\"\nuser_agent = \"*(A*\"",
                "host = \"a.example\"\nuser_agent = \"*(B*\"",
            ],
            ["user_agent = \"*(A {x:digits})*\"", "user_agent = \"*(B {x:word})*\""],
            [
                "host = \"a.example\"\npath = \"*_{a:digits}.js\"",
                "host = \"a.example\"\npath = \"*-{a:digits}.js\"",
            ],
        ] {
            assert_eq!(findings(&pair), [""; 0], "{pair:?}");
        }
    }

    #[test]
    fn an_example_that_another_row_explains_is_found() {
        let row = "host = \"a.example\"\nexamples = [\"http://b.example/\", \"JA3: 7\"]";
        let found = findings(&[row]);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains("is explained by no row; expected the row itself"), "{found:?}");
    }
}
