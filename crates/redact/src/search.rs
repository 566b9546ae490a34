//! Finds any of many values in octets, in one pass and in any case.
//!
//! A session may have tens of thousands of secrets, each in a dozen forms. An automaton of so many
//! takes seconds to build and hundreds of megabytes to hold; here a value costs its octets and a
//! place in a table by its beginning.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// No pattern is shorter: so many octets are common words and numbers.
pub(crate) const SHORTEST: usize = 4;

/// Something to be found.
#[derive(Debug)]
pub(crate) struct Pattern {
    /// At least [`SHORTEST`] octets; a shorter one is never found.
    pub(crate) octets: Vec<u8>,
    /// What stands in its place.
    pub(crate) stand_in: Arc<str>,
    /// What must not stand beside it.
    pub(crate) border: Border,
}

/// What may not stand right before and after a value for it to be that value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Border {
    Any,
    NoWord,
    NoNumber,
}

/// The patterns, by how they begin.
#[derive(Debug)]
pub(crate) struct Search {
    /// Patterns of eight octets and more, by the first eight: few texts have them by chance.
    long: Table,
    /// The others, by the first four.
    short: Table,
}

#[derive(Debug)]
struct Table {
    /// Which beginnings there may be: a bit for each, at a place that is made of it. Almost every
    /// octet of a text ends here.
    filter: Vec<u64>,
    by_beginning: HashMap<u64, Vec<Pattern>>,
}

impl Search {
    /// What finds these. Where one is the beginning of another, the longer one is found.
    pub(crate) fn of(mut patterns: Vec<Pattern>) -> Self {
        patterns.sort_by(|one, other| {
            (other.octets.len(), &one.octets, &one.stand_in).cmp(&(
                one.octets.len(),
                &other.octets,
                &other.stand_in,
            ))
        });
        let (long, short): (Vec<_>, Vec<_>) =
            patterns.into_iter().partition(|pattern| pattern.octets.len() >= 8);
        Self { long: Table::of(long, eight), short: Table::of(short, four) }
    }

    /// The first of them that begins at `from` or behind it, and what stands in its place.
    pub(crate) fn find(&self, octets: &[u8], from: usize) -> Option<(Range<usize>, &str)> {
        (from..octets.len()).find_map(|at| {
            let rest = &octets[at..];
            let long = eight(rest).and_then(|beginning| self.long.fitting(beginning, octets, at));
            let found = long.or_else(|| self.short.fitting(four(rest)?, octets, at))?;
            Some((at..at + found.octets.len(), &*found.stand_in))
        })
    }
}

impl Table {
    fn of(patterns: Vec<Pattern>, beginning: fn(&[u8]) -> Option<u64>) -> Self {
        // Thirty-two bits for each: one text in thirty-two is looked up for nothing.
        let words = (patterns.len() / 2).next_power_of_two().clamp(16, 1 << 20);
        let mut table = Self { filter: vec![0; words], by_beginning: HashMap::new() };
        for pattern in patterns {
            let Some(beginning) = beginning(&pattern.octets) else { continue };
            let (word, bit) = table.place(beginning);
            table.filter[word] |= bit;
            table.by_beginning.entry(beginning).or_default().push(pattern);
        }
        table
    }

    /// The word of the filter, and the bit of it. The number of words is a power of two.
    fn place(&self, beginning: u64) -> (usize, u64) {
        // Fibonacci hashing (Knuth, TAOCP 6.4): the high bits depend on all of them.
        let mixed = beginning.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        ((mixed >> 32) as usize & (self.filter.len() - 1), 1 << (mixed >> 58))
    }

    /// The longest pattern that stands at this place.
    fn fitting(&self, beginning: u64, octets: &[u8], at: usize) -> Option<&Pattern> {
        let (word, bit) = self.place(beginning);
        if self.filter[word] & bit == 0 {
            return None;
        }
        let candidates = self.by_beginning.get(&beginning)?;
        candidates.iter().find(|pattern| pattern.stands_at(octets, at))
    }
}

impl Pattern {
    fn stands_at(&self, octets: &[u8], at: usize) -> bool {
        let end = at + self.octets.len();
        octets.get(at..end).is_some_and(|found| found.eq_ignore_ascii_case(&self.octets))
            && self.border.fits(octets, at, end)
    }
}

