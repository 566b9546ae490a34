//! Patterns of the tables: text with typed fields, as `/{np_title_id}/{rev:digits}/f_{hash:hex64}`.
//!
//! Not regular expressions: a field knows its length or its alphabet, so that a pattern is read
//! by people, costs nanoseconds and cannot run away on hostile text.

use std::fmt;
use std::sync::Arc;

use crate::title;

/// How many fields one pattern may hold.
const MOST_FIELDS: usize = 12;
/// How many open-ended fields (those that must be tried at several lengths) it may hold: the
/// work on hostile text grows with this power.
const MOST_OPEN: usize = 2;
/// The longest text that an open-ended field is tried on.
const MOST_TRIES: usize = 1024;

/// A compiled pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern {
    tokens: Vec<Token>,
    fields: Vec<Field>,
    /// How many bytes stand in it to the letter: the measure of how specific it is.
    literal: usize,
}

/// The name or names of a field, and how to write its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) names: Vec<Arc<str>>,
    kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Literal(Box<str>),
    Field(Kind, usize),
    /// `*`: anything, or nothing.
    Any,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    TitleId,
    NpTitleId,
    ContentId,
    Hex(usize),
    Digits,
    Dotted,
    Version,
    Lower2,
    Upper2,
    Date,
    Uuid,
    Alnum(usize),
    Word,
    Segment,
    Product,
    Rest,
    OneOf(Vec<Box<str>>),
}

/// What the fields of a pattern held, in its order.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Captures<'t>([&'t str; MOST_FIELDS]);

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
        let mut pattern = Self { tokens: Vec::new(), fields: Vec::new(), literal: 0 };
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
        pattern.check_limits()?;
        Ok(pattern)
    }

    fn push_literal(&mut self, text: &str) {
        if !text.is_empty() {
            self.literal += text.len();
            self.tokens.push(Token::Literal(text.into()));
        }
    }

    fn push_field(&mut self, inner: &str) -> Result<(), InvalidPattern> {
        let (names, kind) = match inner.split_once(':') {
            Some((names, kind)) => (names, Kind::parse(kind)?),
            None => (inner, Kind::of_name(inner)?),
        };
        let named = |name: &str| {
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
        };
        if !names.split('+').all(named) {
            return Err(InvalidPattern(format!(
                "field names of small letters and `_`, joined by `+`, found `{names}`"
            )));
        }
        let index = self.fields.len();
        let names = names.split('+').map(Arc::from).collect();
        self.fields.push(Field { names, kind: kind.clone() });
        self.tokens.push(Token::Field(kind, index));
        Ok(())
    }

    fn check_limits(&self) -> Result<(), InvalidPattern> {
        if self.fields.len() > MOST_FIELDS {
            return Err(InvalidPattern(format!("at most {MOST_FIELDS} fields in a pattern")));
        }
        let open = self.tokens.iter().enumerate().filter(|&(index, token)| {
            let next = self.tokens.get(index + 1);
            match token {
                Token::Any => next.is_some(),
                Token::Field(kind, _) => kind.is_open_before(next),
                Token::Literal(_) => false,
            }
        });
        if open.count() > MOST_OPEN {
            return Err(InvalidPattern(format!(
                "at most {MOST_OPEN} open-ended fields (`*`, word, segment, product) before other text"
            )));
        }
        Ok(())
    }

    /// The bytes that stand to the letter, and how many fields pin their text down.
    pub(crate) fn specificity(&self) -> usize {
        let any = self.tokens.iter().filter(|token| matches!(token, Token::Any)).count();
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
            _ => "",
        }
    }

    /// Whether it holds no field and no `*`.
    pub(crate) fn is_literal(&self) -> bool {
        self.tokens.iter().all(|token| matches!(token, Token::Literal(_)))
    }

    /// Reads a whole text; the captures mean nothing when it does not fit.
    pub(crate) fn read<'t>(&self, text: &'t str) -> Option<Captures<'t>> {
        // Rows of one host share long beginnings; the end tells most of them apart at once.
        if !text.starts_with(self.prefix()) || !text.ends_with(self.suffix()) {
            return None;
        }
        let mut captures = Captures::default();
        read(&self.tokens, text, &mut captures).then_some(captures)
    }

    /// The fields with what they held.
    pub(crate) fn fields<'p, 't>(
        &'p self,
        captures: &Captures<'t>,
    ) -> impl Iterator<Item = (&'p Arc<str>, String)> + use<'p, 't> {
        let values = captures.0;
        self.fields.iter().zip(values).flat_map(|(field, value)| {
            field.names.iter().map(move |name| (name, field.kind.written(value)))
        })
    }
}

fn read<'t>(tokens: &[Token], text: &'t str, captures: &mut Captures<'t>) -> bool {
    let Some((token, rest)) = tokens.split_first() else { return text.is_empty() };
    match token {
        Token::Literal(literal) => {
            text.strip_prefix(&**literal).is_some_and(|after| read(rest, after, captures))
        }
        Token::Any => read_any(rest, text, captures),
        Token::Field(Kind::OneOf(words), index) => words.iter().any(|word| {
            text.strip_prefix(&**word).is_some_and(|after| {
                captures.0[*index] = &text[..word.len()];
                read(rest, after, captures)
            })
        }),
        Token::Field(kind, index) => {
            let Some(longest) = kind.longest(text) else { return false };
            let shortest = if kind.is_open_before(rest.first()) {
                longest.saturating_sub(MOST_TRIES).max(1)
            } else {
                longest
            };
            (shortest..=longest).rev().filter(|&len| text.is_char_boundary(len)).any(|len| {
                captures.0[*index] = &text[..len];
                read(rest, &text[len..], captures)
            })
        }
    }
}

