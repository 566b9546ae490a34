//! What a fact of a request is called, and where among its details it stands.

use consoletap_flow::{Details, SmolStr};

/// The name of a field of the tables. Where its value belongs is found once, when the tables are
/// read: comparing names for every value of every request was a sixth of a classification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FieldName {
    text: SmolStr,
    place: Place,
}

/// Where a value belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    TitleId,
    NpTitleId,
    ContentId,
    Firmware,
    Region,
    /// Among the others, by its name.
    Fields,
}

impl Place {
    fn of(name: &str) -> Self {
        match name {
            "title_id" => Self::TitleId,
            "np_title_id" => Self::NpTitleId,
            "content_id" => Self::ContentId,
            "firmware" => Self::Firmware,
            "region" => Self::Region,
            _ => Self::Fields,
        }
    }
}

impl From<&str> for FieldName {
    fn from(name: &str) -> Self {
        Self { text: name.into(), place: Place::of(name) }
    }
}

impl FieldName {
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Puts a value where it belongs; the later word stands. Of the other fields only the first
    /// `before` can have this name already.
    pub(crate) fn tell(&self, details: &mut Details, before: usize, value: SmolStr) {
        match self.place {
            Place::TitleId => details.title_id = Some(value),
            Place::NpTitleId => details.np_title_id = Some(value),
            Place::ContentId => details.content_id = Some(value),
            Place::Firmware => details.firmware = Some(value),
            Place::Region => details.region = Some(value),
            Place::Fields => {
                let mut earlier = details.fields.iter_mut().take(before);
                match earlier.find(|(known, _)| *known == self.text) {
                    Some((_, old)) => *old = value,
                    None => details.fields.push((self.text.clone(), value)),
                }
            }
        }
    }
}

/// The value of a field, by its name in the tables.
pub(crate) fn told<'d>(details: &'d Details, name: &str) -> Option<&'d str> {
    match Place::of(name) {
        Place::TitleId => details.title_id.as_deref(),
        Place::NpTitleId => details.np_title_id.as_deref(),
        Place::ContentId => details.content_id.as_deref(),
        Place::Firmware => details.firmware.as_deref(),
        Place::Region => details.region.as_deref(),
        Place::Fields => {
            let named = details.fields.iter().find(|(known, _)| *known == *name);
            named.map(|(_, value)| value.as_str())
        }
    }
}
