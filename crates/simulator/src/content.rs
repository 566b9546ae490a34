//! Large files that nobody stores: every byte is computed from its offset.
//!
//! The origin sends them, the consoles check what arrived against the same computation, so that a
//! download of any size is verified to the byte in constant memory.

use std::ops::Range;

use bytes::Bytes;

/// The bytes of one file.
#[derive(Debug, Clone)]
pub struct Content {
    size: u64,
    head: Bytes,
    fill: Fill,
}

#[derive(Debug, Clone, Copy)]
enum Fill {
    Zeros,
    Noise(u64),
}

/// Where received bytes differ from the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("byte {offset} is {found:#04x}, expected {expected:#04x}")]
pub struct Difference {
    /// Offset in the whole file.
    pub offset: u64,
    /// What the file holds there.
    pub expected: u8,
    /// What came.
    pub found: u8,
}

impl Content {
    /// Zeros, as the network tests answer.
    #[must_use]
    pub fn zeros(size: u64) -> Self {
        Self { size, head: Bytes::new(), fill: Fill::Zeros }
    }

    /// Noise that depends on the name alone: two files differ, one file never does.
    #[must_use]
    pub fn noise(name: &str, size: u64) -> Self {
        Self { size, head: Bytes::new(), fill: Fill::Noise(seed(name)) }
    }

    /// A package: magic `\x7fCNT`, the content id in its 36 bytes at 0x40 (psdevwiki, PKG files),
    /// noise after that.
    #[must_use]
    pub fn package(name: &str, content_id: &str, size: u64) -> Self {
        let mut head = vec![0; 0x80];
        head[..4].copy_from_slice(b"\x7fCNT");
        let id = &content_id.as_bytes()[..content_id.len().min(36)];
        head[0x40..0x40 + id.len()].copy_from_slice(id);
        Self { size, head: head.into(), fill: Fill::Noise(seed(name)) }
    }

    /// The same file with its first bytes given.
    #[must_use]
    pub fn with_head(self, head: impl Into<Bytes>) -> Self {
        Self { head: head.into(), ..self }
    }

    /// Length in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The bytes of a range, cut at the end of the file.
    #[must_use]
    pub fn read(&self, range: Range<u64>) -> Bytes {
        let end = range.end.min(self.size);
        let start = range.start.min(end);
        let length =
            usize::try_from(end - start).expect("a range that is asked for fits in memory");
        let mut bytes = vec![0; length];
        if let Fill::Noise(seed) = self.fill {
            fill_noise(seed, start, &mut bytes);
        }
        if let Some(head) = usize::try_from(start).ok().and_then(|start| self.head.get(start..)) {
            let length = head.len().min(bytes.len());
            bytes[..length].copy_from_slice(&head[..length]);
        }
        bytes.into()
    }

    /// Compares bytes that arrived with the file from `offset` on.
    ///
    /// # Errors
    /// The first byte that differs, or lies beyond the end (where the file counts as zero).
    pub fn check(&self, offset: u64, found: &[u8]) -> Result<(), Difference> {
        let expected = self.read(offset..offset + found.len() as u64);
        if expected == found {
            return Ok(());
        }
        let same = expected.iter().zip(found).take_while(|(a, b)| a == b).count();
        Err(Difference {
            offset: offset + same as u64,
            expected: expected.get(same).copied().unwrap_or(0),
            found: found[same],
        })
    }

    /// An entity tag that changes with the content.
    #[must_use]
    pub fn etag(&self) -> String {
        let fill = match self.fill {
            Fill::Zeros => 0,
            Fill::Noise(seed) => seed,
        };
        format!("\"{fill:016x}:{:x}\"", self.size)
    }
}

/// FNV-1a: spreads names, needs no crate.
fn seed(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

fn fill_noise(seed: u64, start: u64, bytes: &mut [u8]) {
    let lead = (start.next_multiple_of(8) - start).min(bytes.len() as u64) as usize;
    let (unaligned, aligned) = bytes.split_at_mut(lead);
    if lead > 0 {
        let within = (start % 8) as usize;
        unaligned.copy_from_slice(&word(seed, start / 8)[within..within + lead]);
    }
    let first = start.div_ceil(8);
    for (index, chunk) in aligned.chunks_mut(8).enumerate() {
        chunk.copy_from_slice(&word(seed, first + index as u64)[..chunk.len()]);
    }
}

/// The finaliser of SplitMix64: one multiplication chain for eight bytes.
fn word(seed: u64, index: u64) -> [u8; 8] {
    let mut z = seed.wrapping_add(index.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_package_opens_with_its_magic_and_content_id() {
        let id = "EP1018-CUSA00135_00-BATMANARKHAMKNHT";
        let package = Content::package("x", id, 4096);
        assert_eq!(&package.read(0..4)[..], b"\x7fCNT");
        assert_eq!(&package.read(0x40..0x64)[..], id.as_bytes());
    }

    #[test]
    fn a_wrong_byte_is_named() {
        let content = Content::noise("x", 100);
        let mut bytes = content.read(10..90).to_vec();
        assert_eq!(content.check(10, &bytes), Ok(()));
        bytes[33] ^= 1;
        assert_eq!(content.check(10, &bytes).unwrap_err().offset, 43);
        assert_eq!(content.check(99, &[content.read(99..100)[0], 7]).unwrap_err().offset, 100);
    }

    #[test]
    fn names_make_different_bytes_and_tags() {
        let (a, b) = (Content::noise("a", 64), Content::noise("b", 64));
        assert_ne!(a.read(0..64), b.read(0..64));
        assert_ne!(a.etag(), b.etag());
    }

    proptest! {
        #[test]
        fn any_range_is_a_cut_of_the_whole(size in 0u64..600, start in 0u64..700, length in 0u64..700) {
            let content = Content::package("cut", "ID", size);
            let whole = content.read(0..size);
            let end = (start + length).min(size);
            let start = start.min(end);
            prop_assert_eq!(&content.read(start..end)[..], &whole[start as usize..end as usize]);
        }
    }
}
