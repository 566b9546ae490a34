//! Takes secrets out of flows and bodies before they are shown or handed on, and leaves a mask or
//! a pseudonym in their place.
//!
//! A secret is found by its *name* (the catalog's secret fields of the flow's row, and the usual
//! names), by its *shape* (a JWT, a hardware address, the password in a URL), and, once a
//! [`Redactor`] has learned it, by its *value*, wherever that shows up again and however it is
//! encoded there.
//!
//! Pure: no I/O, no clock. It knows no session and no file format. What it cannot do is find a
//! secret under a name that nobody lists, in a shape that says nothing, which occurs nowhere else.

mod body;
mod known;
mod learn;
mod names;
mod octets;
mod redactor;
mod scan;
mod search;
mod stand_in;

pub use body::Redacted;
pub use names::is_secret_name;
pub use redactor::Redactor;
pub use stand_in::{Key, stand_ins};
