//! What is kept of a body while it streams through: its length, a capped copy, a hash.

use consoletap_flow::{BodyCopy, BodySummary, Digest};

use crate::settings::Keep;

/// Sees every octet of one body.
#[derive(Debug)]
pub(crate) struct Tap {
    keep: Keep,
    bytes: u64,
    copy: Vec<u8>,
    /// There once the body is known to be too large to be kept whole. A body that is kept is
    /// hashed by whoever stores it, away from the transfer.
    hasher: Option<Box<blake3::Hasher>>,
}

impl Tap {
    pub(crate) fn new(keep: Keep) -> Self {
        Self { keep, bytes: 0, copy: Vec::new(), hasher: None }
    }

    /// Tells how long the body is going to be, so that nothing is copied in vain.
    pub(crate) fn expect(&mut self, length: Option<u64>) {
        match length {
            Some(length) if length > self.keep.whole as u64 => self.hash_from_here(),
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
        if self.keep.whole == 0 {
            return;
        }
        if self.hasher.is_none() && self.bytes > self.keep.whole as u64 {
            self.hash_from_here();
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

    fn hash_from_here(&mut self) {
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

    /// How many octets went by.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What there is to tell and to keep. The tap is empty afterwards.
    pub(crate) fn take(&mut self) -> (BodySummary, Option<BodyCopy>) {
        let digest = self.hasher.take().filter(|_| self.bytes > 0);
        let digest = digest.map(|hasher| Digest::blake3(*hasher.finalize().as_bytes()));
        let whole = digest.is_none();
        let octets = std::mem::take(&mut self.copy);
        let copy = (!octets.is_empty()).then_some(BodyCopy { octets, whole });
        (BodySummary { bytes: self.bytes, digest, ..BodySummary::default() }, copy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEEP: Keep = Keep { whole: 10, prefix: 4 };

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
        let (summary, copy) = tapped(Keep { whole: 0, prefix: 0 }, None, &[b"0123"]);
        assert_eq!((summary.bytes, summary.digest, copy), (4, None, None));
    }
}
