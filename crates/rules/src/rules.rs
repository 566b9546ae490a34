//! The rules of a run: read once, asked for every request.

use std::ops::Range;
use std::path::PathBuf;

use consoletap_filter::{FilterIndex, NamedClient, Subject};

use crate::decision::Decision;
use crate::error::RulesError;
use crate::file::{Rule, RuleFile};
use crate::pack::{self, PACKS, Pack};
use crate::settings::{Named, fill};

/// The rules of a run, in the order in which they were named and written.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    rules: Vec<Rule>,
    /// Which of them can fit a flow at all.
    index: FilterIndex,
}

/// A rule, and whether it fits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation<'a> {
    /// The rule.
    pub rule: &'a str,
    /// Where it stands: file or pack, and line.
    pub place: &'a str,
    /// Its condition, as it is written.
    pub when: &'a str,
    /// Whether the condition fits.
    pub fits: bool,
    /// What it does, in plain words.
    pub action: String,
}

impl Rules {
    /// No rules: everything passes.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Reads rules: a bare name is a pack that is built in; what has a slash or ends in `.toml`
    /// is a file. Settings stand behind it: `local-packages:folder=/srv/packages`.
    ///
    /// # Errors
    /// When a pack does not exist, a file cannot be read or is no rule file, a setting is missing,
    /// or two rules have the same name.
    pub fn load(names_or_files: &[String]) -> Result<Self, RulesError> {
        Self::load_naming(names_or_files, &[])
    }

    /// The same with clients that have a name, which rules can use in place of their address.
    ///
    /// # Errors
    /// As [`load`](Self::load), and when a rule names a client that has no name.
    pub fn load_naming(
        names_or_files: &[String],
        clients: &[NamedClient],
    ) -> Result<Self, RulesError> {
        let mut rules = Vec::new();
        for name in names_or_files {
            let named = Named::parse(name);
            if let Some((_, source)) = PACKS.iter().find(|(pack, _)| *pack == named.name) {
                add(&mut rules, named.name, &fill(&named, source)?, clients)?;
            } else if named.is_file() {
                let source = std::fs::read_to_string(named.name).map_err(|error| {
                    RulesError::Unreadable { file: named.name.to_owned(), error }
                })?;
                add(&mut rules, named.name, &fill(&named, &source)?, clients)?;
            } else {
                return Err(RulesError::UnknownPack { name: named.name.to_owned() });
            }
        }
        let index = FilterIndex::new(rules.iter().map(|rule| &rule.when));
        Ok(Self { rules, index })
    }

    /// The files among these names, to look at for changes.
    pub fn files(names_or_files: &[String]) -> impl Iterator<Item = PathBuf> {
        let named = names_or_files.iter().map(|name| Named::parse(name));
        named.filter(Named::is_file).map(|named| PathBuf::from(named.name))
    }

    /// The packs that are built in.
    #[must_use]
    pub fn packs() -> Vec<Pack> {
        pack::all()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// What is to be done with a flow whose request has come.
    #[must_use]
    pub fn decide(&self, subject: &Subject<'_>) -> Decision<'_> {
        if self.rules.is_empty() {
            return Decision::default();
        }
        let candidates = self.index.candidates(subject).into_iter();
        let rules = candidates.filter_map(|number| self.rules.get(number));
        Decision::of(rules.filter(|rule| rule.fits(subject)))
    }

    /// Every rule, and whether it fits.
    #[must_use]
    pub fn explain(&self, subject: &Subject<'_>) -> Vec<Explanation<'_>> {
        self.rules
            .iter()
            .map(|rule| Explanation {
                rule: &rule.name,
                place: &rule.place,
                when: rule.when.as_str(),
                fits: rule.fits(subject),
                action: rule.action.describe(),
            })
            .collect()
    }
}

/// Adds the rules of a file.
fn add(
    rules: &mut Vec<Rule>,
    file: &str,
    source: &str,
    clients: &[NamedClient],
) -> Result<(), RulesError> {
    for rule in RuleFile::parse(file, source, clients)?.rules {
        if let Some(other) = rules.iter().find(|other| other.name == rule.name) {
            let problem =
                format!("a rule {:?} is already at {}; rename one", rule.name, other.place);
            return Err(RulesError::at(file, source, Some(line(&rule, source)), problem));
        }
        rules.push(rule);
    }
    Ok(())
}

/// The line at which a rule begins.
fn line(rule: &Rule, source: &str) -> Range<usize> {
    let number = rule.place.rsplit_once(':').and_then(|(_, line)| line.parse().ok()).unwrap_or(1);
    let before = source.split_inclusive('\n').take(number - 1).map(str::len).sum();
    let length = source[before..].lines().next().map_or(0, str::len);
    before..before + length
}
