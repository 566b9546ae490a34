//! Which part of a representation an answer has: preconditions and ranges, as RFC 9110 sections 13
//! and 14 want them of the server that has the representation. Pure.

use std::ops::Range;
use std::time::{Duration, SystemTime};

use consoletap_flow::Headers;

/// Ranges that one request may ask for; who wants more is up to no good, or broken.
const MAX_RANGES: usize = 64;

/// What is known of a representation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Representation<'r> {
    /// In octets.
    pub(crate) length: u64,
    /// Its entity tag, as it stands in the field.
    pub(crate) etag: Option<&'r str>,
    /// When it was changed last.
    pub(crate) modified: Option<SystemTime>,
}

/// What the client gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Selected {
    /// 200: all of it.
    Whole,
    /// 206: these parts, in the order in which they were asked for.
    Parts(Vec<Range<u64>>),
    /// 304: what it has is good.
    NotModified,
    /// 412
    PreconditionFailed,
    /// 416
    Unsatisfiable,
}

/// What a request gets of a representation. Conditions and ranges of methods other than GET and
/// HEAD are not looked at: what they would mean is up to the server that was asked.
pub(crate) fn select(
    method: &str,
    fields: &Headers,
    of: &Representation<'_>,
    now: SystemTime,
) -> Selected {
    if !matches!(method, "GET" | "HEAD") {
        return Selected::Whole;
    }
    // In the order of RFC 9110 13.2.2.
    if fields.contains("if-match") {
        if !any_tag(fields, "if-match", |tag| of.etag.is_some_and(|own| strong(tag, own))) {
            return Selected::PreconditionFailed;
        }
    } else if let (Some(date), Some(modified)) = (date(fields, "if-unmodified-since"), of.modified)
        && seconds(modified) > seconds(date)
    {
        return Selected::PreconditionFailed;
    }
    if fields.contains("if-none-match") {
        if any_tag(fields, "if-none-match", |tag| of.etag.is_some_and(|own| weak(tag, own))) {
            return Selected::NotModified;
        }
    } else if let (Some(date), Some(modified)) = (date(fields, "if-modified-since"), of.modified)
        && seconds(modified) <= seconds(date)
    {
        return Selected::NotModified;
    }
    // 14.2: for HEAD no range is defined.
    if method == "HEAD" || !fields.contains("range") || !if_range(fields, of, now) {
        return Selected::Whole;
    }
    ranges(fields, of.length)
}

/// Whether `If-Range` allows a part (13.1.5): only a strong validator that is the very same.
fn if_range(fields: &Headers, of: &Representation<'_>, now: SystemTime) -> bool {
    let mut values = fields.all("if-range");
    let Some(value) = values.next() else { return true };
    let Ok(value) = std::str::from_utf8(value) else { return false };
    if values.next().is_some() {
        return false;
    }
    let value = value.trim();
    if value.starts_with('"') || value.starts_with("W/") {
        return of.etag.is_some_and(|own| strong(value, own));
    }
    let (Ok(date), Some(modified)) = (httpdate::parse_http_date(value), of.modified) else {
        return false;
    };
    // 8.8.2.2: a date is strong once the second that it names is over.
    let settled = now.duration_since(modified).is_ok_and(|age| age >= Duration::from_secs(1));
    settled && seconds(date) == seconds(modified)
}

