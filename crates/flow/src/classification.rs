//! What the catalog says of a flow. The types are here, since events carry them; the knowledge
//! is in the crate `catalog`.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use smol_str::SmolStr;

use crate::Platforms;
use crate::text::parsed;

/// What kind of service it is (`fw-updatelist`, `title-metadata`, …); `unknown` where no row of
/// the catalog fits. The names are the catalog's; tables of a user may bring new ones.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Category(SmolStr);

impl Category {
    /// The name of what no row explains.
    pub const UNKNOWN: &'static str = "unknown";

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether no row fits.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        &*self.0 == Self::UNKNOWN
    }
}

impl From<&str> for Category {
    fn from(name: &str) -> Self {
        Self(name.into())
    }
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The id of a row of the catalog, as `ps4-updatelist`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EntryId(pub SmolStr);

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which servers were meant: the public ones, or those of developers and testers. Text form:
/// `retail`, or the label that was found (`sp-int`, `prod-qa`, …).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum Environment {
    /// The public servers.
    #[default]
    Retail,
    /// Others; with the label that says so, in lower case.
    Nonretail(SmolStr),
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Retail => "retail",
            Self::Nonretail(label) => label,
        })
    }
}

impl FromStr for Environment {
    type Err = Infallible;

    fn from_str(label: &str) -> Result<Self, Self::Err> {
        Ok(if label == "retail" { Self::Retail } else { Self::Nonretail(label.into()) })
    }
}

impl Serialize for Environment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Environment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer)
    }
}

/// What the catalog says of one flow: a function of what was asked, and of nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Read")]
pub struct Classification {
    /// Which console asks.
    pub platform: Platforms,
    /// What kind of service answers.
    pub category: Category,
    /// The row that says so.
    pub entry: Option<EntryId>,
    /// What it is, in a few words.
    pub summary: Option<Arc<str>>,
    /// Which servers are meant.
    pub environment: Environment,
    /// Whether the row is one of the documented page itself.
    pub documented: bool,
    /// Whether answers are large files, whose servers ignore the query of their URLs.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub download: bool,
    /// What the request itself tells: titles, versions, regions.
    #[serde(flatten)]
    pub details: Details,
}

impl Default for Classification {
    /// Nothing is known.
    fn default() -> Self {
        Self {
            platform: Platforms::UNKNOWN,
            category: Category(Category::UNKNOWN.into()),
            entry: None,
            summary: None,
            environment: Environment::Retail,
            documented: false,
            download: false,
            details: Details::default(),
        }
    }
}

/// A classification as it is read. `flatten` would copy all of it once before it reads it, and a
/// session has one for each flow.
#[derive(Deserialize)]
struct Read {
    platform: Platforms,
    category: Category,
    #[serde(default)]
    entry: Option<EntryId>,
    #[serde(default)]
    summary: Option<Arc<str>>,
    #[serde(default)]
    environment: Environment,
    #[serde(default)]
    documented: bool,
    #[serde(default)]
    download: bool,
    #[serde(default)]
    title_id: Option<SmolStr>,
    #[serde(default)]
    np_title_id: Option<SmolStr>,
    #[serde(default)]
    content_id: Option<SmolStr>,
    #[serde(default)]
    title_platform: Option<Platforms>,
    #[serde(default)]
    firmware: Option<SmolStr>,
    #[serde(default)]
    region: Option<SmolStr>,
    #[serde(default)]
    hash_ok: Option<bool>,
    #[serde(default)]
    fields: Vec<(SmolStr, SmolStr)>,
}

impl From<Read> for Classification {
    fn from(read: Read) -> Self {
        Self {
            platform: read.platform,
            category: read.category,
            entry: read.entry,
            summary: read.summary,
            environment: read.environment,
            documented: read.documented,
            download: read.download,
            details: Details {
                title_id: read.title_id,
                np_title_id: read.np_title_id,
                content_id: read.content_id,
                title_platform: read.title_platform,
                firmware: read.firmware,
                region: read.region,
                hash_ok: read.hash_ok,
                fields: read.fields,
            },
        }
    }
}

/// The facts that stand in a request itself. Texts of up to 23 octets, which is nearly all of
/// them, cost no allocation.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Details {
    /// The title, as `CUSA00001`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title_id: Option<SmolStr>,
    /// The NP title, as `CUSA00001_00`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub np_title_id: Option<SmolStr>,
    /// The content, as `EP4389-CUSA08652_00-CAR0050000000000`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_id: Option<SmolStr>,
    /// The platform that the title was made for; may differ from the console that asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title_platform: Option<Platforms>,
    /// The console's firmware, as its user agent gives it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub firmware: Option<SmolStr>,
    /// The region or country code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<SmolStr>,
    /// Whether the hash in the URL is the one that the title gives.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hash_ok: Option<bool>,
    /// Everything else that the row's patterns name, in their order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<(SmolStr, SmolStr)>,
}
