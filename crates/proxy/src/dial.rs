//! Connecting to a server: redirects, names, who may go where, and a connection that does not
//! lead back to us.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use consoletap_flow::{Authority, Failure, Host, Side, Timings};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::Instant;

use crate::origin::Origin;
use crate::settings::Settings;

/// How long an answer of the resolver is used again. It does not tell how long it is good for.
const NAMES_KEPT: Duration = Duration::from_secs(60);
/// How long a name that does not exist is not asked for again: consoles retry fast.
const MISSES_KEPT: Duration = Duration::from_secs(3);
/// Names remembered at most.
const MOST_NAMES: usize = 4096;
/// An address that does not answer makes room for the next one after this.
const NEXT_ADDRESS: Duration = Duration::from_secs(3);

/// Why there is no connection.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum DialError {
    #[error("the name {0} is not known (check the DNS of this machine)")]
    UnknownHost(Host),
    #[error("{host} ({address}) refused the connection")]
    Refused { host: Host, address: SocketAddr },
    #[error("{host} did not answer within {seconds} s")]
    Timeout { host: Host, seconds: u64 },
    #[error("{host} cannot be reached: {cause}")]
    Unreachable { host: Host, cause: String },
    #[error("{0} leads back to this proxy")]
    Loop(Host),
    #[error(
        "{0} is this machine or its link, where clients from the network may not go (--resolve allows it by name)"
    )]
    Forbidden(Host),
    #[error("{0} is not connected to: a recorded session stands in for all servers")]
    StoodIn(Host),
    #[error(
        "{0} is asked by HTTPS, which this build does not speak; one with the feature interception does"
    )]
    NoTls(Host),
    #[error("{0}")]
    Tls(String),
}

impl DialError {
    /// The status of our answer.
    pub(crate) fn status(&self) -> u16 {
        match self {
            Self::UnknownHost(_)
            | Self::Refused { .. }
            | Self::Unreachable { .. }
            | Self::Tls(_) => 502,
            Self::Timeout { .. } | Self::StoodIn(_) => 504,
            Self::Loop(_) => 508,
            Self::NoTls(_) => 501,
            Self::Forbidden(_) => 403,
        }
    }

    pub(crate) fn failure(&self) -> Failure {
        let side = if self.is_refusal() { Side::Here } else { Side::Upstream };
        Failure::new(side, self.to_string())
    }

    /// Whether it was us who did not want to.
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(self, Self::Loop(_) | Self::Forbidden(_) | Self::StoodIn(_) | Self::NoTls(_))
    }
}

/// Connects, with a memory for names.
pub(crate) struct Dialer {
    settings: Arc<Settings>,
    /// Who stands in for servers, and may not want any to be asked.
    origin: Option<Arc<dyn Origin>>,
    /// Where we listen ourselves.
    listen: SocketAddr,
    names: Mutex<HashMap<Host, Known>>,
}

#[derive(Debug, Clone)]
struct Known {
    addresses: Arc<[IpAddr]>,
    until: Instant,
}

impl Dialer {
    pub(crate) fn new(
        settings: Arc<Settings>,
        listen: SocketAddr,
        origin: Option<Arc<dyn Origin>>,
    ) -> Self {
        Self { settings, origin, listen, names: Mutex::new(HashMap::new()) }
    }

    /// Connects to where this authority is, for this client.
    pub(crate) async fn connect(
        &self,
        target: &Authority,
        client: IpAddr,
        timings: &mut Timings,
    ) -> Result<TcpStream, DialError> {
        let host = &target.host;
        if self.origin.as_ref().is_some_and(|origin| !origin.may_dial(target)) {
            return Err(DialError::StoodIn(host.clone()));
        }
        let redirect = self.settings.redirect(host);
        let (place, port) = match redirect {
            Some(redirect) => (&redirect.address, redirect.port.unwrap_or(target.port)),
            None => (host, target.port),
        };
        let limit = self.settings.deadlines.connect;
        let timeout = || DialError::Timeout { host: host.clone(), seconds: limit.as_secs() };
        let begun = Instant::now();
        let addresses =
            tokio::time::timeout(limit, self.look_up(place)).await.map_err(|_| timeout())??;
        if place.ip().is_none() {
            timings.dns = Some(micros(begun));
        }
        let connecting = Instant::now();
        let deadline = begun + limit;
        let mut failure = DialError::UnknownHost(place.clone());
        for (index, &ip) in addresses.iter().enumerate() {
            let address = SocketAddr::new(ip, port);
            self.check(host, address, client, redirect.is_some())?;
            let last = index + 1 == addresses.len();
            let until = if last { deadline } else { deadline.min(Instant::now() + NEXT_ADDRESS) };
            match tokio::time::timeout_at(until, open(address)).await {
                Ok(Ok(tcp)) => {
                    timings.connect = Some(micros(connecting));
                    return Ok(tcp);
                }
                Ok(Err(error)) => failure = explain(host, address, &error),
                Err(_) => failure = timeout(),
            }
        }
        Err(failure)
    }

