//! Points in time and durations, as flows carry them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

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
        write!(f, "{:.6}", self.calendar())
    }
}

impl FromStr for Timestamp {
    type Err = jiff::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(text.parse::<jiff::Timestamp>()?.into())
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
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

    #[test]
    fn a_clock_that_went_back_gives_no_time_at_all() {
        assert_eq!(Timestamp(5).since(Timestamp(9)), Duration::ZERO);
    }
}
