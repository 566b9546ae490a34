//! XML laid out for a person: a line an element, text beside its element. Not parsed but
//! indented, so that broken documents and pages are shown as well.

/// Deeper nesting gets no more indentation.
const DEEPEST: usize = 40;

/// The text with a line for each element, two spaces a level.
#[must_use]
pub fn pretty_xml(text: &str) -> String {
    let mut pretty = String::with_capacity(text.len() * 2);
    let mut depth = 0_usize;
    // Whether the last thing written was the start of an element, or text right behind one.
    let mut after_start = false;
    let mut rest = text.trim_start_matches('\u{feff}').trim_ascii();
    while !rest.is_empty() {
        let length = if rest.starts_with('<') { markup_end(rest) } else { text_end(rest) };
        let (piece, behind) = rest.split_at(length);
        rest = behind;
        if !piece.starts_with('<') {
            let words = piece.trim_ascii();
            if !words.is_empty() {
                if !after_start {
                    break_line(&mut pretty, depth);
                }
                pretty.push_str(words);
            }
            continue;
        }
        let closes = piece.starts_with("</");
        if closes {
            depth = depth.saturating_sub(1);
        }
        if !(closes && after_start) {
            break_line(&mut pretty, depth);
        }
        pretty.push_str(piece);
        let opens = !closes && !piece.ends_with("/>") && !piece[1..].starts_with(['?', '!']);
        depth += usize::from(opens);
        after_start = opens;
    }
    pretty
}

fn break_line(pretty: &mut String, depth: usize) {
    if !pretty.is_empty() {
        pretty.push('\n');
        pretty.extend(std::iter::repeat_n("  ", depth.min(DEEPEST)));
    }
}

fn text_end(rest: &str) -> usize {
    rest.find('<').unwrap_or(rest.len())
}

/// The length of the tag, comment, declaration or CDATA section at the beginning.
fn markup_end(rest: &str) -> usize {
    for (start, end) in [("<!--", "-->"), ("<![CDATA[", "]]>"), ("<?", "?>")] {
        if rest.starts_with(start) {
            return rest.find(end).map_or(rest.len(), |at| at + end.len());
        }
    }
    let mut quote = None;
    for (at, byte) in rest.bytes().enumerate().skip(1) {
        match (byte, quote) {
            (b'"' | b'\'', None) => quote = Some(byte),
            (byte, Some(open)) if byte == open => quote = None,
            (b'>', None) => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_get_lines_and_text_stays_with_its_element() {
        assert_eq!(
            pretty_xml(
                "<?xml version=\"1.0\"?><a x=\"1>2\">\n<b>text</b><c/><!-- <no> --><d>x<e/>y</d></a>"
            ),
            "<?xml version=\"1.0\"?>\n<a x=\"1>2\">\n  <b>text</b>\n  <c/>\n  <!-- <no> -->\n  \
             <d>x\n    <e/>\n    y\n  </d>\n</a>"
        );
        assert_eq!(pretty_xml("<a><b attr=\"cut"), "<a>\n  <b attr=\"cut");
    }

    proptest::proptest! {
        #[test]
        fn layout_adds_and_takes_white_space_alone(text in "[<>/?! \"'a-c\\[\\]é-]{0,60}") {
            let bare = |text: &str| text.chars().filter(|c| !c.is_ascii_whitespace()).collect::<String>();
            proptest::prop_assert_eq!(bare(&pretty_xml(&text)), bare(&text));
        }
    }
}
