//! Points in time and durations, as flows carry them.

mod plain;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::text::parsed;

/// A point in time: microseconds since 1970-01-01T00:00:00Z. Text form is RFC 3339 in UTC with
/// six digits after the point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// How long after `earlier` this is; zero when the clock went back between the two.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The same point for calendar arithmetic; the epoch where it is out of range.
    #[must_use]
    pub fn calendar(self) -> jiff::Timestamp {
        jiff::Timestamp::from_microsecond(self.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH)
    }
}

impl From<jiff::Timestamp> for Timestamp {
    fn from(stamp: jiff::Timestamp) -> Self {
        Self(stamp.as_microsecond())
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match plain::write(*self) {
            Some(text) => f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?),
            None => write!(f, "{:.6}", self.calendar()),
        }
    }
}

impl FromStr for Timestamp {
    type Err = jiff::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match plain::read(text) {
            Some(stamp) => Ok(stamp),
            None => Ok(text.parse::<jiff::Timestamp>()?.into()),
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match plain::write(*self).as_ref().map(|text| std::str::from_utf8(text)) {
            Some(Ok(text)) => serializer.serialize_str(text),
            _ => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer)
    }
}

/// How long the parts of an exchange took, in microseconds. Absent where it did not happen (a
/// kept connection was used) or was not seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Timings {
    /// Looking the name up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns: Option<u64>,
    /// The TCP handshake with the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect: Option<u64>,
    /// The TLS handshake with the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<u64>,
    /// From the request handed over to the first byte of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait: Option<u64>,
    /// From the first byte of the answer to its last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receive: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_reads_back_what_it_writes() {
        let stamp = Timestamp(1_795_466_577_000_042);
        assert_eq!(stamp.to_string().parse::<Timestamp>().unwrap(), stamp);
        assert!(stamp.to_string().ends_with(".000042Z"), "{stamp}");
    }

    proptest::proptest! {
        #[test]
        fn the_plain_form_is_the_one_of_every_form(
            micros in -62_000_000_000_000_000_i64..253_000_000_000_000_000,
        ) {
            let stamp = Timestamp(micros);
            let text = format!("{:.6}", stamp.calendar());
            proptest::prop_assert_eq!(stamp.to_string(), text.as_str());
            proptest::prop_assert_eq!(text.parse::<Timestamp>().unwrap(), stamp);
        }
    }

    #[test]
    fn other_forms_are_read_too_and_what_is_no_time_is_refused() {
        let plain: Timestamp = "2026-11-23T20:43:00.000000Z".parse().unwrap();
        for other in ["2026-11-23T20:43:00Z", "2026-11-23T21:43:00.000000+01"] {
            assert_eq!(other.parse::<Timestamp>().unwrap(), plain, "{other}");
        }
        for none in ["", "2026-13-23T20:43:00.000000Z", "2026-11-23T20:43:00.00000xZ", "now"] {
            assert!(none.parse::<Timestamp>().is_err(), "{none}");
        }
        let far = Timestamp(-63_000_000_000_000_000);
        assert_eq!(far.to_string().parse::<Timestamp>().unwrap(), far);
    }

    #[test]
    fn a_clock_that_went_back_gives_no_time_at_all() {
        assert_eq!(Timestamp(5).since(Timestamp(9)), Duration::ZERO);
    }
}
