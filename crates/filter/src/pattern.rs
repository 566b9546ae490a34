//! What values of operators are matched with: regexes, and lists of names.

use regex::{Regex, RegexBuilder};

/// A regex as people write it: case does not count, and it may match anywhere in the text.
#[derive(Debug, Clone)]
pub(crate) struct Pattern(Regex);

impl Pattern {
    /// Compiles a regex; bounded in size and depth, and of linear time by its kind.
    pub(crate) fn new(text: &str) -> Result<Self, String> {
        RegexBuilder::new(text)
            .case_insensitive(true)
            .size_limit(1 << 20)
            .dfa_size_limit(1 << 20)
            .nest_limit(50)
            .build()
            .map(Self)
            .map_err(|error| match error {
                regex::Error::CompiledTooBig(_) => "this regex is too large".to_owned(),
                error => {
                    // The last line says what is wrong; those before it repeat the expression.
                    let text = error.to_string();
                    let last = text.lines().last().unwrap_or_default();
                    format!("this is no regex: {}", last.trim_start_matches("error: "))
                }
            })
    }

    pub(crate) fn is_match(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

/// Names joined by `|`, each whole or with a star for its end: `fw-*|title-metadata`. Case does
/// not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Names(Vec<(Box<str>, bool)>);

impl Names {
    pub(crate) fn new(text: &str) -> Result<Self, String> {
        text.split('|')
            .map(|name| {
                let stem = name.strip_suffix('*');
                let name = stem.unwrap_or(name).to_ascii_lowercase();
                if name.contains('*') || (name.is_empty() && stem.is_none()) {
                    return Err("names joined by | were expected, a * only at their end".to_owned());
                }
                Ok((name.into(), stem.is_some()))
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.0.iter().any(|(wanted, is_stem)| {
            let head = if *is_stem { name.get(..wanted.len()) } else { Some(name) };
            head.is_some_and(|head| head.eq_ignore_ascii_case(wanted))
        })
    }
}
