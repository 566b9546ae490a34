//! What came over the wire, made safe for a terminal.
//!
//! A host, a path or a header is written by whoever sits at the other end. Everything of theirs
//! that is printed goes through [`escape`] first, so that it can move no cursor, hide nothing and
//! turn no line around.

use std::borrow::Cow;
use std::fmt::Write as _;

/// The characters that the reader's terminal can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Charset {
    /// ASCII alone.
    Ascii,
    /// All of Unicode.
    Unicode,
}

/// The text with everything escaped that a terminal would act on or not show, as `\x1b` or
/// `\u{202e}`. In [`Charset::Ascii`] that is all that is not ASCII, so that a character is a
/// column.
pub(crate) fn escape(text: &str, charset: Charset) -> Cow<'_, str> {
    let passes = |c: char| match charset {
        Charset::Ascii => matches!(c, ' '..='~'),
        Charset::Unicode => !is_unsafe(c),
    };
    if text.chars().all(passes) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if passes(c) {
            safe.push(c);
        } else {
            push_escaped(&mut safe, c);
        }
    }
    Cow::Owned(safe)
}

/// The octets as text, safe as by [`escape`]; what is no UTF-8 is escaped octet by octet.
pub(crate) fn escape_octets(octets: &[u8], charset: Charset) -> String {
    let mut safe = String::with_capacity(octets.len());
    for chunk in octets.utf8_chunks() {
        safe.push_str(&escape(chunk.valid(), charset));
        for octet in chunk.invalid() {
            // Writing to a String cannot fail.
            let _ = write!(safe, "\\x{octet:02x}");
        }
    }
    safe
}

fn push_escaped(safe: &mut String, c: char) {
    // Writing to a String cannot fail.
    let _ = match c {
        '\n' => safe.write_str("\\n"),
        '\r' => safe.write_str("\\r"),
        '\t' => safe.write_str("\\t"),
        '\0'..='\u{7f}' => write!(safe, "\\x{:02x}", u32::from(c)),
        _ => write!(safe, "\\u{{{:x}}}", u32::from(c)),
    };
}

/// Controls (C0, DEL, and C1, where U+009B begins a sequence as ESC `[` does), what turns the
/// direction of writing (Unicode UAX 9), and what has no width or no ink.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_acts_on_gets_through() {
        let hostile = "a\x1b[2Jb\u{9b}31mc\x07\x7f\u{202e}txt\u{200b}\r\n\0é";
        assert_eq!(
            escape(hostile, Charset::Unicode),
            "a\\x1b[2Jb\\u{9b}31mc\\x07\\x7f\\u{202e}txt\\u{200b}\\r\\n\\x00é"
        );
        assert!(escape(hostile, Charset::Ascii).ends_with("\\u{e9}"));
    }

    #[test]
    fn every_character_comes_out_without_a_control() {
        for c in '\0'..=char::MAX {
            let text = c.to_string();
            for charset in [Charset::Ascii, Charset::Unicode] {
                let safe = escape(&text, charset);
                assert!(!safe.chars().any(is_unsafe), "{c:?}");
                assert!(charset == Charset::Unicode || safe.is_ascii(), "{c:?}");
            }
        }
    }

    #[test]
    fn plain_text_is_not_copied() {
        assert!(matches!(escape("/a?b=%20", Charset::Ascii), Cow::Borrowed(_)));
    }

    #[test]
    fn octets_that_are_no_text_are_told_one_by_one() {
        assert_eq!(escape_octets(b"a\xff\xc3\xa9\x1b", Charset::Unicode), "a\\xffé\\x1b");
    }
}
