//! What a person should know of the tables before using them: ties, and examples that miss.

use std::collections::HashMap;
use std::fmt;

use consoletap_flow::EntryId;

use crate::catalog::{Catalog, Matcher};
use crate::explain::Question;
use crate::table::Row;

/// Something wrong with the tables.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CheckFinding {
    /// Two rows ask for the same, so that only their names decide.
    Tie {
        /// The one.
        first: EntryId,
        /// The other.
        second: EntryId,
    },
    /// An example of a row is explained by another row, or by none.
    Example {
        /// The row.
        entry: EntryId,
        /// Its example.
        example: String,
        /// The row that won.
        found: Option<EntryId>,
    },
}

impl fmt::Display for CheckFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tie { first, second } => write!(
                f,
                "rows `{first}` and `{second}` match the same requests; make one of them narrower"
            ),
            Self::Example { entry, example, found: Some(found) } => write!(
                f,
                "row `{entry}`: its example `{example}` is explained by row `{found}`; expected the row itself"
            ),
            Self::Example { entry, example, found: None } => write!(
                f,
                "row `{entry}`: its example `{example}` is explained by no row; expected the row itself"
            ),
        }
    }
}

impl Catalog {
    /// Looks for rows that cannot be told apart and for examples that their row does not explain.
    #[must_use]
    pub fn check(&self) -> Vec<CheckFinding> {
        let mut findings = Vec::new();
        for list in self.by_host.values().chain([&self.by_path]) {
            self.find_ties(list, &mut findings);
        }
        self.find_agent_ties(&mut findings);
        for row in &self.rows {
            findings.extend(row.entry.examples.iter().filter_map(|text| self.missed(row, text)));
        }
        findings.sort_by_key(ToString::to_string);
        findings.dedup();
        findings
    }

    fn find_ties(&self, list: &[Matcher], findings: &mut Vec<CheckFinding>) {
        for (index, one) in list.iter().enumerate() {
            // Lists are sorted by rank, and only equals can tie.
            for other in list[index + 1..].iter().take_while(|other| other.rank == one.rank) {
                let (first, second) = (&self.rows[one.row], &self.rows[other.row]);
                let same = one.host == other.host && one.path == other.path && alike(first, second);
                if same && one.row != other.row {
                    findings.push(tie(first, second));
                }
            }
        }
    }

    fn find_agent_ties(&self, findings: &mut Vec<CheckFinding>) {
        let mut seen: HashMap<String, &Row> = HashMap::new();
        for row in self.rows.iter().filter(|row| row.hosts.is_empty() && row.paths.is_empty()) {
            for pattern in &row.agents {
                if let Some(first) = seen.insert(format!("{pattern:?}"), row) {
                    findings.push(tie(first, row));
                }
            }
        }
    }

    fn missed(&self, row: &Row, example: &str) -> Option<CheckFinding> {
        let question = Question::parse_example(example);
        let found = question.ok().and_then(|question| self.classify(&question.query()).entry);
        (found.as_ref() != Some(&row.entry.id)).then(|| CheckFinding::Example {
            entry: row.entry.id.clone(),
            example: example.to_owned(),
            found,
        })
    }
}

fn alike(one: &Row, other: &Row) -> bool {
    one.method == other.method
        && one.port == other.port
        && one.environment == other.environment
        && one.agents == other.agents
}

fn tie(first: &Row, second: &Row) -> CheckFinding {
    CheckFinding::Tie { first: first.entry.id.clone(), second: second.entry.id.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_tables_have_no_findings() {
        let findings = Catalog::builtin().check();
        let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
        assert!(lines.is_empty(), "{}", lines.join("\n"));
    }

    #[test]
    fn ties_and_missed_examples_are_found() {
        let row = |id: &str| {
            format!(
                "[[entry]]\nid = \"{id}\"\nhost = \"a.example\"\ncategory = \"c\"\nsummary = \"s\"\nexamples = [\"http://b.example/\"]\n"
            )
        };
        let catalog = Catalog::from_text("t.toml", &(row("one") + &row("two"))).unwrap();
        let findings = catalog.check();
        assert_eq!(findings.len(), 3, "{findings:?}");
        assert!(matches!(&findings[2], CheckFinding::Tie { .. }), "{findings:?}");
    }
}
