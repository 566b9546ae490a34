//! The form that nearly every stamp has: `2026-11-23T20:43:00.000000Z`. Each event of a session has
//! one: a formatter and a parser for every form are slow beside the rest of an event.

use jiff::civil::DateTime;
use jiff::tz::Offset;

use crate::Timestamp;

const FORM: &[u8; 27] = b"0000-00-00T00:00:00.000000Z";

/// `None` where the year has not four digits.
pub(super) fn write(stamp: Timestamp) -> Option<[u8; FORM.len()]> {
    let at = Offset::UTC.to_datetime(stamp.calendar());
    let numbers = [
        (0..4, i32::from(at.year())),
        (5..7, at.month().into()),
        (8..10, at.day().into()),
        (11..13, at.hour().into()),
        (14..16, at.minute().into()),
        (17..19, at.second().into()),
        (20..26, at.subsec_nanosecond() / 1000),
    ];
    let mut text = *FORM;
    for (place, number) in numbers {
        let mut rest = u32::try_from(number).ok()?;
        for digit in text[place].iter_mut().rev() {
            // Less than 10.
            *digit += (rest % 10) as u8;
            rest /= 10;
        }
    }
    Some(text)
}

/// `None` where it is of another form, or no stamp at all.
pub(super) fn read(text: &str) -> Option<Timestamp> {
    let text: &[u8; FORM.len()] = text.as_bytes().try_into().ok()?;
    let fits = |(byte, form): (&u8, &u8)| match form {
        b'0' => byte.is_ascii_digit(),
        _ => byte == form,
    };
    if !text.iter().zip(FORM).all(fits) {
        return None;
    }
    let number = |from: usize, to: usize| {
        text[from..to].iter().fold(0_i32, |number, digit| number * 10 + i32::from(digit - b'0'))
    };
    // Two digits each, and four of the year.
    let two = |from: usize| number(from, from + 2) as i8;
    let year = number(0, 4) as i16;
    let nanosecond = number(20, 26) * 1000;
    let at = DateTime::new(year, two(5), two(8), two(11), two(14), two(17), nanosecond).ok()?;
    Some(Offset::UTC.to_timestamp(at).ok()?.into())
}
