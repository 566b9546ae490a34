//! Socket addresses in JSON, as their `Display` has them. Each flow of a session has two, and for
//! those of IPv4 a formatter costs more than all their digits.

use std::net::{SocketAddr, SocketAddrV4};

use serde::Serializer;

pub(crate) fn serialize<S: Serializer>(
    address: &SocketAddr,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match address {
        SocketAddr::V4(address) => serializer.serialize_str(Text::of(address).as_str()),
        SocketAddr::V6(address) => serializer.collect_str(address),
    }
}

/// One that is known.
pub(crate) fn serialize_some<S: Serializer>(
    address: &Option<SocketAddr>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match address {
        Some(address) => serialize(address, serializer),
        None => serializer.serialize_none(),
    }
}

/// `255.255.255.255:65535` is the longest.
struct Text {
    octets: [u8; 21],
    len: usize,
}

impl Text {
    fn of(address: &SocketAddrV4) -> Self {
        let mut text = Self { octets: [0; 21], len: 0 };
        for octet in address.ip().octets() {
            text.push(itoa::Buffer::new().format(octet));
            text.push(".");
        }
        text.octets[text.len - 1] = b':';
        text.push(itoa::Buffer::new().format(address.port()));
        text
    }

    fn push(&mut self, part: &str) {
        let end = self.len + part.len();
        self.octets[self.len..end].copy_from_slice(part.as_bytes());
        self.len = end;
    }

    fn as_str(&self) -> &str {
        // Digits, points and a colon.
        std::str::from_utf8(&self.octets[..self.len]).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn the_text_of_an_address_is_what_it_displays(ip: [u8; 4], port: u16) {
            let address = SocketAddrV4::new(ip.into(), port);
            let text = Text::of(&address);
            proptest::prop_assert_eq!(text.as_str(), address.to_string());
        }
    }

    #[test]
    fn the_shortest_and_the_longest_fit() {
        for text in ["0.0.0.0:0", "255.255.255.255:65535", "10.0.100.9:80"] {
            let address = text.parse().unwrap();
            assert_eq!(Text::of(&address).as_str(), text);
        }
    }
}
