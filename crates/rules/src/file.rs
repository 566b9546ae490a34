//! A rule file: from what is written to what it means, with every problem told by line and column.

use std::borrow::Cow;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use consoletap_filter::{Filter, Stage, Subject};
use consoletap_flow::{Classification, Target};
use ipnet::IpNet;
use regex::{Regex, RegexBuilder};
use serde_json::Value;
use toml::Spanned;

use crate::action::{
    Action, AnswerRule, BlockRule, Body, FileRule, Files, HeaderEdit, Kind, Message, Missing,
    RemoteRule, Replace, Rewrite,
};
use crate::amount::Bytes;
use crate::edit::xml::XmlPath;
use crate::error::RulesError;
use crate::template::{Places, Template, groups};
use crate::written::{
    Pairs, Replaces, Texts, WrittenAnswer, WrittenFile, WrittenHeads, WrittenMapLocal,
    WrittenMapRemote, WrittenMissing, WrittenReplace, WrittenRewrite, WrittenRule,
};

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
    /// Reads a file; `file` names it in errors, and files in it are looked for beside it.
    pub(crate) fn parse(file: &str, source: &str) -> Result<Self, RulesError> {
        let written: WrittenFile = toml::from_str(source)
            .map_err(|error| RulesError::at(file, source, error.span(), error.message()))?;
        let reader = Reader { file, source };
        let rules = written.rule.into_iter().map(|rule| reader.rule(rule));
        let rules = rules.collect::<Result<Vec<_>, _>>()?;
        if rules.is_empty() {
            return Err(RulesError::at(file, source, None, "there is no [[rule]] in this file"));
        }
        Ok(Self { rules })
    }
}

/// Consoles ask for 30 MiB at most.
const MOST_ZEROS: usize = 64 << 20;

