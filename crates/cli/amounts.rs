//! Sizes and durations as people read them. Sizes are decimal, as consoles and stores show them:
//! 1 kB is 1000 bytes.

use std::time::Duration;

/// A size as it is written in rules and filters: `65536`, `64k`, `16m`; in powers of 1024.
pub(crate) fn read_size(text: &str) -> Result<usize, String> {
    let lower = text.to_ascii_lowercase();
    let (digits, unit) = [("k", 1 << 10), ("m", 1 << 20), ("g", 1 << 30)]
        .into_iter()
        .find_map(|(suffix, unit)| Some((lower.strip_suffix(suffix)?, unit)))
        .unwrap_or((&lower, 1_usize));
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let size = digits.parse().ok().filter(|_| plain).and_then(|size: usize| size.checked_mul(unit));
    size.ok_or_else(|| format!("{text:?} is no size: write bytes as 65536, 64k or 16m"))
}

/// A size in at most four columns: `0`, `999`, `1.2k`, `34M`, `5.6G`.
pub(crate) fn short_size(bytes: u64) -> String {
    let (number, unit) = scale(bytes);
    format!("{number}{}", unit.trim_end_matches('B'))
}

/// A size with its unit: `0 B`, `1.2 kB`, `34 MB`.
pub(crate) fn size(bytes: u64) -> String {
    let (number, unit) = scale(bytes);
    format!("{number} {unit}")
}

/// Two digits are enough to compare; from 10 on without a fraction.
fn scale(bytes: u64) -> (String, &'static str) {
    // Rounding to two digits is the point, so the precision of an f64 is plenty.
    let mut value = bytes as f64;
    let mut unit = "B";
    for larger in ["kB", "MB", "GB", "TB", "PB", "EB"] {
        // 999.5 kB would show as 1000 kB: the next unit begins where rounding gets there.
        if value < 999.5 {
            break;
        }
        value /= 1000.0;
        unit = larger;
    }
    let digits = usize::from(unit != "B" && value < 9.95);
    (format!("{value:.digits$}"), unit)
}

/// A duration in at most five columns: `85ms`, `1.2s`, `34s`, `5m06s`, `1h02m`, `3d04h`.
pub(crate) fn short_duration(duration: Duration) -> String {
    let (millis, seconds) = (duration.as_millis(), duration.as_secs());
    match seconds {
        0 => format!("{millis}ms"),
        1..10 => format!("{}.{}s", seconds, (millis % 1000) / 100),
        10..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h{:02}m", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

/// `1 flow`, `2 flows`.
pub(crate) fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_stay_short() {
        for (bytes, short, long) in [
            (0, "0", "0 B"),
            (999, "999", "999 B"),
            (1000, "1.0k", "1.0 kB"),
            (1_234, "1.2k", "1.2 kB"),
            (12_345, "12k", "12 kB"),
            (999_400, "999k", "999 kB"),
            (999_950, "1.0M", "1.0 MB"),
            (4_294_967_296, "4.3G", "4.3 GB"),
            (u64::MAX, "18E", "18 EB"),
        ] {
            assert_eq!(
                (short_size(bytes).as_str(), size(bytes).as_str()),
                (short, long),
                "{bytes}"
            );
        }
        for power in 0..64 {
            assert!(short_size(1 << power).len() <= 4, "{}", short_size(1 << power));
        }
    }

    #[test]
    fn durations_stay_short() {
        for (millis, text) in [
            (0, "0ms"),
            (999, "999ms"),
            (1_250, "1.2s"),
            (59_999, "59s"),
            (306_000, "5m06s"),
            (3_720_000, "1h02m"),
            (273_600_000, "3d04h"),
        ] {
            assert_eq!(short_duration(Duration::from_millis(millis)), text);
        }
    }
}
