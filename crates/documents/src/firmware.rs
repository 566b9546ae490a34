//! Versions of firmware, in the shapes in which consoles and lists write them.

use std::fmt;
use std::str::FromStr;

/// A version: what stands before the point, and three decimals of what stands behind it.
///
/// The same version is `1.50` in a user agent, `01.500.000` in an update list and `01500000` in
/// a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Firmware {
    major: u8,
    thousandths: u16,
}

/// Text that is no version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidFirmware(String);

impl fmt::Display for InvalidFirmware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is no version: write it as 9.00 or 09.000.000", self.0)
    }
}

impl std::error::Error for InvalidFirmware {}

impl Firmware {
    /// Version 0.00, older than any console's.
    pub const ZERO: Self = Self { major: 0, thousandths: 0 };

    /// A version of which a number holds two decimal digits in each byte: 0x05050000 is 5.05.
    pub(crate) fn from_packed(number: u32) -> Option<Self> {
        format!("{number:08x}").parse().ok()
    }

    /// The same number.
    pub(crate) fn packed(self) -> u32 {
        // Eight decimal digits read as hexadecimal ones fit 32 bits.
        u32::from_str_radix(&self.digits(), 16).unwrap_or_default()
    }

    /// `05050000`
    fn digits(self) -> String {
        format!("{:02}{:03}000", self.major, self.thousandths)
    }

    /// The version written with the separators and the numbers of digits of `shape`, which is
    /// some version of the list: `1.50` is `01.500.000` in the shape of `05.050.000`, and `1.50`
    /// in that of `5.05`.
    pub(crate) fn shaped_as(self, shape: &str) -> String {
        let parts: Vec<&str> = shape.split('.').collect();
        if parts.len() == 1 {
            return self.digits();
        }
        // `05.050.000` is filled up with zeros, a label is not: below `10.50` comes `9.00`.
        let is_padded = parts.len() > 2 || shape.starts_with("0") && parts[0].len() > 1;
        let width = if is_padded { parts[0].len() } else { 1 };
        let mut text = format!("{:0width$}", self.major);
        for (index, part) in parts.iter().enumerate().skip(1) {
            let decimals = if index == 1 { self.thousandths } else { 0 };
            text.push('.');
            text.push_str(&padded(&format!("{decimals:03}"), part.len()));
        }
        text
    }
}

/// The decimals cut or filled up with zeros to this many.
fn padded(decimals: &str, width: usize) -> String {
    format!("{:0<width$}", &decimals[..decimals.len().min(width)])
}

/// The text of an attribute with a zero for every digit, hexadecimal ones of numbers included:
/// the same format and length, and no version is older. References (`&lt;`) stay; those that
/// are numbers can hide a digit and become a zero.
pub(crate) fn zeroed(raw: &str) -> String {
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(c) = rest.chars().next() {
        let reference = if c == '&' { rest.find(';') } else { None };
        let end = reference.map_or_else(|| c.len_utf8(), |semicolon| semicolon + 1);
        let (piece, after) = rest.split_at(end);
        match c {
            '&' if !piece.starts_with("&#") => text.push_str(piece),
            '&' => text.push('0'),
            c if c.is_ascii_hexdigit() => text.push('0'),
            c => text.push(c),
        }
        rest = after;
    }
    text
}

/// Whether a version says nothing but zero.
pub(crate) fn is_zero(text: &str) -> bool {
    text.chars().all(|c| !c.is_alphanumeric() || c == '0')
}

impl FromStr for Firmware {
    type Err = InvalidFirmware;

    /// Reads `1.50`, `1.501`, `11.520`, `05.050.000` and `03730000`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidFirmware(text.to_owned());
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        let (major, decimals) = match text.split('.').collect::<Vec<_>>()[..] {
            [packed] if packed.len() == 8 && digits(packed) => (&packed[..2], &packed[2..5]),
            [major, decimals] => (major, decimals),
            [major, decimals, build]
                if decimals.len() == 3 && build.len() == 3 && digits(build) =>
            {
                (major, decimals)
            }
            _ => return Err(invalid()),
        };
        // Four decimals are the PS3's, as 4.8100.
        if !digits(major) || !digits(decimals) || major.len() > 2 || decimals.len() > 4 {
            return Err(invalid());
        }
        Ok(Self {
            major: major.parse().map_err(|_| invalid())?,
            thousandths: padded(decimals, 3).parse().map_err(|_| invalid())?,
        })
    }
}

impl fmt::Display for Firmware {
    /// As on the console's screen: `1.50`, and `1.501` where the third decimal says something.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.thousandths.is_multiple_of(10) {
            write!(f, "{}.{:02}", self.major, self.thousandths / 10)
        } else {
            write!(f, "{}.{:03}", self.major, self.thousandths)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Firmware {
        text.parse().unwrap()
    }

    #[test]
    fn every_way_of_writing_a_version_is_the_same_version() {
        for (text, shown) in [
            ("1.50", "1.50"),
            ("1.501", "1.501"),
            ("01.500.000", "1.50"),
            ("11.520", "11.52"),
            ("03730000", "3.73"),
            ("4.8100", "4.81"),
            ("9.00", "9.00"),
        ] {
            assert_eq!(version(text).to_string(), shown, "{text}");
        }
        assert!(version("1.50") < version("1.501"));
        assert!(version("9.00") < version("10.01"));
    }

    #[test]
    fn a_version_takes_the_shape_of_another() {
        assert_eq!(version("1.501").shaped_as("05.050.000"), "01.501.000");
        assert_eq!(version("1.501").shaped_as("5.05"), "1.50");
        assert_eq!(version("11.52").shaped_as("5.05"), "11.52");
        assert_eq!(version("9.00").shaped_as("10.50"), "9.00");
        assert_eq!(version("9.00").shaped_as("10.500.001"), "09.000.000");
        assert_eq!(Firmware::ZERO.shaped_as("13.002.001"), "00.000.000");
        assert_eq!(Firmware::ZERO.shaped_as("13.02"), "0.00");
        assert_eq!(version("5.05").shaped_as("04550011"), "05050000");
        assert_eq!(zeroed("5&lt;&#54;x"), "0&lt;0x");
        assert_eq!(zeroed("02.20.00.07-00.00.00.0.0"), "00.00.00.00-00.00.00.0.0");
    }

    #[test]
    fn a_version_is_read_from_a_number_and_written_as_one() {
        assert_eq!(Firmware::from_packed(84_213_760), Some(version("5.05")));
        assert_eq!(version("5.05").packed(), 84_213_760);
        assert_eq!(version("1.501").packed(), 0x0150_1000);
        assert_eq!(Firmware::from_packed(0x0a00_0000), None);
    }

    #[test]
    fn what_is_no_version_is_refused() {
        for bad in ["", ".", "1", "1.", "4.8.1-000", "1.2.3.4", "999.00", "1.+5", "0373000x", "é.é"]
        {
            assert!(bad.parse::<Firmware>().is_err(), "{bad}");
        }
        // Rust's own padding panics beyond 65 535 digits, so shapes are short.
        let long = "0".repeat(100_000);
        for bad in [format!("{long}.00"), format!("0.{long}"), format!("01.000.{long}")] {
            assert!(bad.parse::<Firmware>().is_err());
        }
    }
}
