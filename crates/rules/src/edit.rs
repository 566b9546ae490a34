//! Changes to bodies of any kind: JSON, XML, forms, and whatever a regex finds. What a change does not
//! name keeps its bytes: white space, order, line ends, the declaration, the byte order mark.

pub(crate) mod form;
pub(crate) mod json;
pub(crate) mod xml;

/// The byte order mark of a body, where it has one, and the text behind it.
fn text(body: &[u8]) -> Result<(&str, &str), String> {
    let text = std::str::from_utf8(body)
        .map_err(|error| format!("not UTF-8 text (byte {})", error.valid_up_to()))?;
    let mark = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    Ok(text.split_at(mark))
}
