//! Why bytes are not the document they should be.

use std::fmt;

/// What is wrong with a document, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentError {
    /// What was expected, with its article: `an update list`.
    pub format: &'static str,
    /// What is wrong, and where it helps what should be there.
    pub problem: String,
    /// The byte, from 0.
    pub offset: usize,
    /// The same place as a person counts it; absent where the document is no text.
    pub position: Option<Position>,
}

/// A place in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The line, from 1.
    pub line: usize,
    /// The character in it, from 1.
    pub column: usize,
}

impl fmt::Display for DocumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { format, problem, offset, position } = self;
        write!(f, "not {format}: {problem}, at ")?;
        match position {
            Some(Position { line, column }) => {
                write!(f, "line {line}, column {column} (byte {offset})")
            }
            None => write!(f, "byte {offset}"),
        }
    }
}

impl std::error::Error for DocumentError {}

impl DocumentError {
    /// A problem at a byte of a text.
    pub(crate) fn at(
        format: &'static str,
        source: &[u8],
        offset: usize,
        problem: impl Into<String>,
    ) -> Self {
        let offset = offset.min(source.len());
        let before = &source[..offset];
        let line = 1 + before.iter().filter(|&&byte| byte == b'\n').count();
        let start = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
        // Every byte that does not continue a character of UTF-8 begins one.
        let column = 1 + before[start..].iter().filter(|&&byte| byte & 0xc0 != 0x80).count();
        let position = Some(Position { line, column });
        Self { format, problem: shown(&problem.into()), offset, position }
    }

    /// A problem at a byte of a document that is no text.
    pub(crate) fn binary(format: &'static str, offset: usize, problem: impl Into<String>) -> Self {
        Self { format, problem: shown(&problem.into()), offset, position: None }
    }
}

/// The longest piece of a server's text that is worth showing.
const SHOWN: usize = 200;

/// Text of a server as it may be shown: short, and without anything that steers a terminal.
pub(crate) fn shown(text: &str) -> String {
    let printable = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
    text.chars().take(SHOWN).map(printable).collect()
}

/// The bytes as UTF-8 text, with the byte order mark still in front.
pub(crate) fn text<'a>(
    format: &'static str,
    source: &'a [u8],
    limit: usize,
) -> Result<&'a str, DocumentError> {
    if source.len() > limit {
        let problem = format!("it has {} bytes, more than {limit}", source.len());
        return Err(DocumentError::at(format, &[], 0, problem));
    }
    // With a mark, or without one: `<` and the half of UTF-16 that is zero.
    if [[0xff, 0xfe], [0xfe, 0xff], *b"<\0", *b"\0<", *b"{\0", *b"\0{"]
        .iter()
        .any(|start| source.starts_with(start))
    {
        return Err(DocumentError::at(format, source, 0, "it is UTF-16, UTF-8 was expected"));
    }
    if let Some(at) = source.iter().position(|&byte| byte == 0) {
        return Err(DocumentError::at(format, source, at, "there is a zero byte in it"));
    }
    std::str::from_utf8(source)
        .map_err(|error| DocumentError::at(format, source, error.valid_up_to(), "it is not UTF-8"))
}

/// The text without its byte order mark, and how many bytes that mark has.
pub(crate) fn without_mark(text: &str) -> (&str, usize) {
    text.strip_prefix('\u{feff}').map_or((text, 0), |rest| (rest, 3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_told_as_a_person_counts_and_as_a_program_does() {
        let source = "<a>\r\n é<b>";
        let error = DocumentError::at("a text", source.as_bytes(), 8, "no <b> here");
        assert_eq!(error.position, Some(Position { line: 2, column: 3 }));
        assert_eq!(error.to_string(), "not a text: no <b> here, at line 2, column 3 (byte 8)");
        let error = DocumentError::binary("a PKG", 64, "no content id");
        assert_eq!(error.to_string(), "not a PKG: no content id, at byte 64");
    }
}
