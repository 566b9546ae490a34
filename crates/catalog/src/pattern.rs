//! Patterns of the tables: text with typed fields, as `/{np_title_id}/{rev:digits}/f_{hash:hex64}`.
//!
//! Not regular expressions: a field knows its length or its alphabet, so that a pattern is read
//! by people, costs nanoseconds and cannot run away on hostile text.

mod overlap;
pub(crate) mod shape;

use std::fmt;

use consoletap_flow::SmolStr;
use memchr::memmem::Finder;

use self::shape::Run;
use crate::field::FieldName;

/// How many fields one pattern may hold.
const MOST_FIELDS: usize = 12;
/// How many open-ended fields (those that must be tried at several lengths) it may hold: the
/// work on hostile text grows with this power.
const MOST_OPEN: usize = 2;
/// The longest text that an open-ended field is tried on.
const MOST_TRIES: usize = 1024;
/// The longest text that is read: as long as the head of a request may be.
const LONGEST: usize = u16::MAX as usize;

/// A compiled pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern {
    tokens: Vec<Token>,
    fields: Vec<Field>,
    /// How many bytes stand in it to the letter: the measure of how specific it is.
    literal: usize,
    /// Whether a name stands in it twice; the later value counts.
    repeats: bool,
}

/// The name or names of a field, and how its value is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) names: Vec<FieldName>,
    is_version: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Literal(Box<str>),
    /// Text of a shape; `open` where what follows could be taken by the field itself.
    Field {
        runs: Box<[Run]>,
        index: usize,
        open: bool,
    },
    /// One of some words.
    OneOf(Vec<Box<str>>, usize),
    /// `*` up to this text.
    Seek(Box<Needle>),
    /// `*`: anything, or nothing.
    Any,
}

/// Text that is looked for.
#[derive(Debug, Clone)]
struct Needle(Finder<'static>);

impl Needle {
    /// It is made of text; to be safe, an empty one is one, too.
    fn text(&self) -> &str {
        std::str::from_utf8(self.0.needle()).unwrap_or_default()
    }
}

impl PartialEq for Needle {
    fn eq(&self, other: &Self) -> bool {
        self.0.needle() == other.0.needle()
    }
}

impl Eq for Needle {}

enum Kind {
    Shape(&'static [Run]),
    Counted(Run),
    OneOf(Vec<Box<str>>),
}

/// What the fields of a pattern held, in its order. Small, for it is moved about.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Captures<'t> {
    text: &'t str,
    /// Where each begins and ends.
    spans: [(u16, u16); MOST_FIELDS],
}

impl<'t> Captures<'t> {
    /// Notes that the field holds so much of what is left of the text.
    fn set(&mut self, index: usize, rest: &str, length: usize) {
        let start = self.text.len() - rest.len();
        // A text that is read is no longer than `LONGEST`.
        self.spans[index] = (start as u16, (start + length) as u16);
    }

    fn values(self) -> impl Iterator<Item = &'t str> {
        let spans = self.spans.into_iter();
        spans.map(move |(start, end)| &self.text[usize::from(start)..usize::from(end)])
    }
}

/// Why text is no pattern; the words end the sentence `expected …`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InvalidPattern(String);

