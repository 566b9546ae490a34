//! Exchanges in the forms of other tools. Each writer takes one exchange after the other and
//! holds none of them.

mod curl;
mod har;
mod jsonl;
mod raw;
mod warc;

pub use curl::curl;
pub use har::{Har, HarPage};
pub use jsonl::jsonl;
pub use raw::raw;
pub use warc::Warc;
