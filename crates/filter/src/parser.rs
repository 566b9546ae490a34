//! Tokens to an expression. Precedence as in mitmproxy: `!` before `&` before `|`, and what
//! merely stands side by side is joined last: `a | b c` is `(a | b) & c`.

use std::ops::Range;

use crate::devtools;
use crate::error::FilterError;
use crate::expression::Expression;
use crate::lexer::{Token, TokenKind, tokens};
use crate::operator::{OPERATORS, Operator, example};
use crate::pattern::Pattern;
use crate::suggest::{distance, nearest};

/// Longer than any filter that a person writes.
const MAX_LENGTH: usize = 4096;
/// Parentheses and `!` within each other.
const MAX_DEPTH: usize = 50;
/// Every operator can hold a regex of a megabyte.
const MAX_OPERATORS: usize = 100;

pub(crate) fn parse(expression: &str) -> Result<Expression, FilterError> {
    let all = 0..expression.len();
    if expression.len() > MAX_LENGTH {
        let problem = format!("the filter is longer than {MAX_LENGTH} bytes");
        return Err(FilterError::new(expression, all, problem));
    }
    let tokens = tokens(expression)?;
    if tokens.is_empty() {
        let problem = "the filter is empty; ~all fits every flow";
        return Err(FilterError::new(expression, all, problem));
    }
    let mut parser = Parser { expression, tokens: &tokens, next: 0, depth: 0, operators: 0 };
    let root = parser.sequence()?;
    match parser.peek() {
        None => Ok(root),
        Some(token) => Err(parser.error(token, "there is no ( for this )")),
    }
}

struct Parser<'a> {
    expression: &'a str,
    tokens: &'a [Token],
    next: usize,
    depth: usize,
    operators: usize,
}

impl<'a> Parser<'a> {
    /// What stands side by side, up to a closing parenthesis or the end.
    fn sequence(&mut self) -> Result<Expression, FilterError> {
        let mut parts = vec![self.either()?];
        while self.peek().is_some_and(|token| token.kind != TokenKind::Close) {
            parts.push(self.either()?);
        }
        Ok(one_or(parts, Expression::And))
    }

    fn either(&mut self) -> Result<Expression, FilterError> {
        let mut parts = vec![self.both()?];
        while self.take(&TokenKind::Or) {
            parts.push(self.both()?);
        }
        Ok(one_or(parts, Expression::Or))
    }

    fn both(&mut self) -> Result<Expression, FilterError> {
        let mut parts = vec![self.single()?];
        while self.take(&TokenKind::And) {
            parts.push(self.single()?);
        }
        Ok(one_or(parts, Expression::And))
    }

