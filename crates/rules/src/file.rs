//! A rule file: from TOML to rules, with every problem told by line and column.
//!
//! Each kind of action is a key of its own beside `rewrite`, of which a rule has exactly one.
//! Unknown keys are errors, so that a key that comes later can never be misread.

use consoletap_filter::{Filter, Stage};
use serde::Deserialize;
use toml::Spanned;

use crate::action::{Action, Rewrite};
use crate::error::RulesError;

/// A file as it was understood.
#[derive(Debug, Clone)]
pub(crate) struct RuleFile {
    pub(crate) description: Option<String>,
    pub(crate) rules: Vec<Rule>,
}

/// A rule.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    pub(crate) name: String,
    pub(crate) when: Filter,
    pub(crate) action: Action,
    /// Where it stands: `my.toml:12`, or `firmware-guard:22` of a pack.
    pub(crate) place: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenFile {
    description: Option<String>,
    #[serde(default)]
    rule: Vec<Spanned<WrittenRule>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenRule {
    name: Spanned<String>,
    when: Spanned<String>,
    rewrite: Option<Spanned<WrittenRewrite>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenRewrite {
    firmware: Option<WrittenFirmware>,
    json: Option<Spanned<toml::Table>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum WrittenFirmware {
    Hide,
}

impl RuleFile {
    /// Reads a file; `file` names it in errors.
    pub(crate) fn parse(file: &str, source: &str) -> Result<Self, RulesError> {
        let written: WrittenFile = toml::from_str(source)
            .map_err(|error| RulesError::at(file, source, error.span(), error.message()))?;
        let reader = Reader { file, source };
        let rules = written.rule.into_iter().map(|rule| reader.rule(rule));
        let rules = rules.collect::<Result<Vec<_>, _>>()?;
        if rules.is_empty() {
            return Err(RulesError::at(file, source, None, "there is no [[rule]] in this file"));
        }
        Ok(Self { description: written.description, rules })
    }
}

struct Reader<'a> {
    file: &'a str,
    source: &'a str,
}

impl Reader<'_> {
    fn rule(&self, written: Spanned<WrittenRule>) -> Result<Rule, RulesError> {
        let span = written.span();
        let rule = written.into_inner();
        let name = rule.name.get_ref();
        if name.is_empty() || name.chars().any(char::is_control) {
            return Err(self.error(&rule.name, "a rule needs a name of one line"));
        }
        let when = Filter::parse(rule.when.get_ref()).map_err(|error| {
            let place = self.within(&rule.when, error.span().start);
            self.error(&place, format!("in `when`: {error}"))
        })?;
        if when.needs() > Stage::Request {
            let problem = "`when` asks for what is known only after the answer (as ~c, ~size, \
                           ~rule); a rule decides when the request has come";
            return Err(self.error(&rule.when, problem));
        }
        let Some(rewrite) = rule.rewrite else {
            let problem = "a rule needs an action: rewrite = { … }";
            return Err(RulesError::at(self.file, self.source, Some(span), problem));
        };
        let line = self.source[..span.start].matches('\n').count() + 1;
        let place = format!("{}:{line}", self.file);
        Ok(Rule { name: name.clone(), when, action: self.rewrite(rewrite)?, place })
    }

    fn rewrite(&self, written: Spanned<WrittenRewrite>) -> Result<Action, RulesError> {
        let whole = Spanned::new(written.span(), ());
        let rewrite = match written.into_inner() {
            WrittenRewrite { firmware: Some(WrittenFirmware::Hide), json: None } => {
                Rewrite::HideFirmware
            }
            WrittenRewrite { firmware: None, json: Some(table) } => {
                Rewrite::json(table.get_ref()).map_err(|problem| self.error(&table, problem))?
            }
            _ => {
                let problem = "`rewrite` needs one of firmware = \"hide\" and json = { … }";
                return Err(self.error(&whole, problem));
            }
        };
        Ok(Action::Rewrite(rewrite))
    }

    /// A byte of a text's content, where the content stands in the source to the letter; the
    /// text as a whole where it does not (escapes).
    fn within(&self, text: &Spanned<String>, offset: usize) -> Spanned<()> {
        let span = text.span();
        let is_verbatim = self.source.get(span.start + 1..span.end.saturating_sub(1));
        let start = match is_verbatim {
            Some(content) if content == text.get_ref() => span.start + 1 + offset,
            _ => span.start,
        };
        Spanned::new(start..span.end, ())
    }

    fn error<T>(&self, place: &Spanned<T>, problem: impl Into<String>) -> RulesError {
        RulesError::at(self.file, self.source, Some(place.span()), problem)
    }
}
