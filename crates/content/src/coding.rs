//! Content codings (RFC 9110 8.4.1): gzip, deflate, br and zstd are undone, with a cap.

use std::borrow::Cow;
use std::io::{self, Read, Write as _};

use flate2::Compression;
use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use flate2::write::{GzEncoder, ZlibEncoder};
use thiserror::Error;

/// More codings on top of each other than this are no body but an attack.
const MOST_CODINGS: usize = 4;

/// A coding that can be undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// `gzip`, `x-gzip`
    Gzip,
    /// `deflate`: zlib by the standard, bare deflate by some servers.
    Deflate,
    /// `br`
    Brotli,
    /// `zstd`
    Zstd,
}

/// A body without its codings.
#[derive(Debug, PartialEq, Eq)]
pub struct Decoded<'a> {
    /// The octets, as far as they could be had.
    pub octets: Cow<'a, [u8]>,
    /// Whether that is all.
    pub end: End,
}

/// How decoding ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// At the end.
    Whole,
    /// At the cap; there is more.
    Capped,
    /// The coded octets are cut or broken.
    Broken,
}

/// A coding that is not known here, or too many of them.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the coding {0:?} cannot be undone here")]
pub struct UnknownCoding(pub String);

impl Coding {
    /// The coding of this name; `None` within the result for `identity`.
    fn named(name: &str) -> Result<Option<Self>, UnknownCoding> {
        match name.trim().to_ascii_lowercase().as_str() {
            "" | "identity" | "aws-chunked" => Ok(None),
            "gzip" | "x-gzip" => Ok(Some(Self::Gzip)),
            "deflate" => Ok(Some(Self::Deflate)),
            "br" => Ok(Some(Self::Brotli)),
            "zstd" => Ok(Some(Self::Zstd)),
            other => Err(UnknownCoding(other.to_owned())),
        }
    }

    /// The codings of a `Content-Encoding` field, in the order they were applied.
    ///
    /// # Errors
    /// When one is not known, or there are more than four.
    pub fn list(field: &str) -> Result<Vec<Self>, UnknownCoding> {
        let mut codings = Vec::new();
        for name in field.split(',') {
            codings.extend(Self::named(name)?);
        }
        if codings.len() > MOST_CODINGS {
            return Err(UnknownCoding(field.to_owned()));
        }
        Ok(codings)
    }
}

/// Undoes the codings of a `Content-Encoding` field, up to `cap` octets. What is cut or broken
/// gives what came before.
///
/// # Errors
/// When a coding is not known.
pub fn decode<'a>(octets: &'a [u8], field: &str, cap: usize) -> Result<Decoded<'a>, UnknownCoding> {
    let mut decoded = Decoded { octets: Cow::Borrowed(octets), end: End::Whole };
    for coding in Coding::list(field)?.into_iter().rev() {
        let (octets, end) = undo(coding, &decoded.octets, cap);
        decoded.octets = Cow::Owned(octets);
        if end != End::Whole {
            decoded.end = end;
        }
    }
    Ok(decoded)
}

fn undo(coding: Coding, octets: &[u8], cap: usize) -> (Vec<u8>, End) {
    match coding {
        Coding::Gzip => read_capped(MultiGzDecoder::new(octets), cap),
        Coding::Brotli => {
            read_capped(brotli_decompressor::Decompressor::new(octets, 16 << 10), cap)
        }
        Coding::Zstd => zstd_decoder(octets)
            .map_or((Vec::new(), End::Broken), |decoder| read_capped(decoder, cap)),
        Coding::Deflate => match read_capped(ZlibDecoder::new(octets), cap) {
            // No zlib header: RFC 9110 8.4.1.2 notes that bare deflate is sent, too.
            (plain, End::Broken) if plain.is_empty() => {
                read_capped(DeflateDecoder::new(octets), cap)
            }
            read => read,
        },
    }
}

/// What a decoder must hold is bounded by what the coding may ask of it: 8 MiB (RFC 9659).
fn zstd_decoder(octets: &[u8]) -> io::Result<impl Read> {
    let mut decoder = zstd::stream::read::Decoder::with_buffer(octets)?;
    decoder.window_log_max(23)?;
    Ok(decoder)
}