    /// Whether this client may go there, judged by the address that is really meant.
    fn check(
        &self,
        host: &Host,
        address: SocketAddr,
        client: IpAddr,
        named: bool,
    ) -> Result<(), DialError> {
        let ip = address.ip().to_canonical();
        if address.port() == self.listen.port() && self.is_us(ip) {
            return Err(DialError::Loop(host.clone()));
        }
        let here = ip.is_loopback() || ip.is_unspecified() || is_link_local(ip);
        let near = client.to_canonical().is_loopback() || named;
        if here && !near { Err(DialError::Forbidden(host.clone())) } else { Ok(()) }
    }

    /// Whether this authority is our own listener, by its address. Names are not looked up: one that
    /// was made to lead here stays a loop.
    pub(crate) fn leads_here(&self, authority: &Authority) -> bool {
        authority.port == self.listen.port()
            && self.settings.redirect(&authority.host).is_none()
            && authority.host.ip().is_some_and(|ip| {
                let ip = ip.to_canonical();
                !ip.is_unspecified() && self.is_us(ip)
            })
    }

    /// Whether our own listener answers at this address.
    fn is_us(&self, ip: IpAddr) -> bool {
        let own = self.listen.ip().to_canonical();
        if ip == own || ip.is_unspecified() {
            return true;
        }
        // Whatever can be bound is an address of this machine: all of 127/8, each interface.
        own.is_unspecified() && UdpSocket::bind((ip, 0)).is_ok()
    }

    async fn look_up(&self, host: &Host) -> Result<Arc<[IpAddr]>, DialError> {
        let name = match host {
            Host::V4(ip) => return Ok([IpAddr::V4(*ip)].into()),
            Host::V6(ip) => return Ok([IpAddr::V6(*ip)].into()),
            Host::Name(name) => name,
        };
        if let Some(addresses) = self.remembered(host) {
            return known(host, addresses);
        }
        let found = tokio::net::lookup_host((&**name, 0)).await;
        let mut addresses: Vec<IpAddr> =
            found.map(|found| found.map(|address| address.ip()).collect()).unwrap_or_default();
        addresses.dedup();
        let addresses: Arc<[IpAddr]> = addresses.into();
        self.remember(host, &addresses);
        known(host, addresses)
    }

    fn remembered(&self, host: &Host) -> Option<Arc<[IpAddr]>> {
        let names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        names
            .get(host)
            .filter(|known| known.until > Instant::now())
            .map(|known| known.addresses.clone())
    }

    fn remember(&self, host: &Host, addresses: &Arc<[IpAddr]>) {
        let kept = if addresses.is_empty() { MISSES_KEPT } else { NAMES_KEPT };
        let known = Known { addresses: addresses.clone(), until: Instant::now() + kept };
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if names.len() >= MOST_NAMES {
            names.retain(|_, known| known.until > Instant::now());
            if names.len() >= MOST_NAMES {
                names.clear();
            }
        }
        names.insert(host.clone(), known);
    }
}

fn known(host: &Host, addresses: Arc<[IpAddr]>) -> Result<Arc<[IpAddr]>, DialError> {
    if addresses.is_empty() { Err(DialError::UnknownHost(host.clone())) } else { Ok(addresses) }
}

fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}

async fn open(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // Without it small packets wait for the acknowledgement of the one before.
    socket.set_nodelay(true)?;
    socket.connect(address).await
}

fn explain(host: &Host, address: SocketAddr, error: &io::Error) -> DialError {
    if error.kind() == io::ErrorKind::ConnectionRefused {
        return DialError::Refused { host: host.clone(), address };
    }
    DialError::Unreachable { host: host.clone(), cause: error.to_string() }
}

/// Microseconds since then.
pub(crate) fn micros(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dialer(listen: &str) -> Dialer {
        Dialer::new(Arc::new(Settings::default()), listen.parse().unwrap(), None)
    }

    fn check(dialer: &Dialer, address: &str, client: &str) -> Option<u16> {
        let address: SocketAddr = address.parse().unwrap();
        let host = Host::from(address.ip());
        let checked = dialer.check(&host, address, client.parse().unwrap(), false);
        checked.err().map(|error| error.status())
    }

    #[test]
    fn every_spelling_of_our_own_address_is_a_loop() {
        let dialer = dialer("0.0.0.0:8080");
        for own in [
            "127.0.0.1:8080",
            "127.9.9.9:8080",
            "0.0.0.0:8080",
            "[::1]:8080",
            "[::]:8080",
            "[::ffff:127.0.0.1]:8080",
        ] {
            assert_eq!(check(&dialer, own, "127.0.0.1"), Some(508), "{own}");
        }
        assert_eq!(check(&dialer, "127.0.0.1:8081", "127.0.0.1"), None);
        assert_eq!(check(&dialer, "192.0.2.1:8080", "127.0.0.1"), None);
    }

    #[test]
    fn the_network_may_not_reach_this_machine_through_us() {
        let dialer = dialer("0.0.0.0:8080");
        for here in [
            "127.0.0.1:22",
            "[::1]:22",
            "169.254.169.254:80",
            "[fe80::1]:80",
            "0.0.0.0:80",
            "[::ffff:127.0.0.1]:22",
        ] {
            assert_eq!(check(&dialer, here, "192.168.1.9"), Some(403), "{here}");
            assert_eq!(check(&dialer, here, "127.0.0.1"), None, "{here}");
        }
        assert_eq!(check(&dialer, "192.168.1.1:80", "192.168.1.9"), None);
    }
}
