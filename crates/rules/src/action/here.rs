//! Answers that come from here: no, a text, a file.

use std::path::PathBuf;

use bytes::Bytes;
use consoletap_flow::{Headers, RuleHit};

use crate::template::{Template, Values};

/// What a client gets from here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FromHere {
    /// What it is.
    pub what: Here,
    /// The rule, for the row.
    pub hit: RuleHit,
}

/// The kinds of what a client gets from here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Here {
    /// Nothing of what it asked for.
    Block(Block),
    /// What the rule says.
    Answer {
        /// The status.
        status: u16,
        /// Fields beside those of the body's length.
        headers: Headers,
        /// The body.
        body: Bytes,
    },
    /// A file.
    File {
        /// The status where it is not the one that the request asks for (200, 206, 304 …).
        status: Option<u16>,
        /// Fields that the rule adds.
        headers: Headers,
        /// The file.
        file: LocalFile,
    },
}

/// How a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Block {
    /// With this status and a few words.
    Status(u16),
    /// The connection is closed without a word.
    Drop,
    /// The connection is reset.
    Reset,
}

/// A file to answer with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalFile {
    /// The folder that may not be left, symbolic links included; `None` where the rule names the
    /// file itself.
    pub folder: Option<PathBuf>,
    /// The file; below the folder, or as the rule names it.
    pub path: PathBuf,
    /// Whether a file that is not there is taken from the net.
    pub or_net: bool,
    /// The media type where the rule says one.
    pub content_type: Option<String>,
}

/// `block`
#[derive(Debug, Clone, Copy)]
pub(crate) struct BlockRule(pub(crate) Block);

/// `answer`
#[derive(Debug, Clone)]
pub(crate) struct AnswerRule {
    pub(crate) status: Option<u16>,
    pub(crate) headers: Vec<(String, Template)>,
    pub(crate) body: Body,
}

/// The body of an answer.
#[derive(Debug, Clone)]
pub(crate) enum Body {
    Text(Template),
    /// Zeros, for a test of speed.
    Zeros(Bytes),
    File(Files),
}

/// `map-local`
#[derive(Debug, Clone)]
pub(crate) struct FileRule {
    pub(crate) files: Files,
    pub(crate) missing: Missing,
    pub(crate) content_type: Option<String>,
}

/// What becomes of a request whose file is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    NotFound,
    Net,
}

/// One file, or those of a folder.
#[derive(Debug, Clone)]
pub(crate) enum Files {
    File(PathBuf),
    Folder { folder: PathBuf, path: Template },
}

impl Block {
    pub(crate) fn did(self) -> String {
        match self {
            Self::Status(status) => format!("answered {status} from here"),
            Self::Drop => "closed the connection".to_owned(),
            Self::Reset => "reset the connection".to_owned(),
        }
    }
}

impl BlockRule {
    pub(super) fn describe(&self) -> String {
        match self.0 {
            Block::Status(status) => format!("block: answer {status}"),
            Block::Drop => "block: close the connection without an answer".to_owned(),
            Block::Reset => "block: reset the connection".to_owned(),
        }
    }
}

impl AnswerRule {
    pub(crate) fn fill(&self, values: &Values<'_>) -> Result<(Here, String), String> {
        let mut headers = Headers::with_capacity(self.headers.len() + 1);
        for (name, value) in &self.headers {
            let value = value.fill(values).map_err(|problem| format!("{name}: {problem}"))?;
            let field = consoletap_flow::Header::new(name.clone(), value.trim());
            headers.push(field.map_err(|error| error.to_string())?);
        }
        match &self.body {
            Body::Text(text) => {
                let body = Bytes::from(text.fill(values)?);
                let status = self.status.unwrap_or(200);
                let did = format!("answered {status} from here with {} bytes", body.len());
                Ok((Here::Answer { status, headers, body }, did))
            }
            Body::Zeros(zeros) => {
                let status = self.status.unwrap_or(200);
                let did = format!("answered {status} from here with {} zeros", zeros.len());
                Ok((Here::Answer { status, headers, body: zeros.clone() }, did))
            }
            Body::File(files) => {
                let (folder, path) = files.find(values)?;
                let did = format!("answered from {}", path.display());
                let file = LocalFile { folder, path, or_net: false, content_type: None };
                Ok((Here::File { status: self.status, headers, file }, did))
            }
        }
    }

    pub(super) fn describe(&self) -> String {
        let with = match &self.body {
            Body::Text(_) => "a text of the rule".to_owned(),
            Body::Zeros(zeros) => format!("{} zeros", zeros.len()),
            Body::File(files) => files.describe(),
        };
        match self.status {
            Some(status) => format!("answer {status} from here with {with}"),
            None => format!("answer from here with {with}"),
        }
    }
}

