//! What stands in the place of a secret.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;

/// What is shown where a pseudonym would say no more.
const MASK: &str = "***";
const PREFIX: &str = "redacted-";
/// 10 characters of 5 bits: among a million secrets two share a pseudonym with a chance of 1 in
/// 2000.
const CHARACTERS: usize = 10;
/// RFC 4648 6 in lower case.
const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// What makes pseudonyms of one session, and of no other. Whoever has it can try whether a guess
/// was right, so it never goes with what is handed on.
#[derive(Clone)]
pub struct Key(pub [u8; 32]);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(…)")
    }
}

/// How secrets are replaced.
#[derive(Debug, Clone)]
pub(crate) enum StandIn {
    /// All by the same three stars.
    Mask,
    /// Each by a name of its own: a keyed hash of it, so that it is the same wherever the secret
    /// is, cannot be turned back, and does not tell how long the secret was.
    Pseudonym(Key),
}

impl StandIn {
    /// For a secret of no known shape.
    pub(crate) fn token(&self, secret: &[u8]) -> String {
        let Self::Pseudonym(key) = self else { return MASK.to_owned() };
        let hash = blake3::keyed_hash(&key.0, secret);
        let character = |octet: &u8| char::from(BASE32[usize::from(octet & 31)]);
        PREFIX.chars().chain(hash.as_bytes()[..CHARACTERS].iter().map(character)).collect()
    }

    /// For a hardware address: one that is locally administered (IEEE 802c).
    pub(crate) fn mac(&self, mac: &str) -> String {
        let Self::Pseudonym(key) = self else { return MASK.to_owned() };
        let digits: String = mac.replace("%3A", ":").replace("%3a", ":").to_ascii_lowercase();
        let digits: String = digits.chars().filter(char::is_ascii_hexdigit).collect();
        let hash = blake3::keyed_hash(&key.0, digits.as_bytes());
        let [a, b, c, d, e, ..] = *hash.as_bytes();
        let separator = if mac.contains('-') { '-' } else { ':' };
        let octets = [2, a, b, c, d, e].map(|octet| format!("{octet:02x}"));
        let plain = octets.join(&separator.to_string());
        if mac.contains('%') { plain.replace(':', "%3A") } else { plain }
    }

    /// For an address of the home network: another private one. Addresses that say nothing
    /// (loopback, unspecified) stay.
    pub(crate) fn address(&self, ip: IpAddr) -> IpAddr {
        let Self::Pseudonym(key) = self else { return ip };
        let ip = ip.to_canonical();
        if ip.is_loopback() || ip.is_unspecified() {
            return ip;
        }
        let hash = *blake3::keyed_hash(&key.0, ip.to_string().as_bytes()).as_bytes();
        match ip {
            // Not .0 and not .255, which would look like something else.
            IpAddr::V4(_) => Ipv4Addr::new(10, hash[0], hash[1], hash[2] % 254 + 1).into(),
            IpAddr::V6(_) => {
                let mut octets = [0; 16];
                octets.copy_from_slice(&hash[..16]);
                octets[0] = 0xfd; // RFC 4193: a unique local address
                Ipv6Addr::from(octets).into()
            }
        }
    }
}

/// Whether this already stands for something.
pub(crate) fn is_stand_in(value: &[u8]) -> bool {
    let of_pseudonym =
        |rest: &[u8]| rest.len() == CHARACTERS && rest.iter().all(|byte| BASE32.contains(byte));
    value == MASK.as_bytes() || value.strip_prefix(PREFIX.as_bytes()).is_some_and(of_pseudonym)
}

/// Where pseudonyms of secrets stand in these octets, in order. Those of addresses look like
/// addresses, and are not found.
pub fn stand_ins(octets: &[u8]) -> impl Iterator<Item = Range<usize>> + '_ {
    let mut from = 0;
    std::iter::from_fn(move || {
        loop {
            let at = from + find(&octets[from..], PREFIX.as_bytes())?;
            let end = at + PREFIX.len() + CHARACTERS;
            if octets.get(at..end).is_some_and(is_stand_in) {
                from = end;
                return Some(at..end);
            }
            from = at + 1;
        }
    })
}

fn find(octets: &[u8], what: &[u8]) -> Option<usize> {
    octets.windows(what.len()).position(|window| window == what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pseudonym_is_stable_and_tells_neither_length_nor_secret() {
        let (one, other) = (StandIn::Pseudonym(Key([1; 32])), StandIn::Pseudonym(Key([2; 32])));
        assert_eq!(one.token(b"geheim"), one.token(b"geheim"));
        assert_ne!(one.token(b"geheim"), one.token(b"geheim2"));
        assert_ne!(one.token(b"geheim"), other.token(b"geheim"));
        assert_eq!(one.token(b"x").len(), one.token(&[0; 999]).len());
        assert!(is_stand_in(one.token(b"x").as_bytes()) && is_stand_in(b"***"));
        assert!(!is_stand_in(b"redacted-by-hand"));
    }

    #[test]
    fn pseudonyms_are_found_wherever_they_stand() {
        let found = |text: &'static str| -> Vec<&str> {
            stand_ins(text.as_bytes()).map(|place| &text[place]).collect()
        };
        assert_eq!(
            found("?a=redacted-abcdefghij&b=redacted-redacted-234567abcdx"),
            ["redacted-abcdefghij", "redacted-234567abcd"]
        );
        assert!(found("redacted-by-hand redacted-abc").is_empty() && found("").is_empty());
    }

    #[test]
    fn addresses_keep_their_form() {
        let stand_in = StandIn::Pseudonym(Key([1; 32]));
        let mac = stand_in.mac("AA-BB-CC-DD-EE-FF");
        assert_eq!((mac.len(), mac.matches('-').count()), (17, 5));
        assert_eq!(stand_in.mac("aa:bb:cc:dd:ee:ff"), mac.replace('-', ":"));
        assert_eq!(stand_in.mac("aa%3Abb%3Acc%3Add%3Aee%3Aff"), mac.replace('-', "%3A"));
        let ip: IpAddr = "192.168.1.23".parse().unwrap();
        assert_ne!(stand_in.address(ip), ip);
        assert_eq!(stand_in.address("::ffff:192.168.1.23".parse().unwrap()), stand_in.address(ip));
        let loopback: IpAddr = "127.0.0.1".parse().unwrap();
        assert_eq!(stand_in.address(loopback), loopback);
    }
}
