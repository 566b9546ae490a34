//! What is kept of a body while it streams through: its length, a capped copy, a hash.

use std::fmt;

use consoletap_flow::{BodyCopy, BodyStream, BodySummary, Digest};

use crate::settings::Keep;

/// Sees every octet of one body.
pub(crate) struct Tap {
    keep: Keep,
    bytes: u64,
    copy: Vec<u8>,
    /// There once the body is known to be too large to be kept whole. A body that is kept is
    /// hashed by whoever stores it, away from the transfer.
    hasher: Option<Box<blake3::Hasher>>,
    /// Where a body goes that is to be kept whole although it is large.
    stream: Option<Box<dyn BodyStream>>,
    /// The body is on its way through `stream`: what was copied of it went there first.
    streaming: bool,
    /// Octets went by unseen, and what is kept is the beginning.
    unseen: bool,
}

impl Tap {
    pub(crate) fn new(keep: Keep) -> Self {
        let (stream, streaming) = (None, false);
        Self { keep, bytes: 0, copy: Vec::new(), hasher: None, stream, streaming, unseen: false }
    }

    /// From now on a body too large for a copy goes through this stream, whole. To be called
    /// before any of it was seen.
    pub(crate) fn stream_to(&mut self, stream: Box<dyn BodyStream>) {
        self.stream = Some(stream);
    }

    /// Tells how long the body is going to be, so that nothing is copied in vain.
    pub(crate) fn expect(&mut self, length: Option<u64>) {
        match length {
            Some(length) if length > self.keep.whole as u64 => self.grow_large(),
            // The length is at most `keep.whole` here, which is a size in memory.
            Some(length) => {
                self.copy.reserve_exact(usize::try_from(length).unwrap_or(0).min(64 << 10))
            }
            None => {}
        }
    }

    /// Takes in what goes by.
    pub(crate) fn see(&mut self, octets: &[u8]) {
        self.bytes += octets.len() as u64;
        if self.unseen || (self.keep.whole == 0 && self.stream.is_none()) {
            return;
        }
        if self.hasher.is_none() && !self.streaming && self.bytes > self.keep.whole as u64 {
            self.grow_large();
        }
        if self.streaming
            && let Some(stream) = &mut self.stream
        {
            return stream.push(octets);
        }
        let room = match &mut self.hasher {
            Some(hasher) => {
                hasher.update(octets);
                self.keep.prefix.saturating_sub(self.copy.len())
            }
            None => octets.len(),
        };
        self.copy.extend_from_slice(&octets[..room.min(octets.len())]);
    }

    /// The body is too large for a copy.
    fn grow_large(&mut self) {
        if let Some(stream) = &mut self.stream {
            stream.push(&std::mem::take(&mut self.copy));
            self.streaming = true;
            return;
        }
        if self.keep.whole == 0 {
            return;
        }
        let mut hasher = Box::new(blake3::Hasher::new());
        hasher.update(&self.copy);
        self.copy.truncate(self.keep.prefix);
        self.copy.shrink_to_fit();
        self.hasher = Some(hasher);
    }

    /// Counts octets that went by elsewhere.
    pub(crate) fn count(&mut self, octets: u64) {
        self.bytes += octets;
    }

    /// Whether a body of this length is kept whole, and so must be seen.
    pub(crate) fn wants_all(&self, length: u64) -> bool {
        self.stream.is_some() || self.bytes + length <= self.keep.whole as u64
    }

    /// How many octets of the beginning are still to be seen.
    pub(crate) fn wants(&self) -> u64 {
        let kept = if self.unseen { self.keep.prefix } else { self.copy.len() };
        self.keep.prefix.saturating_sub(kept) as u64
    }

    /// Counts octets that the kernel moved: of such a body the beginning is kept, and no hash.
    pub(crate) fn count_unseen(&mut self, octets: u64) {
        self.bytes += octets;
        self.unseen = true;
        self.hasher = None;
        self.copy.truncate(self.keep.prefix);
    }

