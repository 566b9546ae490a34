//! Why bytes are not the document they should be.

/// What is wrong with a document, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not {format}: {problem}, at line {line} (byte {offset})")]
pub struct DocumentError {
    /// What was expected, with its article: `an update list`.
    pub format: &'static str,
    /// What is wrong, and where it helps what should be there.
    pub problem: String,
    /// The line, from 1.
    pub line: usize,
    /// The byte, from 0.
    pub offset: usize,
}

impl DocumentError {
    /// A problem at a byte of `source`.
    pub(crate) fn at(
        format: &'static str,
        source: &[u8],
        offset: usize,
        problem: impl Into<String>,
    ) -> Self {
        let offset = offset.min(source.len());
        let line = 1 + source[..offset].iter().filter(|&&byte| byte == b'\n').count();
        Self { format, problem: shown(&problem.into()), line, offset }
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
    if source.starts_with(&[0xff, 0xfe]) || source.starts_with(&[0xfe, 0xff]) {
        return Err(DocumentError::at(format, source, 0, "it is UTF-16, UTF-8 was expected"));
    }
    std::str::from_utf8(source)
        .map_err(|error| DocumentError::at(format, source, error.valid_up_to(), "it is not UTF-8"))
}

/// The text without its byte order mark, and how many bytes that mark has.
pub(crate) fn without_mark(text: &str) -> (&str, usize) {
    text.strip_prefix('\u{feff}').map_or((text, 0), |rest| (rest, 3))
}