/// Reads up to `cap` octets; an error ends it and keeps what came before.
fn read_capped(mut from: impl Read, cap: usize) -> (Vec<u8>, End) {
    let mut octets = Vec::new();
    let mut block = [0; 16 << 10];
    loop {
        match from.read(&mut block) {
            Ok(0) => return (octets, End::Whole),
            Ok(count) => {
                let room = cap - octets.len();
                octets.extend_from_slice(&block[..count.min(room)]);
                if count > room {
                    return (octets, End::Capped);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return (octets, End::Broken),
        }
    }
}

/// Applies a coding; `None` where that cannot be done here (`br`, `zstd`).
#[must_use]
pub fn encode(octets: &[u8], coding: Coding) -> Option<Vec<u8>> {
    let level = Compression::default();
    match coding {
        Coding::Gzip => {
            let mut encoder = GzEncoder::new(Vec::new(), level);
            encoder.write_all(octets).and_then(|()| encoder.finish()).ok()
        }
        Coding::Deflate => {
            let mut encoder = ZlibEncoder::new(Vec::new(), level);
            encoder.write_all(octets).and_then(|()| encoder.finish()).ok()
        }
        Coding::Brotli | Coding::Zstd => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &[u8] = b"<titlepatch titleid=\"CUSA00001_00\"/>";

    #[test]
    fn codings_are_undone_in_the_reverse_order() {
        let gzip = encode(TEXT, Coding::Gzip).unwrap();
        let both = encode(&gzip, Coding::Deflate).unwrap();
        assert_eq!(&*decode(&gzip, "X-GZIP", 1 << 20).unwrap().octets, TEXT);
        let decoded = decode(&both, "gzip, deflate", 1 << 20).unwrap();
        assert_eq!((&*decoded.octets, decoded.end), (TEXT, End::Whole));
        assert!(matches!(decode(TEXT, "identity", 9).unwrap().octets, Cow::Borrowed(_)));
        // `brotli` of the text "hello", from its own command line tool.
        let brotli = b"\x0b\x02\x80hello\x03";
        assert_eq!(&*decode(brotli, "br", 1 << 20).unwrap().octets, b"hello");
        // `zstd` of the text "old", the same.
        let zstd = b"\x28\xb5\x2f\xfd\x00\x58\x19\x00\x00old";
        assert_eq!(&*decode(zstd, "zstd", 1 << 20).unwrap().octets, b"old");
        assert_eq!(decode(TEXT, "lz4", 9), Err(UnknownCoding("lz4".to_owned())));
        assert!(decode(TEXT, "gzip,gzip,gzip,gzip,gzip", 9).is_err());
    }

    #[test]
    fn bare_deflate_is_understood_as_well() {
        let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(TEXT).unwrap();
        let bare = encoder.finish().unwrap();
        assert_eq!(&*decode(&bare, "deflate", 1 << 20).unwrap().octets, TEXT);
    }

    #[test]
    fn a_bomb_ends_at_the_cap_and_a_cut_body_gives_its_beginning() {
        let bomb = encode(&vec![0; 8 << 20], Coding::Gzip).unwrap();
        let decoded = decode(&bomb, "gzip", 1000).unwrap();
        assert_eq!((decoded.octets.len(), decoded.end), (1000, End::Capped));
        // A mebibyte of zeros, by the command line tools.
        let brotli = b"\x5b\xff\xff\x8f\x7f\x02\x20\x1e\x0b\x04\x72\xef\x1f\x00";
        let zstd = b"\x28\xb5\x2f\xfd\x04\x68\x4c\x00\x00\x08\x00\x01\x00\xfc\xff\x39\x10\x02\x02\x00\x10\x00\x02\x00\x10\
            \x00\x02\x00\x10\x00\x02\x00\x10\x00\x02\x00\x10\x00\x02\x00\x10\x00\x03\x00\x10\x00\xf1\x3e\x16\xe1";
        for (bomb, coding) in [(&brotli[..], "br"), (&zstd[..], "zstd")] {
            let decoded = decode(bomb, coding, 1000).unwrap();
            assert_eq!((decoded.octets.len(), decoded.end), (1000, End::Capped), "{coding}");
            assert_eq!(decode(bomb, coding, 1 << 20).unwrap().octets.len(), 1 << 20, "{coding}");
        }
        // A frame that wants a window of 1 GiB.
        let greedy = decode(b"\x28\xb5\x2f\xfd\x00\xa0\x19\x00\x00old", "zstd", 1000).unwrap();
        assert_eq!((greedy.octets.len(), greedy.end), (0, End::Broken));
        let long = TEXT.repeat(4000);
        let gzip = encode(&long, Coding::Gzip).unwrap();
        let decoded = decode(&gzip[..gzip.len() - 20], "gzip", 1 << 20).unwrap();
        assert_eq!(decoded.end, End::Broken);
        assert!(long.starts_with(&decoded.octets));
    }

    proptest::proptest! {
        #[test]
        fn hostile_octets_end_somewhere(octets: Vec<u8>, coding in "gzip|deflate|br|zstd") {
            let decoded = decode(&octets, &coding, 1000).unwrap();
            proptest::prop_assert!(decoded.octets.len() <= 1000);
        }
    }
}
