//! What differs between a recorded answer and one that came now: the status, the fields that
//! matter, and the body by what it says.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use consoletap_content::{End, decode, kind};
use consoletap_documents::{Document, Field};
use consoletap_flow::{BodyCopy, BodySummary, Digest, Headers, ResponseHead};
use consoletap_redact::stand_ins;
use similar::{DiffOp, TextDiff};

use crate::structure::Flat;

/// Fields that say something of the resource and not of the moment, the server or the way.
const USUAL: [&str; 12] = [
    "accept-ranges",
    "allow",
    "cache-control",
    "content-disposition",
    "content-language",
    "content-range",
    "content-type",
    "link",
    "location",
    "set-cookie",
    "www-authenticate",
    "x-organization",
];

/// A larger body is compared octet by octet, without its codings undone.
const LARGEST_DECODED: usize = 16 << 20;

/// Around a place where octets part, so many are shown.
const SHOWN_OCTETS: usize = 24;

/// The header fields that are compared.
#[derive(Debug, Clone)]
pub struct Fields(BTreeSet<String>);

impl Default for Fields {
    fn default() -> Self {
        Self(USUAL.map(str::to_owned).into())
    }
}

impl Fields {
    /// The same with one more.
    #[must_use]
    pub fn with(mut self, name: &str) -> Self {
        self.0.insert(name.trim().to_ascii_lowercase());
        self
    }

    /// The same without one.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.0.remove(&name.trim().to_ascii_lowercase());
        self
    }
}

/// An answer to compare.
#[derive(Debug, Clone)]
pub(crate) struct Reply<'a> {
    pub(crate) head: &'a ResponseHead,
    pub(crate) body: Body<'a>,
}

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

/// Where two answers differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// `status`, the name of a field, or a place in the body.
    pub place: String,
    /// What was recorded; nothing where it was not there.
    pub before: Option<String>,
    /// What came.
    pub after: Option<String>,
}

/// What comparing two answers came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Comparison {
    /// What the body is, where its format is known: `an update list`.
    pub document: Option<&'static str>,
    /// Where they differ; nothing where they say the same.
    pub differences: Vec<Difference>,
    /// What could not be compared, in words for a person.
    pub remarks: Vec<String>,
}

impl Difference {
    pub(crate) fn new(
        place: impl Into<String>,
        before: Option<impl Into<String>>,
        after: Option<impl Into<String>>,
    ) -> Self {
        let (before, after) = (before.map(Into::into), after.map(Into::into));
        Self { place: place.into(), before, after }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, before, after } = self;
        match (before, after) {
            (Some(before), Some(after)) => write!(f, "{place}: {before} became {after}"),
            (Some(before), None) => write!(f, "{place}: {before} is gone"),
            (None, Some(after)) => write!(f, "{place}: {after} is new"),
            (None, None) => f.write_str(place),
        }
    }
}

/// Compares a recorded answer with one that came now.
pub(crate) fn compare(recorded: &Reply<'_>, live: &Reply<'_>, fields: &Fields) -> Comparison {
    let mut found = Comparison::default();
    let (before, after) = (recorded.head, live.head);
    if before.status != after.status {
        let status = |head: &ResponseHead| Some(head.status.to_string());
        found.differences.push(Difference::new("status", status(before), status(after)));
    }
    for name in &fields.0 {
        found.differences.extend(field(name, &before.headers, &after.headers));
    }
    bodies(recorded, live, &mut found);
    found
}

/// Whether a value came as it was recorded, where anything may come for a secret.
pub(crate) fn fits(recorded: &str, came: &str) -> bool {
    let mut rest = came;
    let mut from = 0;
    for place in stand_ins(recorded.as_bytes()) {
        let literal = &recorded[from..place.start];
        let at =
            if from == 0 { rest.starts_with(literal).then_some(0) } else { rest.find(literal) };
        let Some(at) = at else { return false };
        rest = &rest[at + literal.len()..];
        from = place.end;
    }
    if from == 0 { recorded == came } else { rest.ends_with(&recorded[from..]) }
}

