//! Which octets of a file are there: ranges, joined where they touch.

use std::ops::Range;

/// A set of octets, as ranges in order that do not touch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Ranges(Vec<Range<u64>>);

impl Ranges {
    /// Adds a range.
    pub(crate) fn add(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        // All that it touches become one.
        let from = self.0.partition_point(|known| known.end < range.start);
        let to = self.0.partition_point(|known| known.start <= range.end);
        let touched = &self.0[from..to];
        let start = touched.first().map_or(range.start, |first| first.start.min(range.start));
        let end = touched.last().map_or(range.end, |last| last.end.max(range.end));
        self.0.splice(from..to, std::iter::once(start..end));
    }

    /// How many octets there are.
    pub(crate) fn octets(&self) -> u64 {
        self.0.iter().map(|range| range.end - range.start).sum()
    }

    /// The ranges, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Range<u64>> {
        self.0.iter().cloned()
    }

    /// What is not there of the octets up to `total`.
    pub(crate) fn missing(&self, total: u64) -> Vec<Range<u64>> {
        let mut missing = Vec::new();
        let mut at = 0;
        for range in self.iter().chain(std::iter::once(total..total)) {
            if range.start.min(total) > at {
                missing.push(at..range.start.min(total));
            }
            at = at.max(range.end);
        }
        missing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn they_hold_what_was_added_and_miss_the_rest(
            added in proptest::collection::vec((0_u64..60, 0_u64..12), 0..20),
        ) {
            let (mut ranges, mut octets) = (Ranges::default(), [false; 80]);
            for (start, length) in added {
                ranges.add(start..start + length);
                octets[start as usize..(start + length) as usize].fill(true);
            }
            proptest::prop_assert_eq!(ranges.octets(), octets.iter().filter(|it| **it).count() as u64);
            let mut missing = [true; 80];
            for range in ranges.missing(80) {
                missing[range.start as usize..range.end as usize].fill(false);
            }
            proptest::prop_assert_eq!(missing, octets);
            let all: Vec<_> = ranges.iter().collect();
            proptest::prop_assert!(all.windows(2).all(|two| two[0].end < two[1].start));
        }
    }
}
