//! A rule file: from what is written to what it means, with every problem told by line and column.

mod answers;
mod bodies;
mod heads;

use std::borrow::Cow;
use std::net::IpAddr;

use consoletap_filter::{Filter, NamedClient, Stage, Subject};
use consoletap_flow::{Classification, Target};
use ipnet::IpNet;
use regex::{Regex, RegexBuilder};
use toml::Spanned;

use crate::action::{Action, BlockRule, Kind};
use crate::error::RulesError;
use crate::template::{Places, Template, groups};
use crate::written::{Texts, WrittenFile, WrittenRule};

/// A file as it was understood.
#[derive(Debug, Clone)]
pub(crate) struct RuleFile {
    pub(crate) rules: Vec<Rule>,
}

/// A rule.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    pub(crate) name: String,
    pub(crate) when: Filter,
    /// The consoles that it is for; all where there are none.
    pub(crate) clients: Vec<IpNet>,
    /// What the URL must be, with groups for the action.
    pub(crate) url: Option<Regex>,
    pub(crate) action: Action,
    /// Where it stands: `my.toml:12`, or `firmware-guard:22` of a pack.
    pub(crate) place: String,
}

impl Rule {
    /// Whether it fits a flow whose request has come.
    pub(crate) fn fits(&self, subject: &Subject<'_>) -> bool {
        self.when.matches(subject) && self.is_for(subject) && self.fits_url(subject)
    }

    fn is_for(&self, subject: &Subject<'_>) -> bool {
        self.clients.is_empty()
            || subject.client.is_some_and(|ip| self.clients.iter().any(|net| net.contains(&ip)))
    }

    fn fits_url(&self, subject: &Subject<'_>) -> bool {
        let Some(regex) = &self.url else { return true };
        let classification = subject.classification;
        subject.target.is_some_and(|target| {
            let unknown = Classification::default();
            regex.is_match(&url_of(target, classification.unwrap_or(&unknown)))
        })
    }
}

/// The URL that `url` is matched with: without its query where the catalog says that it is a
/// download, since servers of downloads ignore it and consoles put numbers of their own there.
pub(crate) fn url_of<'t>(target: &'t Target, classification: &Classification) -> Cow<'t, str> {
    let url = target.to_string();
    match url.find('?').filter(|_| classification.download) {
        Some(query) => Cow::Owned(url[..query].to_owned()),
        None => Cow::Owned(url),
    }
}

impl RuleFile {
    /// Reads a file; `file` names it in errors, and files in it are looked for beside it. `clients`
    /// are those that have a name in the settings.
    pub(crate) fn parse(
        file: &str,
        source: &str,
        clients: &[NamedClient],
    ) -> Result<Self, RulesError> {
        let written: WrittenFile = toml::from_str(source)
            .map_err(|error| RulesError::at(file, source, error.span(), error.message()))?;
        let reader = Reader { file, source, clients };
        let rules = written.rule.into_iter().map(|rule| reader.rule(rule));
        let rules = rules.collect::<Result<Vec<_>, _>>()?;
        if rules.is_empty() {
            return Err(RulesError::at(file, source, None, "there is no [[rule]] in this file"));
        }
        Ok(Self { rules })
    }
}

struct Reader<'a> {
    file: &'a str,
    source: &'a str,
    clients: &'a [NamedClient],
}

