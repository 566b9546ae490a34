//! Groups of categories: what people ask for when they do not know the catalog's names.

/// A group and what belongs to it. A group that is named like a category holds it and its kin.
/// The categories are those of the catalog; tables of a user may bring more, which belong to none.
const GROUPS: [(&str, &[&str]); 12] = [
    ("firmware", &["fw-updatelist", "fw-image", "fw-feature-page", "fw-update-portal"]),
    (
        "update",
        &[
            "fw-updatelist",
            "fw-image",
            "fw-feature-page",
            "fw-update-portal",
            "title-update-xml",
            "title-update-json",
            "title-update-pkg",
            "title-update-delta",
            "game-patch",
        ],
    ),
    (
        "download",
        &[
            "fw-image",
            "title-update-pkg",
            "title-update-delta",
            "base-game-pkg",
            "addcont-pkg",
            "title-pkg",
            "title-pkg-sc",
            "title-content",
            "pkg-sideload",
            "game-patch",
            "store-content",
            "downloader",
        ],
    ),
    (
        "manifest",
        &[
            "title-update-xml",
            "title-update-json",
            "base-game-json",
            "addcont-json",
            "addcont-digest",
            "playgo-manifest",
            "pkg-crc",
        ],
    ),
    ("telemetry", &["telemetry", "system-logger", "crash-report"]),
    ("sign-in", &["auth", "account", "license-kdc", "np-core", "np-profile"]),
    (
        "social",
        &[
            "np-community",
            "friends",
            "presence",
            "community",
            "activity-feed",
            "avatar",
            "trophy",
            "ranking",
            "clans",
            "matching",
        ],
    ),
    (
        "shop",
        &[
            "store",
            "store-image",
            "store-content",
            "store-cdn",
            "image-convert",
            "whats-new",
            "livearea",
        ],
    ),
    ("media", &["video-app", "music-app", "media-app", "cloud-stream"]),
    ("web", &["browser", "webkit-browser", "manual", "eula", "fw-feature-page"]),
    ("config", &["service-config", "feature-switch", "parental-control"]),
    ("network", &["network-test", "push", "stun", "crl"]),
];

/// The categories of a group.
pub(crate) fn members(group: &str) -> Option<&'static [&'static str]> {
    GROUPS
        .iter()
        .find(|(name, _)| group.eq_ignore_ascii_case(name))
        .map(|(_, categories)| *categories)
}
