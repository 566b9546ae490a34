//! What can be set about the wire. Every value has a default that suits a console at home.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use consoletap_flow::{Authority, Host, HostGlob, InvalidAuthority, InvalidGlob};
use consoletap_rules::Store;
use ipnet::IpNet;

use crate::policy::TlsPolicy;

/// The settings of one [`crate::Proxy`].
#[derive(Debug, Clone)]
pub struct Settings {
    /// Who may use the proxy beside loopback and private addresses.
    pub allow: Vec<IpNet>,
    /// Where to connect instead, by name.
    pub redirects: Vec<Redirect>,
    /// Which TLS to open, to pass on, to refuse.
    pub tls: TlsPolicy,
    /// How much of each body is kept.
    pub keep: Keep,
    /// What is too much.
    pub limits: Limits,
    /// What takes too long.
    pub deadlines: Deadlines,
    /// Whether a `Via` field is added to what is passed on (RFC 9110 7.6.3).
    pub via: bool,
    /// The number of the first flow; a continued session goes on counting.
    pub first_flow: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            allow: Vec::new(),
            redirects: Vec::new(),
            tls: TlsPolicy::default(),
            keep: Keep::default(),
            limits: Limits::default(),
            deadlines: Deadlines::default(),
            via: true,
            first_flow: 1,
        }
    }
}

impl Settings {
    /// Whether this client may use the proxy: loopback and private addresses, and what `allow`
    /// names. The address of the peer counts, nothing that it says.
    pub(crate) fn admits(&self, client: IpAddr) -> bool {
        let client = client.to_canonical();
        let private = match client {
            IpAddr::V4(ip) => {
                ip.is_loopback() || ip.is_private() || ip.is_link_local() || is_shared(ip)
            }
            IpAddr::V6(ip) => {
                ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local()
            }
        };
        private || self.allow.iter().any(|network| network.contains(&client))
    }

    /// The redirect for a host, first match first.
    pub(crate) fn redirect(&self, host: &Host) -> Option<&Redirect> {
        self.redirects.iter().find(|redirect| redirect.hosts.matches(host))
    }
}

/// 100.64.0.0/10, which carriers and overlay networks use like private addresses (RFC 6598).
fn is_shared(ip: Ipv4Addr) -> bool {
    ip.octets()[0] == 100 && ip.octets()[1] & 0xc0 == 64
}

/// «Connect there instead»: `GLOB=ADDRESS[:PORT]`. `Host`, SNI and certificate checks keep the
/// name that was asked for, and what is named here may be reached even where it otherwise may not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirect {
    /// The hosts that are meant.
    pub hosts: HostGlob,
    /// Where to connect.
    pub address: Host,
    /// The port there; the one that was asked for where there is none.
    pub port: Option<u16>,
}

/// Text that is no [`Redirect`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRedirect {
    /// There is no `=` in it.
    #[error("{0:?} is no redirect: write HOST-PATTERN=ADDRESS or HOST-PATTERN=ADDRESS:PORT")]
    NoEquals(String),
    /// What stands before the `=`.
    #[error(transparent)]
    Hosts(#[from] InvalidGlob),
    /// What stands behind it.
    #[error("{text:?} is no address to connect to: {cause}")]
    Address {
        /// The text.
        text: String,
        /// What is wrong with it.
        cause: InvalidAuthority,
    },
}

impl FromStr for Redirect {
    type Err = InvalidRedirect;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (hosts, address) =
            text.split_once('=').ok_or_else(|| InvalidRedirect::NoEquals(text.to_owned()))?;
        let invalid = |cause| InvalidRedirect::Address { text: address.to_owned(), cause };
        // A bare IPv6 address is clear enough here: no port can follow without brackets.
        let bare = address.parse::<IpAddr>().ok().map(Host::from);
        let (address, port) = match bare {
            Some(ip) => (ip, None),
            None if has_port(address) => {
                let Authority { host, port } = Authority::parse(address, None).map_err(invalid)?;
                (host, Some(port))
            }
            None => (address.parse().map_err(invalid)?, None),
        };
        Ok(Self { hosts: hosts.parse()?, address, port })
    }
}

/// Whether text that is no bare address ends in a port.
fn has_port(address: &str) -> bool {
    address.rfind(':') > address.rfind(']')
}

impl fmt::Display for Redirect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.hosts, self.address)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// How much of a body is kept for the session.
#[derive(Debug, Clone, Copy)]
pub struct Keep {
    /// A body up to this size is kept whole, in octets.
    pub whole: usize,
    /// Of a larger one, so many octets from its beginning.
    pub prefix: usize,
    /// A larger one is kept whole, too: streamed to the recorder.
    pub full: bool,
}

