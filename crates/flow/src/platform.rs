//! Which console asks.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::text::parsed;

/// A platform, or a family of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Platform {
    /// PlayStation 3
    Ps3,
    /// PlayStation Portable
    Psp,
    /// PlayStation Vita
    PsVita,
    /// PlayStation 4
    Ps4,
    /// PlayStation 5
    Ps5,
    /// Some PlayStation: the service is shared, and nothing tells which console asks.
    PlayStation,
    /// Nintendo DS
    Ds,
    /// Nintendo 3DS
    ThreeDs,
    /// Wii
    Wii,
    /// Wii U
    WiiU,
    /// Nintendo Switch
    Switch,
    /// Some Nintendo console.
    Nintendo,
    /// Xbox 360
    Xbox360,
    /// Xbox One and Series
    XboxOne,
    /// Some Xbox.
    Xbox,
}

impl Platform {
    /// Every platform, in the order of the bits of [`Platforms`].
    pub const ALL: [Self; 15] = [
        Self::Ps3,
        Self::Psp,
        Self::PsVita,
        Self::Ps4,
        Self::Ps5,
        Self::PlayStation,
        Self::Ds,
        Self::ThreeDs,
        Self::Wii,
        Self::WiiU,
        Self::Switch,
        Self::Nintendo,
        Self::Xbox360,
        Self::XboxOne,
        Self::Xbox,
    ];

    /// The family it belongs to; a family is its own.
    #[must_use]
    pub fn family(self) -> Self {
        match self {
            Self::Ps3 | Self::Psp | Self::PsVita | Self::Ps4 | Self::Ps5 | Self::PlayStation => {
                Self::PlayStation
            }
            Self::Ds | Self::ThreeDs | Self::Wii | Self::WiiU | Self::Switch | Self::Nintendo => {
                Self::Nintendo
            }
            Self::Xbox360 | Self::XboxOne | Self::Xbox => Self::Xbox,
        }
    }

    /// The name in tables, filters and JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ps3 => "ps3",
            Self::Psp => "psp",
            Self::PsVita => "psvita",
            Self::Ps4 => "ps4",
            Self::Ps5 => "ps5",
            Self::PlayStation => "playstation",
            Self::Ds => "ds",
            Self::ThreeDs => "3ds",
            Self::Wii => "wii",
            Self::WiiU => "wiiu",
            Self::Switch => "switch",
            Self::Nintendo => "nintendo",
            Self::Xbox360 => "xbox360",
            Self::XboxOne => "xboxone",
            Self::Xbox => "xbox",
        }
    }

    /// The name on the box.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Ps3 => "PS3",
            Self::Psp => "PSP",
            Self::PsVita => "PS Vita",
            Self::Ps4 => "PS4",
            Self::Ps5 => "PS5",
            Self::PlayStation => "PlayStation",
            Self::Ds => "DS",
            Self::ThreeDs => "3DS",
            Self::Wii => "Wii",
            Self::WiiU => "Wii U",
            Self::Switch => "Switch",
            Self::Nintendo => "Nintendo",
            Self::Xbox360 => "Xbox 360",
            Self::XboxOne => "Xbox",
            Self::Xbox => "Xbox",
        }
    }
}

/// The platforms that a flow can be from; none where nothing is known. Text form: names joined
/// by `|`, or `unknown`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Platforms(u16);

/// Text that names no platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownPlatform(pub String);

impl fmt::Display for UnknownPlatform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is no platform; there are", self.0)?;
        Platform::ALL.iter().try_for_each(|platform| write!(f, " {}", platform.name()))
    }
}

impl std::error::Error for UnknownPlatform {}

impl Platforms {
    /// Nothing is known.
    pub const UNKNOWN: Self = Self(0);

    /// The platforms, in the order of [`Platform::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Platform> {
        Platform::ALL.into_iter().filter(move |&platform| self.contains(platform))
    }

    /// Whether this is one of them.
    #[must_use]
    pub fn contains(self, platform: Platform) -> bool {
        self.0 & (1 << platform as u16) != 0
    }

    /// Whether nothing is known.
    #[must_use]
    pub fn is_unknown(self) -> bool {
        self.0 == 0
    }

    /// The platform, where there is exactly one.
    #[must_use]
    pub fn only(self) -> Option<Platform> {
        let mut all = self.iter();
        all.next().filter(|_| all.next().is_none())
    }

    /// Whether these leave room for that one: nothing is known, it is one of them, or one of a
    /// family that is named as a whole.
    #[must_use]
    pub fn admit(self, platform: Platform) -> bool {
        self.is_unknown() || self.contains(platform) || self.contains(platform.family())
    }

    /// These and those.
    #[must_use]
    pub fn union(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }
}

impl From<Platform> for Platforms {
    fn from(platform: Platform) -> Self {
        Self(1 << platform as u16)
    }
}

impl FromIterator<Platform> for Platforms {
    fn from_iter<I: IntoIterator<Item = Platform>>(platforms: I) -> Self {
        platforms.into_iter().fold(Self::UNKNOWN, |all, one| all.union(one.into()))
    }
}

impl fmt::Display for Platforms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_unknown() {
            return f.write_str("unknown");
        }
        for (index, platform) in self.iter().enumerate() {
            if index > 0 {
                f.write_str("|")?;
            }
            f.write_str(platform.name())?;
        }
        Ok(())
    }
}

impl FromStr for Platforms {
    type Err = UnknownPlatform;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "unknown" {
            return Ok(Self::UNKNOWN);
        }
        text.split('|')
            .map(|name| {
                Platform::ALL
                    .into_iter()
                    .find(|platform| platform.name() == name)
                    .ok_or_else(|| UnknownPlatform(name.to_owned()))
            })
            .collect()
    }
}

impl Serialize for Platforms {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Platforms {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_read_back_and_a_wrong_name_lists_the_right_ones() {
        for text in ["unknown", "ps4", "ps3|psp|psvita", "3ds", "xboxone"] {
            assert_eq!(text.parse::<Platforms>().unwrap().to_string(), text);
        }
        let error = "ps9".parse::<Platforms>().unwrap_err().to_string();
        assert!(error.starts_with("\"ps9\" is no platform; there are ps3 psp"), "{error}");
    }

    #[test]
    fn only_a_single_platform_is_a_console() {
        assert_eq!("ps4".parse::<Platforms>().unwrap().only(), Some(Platform::Ps4));
        assert_eq!("ps3|psp".parse::<Platforms>().unwrap().only(), None);
    }
}
