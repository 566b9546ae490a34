//! The filter language from outside.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod documentation;
mod flows;
mod index;
mod language;
mod mistakes;
