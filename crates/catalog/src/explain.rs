//! `consoletap explain`: a question in text, and the answer in the shape that other programs
//! may rely on. Reading arguments and printing is the binary's work.

mod words;

use std::fmt;

use consoletap_flow::{
    Authority, Category, Classification, Environment, Header, Headers, Host, SmolStr, Target, Url,
};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::catalog::{Catalog, Query};
use crate::entry::Entry;
use crate::field::told;
use crate::ports::{PortUse, Protocol, parse_range};
use crate::title::ContentId;

/// What was asked: a request, or as much of it as is known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Question {
    method: Option<String>,
    host: Option<Host>,
    port: Option<u16>,
    /// The ports that were asked for; one, or a range.
    ports: Option<(u16, u16)>,
    /// `TCP` or `UDP`: only those rows of the port table.
    protocol: Option<Protocol>,
    path: Option<String>,
    user_agent: Option<String>,
    headers: Headers,
    ja3: Option<String>,
    ja4: Option<String>,
}

/// Text that asks nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found:?}: expected a URL, HOST, HOST:PORT, :PORT, :PORT-PORT, udp:PORT or /PATH{why}")]
pub struct QuestionError {
    found: String,
    why: String,
}

/// The answer to a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer<'c> {
    /// What the tables say.
    pub classification: Classification,
    /// The row that says so.
    pub entry: Option<&'c Entry>,
    /// Fields that hold more than the service accepts.
    pub over_limit: Vec<OverLimit>,
    /// The rows of the port table, where a port was asked for.
    pub ports: Vec<&'c PortUse>,
}

/// A field that holds more than its service accepts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OverLimit {
    /// Its name.
    pub field: SmolStr,
    /// What it holds.
    pub value: SmolStr,
    /// The most that is accepted.
    pub most: u64,
}

impl Question {
    /// Reads `URL`, `HOST`, `HOST:PORT`, `:PORT` or `/PATH`; `target` may be missing where a
    /// user agent is given.
    ///
    /// # Errors
    /// When the target is none of these, or nothing is asked at all.
    pub fn parse(
        method: Option<&str>,
        target: Option<&str>,
        user_agent: Option<&str>,
    ) -> Result<Self, QuestionError> {
        let mut question = Self {
            method: method.map(str::to_owned),
            user_agent: user_agent.map(str::to_owned),
            ..Self::default()
        };
        match target {
            Some(target) => question.read_target(target.trim())?,
            None if user_agent.is_none() => return Err(wrong("", ", or a user agent")),
            None => {}
        }
        Ok(question)
    }

    /// Reads a line of `METHOD`, `URL` and `USER_AGENT` with tabs between, `-` where unknown.
    ///
    /// # Errors
    /// As [`Question::parse`], or when there are not three parts.
    pub fn parse_line(line: &str) -> Result<Self, QuestionError> {
        let line = line.strip_suffix('\n').unwrap_or(line);
        let line = line.strip_suffix('\r').unwrap_or(line);
        let parts: Vec<&str> = line.splitn(3, '\t').collect();
        let [method, target, user_agent] = parts[..] else {
            return Err(wrong(line, " between a method and a user agent, with tabs between them"));
        };
        let known = |text: &'_ str| (!text.is_empty() && text != "-").then(|| text.to_owned());
        Self::parse(
            known(method).as_deref(),
            known(target).as_deref(),
            known(user_agent).as_deref(),
        )
    }

    /// Reads an example of a table: `[METHOD ]TARGET`, `JA3: …`, `JA4: …`, or a header field, as
    /// `User-Agent: …`.
    pub(crate) fn parse_example(text: &str) -> Result<Self, QuestionError> {
        let target = |target| Self::parse(None, Some(target), None);
        match text.split_once(' ') {
            None => target(text),
            Some(("JA3:", ja3)) => Ok(Self::default().with_ja3(ja3)),
            Some(("JA4:", ja4)) => Ok(Self::default().with_ja4(ja4)),
            Some(("User-Agent:", agent)) => Self::parse(None, None, Some(agent)),
            Some((name, _)) if name.ends_with(':') => Self::default().with_header(text),
            Some((method, target)) => Self::parse(Some(method), Some(target), None),
        }
    }

    /// The same, with a header field, as `Name: value`.
    ///
    /// # Errors
    /// When it is none.
    pub fn with_header(mut self, text: &str) -> Result<Self, QuestionError> {
        let field = text
            .split_once(':')
            .and_then(|(name, value)| Header::new(name.trim(), value.trim()).ok());
        let field = field.ok_or_else(|| wrong(text, "; as a header field, `Name: value`"))?;
        self.headers.push(field);
        Ok(self)
    }