struct Reader<'a> {
    file: &'a str,
    source: &'a str,
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
        let clients = written.into_iter().flat_map(|clients| &clients.0);
        let read = |client: &Spanned<String>| {
            let text = client.get_ref();
            let address = text.parse::<IpAddr>().map(|ip| IpNet::from(ip.to_canonical()));
            address.or_else(|_| text.parse::<IpNet>()).map_err(|_| {
                let problem = format!(
                    "{text:?} is no client: its address was expected, as \"192.168.1.20\", or a \
                     network, as \"192.168.1.0/24\""
                );
                self.error(client, problem)
            })
        };
        clients.map(read).collect()
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

    fn answer(
        &self,
        written: &Spanned<WrittenAnswer>,
        captures: Captures<'_>,
    ) -> Result<Action, RulesError> {
        let answer = written.get_ref();
        let status = answer.status.as_ref().map(|status| match *status.get_ref() {
            // The range is one of u16, too.
            number @ 200..=599 => Ok(u16::try_from(number).unwrap_or_default()),
            _ => Err(self.error(status, "a status from 200 to 599 was expected")),
        });
        let status = status.transpose()?;
        let mut headers = Vec::new();
        for (name, values) in answer.headers.iter().flat_map(|headers| &headers.0) {
            self.field_name(name)?;
            for value in &values.0 {
                headers.push((name.get_ref().clone(), self.field_value(value, captures)?));
            }
        }
        let body = match (&answer.body, &answer.zeros, &answer.file, &answer.folder) {
            (Some(body), None, None, None) => Body::Text(self.template(body, captures)?),
            (None, Some(zeros), None, None) => Body::Zeros(self.zeros(zeros)?),
            (None, None, None, None) if answer.path.is_none() => Body::Text(Template::default()),
            (None, None, file, folder) => {
                Body::File(self.files(written, file, folder, &answer.path, captures)?)
            }
            _ => {
                let problem = "`answer` has one of a body, zeros and a file";
                return Err(self.error(written, problem));
            }
        };
        if matches!(status, Some(204 | 304))
            && !matches!(&body, Body::Text(t) if t.fixed() == Some(""))
        {
            return Err(self.error(written, "an answer with status 204 or 304 has no body"));
        }
        Ok(Action::Answer(AnswerRule { status, headers, body }))
    }

    /// So many zeros, for a test of speed.
    fn zeros(&self, count: &Spanned<Bytes>) -> Result<bytes::Bytes, RulesError> {
        let length = usize::try_from(count.get_ref().0).ok().filter(|length| *length <= MOST_ZEROS);
        let length =
            length.ok_or_else(|| self.error(count, "at most 64 MiB of zeros were expected"))?;
        // Memory that is zero and never written costs nothing.
        Ok(bytes::Bytes::from(vec![0; length]))
    }

    fn map_local(
        &self,
        written: &Spanned<WrittenMapLocal>,
        captures: Captures<'_>,
    ) -> Result<Action, RulesError> {
        let WrittenMapLocal { file, folder, path, missing, content_type } = written.get_ref();
        let files = self.files(written, file, folder, path, captures)?;
        let missing = match missing {
            Some(WrittenMissing::Net) => Missing::Net,
            Some(WrittenMissing::NotFound) | None => Missing::NotFound,
        };
        let content_type = content_type.as_ref().map(|content_type| {
            let value = self.field_value(content_type, &[])?;
            Ok(value.fixed().map(str::to_owned))
        });
        let content_type = content_type.transpose()?.flatten();
        Ok(Action::MapLocal(FileRule { files, missing, content_type }))
    }

    fn files<T>(
        &self,
        action: &Spanned<T>,
        file: &Option<Spanned<String>>,
        folder: &Option<Spanned<String>>,
        path: &Option<Spanned<String>>,
        captures: Captures<'_>,
    ) -> Result<Files, RulesError> {
        match (file, folder, path) {
            (Some(file), None, None) => {
                let template = self.template(file, captures)?;
                let Some(fixed) = template.fixed() else {
                    let problem = "`file` names one file; for places to fill in use \
                                   folder = \"…\" and path = \"{file}\"";
                    return Err(self.error(file, problem));
                };
                Ok(Files::File(self.beside(file, fixed)?))
            }
            (None, Some(folder), path) => {
                let path = match path {
                    Some(path) => self.template(path, captures)?,
                    None => {
                        self.template(&Spanned::new(folder.span(), "{file}".to_owned()), &[])?
                    }
                };
                Ok(Files::Folder { folder: self.beside(folder, folder.get_ref())?, path })
            }
            _ => {
                let problem = "a file = \"…\" was expected, or a folder = \"…\", with \
                               path = \"{file}\" for the file in it";
                Err(self.error(action, problem))
            }
        }
    }

    /// A path that stands in the file, which is meant from the file's own folder on.
    fn beside(&self, place: &Spanned<String>, path: &str) -> Result<PathBuf, RulesError> {
        if path.is_empty() || path.contains('\0') {
            return Err(self.error(place, "a path was expected"));
        }
        let folder = Path::new(self.file).parent().unwrap_or_else(|| Path::new(""));
        Ok(folder.join(path))
    }

    fn map_remote(
        &self,
        written: &Spanned<WrittenMapRemote>,
        captures: Captures<'_>,
    ) -> Result<Action, RulesError> {
        let remote = written.get_ref();
        if remote.scheme.is_none() && remote.host.is_none() && remote.path.is_none() {
            let problem = "`map-remote` needs a scheme, a host (with a port where it has one) or a \
                           path";
            return Err(self.error(written, problem));
        }
        let template = |text: &Option<Spanned<String>>| {
            text.as_ref().map(|text| self.template(text, captures)).transpose()
        };
        let (host, path) = (template(&remote.host)?, template(&remote.path)?);
        if let (Some(written), Some(host)) = (&remote.host, &host)
            && let Some(fixed) = host.fixed()
        {
            consoletap_flow::Authority::parse(fixed, Some(80)).map_err(|error| {
                self.error(written, format!("{fixed:?} is no host with an optional port: {error}"))
            })?;
        }
        if let (Some(written), Some(path)) = (&remote.path, &path)
            && !path.literals().bytes().all(|byte| byte.is_ascii_graphic())
        {
            return Err(self.error(
                written,
                "a path as it stands in a URL was expected, with other characters percent-encoded",
            ));
        }
        let (scheme, keep_host) = (remote.scheme, remote.keep_host);
        Ok(Action::MapRemote(RemoteRule { scheme, host, path, keep_host }))
    }

    fn set_header(
        &self,
        written: &Spanned<WrittenHeads<Pairs<Texts>>>,
        captures: Captures<'_>,
    ) -> Result<Action, RulesError> {
        let mut fields = Vec::new();
        for (message, pairs) in self.heads(written)? {
            for (name, values) in &pairs.0 {
                self.field_name(name)?;
                let values = values.0.iter().map(|value| self.field_value(value, captures));
                let values = values.collect::<Result<Vec<_>, _>>()?;
                if values.is_empty() {
                    return Err(self.error(name, "a value was expected; remove-header removes it"));
                }
                fields.push((message, name.get_ref().clone(), values));
            }
        }
        self.any(written, &fields)?;
        Ok(Action::Header(HeaderEdit::Set(fields)))
    }

    fn remove_header(&self, written: &Spanned<WrittenHeads<Texts>>) -> Result<Action, RulesError> {
        let mut fields = Vec::new();
        for (message, names) in self.heads(written)? {
            for name in &names.0 {
                self.field_name(name)?;
                fields.push((message, name.get_ref().clone()));
            }
        }
        self.any(written, &fields)?;
        Ok(Action::Header(HeaderEdit::Remove(fields)))
    }

    fn rename_header(
        &self,
        written: &Spanned<WrittenHeads<Pairs<Spanned<String>>>>,
    ) -> Result<Action, RulesError> {
        let mut fields = Vec::new();
        for (message, pairs) in self.heads(written)? {
            for (from, to) in &pairs.0 {
                self.field_name(from)?;
                self.field_name(to)?;
                fields.push((message, from.get_ref().clone(), to.get_ref().clone()));
            }
        }
        self.any(written, &fields)?;
        Ok(Action::Header(HeaderEdit::Rename(fields)))
    }

    fn heads<'w, T>(
        &self,
        written: &'w Spanned<WrittenHeads<T>>,
    ) -> Result<Vec<(Message, &'w T)>, RulesError> {
        let WrittenHeads { request, answer } = written.get_ref();
        let heads = [(Message::Request, request), (Message::Response, answer)];
        let heads: Vec<_> = heads
            .into_iter()
            .filter_map(|(message, head)| Some((message, head.as_ref()?)))
            .collect();
        if heads.is_empty() {
            return Err(self.error(written, "whose head was expected: request or answer"));
        }
        Ok(heads)
    }

    fn any<T, F>(&self, place: &Spanned<T>, fields: &[F]) -> Result<(), RulesError> {
        let problem = "something was expected, and there is nothing in it";
        if fields.is_empty() { Err(self.error(place, problem)) } else { Ok(()) }
    }

    fn field_name(&self, name: &Spanned<String>) -> Result<(), RulesError> {
        crate::action::check_name(name.get_ref()).map_err(|problem| self.error(name, problem))
    }

    /// A field's value. What is filled in later is looked at then; what stands here is now.
    fn field_value(
        &self,
        value: &Spanned<String>,
        captures: Captures<'_>,
    ) -> Result<Template, RulesError> {
        let template = self.template(value, captures)?;
        if template.literals().chars().any(|c| c.is_control() && c != '\t') {
            let problem = "a field's value is one line: no line end and no control character";
            return Err(self.error(value, problem));
        }
        Ok(template)
    }

    fn template(
        &self,
        text: &Spanned<String>,
        captures: Captures<'_>,
    ) -> Result<Template, RulesError> {
        let places = Places { value: false, captures };
        Template::parse(text.get_ref(), places).map_err(|problem| self.error(text, problem))
    }

    fn rewrite(
        &self,
        written: Spanned<WrittenRewrite>,
        captures: Captures<'_>,
    ) -> Result<Action, RulesError> {
        let whole = Spanned::new(written.span(), ());
        let WrittenRewrite { firmware, json, document, replace, json_patch, json_merge_patch, xml } =
            written.into_inner();
        let ways = [
            firmware.map(|_| Ok(Rewrite::HideFirmware)),
            json.map(|table| {
                let read = Rewrite::json(table.get_ref(), captures);
                read.map_err(|problem| self.error(&table, problem))
            }),
            document.map(|table| {
                let read = Rewrite::document(table.get_ref(), captures);
                read.map_err(|problem| self.error(&table, problem))
            }),
            replace.map(|replace| self.replace(&replace, captures)),
            json_patch.map(|patch| {
                let value = self.json(&patch)?;
                let operations = serde_json::from_value(value).map_err(|error| {
                    self.error(&patch, format!("this is no JSON Patch (RFC 6902): {error}"))
                });
                operations.map(Rewrite::JsonPatch)
            }),
            json_merge_patch.map(|patch| self.json(&patch).map(Rewrite::JsonMergePatch)),
            xml.map(|pairs| self.xml(&pairs, captures)),
        ];
        let mut ways = ways.into_iter().flatten();
        match (ways.next(), ways.next()) {
            (Some(rewrite), None) => rewrite.map(Action::Rewrite),
            _ => {
                let problem = "`rewrite` needs one of firmware = \"hide\", json = { … }, document \
                               = { … }, replace = { … }, json-patch = [ … ], json-merge-patch = { … } and xml = { … }";
                Err(self.error(&whole, problem))
            }
        }
    }

    fn replace(
        &self,
        written: &Spanned<Replaces>,
        captures: Captures<'_>,
    ) -> Result<Rewrite, RulesError> {
        let replaces = written.get_ref().0.iter().map(|WrittenReplace { find, with }| {
            let regex = regex::bytes::RegexBuilder::new(find.get_ref())
                .size_limit(1 << 20)
                .nest_limit(50)
                .build()
                .map_err(|error| {
                    self.error(find, format!("in `find`: {}", regex_problem(&error)))
                })?;
            let own = regex.capture_names().enumerate();
            let own = own.map(|(n, name)| name.map_or_else(|| n.to_string(), str::to_owned));
            let captures: Vec<String> = own.chain(captures.iter().cloned()).collect();
            Ok(Replace { find: regex, with: self.template(with, &captures)? })
        });
        let replaces = replaces.collect::<Result<Vec<_>, RulesError>>()?;
        self.any(written, &replaces)?;
        Ok(Rewrite::Replace(replaces))
    }

    fn xml(
        &self,
        written: &Spanned<Pairs<Spanned<String>>>,
        captures: Captures<'_>,
    ) -> Result<Rewrite, RulesError> {
        let settings = written.get_ref().0.iter().map(|(path, value)| {
            let path =
                XmlPath::parse(path.get_ref()).map_err(|problem| self.error(path, problem))?;
            Ok((path, self.template(value, captures)?))
        });
        let settings = settings.collect::<Result<Vec<_>, RulesError>>()?;
        self.any(written, &settings)?;
        Ok(Rewrite::Xml(settings))
    }

    /// JSON, written as TOML or, since TOML has no null, as text.
    fn json(&self, written: &Spanned<toml::Value>) -> Result<Value, RulesError> {
        match written.get_ref() {
            toml::Value::String(text) => serde_json::from_str(text)
                .map_err(|error| self.error(written, format!("this text is no JSON: {error}"))),
            value => {
                crate::action::json_value(value).map_err(|problem| self.error(written, problem))
            }
        }
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
