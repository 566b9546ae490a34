//! The fields of documents that can be changed, by name: `updatelist.offer`, `title.name`.
//!
//! The list is [`FIELDS`]; `docs/documents.md` shows the same one, and a test compares them.

use std::fmt;
use std::str::FromStr;

use crate::Format;

/// A field of some document that can be changed.
///
/// ```
/// use consoletap_documents::Field;
///
/// let field: Field = "updatelist.offer".parse().unwrap();
/// assert!(field.check("05.050.000").is_ok());
/// assert!(field.check("no version").is_err());
/// assert!("updatelist.ofer".parse::<Field>().unwrap_err().to_string().contains("updatelist.offer"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Field(usize);

/// What a field can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Value {
    /// A version. It is written in the shape of the one that stood there (`9.00` as
    /// `09.000.000`) where both are versions of firmware or of a title.
    Version,
    /// A whole number, up to 64 bits.
    Number,
    /// One line of text.
    Text,
    /// An `http` or `https` URL.
    Url,
    /// Hexadecimal digits.
    Hex,
    /// Letters, digits, `_` and `-`.
    Word,
}

impl Value {
    fn description(self) -> &'static str {
        match self {
            Self::Version => "a version, as 9.00 or 09.000.000",
            Self::Number => "a whole number",
            Self::Text => "one line of text",
            Self::Url => "a URL that begins with http:// or https://",
            Self::Hex => "hexadecimal digits",
            Self::Word => "letters, digits, _ and -",
        }
    }

    fn fits(self, value: &str) -> bool {
        let all = |longest: usize, fits: fn(u8) -> bool| {
            (1..=longest).contains(&value.len()) && value.bytes().all(fits)
        };
        match self {
            Self::Version => all(64, |b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-'),
            Self::Number => all(20, |b| b.is_ascii_digit()) && value.parse::<u64>().is_ok(),
            Self::Text => value.len() <= 4096 && !value.contains(char::is_control),
            Self::Url => {
                all(2048, |b| b.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&b))
                    && ["http://", "https://"].iter().any(|scheme| value.starts_with(scheme))
            }
            Self::Hex => all(256, |b| b.is_ascii_hexdigit()),
            Self::Word => all(64, |b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-'),
        }
    }
}

/// Name, document, what it can hold, what it is. A name may stand for several places of a
/// document (every language, every piece); they are changed together.
const FIELDS: &[(&str, Format, Value, &str)] = {
    use Format as F;
    use Value as V;
    &[
        ("updatelist.offer", F::UpdateList, V::Version, "the version on offer, with its label"),
        ("updatelist.force", F::UpdateList, V::Version, "the version that is forced on a console"),
        ("updatelist.region", F::UpdateList, V::Word, "the region (the PS3's `Dest`)"),
        ("updatelist.image", F::UpdateList, V::Url, "where the images are"),
        ("updatelist.image_size", F::UpdateList, V::Number, "how many bytes an image has"),
        ("title.name", F::TitleMetadata, V::Text, "the name, in every language"),
        ("title.content_id", F::TitleMetadata, V::Word, "the content id"),
        ("title.revision", F::TitleMetadata, V::Number, "the revision of the metadata"),
        ("title.parental_level", F::TitleMetadata, V::Number, "the parental level"),
        ("title.category", F::TitleMetadata, V::Word, "gd game, gp patch, ac add-on, al lite"),
        ("title.icon", F::TitleMetadata, V::Text, "where the icon is, in every size"),
        ("title.background", F::TitleMetadata, V::Url, "where the background picture is"),
        ("update.version", F::TitleUpdate, V::Version, "the version of the update"),
        ("update.system", F::TitleUpdate, V::Version, "the firmware that it needs"),
        ("update.size", F::TitleUpdate, V::Number, "how many bytes the package has"),
        ("update.digest", F::TitleUpdate, V::Hex, "the digest or SHA-1 of the package"),
        ("update.url", F::TitleUpdate, V::Url, "where the package is (PS3, PS Vita)"),
        ("update.manifest", F::TitleUpdate, V::Url, "where the manifest is (PS4)"),
        ("update.delta", F::TitleUpdate, V::Url, "where the delta package is (PS4)"),
        ("update.mandatory", F::TitleUpdate, V::Word, "`true` where the update must be taken"),
        ("update.name", F::TitleUpdate, V::Text, "the title's name, in every language"),
        ("manifest.size", F::PackageManifest, V::Number, "how many bytes all pieces have"),
        ("manifest.digest", F::PackageManifest, V::Hex, "the digest of the whole package"),
        ("manifest.pieces", F::PackageManifest, V::Number, "how many pieces there are"),
        ("manifest.piece_url", F::PackageManifest, V::Url, "where the pieces are"),
        ("manifest.piece_size", F::PackageManifest, V::Number, "how many bytes a piece has"),
        ("manifest.piece_offset", F::PackageManifest, V::Number, "where a piece begins"),
        ("manifest.piece_hash", F::PackageManifest, V::Hex, "the SHA-1 of a piece"),
        ("playgo.chunks", F::PlayGoManifest, V::Number, "how many chunks there are (unconfirmed)"),
        ("services.platform", F::ServiceList, V::Word, "the platform that it is for"),
        ("services.default", F::ServiceList, V::Word, "`allow` or `deny`, for every service"),
        ("launch.system", F::AppLaunchLink, V::Version, "the oldest firmware that it is for"),
        ("test.answer", F::ConnectionTest, V::Text, "the whole answer"),
        ("pkg.content_id", F::Package, V::Word, "the content id"),
        ("pkg.content_type", F::Package, V::Number, "the type of the content"),
        ("pkg.size", F::Package, V::Number, "how many bytes the package has"),
        ("pup.image", F::UpdatePackage, V::Number, "the number of the image or its version"),
        ("sfo.title", F::ParamSfo, V::Text, "TITLE"),
        ("sfo.title_id", F::ParamSfo, V::Word, "TITLE_ID"),
        ("sfo.content_id", F::ParamSfo, V::Word, "CONTENT_ID"),
        ("sfo.category", F::ParamSfo, V::Word, "CATEGORY"),
        ("sfo.app_version", F::ParamSfo, V::Version, "APP_VER"),
        ("sfo.version", F::ParamSfo, V::Version, "VERSION"),
        ("sfo.system", F::ParamSfo, V::Version, "the firmware that it needs"),
        ("discovery.host_id", F::Discovery, V::Hex, "the console's hardware address"),
        ("discovery.host_type", F::Discovery, V::Word, "PS4 or PS5"),
        ("discovery.host_name", F::Discovery, V::Text, "the console's name"),
        ("discovery.system", F::Discovery, V::Version, "the console's firmware"),
        ("discovery.title", F::Discovery, V::Word, "the title that runs"),
        ("discovery.title_name", F::Discovery, V::Text, "its name"),
        ("discovery.credential", F::Discovery, V::Word, "the user's credential, a secret"),
    ]
};