fn field(name: &str, before: &Headers, after: &Headers) -> Option<Difference> {
    let (old, new) = (value(name, before), value(name, after));
    match (&old, &new) {
        (None, None) => return None,
        // A challenge holds a nonce, which is another one each time (RFC 7616 3.3).
        (Some(_), Some(_)) if name == "www-authenticate" => return None,
        (Some(old), Some(new)) if fits(old, new) => return None,
        _ => {}
    }
    Some(Difference::new(name, old, new))
}

/// All values of a field; of cookies their names, since their values are made for the moment.
fn value(name: &str, headers: &Headers) -> Option<String> {
    let is_cookie = name == "set-cookie";
    let shown = |value: &bytes::Bytes| {
        let value = String::from_utf8_lossy(value).into_owned();
        match value.split_once('=') {
            Some((name, _)) if is_cookie => name.trim().to_owned(),
            _ => value,
        }
    };
    let mut values: Vec<_> = headers.all(name).map(shown).collect();
    if is_cookie {
        values.sort();
    }
    (!values.is_empty()).then(|| values.join(", "))
}

fn bodies(recorded: &Reply<'_>, live: &Reply<'_>, found: &mut Comparison) {
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
            let before = uncoded(&recorded.head.headers, before);
            let after = uncoded(&live.head.headers, after);
            content(recorded.head, &before, &after, found);
        }
        (before, after) => beginnings(before, after, found),
    }
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
    let digests = match recorded {
        Body::Beginning { digest: Some(digest), .. } => {
            live.digest(digest).map(|came| came == *digest)
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
        found.differences.push(octets(&before[..common], &after[..common]));
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

/// A body without its codings, where they can be undone.
fn uncoded<'a>(headers: &Headers, octets: &'a [u8]) -> Cow<'a, [u8]> {
    let coding = headers.text("content-encoding").unwrap_or_default();
    match decode(octets, coding, LARGEST_DECODED) {
        Ok(decoded) if decoded.end == End::Whole => decoded.octets,
        _ => Cow::Borrowed(octets),
    }
}

/// Whole bodies: by structure, by the fields of a document, line by line, or octet by octet.
fn content(head: &ResponseHead, before: &[u8], after: &[u8], found: &mut Comparison) {
    if before == after {
        return;
    }
    let documents = (Document::recognise(None, before), Document::recognise(None, after));
    if let (Ok(one), Ok(other)) = &documents
        && one.format() == other.format()
    {
        found.document = Some(one.format().description());
    }
    if let (Some(one), Some(other)) = (Flat::of(before), Flat::of(after)) {
        found.differences.extend(one.differences(&other));
        return;
    }
    if let (Ok(one), Ok(other), Some(_)) = (&documents.0, &documents.1, found.document) {
        let fields = Field::all().filter_map(|field| {
            let (old, new) = (values(one, field), values(other, field));
            let same = match (&old, &new) {
                (Some(old), Some(new)) => fits(old, new),
                (old, new) => old == new,
            };
            (!same).then(|| Difference::new(field.name(), old, new))
        });
        let differences: Vec<_> = fields.collect();
        if !differences.is_empty() {
            found.differences.extend(differences);
            return;
        }
    }
    let is_text = kind(head.headers.text("content-type"), before).is_text();
    match (std::str::from_utf8(before), std::str::from_utf8(after)) {
        (Ok(before), Ok(after)) if is_text => lines(before, after, found),
        _ => found.differences.push(octets(before, after)),
    }
}

fn values(document: &Document<'_>, field: Field) -> Option<String> {
    let values = document.values(field);
    (!values.is_empty()).then(|| values.join(", "))
}

