//! Tokens to an expression. Precedence as in mitmproxy: `!` before `&` before `|`, and what
//! merely stands side by side is joined last: `a | b c` is `(a | b) & c`.

use crate::error::FilterError;
use crate::expression::Expression;
use crate::lexer::{Token, TokenKind, tokens};
use crate::operator::{OPERATORS, Operator};
use crate::pattern::Pattern;

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
            TokenKind::Operator(name) => Expression::Operator(self.operator(token, name)?),
            TokenKind::Text(text) => {
                self.count(token)?;
                let pattern = Pattern::new(text).map_err(|problem| self.error(token, problem))?;
                Expression::Operator(Operator::Url(pattern))
            }
            TokenKind::Close => return Err(self.error(token, "a condition was expected before )")),
            TokenKind::And | TokenKind::Or => {
                return Err(self.error(token, "a condition was expected here"));
            }
        };
        self.depth -= 1;
        Ok(single)
    }

    fn operator(&mut self, token: &Token, name: &str) -> Result<Operator, FilterError> {
        self.count(token)?;
        if let Some(operator) = Operator::plain(name) {
            return Ok(operator);
        }
        let Some((_, example)) = OPERATORS.iter().find(|(operator, _)| *operator == name) else {
            let problem = format!("~{name} is no operator; there are {}", names());
            return Err(self.error(token, problem).meaning(nearest(name)));
        };
        let Some(Token { kind: TokenKind::Text(value), span }) = self.peek() else {
            let problem = format!("~{name} needs a value, as ~{name} {example}");
            return Err(self.error(token, problem));
        };
        self.next += 1;
        match Operator::with_value(name, value) {
            Some(Ok(operator)) => Ok(operator),
            Some(Err(problem)) => Err(FilterError::new(self.expression, span.clone(), problem)),
            None => Err(self.error(token, format!("~{name} takes no value"))),
        }
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

/// The operator that was probably meant, with an example; none where nothing is near.
fn nearest(name: &str) -> Option<String> {
    let name = name.to_ascii_lowercase();
    let name: String = name.chars().take(20).collect();
    let (distance, (operator, example)) = OPERATORS
        .iter()
        .map(|operator| (distance(&name, operator.0), operator))
        .min_by_key(|(distance, _)| *distance)?;
    let near = distance == 0 || distance <= 2 && distance < operator.len();
    near.then(|| format!("~{operator} {example}").trim_end().to_owned())
}

/// How many letters must be put in, taken out, changed or swapped with the next.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = match (i, j) {
                (0, n) | (n, 0) => n,
                _ => {
                    let change = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                    let swap = (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                        .then(|| rows[i - 2][j - 2] + 1);
                    let shift = rows[i - 1][j].min(rows[i][j - 1]) + 1;
                    change.min(shift).min(swap.unwrap_or(usize::MAX))
                }
            };
        }
    }
    rows[a.len()][b.len()]
}