impl Field {
    /// Every field, document by document.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..FIELDS.len()).map(Self)
    }

    /// Its name, as `updatelist.offer`.
    #[must_use]
    pub fn name(self) -> &'static str {
        FIELDS[self.0].0
    }

    /// The documents that can have it.
    #[must_use]
    pub fn format(self) -> Format {
        FIELDS[self.0].1
    }

    /// What it is, in plain words.
    #[must_use]
    pub fn description(self) -> &'static str {
        FIELDS[self.0].3
    }

    /// What it can hold, in plain words.
    #[must_use]
    pub fn holds(self) -> &'static str {
        self.value().description()
    }

    /// Whether it can hold this.
    ///
    /// # Errors
    /// When it cannot; says what it can hold.
    pub fn check(self, value: &str) -> Result<(), InvalidValue> {
        if self.value().fits(value) {
            Ok(())
        } else {
            Err(InvalidValue::new(self, value, self.holds()))
        }
    }

    pub(crate) fn value(self) -> Value {
        FIELDS[self.0].2
    }

    /// What stands behind the point of the name.
    pub(crate) fn key(self) -> &'static str {
        self.name().split_once('.').map_or_else(|| self.name(), |(_, key)| key)
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that no field has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownField(String);

impl fmt::Display for UnknownField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(name) = self;
        let (document, _) = name.split_once('.').unwrap_or((name, ""));
        let near: Vec<&str> = Field::all()
            .map(Field::name)
            .filter(|known| known.split('.').next() == Some(document))
            .collect();
        let known = if near.is_empty() { Field::all().map(Field::name).collect() } else { near };
        write!(f, "no document has a field {name:?}; there are {}", known.join(", "))
    }
}

impl std::error::Error for UnknownField {}

impl FromStr for Field {
    type Err = UnknownField;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::all().find(|field| field.name() == name).ok_or_else(|| UnknownField(name.to_owned()))
    }
}

/// A value that a field cannot hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} cannot be {value:?}: {expected} was expected")]
pub struct InvalidValue {
    /// The field's name.
    pub field: &'static str,
    /// The beginning of the value.
    pub value: String,
    /// What the field can hold.
    pub expected: String,
}

impl InvalidValue {
    pub(crate) fn new(field: Field, value: &str, expected: impl Into<String>) -> Self {
        Self { field: field.name(), value: crate::error::shown(value), expected: expected.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_read_back() {
        for field in Field::all() {
            assert_eq!(field.name().parse::<Field>(), Ok(field));
        }
        let error = "update.nothing".parse::<Field>().unwrap_err().to_string();
        assert!(error.contains("update.version") && !error.contains("updatelist.offer"), "{error}");
        assert!("x".parse::<Field>().unwrap_err().to_string().contains("updatelist.offer"));
    }

    #[test]
    fn values_are_checked_before_a_document_is_there() {
        for (field, good, bad) in [
            ("updatelist.offer", "9.00", "9.00\""),
            ("updatelist.image_size", "18446744073709551615", "18446744073709551616"),
            ("title.name", "é <b> & \"c\"", "a\nb"),
            ("update.url", "https://h/x?y=%20", "https://h/<x>"),
            ("manifest.digest", "00ffAA", "0x00"),
            ("updatelist.region", "us", "u s"),
        ] {
            let field: Field = field.parse().unwrap();
            assert!(field.check(good).is_ok(), "{good}");
            let error = field.check(bad).unwrap_err().to_string();
            assert!(error.contains(field.name()) && error.contains("was expected"), "{error}");
        }
    }
}
