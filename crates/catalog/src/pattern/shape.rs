//! What the text of a field can be: runs of bytes, each out of a set.

/// A set of bytes, by a bit for each, and by ranges: long runs are held against these, for many
/// bytes at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ByteSet {
    bits: [u64; 4],
    /// The unused ones repeat the first.
    ranges: [(u8, u8); MOST_RANGES],
}

const MOST_RANGES: usize = 5;
/// From this length on the ranges are faster than the bits.
const LONG: usize = 16;

/// Some bytes of one set after another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) set: ByteSet,
    pub(crate) least: usize,
    /// As many as there are, where there is no end to it.
    pub(crate) most: Option<usize>,
}

const DIGIT: ByteSet = ByteSet::of(&[(b'0', b'9')]);
const DOTTED: ByteSet = ByteSet::of(&[(b'0', b'9'), (b'.', b'.')]);
const LOWER: ByteSet = ByteSet::of(&[(b'a', b'z')]);
const UPPER: ByteSet = ByteSet::of(&[(b'A', b'Z')]);
const HEX: ByteSet = ByteSet::of(&[(b'0', b'9'), (b'a', b'f'), (b'A', b'F')]);
const ALNUM: ByteSet = ByteSet::of(&[(b'0', b'9'), (b'a', b'z'), (b'A', b'Z')]);
const WORD: ByteSet =
    ByteSet::of(&[(b'0', b'9'), (b'a', b'z'), (b'A', b'Z'), (b'_', b'_'), (b'-', b'-')]);
const UNDERSCORE: ByteSet = ByteSet::of(&[(b'_', b'_')]);
const DASH: ByteSet = ByteSet::of(&[(b'-', b'-')]);
pub(crate) const ANY: ByteSet = ByteSet::of(&[(0, u8::MAX)]);

/// `CUSA00001`
pub(crate) const TITLE_ID: &[Run] = &[exactly(4, UPPER), exactly(5, DIGIT)];
/// `CUSA00001_00`
pub(crate) const NP_TITLE_ID: &[Run] =
    &[exactly(4, UPPER), exactly(5, DIGIT), exactly(1, UNDERSCORE), exactly(2, DIGIT)];
/// `EP4389-CUSA08652_00-CAR0050000000000`
pub(crate) const CONTENT_ID: &[Run] = &[
    exactly(2, UPPER),
    exactly(4, DIGIT),
    exactly(1, DASH),
    exactly(4, UPPER),
    exactly(5, DIGIT),
    exactly(1, UNDERSCORE),
    exactly(2, DIGIT),
    exactly(1, DASH),
    exactly(16, ALNUM),
];
/// `2014_0528`
pub(crate) const DATE: &[Run] = &[exactly(4, DIGIT), exactly(1, UNDERSCORE), exactly(4, DIGIT)];
pub(crate) const UUID: &[Run] = &[
    exactly(8, HEX),
    exactly(1, DASH),
    exactly(4, HEX),
    exactly(1, DASH),
    exactly(4, HEX),
    exactly(1, DASH),
    exactly(4, HEX),
    exactly(1, DASH),
    exactly(12, HEX),
];
pub(crate) const VERSION: &[Run] = &[exactly(4, DIGIT)];
pub(crate) const LOWER_2: &[Run] = &[exactly(2, LOWER)];
pub(crate) const UPPER_2: &[Run] = &[exactly(2, UPPER)];
pub(crate) const DIGITS: &[Run] = &[some(DIGIT)];
pub(crate) const DOTTED_DIGITS: &[Run] = &[some(DOTTED)];
pub(crate) const WORDS: &[Run] = &[some(WORD)];
pub(crate) const SEGMENT: &[Run] = &[some(ByteSet::all_but(b'/'))];
pub(crate) const PRODUCT: &[Run] = &[some(ByteSet::all_but(b' '))];
pub(crate) const REST: &[Run] = &[Run { set: ANY, least: 0, most: None }];

