//! What a rule changes in a body, line by line.

use std::fmt::Write as _;

use similar::{ChangeTag, TextDiff};

use crate::escape::escape;
use crate::look::{Ink, Look};

/// A longer line is broken where XML and JSON can be, or nobody could see what changed in it.
const LONG_LINE: usize = 160;
/// Lines around a change.
const CONTEXT: usize = 2;
/// More of a change than this nobody reads.
const MOST_LINES: usize = 200;

/// A unified diff for people; a sentence where there is no text to compare.
pub(crate) fn draw(before: &[u8], after: &[u8], look: &Look) -> String {
    let (Ok(old), Ok(new)) = (std::str::from_utf8(before), std::str::from_utf8(after)) else {
        return format!("  {} bytes become {} bytes\n", before.len(), after.len());
    };
    let (old, new) = (readable(old), readable(new));
    let diff = TextDiff::from_lines(&old, &new);
    let mut text = String::from("  --- from the server\n  +++ to the console\n");
    let mut lines = 0;
    for group in diff.grouped_ops(CONTEXT) {
        let _ = writeln!(text, "  {}", look.paint(Ink::Dim, "@@"));
        for change in group.iter().flat_map(|operation| diff.iter_changes(operation)) {
            lines += 1;
            if lines > MOST_LINES {
                let _ = writeln!(text, "  {}", look.ellipsis());
                return text;
            }
            let (sign, ink) = match change.tag() {
                ChangeTag::Delete => ('-', Some(Ink::Bad)),
                ChangeTag::Insert => ('+', Some(Ink::Notice)),
                ChangeTag::Equal => (' ', None),
            };
            let line = change.value().trim_end_matches(['\n', '\r']);
            let line = format!("{sign}{}", escape(line, look.charset));
            let line = ink.map_or_else(|| line.clone(), |ink| look.paint(ink, &line));
            let _ = writeln!(text, "  {line}");
        }
    }
    text
}

/// The text in lines that a person can read.
fn readable(text: &str) -> String {
    if text.lines().all(|line| line.len() <= LONG_LINE) {
        return text.to_owned();
    }
    let mut broken = String::with_capacity(text.len() * 2);
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        broken.push(c);
        let next = characters.peek().copied();
        let breaks = match c {
            '>' => next == Some('<'),
            ',' | '{' | '[' => next.is_some_and(|next| "\"{[".contains(next)),
            '}' | ']' => next.is_some_and(|next| "}]".contains(next)),
            _ => false,
        };
        if breaks {
            broken.push('\n');
        }
    }
    broken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_changes_is_shown_and_long_lines_are_broken() {
        let before = format!("<a><b x=\"1\"/>{}<c/></a>", "<d/>".repeat(50));
        let after = before.replace("x=\"1\"", "x=\"2\"");
        let text = draw(before.as_bytes(), after.as_bytes(), &Look::PLAIN);
        assert!(text.contains("  -<b x=\"1\"/>\n  +<b x=\"2\"/>\n"), "{text}");
        assert!(text.lines().count() < 10, "{text}");
    }

    #[test]
    fn what_is_no_text_is_counted() {
        assert_eq!(draw(b"\xff", b"ab", &Look::PLAIN), "  1 bytes become 2 bytes\n");
    }
}
