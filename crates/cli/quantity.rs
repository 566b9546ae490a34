//! Sizes and spans of time as people type them: `500MB`, `2GiB`, `30d`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use consoletap_session::Sync;

/// A size in octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size(pub(crate) u64);

/// A span of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span(pub(crate) Duration);

/// When events are brought to the platter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SyncTime(pub(crate) Sync);

/// How much of a body larger than the usual is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Store {
    /// Nothing of any body
    None,
    /// Bodies up to 1 MiB, and the beginning of larger ones
    Head,
    /// Every body whole
    Full,
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (number, unit) = split(text);
        let factor = match unit.to_ascii_lowercase().as_str() {
            "" | "b" => Some(1),
            "k" | "kb" => Some(1000),
            "m" | "mb" => Some(1_000_000),
            "g" | "gb" => Some(1_000_000_000),
            "t" | "tb" => Some(1_000_000_000_000),
            "kib" => Some(1 << 10),
            "mib" => Some(1 << 20),
            "gib" => Some(1 << 30),
            "tib" => Some(1_u64 << 40),
            _ => None,
        };
        let octets = number.zip(factor).and_then(|(number, factor)| number.checked_mul(factor));
        octets.map(Self).ok_or_else(|| {
            format!("{text:?} is no size: write a number with its unit, as 500MB or 2GiB")
        })
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (number, unit) = split(text);
        let millis = match unit {
            "ms" => Some(1),
            "s" => Some(1000),
            "m" | "min" => Some(60_000),
            "h" => Some(3_600_000),
            "d" => Some(86_400_000),
            _ => None,
        };
        let span = number.zip(millis).and_then(|(number, millis)| number.checked_mul(millis));
        span.map(|millis| Self(Duration::from_millis(millis))).ok_or_else(|| {
            format!("{text:?} is no span of time: write a number with its unit, as 30d, 12h or 5s")
        })
    }
}

impl FromStr for SyncTime {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "always" => Ok(Self(Sync::Always)),
            "never" => Ok(Self(Sync::Never)),
            _ => match text.parse() {
                Ok(Span(span)) if !span.is_zero() => Ok(Self(Sync::Every(span))),
                _ => Err(format!("{text:?} is neither always, nor never, nor a time as 1s")),
            },
        }
    }
}

impl FromStr for Store {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "none" => Ok(Self::None),
            "head" => Ok(Self::Head),
            "full" => Ok(Self::Full),
            _ => Err(format!("{text:?} is none of none, head and full")),
        }
    }
}

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Head => "head",
            Self::Full => "full",
        })
    }
}

/// The number and its unit; no number where it is none that fits.
fn split(text: &str) -> (Option<u64>, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    (number.parse().ok(), unit.trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_spans_have_units() {
        let size = |text: &str| text.parse().ok().map(|Size(size)| size);
        assert_eq!(size("500MB"), Some(500_000_000));
        assert_eq!(size("2 GiB"), Some(2 << 30));
        assert_eq!(size("0"), Some(0));
        for wrong in ["", "GB", "1.5GB", "-1", "1XB", "99999999999999TB"] {
            assert_eq!(size(wrong), None, "{wrong}");
        }
        let span = |text: &str| text.parse().ok().map(|Span(span)| span.as_secs());
        assert_eq!((span("30d"), span("12h"), span("30")), (Some(2_592_000), Some(43_200), None));
    }

    #[test]
    fn syncing_is_always_never_or_at_a_time() {
        let sync = |text: &str| text.parse().ok().map(|SyncTime(sync)| sync);
        assert_eq!(sync("always"), Some(Sync::Always));
        assert_eq!(sync("never"), Some(Sync::Never));
        assert_eq!(sync("250ms"), Some(Sync::Every(Duration::from_millis(250))));
        assert_eq!((sync("0s"), sync("sometimes")), (None, None));
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,20}") {
            let _ = text.parse::<Size>();
            let _ = text.parse::<Span>();
            let _ = text.parse::<SyncTime>();
        }
    }
}