fn read_any<'t>(rest: &[Token], text: &'t str, captures: &mut Captures<'t>) -> bool {
    match rest.first() {
        None => true,
        Some(Token::Literal(literal)) => text
            .match_indices(&**literal)
            .take(MOST_TRIES)
            .any(|(at, _)| read(&rest[1..], &text[at + literal.len()..], captures)),
        Some(_) => text
            .char_indices()
            .map(|(at, _)| at)
            .chain([text.len()])
            .take(MOST_TRIES)
            .any(|at| read(rest, &text[at..], captures)),
    }
}

impl Kind {
    fn of_name(name: &str) -> Result<Self, InvalidPattern> {
        Ok(match name {
            "title_id" => Self::TitleId,
            "np_title_id" => Self::NpTitleId,
            "content_id" => Self::ContentId,
            _ => {
                return Err(InvalidPattern(format!(
                    "`{{{name}:KIND}}`; only title_id, np_title_id and content_id need no kind"
                )));
            }
        })
    }

    fn parse(text: &str) -> Result<Self, InvalidPattern> {
        let counted = |prefix: &str| {
            let count = text.strip_prefix(prefix)?.parse().ok()?;
            (1..=128).contains(&count).then_some(count)
        };
        Ok(match text {
            "title-id" => Self::TitleId,
            "np-title-id" => Self::NpTitleId,
            "content-id" => Self::ContentId,
            "digits" => Self::Digits,
            "dotted" => Self::Dotted,
            "version" => Self::Version,
            "cc" => Self::Lower2,
            "CC" => Self::Upper2,
            "date" => Self::Date,
            "uuid" => Self::Uuid,
            "word" => Self::Word,
            "segment" => Self::Segment,
            "product" => Self::Product,
            "rest" => Self::Rest,
            _ if text.contains('|') && text.split('|').all(|word| !word.is_empty()) => {
                Self::OneOf(text.split('|').map(Box::from).collect())
            }
            _ => match (counted("hex"), counted("alnum")) {
                (Some(count), _) => Self::Hex(count),
                (None, Some(count)) => Self::Alnum(count),
                (None, None) => {
                    return Err(InvalidPattern(format!(
                        "a kind of field (title-id, np-title-id, content-id, hexN, alnumN, digits, \
                         dotted, version, cc, CC, date, uuid, word, segment, product, rest or \
                         `one|other`), found `{text}`"
                    )));
                }
            },
        })
    }

    /// Whether the text that follows could also be taken by the field itself.
    fn is_open_before(&self, next: Option<&Token>) -> bool {
        let takes = |byte: u8| match self {
            Self::Word => byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-',
            Self::Segment => byte != b'/',
            Self::Product => byte != b' ',
            Self::Digits => byte.is_ascii_digit(),
            Self::Dotted => byte.is_ascii_digit() || byte == b'.',
            Self::Rest => true,
            _ => false,
        };
        match next {
            None => false,
            Some(Token::Literal(text)) => text.bytes().next().is_some_and(takes),
            Some(_) => matches!(
                self,
                Self::Word
                    | Self::Segment
                    | Self::Product
                    | Self::Digits
                    | Self::Dotted
                    | Self::Rest
            ),
        }
    }

    /// The most that the field takes from the start of the text.
    fn longest(&self, text: &str) -> Option<usize> {
        let bytes = text.as_bytes();
        let fixed =
            |len: usize, fits: fn(&[u8]) -> bool| bytes.get(..len).is_some_and(fits).then_some(len);
        let run = |fits: fn(&u8) -> bool| {
            let len = bytes.iter().take_while(|byte| fits(byte)).count();
            (len > 0).then_some(len)
        };
        match self {
            Self::TitleId => fixed(9, title::is_title_id),
            Self::NpTitleId => fixed(12, title::is_np_title_id),
            Self::ContentId => fixed(36, title::is_content_id),
            Self::Hex(len) => fixed(*len, |text| text.iter().all(u8::is_ascii_hexdigit)),
            Self::Alnum(len) => fixed(*len, |text| text.iter().all(u8::is_ascii_alphanumeric)),
            Self::Version => fixed(4, |text| text.iter().all(u8::is_ascii_digit)),
            Self::Lower2 => fixed(2, |text| text.iter().all(u8::is_ascii_lowercase)),
            Self::Upper2 => fixed(2, |text| text.iter().all(u8::is_ascii_uppercase)),
            Self::Date => fixed(9, |text| {
                text.iter().enumerate().all(|(at, byte)| match at {
                    4 => *byte == b'_',
                    _ => byte.is_ascii_digit(),
                })
            }),
            Self::Uuid => fixed(36, |text| {
                text.iter().enumerate().all(|(at, byte)| match at {
                    8 | 13 | 18 | 23 => *byte == b'-',
                    _ => byte.is_ascii_hexdigit(),
                })
            }),
            Self::Digits => run(u8::is_ascii_digit),
            Self::Dotted => run(|byte| byte.is_ascii_digit() || *byte == b'.'),
            Self::Word => run(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(byte)),
            Self::Segment => run(|byte| *byte != b'/'),
            Self::Product => run(|byte| *byte != b' '),
            Self::Rest => Some(text.len()),
            // Tried word by word in `read`.
            Self::OneOf(_) => None,
        }
    }

    /// The value as people write it: `0118` is 01.18.
    fn written(&self, value: &str) -> String {
        match self {
            Self::Version if value.len() == 4 && value.is_ascii() => {
                format!("{}.{}", &value[..2], &value[2..])
            }
            _ => value.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pattern: &str, text: &str) -> Option<Vec<(String, String)>> {
        let pattern = Pattern::parse(pattern).unwrap();
        let captures = pattern.read(text)?;
        Some(pattern.fields(&captures).map(|(name, value)| (name.to_string(), value)).collect())
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
