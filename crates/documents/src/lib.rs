//! Bodies whose format is known: parse, say in one line what they are, change single fields.
//!
//! Pure: bytes in, bytes out. An edit replaces the bytes of the fields it changes and no others;
//! line ends, byte order mark, XML declaration, white space and order stay as the server sent
//! them. Knows nothing of HTTP, and never panics on what a server may send.

mod connection_test;
mod discovery;
mod document;
mod edit;
mod error;
mod field;
mod firmware;
mod format;
mod json;
mod manifest;
mod octets;
mod package;
mod param_sfo;
mod patch;
mod playgo;
mod pup;
mod service_list;
mod title_info;
mod title_metadata;
mod title_update;
mod update_list;
mod xml;

pub use connection_test::ConnectionTest;
pub use discovery::{DiscoveryKind, DiscoveryMessage};
pub use document::Document;
pub use edit::{EditError, Replaced};
pub use error::{DocumentError, Position};
pub use field::{Field, InvalidValue, UnknownField};
pub use firmware::{Firmware, InvalidFirmware};
pub use format::Format;
pub use json::{InvalidPath, JsonPath};
pub use manifest::{PackageManifest, Piece};
pub use package::Package;
pub use param_sfo::{ParamSfo, SfoValue};
pub use playgo::PlayGoManifest;
pub use pup::UpdatePackage;
pub use service_list::{AppLaunchLink, Service, ServiceList};
pub use title_info::TitleInfo;
pub use title_metadata::TitleMetadata;
pub use title_update::{TitleUpdate, UpdatePackageEntry};
pub use update_list::{Ps3UpdateList, Ps4UpdateList, Ps5UpdateList, UpdateList, VitaUpdateList};

/// The largest document that is read. The console's own limit for an update list is 65 535 bytes
/// (PS Vita); what is larger than this is not one of these documents.
pub const MAX_BYTES: usize = 1 << 20;