fn lines(before: &str, after: &str, found: &mut Comparison) {
    if fits(before, after) {
        return;
    }
    let diff = TextDiff::from_lines(before, after);
    let (old, new) = (diff.old_slices(), diff.new_slices());
    let text = |lines: &[&str]| {
        (!lines.is_empty()).then(|| format!("{:?}", lines.concat().trim_end_matches(['\r', '\n'])))
    };
    for op in diff.ops().iter().filter(|op| !matches!(op, DiffOp::Equal { .. })) {
        let (old_lines, new_lines) = (&old[op.old_range()], &new[op.new_range()]);
        let number = op.old_range().start + 1;
        if old_lines.len() == new_lines.len() && fits(&old_lines.concat(), &new_lines.concat()) {
            continue;
        }
        let place = format!("body line {number}");
        found.differences.push(Difference::new(place, text(old_lines), text(new_lines)));
    }
}

/// Where two bodies that are no documents part.
fn octets(before: &[u8], after: &[u8]) -> Difference {
    let at = before.iter().zip(after).take_while(|(one, other)| one == other).count();
    let around = |body: &[u8]| {
        let shown = body[at..(at + SHOWN_OCTETS).min(body.len())].escape_ascii().to_string();
        let more = if at + SHOWN_OCTETS < body.len() { "…" } else { "" };
        Some(format!("\"{shown}\"{more} ({} bytes in all)", body.len()))
    };
    Difference::new(format!("body from byte {at} on"), around(before), around(after))
}

#[cfg(test)]
mod tests {
    use consoletap_flow::{Header, Version};

    use super::*;

    fn head(status: u16, fields: &[(&'static str, &'static str)]) -> ResponseHead {
        let headers: Headers =
            fields.iter().map(|(name, value)| Header::new(*name, *value).unwrap()).collect();
        ResponseHead { status, reason: "".into(), version: Version::Http11, headers }
    }

    fn compared(one: (&ResponseHead, Body<'_>), other: (&ResponseHead, Body<'_>)) -> Comparison {
        let reply = |(head, body)| Reply { head, body };
        compare(&reply(one), &reply(other), &Fields::default())
    }

