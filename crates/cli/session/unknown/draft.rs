//! Drafts of rows for the catalog. Each is read by the catalog before it is written, so that what
//! comes out can be put into a folder and used at once; what it means is for a person to add.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use consoletap_catalog::Catalog;
use consoletap_flow::EntryId;

use super::{Asked, Seen, Unknown, ordered};

/// The drafts, the most frequent first.
pub(super) fn rows(unknown: &Unknown, catalog: &Catalog) -> String {
    if unknown.is_empty() {
        return String::new();
    }
    let mut drafts = Drafts { text: HEAD.to_owned(), catalog, taken: BTreeSet::new() };
    let mut hosts = BTreeSet::new();
    for (asked, seen) in ordered(&unknown.requests) {
        // An address or a name at home says nothing to anybody else.
        if asked.host.contains(' ') {
            continue;
        }
        // One row is enough for a tunnel and for what is asked inside it with every method.
        let path = asked.path.clone().unwrap_or_default();
        if hosts.insert((asked.host.clone(), path)) {
            drafts.request(asked, seen);
        }
    }
    for (agent, seen) in ordered(&unknown.agents) {
        drafts.agent(agent, seen);
    }
    for (print, seen) in ordered(&unknown.fingerprints) {
        let hosts = seen.hosts.iter().cloned().collect::<Vec<_>>().join(", ");
        let (ja4, ja3) = (&print.ja4, &print.ja3);
        let _ = writeln!(drafts.text, "\n# TLS {ja4} (JA3 {ja3}), seen {}: {hosts}", times(seen));
    }
    drafts.text
}

const HEAD: &str = "\
# Drafts by `consoletap session unknown`. Fill in `category` and `summary`, give ids that say what
# it is, and look through hosts and paths before you share them. docs/catalog.md tells the rest.
";

struct Drafts<'a> {
    text: String,
    catalog: &'a Catalog,
    taken: BTreeSet<String>,
}

impl Drafts<'_> {
    fn request(&mut self, asked: &Asked, seen: &Seen) {
        let path = asked.path.as_deref().unwrap_or_default();
        let id = self.id(&format!("{} {path}", asked.host));
        // What cannot be a pattern as a whole begins like one.
        let begins = path.find('{').map(|at| format!("{}*", &path[..at]));
        for path in
            [Some(path.to_owned()), begins, None].into_iter().flatten().chain([String::new()])
        {
            let mut keys = vec![("host", quoted(&asked.host))];
            if !path.is_empty() {
                keys.push(("path", quoted(&path)));
            }
            if !seen.query.is_empty() {
                let names: Vec<String> = seen
                    .query
                    .iter()
                    .filter(|name| *name != "*")
                    .map(|name| quoted(name))
                    .collect();
                keys.push(("query", format!("[{}]", names.join(", "))));
            }
            if self.push(&id, keys, seen) {
                return;
            }
        }
    }

    fn agent(&mut self, agent: &str, seen: &Seen) {
        let id = self.id(&format!("agent {}", agent.split('/').next().unwrap_or_default()));
        if !self.push(&id, vec![("user_agent", quoted(agent))], seen) {
            let _ = writeln!(self.text, "\n# A user agent that is no pattern: {agent:?}");
        }
    }

    /// Adds a row where the catalog takes it.
    fn push(&mut self, id: &str, keys: Vec<(&str, String)>, seen: &Seen) -> bool {
        let mut row = format!("\n[[entry]]\nid = {}\n", quoted(id));
        for (key, value) in keys {
            let _ = writeln!(row, "{key} = {value}");
        }
        // A row is of one console, or of those that share it.
        if let [platform] = seen.platforms.iter().collect::<Vec<_>>()[..] {
            let _ = writeln!(row, "platform = {}", quoted(platform));
        }
        let _ = writeln!(row, "category = \"unknown\"");
        let _ = writeln!(row, "summary = \"Seen {}, not explained yet\"", times(seen));
        let _ = writeln!(row, "source = \"a session recorded with consoletap\"");
        let _ = writeln!(row, "confidence = \"unconfirmed\"");
        if Catalog::from_text("draft.toml", &row).is_err() {
            return false;
        }
        self.taken.insert(id.to_owned());
        self.text.push_str(&row);
        true
    }

    /// A name that no row has.
    fn id(&self, text: &str) -> String {
        let mut id = String::new();
        let mut in_field = false;
        for c in text.chars() {
            match c {
                '{' => in_field = true,
                '}' => in_field = false,
                _ if in_field => {}
                c if c.is_ascii_alphanumeric() => id.push(c.to_ascii_lowercase()),
                _ if id.ends_with('-') || id.is_empty() => {}
                _ => id.push('-'),
            }
            if id.len() >= 60 {
                break;
            }
        }
        let id = format!("draft-{}", id.trim_end_matches('-'));
        let free = |id: &String| {
            !self.taken.contains(id) && self.catalog.entry(&EntryId(id.as_str().into())).is_none()
        };
        let numbered = (2..).map(|number| format!("{id}-{number}"));
        std::iter::once(id.clone()).chain(numbered).find(free).unwrap_or(id)
    }
}

/// A string of TOML.
fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

fn times(seen: &Seen) -> String {
    match seen.count {
        1 => "once".to_owned(),
        count => format!("{count} times"),
    }
}