impl FileRule {
    pub(crate) fn fill(&self, values: &Values<'_>) -> Result<(Here, String), String> {
        let (folder, path) = self.files.find(values)?;
        let did = format!("answered from {}", path.display());
        let or_net = self.missing == Missing::Net;
        let file = LocalFile { folder, path, or_net, content_type: self.content_type.clone() };
        Ok((Here::File { status: None, headers: Headers::default(), file }, did))
    }

    pub(super) fn describe(&self) -> String {
        let missing = match self.missing {
            Missing::NotFound => "404 where there is none",
            Missing::Net => "from the net where there is none",
        };
        format!("answer with {}; {missing}", self.files.describe())
    }
}

impl Files {
    /// The folder that may not be left, and the file.
    fn find(&self, values: &Values<'_>) -> Result<(Option<PathBuf>, PathBuf), String> {
        match self {
            Self::File(path) => Ok((None, path.clone())),
            Self::Folder { folder, path } => {
                let below = path.fill_with(values, decoded)?;
                Ok((Some(folder.clone()), below_a_folder(&below)?))
            }
        }
    }

    fn describe(&self) -> String {
        match self {
            Self::File(path) => format!("the file {}", path.display()),
            Self::Folder { folder, path } => format!("the file {path} in {}", folder.display()),
        }
    }
}

/// A value of a URL as a part of a file's name: percent-encoding undone, once.
fn decoded(value: &str) -> Result<String, String> {
    if !value.contains('%') {
        return Ok(value.to_owned());
    }
    let mut octets = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let (octet, after) = match (first, after) {
            (b'%', [high, low, after @ ..]) => {
                let hex = |byte: &u8| char::from(*byte).to_digit(16);
                let (Some(high), Some(low)) = (hex(high), hex(low)) else {
                    return Err(format!("{value:?} is not percent-encoded as URLs are"));
                };
                // Two hex digits are below 256.
                (u8::try_from(high * 16 + low).unwrap_or_default(), after)
            }
            (b'%', _) => return Err(format!("{value:?} is not percent-encoded as URLs are")),
            (octet, after) => (octet, after),
        };
        // An encoded slash is no separator to the server that was meant, and not here.
        if first == b'%' && octet == b'/' {
            return Err(format!("{value:?} has an encoded slash in it"));
        }
        octets.push(octet);
        rest = after;
    }
    String::from_utf8(octets).map_err(|_| format!("{value:?} is not UTF-8 behind its encoding"))
}

/// A path that stays where it begins; what would leave, or means something else on another
/// system, is refused.
fn below_a_folder(path: &str) -> Result<PathBuf, String> {
    let refused = |why: &str| Err(format!("{path:?} {why}"));
    if path.contains(['\\', ':', '\0']) || path.chars().any(char::is_control) {
        return refused("has a character that no file is asked for with");
    }
    let mut below = PathBuf::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => return refused("leads out of the folder"),
            part if part.len() > 255 => return refused("is longer than a file's name can be"),
            part => below.push(part),
        }
    }
    if below.as_os_str().is_empty() || path.ends_with('/') {
        return refused("names no file");
    }
    Ok(below)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_leave_the_folder_is_refused() {
        for (value, path) in [
            ("a/b.pkg", "a/b.pkg"),
            ("/a//./b", "a/b"),
            ("a%20b%2e.pkg", "a b..pkg"),
            ("..a", "..a"),
        ] {
            assert_eq!(decoded(value).and_then(|v| below_a_folder(&v)), Ok(PathBuf::from(path)));
        }
        for bad in [
            "..", "../a", "a/../b", "%2e%2e/a", "%2E./a", "a%2fb", "a%00", "a\\b", "c:a", "", "/",
            "a/", "%", "%4", "%zz", "%ff", "a/..", "%5c", "a\u{7f}",
        ] {
            assert!(decoded(bad).and_then(|v| below_a_folder(&v)).is_err(), "{bad}");
        }
        // Once, and not until nothing is left to decode.
        assert_eq!(decoded("%252e").unwrap(), "%2e");
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(2000))]
        #[test]
        fn no_value_leads_out(value in "([./\\\\%:a]|%2e|%2E|%2f|%5c|%00|\\.\\.|é){0,12}") {
            if let Ok(path) = decoded(&value).and_then(|v| below_a_folder(&v)) {
                let normal = |part| matches!(part, std::path::Component::Normal(_));
                proptest::prop_assert!(path.components().all(normal), "{}", path.display());
            }
        }
    }
}
