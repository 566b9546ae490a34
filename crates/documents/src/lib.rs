//! Bodies whose format is known: parse, say in one line what they are, change single fields.
//!
//! Pure: bytes in, bytes out. An edit replaces the bytes of the fields it changes and no others;
//! line ends, byte order mark, XML declaration, white space and order stay as the server sent
//! them. Knows nothing of HTTP, and never panics on what a server may send.

mod error;
mod firmware;
mod json;
mod patch;
mod service_list;
mod title_metadata;
mod update_list;
mod xml;

pub use error::DocumentError;
pub use firmware::{Firmware, InvalidFirmware};
pub use json::{InvalidPath, JsonPath};
pub use service_list::{AppLaunchLink, Service, ServiceList};
pub use title_metadata::{Replaced, TitleMetadata};
pub use update_list::{Ps3UpdateList, Ps4UpdateList, Ps5UpdateList, UpdateList, VitaUpdateList};

/// The largest document that is read. The console's own limit for an update list is 65 535 bytes
/// (PS Vita); what is larger than this is not one of these documents.
pub const MAX_BYTES: usize = 1 << 20;
