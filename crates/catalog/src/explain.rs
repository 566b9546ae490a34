//! `consoletap explain`: a question in text, and the answer in the shape that other programs
//! may rely on. Reading arguments and printing is the binary's work.

use std::fmt;

use consoletap_flow::{Authority, Classification, Environment, Host, Target, Url};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::catalog::{Catalog, Query};
use crate::ports::PortUse;

/// What was asked: a request, or as much of it as is known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Question {
    method: Option<String>,
    host: Option<Host>,
    port: Option<u16>,
    /// `TCP` or `UDP`: only those rows of the port table.
    protocol: Option<&'static str>,
    path: Option<String>,
    user_agent: Option<String>,
}

/// Text that asks nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found:?}: expected a URL, HOST, HOST:PORT, :PORT, udp:PORT or /PATH{why}")]
pub struct QuestionError {
    found: String,
    why: String,
}

/// The answer to a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer<'c> {
    /// What the tables say.
    pub classification: Classification,
    /// The rows of the port table, where a port was asked for.
    pub ports: Vec<&'c PortUse>,
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

    /// Reads an example of a table: `[METHOD ]TARGET`, or `User-Agent: …`.
    pub(crate) fn parse_example(text: &str) -> Result<Self, QuestionError> {
        if let Some(user_agent) = text.strip_prefix("User-Agent: ") {
            return Self::parse(None, None, Some(user_agent));
        }
        match text.split_once(' ') {
            Some((method, target)) => Self::parse(Some(method), Some(target), None),
            None => Self::parse(None, Some(text), None),
        }
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
            sni: None,
        }
    }

    fn read_target(&mut self, text: &str) -> Result<(), QuestionError> {
        let because = |error: &dyn fmt::Display| wrong(text, &format!(" ({error})"));
        let (protocol, text) = split_protocol(text);
        self.protocol = protocol;
        if let Some(port) = text.strip_prefix(':') {
            let port = port.parse().ok().filter(|&port| port != 0);
            self.port = Some(port.ok_or_else(|| because(&"a port is a number from 1 to 65535"))?);
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
    }
}

/// `tcp:3478` and `udp:3478` ask for the port of one protocol.
fn split_protocol(text: &str) -> (Option<&'static str>, &str) {
    match text.split_at_checked(3) {
        Some((name, port)) if port.starts_with(':') && !port.starts_with("://") => {
            let known = ["TCP", "UDP"].into_iter().find(|known| known.eq_ignore_ascii_case(name));
            (known, if known.is_some() { port } else { text })
        }
        _ => (None, text),
    }
}

fn wrong(found: &str, why: &str) -> QuestionError {
    QuestionError { found: found.to_owned(), why: why.to_owned() }
}

impl Catalog {
    /// Answers a question. Port rows come along where a bare port or `HOST:PORT` was asked for.
    #[must_use]
    pub fn explain(&self, question: &Question) -> Answer<'_> {
        let asks_port = question.path.is_none();
        let ports = question.port.filter(|_| asks_port).map(|port| self.ports(port));
        let ports = ports
            .unwrap_or_default()
            .into_iter()
            .filter(|row| question.protocol.is_none_or(|protocol| row.protocol.contains(protocol)));
        Answer { classification: self.classify(&question.query()), ports: ports.collect() }
    }
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
        if !self.ports.is_empty() {
            map.serialize_entry("ports", &self.ports)?;
        }
        map.end()
    }
}

struct Fields<'a>(&'a Classification);

impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.details.fields.iter().map(|(name, value)| (&**name, value)))
    }
}

/// The answer for a person.
impl fmt::Display for Answer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = &self.classification;
        let details = &said.details;
        match &said.summary {
            Some(summary) => writeln!(f, "{summary}")?,
            None if self.ports.is_empty() => writeln!(f, "Nothing is known of this yet.")?,
            None => {}
        }
        let mut line = |name: &str, value: &dyn fmt::Display| writeln!(f, "  {name:<12} {value}");
        if said.entry.is_some() {
            line("console", &said.platform)?;
            line("category", &said.category)?;
        }
        if said.environment != Environment::Retail {
            line("servers", &format_args!("{} (not retail)", said.environment))?;
        }
        let texts = [
            ("title", &details.np_title_id.clone().or_else(|| details.title_id.clone())),
            ("content", &details.content_id),
            ("firmware", &details.firmware),
            ("region", &details.region),
        ];
        for (name, value) in texts {
            if let Some(value) = value {
                line(name, value)?;
            }
        }
        if let Some(fits) = details.hash_ok {
            line("URL hash", if fits { &"fits the title" } else { &"does NOT fit the title" })?;
        }
        for (name, value) in &details.fields {
            line(name, value)?;
        }
        if let Some(entry) = &said.entry {
            let page = if said.documented { " (of the documented page)" } else { "" };
            line("row", &format_args!("{entry}{page}"))?;
        }
        for port in &self.ports {
            let range = if port.first == port.last {
                port.first.to_string()
            } else {
                format!("{}-{}", port.first, port.last)
            };
            writeln!(
                f,
                "  {} {range}: {} {} [{}]",
                port.protocol, port.usage, port.remarks, port.platform
            )?;
        }
        Ok(())
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
        assert_eq!((udp.port, udp.protocol), (Some(3478), Some("UDP")));
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
