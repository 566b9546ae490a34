//! Which octets of a stand-in's body are there: kept bodies laid side by side, and the way through
//! them that answers a range. Knows offsets and names of bodies; opens nothing.

use std::ops::Range;

use consoletap_flow::Digest;

use super::Piece;

/// What is kept of a body that may lie in many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coverage {
    /// How long it is, with what is not there.
    total: u64,
    /// By where they begin in the file; none lies within another.
    extents: Vec<Extent>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Extent {
    begin: u64,
    end: u64,
    body: Digest,
}

impl Coverage {
    /// Nothing yet of a body that has so many octets.
    #[must_use]
    pub fn new(total: u64) -> Self {
        Self { total, extents: Vec::new() }
    }

    /// How long it is, with what is not there.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Takes in a kept body of `length` octets, the first of which stands at `begin` here.
    pub fn add(&mut self, begin: u64, length: u64, body: Digest) {
        let Some(end) = begin.checked_add(length).map(|end| end.min(self.total)) else { return };
        if end <= begin {
            return;
        }
        // None lies within another, so that ends are in order as beginnings are.
        let extents = &mut self.extents;
        let behind = extents.partition_point(|other| other.begin <= begin);
        if behind.checked_sub(1).is_some_and(|before| extents[before].end >= end) {
            return;
        }
        let from = extents.partition_point(|other| other.begin < begin);
        let to = extents.partition_point(|other| other.end <= end).max(from);
        extents.splice(from..to, [Extent { begin, end, body }]);
    }

    /// The pieces that hold `wanted` from its beginning on, as far as that goes without a gap,
    /// and the octets that are missing.
    pub(crate) fn pieces(&self, wanted: Range<u64>) -> (Vec<Piece>, Vec<Range<u64>>) {
        let mut pieces = Vec::new();
        let mut at = wanted.start;
        let mut missing = Vec::new();
        let from = self.extents.partition_point(|extent| extent.end <= wanted.start);
        for extent in self.extents[from..].iter().take_while(|one| one.begin < wanted.end) {
            let begin = extent.begin.max(at);
            let end = extent.end.min(wanted.end);
            if begin >= end {
                continue;
            }
            if begin > at {
                missing.push(at..begin);
            }
            if missing.is_empty() {
                let range = begin - extent.begin..end - extent.begin;
                pieces.push(Piece::Stored { body: extent.body, range });
            }
            at = end;
        }
        if at < wanted.end {
            missing.push(at..wanted.end);
        }
        (pieces, missing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(name: u8) -> Digest {
        Digest::sha256([name; 32])
    }

    fn piece(name: u8, offset: u64, length: u64) -> Piece {
        Piece::Stored { body: body(name), range: offset..offset + length }
    }

    #[test]
    fn slices_are_stitched_and_what_is_missing_is_known() {
        let mut coverage = Coverage::new(50);
        coverage.add(10, 10, body(2));
        coverage.add(0, 10, body(1));
        coverage.add(30, 10, body(3));
        coverage.add(12, 4, body(9));
        assert_eq!(coverage.pieces(5..15), (vec![piece(1, 5, 5), piece(2, 0, 5)], vec![]));
        assert_eq!(
            coverage.pieces(0..50),
            (vec![piece(1, 0, 10), piece(2, 0, 10)], vec![20..30, 40..50])
        );
        let (pieces, missing) = coverage.pieces(20..25);
        assert!(pieces.is_empty() && missing.len() == 1 && missing[0] == (20..25));
    }

    proptest::proptest! {
        #[test]
        fn every_piece_holds_what_was_asked_for(
            slices in proptest::collection::vec((0_u64..200, 1_u64..60), 0..12),
            from in 0_u64..220, count in 1_u64..100,
        ) {
            // Body n holds the octets of the file from its slice's beginning on.
            let mut coverage = Coverage::new(400);
            let mut there = [false; 400];
            for (name, (begin, length)) in slices.iter().enumerate() {
                coverage.add(*begin, *length, body(name as u8));
                there[*begin as usize..(begin + length) as usize].fill(true);
            }
            let wanted = from..from + count;
            let (pieces, missing) = coverage.pieces(wanted.clone());
            let mut at = from;
            for piece in &pieces {
                let Piece::Stored { body, range } = piece else { panic!("a stored one") };
                let (begin, length) = slices[usize::from(body.octets[0])];
                proptest::prop_assert_eq!(begin + range.start, at);
                proptest::prop_assert!(range.end <= length);
                at += piece.len();
            }
            let first_gap = wanted.clone().find(|&octet| !there[octet as usize]);
            proptest::prop_assert_eq!(at, first_gap.unwrap_or(wanted.end));
            for octet in wanted {
                let is_missing = missing.iter().any(|gap| gap.contains(&octet));
                proptest::prop_assert_eq!(is_missing, !there[octet as usize]);
            }
        }
    }
}
