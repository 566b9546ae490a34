//! Ids of titles and contents: their parts, and what the letters tell.

use consoletap_flow::{Platform, Platforms};

use crate::pattern::shape;

/// The parts of a content id, as `EP4389-CUSA08652_00-CAR0050000000000`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ContentId<'t> {
    /// `EP4389`: region, and the number of the publisher.
    pub(crate) publisher: &'t str,
    /// `CUSA08652_00`
    pub(crate) np_title_id: &'t str,
    /// `CAR0050000000000`
    pub(crate) label: &'t str,
}

impl<'t> ContentId<'t> {
    pub(crate) fn parse(text: &'t str) -> Option<Self> {
        if !shape::is(shape::CONTENT_ID, text) {
            return None;
        }
        Some(Self { publisher: &text[..6], np_title_id: &text[7..19], label: &text[20..] })
    }

    /// The region of its store, by the first letter. Unconfirmed for content ids: the letters are
    /// those that psdevwiki lists for SKU labels (E, H for Asia with K for Korea, J), with the U of
    /// its American content ids. `I` tells none: `IP` is Sony's own, which some take for America's.
    pub(crate) fn region(self) -> Option<&'static str> {
        Some(match self.publisher.as_bytes()[0] {
            b'U' => "us",
            b'E' => "eu",
            b'J' => "jp",
            b'K' => "kr",
            b'H' => "asia",
            _ => return None,
        })
    }
}

/// The platform that a title was made for, by its first letters.
pub(crate) fn platform(title_id: &str) -> Option<Platforms> {
    let platform = match title_id.as_bytes().get(..4)? {
        b"CUSA" => Platform::Ps4,
        b"PPSA" => Platform::Ps5,
        [b'P', b'C', b'S', _] => Platform::PsVita,
        // PlayStation Mobile, which the Vita runs (olebeck/psm-metadata).
        [b'N', b'P', b'N' | b'O' | b'P', b'A'] => Platform::PsVita,
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
        assert_eq!(name("NPPA00236").as_deref(), Some("psvita"));
        assert_eq!(name("XXXX00001"), None);
    }

    #[test]
    fn a_content_id_falls_into_its_parts() {
        let id = ContentId::parse("EP4389-CUSA08652_00-CAR0050000000000").unwrap();
        assert_eq!(id.publisher, "EP4389");
        assert_eq!(id.np_title_id, "CUSA08652_00");
        assert_eq!(id.label, "CAR0050000000000");
        assert_eq!(id.region(), Some("eu"));
        let region = |text: &str| ContentId::parse(text).unwrap().region();
        assert_eq!(region("HP9000-CUSA00001_00-PLAYROOM00000000"), Some("asia"));
        assert_eq!(region("KP9000-CUSA00001_00-PLAYROOM00000000"), Some("kr"));
        let own = ContentId::parse("IP9100-CUSA00001_00-PLAYROOM00000000").unwrap();
        assert_eq!(own.region(), None);
        assert_eq!(ContentId::parse("EP4389-CUSA08652_00-CAR005000000000"), None);
        assert_eq!(ContentId::parse("ÜP4389-CUSA08652_00-CAR005000000000"), None);
    }
}
