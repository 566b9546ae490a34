//! What the clients are called in the log: `PS4` once a flow told, and until then the end of the
//! address.

use std::collections::HashMap;
use std::net::IpAddr;

use consoletap_flow::{Flow, Platform};

use crate::look::Look;

/// What is known of the clients so far.
#[derive(Debug, Default)]
pub(crate) struct Consoles {
    known: HashMap<IpAddr, Known>,
}

/// The best that a client's flows told, and how sure that is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Known {
    platform: Platform,
    evidence: Evidence,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Evidence {
    /// The service is used by several consoles of a family.
    Family,
    /// The service belongs to one console; another may use it too, as when a PS5 plays a PS4 game.
    Service,
    /// The console told its firmware, which is in its user agent.
    UserAgent,
}

impl Consoles {
    /// Learns from a flow.
    pub(crate) fn learn(&mut self, flow: &Flow) {
        let Some(platform) = flow.classification.platform.only() else { return };
        let evidence = match platform {
            Platform::PlayStation | Platform::Nintendo | Platform::Xbox => Evidence::Family,
            _ if flow.classification.details.firmware.is_some() => Evidence::UserAgent,
            _ => Evidence::Service,
        };
        let ip = address(flow);
        if self
            .known
            .get(&ip)
            .is_none_or(|known| evidence > known.evidence || evidence == Evidence::UserAgent)
        {
            self.known.insert(ip, Known { platform, evidence });
        }
    }

    /// What to call the client of this flow. Two consoles of a kind are told apart by the end of
    /// their addresses.
    pub(crate) fn label(&self, ip: IpAddr, look: &Look) -> String {
        let Some(known) = self.known.get(&ip) else { return short_address(ip) };
        let name = short_name(known.platform);
        let twins = self.known.values().filter(|other| other.platform == known.platform).count();
        if twins < 2 {
            return name;
        }
        format!("{name}{}{}", look.pick("·", "-"), last_part(ip))
    }
}

/// The address of the client of a flow, an IPv4 one always in IPv4's form.
pub(crate) fn address(flow: &Flow) -> IpAddr {
    flow.client.address.ip().to_canonical()
}

/// A column of the log has no space in it.
fn short_name(platform: Platform) -> String {
    match platform {
        Platform::PsVita => "Vita".to_owned(),
        other => other.label().replace(' ', ""),
    }
}

/// The end of the address: neighbours at home share its beginning.
fn short_address(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => {
            let [_, _, third, last] = ip.octets();
            format!(".{third}.{last}")
        }
        IpAddr::V6(_) => format!(":{}", last_part(ip)),
    }
}

fn last_part(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.octets()[3].to_string(),
        IpAddr::V6(ip) => format!("{:x}", ip.segments()[7]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::Sample;

    #[test]
    fn a_client_gets_its_name_from_its_flows() {
        let mut consoles = Consoles::default();
        let ip: IpAddr = "192.168.1.23".parse().unwrap();
        assert_eq!(consoles.label(ip, &Look::PLAIN), ".1.23");
        consoles.learn(&Sample::get("http://a.playstation.net/").platform("playstation").flow());
        assert_eq!(consoles.label(ip, &Look::PLAIN), "PlayStation");
        consoles.learn(&Sample::get("http://a.playstation.net/").platform("ps4").flow());
        assert_eq!(consoles.label(ip, &Look::PLAIN), "PS4");
        // A service of another console does not rename it, its own user agent does.
        consoles.learn(&Sample::get("http://a.playstation.net/").platform("ps3").flow());
        assert_eq!(consoles.label(ip, &Look::PLAIN), "PS4");
        consoles.learn(&Sample::get("http://a/").platform("ps5").firmware("9.00").flow());
        assert_eq!(consoles.label(ip, &Look::PLAIN), "PS5");
    }

    #[test]
    fn two_consoles_of_a_kind_are_told_apart() {
        let mut consoles = Consoles::default();
        for client in ["192.168.1.23:5000", "192.168.1.24:5000", "[fe80::ab]:5000"] {
            consoles.learn(&Sample::get("http://a/").platform("ps4").client(client).flow());
        }
        assert_eq!(consoles.label("192.168.1.24".parse().unwrap(), &Look::PLAIN), "PS4-24");
        assert_eq!(consoles.label("fe80::ab".parse().unwrap(), &Look::PLAIN), "PS4-ab");
    }
}
