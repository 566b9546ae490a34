//! Amounts as people write them in a rule file: `10m` bytes, `500ms`.

use std::fmt;
use std::time::Duration;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};

/// A number of bytes: `65536`, `"64k"`, `"10m"`, `"1g"`; k, m and g are 1024 and its powers, as in
/// filters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bytes(pub(crate) u64);

/// A time: `"500ms"`, `"2s"`, `"1m"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Time(pub(crate) Duration);

const BYTES: &str = "a number of bytes was expected, as 65536, \"64k\" or \"10m\"";
const TIME: &str = "a time was expected, as \"500ms\", \"2s\" or \"1m\"";
/// No console waits for longer, and nobody means it.
const LONGEST: Duration = Duration::from_secs(3600);

impl Bytes {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim().to_ascii_lowercase();
        let text = text.strip_suffix('b').unwrap_or(&text);
        let (digits, unit) = [("k", 1 << 10), ("m", 1 << 20), ("g", 1 << 30), ("t", 1 << 40)]
            .into_iter()
            .find_map(|(suffix, unit)| Some((text.strip_suffix(suffix)?, unit)))
            .unwrap_or((text, 1_u64));
        whole(digits)?.checked_mul(unit).map(Self)
    }
}

impl Time {
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim().to_ascii_lowercase();
        let (digits, unit) = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)]
            .into_iter()
            .find_map(|(suffix, unit)| Some((text.strip_suffix(suffix)?, unit)))?;
        let millis = match digits.split_once('.') {
            Some((before, after)) if after.len() <= 3 => {
                let thousandths = whole(before)? * 1000 + whole(&format!("{after:0<3}"))?;
                thousandths.checked_mul(unit)? / 1000
            }
            Some(_) => return None,
            None => whole(digits)?.checked_mul(unit)?,
        };
        Some(Self(Duration::from_millis(millis)))
    }
}

fn whole(digits: &str) -> Option<u64> {
    let digits = digits.trim();
    let plain = !digits.is_empty() && digits.len() < 16;
    (plain && digits.bytes().all(|byte| byte.is_ascii_digit())).then(|| digits.parse().ok())?
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl Visitor<'_> for Read {
            type Value = Bytes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of bytes, as 65536, \"64k\" or \"10m\"")
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Bytes, E> {
                u64::try_from(number).map(Bytes).map_err(|_| E::custom(BYTES))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Bytes, E> {
                Bytes::parse(text).ok_or_else(|| E::custom(BYTES))
            }
        }
        deserializer.deserialize_any(Read)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl Visitor<'_> for Read {
            type Value = Time;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time, as \"500ms\", \"2s\" or \"1m\"")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Time, E> {
                let time = Time::parse(text).ok_or_else(|| E::custom(TIME))?;
                if time.0 > LONGEST {
                    return Err(E::custom("this is longer than an hour, the longest there is"));
                }
                Ok(time)
            }
        }
        deserializer.deserialize_any(Read)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        if millis.is_multiple_of(1000) {
            write!(f, "{} s", millis / 1000)
        } else {
            write!(f, "{millis} ms")
        }
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, name) in [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")] {
            if self.0 >= unit && self.0.is_multiple_of(unit) {
                return write!(f, "{} {name}", self.0 / unit);
            }
        }
        match self.0 {
            1 => f.write_str("1 byte"),
            n => write!(f, "{n} bytes"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_as_people_write_them() {
        for (text, bytes) in [("0", 0), ("64k", 65536), ("10M", 10 << 20), ("1gb", 1 << 30)] {
            assert_eq!(Bytes::parse(text), Some(Bytes(bytes)), "{text}");
        }
        for bad in ["", "k", "-1", "1x", "1.5m", "99999999999999999999", "9999999999999g"] {
            assert_eq!(Bytes::parse(bad), None, "{bad}");
        }
        for (text, millis) in [("500ms", 500), ("2s", 2000), ("1.5s", 1500), ("1m", 60_000)] {
            assert_eq!(Time::parse(text), Some(Time(Duration::from_millis(millis))), "{text}");
        }
        for bad in ["", "2", "s", "-1s", "1.s5", "1.2345s"] {
            assert_eq!(Time::parse(bad), None, "{bad}");
        }
        assert_eq!(
            (Bytes(3 << 20).to_string(), Bytes(1).to_string()),
            ("3 MiB".into(), "1 byte".into())
        );
    }
}
