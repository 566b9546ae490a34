//! What differs between a recorded answer and one that came now: the status, the fields that
//! matter, and the body by what it says.

mod body;
mod content;
mod fields;
mod structure;

use std::fmt;

use consoletap_flow::ResponseHead;

pub(crate) use body::{Body, sha256};
pub use fields::Fields;

/// An answer to compare.
#[derive(Debug, Clone)]
pub(crate) struct Reply<'a> {
    pub(crate) head: &'a ResponseHead,
    pub(crate) body: Body<'a>,
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
    found.differences.extend(fields.differences(&before.headers, &after.headers));
    body::compare(recorded, live, &mut found);
    found
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use consoletap_flow::{Digest, Header, Headers, Version};

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
        let hashed = || part(b"abc", 6, Some(whole_digest));
        for (one, other) in
            [(hashed(), whole(b"abcdef")), (whole(b"abcdef"), hashed()), (hashed(), hashed())]
        {
            assert_eq!(compared((&ok, one), (&ok, other)), Comparison::default());
        }
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

    proptest::proptest! {
        #[test]
        fn nothing_panics_and_the_same_is_the_same(one: Vec<u8>, other: Vec<u8>) {
            let ok = head(200, &[("content-type", "text/plain")]);
            proptest::prop_assert!(told((&ok, &one), (&ok, &one)).is_empty());
            proptest::prop_assert_eq!(told((&ok, &one), (&ok, &other)).is_empty(), one == other);
        }
    }
}
