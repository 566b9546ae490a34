//! Replaces parts of a text from its beginning to its end.

use std::borrow::Cow;
use std::ops::Range;

/// A text with some of its parts replaced.
pub(super) struct Edit<'t> {
    text: &'t str,
    edited: String,
    copied: usize,
}

impl<'t> Edit<'t> {
    pub(super) fn of(text: &'t str) -> Self {
        Self { text, edited: String::new(), copied: 0 }
    }

    /// Replaces a part behind those that were replaced before.
    pub(super) fn replace(&mut self, part: Range<usize>, with: &str) {
        self.edited.push_str(&self.text[self.copied..part.start]);
        self.edited.push_str(with);
        self.copied = part.end;
    }

    pub(super) fn finish(mut self) -> Cow<'t, str> {
        if self.copied == 0 && self.edited.is_empty() {
            return Cow::Borrowed(self.text);
        }
        self.edited.push_str(&self.text[self.copied..]);
        Cow::Owned(self.edited)
    }
}