type Captures<'c> = &'c [String];

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
        let when = when.naming_clients(self.clients);
        when.check(Stage::Request).map_err(|error| {
            let place = self.within(&rule.when, error.span().start);
            self.error(&place, format!("in `when`: {error}"))
        })?;
        let kinds = rule.actions();
        let [kind] = kinds.as_slice() else {
            let problem = match kinds.as_slice() {
                [] => {
                    let keys: Vec<&str> = Kind::ALL.into_iter().map(Kind::key).collect();
                    format!("a rule needs an action: one of {}", keys.join(", "))
                }
                kinds => {
                    let keys: Vec<&str> = kinds.iter().map(|kind| kind.key()).collect();
                    format!(
                        "a rule has one action, and there are {}; make a rule of each",
                        keys.join(", ")
                    )
                }
            };
            return Err(RulesError::at(self.file, self.source, Some(span), problem));
        };
        let clients = self.clients(rule.client.as_ref())?;
        let url = rule.url.as_ref().map(|url| self.url(url)).transpose()?;
        let captures = url.as_ref().map(groups).unwrap_or_default();
        let line = self.source[..span.start].matches('\n').count() + 1;
        let place = format!("{}:{line}", self.file);
        let name = name.clone();
        let action = self.action(*kind, rule, &captures)?;
        Ok(Rule { name, when, clients, url, action, place })
    }

    fn clients(&self, written: Option<&Texts>) -> Result<Vec<IpNet>, RulesError> {
        let mut clients = Vec::new();
        for client in written.into_iter().flat_map(|clients| &clients.0) {
            let text = client.get_ref();
            let named: Vec<IpNet> = NamedClient::called(self.clients, text).collect();
            let address = text.parse::<IpAddr>().map(|ip| IpNet::from(ip.to_canonical()));
            match address.or_else(|_| text.parse::<IpNet>()) {
                Ok(network) => clients.push(network),
                Err(_) if !named.is_empty() => clients.extend(named),
                Err(_) => {
                    let problem = format!(
                        "{text:?} is no client: an address was expected, as \"192.168.1.20\", a \
                         network, as \"192.168.1.0/24\", or a name that `name-client` in the settings \
                         gives"
                    );
                    return Err(self.error(client, problem));
                }
            }
        }
        Ok(clients)
    }

    fn url(&self, url: &Spanned<String>) -> Result<Regex, RulesError> {
        let built = RegexBuilder::new(url.get_ref())
            .case_insensitive(true)
            .size_limit(1 << 20)
            .nest_limit(50)
            .build();
        built.map_err(|error| self.error(url, format!("in `url`: {}", regex_problem(&error))))
    }

    fn action(
        &self,
        kind: Kind,
        rule: WrittenRule,
        captures: Captures<'_>,
    ) -> Result<Action, RulesError> {
        // The key of this kind is there, which `actions` found.
        let action = match kind {
            Kind::Block => {
                rule.block.map(|block| Ok(Action::Block(BlockRule(block.into_inner().0))))
            }
            Kind::Answer => rule.answer.map(|answer| self.answer(&answer, captures)),
            Kind::MapLocal => rule.map_local.map(|files| self.map_local(&files, captures)),
            Kind::MapRemote => rule.map_remote.map(|remote| self.map_remote(&remote, captures)),
            Kind::SetHeader => rule.set_header.map(|heads| self.set_header(&heads, captures)),
            Kind::RemoveHeader => rule.remove_header.map(|heads| self.remove_header(&heads)),
            Kind::RenameHeader => rule.rename_header.map(|heads| self.rename_header(&heads)),
            Kind::Rewrite => rule.rewrite.map(|rewrite| self.rewrite(rewrite, captures)),
            Kind::RewriteRequest => {
                rule.rewrite_request.map(|rewrite| self.rewrite_request(rewrite, captures))
            }
            Kind::Delay => rule.delay.map(|time| Ok(Action::Delay(time.into_inner()))),
            Kind::Throttle => rule.throttle.map(|throttle| {
                let read = throttle.get_ref().read();
                read.map(Action::Throttle).map_err(|problem| self.error(&throttle, problem))
            }),
            Kind::Fault => rule.fault.map(|fault| {
                let read = fault.get_ref().read();
                read.map(Action::Fault).map_err(|problem| self.error(&fault, problem))
            }),
            Kind::Tls => rule.tls.map(|tls| Ok(Action::Tls(tls.into_inner().into()))),
            Kind::Store => rule.store.map(|store| Ok(Action::Store(store.into_inner().0))),
            Kind::Tag => rule.tag.map(|tags| self.tag(&tags)),
        };
        action.unwrap_or_else(|| Err(self.error(&rule.name, "this rule has no action")))
    }

    fn any<T, F>(&self, place: &Spanned<T>, fields: &[F]) -> Result<(), RulesError> {
        let problem = "something was expected, and there is nothing in it";
        if fields.is_empty() { Err(self.error(place, problem)) } else { Ok(()) }
    }

    fn template(
        &self,
        text: &Spanned<String>,
        captures: Captures<'_>,
    ) -> Result<Template, RulesError> {
        let places = Places { value: false, captures };
        Template::parse(text.get_ref(), places).map_err(|problem| self.error(text, problem))
    }

    fn tag(&self, written: &Spanned<Texts>) -> Result<Action, RulesError> {
        for tag in &written.get_ref().0 {
            let text = tag.get_ref();
            if text.is_empty() || text.chars().any(|c| c.is_control() || c == ',') {
                return Err(self.error(tag, "a tag is a word or a few, without commas"));
            }
        }
        self.any(written, &written.get_ref().0)?;
        let tags = written.get_ref().0.iter().map(|tag| tag.get_ref().clone());
        Ok(Action::Tag(tags.collect()))
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

/// What is wrong with a regex, without the expression, whose place is told already.
fn regex_problem(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(_) => "this regex is too large".to_owned(),
        error => {
            let text = error.to_string();
            let last = text.lines().last().unwrap_or_default();
            format!("this is no regex: {}", last.trim_start_matches("error: "))
        }
    }
}
