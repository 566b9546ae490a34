//! What there is of two bodies: all, a beginning, a hash, or nothing; and what can be said then.

use std::borrow::Cow;
use std::io::{self, Read as _};

use consoletap_flow::{BodyCopy, BodySummary, Digest};
use consoletap_redact::stand_ins;
use consoletap_session::Session;

use crate::compare::fields::field;
use crate::compare::{Comparison, Difference, Reply, content};

/// Of a larger answer no more comes to be compared than its beginning and its BLAKE3.
const WHOLE: u64 = 1 << 20;
const BEGINNING: usize = 64 << 10;

/// What there is of a body, still content-encoded.
#[derive(Debug, Clone)]
pub(crate) enum Body<'a> {
    /// There can be none: an answer to HEAD.
    None,
    Whole(Cow<'a, [u8]>),
    /// Its first octets, and how long all of it is, where that is known, and its hash.
    Beginning {
        octets: Cow<'a, [u8]>,
        length: Option<u64>,
        digest: Option<Digest>,
    },
    /// Nothing is at hand.
    Unknown {
        length: u64,
    },
}

impl<'a> Body<'a> {
    /// What was kept of a body that just came.
    pub(crate) fn copied(copy: Option<&'a BodyCopy>, summary: BodySummary) -> Self {
        match copy {
            Some(copy) if copy.whole => Self::Whole(Cow::Borrowed(&copy.octets)),
            Some(copy) => Self::Beginning {
                octets: Cow::Borrowed(&copy.octets),
                length: Some(summary.bytes),
                digest: summary.digest,
            },
            None if summary.bytes == 0 => Self::Whole(Cow::Borrowed(&[])),
            None => Self::Unknown { length: summary.bytes },
        }
    }
}

impl Body<'static> {
    /// A body of this length that a session has whole, of which only so much is held as can be
    /// compared.
    pub(crate) fn stored(session: &Session, name: &Digest, length: u64) -> io::Result<Self> {
        if length <= WHOLE {
            return session.body(name).map(|octets| Self::Whole(Cow::Owned(octets)));
        }
        let mut body = session.open_body(name)?;
        let (mut block, mut beginning) = (vec![0; BEGINNING], Vec::new());
        let mut hasher = blake3::Hasher::new();
        loop {
            let count = match body.read(&mut block)? {
                0 => break,
                count => count,
            };
            hasher.update(&block[..count]);
            let room = BEGINNING - beginning.len();
            beginning.extend_from_slice(&block[..count.min(room)]);
        }
        // Where something may stand for a secret behind the beginning, the hash says nothing.
        let hashed = !session.about().redacted;
        let digest = hashed.then(|| Digest::blake3(*hasher.finalize().as_bytes()));
        let octets = Cow::Owned(beginning);
        Ok(Self::Beginning { octets, length: Some(length), digest })
    }
}

impl Body<'_> {
    /// The same as far as it goes: the client left before its end.
    pub(crate) fn cut_short(self) -> Self {
        match self {
            Self::Whole(octets) | Self::Beginning { octets, .. } => {
                Self::Beginning { octets, length: None, digest: None }
            }
            other => other,
        }
    }

    fn length(&self) -> Option<u64> {
        match self {
            Self::None => None,
            Self::Whole(octets) => Some(octets.len() as u64),
            Self::Beginning { length, .. } => *length,
            Self::Unknown { length } => Some(*length),
        }
    }

    fn octets(&self) -> &[u8] {
        match self {
            Self::Whole(octets) | Self::Beginning { octets, .. } => octets,
            Self::None | Self::Unknown { .. } => &[],
        }
    }

    /// Its hash in the algorithm of another.
    fn digest(&self, like: &Digest) -> Option<Digest> {
        use consoletap_flow::DigestAlgorithm::{Blake3, Sha256};
        match (self, like.algorithm) {
            (Self::Whole(octets), Blake3) => Some(Digest::blake3(*blake3::hash(octets).as_bytes())),
            (Self::Whole(octets), Sha256) => Some(sha256(octets)),
            (Self::Beginning { digest, .. }, algorithm) => {
                digest.filter(|digest| digest.algorithm == algorithm)
            }
            _ => None,
        }
    }
}

pub(crate) fn sha256(octets: &[u8]) -> Digest {
    let mut hash = [0; 32];
    let computed = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, octets);
    // SHA-256 has 32 octets; `zip` cannot panic on another length.
    hash.iter_mut().zip(computed.as_ref()).for_each(|(to, from)| *to = *from);
    Digest::sha256(hash)
}

/// Compares the bodies of two answers.
pub(super) fn compare(recorded: &Reply<'_>, live: &Reply<'_>, found: &mut Comparison) {
    match (&recorded.body, &live.body) {
        (Body::None, _) | (_, Body::None) => {
            found.differences.extend(field(
                "content-length",
                &recorded.head.headers,
                &live.head.headers,
            ));
        }
        (Body::Unknown { length }, came) => {
            found.remarks.push("the session has nothing of the body".to_owned());
            length_differs(Some(*length), came.length(), found);
        }
        (Body::Whole(before), Body::Whole(after)) => {
            let before = content::uncoded(&recorded.head.headers, before);
            let after = content::uncoded(&live.head.headers, after);
            content::compare(recorded.head, &before, &after, found);
        }
        (before, after) => beginnings(before, after, found),
    }
}

/// Whether two lengths differ, where both are known.
fn length_differs(before: Option<u64>, after: Option<u64>, found: &mut Comparison) -> bool {
    let (Some(before), Some(after)) = (before, after) else { return false };
    if before != after {
        let told = |length: u64| Some(format!("{length} bytes"));
        found.differences.push(Difference::new("body", told(before), told(after)));
    }
    before != after
}

/// Bodies of which one is there in part: by their hashes, where there are two of a kind, and else as
/// far as both go.
fn beginnings(recorded: &Body<'_>, live: &Body<'_>, found: &mut Comparison) {
    let (mut before, after) = (recorded.octets(), live.octets());
    let digests = match (recorded, live) {
        (Body::Beginning { digest: Some(digest), .. }, _) => {
            live.digest(digest).map(|came| came == *digest)
        }
        (_, Body::Beginning { digest: Some(digest), .. }) => {
            recorded.digest(digest).map(|then| then == *digest)
        }
        _ => None,
    };
    if digests == Some(true) {
        return;
    }
    // What a secret was replaced in has another length, and goes on with other octets behind it.
    let secret = stand_ins(before).next();
    if let Some(secret) = &secret {
        before = &before[..secret.start];
    } else if length_differs(recorded.length(), live.length(), found) {
        return;
    }
    let common = before.len().min(after.len());
    if before[..common] != after[..common] {
        found.differences.push(content::octets(&before[..common], &after[..common]));
    } else if digests == Some(false) && secret.is_none() {
        let told = |what: &str| Some(what.to_owned());
        found.differences.push(Difference::new(
            format!("body behind byte {common}"),
            told("what was recorded"),
            told("something else (the hash is another one)"),
        ));
    } else {
        let (of, why) = match (recorded.length(), secret) {
            (Some(length), None) => (format!(" of {length}"), "no more was kept"),
            (Some(length), Some(_)) => (format!(" of {length}"), "then there is a secret"),
            (None, _) => (String::new(), "the console left before its end"),
        };
        found.remarks.push(format!("of the body {common}{of} bytes were compared: {why}"));
    }
}