    fn whole(octets: &[u8]) -> Body<'_> {
        Body::Whole(Cow::Borrowed(octets))
    }

    fn told(one: (&ResponseHead, &[u8]), other: (&ResponseHead, &[u8])) -> Vec<String> {
        let found = compared((one.0, whole(one.1)), (other.0, whole(other.1)));
        found.differences.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_only_the_moment_changes_is_no_difference() {
        let before = head(200, &[("Date", "Mon"), ("ETag", "a"), ("Content-Type", "text/xml")]);
        let after = head(200, &[("content-type", "text/xml"), ("Date", "Tue"), ("Server", "x")]);
        assert!(told((&before, b"<a/>"), (&after, b"<a></a>")).is_empty());
        let cookie = |value| head(200, &[("Set-Cookie", value)]);
        let (one, other) = (cookie("s=1; Path=/"), cookie("s=2"));
        assert!(told((&one, b""), (&other, b"")).is_empty());
        assert_eq!(told((&one, b""), (&cookie("t=1"), b"")), ["set-cookie: s became t"]);
    }

    #[test]
    fn what_differs_is_told() {
        let before = head(200, &[("Content-Type", "text/xml")]);
        let after = head(404, &[("Content-Type", "text/html"), ("Location", "/x")]);
        assert_eq!(
            told((&before, b"abc\xff"), (&after, b"abd")),
            [
                "status: 200 became 404",
                "content-type: text/xml became text/html",
                "location: /x is new",
                "body from byte 2 on: \"c\\xff\" (4 bytes in all) became \"d\" (3 bytes in all)",
            ]
        );
        let plain = head(200, &[("Content-Type", "text/plain")]);
        assert_eq!(
            told((&plain, b"a\nb\nredacted-abcdefghij\n"), (&plain, b"a\nc\ngeheim\n")),
            ["body line 2: \"b\\nredacted-abcdefghij\" became \"c\\ngeheim\""]
        );
        assert!(told((&plain, b"a\nredacted-abcdefghij\n"), (&plain, b"a\ngeheim\n")).is_empty());
    }

    #[test]
    fn documents_are_compared_by_their_fields() {
        let list = "# EU\r\nDest=85;CompatibleSystemSoftwareVersion=4.8100-;\r\nDest=85;\
                    ImageVersion=000104e2;SystemSoftwareVersion=4.8100;\
                    CDN=http://d/PS3UPDAT.PUP;CDN_Timeout=30;\r\n";
        let newer = list.replace("SystemSoftwareVersion=4.8100;", "SystemSoftwareVersion=4.9000;");
        let plain = head(200, &[("Content-Type", "text/plain")]);
        let found = compared((&plain, whole(list.as_bytes())), (&plain, whole(newer.as_bytes())));
        assert_eq!(found.document, Some("an update list"));
        let told: Vec<_> = found.differences.iter().map(ToString::to_string).collect();
        assert_eq!(told, ["updatelist.offer: 4.8100 became 4.9000"]);
    }

    #[test]
    fn a_body_kept_in_part_is_compared_as_far_as_it_goes() {
        let ok = head(200, &[]);
        let part = |octets: &'static [u8], length: u64, digest| Body::Beginning {
            octets: Cow::Borrowed(octets),
            length: Some(length),
            digest,
        };
        let whole_digest = Digest::blake3(*blake3::hash(b"abcdef").as_bytes());
        let same = compared((&ok, part(b"abc", 6, Some(whole_digest))), (&ok, whole(b"abcdef")));
        assert_eq!(same, Comparison::default());
        let told = |one: Body<'_>, other: Body<'_>| {
            let Comparison { differences, remarks, .. } = compared((&ok, one), (&ok, other));
            let told = differences.iter().map(ToString::to_string);
            told.chain(remarks).collect::<Vec<_>>()
        };
        assert_eq!(
            told(part(b"abc", 6, None), whole(b"abcdef")),
            ["of the body 3 of 6 bytes were compared: no more was kept"]
        );
        assert_eq!(told(part(b"abc", 6, None), whole(b"abcde")), ["body: 6 bytes became 5 bytes"]);
        assert!(
            told(part(b"abc", 6, None), whole(b"abXdef"))[0].starts_with("body from byte 2 on")
        );
        assert_eq!(
            told(part(b"abc", 6, Some(whole_digest)), whole(b"abcdeX")),
            [
                "body behind byte 3: what was recorded became something else (the hash is another one)"
            ]
        );
        assert_eq!(
            told(part(b"a=redacted-abcdefghij", 99, None), whole(b"a=x")),
            ["of the body 2 of 99 bytes were compared: then there is a secret"]
        );
    }

    #[test]
    fn of_an_answer_that_the_console_left_the_beginning_counts() {
        let ok = head(200, &[]);
        let found = compared((&ok, whole(b"abc").cut_short()), (&ok, whole(b"abcdef").cut_short()));
        assert_eq!(found.differences, []);
        assert_eq!(
            found.remarks,
            ["of the body 3 bytes were compared: the console left before its end"]
        );
    }

    #[test]
    fn anything_may_come_for_a_secret_and_nothing_else() {
        let secret = "redacted-abcdefghij";
        for (recorded, came, fit) in [
            ("a", "a", true),
            ("a", "b", false),
            (&*format!("x={secret};y"), "x=1;y", true),
            (&*format!("x={secret};y"), "x=1;z", false),
            (&*format!("x={secret};y"), "z=1;y", false),
            (&*format!("{secret}{secret}"), "", true),
            (&*format!("{secret} and {secret}"), "one and two", true),
            (&*format!("{secret} and {secret}"), "one or two", false),
        ] {
            assert_eq!(fits(recorded, came), fit, "{recorded} {came}");
        }
    }

    proptest::proptest! {
        #[test]
        fn nothing_panics_and_the_same_is_the_same(one: Vec<u8>, other: Vec<u8>) {
            let ok = head(200, &[("content-type", "text/plain")]);
            proptest::prop_assert!(told((&ok, &one), (&ok, &one)).is_empty());
            proptest::prop_assert_eq!(told((&ok, &one), (&ok, &other)).is_empty(), one == other);
        }
    }
}
