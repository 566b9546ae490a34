//! How text for people may look: width, colour, characters. Decided once from the terminal and
//! its environment, so that everything that draws is a function of this and can be tested.

use crate::escape::Charset;
use std::borrow::Cow;

/// The width where none is known.
pub(crate) const DEFAULT_WIDTH: usize = 80;

/// How text may look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Look {
    /// Columns of a line.
    pub(crate) width: usize,
    /// Whether colours are wanted.
    pub(crate) colour: bool,
    /// Which characters can be shown.
    pub(crate) charset: Charset,
}

/// What a piece of text is, for its colour (SGR, ECMA-48 8.3.117).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ink {
    Plain,
    Dim,
    Bold,
    Good,
    Notice,
    Bad,
    Client,
    Category,
}

impl Ink {
    fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Dim => "2",
            Self::Bold => "1",
            Self::Good => "32",
            Self::Notice => "33",
            Self::Bad => "31",
            Self::Client => "36",
            Self::Category => "34",
        }
    }
}

impl Look {
    /// Plain text of the default width.
    pub(crate) const PLAIN: Self =
        Self { width: DEFAULT_WIDTH, colour: false, charset: Charset::Ascii };

    /// The text in its colour, where colours are wanted.
    pub(crate) fn paint(&self, ink: Ink, text: &str) -> String {
        let mut painted = String::with_capacity(text.len());
        self.paint_to(&mut painted, ink, text);
        painted
    }

    /// The same behind other text.
    pub(crate) fn paint_to(&self, to: &mut String, ink: Ink, text: &str) {
        if !self.colour || ink == Ink::Plain || text.is_empty() {
            return to.push_str(text);
        }
        to.push_str(&format!("\x1b[{}m{text}\x1b[0m", ink.code()));
    }

    /// The first of the two where Unicode can be shown, else the second.
    pub(crate) fn pick(&self, unicode: &'static str, ascii: &'static str) -> &'static str {
        match self.charset {
            Charset::Unicode => unicode,
            Charset::Ascii => ascii,
        }
    }

    /// What stands for text that was left out.
    pub(crate) fn ellipsis(&self) -> &'static str {
        self.pick("…", "~")
    }

    /// The text, cut at its end to at most so many characters.
    pub(crate) fn cut<'t>(&self, text: &'t str, room: usize) -> Cow<'t, str> {
        if text.chars().count() <= room {
            return Cow::Borrowed(text);
        }
        text.chars().take(room.saturating_sub(1)).chain(self.ellipsis().chars()).collect()
    }

    /// The text, shortened in its middle to at most so many characters: beginnings say where, ends
    /// (file names) say what, so the end gets the larger part.
    pub(crate) fn shorten<'t>(&self, text: &'t str, room: usize) -> Cow<'t, str> {
        let length = text.chars().count();
        if length <= room {
            return Cow::Borrowed(text);
        }
        if room < 3 {
            return self.cut(text, room);
        }
        let head = (room - 1).div_ceil(3);
        let tail = room - 1 - head;
        let start: String = text.chars().take(head).collect();
        let end: String = text.chars().skip(length - tail).collect();
        format!("{start}{}{end}", self.ellipsis()).into()
    }
}

/// The lines of a paragraph, broken at spaces so that none is wider than `width` (a longer word
/// stands alone). White space in the text is kept as it is within a line.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut columns = 0;
    for word in text.split(' ') {
        let length = word.chars().count();
        if columns > 0 && columns + 1 + length > width {
            lines.push(std::mem::take(&mut line));
            columns = 0;
        } else if columns > 0 {
            line.push(' ');
            columns += 1;
        }
        line.push_str(word);
        columns += length;
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDE: Look = Look { charset: Charset::Unicode, ..Look::PLAIN };

    #[test]
    fn a_long_path_loses_its_middle() {
        assert_eq!(
            WIDE.shorten("/update/ps4/list/us/ps4-updatelist.xml", 20),
            "/update…datelist.xml"
        );
        assert_eq!(WIDE.shorten("/short", 20), "/short");
        assert_eq!(WIDE.shorten("/long", 2), "/…");
        assert_eq!(Look::PLAIN.shorten("/long", 1), "~");
    }

    #[test]
    fn paragraphs_break_at_spaces() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("incomprehensible x", 5), ["incomprehensible", "x"]);
        assert_eq!(wrap("", 5), [""]);
    }

    #[test]
    fn colours_appear_only_where_they_are_wanted() {
        assert_eq!(Look::PLAIN.paint(Ink::Bad, "x"), "x");
        assert_eq!(Look { colour: true, ..Look::PLAIN }.paint(Ink::Bad, "x"), "\x1b[31mx\x1b[0m");
    }
}