    fn single(&mut self) -> Result<Expression, FilterError> {
        let Some(token) = self.peek() else {
            let end = self.expression.len();
            let problem = "something is missing here: a condition as ~d playstation";
            return Err(FilterError::new(self.expression, end..end, problem));
        };
        self.next += 1;
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.error(token, format!("this is nested deeper than {MAX_DEPTH}")));
        }
        let single = match &token.kind {
            TokenKind::Not => Expression::Not(Box::new(self.single()?)),
            TokenKind::Open => {
                let inner = self.sequence()?;
                if !self.take(&TokenKind::Close) {
                    return Err(self.error(token, "this ( is not closed"));
                }
                inner
            }
            TokenKind::Operator(name) => self.operator(token, name)?,
            TokenKind::Key(key) => self.key(token, key)?,
            TokenKind::Text(text) => self.bare(token, text)?,
            TokenKind::Close => return Err(self.error(token, "a condition was expected before )")),
            TokenKind::And | TokenKind::Or => {
                return Err(self.error(token, "a condition was expected here"));
            }
        };
        self.depth -= 1;
        Ok(single)
    }

    fn operator(&mut self, token: &Token, name: &str) -> Result<Expression, FilterError> {
        self.count(token)?;
        if let Some(operator) = Operator::plain(name) {
            return Ok(Expression::Operator(operator, token.span.clone()));
        }
        let Some(example) = example(name) else {
            let meant = nearest(name, OPERATORS.iter().map(|(known, _)| *known));
            let meant = meant.map(|meant| {
                let value = example(meant).unwrap_or_default();
                format!("~{meant} {value}").trim_end().to_owned()
            });
            let problem = match meant {
                Some(_) => format!("~{name} is no operator"),
                None => format!("~{name} is no operator; there are {}", names()),
            };
            return Err(self.error(token, problem).meaning(meant));
        };
        let (value, place) = self.value(token, &format!("~{name}"), &format!(" {example}"))?;
        match Operator::with_value(name, value) {
            Some(Ok(operator)) => Ok(Expression::Operator(operator, token.span.start..place.end)),
            Some(Err(problem)) => Err(FilterError::new(self.expression, place, problem)),
            None => Err(self.error(token, format!("~{name} takes no value"))),
        }
    }

    /// `domain:*.playstation.net`
    fn key(&mut self, token: &Token, key: &'static str) -> Result<Expression, FilterError> {
        self.count(token)?;
        let example = devtools::KEYS.iter().find(|(name, _)| *name == key);
        let example = example.map(|(_, example)| *example).unwrap_or_default();
        let (value, place) = self.value(token, &format!("{key}:"), example)?;
        let operator = devtools::condition(key, value)
            .map_err(|problem| FilterError::new(self.expression, place.clone(), problem))?;
        Ok(Expression::Operator(operator, token.span.start..place.end))
    }

    /// A word alone is a regex for the URL.
    fn bare(&mut self, token: &Token, text: &str) -> Result<Expression, FilterError> {
        self.count(token)?;
        if let Some(key) = self.misspelt(token, text) {
            let problem = format!("there is no key {}:", text.split(':').next().unwrap_or(text));
            return Err(self.error(token, problem).meaning(Some(key)));
        }
        let pattern = Pattern::new(text).map_err(|problem| self.error(token, problem))?;
        Ok(Expression::Operator(Operator::Url(pattern), token.span.clone()))
    }

    /// The key of DevTools that a word without quotes was probably meant to begin with.
    fn misspelt(&self, token: &Token, text: &str) -> Option<String> {
        let is_bare = self.expression.get(token.span.clone()) == Some(text);
        let (head, value) = text.split_once(':').filter(|_| is_bare)?;
        let (sign, head) = match head.strip_prefix('-') {
            Some(head) => ("-", head),
            None => ("", head),
        };
        let head: String = head.chars().take(30).collect();
        let known = devtools::KEYS.iter().map(|(known, _)| *known);
        let near = nearest(&head, known).filter(|near| near.len() > 4)?;
        (distance(&head, near) == 1).then(|| format!("{sign}{near}:{value}"))
    }

    /// The value of an operator or a key.
    fn value(
        &mut self,
        token: &Token,
        name: &str,
        example: &str,
    ) -> Result<(&'a str, Range<usize>), FilterError> {
        let Some(Token { kind: TokenKind::Text(value), span }) = self.peek() else {
            let problem = format!("{name} needs a value, as {name}{example}");
            return Err(self.error(token, problem));
        };
        self.next += 1;
        Ok((value, span.clone()))
    }

    fn count(&mut self, token: &Token) -> Result<(), FilterError> {
        self.operators += 1;
        if self.operators > MAX_OPERATORS {
            return Err(
                self.error(token, format!("there are more than {MAX_OPERATORS} conditions"))
            );
        }
        Ok(())
    }

    fn peek(&self) -> Option<&'a Token> {
        self.tokens.get(self.next)
    }

    fn take(&mut self, kind: &TokenKind) -> bool {
        let is_next = self.peek().is_some_and(|token| token.kind == *kind);
        self.next += usize::from(is_next);
        is_next
    }

    fn error(&self, token: &Token, problem: impl Into<String>) -> FilterError {
        FilterError::new(self.expression, token.span.clone(), problem)
    }
}

fn one_or(mut parts: Vec<Expression>, join: fn(Vec<Expression>) -> Expression) -> Expression {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        Some(last) => {
            parts.push(last);
            join(parts)
        }
        None => join(parts),
    }
}

fn names() -> String {
    let names: Vec<String> = OPERATORS.iter().map(|(name, _)| format!("~{name}")).collect();
    names.join(" ")
}