impl fmt::Display for InvalidPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Pattern {
    pub(crate) fn parse(text: &str) -> Result<Self, InvalidPattern> {
        let mut pattern =
            Self { tokens: Vec::new(), fields: Vec::new(), literal: 0, repeats: false };
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}', '*']) {
            pattern.push_literal(&rest[..at]);
            let special = rest.as_bytes()[at];
            rest = &rest[at + 1..];
            match special {
                b'*' => pattern.tokens.push(Token::Any),
                b'{' => {
                    let (inner, after) = rest.split_once('}').ok_or_else(|| {
                        InvalidPattern(format!("a closing `}}` after `{{{rest}`"))
                    })?;
                    pattern.push_field(inner)?;
                    rest = after;
                }
                _ => return Err(InvalidPattern("no `}` without its `{`".into())),
            }
        }
        pattern.push_literal(rest);
        pattern.close()?;
        Ok(pattern)
    }

    fn push_literal(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        self.literal += text.len();
        if let Some(any @ Token::Any) = self.tokens.last_mut() {
            *any = Token::Seek(Box::new(Needle(Finder::new(text).into_owned())));
        } else {
            self.tokens.push(Token::Literal(text.into()));
        }
    }

    fn push_field(&mut self, inner: &str) -> Result<(), InvalidPattern> {
        let (names, kind) = inner.split_once(':').unwrap_or((inner, ""));
        let named = |name: &str| {
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
        };
        if !names.split('+').all(named) {
            return Err(InvalidPattern(format!(
                "field names of small letters and `_`, joined by `+`, found `{names}`"
            )));
        }
        let index = self.fields.len();
        self.tokens.push(match Kind::parse(names, kind)? {
            Kind::Shape(runs) => Token::Field { runs: runs.into(), index, open: false },
            Kind::Counted(run) => Token::Field { runs: [run].into(), index, open: false },
            Kind::OneOf(words) => Token::OneOf(words, index),
        });
        let names = names.split('+').map(FieldName::from).collect();
        self.fields.push(Field { names, is_version: kind == "version" });
        Ok(())
    }

    /// Finds the open-ended fields, and holds the pattern to its limits.
    fn close(&mut self) -> Result<(), InvalidPattern> {
        if self.fields.len() > MOST_FIELDS {
            return Err(InvalidPattern(format!("at most {MOST_FIELDS} fields in a pattern")));
        }
        let names: Vec<&FieldName> = self.names().collect();
        self.repeats = (1..names.len()).any(|at| names[..at].contains(&names[at]));
        let mut count = 0;
        for at in 0..self.tokens.len() {
            let (before, after) = self.tokens.split_at_mut(at + 1);
            let next = after.first();
            match &mut before[at] {
                Token::Field { runs, open, .. } => {
                    *open = is_open(runs, next);
                    count += usize::from(*open);
                }
                Token::Any => count += usize::from(next.is_some()),
                Token::Seek(_) => count += 1,
                Token::Literal(_) | Token::OneOf(..) => {}
            }
        }
        if count > MOST_OPEN {
            return Err(InvalidPattern(format!(
                "at most {MOST_OPEN} open-ended fields (`*`, word, segment, product) before other text"
            )));
        }
        Ok(())
    }

    /// The bytes that stand to the letter, and how many fields pin their text down.
    pub(crate) fn specificity(&self) -> usize {
        let any = |token: &&Token| matches!(token, Token::Any | Token::Seek(_));
        let any = self.tokens.iter().filter(any).count();
        (self.literal * 4 + self.fields.len() * 2).saturating_sub(any)
    }

    /// The text before the first field.
    pub(crate) fn prefix(&self) -> &str {
        match self.tokens.first() {
            Some(Token::Literal(text)) => text,
            _ => "",
        }
    }

    /// The text after the last field.
    pub(crate) fn suffix(&self) -> &str {
        match self.tokens.last() {
            Some(Token::Literal(text)) => text,
            Some(Token::Seek(needle)) => needle.text(),
            _ => "",
        }
    }

    /// Whether it holds no field and no `*`.
    pub(crate) fn is_literal(&self) -> bool {
        self.tokens.iter().all(|token| matches!(token, Token::Literal(_)))
    }

    /// Whether its text may stand anywhere (`*text*`).
    fn is_sought(&self) -> bool {
        matches!(self.tokens.first(), Some(Token::Seek(_) | Token::Any))
    }

    /// Reads a whole text; the captures mean nothing when it does not fit.
    pub(crate) fn read<'t>(&self, text: &'t str) -> Option<Captures<'t>> {
        // Rows of one host share long beginnings; the end tells most of them apart at once.
        if text.len() > LONGEST || !text.ends_with(self.suffix()) {
            return None;
        }
        let mut captures = Captures { text, ..Captures::default() };
        read(&self.tokens, text, &mut captures).then_some(captures)
    }

    /// The fields with what they held, as people write it: `0118` is 01.18.
    pub(crate) fn fields<'p, 't>(
        &'p self,
        captures: &Captures<'t>,
    ) -> impl Iterator<Item = (&'p FieldName, SmolStr)> + use<'p, 't> {
        self.fields.iter().zip(captures.values()).flat_map(|(field, value)| {
            field.names.iter().map(move |name| (name, field.value(value)))
        })
    }

    /// Whether a name stands in it twice.
    pub(crate) fn repeats(&self) -> bool {
        self.repeats
    }

    /// How many names its fields have.
    pub(crate) fn name_count(&self) -> usize {
        self.fields.iter().map(|field| field.names.len()).sum()
    }

    /// The names of its fields.
    pub(crate) fn names(&self) -> impl Iterator<Item = &FieldName> {
        self.fields.iter().flat_map(|field| &field.names)
    }

    /// Writes the text that has these values in its fields; the error is the first field whose
    /// value is not known or does not fit, or `*`.
    pub(crate) fn write<'v>(
        &self,
        value: impl Fn(&str) -> Option<&'v str>,
    ) -> Result<String, String> {
        let known = |index: usize| {
            let names = &self.fields[index].names;
            let known = names.iter().find_map(|name| value(name.as_str()));
            known.ok_or_else(|| self.fields[index].first_name())
        };
        let mut text = String::new();
        for token in &self.tokens {
            match token {
                Token::Literal(literal) => text.push_str(literal),
                Token::Field { runs, index, .. } => {
                    let value = known(*index)?;
                    if !shape::is(runs, value) {
                        return Err(self.fields[*index].first_name());
                    }
                    text.push_str(value);
                }
                Token::OneOf(words, index) => {
                    let value = known(*index)?;
                    if !words.iter().any(|word| **word == *value) {
                        return Err(self.fields[*index].first_name());
                    }
                    text.push_str(value);
                }
                Token::Seek(_) | Token::Any => return Err("*".to_owned()),
            }
        }
        Ok(text)
    }
}