    /// The same, with the JA3 of a ClientHello.
    #[must_use]
    pub fn with_ja3(self, ja3: &str) -> Self {
        Self { ja3: Some(ja3.trim().to_ascii_lowercase()), ..self }
    }

    /// The same, with the JA4 of a ClientHello.
    #[must_use]
    pub fn with_ja4(self, ja4: &str) -> Self {
        Self { ja4: Some(ja4.trim().to_owned()), ..self }
    }

    /// The question in the catalog's form.
    #[must_use]
    pub fn query(&self) -> Query<'_> {
        Query {
            method: self.method.as_deref(),
            host: self.host.as_ref(),
            port: self.port,
            path: self.path.as_deref(),
            user_agent: self.user_agent.as_deref(),
            headers: (!self.headers.is_empty()).then_some(&self.headers),
            ja3: self.ja3.as_deref(),
            ja4: self.ja4.as_deref(),
            sni: None,
        }
    }

    fn read_target(&mut self, text: &str) -> Result<(), QuestionError> {
        let because = |error: &dyn fmt::Display| wrong(text, &format!(" ({error})"));
        let (protocol, text) = split_protocol(text);
        self.protocol = protocol;
        let range = text.strip_prefix(':').unwrap_or(text);
        if text.starts_with(':') || parse_range(range).is_some() {
            let ports =
                parse_range(range).ok_or_else(|| because(&"a port is a number from 1 to 65535"))?;
            self.ports = Some(ports);
            self.port = (ports.0 == ports.1).then_some(ports.0);
        } else if text.starts_with('/') {
            self.path = Some(text.to_owned());
        } else if text.contains("://") {
            let url: Url = text.parse().map_err(|error| because(&error))?;
            self.read(Target::Url(url));
        } else if text.contains(':') {
            let authority: Authority = text.parse().map_err(|error| because(&error))?;
            self.read(Target::Authority(authority));
        } else {
            self.host = Some(text.parse().map_err(|error| because(&error))?);
        }
        Ok(())
    }

    fn read(&mut self, target: Target) {
        self.path = target.path().map(str::to_owned);
        let authority = target.authority();
        self.host = Some(authority.host.clone());
        self.port = Some(authority.port);
        self.ports = self.path.is_none().then_some((authority.port, authority.port));
    }
}

/// `tcp:3478` and `udp:3478` ask for the port of one protocol.
fn split_protocol(text: &str) -> (Option<Protocol>, &str) {
    let known = [("tcp", Protocol::Tcp), ("udp", Protocol::Udp)];
    let named = text.split_at_checked(3).and_then(|(name, port)| {
        let (_, protocol) =
            known.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?;
        (port.starts_with(':') && !port.starts_with("://")).then_some((Some(protocol), port))
    });
    named.unwrap_or((None, text))
}

fn wrong(found: &str, why: &str) -> QuestionError {
    QuestionError { found: found.to_owned(), why: why.to_owned() }
}

impl Catalog {
    /// Answers a question. Port rows come along where ports or `HOST:PORT` were asked for.
    #[must_use]
    pub fn explain(&self, question: &Question) -> Answer<'_> {
        let mut classification = self.classify(&question.query());
        let ports: Vec<&PortUse> = match question.ports {
            Some((first, last)) => self
                .port_table()
                .filter(|row| row.meets(first, last))
                .filter(|row| question.protocol.is_none_or(|protocol| row.carries(protocol)))
                .collect(),
            None => Vec::new(),
        };
        if question.host.is_none() && classification.entry.is_none() && !ports.is_empty() {
            tell_ports(&mut classification, &ports);
        }
        let entry = self.entry_of(&classification);
        let over_limit = entry.map_or_else(Vec::new, |entry| over_limits(entry, &classification));
        Answer { classification, entry, over_limit, ports }
    }
}

/// A bare port is what the port table says: the documented rows first.
fn tell_ports(classification: &mut Classification, ports: &[&PortUse]) {
    let documented = ports.iter().any(|row| row.documented);
    let rows = ports.iter().filter(|row| row.documented == documented);
    classification.platform =
        rows.fold(classification.platform, |all, row| all.union(row.platform));
    classification.category = Category::from("port-usage");
    classification.documented = documented;
}

