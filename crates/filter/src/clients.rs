//! Clients that a person named in the settings, as `living-room=192.168.1.20`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

use crate::expression::Expression;
use crate::operator::{Client, Operator};

/// A client, or a network of them, with its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedClient {
    name: String,
    network: IpNet,
}

impl NamedClient {
    /// The address or network of a name, in capitals or not; several where a name stands twice.
    pub fn called<'a>(named: &'a [Self], name: &'a str) -> impl Iterator<Item = IpNet> + 'a {
        let is_it = move |client: &&Self| client.name.eq_ignore_ascii_case(name);
        named.iter().filter(is_it).map(|client| client.network)
    }
}

impl FromStr for NamedClient {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("{text:?} is no client with a name: write it as living-room=192.168.1.20");
        let (name, address) = text.split_once('=').ok_or_else(wrong)?;
        let is_word = |c: char| c.is_alphanumeric() || "-_.".contains(c);
        let named = matches!(Client::parse(name), Ok(Client::Named(_)));
        if !named || !name.chars().all(is_word) {
            return Err(wrong());
        }
        let one = address.parse::<IpAddr>().map(|ip| IpNet::from(ip.to_canonical()));
        let network = one.or_else(|_| address.parse::<IpNet>()).map_err(|_| wrong())?;
        Ok(Self { name: name.to_owned(), network: network.trunc() })
    }
}

impl fmt::Display for NamedClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name, self.network)
    }
}

impl Expression {
    /// Puts addresses in the place of names that are given. Other names stay: they may be those
    /// of the log.
    pub(crate) fn name_clients(&mut self, named: &[NamedClient]) {
        match self {
            Self::Operator(Operator::Client(clients), _) => {
                *clients = clients.drain(..).flat_map(|client| resolved(client, named)).collect();
            }
            Self::Operator(..) => {}
            Self::Not(inner) => inner.name_clients(named),
            Self::And(parts) | Self::Or(parts) => {
                parts.iter_mut().for_each(|part| part.name_clients(named));
            }
        }
    }
}

fn resolved(client: Client, named: &[NamedClient]) -> Vec<Client> {
    let Client::Named(name) = &client else { return vec![client] };
    let given = named.iter().filter(|given| name.is(&given.name));
    let addresses: Vec<Client> = given
        .map(|NamedClient { network, .. }| match network.prefix_len() == network.max_prefix_len() {
            true => Client::Address(network.addr()),
            false => Client::Network(*network),
        })
        .collect();
    if addresses.is_empty() { vec![client] } else { addresses }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Filter, Stage, Subject};

    #[test]
    fn a_client_with_a_name_is_read_and_anything_else_is_told() {
        for (text, shown) in [
            ("living-room=192.168.1.20", "living-room=192.168.1.20/32"),
            ("lab=10.0.0.7/8", "lab=10.0.0.0/8"),
            ("six=fe80::1", "six=fe80::1/128"),
            ("four=::ffff:10.0.0.1", "four=10.0.0.1/32"),
        ] {
            assert_eq!(text.parse::<NamedClient>().unwrap().to_string(), shown);
        }
        for text in ["", "a", "=1.2.3.4", "a=b", "10.0.0.1=10.0.0.1", "a b=1.2.3.4", "a*=1.2.3.4"] {
            let error = text.parse::<NamedClient>().unwrap_err();
            assert!(error.contains("living-room=192.168.1.20"), "{text}: {error}");
        }
    }

    #[test]
    fn a_name_that_was_given_is_known_when_the_request_has_come() {
        let named: Vec<NamedClient> =
            ["tv=10.0.0.1", "lab=10.1.0.0/16"].map(|text| text.parse().unwrap()).into();
        let from = |filter: &Filter, ip: &str| {
            let mut subject = Subject::default();
            subject.client = Some(ip.parse().unwrap());
            filter.matches(&subject)
        };
        let filter = Filter::parse("!~client TV & ~client tv|lab").unwrap();
        assert!(filter.check(Stage::Request).is_err());
        let filter = filter.naming_clients(&named);
        filter.check(Stage::Request).unwrap();
        assert!(from(&filter, "10.1.2.3"));
        assert!(!from(&filter, "10.0.0.1") && !from(&filter, "10.2.0.1"));
        let other = Filter::parse("~client PS4").unwrap().naming_clients(&named);
        let error = other.check(Stage::Request).unwrap_err().to_string();
        assert!(error.contains("name-client = [\"ps4=192.168.1.20\"]"), "{error}");
    }
}
