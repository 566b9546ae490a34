//! An expression as tokens, by mitmproxy's rules: a word runs up to white space, a parenthesis,
//! a quote or a tilde, so `&`, `|` and `!` are operators only where no word is under way. A word
//! that begins with a key of DevTools (`domain:`, `-domain:`) is that key and its value.

use std::ops::Range;

use crate::devtools;
use crate::error::FilterError;
use crate::operator;

/// A token with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: TokenKind,
    pub(crate) span: Range<usize>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TokenKind {
    Open,
    Close,
    Not,
    And,
    Or,
    /// `~d`: the name behind the tilde, in lower case.
    Operator(String),
    /// `domain:`
    Key(&'static str),
    /// A word or a quoted text.
    Text(String),
}

impl Token {
    /// Whether the next token is the value of this one.
    fn wants_value(&self) -> bool {
        match &self.kind {
            TokenKind::Operator(name) => operator::takes_value(name),
            TokenKind::Key(_) => true,
            _ => false,
        }
    }
}

/// The tokens of an expression.
pub(crate) fn tokens(expression: &str) -> Result<Vec<Token>, FilterError> {
    let mut tokens: Vec<Token> = Vec::new();
    let mut at = 0;
    while let Some(c) = expression[at..].chars().next() {
        let start = at;
        at += c.len_utf8();
        // Behind `~d` comes its value, which may begin with any of these.
        let is_value = tokens.last().is_some_and(Token::wants_value);
        let kind = match c {
            c if c.is_whitespace() => continue,
            '(' => TokenKind::Open,
            ')' => TokenKind::Close,
            '&' if !is_value => TokenKind::And,
            '|' if !is_value => TokenKind::Or,
            '!' if !is_value => TokenKind::Not,
            '~' => {
                let name = word(&expression[at..]);
                at += name.len();
                TokenKind::Operator(name.to_ascii_lowercase())
            }
            '"' | '\'' => {
                let (text, end) = quoted(expression, start, c)?;
                at = end;
                TokenKind::Text(text)
            }
            _ => {
                let text = word(&expression[start..]);
                match devtools::key(text).filter(|_| !is_value) {
                    Some(key) => {
                        if key.negated {
                            tokens.push(Token { kind: TokenKind::Not, span: start..start + 1 });
                        }
                        at = start + key.length;
                        TokenKind::Key(key.name)
                    }
                    None => {
                        at = start + text.len();
                        TokenKind::Text(text.to_owned())
                    }
                }
            }
        };
        tokens.push(Token { kind, span: start..at });
    }
    Ok(tokens)
}

/// The word at the beginning of the text.
fn word(text: &str) -> &str {
    let ends = |c: char| c.is_whitespace() || "()~'\"".contains(c);
    &text[..text.find(ends).unwrap_or(text.len())]
}

/// The text in quotes that begins at `start`, and where it ends. A backslash before a quote or
/// a backslash takes its meaning away; before anything else it stays, as regexes want it.
fn quoted(expression: &str, start: usize, quote: char) -> Result<(String, usize), FilterError> {
    let mut text = String::new();
    let mut chars = expression[start + 1..].char_indices().peekable();
    while let Some((offset, c)) = chars.next() {
        match c {
            '\\' => match chars.peek().copied() {
                Some((_, next)) if next == quote => {
                    chars.next();
                    text.push(next);
                }
                Some((_, '\\')) => {
                    chars.next();
                    text.push_str("\\\\");
                }
                _ => text.push('\\'),
            },
            _ if c == quote => return Ok((text, start + 1 + offset + 1)),
            _ => text.push(c),
        }
    }
    let problem = format!("the quote {quote} is not closed");
    Err(FilterError::new(expression, start..start + 1, problem))
}
