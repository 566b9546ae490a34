//! The catalog: tables read, compiled and filed so that a request finds its row.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use consoletap_flow::{Classification, EntryId, Headers, Host, SmolStr};
use foldhash::fast::FixedState;

use crate::builtin;
use crate::entry::Entry;
use crate::error::CatalogError;
use crate::hash::KeyedHash;
use crate::index::Index;
use crate::ports::PortUse;
use crate::row::Row;
use crate::table::{self, Table};

/// What is known of console traffic. Cheap to share behind an `Arc`.
#[derive(Debug)]
pub struct Catalog {
    pub(crate) rows: Vec<Row>,
    pub(crate) index: Index,
    pub(crate) ports: Vec<PortUse>,
    pub(crate) keys: BTreeMap<String, KeyedHash>,
    pub(crate) unknown: Classification,
    by_id: HashMap<SmolStr, usize, FixedState>,
}

/// What is known of a request; any part may be missing, and each alone is told as far as it
/// carries.
#[derive(Debug, Default, Clone, Copy)]
pub struct Query<'a> {
    /// The method.
    pub method: Option<&'a str>,
    /// The host of the URL or of CONNECT.
    pub host: Option<&'a Host>,
    /// Its port.
    pub port: Option<u16>,
    /// Path and query as sent.
    pub path: Option<&'a str>,
    /// The value of `User-Agent`.
    pub user_agent: Option<&'a str>,
    /// The header fields of the request.
    pub headers: Option<&'a Headers>,
    /// The server name of a ClientHello; stands in where the host is not known or an address.
    pub sni: Option<&'a str>,
    /// The JA3 of a ClientHello, in small hex digits.
    pub ja3: Option<&'a str>,
    /// The JA4 of a ClientHello.
    pub ja4: Option<&'a str>,
}

impl Catalog {
    /// Our own tables.
    #[must_use]
    pub fn builtin() -> Self {
        let table = builtin_table();
        // Neither can fail: the tables are constants of the binary, and the same call in
        // `our_own_tables_have_no_findings` (check.rs) reads and compiles all of them.
        #[expect(clippy::expect_used, reason = "constant input, held by a test")]
        Self::compile(table.expect("the built-in tables are sound")).expect("their keys exist")
    }

    /// Our own tables and those of the user: every `.toml` file of each folder, in the order of
    /// their names. A row with a known id replaces the row that had it.
    ///
    /// # Errors
    /// When a file cannot be read or a row is not sound; names the file and the line.
    pub fn load(dirs: &[PathBuf]) -> Result<Self, CatalogError> {
        let mut table = builtin_table()?;
        for dir in dirs {
            for path in toml_files(dir)? {
                let text = std::fs::read_to_string(&path)
                    .map_err(|source| CatalogError::Unreadable { path: path.clone(), source })?;
                merge(&mut table, table::parse(&path.display().to_string(), &text)?)?;
            }
        }
        Self::compile(table)
    }

