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
//!
//! A proxy is led to the [`World`] by [`World::resolve_rules`] and taught to trust it by
//! [`World::ca_pem`]. For plain HTTP a world is good enough as its own proxy:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use consoletap_simulator::{World, ps3_update_check};
//!
//! let world = World::start().await?;
//! let report = ps3_update_check(world.address()).await?;
//! assert!(report.is_as_documented(), "{report:?}");
//! assert_eq!(world.requests()[0].host(), "feu01.ps3.update.playstation.net");
//! # Ok(())
//! # }
//! ```

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
#[cfg(feature = "legacy-tls")]
pub use console::{ExactTls, LegacyConsole};
pub use content::{Content, Difference};
pub use error::Error;
pub use origin::{Act, RawOrigin, SeenRequest, World};
#[cfg(feature = "legacy-tls")]
pub use origin::{LegacyServer, LegacyVersion};
pub use script::{
    Pace, Report, Step, ps3_update_check, ps4_start_up, ps5_download, switch_connection_test,
    vita_update_check,
};