/// What a `Range` field means for so many octets. What is no range of bytes, or none that can be
/// read, is as if it were not there (14.2).
fn ranges(fields: &Headers, length: u64) -> Selected {
    let mut values = fields.all("range");
    let (Some(value), None) = (values.next(), values.next()) else { return Selected::Whole };
    let Some(asked) = std::str::from_utf8(value).ok().and_then(parse) else {
        return Selected::Whole;
    };
    if asked.len() > MAX_RANGES {
        return Selected::Unsatisfiable;
    }
    // An empty file cannot be sent in part, and all of it is what was asked for.
    if length == 0 && asked.iter().any(|range| matches!(range, Asked::Last(1..))) {
        return Selected::Whole;
    }
    let mut parts: Vec<Range<u64>> = Vec::new();
    for range in asked.iter().filter_map(|range| range.of(length)) {
        // Parts that touch are sent as one (15.3.7.2), so that no octet is sent twice.
        match parts.iter().position(|part| part.start <= range.end && range.start <= part.end) {
            None => parts.push(range),
            Some(index) => {
                let mut joined = range;
                let mut place = index;
                // A range can join parts that did not touch each other before.
                let mut at = parts.len();
                while at > 0 {
                    at -= 1;
                    let part = parts[at].clone();
                    if part.start <= joined.end && joined.start <= part.end {
                        joined = part.start.min(joined.start)..part.end.max(joined.end);
                        parts.remove(at);
                        place = place.min(at);
                        at = parts.len();
                    }
                }
                parts.insert(place.min(parts.len()), joined);
            }
        }
    }
    if parts.is_empty() { Selected::Unsatisfiable } else { Selected::Parts(parts) }
}

/// A range as it was asked for (14.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    From(u64),
    Between(u64, u64),
    Last(u64),
}

impl Asked {
    /// The octets of a representation of this length; `None` where there are none.
    fn of(self, length: u64) -> Option<Range<u64>> {
        let range = match self {
            Self::From(first) => first..length,
            Self::Between(first, last) => first..length.min(last.saturating_add(1)),
            Self::Last(count) => length.saturating_sub(count)..length,
        };
        (range.start < range.end).then_some(range)
    }
}

fn parse(value: &str) -> Option<Vec<Asked>> {
    let (unit, set) = value.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let specs = set.split(',').map(str::trim).filter(|spec| !spec.is_empty());
    let asked: Vec<Asked> = specs.map(spec).collect::<Option<_>>()?;
    (!asked.is_empty()).then_some(asked)
}

fn spec(spec: &str) -> Option<Asked> {
    let (first, last) = spec.split_once('-')?;
    match (first, last) {
        ("", count) => number(count).map(Asked::Last),
        (first, "") => number(first).map(Asked::From),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then_some(Asked::Between(first, last))
        }
    }
}

/// Digits; what no `u64` can hold lies behind the end of everything.
fn number(digits: &str) -> Option<u64> {
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().unwrap_or(u64::MAX))
}

/// Whether a list of entity tags is `*`, or one of them fits.
fn any_tag(fields: &Headers, name: &str, fits: impl Fn(&str) -> bool) -> bool {
    fields
        .all(name)
        .filter_map(|value| std::str::from_utf8(value).ok())
        .any(|value| value.trim() == "*" || tags(value).any(&fits))
}

/// The tags of a list. A comma may stand within a tag.
fn tags(mut list: &str) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        list = list.trim_start_matches([' ', '\t', ',']);
        let open = list.find('"').filter(|&open| matches!(&list[..open], "" | "W/"))?;
        let close = list[open + 1..].find('"')? + open + 2;
        let (tag, rest) = list.split_at(close);
        list = rest;
        Some(tag)
    })
}

/// 8.8.3.2
fn strong(a: &str, b: &str) -> bool {
    a == b && !a.starts_with("W/")
}

fn weak(a: &str, b: &str) -> bool {
    a.trim_start_matches("W/") == b.trim_start_matches("W/")
}

/// The date of a field; one that is no date is as if it were not there (13.1.3).
fn date(fields: &Headers, name: &str) -> Option<SystemTime> {
    httpdate::parse_http_date(fields.text(name)?.trim()).ok()
}