    /// Every row, in the order of their ids.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.rows.iter().map(|row| &row.entry)
    }

    /// The row of an id.
    #[must_use]
    pub fn entry(&self, id: &EntryId) -> Option<&Entry> {
        self.by_id.get(&id.0).map(|&row| &self.rows[row].entry)
    }

    /// The row that a classification comes from: what is secret, what is noise, whether it is a
    /// download.
    #[must_use]
    pub fn entry_of(&self, classification: &Classification) -> Option<&Entry> {
        self.entry(classification.entry.as_ref()?)
    }

    /// What a port is used for; ranges may overlap, and then there are several rows.
    #[must_use]
    pub fn ports(&self, port: u16) -> Vec<&PortUse> {
        self.ports.iter().filter(|row| row.contains(port)).collect()
    }

    /// The whole port table.
    pub fn port_table(&self) -> impl Iterator<Item = &PortUse> {
        self.ports.iter()
    }

    /// The row about a document, by the name of its root element.
    #[must_use]
    pub fn document(&self, root: &str) -> Option<&Entry> {
        self.entries().find(|entry| entry.document.as_deref() == Some(root))
    }

    /// Reads one table alone: for tests and benchmarks of this crate.
    #[doc(hidden)]
    pub fn from_text(name: &str, text: &str) -> Result<Self, CatalogError> {
        Self::compile(table::parse(name, text)?)
    }

    /// Reads the tables of one folder alone, without ours: for tests of this crate.
    #[doc(hidden)]
    pub fn load_alone(dir: &Path) -> Result<Self, CatalogError> {
        let mut table = Table::default();
        for path in toml_files(dir)? {
            let text = std::fs::read_to_string(&path)
                .map_err(|source| CatalogError::Unreadable { path: path.clone(), source })?;
            merge(&mut table, table::parse(&path.display().to_string(), &text)?)?;
        }
        Self::compile(table)
    }

    fn compile(mut table: Table) -> Result<Self, CatalogError> {
        // Answers must not depend on the order in files: of equals, the smaller id comes first.
        table.rows.sort_by(|one, other| one.entry.id.0.cmp(&other.entry.id.0));
        for pair in table.rows.windows(2) {
            if let [first, second] = pair
                && first.entry.id == second.entry.id
            {
                return Err(second.entry.place.error(format!(
                    "row `{}`: expected an id of its own, {} has it",
                    second.entry.id, first.entry.place
                )));
            }
        }
        for row in &table.rows {
            if let Some(rule) = &row.hash
                && !table.keys.contains_key(&rule.key)
            {
                return Err(row.entry.place.error(format!(
                    "row `{}`: expected the name of a [key], found `{}`",
                    row.entry.id, rule.key
                )));
            }
        }
        let ids = table.rows.iter().enumerate();
        Ok(Self {
            by_id: ids.map(|(index, row)| (row.entry.id.0.clone(), index)).collect(),
            index: Index::of(&table.rows),
            rows: table.rows,
            ports: table.ports,
            keys: table.keys,
            unknown: Classification::default(),
        })
    }
}

fn builtin_table() -> Result<Table, CatalogError> {
    let mut all = Table::default();
    for (name, text) in builtin::TABLES {
        let table = table::parse(name, text)?;
        all.rows.extend(table.rows);
        all.ports.extend(table.ports);
        all.keys.extend(table.keys);
    }
    Ok(all)
}

/// Puts a user's file over what is there. An id twice in one file is an error.
fn merge(all: &mut Table, table: Table) -> Result<(), CatalogError> {
    let mut ids = HashSet::with_capacity(table.rows.len());
    for row in &table.rows {
        if !ids.insert(&row.entry.id) {
            return Err(row.entry.place.error(format!(
                "row `{}`: expected an id of its own, the file has it twice",
                row.entry.id
            )));
        }
    }
    all.rows.retain(|old| !ids.contains(&old.entry.id));
    all.rows.extend(table.rows);
    all.ports.extend(table.ports);
    all.keys.extend(table.keys);
    Ok(())
}

fn toml_files(dir: &Path) -> Result<Vec<PathBuf>, CatalogError> {
    let unreadable = |source| CatalogError::Unreadable { path: dir.to_owned(), source };
    let mut files = Vec::new();
    for file in std::fs::read_dir(dir).map_err(unreadable)? {
        let path = file.map_err(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROW: &str =
        "[[entry]]\nid = \"mine\"\nhost = \"a.example\"\ncategory = \"c\"\nsummary = \"s\"\n";

    #[test]
    fn a_users_row_adds_and_overrides_by_id() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("a.toml"), ROW).unwrap();
        std::fs::write(dir.path().join("b.toml"), ROW.replace("\"c\"", "\"later\"")).unwrap();
        std::fs::write(dir.path().join("notes.txt"), "no table").unwrap();
        let catalog = Catalog::load(&[dir.path().to_owned()]).unwrap();
        let host = "a.example".parse().unwrap();
        let said = catalog.classify(&Query { host: Some(&host), ..Query::default() });
        assert_eq!(said.category.as_str(), "later");
        assert_eq!(catalog.entries().count(), Catalog::builtin().entries().count() + 1);
    }

    #[test]
    fn an_id_twice_in_a_file_an_unknown_key_and_a_missing_folder_are_errors() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.toml");
        std::fs::write(&file, format!("{ROW}{ROW}")).unwrap();
        let load = || Catalog::load(&[dir.path().to_owned()]).unwrap_err().to_string();
        assert!(load().contains("a.toml:7: row `mine`: expected an id of its own"), "{}", load());
        std::fs::write(&file, format!("{ROW}hash = {{ key = \"no\", of = \"x\", field = \"y\" }}"))
            .unwrap();
        assert!(load().contains("expected the name of a [key]"), "{}", load());
        let missing = Catalog::load(&[dir.path().join("none")]).unwrap_err();
        assert!(missing.to_string().contains("expected a folder"), "{missing}");
    }
}
