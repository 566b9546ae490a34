//! A document of whichever format: recognised, summed up, and asked for the places of fields.

use crate::connection_test::ConnectionTest;
use crate::discovery::DiscoveryMessage;
use crate::edit::Slot;
use crate::error::DocumentError;
use crate::field::Field;
use crate::format::Format;
use crate::manifest::PackageManifest;
use crate::package::Package;
use crate::param_sfo::ParamSfo;
use crate::playgo::PlayGoManifest;
use crate::pup::UpdatePackage;
use crate::service_list::{AppLaunchLink, ServiceList};
use crate::title_info::TitleInfo;
use crate::title_metadata::TitleMetadata;
use crate::title_update::TitleUpdate;
use crate::update_list::UpdateList;

/// A document of a known format. It lends from the bytes that it was read from.
#[derive(Debug, Clone)]
pub enum Document<'a> {
    /// A firmware update list.
    UpdateList(UpdateList<'a>),
    /// Title metadata in JSON (PS4).
    TitleMetadata(TitleMetadata<'a>),
    /// Title metadata in XML (PS3, PS Vita).
    TitleInfo(TitleInfo<'a>),
    /// The updates of a title.
    TitleUpdate(TitleUpdate<'a>),
    /// The pieces of a package.
    PackageManifest(PackageManifest<'a>),
    /// A PlayGo manifest.
    PlayGoManifest(PlayGoManifest<'a>),
    /// A service list.
    ServiceList(ServiceList<'a>),
    /// An application launch link list.
    AppLaunchLink(AppLaunchLink<'a>),
    /// The answer of a connection test.
    ConnectionTest(ConnectionTest<'a>),
    /// The head of a package.
    Package(Package<'a>),
    /// The head of a firmware image.
    UpdatePackage(UpdatePackage<'a>),
    /// `PARAM.SFO`
    ParamSfo(ParamSfo<'a>),
    /// A message of the discovery protocol.
    Discovery(DiscoveryMessage<'a>),
}

/// What every document can do; private, so that it can grow.
pub(crate) trait Content {
    /// The bytes that it was read from.
    fn source(&self) -> &[u8];
    /// What it says, in one line.
    fn summary(&self) -> String;
    /// Where the field stands whose name ends in `key`.
    fn slots(&self, key: &str) -> Vec<Slot>;
}

impl<'a> Document<'a> {
    /// Reads a document: of the format that is expected, or of the one that its first bytes
    /// show. Of a [`Format::is_head`] the first 4 KiB are enough.
    ///
    /// # Errors
    /// When it is none; says where.
    pub fn recognise(hint: Option<Format>, bytes: &'a [u8]) -> Result<Self, DocumentError> {
        let format = hint.or_else(|| Format::sniff(bytes)).ok_or_else(|| {
            DocumentError::binary("a document", 0, "it begins like none of the known formats")
        })?;
        Ok(match format {
            Format::UpdateList => Self::UpdateList(UpdateList::parse(bytes)?),
            Format::TitleMetadata if begins_with(bytes, b'<') => {
                Self::TitleInfo(TitleInfo::parse(bytes)?)
            }
            Format::TitleMetadata => Self::TitleMetadata(TitleMetadata::parse(bytes)?),
            Format::TitleUpdate => Self::TitleUpdate(TitleUpdate::parse(bytes)?),
            Format::PackageManifest => Self::PackageManifest(PackageManifest::parse(bytes)?),
            Format::PlayGoManifest => Self::PlayGoManifest(PlayGoManifest::parse(bytes)?),
            Format::ServiceList => Self::ServiceList(ServiceList::parse(bytes)?),
            Format::AppLaunchLink => Self::AppLaunchLink(AppLaunchLink::parse(bytes)?),
            Format::ConnectionTest => Self::ConnectionTest(ConnectionTest::parse(bytes)?),
            Format::Package => Self::Package(Package::parse(bytes)?),
            Format::UpdatePackage => Self::UpdatePackage(UpdatePackage::parse(bytes)?),
            Format::ParamSfo => Self::ParamSfo(ParamSfo::parse(bytes)?),
            Format::Discovery => Self::Discovery(DiscoveryMessage::parse(bytes)?),
        })
    }

    /// What it is.
    #[must_use]
    pub fn format(&self) -> Format {
        match self {
            Self::UpdateList(_) => Format::UpdateList,
            Self::TitleMetadata(_) | Self::TitleInfo(_) => Format::TitleMetadata,
            Self::TitleUpdate(_) => Format::TitleUpdate,
            Self::PackageManifest(_) => Format::PackageManifest,
            Self::PlayGoManifest(_) => Format::PlayGoManifest,
            Self::ServiceList(_) => Format::ServiceList,
            Self::AppLaunchLink(_) => Format::AppLaunchLink,
            Self::ConnectionTest(_) => Format::ConnectionTest,
            Self::Package(_) => Format::Package,
            Self::UpdatePackage(_) => Format::UpdatePackage,
            Self::ParamSfo(_) => Format::ParamSfo,
            Self::Discovery(_) => Format::Discovery,
        }
    }

    /// What it says, in one line of at most 200 characters, without secrets and without anything
    /// that steers a terminal.
    #[must_use]
    pub fn summary(&self) -> String {
        self.content().summary()
    }

    /// The bytes that it was read from: what writing it back without a change gives.
    #[must_use]
    pub fn source(&self) -> &[u8] {
        self.content().source()
    }

    /// The fields that it has and that can be changed.
    pub fn fields(&self) -> impl Iterator<Item = Field> + '_ {
        Field::all().filter(|field| !self.slots(*field).is_empty())
    }

    pub(crate) fn slots(&self, field: Field) -> Vec<Slot> {
        if field.format() == self.format() { self.content().slots(field.key()) } else { Vec::new() }
    }

    fn content(&self) -> &dyn Content {
        match self {
            Self::UpdateList(document) => document,
            Self::TitleMetadata(document) => document,
            Self::TitleInfo(document) => document,
            Self::TitleUpdate(document) => document,
            Self::PackageManifest(document) => document,
            Self::PlayGoManifest(document) => document,
            Self::ServiceList(document) => document,
            Self::AppLaunchLink(document) => document,
            Self::ConnectionTest(document) => document,
            Self::Package(document) => document,
            Self::UpdatePackage(document) => document,
            Self::ParamSfo(document) => document,
            Self::Discovery(document) => document,
        }
    }
}

/// Whether this is the first byte behind a mark and white space.
fn begins_with(bytes: &[u8], byte: u8) -> bool {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    text.trim_ascii_start().first() == Some(&byte)
}
