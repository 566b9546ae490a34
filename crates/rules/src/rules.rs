//! The rules of a run: read once, asked for every request.

use consoletap_filter::Subject;

use crate::decision::Decision;
use crate::error::RulesError;
use crate::file::{Rule, RuleFile};
use crate::pack::{PACKS, Pack};

/// The rules of a run, in the order in which they were named and written.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    rules: Vec<Rule>,
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
    /// is a file.
    ///
    /// # Errors
    /// When a pack does not exist, a file cannot be read or is no rule file, or two rules have
    /// the same name.
    pub fn load(names_or_files: &[String]) -> Result<Self, RulesError> {
        let mut rules = Self::none();
        for name in names_or_files {
            if let Some((name, source)) = PACKS.iter().find(|(pack, _)| pack == name) {
                rules.add(name, source)?;
            } else if name.contains(['/', '\\']) || name.ends_with(".toml") {
                let source = std::fs::read_to_string(name)
                    .map_err(|error| RulesError::Unreadable { file: name.clone(), error })?;
                rules.add(name, &source)?;
            } else {
                return Err(RulesError::UnknownPack { name: name.clone() });
            }
        }
        Ok(rules)
    }

    /// The packs that are built in.
    #[must_use]
    pub fn packs() -> Vec<Pack> {
        PACKS
            .iter()
            .map(|&(name, source)| {
                // A test reads every pack, so this falls back to nothing only in theory.
                let file = RuleFile::parse(name, source).ok();
                let description = file.and_then(|file| file.description).unwrap_or_default();
                Pack { name, description, source }
            })
            .collect()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// What is to be done with a flow whose request has come.
    #[must_use]
    pub fn decide(&self, subject: &Subject<'_>) -> Decision<'_> {
        Decision::of(self.rules.iter().filter(|rule| rule.fits(subject)))
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

    fn add(&mut self, file: &str, source: &str) -> Result<(), RulesError> {
        for rule in RuleFile::parse(file, source)?.rules {
            if let Some(other) = self.rules.iter().find(|other| other.name == rule.name) {
                let problem =
                    format!("a rule {:?} is already at {}; rename one", rule.name, other.place);
                let (_, line) = rule.place.rsplit_once(':').unwrap_or_default();
                return Err(RulesError::Invalid {
                    file: file.to_owned(),
                    line: line.parse().unwrap_or(1),
                    column: 1,
                    problem,
                });
            }
            self.rules.push(rule);
        }
        Ok(())
    }
}
