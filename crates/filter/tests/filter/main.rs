//! The filter language from outside.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod documentation;
mod flows;
mod language;
mod mistakes;
