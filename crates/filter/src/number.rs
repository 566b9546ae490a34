//! Comparisons: `>10m`, `>=400`, `<2s`.

use std::time::Duration;

/// A comparison with a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    Less,
    AtMost,
    Equal,
    AtLeast,
    More,
}

impl Comparison {
    /// The comparison that a value begins with, and the rest.
    pub(crate) fn split(value: &str) -> Option<(Self, &str)> {
        [
            ("<=", Self::AtMost),
            (">=", Self::AtLeast),
            ("<", Self::Less),
            (">", Self::More),
            ("=", Self::Equal),
        ]
        .into_iter()
        .find_map(|(sign, comparison)| Some((comparison, value.strip_prefix(sign)?)))
    }

    pub(crate) fn holds<T: PartialOrd>(self, left: T, right: T) -> bool {
        match self {
            Self::Less => left < right,
            Self::AtMost => left <= right,
            Self::Equal => left == right,
            Self::AtLeast => left >= right,
            Self::More => left > right,
        }
    }
}

/// `10m` in bytes; k, m and g are 1024 and its powers, as the sizes of the log.
pub(crate) fn bytes(text: &str) -> Option<u64> {
    let text = text.to_ascii_lowercase();
    let text = text.strip_suffix('b').unwrap_or(&text);
    let (digits, unit) = match text.chars().last()? {
        'k' => (&text[..text.len() - 1], 1 << 10),
        'm' => (&text[..text.len() - 1], 1 << 20),
        'g' => (&text[..text.len() - 1], 1 << 30),
        _ => (text, 1),
    };
    whole(digits)?.checked_mul(unit)
}

/// `2s`, `500ms`, `5m`, `1.5s`, `2d`; seconds where there is no unit.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let text = text.to_ascii_lowercase();
    let (digits, unit) = [("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0), ("d", 86400.0)]
        .into_iter()
        .find_map(|(suffix, unit)| Some((text.strip_suffix(suffix)?, unit)))
        .unwrap_or((&text, 1.0));
    if !digits.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return None;
    }
    Duration::try_from_secs_f64(digits.parse::<f64>().ok()? * unit).ok()
}

/// Digits only: `str::parse` would take a leading plus.
pub(crate) fn whole(digits: &str) -> Option<u64> {
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_durations_have_units() {
        assert_eq!(bytes("10m"), Some(10 << 20));
        assert_eq!(bytes("2KB"), Some(2 << 10));
        assert_eq!(bytes("7"), Some(7));
        for bad in ["", "m", "+5", "1.5m", "99999999999g"] {
            assert_eq!(bytes(bad), None, "{bad}");
        }
        assert_eq!(duration("1.5s"), Some(Duration::from_millis(1500)));
        assert_eq!(duration("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(duration("2"), Some(Duration::from_secs(2)));
        for bad in ["", "s", "-1s", "1e9h", "nan", "infs"] {
            assert_eq!(duration(bad), None, "{bad}");
        }
    }
}