/// Dates in fields have no parts of seconds.
fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use consoletap_flow::Header;

    const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const EARLIER: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
    const LATER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";

    fn selected(method: &str, length: u64, fields: &[(&'static str, &str)]) -> String {
        let fields: Headers =
            fields.iter().map(|(name, value)| Header::new(*name, value).unwrap()).collect();
        let modified = httpdate::parse_http_date(DATE).unwrap() + Duration::from_millis(300);
        let of = Representation { length, etag: Some("\"tag\""), modified: Some(modified) };
        match select(method, &fields, &of, SystemTime::now()) {
            Selected::Whole => "200".into(),
            Selected::NotModified => "304".into(),
            Selected::PreconditionFailed => "412".into(),
            Selected::Unsatisfiable => "416".into(),
            Selected::Parts(parts) => {
                let parts: Vec<String> =
                    parts.iter().map(|part| format!("{}-{}", part.start, part.end - 1)).collect();
                format!("206 {}", parts.join(" "))
            }
        }
    }

    #[test]
    fn ranges_are_read_as_their_standard_says() {
        let many = format!("bytes={}", vec!["1-1"; 65].join(","));
        let huge = "bytes=0-99999999999999999999999";
        for (range, expected) in [
            ("bytes=0-0", "206 0-0"),
            ("bytes=0-99", "206 0-99"),
            ("bytes=0-100", "206 0-99"),
            ("bytes=99-", "206 99-99"),
            ("bytes=100-", "416"),
            ("bytes=100-200", "416"),
            ("bytes=-1", "206 99-99"),
            ("bytes=-100", "206 0-99"),
            ("bytes=-1000", "206 0-99"),
            ("bytes=-0", "416"),
            ("bytes=0-", "206 0-99"),
            ("BYTES=5-6", "206 5-6"),
            ("bytes= 5-6 , 8-9", "206 5-6 8-9"),
            ("bytes=8-9,5-6", "206 8-9 5-6"),
            ("bytes=5-6,,8-9,", "206 5-6 8-9"),
            ("bytes=5-8,7-9", "206 5-9"),
            ("bytes=5-6,7-9", "206 5-9"),
            ("bytes=0-1,8-9,1-8", "206 0-9"),
            ("bytes=0-0,-1", "206 0-0 99-99"),
            ("bytes=200-300,5-6", "206 5-6"),
            ("bytes=200-300,-0", "416"),
            (huge, "206 0-99"),
            ("bytes=99999999999999999999999-", "416"),
            (&many, "416"),
            ("bytes=6-5", "200"),
            ("bytes=a-5", "200"),
            ("bytes=5", "200"),
            ("bytes=-", "200"),
            ("bytes=+1-2", "200"),
            ("bytes=0x1-2", "200"),
            ("bytes=", "200"),
            ("bytes 0-1", "200"),
            ("items=0-1", "200"),
            ("", "200"),
        ] {
            assert_eq!(selected("GET", 100, &[("Range", range)]), expected, "{range}");
        }
        for (range, expected) in [("bytes=0-", "416"), ("bytes=-5", "200"), ("bytes=-0", "416")] {
            assert_eq!(selected("GET", 0, &[("Range", range)]), expected, "{range} of nothing");
        }
        assert_eq!(selected("HEAD", 100, &[("Range", "bytes=0-1")]), "200");
        assert_eq!(selected("POST", 100, &[("Range", "bytes=0-1")]), "200");
        assert_eq!(selected("GET", 100, &[("Range", "bytes=0-1"), ("Range", "bytes=3-4")]), "200");
        let big = 1 << 40;
        assert_eq!(
            selected("GET", big, &[("Range", "bytes=1099511627775-")]),
            "206 1099511627775-1099511627775"
        );
    }

    #[test]
    fn conditions_are_asked_in_their_order() {
        for (fields, expected) in [
            (&[("If-Match", "\"tag\"")][..], "200"),
            (&[("If-Match", "\"x\", \"tag\"")], "200"),
            (&[("If-Match", "W/\"tag\"")], "412"),
            (&[("If-Match", "*")], "200"),
            (&[("If-Match", "\"x\"")], "412"),
            (&[("If-Match", "\"x\""), ("If-Unmodified-Since", LATER)], "412"),
            (&[("If-Unmodified-Since", DATE)], "200"),
            (&[("If-Unmodified-Since", EARLIER)], "412"),
            (&[("If-Unmodified-Since", "yesterday")], "200"),
            (&[("If-None-Match", "\"tag\"")], "304"),
            (&[("If-None-Match", "W/\"tag\"")], "304"),
            (&[("If-None-Match", "\"a,b\",\"tag\"")], "304"),
            (&[("If-None-Match", "*")], "304"),
            (&[("If-None-Match", "\"x\"")], "200"),
            (&[("If-None-Match", "\"x\""), ("If-Modified-Since", LATER)], "200"),
            (&[("If-Modified-Since", DATE)], "304"),
            (&[("If-Modified-Since", LATER)], "304"),
            (&[("If-Modified-Since", EARLIER)], "200"),
            (&[("If-Modified-Since", "0")], "200"),
            (&[("Range", "bytes=1-2"), ("If-None-Match", "\"tag\"")], "304"),
            (&[("Range", "bytes=1-2"), ("If-Match", "\"x\"")], "412"),
            (&[("Range", "bytes=1-2"), ("If-Range", "\"tag\"")], "206 1-2"),
            (&[("Range", "bytes=1-2"), ("If-Range", "W/\"tag\"")], "200"),
            (&[("Range", "bytes=1-2"), ("If-Range", "\"x\"")], "200"),
            (&[("Range", "bytes=1-2"), ("If-Range", DATE)], "206 1-2"),
            (&[("Range", "bytes=1-2"), ("If-Range", LATER)], "200"),
            (&[("Range", "bytes=1-2"), ("If-Range", EARLIER)], "200"),
            (&[("Range", "bytes=1-2"), ("If-Range", "tag")], "200"),
            (&[("Range", "bytes=200-"), ("If-Range", "\"x\"")], "200"),
            (&[("If-Range", "\"x\"")], "200"),
        ] {
            assert_eq!(selected("GET", 100, fields), expected, "{fields:?}");
        }
        assert_eq!(selected("HEAD", 100, &[("If-None-Match", "*")]), "304");
        assert_eq!(selected("POST", 100, &[("If-None-Match", "*")]), "200");
    }

    #[test]
    fn a_date_of_this_second_is_no_strong_validator() {
        let now = SystemTime::now();
        let date = httpdate::fmt_http_date(now);
        let fields: Headers = [("Range", "bytes=0-1".to_owned()), ("If-Range", date)]
            .into_iter()
            .map(|(name, value)| Header::new(name, value).unwrap())
            .collect();
        let of = Representation { length: 9, etag: None, modified: Some(now) };
        assert_eq!(select("GET", &fields, &of, now), Selected::Whole);
        let later = now + Duration::from_secs(2);
        let Selected::Parts(parts) = select("GET", &fields, &of, later) else { panic!("a part") };
        assert_eq!((parts.len(), parts[0].clone()), (1, 0..2));
    }

    proptest::proptest! {
        #[test]
        fn parts_lie_within_and_never_touch(
            range in "bytes=([0-9]{0,3}-[0-9]{0,3},?){1,8}", length in 0..500_u64,
        ) {
            let fields: Headers = [Header::new("Range", range).unwrap()].into_iter().collect();
            let of = Representation { length, etag: None, modified: None };
            if let Selected::Parts(mut parts) = select("GET", &fields, &of, SystemTime::now()) {
                parts.sort_by_key(|part| part.start);
                proptest::prop_assert!(!parts.is_empty());
                for pair in parts.windows(2) {
                    proptest::prop_assert!(pair[0].end < pair[1].start);
                }
                for part in parts {
                    proptest::prop_assert!(part.start < part.end && part.end <= length);
                }
            }
        }
    }
}
