//! What to type into the console: the addresses under which this machine can be reached.

use std::net::{IpAddr, SocketAddr};

use crate::look::Look;

/// An address of this machine, and the interface that has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) interface: String,
    pub(crate) address: IpAddr,
}

/// The addresses of this machine; none where the system does not tell.
pub(crate) fn places() -> Vec<Place> {
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    interfaces
        .into_iter()
        .map(|interface| Place { address: interface.ip(), interface: interface.name })
        .collect()
}

/// A line for each address that a console can use.
pub(crate) fn draw(listen: SocketAddr, places: &[Place], look: &Look) -> String {
    let port = listen.port();
    let arrow = look.pick("→", "->");
    let line = |address: IpAddr, remark: &str| {
        format!("On the console: Proxy Server {arrow} Address {address}  Port {port}{remark}\n")
    };
    let listens = listen.ip();
    if listens.is_loopback() {
        return format!(
            "Only this machine can use it: {listen}. For a console listen on 0.0.0.0.\n"
        );
    }
    if !listens.is_unspecified() {
        return line(listens, "");
    }
    let lan = lan(places);
    if lan.is_empty() {
        return "This machine seems to have no address in a network that a console could use.\n"
            .to_owned();
    }
    let several = lan.len() > 1;
    let remark = |place: &Place| match several {
        true => format!("  ({})", place.interface),
        false => String::new(),
    };
    lan.iter().map(|place| line(place.address, &remark(place))).collect()
}

/// IPv4 alone: no console asks for an IPv6 proxy. Bridges and tunnels, behind which no console
/// is, come last.
fn lan(places: &[Place]) -> Vec<&Place> {
    let usable = |place: &&Place| match place.address {
        IpAddr::V4(ip) => !ip.is_loopback() && !ip.is_link_local(),
        IpAddr::V6(_) => false,
    };
    let mut lan: Vec<_> = places.iter().filter(usable).collect();
    lan.sort_by_key(|place| is_virtual(&place.interface));
    lan
}

/// Names that container and virtual machine software and overlay networks give.
fn is_virtual(interface: &str) -> bool {
    const PREFIXES: [&str; 14] = [
        "br-",
        "cni",
        "docker",
        "flannel",
        "ham",
        "podman",
        "tailscale",
        "tap",
        "tun",
        "vboxnet",
        "veth",
        "virbr",
        "vmnet",
        "zt",
    ];
    PREFIXES.iter().any(|prefix| interface.starts_with(prefix)) || interface.starts_with("wg")
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    fn places() -> Vec<Place> {
        [
            ("lo", "127.0.0.1"),
            ("docker0", "172.17.0.1"),
            ("wlan0", "192.168.1.23"),
            ("wlan0", "fe80::1"),
            ("eth0", "10.0.0.5"),
            ("eth1", "169.254.7.7"),
        ]
        .map(|(name, ip)| Place { interface: name.to_owned(), address: ip.parse().unwrap() })
        .to_vec()
    }

    #[test]
    fn every_address_of_the_lan_is_told_and_virtual_ones_come_last() {
        assert_snapshot!(draw("0.0.0.0:8080".parse().unwrap(), &places(), &Look::PLAIN), @r"
        On the console: Proxy Server -> Address 192.168.1.23  Port 8080  (wlan0)
        On the console: Proxy Server -> Address 10.0.0.5  Port 8080  (eth0)
        On the console: Proxy Server -> Address 172.17.0.1  Port 8080  (docker0)
        ");
    }

    #[test]
    fn a_single_address_stands_alone() {
        let unicode = Look { charset: crate::escape::Charset::Unicode, ..Look::PLAIN };
        assert_eq!(
            draw("0.0.0.0:80".parse().unwrap(), &places()[2..4], &unicode),
            "On the console: Proxy Server → Address 192.168.1.23  Port 80\n"
        );
        assert_eq!(
            draw("10.0.0.5:81".parse().unwrap(), &places(), &unicode),
            "On the console: Proxy Server → Address 10.0.0.5  Port 81\n"
        );
    }

    #[test]
    fn what_no_console_can_reach_is_said_so() {
        let loopback = draw("127.0.0.1:8080".parse().unwrap(), &places(), &Look::PLAIN);
        assert!(loopback.starts_with("Only this machine"), "{loopback}");
        let nothing = draw("0.0.0.0:8080".parse().unwrap(), &places()[..1], &Look::PLAIN);
        assert!(nothing.contains("no address"), "{nothing}");
    }
}