pub(crate) const fn hex(count: usize) -> Run {
    exactly(count, HEX)
}

pub(crate) const fn alnum(count: usize) -> Run {
    exactly(count, ALNUM)
}

const fn exactly(count: usize, set: ByteSet) -> Run {
    Run { set, least: count, most: Some(count) }
}

const fn some(set: ByteSet) -> Run {
    Run { set, least: 1, most: None }
}

impl ByteSet {
    pub(crate) const fn of(of: &[(u8, u8)]) -> Self {
        let mut bits = [0; 4];
        let mut ranges = [of[0]; MOST_RANGES];
        let mut range = 0;
        while range < of.len() {
            ranges[range] = of[range];
            let (mut byte, last) = of[range];
            loop {
                bits[(byte >> 6) as usize] |= 1 << (byte & 63);
                if byte == last {
                    break;
                }
                byte += 1;
            }
            range += 1;
        }
        Self { bits, ranges }
    }

    /// All bytes but this one, which is neither the first nor the last.
    const fn all_but(byte: u8) -> Self {
        Self::of(&[(0, byte - 1), (byte + 1, u8::MAX)])
    }

    #[inline]
    pub(crate) const fn contains(self, byte: u8) -> bool {
        self.bits[(byte >> 6) as usize] & (1 << (byte & 63)) != 0
    }

    #[inline]
    fn contains_all(self, bytes: &[u8]) -> bool {
        if bytes.len() < LONG {
            return bytes.iter().all(|&byte| self.contains(byte));
        }
        let is_in = |byte: u8| {
            self.ranges.iter().fold(false, |is, (low, high)| is | (*low <= byte) & (byte <= *high))
        };
        bytes.iter().fold(true, |all, &byte| all & is_in(byte))
    }

    /// A byte of both sets; a letter or digit, where there is one.
    pub(crate) fn shared(self, other: Self) -> Option<u8> {
        let both = |byte: &u8| self.contains(*byte) && other.contains(*byte);
        let readable = (b'a'..=b'z').chain(b'0'..=b'9').chain(b'!'..=b'~');
        readable.chain(0..=255).find(both)
    }
}

/// How much of the start of the text the runs take, each as much as it can.
pub(crate) fn longest(runs: &[Run], text: &[u8]) -> Option<usize> {
    let mut at = 0;
    for run in runs {
        let rest = &text[at..];
        if run.most == Some(run.least) {
            if !run.set.contains_all(rest.get(..run.least)?) {
                return None;
            }
            at += run.least;
            continue;
        }
        let most = run.most.map_or(rest.len(), |most| most.min(rest.len()));
        let taken = rest[..most].iter().take_while(|byte| run.set.contains(**byte)).count();
        if taken < run.least {
            return None;
        }
        at += taken;
    }
    Some(at)
}

/// Whether the runs take the whole text.
pub(crate) fn is(runs: &[Run], text: &str) -> bool {
    longest(runs, text.as_bytes()) == Some(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_their_shape_and_nothing_else_has() {
        assert!(is(TITLE_ID, "CUSA00001"));
        assert!(is(NP_TITLE_ID, "CUSA00001_00"));
        assert!(is(CONTENT_ID, "EP4389-CUSA08652_00-CAR0050000000000"));
        for text in ["", "CUSA0001", "cusa00001", "CUSA00001_0", "CUSA000011", "ÄÖÜSA00001"] {
            assert!(!is(TITLE_ID, text), "{text}");
            assert!(!is(NP_TITLE_ID, text), "{text}");
        }
        for text in ["EP4389-CUSA08652_00-CAR005000000000", "EP4389-CUSA08652-CAR0050000000000000"]
        {
            assert!(!is(CONTENT_ID, text), "{text}");
        }
    }

    #[test]
    fn sets_share_a_readable_byte() {
        assert_eq!(HEX.shared(WORD), Some(b'a'));
        assert_eq!(DASH.shared(ANY), Some(b'-'));
        assert_eq!(DIGIT.shared(UPPER), None);
    }
}
