//! HTML 3.2, written so that what comes from the wire cannot be anything but text.

use std::fmt::Write as _;

/// A page that is being written.
pub(super) struct Html(String);

impl Html {
    /// Begins a page. The text is large: it is read from a sofa.
    pub(super) fn begin(title: &str) -> Self {
        let mut page = Self(String::with_capacity(4096));
        page.raw(
            "<!DOCTYPE HTML PUBLIC \"-//W3C//DTD HTML 3.2 Final//EN\">\n<html>\n<head><title>",
        );
        page.text(title);
        page.raw(
            "</title></head>\n<body bgcolor=\"#ffffff\" text=\"#000000\" link=\"#0000cc\" \
             vlink=\"#0000cc\">\n<font size=\"5\">\n",
        );
        page
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        self.raw("</font>\n</body>\n</html>\n");
        self.0.into_bytes()
    }

    pub(super) fn title(&mut self, text: &str) {
        self.element("h1", text);
    }

    pub(super) fn heading(&mut self, text: &str) {
        self.element("h2", text);
    }

    pub(super) fn paragraph(&mut self, text: &str) {
        self.element("p", text);
    }

    /// What should not be overlooked.
    pub(super) fn strong(&mut self, text: &str) {
        self.raw("<p><b>");
        self.text(text);
        self.raw("</b></p>\n");
    }

    /// A paragraph that is a link.
    pub(super) fn link(&mut self, to: &'static str, text: &str) {
        self.raw("<p><a href=\"");
        self.raw(to);
        self.raw("\">");
        self.text(text);
        self.raw("</a></p>\n");
    }

    /// A list of links, each with words behind it.
    pub(super) fn links(&mut self, links: &[(&'static str, &str, &str)]) {
        self.raw("<ul>\n");
        for (to, text, behind) in links {
            self.raw("<li><a href=\"");
            self.raw(to);
            self.raw("\">");
            self.text(text);
            self.raw("</a>");
            self.text(behind);
            self.raw("</li>\n");
        }
        self.raw("</ul>\n");
    }

    pub(super) fn list<'t>(&mut self, items: impl IntoIterator<Item = &'t str>) {
        self.raw("<ul>\n");
        for item in items {
            self.element("li", item);
        }
        self.raw("</ul>\n");
    }

    fn element(&mut self, name: &'static str, text: &str) {
        self.raw("<");
        self.raw(name);
        self.raw(">");
        self.text(text);
        self.raw("</");
        self.raw(name);
        self.raw(">\n");
    }

    fn raw(&mut self, markup: &'static str) {
        self.0.push_str(markup);
    }

    /// Text in ASCII: what has a meaning in HTML, controls a terminal or is not in every font of
    /// 2006 is written as a reference or as `?`.
    fn text(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '&' => self.raw("&amp;"),
                '<' => self.raw("&lt;"),
                '>' => self.raw("&gt;"),
                '"' => self.raw("&quot;"),
                '\'' => self.raw("&#39;"),
                ' '..='~' => self.0.push(c),
                // Of Latin-1, which HTML 3.2 has, without its controls.
                '\u{a1}'..='\u{ff}' => {
                    // Writing to a string does not fail.
                    let _ = write!(self.0, "&#{};", u32::from(c));
                }
                _ => self.raw("?"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn text_is_never_markup(text in any::<String>()) {
            let mut page = Html::begin("x");
            let before = page.0.len();
            page.text(&text);
            let written = &page.0[before..];
            prop_assert!(written.bytes().all(|octet| matches!(octet, b' '..=b'~')));
            prop_assert!(!written.contains(['<', '>', '"', '\'']), "{written}");
        }
    }
}
