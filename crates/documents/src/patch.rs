//! Changes to single spans of a source; everything between them is copied.

use std::ops::Range;

/// New bytes for spans of one source.
#[derive(Debug, Default)]
pub(crate) struct Patch {
    edits: Vec<(Range<usize>, Vec<u8>)>,
}

impl Patch {
    /// Puts `new` where `span` is.
    pub(crate) fn replace(&mut self, span: Range<usize>, new: impl Into<Vec<u8>>) {
        self.edits.push((span, new.into()));
    }

    /// Takes `span` out.
    pub(crate) fn remove(&mut self, span: Range<usize>) {
        self.replace(span, "");
    }

    /// The changed source; `None` where no byte of it changes. Of two edits that overlap the one
    /// that begins first is done.
    pub(crate) fn apply(mut self, source: impl AsRef<[u8]>) -> Option<Vec<u8>> {
        let source = source.as_ref();
        self.edits.sort_by_key(|(span, _)| (span.start, std::cmp::Reverse(span.end)));
        let mut out = Vec::with_capacity(source.len() + 64);
        let mut done = 0;
        for (span, new) in &self.edits {
            if span.start < done || span.end > source.len() || span.start > span.end {
                continue;
            }
            out.extend_from_slice(&source[done..span.start]);
            out.extend_from_slice(new);
            done = span.end;
        }
        out.extend_from_slice(&source[done..]);
        (out != source).then_some(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_done_in_the_order_of_the_source_and_the_rest_is_copied() {
        let mut patch = Patch::default();
        patch.replace(6..7, "Z");
        patch.remove(2..4);
        patch.replace(3..4, "overlaps");
        assert_eq!(patch.apply("abcdefgh").unwrap(), b"abefZh");
    }

    #[test]
    fn no_edit_and_an_edit_to_the_same_text_change_nothing() {
        assert_eq!(Patch::default().apply("abc"), None);
        let mut patch = Patch::default();
        patch.replace(1..2, "b");
        assert_eq!(patch.apply("abc"), None);
    }
}
