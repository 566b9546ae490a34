//! `docs/coverage.md`: every service of the documented page, with its row and the vectors that
//! test it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use consoletap_flow::EntryId;

use crate::catalog::Catalog;
use crate::entry::Entry;
use crate::explain::Question;

/// A line of vectors, as the tests read it: kind, method, target, user agent and what is expected,
/// with tabs between; the eighth column is the line of the page.
struct Vector<'t> {
    line: usize,
    kind: &'t str,
    method: &'t str,
    target: &'t str,
    user_agent: &'t str,
    page_line: &'t str,
}

/// The table, from the vectors of the page. `name` is the file that they stand in.
#[must_use]
pub fn coverage(catalog: &Catalog, name: &str, vectors: &str) -> String {
    let vectors: Vec<Vector<'_>> = vectors.lines().enumerate().skip(1).filter_map(read).collect();
    let mut tested: BTreeMap<&EntryId, Vec<&Vector<'_>>> = BTreeMap::new();
    let mut ports = String::new();
    for vector in &vectors {
        for entry in catalog.entries_of(vector) {
            tested.entry(&entry.id).or_default().push(vector);
        }
        if vector.kind == "port" {
            catalog.write_port(vector, name, &mut ports);
        }
    }
    let mut text = String::from(
        "# What the catalog covers of the documented page\n\nMade by `consoletap catalog coverage`; a test holds this file against it. Each row of the page is one of the\ncatalog's; the numbers are lines of the page and lines of the vectors that test it.\n\n## Services\n\n| service | category | console | row | page | tests |\n|---|---|---|---|---|---|\n",
    );
    for entry in catalog.entries().filter(|entry| entry.documented) {
        let vectors = tested.get(&entry.id).map_or(&[][..], Vec::as_slice);
        let pages = vectors.iter().map(|vector| vector.page_line.to_owned()).collect();
        let tests = vectors.iter().map(|vector| vector.line.to_string()).collect();
        let _ = writeln!(
            text,
            "| {} | `{}` | {} | `{}` | {} | {} |",
            entry.summary,
            entry.category,
            entry.platform.to_string().replace('|', ", "),
            entry.id,
            list(pages),
            if vectors.is_empty() {
                "**none**".into()
            } else {
                format!("`{name}`: {}", list(tests))
            },
        );
    }
    text.push_str(
        "\n## Ports\n\n| protocol | ports | use | page | tests |\n|---|---|---|---|---|\n",
    );
    text + &ports
}

fn read((index, line): (usize, &str)) -> Option<Vector<'_>> {
    let cells: Vec<&str> = line.split('\t').collect();
    let [kind, method, target, user_agent, _, _, _, page_line, ..] = cells[..] else { return None };
    Some(Vector { line: index + 1, kind, method, target, user_agent, page_line })
}

impl Catalog {
    /// The rows that a vector is about.
    fn entries_of(&self, vector: &Vector<'_>) -> Vec<&Entry> {
        match vector.kind {
            "port" => Vec::new(),
            "template" => {
                let written = |entry: &&Entry| entry.format.iter().any(|f| f == vector.target);
                self.entries().filter(written).collect()
            }
            "body" => {
                let root = vector.target.rsplit(' ').next().unwrap_or_default();
                self.document(root.trim_end_matches(".xml")).into_iter().collect()
            }
            // The page gives the label alone.
            "marker" => {
                self.entry_for("", "x.ww.sp-int.dl.playstation.net", "").into_iter().collect()
            }
            "host" => self.entry_for("", vector.target, "").into_iter().collect(),
            _ => self
                .entry_for(vector.method, vector.target, vector.user_agent)
                .into_iter()
                .chain(self.entry_for("", "", vector.user_agent))
                .collect(),
        }
    }

    fn entry_for(&self, method: &str, target: &str, user_agent: &str) -> Option<&Entry> {
        let given = |text: &'_ str| (!text.is_empty()).then(|| text.to_owned());
        let (method, target, agent) = (given(method), given(target), given(user_agent));
        let question = Question::parse(method.as_deref(), target.as_deref(), agent.as_deref());
        self.entry_of(&self.classify(&question.ok()?.query()))
    }

    fn write_port(&self, vector: &Vector<'_>, name: &str, text: &mut String) {
        let rows = self.port_table().filter(|row| {
            let range = match row.first == row.last {
                true => row.first.to_string(),
                false => format!("{}-{}", row.first, row.last),
            };
            row.documented && row.protocol == vector.method && range == vector.target
        });
        for row in rows {
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | `{name}`: {} |",
                row.protocol, vector.target, row.usage, vector.page_line, vector.line
            );
        }
    }
}

fn list(mut words: Vec<String>) -> String {
    words.sort_by_key(|word| (word.len(), word.clone()));
    words.dedup();
    words.join(", ")
}
