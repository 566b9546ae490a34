//! TLS that rustls does not speak, for consoles that speak nothing else: 1.0, 1.1, and 1.2 with RSA
//! key exchange, CBC, 3DES and RC4; towards servers of that time, too. OpenSSL does it, and only in a build with the feature
//! `legacy-tls`; without it the same types are here, and nobody can make one.
//!
//! None of it protects anything any more. It is reachable for the hosts that the user names, and
//! the proxy says so on each row.

#[cfg(not(feature = "legacy-tls"))]
mod absent;
#[cfg(feature = "legacy-tls")]
mod connector;
#[cfg(feature = "legacy-tls")]
mod openssl;
mod suites;

#[cfg(not(feature = "legacy-tls"))]
pub(crate) use absent::{Contexts, LegacyAcceptor, LegacyConnector, LegacyStream};
#[cfg(feature = "legacy-tls")]
pub(crate) use connector::LegacyConnector;
#[cfg(feature = "legacy-tls")]
pub(crate) use openssl::{Contexts, LegacyAcceptor, LegacyStream};
pub(crate) use suites::opens;