impl Field {
    /// A value as people write it: `0118` is 01.18.
    fn value(&self, text: &str) -> SmolStr {
        if self.is_version
            && let [a, b, c, d] = *text.as_bytes()
            && let Ok(version) = std::str::from_utf8(&[a, b, b'.', c, d])
        {
            return SmolStr::new(version);
        }
        SmolStr::new(text)
    }

    fn first_name(&self) -> String {
        self.names.first().map(|name| name.as_str().to_owned()).unwrap_or_default()
    }
}

/// Whether the text that follows could also be taken by the field itself. Only a run without an
/// end leaves a choice.
fn is_open(runs: &[Run], next: Option<&Token>) -> bool {
    let Some(Run { set, most: None, .. }) = runs.last() else { return false };
    match next {
        None => false,
        Some(Token::Literal(text)) => text.bytes().next().is_some_and(|byte| set.contains(byte)),
        Some(_) => true,
    }
}

fn read<'t>(tokens: &[Token], text: &'t str, captures: &mut Captures<'t>) -> bool {
    let Some((token, rest)) = tokens.split_first() else { return text.is_empty() };
    match token {
        Token::Literal(literal) => {
            text.strip_prefix(&**literal).is_some_and(|after| read(rest, after, captures))
        }
        Token::Any if rest.is_empty() => true,
        Token::Any => text
            .char_indices()
            .map(|(at, _)| at)
            .chain([text.len()])
            .take(MOST_TRIES)
            .any(|at| read(rest, &text[at..], captures)),
        Token::Seek(needle) if rest.is_empty() => text.as_bytes().ends_with(needle.0.needle()),
        Token::Seek(needle) => seek(needle, rest, text, captures),
        Token::OneOf(words, index) => words.iter().any(|word| {
            text.strip_prefix(&**word).is_some_and(|after| {
                captures.set(*index, text, word.len());
                read(rest, after, captures)
            })
        }),
        Token::Field { runs, index, open } => {
            let Some(longest) = shape::longest(runs, text.as_bytes()) else { return false };
            let shortest = if *open { longest.saturating_sub(MOST_TRIES).max(1) } else { longest };
            (shortest..=longest).rev().filter(|&len| text.is_char_boundary(len)).any(|len| {
                captures.set(*index, text, len);
                read(rest, &text[len..], captures)
            })
        }
    }
}

/// Tries every place of the text, also those that overlap.
fn seek<'t>(needle: &Needle, rest: &[Token], text: &'t str, captures: &mut Captures<'t>) -> bool {
    let length = needle.0.needle().len();
    let mut from = 0;
    for _ in 0..MOST_TRIES {
        let Some(at) = needle.0.find(&text.as_bytes()[from..]) else { return false };
        if read(rest, &text[from + at + length..], captures) {
            return true;
        }
        from += at + 1;
    }
    false
}

