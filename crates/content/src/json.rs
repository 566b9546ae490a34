//! JSON laid out for a person. Not parsed but indented: numbers keep their digits, members their
//! order, and a text that is cut off is shown as far as it goes.

/// Deeper nesting gets no more indentation.
const DEEPEST: usize = 40;

/// The text with a line for each member and element, two spaces a level.
#[must_use]
pub fn pretty_json(text: &str) -> String {
    let mut pretty = String::with_capacity(text.len() * 2);
    let mut depth = 0_usize;
    let mut rest = text.trim_start_matches('\u{feff}').trim_ascii();
    while let Some(c) = rest.chars().next() {
        let mut taken = c.len_utf8();
        match c {
            '"' => {
                taken = string_end(rest);
                pretty.push_str(&rest[..taken]);
            }
            '{' | '[' => {
                pretty.push(c);
                let inner = rest[1..].trim_ascii_start();
                let close = if c == '{' { '}' } else { ']' };
                if inner.starts_with(close) {
                    pretty.push(close);
                    taken = rest.len() - inner.len() + 1;
                } else {
                    depth += 1;
                    break_line(&mut pretty, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                break_line(&mut pretty, depth);
                pretty.push(c);
            }
            ',' => {
                pretty.push(c);
                break_line(&mut pretty, depth);
            }
            ':' => pretty.push_str(": "),
            c if c.is_ascii_whitespace() => {}
            c => pretty.push(c),
        }
        rest = &rest[taken..];
    }
    pretty
}

fn break_line(pretty: &mut String, depth: usize) {
    pretty.push('\n');
    pretty.extend(std::iter::repeat_n("  ", depth.min(DEEPEST)));
}

/// The length of the string at the beginning of the text, with its quotes.
fn string_end(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_get_lines_and_nothing_else_changes() {
        assert_eq!(
            pretty_json("{\"a\":[1.0,{}, \"x,{\\\"\"],\"b\" : 1e400}"),
            "{\n  \"a\": [\n    1.0,\n    {},\n    \"x,{\\\"\"\n  ],\n  \"b\": 1e400\n}"
        );
        assert_eq!(pretty_json("{\"a\":\"cut o"), "{\n  \"a\": \"cut o");
    }

    proptest::proptest! {
        #[test]
        fn layout_adds_and_takes_white_space_alone(text in "[\\[\\]{}:,\"\\\\a é]{0,40}") {
            let bare = |text: &str| text.chars().filter(|c| !c.is_ascii_whitespace()).collect::<String>();
            proptest::prop_assert_eq!(bare(&pretty_json(&text)), bare(&text));
        }
    }
}
