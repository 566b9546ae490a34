//! Ids of titles and contents: their shape, and the platform that the first letters tell.

use consoletap_flow::{Platform, Platforms};

/// `CUSA00001`
pub(crate) fn is_title_id(text: &[u8]) -> bool {
    text.len() == 9
        && text[..4].iter().all(u8::is_ascii_uppercase)
        && text[4..].iter().all(u8::is_ascii_digit)
}

/// `CUSA00001_00`
pub(crate) fn is_np_title_id(text: &[u8]) -> bool {
    text.len() == 12
        && is_title_id(&text[..9])
        && text[9] == b'_'
        && text[10..].iter().all(u8::is_ascii_digit)
}

/// `EP4389-CUSA08652_00-CAR0050000000000`
pub(crate) fn is_content_id(text: &[u8]) -> bool {
    text.len() == 36
        && text[..2].iter().all(u8::is_ascii_uppercase)
        && text[2..6].iter().all(u8::is_ascii_digit)
        && text[6] == b'-'
        && is_np_title_id(&text[7..19])
        && text[19] == b'-'
        && text[20..].iter().all(u8::is_ascii_alphanumeric)
}

/// The platform that a title was made for, by its first letters.
pub(crate) fn platform(title_id: &str) -> Option<Platforms> {
    let platform = match title_id.as_bytes().get(..4)? {
        b"CUSA" => Platform::Ps4,
        b"PPSA" => Platform::Ps5,
        [b'P', b'C', b'S', _] => Platform::PsVita,
        // Discs (BLES, BCUS) and network titles (NPEB) of the PS3; NP with a fourth letter of
        // G to Z is a PSP title (NPUG, NPJH).
        [b'B', b'L' | b'C', _, _] => Platform::Ps3,
        [b'N', b'P', _, b'A'..=b'F'] => Platform::Ps3,
        [b'N', b'P', _, b'G' | b'H' | b'X' | b'Z'] => Platform::Psp,
        [b'U', b'L' | b'C', _, _] => Platform::Psp,
        _ => return None,
    };
    Some(platform.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_tell_the_platform_and_unknown_ones_nothing() {
        let name = |id| platform(id).map(|platforms| platforms.to_string());
        assert_eq!(name("CUSA00001").as_deref(), Some("ps4"));
        assert_eq!(name("PPSA01590").as_deref(), Some("ps5"));
        assert_eq!(name("PCSE00001").as_deref(), Some("psvita"));
        assert_eq!(name("BLES00001").as_deref(), Some("ps3"));
        assert_eq!(name("NPUG80135").as_deref(), Some("psp"));
        assert_eq!(name("XXXX00001"), None);
    }
}