impl Kind {
    fn parse(names: &str, text: &str) -> Result<Self, InvalidPattern> {
        let counted = |prefix: &str| {
            let count = text.strip_prefix(prefix)?.parse().ok()?;
            (1..=128).contains(&count).then_some(count)
        };
        Ok(Self::Shape(match (text, names) {
            ("title-id", _) | ("", "title_id") => shape::TITLE_ID,
            ("np-title-id", _) | ("", "np_title_id") => shape::NP_TITLE_ID,
            ("content-id", _) | ("", "content_id") => shape::CONTENT_ID,
            ("", _) => {
                return Err(InvalidPattern(format!(
                    "`{{{names}:KIND}}`; only title_id, np_title_id and content_id need no kind"
                )));
            }
            ("digits", _) => shape::DIGITS,
            ("dotted", _) => shape::DOTTED_DIGITS,
            ("version", _) => shape::VERSION,
            ("cc", _) => shape::LOWER_2,
            ("CC", _) => shape::UPPER_2,
            ("date", _) => shape::DATE,
            ("uuid", _) => shape::UUID,
            ("word", _) => shape::WORDS,
            ("segment", _) => shape::SEGMENT,
            ("product", _) => shape::PRODUCT,
            ("rest", _) => shape::REST,
            _ if text.contains('|') && text.split('|').all(|word| !word.is_empty()) => {
                return Ok(Self::OneOf(text.split('|').map(Box::from).collect()));
            }
            _ => match (counted("hex"), counted("alnum")) {
                (Some(count), _) => return Ok(Self::Counted(shape::hex(count))),
                (None, Some(count)) => return Ok(Self::Counted(shape::alnum(count))),
                (None, None) => {
                    return Err(InvalidPattern(format!(
                        "a kind of field (title-id, np-title-id, content-id, hexN, alnumN, digits, \
                         dotted, version, cc, CC, date, uuid, word, segment, product, rest or \
                         `one|other`), found `{text}`"
                    )));
                }
            },
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pattern: &str, text: &str) -> Option<Vec<(String, String)>> {
        let pattern = Pattern::parse(pattern).unwrap();
        let captures = pattern.read(text)?;
        let fields = pattern.fields(&captures);
        Some(fields.map(|(name, value)| (name.as_str().to_owned(), value.to_string())).collect())
    }

    #[test]
    fn fields_are_taken_apart() {
        let found = fields(
            "/{np_title_id}/{rev:digits}/x-A{app_ver:version}.{kind:json|pkg}",
            "/CUSA00001_00/21/x-A0118.pkg",
        );
        let want =
            [("np_title_id", "CUSA00001_00"), ("rev", "21"), ("app_ver", "01.18"), ("kind", "pkg")];
        assert_eq!(found.unwrap(), want.map(|(a, b)| (a.to_owned(), b.to_owned())));
    }

    #[test]
    fn an_open_field_gives_back_what_the_text_behind_it_needs() {
        assert_eq!(fields("/{id:segment}-0.pkg", "/a-0-0.pkg").unwrap()[0].1, "a-0");
        assert_eq!(fields("*b/{v:dotted} (X)*", "a b/1.2 (X) c").unwrap()[0].1, "1.2");
        assert_eq!(fields("/{id:segment}/x", "/a/b/x"), None);
        assert_eq!(fields("/{id:hex4}/x", "/12é/x"), None);
        for text in ["/abab", "/ab", "/xab"] {
            assert!(fields("/*ab", text).is_some(), "{text}");
        }
        assert!(fields("/*aa", "/aaa").is_some());
        assert_eq!(fields("*aa{x:digits}", "aaa1").unwrap()[0].1, "1");
    }

    #[test]
    fn a_pattern_writes_what_it_reads() {
        let pattern = Pattern::parse("/{env:word}/{title_id}/{kind:a|b}-ver.xml").unwrap();
        let value = |name: &str| match name {
            "env" => Some("np"),
            "title_id" => Some("CUSA00001"),
            "kind" => Some("b"),
            _ => None,
        };
        let text = pattern.write(value).unwrap();
        assert_eq!(text, "/np/CUSA00001/b-ver.xml");
        assert!(pattern.read(&text).is_some());
        let wrong = |name: &str| if name == "title_id" { Some("CUSA1") } else { value(name) };
        assert_eq!(pattern.write(wrong), Err("title_id".to_owned()));
        assert_eq!(Pattern::parse("/*").unwrap().write(value), Err("*".to_owned()));
    }

    #[test]
    fn a_wrong_pattern_says_what_it_wants() {
        for bad in
            ["/{x", "/x}", "/{x}", "/{x:hexx}", "/{X:word}", "/{a:segment}{b:segment}{c:segment}x"]
        {
            assert!(Pattern::parse(bad).is_err(), "{bad}");
        }
    }

    proptest::proptest! {
        #[test]
        fn hostile_patterns_and_texts_never_panic(pattern in "[ab/{}*:|+.]{0,24}|\\PC{0,20}", text in "\\PC{0,60}") {
            if let Ok(pattern) = Pattern::parse(&pattern)
                && let Some(captures) = pattern.read(&text) {
                let _ = pattern.fields(&captures).count();
            }
        }

        #[test]
        fn a_real_pattern_on_hostile_text_never_panics(text in "[/a-z0-9_é.%-]{0,200}") {
            let pattern = Pattern::parse("/{a:segment}-{b:digits}/*x{np_title_id}{d:date}").unwrap();
            let _ = pattern.read(&text);
        }
    }
}