    /// How many octets went by.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What there is to tell and to keep. The tap is empty afterwards, and its stream at its end.
    pub(crate) fn take(&mut self) -> (BodySummary, Option<BodyCopy>) {
        self.stream = None;
        let digest = self.hasher.take().filter(|_| self.bytes > 0);
        let digest = digest.map(|hasher| Digest::blake3(*hasher.finalize().as_bytes()));
        let whole = digest.is_none() && !self.unseen;
        let octets = std::mem::take(&mut self.copy);
        let copy = (!octets.is_empty()).then_some(BodyCopy { octets, whole });
        (BodySummary { bytes: self.bytes, digest, ..BodySummary::default() }, copy)
    }
}

impl fmt::Debug for Tap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tap").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};

    use super::*;

    const KEEP: Keep = Keep { whole: 10, prefix: 4, full: false };

    fn tapped(
        keep: Keep,
        expected: Option<u64>,
        parts: &[&[u8]],
    ) -> (BodySummary, Option<BodyCopy>) {
        let mut tap = Tap::new(keep);
        tap.expect(expected);
        parts.iter().for_each(|part| tap.see(part));
        tap.take()
    }

    #[test]
    fn a_small_body_is_kept_whole_and_left_to_be_hashed_by_the_store() {
        for expected in [None, Some(10)] {
            let (summary, copy) = tapped(KEEP, expected, &[b"01234", b"56789"]);
            assert_eq!((summary.bytes, summary.digest), (10, None));
            assert_eq!(copy, Some(BodyCopy { octets: b"0123456789".to_vec(), whole: true }));
        }
    }

    #[test]
    fn a_large_body_leaves_its_beginning_and_the_hash_of_all_of_it() {
        for expected in [None, Some(11)] {
            let (summary, copy) = tapped(KEEP, expected, &[b"012", b"345678", b"9a"]);
            let digest = Digest::blake3(*blake3::hash(b"0123456789a").as_bytes());
            assert_eq!((summary.bytes, summary.digest), (11, Some(digest)));
            assert_eq!(copy, Some(BodyCopy { octets: b"0123".to_vec(), whole: false }));
        }
    }

    #[test]
    fn nothing_is_copied_or_hashed_when_nothing_is_kept() {
        let (summary, copy) = tapped(Keep { whole: 0, prefix: 0, full: false }, None, &[b"0123"]);
        assert_eq!((summary.bytes, summary.digest, copy), (4, None, None));
    }

    struct Pushed(Sender<Vec<u8>>);

    impl BodyStream for Pushed {
        fn push(&mut self, octets: &[u8]) {
            self.0.send(octets.to_vec()).unwrap();
        }
    }

    #[test]
    fn a_stream_gets_all_of_a_large_body_and_nothing_of_a_small_one() {
        for (keep, expected) in
            [(KEEP, None), (KEEP, Some(12)), (Keep { whole: 0, prefix: 0, full: false }, None)]
        {
            let (sender, pushed) = channel();
            let mut tap = Tap::new(keep);
            tap.stream_to(Box::new(Pushed(sender)));
            tap.expect(expected);
            [&b"01234"[..], b"567890", b"1"].iter().for_each(|part| tap.see(part));
            assert_eq!(tap.take(), (BodySummary { bytes: 12, ..BodySummary::default() }, None));
            assert_eq!(pushed.iter().flatten().collect::<Vec<_>>(), b"012345678901");
        }
        let (sender, pushed) = channel();
        let mut tap = Tap::new(KEEP);
        tap.stream_to(Box::new(Pushed(sender)));
        tap.see(b"0123456789");
        assert_eq!(tap.take().1, Some(BodyCopy { octets: b"0123456789".to_vec(), whole: true }));
        assert_eq!(pushed.iter().count(), 0);
    }
}
