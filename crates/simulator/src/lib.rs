//! Consoles that speak as documented, and the servers they speak to.
//!
//! For the demonstration, the tests and the benchmarks: everything happens on loopback sockets,
//! byte for byte as the PS4 developer wiki ("Online Connections", *the page* in these comments)
//! and its neighbours describe it. Nothing here shares code with the proxy, so that neither can
//! hide a mistake of the other.
//!
//! * [`World`] is the simulated internet; [`RawOrigin`] a server that misbehaves on purpose.
//! * [`Console`] sends requests and opens tunnels; [`LegacyHello`] is a hello of an old one.
//! * [`ps4_start_up`] and its neighbours play whole scenes and give a [`Report`].

mod answers;
mod console;
mod content;
mod error;
mod origin;
mod script;

pub use answers::Sizes;
pub use console::{
    AnswerHead, Client, Console, Download, Downloaded, GotAnswer, HelloReply, LegacyHello, Model,
    Request, SecureClient, TlsVersion, Tunnel,
};
pub use content::{Content, Difference};
pub use error::Error;
pub use origin::{Act, RawOrigin, SeenRequest, World};
pub use script::{
    Pace, Report, Step, ps3_update_check, ps4_start_up, ps5_download, switch_connection_test,
    vita_update_check,
};