impl Border {
    fn fits(self, octets: &[u8], start: usize, end: usize) -> bool {
        let before = start.checked_sub(1).map(|at| octets[at]);
        let beside = [before, octets.get(end).copied()];
        match self {
            Self::Any => true,
            Self::NoWord => !beside.into_iter().flatten().any(|byte| byte.is_ascii_alphanumeric()),
            Self::NoNumber => {
                // `1.2.3.4.` may end a sentence, `1.2.3.4.5` is a version.
                let digit = |at: usize| octets.get(at).is_some_and(u8::is_ascii_hexdigit);
                let goes_on = octets.get(end) == Some(&b'.') && digit(end + 1);
                let began = before == Some(b'.');
                !goes_on
                    && !began
                    && !beside.into_iter().flatten().any(|byte| byte.is_ascii_digit())
            }
        }
    }
}

/// The first eight octets in lower case, as a number.
fn eight(octets: &[u8]) -> Option<u64> {
    octets.first_chunk().map(|octets| lower(u64::from_le_bytes(*octets)))
}

/// The first four.
fn four(octets: &[u8]) -> Option<u64> {
    octets.first_chunk().map(|octets| lower(u32::from_le_bytes(*octets).into()))
}

/// Eight octets with their capitals in lower case, all at once.
fn lower(octets: u64) -> u64 {
    const EACH: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x80 * EACH;
    // The high bit of each octet tells whether its other seven are at least `A`, or beyond `Z`.
    let low = octets & !HIGH;
    let from_a = low + (0x80 - u64::from(b'A')) * EACH;
    let behind_z = low + (0x80 - u64::from(b'Z') - 1) * EACH;
    let capitals = (from_a ^ behind_z) & !octets & HIGH;
    octets | (capitals >> 2)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pattern(octets: &[u8], border: Border) -> Pattern {
        let stand_in = format!("<{}>", octets.escape_ascii()).to_ascii_lowercase();
        Pattern { octets: octets.to_vec(), stand_in: stand_in.into(), border }
    }

    /// The same, octet by octet.
    fn slowly(patterns: &[Pattern], octets: &[u8], from: usize) -> Option<(usize, usize)> {
        (from..octets.len()).find_map(|at| {
            let fitting = patterns.iter().filter(|pattern| {
                pattern.octets.len() >= SHORTEST && pattern.stands_at(octets, at)
            });
            fitting.map(|pattern| (at, at + pattern.octets.len())).max()
        })
    }

    #[test]
    fn capitals_alone_change() {
        for octet in 0..=255_u8 {
            let all = u64::from_le_bytes([octet; 8]);
            assert_eq!(lower(all), u64::from_le_bytes([octet.to_ascii_lowercase(); 8]), "{octet}");
        }
        assert_eq!(four(b"ABcd!"), four(b"abCD?"));
        assert_eq!(eight(b"abc"), None);
    }

    #[test]
    fn the_longest_that_fits_is_found_first() {
        let patterns = [b"secret".as_slice(), b"secretsecret", b"secretsecretsecret"];
        let search = Search::of(patterns.map(|octets| pattern(octets, Border::Any)).into());
        let found = |text: &'static str| search.find(text.as_bytes(), 0);
        assert_eq!(found("a SecretSecretSecre"), Some((2..14, "<secretsecret>")));
        assert_eq!(found("secret"), Some((0..6, "<secret>")));
        assert_eq!(found("secre"), None);
    }

    proptest! {
        #[test]
        fn what_is_found_is_what_a_slow_search_finds(
            values in prop::collection::vec(("[abAB1.]{0,12}", 0..3_usize), 0..12),
            text in "[abAB1. ]{0,60}",
        ) {
            let patterns = || -> Vec<_> {
                let border = [Border::Any, Border::NoWord, Border::NoNumber];
                values.iter().map(|(value, which)| pattern(value.as_bytes(), border[*which])).collect()
            };
            let search = Search::of(patterns());
            for from in 0..=text.len() {
                let found = search.find(text.as_bytes(), from).map(|(place, _)| (place.start, place.end));
                prop_assert_eq!(found, slowly(&patterns(), text.as_bytes(), from));
            }
        }
    }
}
