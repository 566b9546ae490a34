//! Tables for people: Markdown, and the markup of MediaWiki.

use std::collections::BTreeSet;

use super::{Seen, Unknown, ordered};

/// A table: its heading, the names of its columns, its rows.
struct Table {
    heading: &'static str,
    columns: &'static [&'static str],
    rows: Vec<Vec<Cell>>,
}

enum Cell {
    /// Something that was on the wire.
    Code(Vec<String>),
    /// Words of ours.
    Text(String),
}

pub(super) fn markdown(unknown: &Unknown) -> String {
    let mut text = String::new();
    for table in tables(unknown) {
        let Table { heading, columns, rows } = table;
        text.push_str(&format!("## {heading}\n\n| {} |\n", columns.join(" | ")));
        text.push_str(&format!("|{}\n", "---|".repeat(columns.len())));
        for row in rows {
            let cells: Vec<String> = row.iter().map(Cell::markdown).collect();
            text.push_str(&format!("| {} |\n", cells.join(" | ")));
        }
        text.push('\n');
    }
    text
}

pub(super) fn wiki(unknown: &Unknown) -> String {
    let mut text = String::new();
    for Table { heading, columns, rows } in tables(unknown) {
        text.push_str(&format!("== {heading} ==\n{{| class=\"wikitable sortable\"\n"));
        text.push_str(&format!("! {}\n", columns.join(" !! ")));
        for row in rows {
            let cells: Vec<String> = row.iter().map(Cell::wiki).collect();
            text.push_str(&format!("|-\n| {}\n", cells.join(" || ")));
        }
        text.push_str("|}\n");
    }
    text
}

impl Cell {
    fn markdown(&self) -> String {
        match self {
            // Nothing ends a code span or a cell early.
            Self::Code(pieces) => {
                let pieces = pieces
                    .iter()
                    .map(|piece| format!("`{}`", piece.replace('`', "'").replace('|', "\\|")));
                pieces.collect::<Vec<_>>().join(", ")
            }
            Self::Text(text) => text.replace('|', "\\|"),
        }
    }

    fn wiki(&self) -> String {
        match self {
            Self::Code(pieces) => {
                let pieces = pieces.iter().map(|piece| {
                    let piece =
                        piece.replace('&', "&amp;").replace('<', "&lt;").replace('|', "&#124;");
                    format!("<code><nowiki>{piece}</nowiki></code>")
                });
                pieces.collect::<Vec<_>>().join(", ")
            }
            Self::Text(text) => text.replace('|', "&#124;"),
        }
    }
}

/// Those that have rows.
fn tables(unknown: &Unknown) -> Vec<Table> {
    let requests = ordered(&unknown.requests).map(|(asked, seen)| {
        vec![
            number(seen),
            code([format!("{} {}", asked.method, asked.url())]),
            code(seen.query.iter().cloned()),
            words(&seen.platforms),
            code(seen.agents.iter().cloned()),
            words(&seen.answers),
        ]
    });
    let agents = ordered(&unknown.agents).map(|(agent, seen)| {
        vec![number(seen), code([agent.clone()]), code(seen.hosts.iter().cloned())]
    });
    let fingerprints = ordered(&unknown.fingerprints).map(|(print, seen)| {
        vec![
            number(seen),
            code([print.ja4.clone()]),
            code([print.ja3.clone()]),
            Cell::Text(print.version.clone()),
            code(seen.hosts.iter().cloned()),
        ]
    });
    let all = [
        Table {
            heading: "Requests that no row explains",
            columns: &["count", "request", "query", "console", "user agent", "answer"],
            rows: requests.collect(),
        },
        Table {
            heading: "User agents that no row explains",
            columns: &["count", "user agent", "hosts"],
            rows: agents.collect(),
        },
        Table {
            heading: "TLS fingerprints of what no row explains",
            columns: &["count", "JA4", "JA3", "highest version", "hosts"],
            rows: fingerprints.collect(),
        },
    ];
    all.into_iter().filter(|table| !table.rows.is_empty()).collect()
}

fn number(seen: &Seen) -> Cell {
    Cell::Text(seen.count.to_string())
}

fn words(words: &BTreeSet<String>) -> Cell {
    Cell::Text(words.iter().cloned().collect::<Vec<_>>().join(", "))
}

fn code(pieces: impl IntoIterator<Item = String>) -> Cell {
    Cell::Code(pieces.into_iter().collect())
}
