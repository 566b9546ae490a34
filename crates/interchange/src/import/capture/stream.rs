//! One direction of a TCP connection: segments in, octets in order out (RFC 9293 3.4).

use std::collections::BTreeMap;

/// So much may wait for a segment that is missing; then it is given up.
const MOST_WAITING: usize = 1 << 20;
/// And so many segments.
const MOST_SEGMENTS: usize = 1024;

/// What comes next of a direction.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    Octets(&'a [u8]),
    /// So many octets are not in the capture.
    Gap(u64),
}

#[derive(Debug, Default)]
pub(super) struct Stream {
    /// The sequence number of the octet that comes next.
    next: Option<u32>,
    /// What came too early, by its place; places count from the first octet.
    waiting: BTreeMap<u64, Vec<u8>>,
    waiting_octets: usize,
    /// The place of the octet that comes next.
    place: u64,
    pub(super) ended: bool,
}

impl Stream {
    /// Takes a segment, and gives what it completes.
    pub(super) fn take(
        &mut self,
        sequence: u32,
        begins: bool,
        octets: &[u8],
        give: &mut dyn FnMut(Piece<'_>),
    ) {
        if begins {
            // The SYN takes a number of its own.
            self.next.get_or_insert_with(|| sequence.wrapping_add(1));
        }
        if octets.is_empty() {
            return;
        }
        let sequence = if begins { sequence.wrapping_add(1) } else { sequence };
        let next = *self.next.get_or_insert(sequence);
        // Sequence numbers wrap; half of their range lies before, half behind (RFC 1982).
        let ahead = i64::from(sequence.wrapping_sub(next).cast_signed());
        let Some(place) = self.place.checked_add_signed(ahead) else { return };
        self.deliver(place, octets, give);
        while self.waiting_octets > MOST_WAITING || self.waiting.len() > MOST_SEGMENTS {
            self.skip(give);
        }
    }

    /// Gives what still waits, with the gaps in it.
    pub(super) fn finish(&mut self, give: &mut dyn FnMut(Piece<'_>)) {
        while !self.waiting.is_empty() {
            self.skip(give);
        }
    }

    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    fn deliver(&mut self, place: u64, octets: &[u8], give: &mut dyn FnMut(Piece<'_>)) {
        if place > self.place {
            // Of two that begin at one place the longer says more.
            let old = self.waiting.get(&place).map_or(0, Vec::len);
            if octets.len() > old {
                self.waiting_octets += octets.len() - old;
                self.waiting.insert(place, octets.to_vec());
            }
            return;
        }
        self.advance(place, octets, give);
        while let Some((&place, _)) = self.waiting.first_key_value()
            && place <= self.place
            && let Some(octets) = self.waiting.remove(&place)
        {
            self.waiting_octets -= octets.len();
            self.advance(place, &octets, give);
        }
    }

    /// Gives the part of this that was not given before.
    fn advance(&mut self, place: u64, octets: &[u8], give: &mut dyn FnMut(Piece<'_>)) {
        let known = usize::try_from(self.place - place).unwrap_or(usize::MAX);
        let Some(new) = octets.get(known..).filter(|new| !new.is_empty()) else { return };
        self.pass(new.len() as u64);
        give(Piece::Octets(new));
    }

    fn pass(&mut self, octets: u64) {
        self.place += octets;
        // The numbers are those of the low 32 bits.
        self.next = self.next.map(|next| next.wrapping_add(octets as u32));
    }

    /// Gives up what is missing before the first that waits.
    fn skip(&mut self, give: &mut dyn FnMut(Piece<'_>)) {
        let Some((place, octets)) = self.waiting.pop_first() else { return };
        self.waiting_octets -= octets.len();
        if place > self.place {
            let missing = place - self.place;
            self.pass(missing);
            give(Piece::Gap(missing));
        }
        self.deliver(place, &octets, give);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        /// Whatever the network does with segments, the octets come in order.
        #[test]
        fn any_order_with_doubles_and_overlaps_gives_the_octets(
            start: u32,
            cuts in proptest::collection::vec((0_usize..200, 1_usize..60), 0..30),
        ) {
            let octets: Vec<u8> = (0..200).collect();
            let mut stream = Stream::default();
            let mut got = Vec::new();
            let mut give = |piece: Piece<'_>| match piece {
                Piece::Octets(octets) => got.extend_from_slice(octets),
                Piece::Gap(_) => unreachable!("nothing is missing"),
            };
            stream.take(start.wrapping_sub(1), true, &[], &mut give);
            let all = (0..200).step_by(50).map(|at| (at, 50));
            for (at, length) in cuts.into_iter().chain(all) {
                let part = &octets[at..(at + length).min(200)];
                stream.take(start.wrapping_add(at as u32), false, part, &mut give);
            }
            stream.finish(&mut give);
            proptest::prop_assert_eq!(got, octets);
        }
    }

    #[test]
    fn a_missing_segment_is_a_gap_in_the_end() {
        let mut stream = Stream::default();
        let mut pieces = Vec::new();
        let mut give = |piece: Piece<'_>| pieces.push(format!("{piece:?}"));
        stream.take(100, false, b"ab", &mut give);
        stream.take(105, false, b"fg", &mut give);
        stream.take(50, false, b"old", &mut give);
        stream.finish(&mut give);
        assert_eq!(pieces, ["Octets([97, 98])", "Gap(3)", "Octets([102, 103])"]);
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut stream = Stream::default();
        let mut given = 0;
        stream.take(0, false, b"a", &mut |_| {});
        for number in 1..2000_u32 {
            stream.take(number * 3000, false, &[0; 2000], &mut |_| given += 1);
        }
        assert!(stream.waiting_octets <= MOST_WAITING && given > 0);
    }
}