impl Keep {
    /// What is kept where a rule says how much; `most` bounds what may wait in memory.
    pub(crate) fn as_a_rule_wants(self, store: Option<Store>, most: usize) -> Self {
        // Where no session is written nothing is.
        if self.whole == 0 {
            return self;
        }
        match store {
            None => self,
            Some(Store::None | Store::Head) => Self { whole: 0, prefix: 0, full: false },
            Some(Store::First(bytes)) => {
                let bytes = usize::try_from(bytes).unwrap_or(usize::MAX).min(most);
                Self { whole: bytes, prefix: bytes, full: false }
            }
            Some(Store::Full) => Self { full: true, ..self },
        }
    }
}

impl Default for Keep {
    fn default() -> Self {
        Self { whole: 1 << 20, prefix: 64 << 10, full: false }
    }
}

/// What is too much. Sizes in octets.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// A request line; beyond it 414.
    pub request_line: usize,
    /// A head with all its fields; beyond it 431 (a request) or 502 (an answer).
    pub head: usize,
    /// Fields in a head or in trailers.
    pub fields: usize,
    /// The line before a chunk, with its extensions.
    pub chunk_line: usize,
    /// Interim answers before the final one.
    pub interim: usize,
    /// A body that a rule must change; a larger one passes unchanged.
    pub held_body: usize,
    /// Clients connected at once; lowered to what the descriptors of this process allow.
    pub clients: usize,
    /// Streams at once on one HTTP/2 connection.
    pub streams: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request_line: 16 << 10,
            head: 64 << 10,
            fields: 100,
            chunk_line: 4 << 10,
            interim: 32,
            held_body: 16 << 20,
            clients: 16_384,
            streams: 128,
        }
    }
}

/// What takes too long. There is none for a whole transfer.
#[derive(Debug, Clone, Copy)]
pub struct Deadlines {
    /// A connection that has sent nothing yet, or nothing since its last exchange.
    pub idle_client: Duration,
    /// A request head once its first octet came.
    pub head: Duration,
    /// The first octets inside a tunnel, for us to look at; then it is passed on unseen.
    pub hello: Duration,
    /// A TLS handshake, on either side.
    pub handshake: Duration,
    /// Looking a name up and connecting.
    pub connect: Duration,
    /// The head of an answer, after the request was sent.
    pub answer: Duration,
    /// A transfer or tunnel in which nothing moves.
    pub idle: Duration,
    /// A tunnel in which nothing moves.
    pub idle_tunnel: Duration,
    /// A kept connection to a server.
    pub idle_upstream: Duration,
    /// What is under way when the proxy stops.
    pub grace: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            idle_client: seconds(300),
            head: seconds(30),
            hello: seconds(3),
            handshake: seconds(10),
            connect: seconds(10),
            answer: seconds(300),
            idle: seconds(300),
            // Push connections (TCP 5223) say nothing for a quarter of an hour and more.
            idle_tunnel: seconds(3600),
            idle_upstream: seconds(30),
            grace: seconds(2),
        }
    }
}

/// The address to listen on where nothing else is said.
pub const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 8080);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_name_an_address_and_maybe_a_port() {
        for (text, address, port) in [
            ("*.playstation.net=127.0.0.1:8000", "127.0.0.1", Some(8000)),
            ("a.b=10.0.0.1", "10.0.0.1", None),
            ("a.b=[::1]:80", "[::1]", Some(80)),
            ("a.b=::1", "[::1]", None),
            ("a.b=localhost:81", "localhost", Some(81)),
            ("a.b=other.example", "other.example", None),
        ] {
            let redirect: Redirect = text.parse().unwrap();
            assert_eq!((redirect.address.to_string().as_str(), redirect.port), (address, port));
        }
        for bad in ["a.b", "a.b=", "=1.2.3.4", "a.b=x:0", "a.b=x:http", "a.b=[::1"] {
            assert!(bad.parse::<Redirect>().is_err(), "{bad}");
        }
    }

    #[test]
    fn only_the_lan_is_admitted_unless_widened() {
        let mut settings = Settings::default();
        for near in ["127.0.0.1", "192.168.1.2", "10.9.8.7", "::1", "fd00::1", "::ffff:192.168.0.4"]
        {
            assert!(settings.admits(near.parse().unwrap()), "{near}");
        }
        for far in ["8.8.8.8", "2001:db8::1", "::ffff:8.8.8.8", "172.32.0.1"] {
            assert!(!settings.admits(far.parse().unwrap()), "{far}");
        }
        settings.allow.push("8.8.8.0/24".parse().unwrap());
        assert!(settings.admits("8.8.8.8".parse().unwrap()));
    }
}
