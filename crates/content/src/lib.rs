//! What a body is, apart from the protocol that carried it: its content codings are undone, its
//! kind is told by type and octets, and it is written so that a person can read it.
//!
//! Pure: octets in, octets out, with a cap on everything that grows. It knows no HTTP message, no
//! session and no terminal; what it writes still holds whatever the server wrote, and whoever
//! prints it escapes it. Documents whose *meaning* is known are read in `consoletap-documents`.

mod coding;
mod form;
mod hex;
mod json;
mod kind;
mod xml;

pub use coding::{Coding, Decoded, End, UnknownCoding, decode, encode};
pub use form::{boundary, percent_decode, percent_encode};
pub use hex::hex_dump;
pub use json::pretty_json;
pub use kind::{Kind, kind};
pub use xml::pretty_xml;
