//! What values of operators are matched with: regexes, and lists of names.

use regex::{Regex, RegexBuilder, bytes};

/// Regexes are bounded in size and depth; linear in time they are by their kind.
const MAX_SIZE: usize = 1 << 20;
const MAX_DEPTH: u32 = 50;

/// A regex for text, as people write it: case does not count, and it may match anywhere.
#[derive(Debug, Clone)]
pub(crate) struct Pattern(Regex);

impl Pattern {
    /// Compiles a regex.
    pub(crate) fn new(text: &str) -> Result<Self, String> {
        RegexBuilder::new(text)
            .case_insensitive(true)
            .size_limit(MAX_SIZE)
            .dfa_size_limit(MAX_SIZE)
            .nest_limit(MAX_DEPTH)
            .build()
            .map(Self)
            .map_err(problem)
    }

    /// Text that is looked for to the letter, but for its case.
    pub(crate) fn literal(text: &str) -> Result<Self, String> {
        Self::new(&regex::escape(text))
    }

    pub(crate) fn is_match(&self, text: &str) -> bool {
        self.0.is_match(text)
    }

    pub(crate) fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

/// A regex for octets.
#[derive(Debug, Clone)]
pub(crate) struct Octets(bytes::Regex);

impl Octets {
    /// For lines: `^` and `$` are the ends of each.
    pub(crate) fn lines(text: &str) -> Result<Self, String> {
        Self::build(bytes::RegexBuilder::new(text).multi_line(true))
    }

    /// For bodies: a point is any character, line breaks, too.
    pub(crate) fn body(text: &str) -> Result<Self, String> {
        Self::build(bytes::RegexBuilder::new(text).dot_matches_new_line(true))
    }

    fn build(builder: &mut bytes::RegexBuilder) -> Result<Self, String> {
        builder
            .case_insensitive(true)
            .size_limit(MAX_SIZE)
            .dfa_size_limit(MAX_SIZE)
            .nest_limit(MAX_DEPTH)
            .build()
            .map(Self)
            .map_err(problem)
    }

    pub(crate) fn is_match(&self, octets: &[u8]) -> bool {
        self.0.is_match(octets)
    }
}

fn problem(error: regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(_) => "this regex is too large".to_owned(),
        error => {
            // The last line says what is wrong; those before it repeat the expression.
            let text = error.to_string();
            let last = text.lines().last().unwrap_or_default();
            format!("this is no regex: {}", last.trim_start_matches("error: "))
        }
    }
}

/// Names joined by `|`, each whole or with a star for its end: `fw-*|title-metadata`. Case does
/// not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Names(Vec<Name>);

/// A name in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name {
    pub(crate) text: Box<str>,
    /// More may follow.
    pub(crate) is_stem: bool,
}

impl Name {
    pub(crate) fn is(&self, name: &str) -> bool {
        let head = if self.is_stem { name.get(..self.text.len()) } else { Some(name) };
        head.is_some_and(|head| head.eq_ignore_ascii_case(&self.text))
    }
}

impl Names {
    pub(crate) fn new(text: &str) -> Result<Self, String> {
        Self::expanded(text, |_| None)
    }

    /// Names, of which `group` may put others in the place of one.
    pub(crate) fn expanded(
        text: &str,
        group: fn(&str) -> Option<&'static [&'static str]>,
    ) -> Result<Self, String> {
        let mut names = Vec::new();
        for name in text.split('|') {
            if let Some(members) = group(name) {
                names
                    .extend(members.iter().map(|&text| Name { text: text.into(), is_stem: false }));
                continue;
            }
            let stem = name.strip_suffix('*');
            let name = stem.unwrap_or(name).to_ascii_lowercase();
            if name.contains('*') || (name.is_empty() && stem.is_none()) {
                return Err("names joined by | were expected, a * only at their end".to_owned());
            }
            names.push(Name { text: name.into(), is_stem: stem.is_some() });
        }
        Ok(Self(names))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Name> {
        self.0.iter()
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.0.iter().any(|wanted| wanted.is(name))
    }
}
