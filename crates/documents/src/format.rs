//! The formats that are known, and how to tell them from their first bytes.

use std::fmt;

/// What a document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Format {
    /// A firmware update list of a PS3, PSP, PS Vita, PS4 or PS5.
    UpdateList,
    /// What a title is called: tmdb2 JSON (PS4), tmdb XML (PS3, PS Vita).
    TitleMetadata,
    /// Which updates of a title there are: `-ver.xml`.
    TitleUpdate,
    /// Which pieces a package has: the JSON beside it.
    PackageManifest,
    /// `playgo-manifest.xml`
    PlayGoManifest,
    /// `servicelist.xml`
    ServiceList,
    /// `applaunchlink.xml`
    AppLaunchLink,
    /// What a server answers to «is there an internet?».
    ConnectionTest,
    /// The head of a `.pkg`.
    Package,
    /// The head of a `.PUP`.
    UpdatePackage,
    /// `PARAM.SFO`
    ParamSfo,
    /// A message of the discovery protocol.
    Discovery,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 12] = [
        Self::UpdateList,
        Self::TitleMetadata,
        Self::TitleUpdate,
        Self::PackageManifest,
        Self::PlayGoManifest,
        Self::ServiceList,
        Self::AppLaunchLink,
        Self::ConnectionTest,
        Self::Package,
        Self::UpdatePackage,
        Self::ParamSfo,
        Self::Discovery,
    ];

    /// Its name in sessions and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::UpdateList => "update-list",
            Self::TitleMetadata => "title-metadata",
            Self::TitleUpdate => "title-update",
            Self::PackageManifest => "package-manifest",
            Self::PlayGoManifest => "playgo-manifest",
            Self::ServiceList => "service-list",
            Self::AppLaunchLink => "app-launch-link",
            Self::ConnectionTest => "connection-test",
            Self::Package => "pkg",
            Self::UpdatePackage => "pup",
            Self::ParamSfo => "param-sfo",
            Self::Discovery => "discovery",
        }
    }

    /// What it is in plain words, with its article: `an update list`.
    #[must_use]
    pub fn description(self) -> &'static str {
        match self {
            Self::UpdateList => "an update list",
            Self::TitleMetadata => "title metadata",
            Self::TitleUpdate => "a list of title updates",
            Self::PackageManifest => "a package manifest",
            Self::PlayGoManifest => "a PlayGo manifest",
            Self::ServiceList => "a service list",
            Self::AppLaunchLink => "an application launch link list",
            Self::ConnectionTest => "a connection test",
            Self::Package => "a PKG",
            Self::UpdatePackage => "a PUP",
            Self::ParamSfo => "a PARAM.SFO",
            Self::Discovery => "a discovery message",
        }
    }

    /// The format that the answers of a category of the catalog have. Some of them have others
    /// as well: icons are `title-metadata`, too.
    #[must_use]
    pub fn of_category(category: &str) -> Option<Self> {
        Some(match category {
            "fw-updatelist" => Self::UpdateList,
            "fw-image" => Self::UpdatePackage,
            "network-test" => Self::ConnectionTest,
            "title-metadata" => Self::TitleMetadata,
            "title-update-xml" => Self::TitleUpdate,
            "title-update-json" | "base-game-json" | "addcont-json" => Self::PackageManifest,
            "playgo-manifest" => Self::PlayGoManifest,
            "title-update-pkg" | "title-update-delta" | "base-game-pkg" | "addcont-pkg"
            | "title-pkg" | "title-pkg-sc" | "pkg-sideload" | "game-patch" => Self::Package,
            _ => return None,
        })
    }

    /// Whether its beginning is all that is read of it.
    #[must_use]
    pub fn is_head(self) -> bool {
        matches!(self, Self::Package | Self::UpdatePackage)
    }

    /// What the first bytes look like. Costs next to nothing: only so many bytes are looked at,
    /// and of most bodies only the first.
    #[must_use]
    pub fn sniff(bytes: &[u8]) -> Option<Self> {
        const LOOK: usize = 1024;
        let start = &bytes[..bytes.len().min(LOOK)];
        match start {
            [0x7f, b'C', b'N', b'T', ..] | [0x7f, b'P', b'K', b'G', ..] => {
                return Some(Self::Package);
            }
            [b'S', b'C', b'E', b'U', b'F', 0, 0, ..] | [b'S', b'L', b'B', b'2', ..] => {
                return Some(Self::UpdatePackage);
            }
            [0, b'P', b'S', b'F', ..] => return Some(Self::ParamSfo),
            _ => {}
        }
        let text = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start).trim_ascii_start();
        match text.first()? {
            b'<' => Self::of_root(root(text)?)
                // The name of its root is not known, only that <chunks count="…"> is in it.
                .or_else(|| has(text, b"<chunks ").then_some(Self::PlayGoManifest)),
            b'{' if has(text, b"\"npTitleId\"") => Some(Self::TitleMetadata),
            b'{' if has(text, b"\"originalFileSize\"") || has(text, b"\"numberOfSplitFiles\"") => {
                Some(Self::PackageManifest)
            }
            b'D' if text.starts_with(b"Dest=") => Some(Self::UpdateList),
            b'#' if has(text, b"\nDest=") => Some(Self::UpdateList),
            b'H' | b'S' | b'W' | b'L' if crate::discovery::looks_like(text) => {
                Some(Self::Discovery)
            }
            b'M' | b'S' if matches!(text, b"Microsoft NCSI" | b"Microsoft Connect Test") => {
                Some(Self::ConnectionTest)
            }
            _ => None,
        }
    }

    fn of_root(name: &[u8]) -> Option<Self> {
        Some(match name {
            b"update_data_list" => Self::UpdateList,
            b"title-info" => Self::TitleMetadata,
            b"titlepatch" => Self::TitleUpdate,
            b"servicelist" => Self::ServiceList,
            b"applaunchlink" => Self::AppLaunchLink,
            _ => return None,
        })
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The name of the first element, behind declarations and comments.
fn root(mut text: &[u8]) -> Option<&[u8]> {
    loop {
        text = text.trim_ascii_start();
        let end = if text.starts_with(b"<?") {
            find(text, b"?>")? + 2
        } else if text.starts_with(b"<!--") {
            find(text, b"-->")? + 3
        } else {
            let name = text.strip_prefix(b"<")?;
            let ends = |byte: &u8| byte.is_ascii_whitespace() || b"/>".contains(byte);
            return Some(&name[..name.iter().position(ends)?]);
        };
        text = &text[end..];
    }
}

fn has(text: &[u8], part: &[u8]) -> bool {
    find(text, part).is_some()
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}