fn over_limits(entry: &Entry, classification: &Classification) -> Vec<OverLimit> {
    let over =
        |(field, &most): (&SmolStr, &u64)| {
            let value = told(&classification.details, field)?;
            // What is no number is for the service to refuse; too long a number is over any limit.
            let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
            (is_number && value.parse().map_or(true, |value: u64| value > most))
                .then(|| OverLimit { field: field.clone(), value: value.into(), most })
        };
    entry.limits.iter().filter_map(over).collect()
}

impl Serialize for Answer<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let said = &self.classification;
        let details = &said.details;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("platform", &said.platform)?;
        map.serialize_entry("category", &said.category)?;
        map.serialize_entry("entry", &said.entry)?;
        map.serialize_entry("summary", &said.summary)?;
        map.serialize_entry("environment", &said.environment)?;
        map.serialize_entry("nonretail", &(said.environment != Environment::Retail))?;
        map.serialize_entry("documented", &said.documented)?;
        let texts = [
            ("title_id", &details.title_id),
            ("np_title_id", &details.np_title_id),
            ("content_id", &details.content_id),
            ("firmware", &details.firmware),
            ("region", &details.region),
        ];
        for (key, value) in texts {
            if let Some(value) = value {
                map.serialize_entry(key, value)?;
            }
        }
        if let Some(platform) = details.title_platform {
            map.serialize_entry("title_platform", &platform)?;
        }
        if let Some(hash_ok) = details.hash_ok {
            map.serialize_entry("hash_ok", &hash_ok)?;
        }
        map.serialize_entry("fields", &Fields(said))?;
        if let Some(entry) = self.entry {
            if let Some(service) = &entry.service {
                map.serialize_entry("service", service)?;
            }
            map.serialize_entry("source", &entry.source)?;
            map.serialize_entry("confidence", &entry.confidence)?;
            let flags = [
                ("pinned", entry.pinned),
                ("download", entry.download),
                ("rewritable", entry.rewritable),
            ];
            for (flag, _) in flags.into_iter().filter(|(_, is_set)| *is_set) {
                map.serialize_entry(flag, &true)?;
            }
        }
        if !self.over_limit.is_empty() {
            map.serialize_entry("over_limit", &self.over_limit)?;
        }
        if !self.ports.is_empty() {
            map.serialize_entry("ports", &self.ports)?;
        }
        map.end()
    }
}

struct Fields<'a>(&'a Classification);

impl Fields<'_> {
    /// The fields, and what stands in the content id.
    fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let details = &self.0.details;
        let content = details.content_id.as_deref().and_then(ContentId::parse);
        let parts = content.map(|id| [("publisher", id.publisher), ("label", id.label)]);
        let fields = details.fields.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        fields.chain(parts.into_iter().flatten())
    }
}

impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_of_a_question_is_read() {
        let read = |text| Question::parse(None, Some(text), None);
        assert_eq!(read(":3478").unwrap().port, Some(3478));
        assert_eq!(read("/tcap.m").unwrap().path.as_deref(), Some("/tcap.m"));
        assert_eq!(read("a.example:443").unwrap().port, Some(443));
        assert_eq!(read("A.example.").unwrap().host, "a.example".parse().ok());
        assert_eq!(read("http://a.example/x?y").unwrap().path.as_deref(), Some("/x?y"));
        for bad in [":0", ":x", "a b", "ftp://x/", "http:///x", ""] {
            let error = read(bad).unwrap_err().to_string();
            assert!(error.contains("expected a URL"), "{error}");
        }
        let udp = read("udp:3478").unwrap();
        assert_eq!((udp.port, udp.protocol), (Some(3478), Some(Protocol::Udp)));
        assert_eq!(read(":3478-3480").unwrap().ports, Some((3478, 3480)));
        assert_eq!(read("3478").unwrap().port, Some(3478));
        assert!(Question::parse(None, None, None).is_err());
        assert!(Question::parse_line("GET http://a.example/").is_err());
        assert!(Question::parse_line("-\t-\tbtest/1.0\r\n").unwrap().user_agent.is_some());
    }

    proptest::proptest! {
        #[test]
        fn hostile_lines_never_panic(line in "\\PC{0,80}|[\t a-z:/.%-]{0,80}") {
            let catalog = Catalog::from_text("none", "").unwrap();
            if let Ok(question) = Question::parse_line(&line) {
                let _ = catalog.explain(&question).to_string();
            }
        }
    }
}
