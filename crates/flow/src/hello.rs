//! A ClientHello as an event.

use serde::{Deserialize, Serialize};

use crate::tls::Resumption;
use crate::{Classification, ClientHelloFacts, Verdict};

/// A ClientHello that was seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "Read")]
pub struct Hello {
    /// What it showed.
    #[serde(flatten)]
    pub facts: ClientHelloFacts,
    /// What the catalog says now, where that differs from what it said before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classification: Option<Box<Classification>>,
    /// What is done about it, where there is more to say than that nobody wanted it opened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<Box<Verdict>>,
}

/// The same as it is read. `flatten` would copy all of it once before it reads it, and every tunnel
/// of a session has one.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Read {
    sni: Option<String>,
    alpn: Vec<String>,
    versions: Vec<u16>,
    suites: Vec<u16>,
    groups: Vec<u16>,
    signature_algorithms: Vec<u16>,
    resumes: Option<Resumption>,
    ech: bool,
    sslv2: bool,
    ja3: String,
    ja4: String,
    classification: Option<Box<Classification>>,
    policy: Option<Box<Verdict>>,
}

impl From<Read> for Hello {
    fn from(read: Read) -> Self {
        Self {
            facts: ClientHelloFacts {
                sni: read.sni,
                alpn: read.alpn,
                versions: read.versions,
                suites: read.suites,
                groups: read.groups,
                signature_algorithms: read.signature_algorithms,
                resumes: read.resumes,
                ech: read.ech,
                sslv2: read.sslv2,
                ja3: read.ja3,
                ja4: read.ja4,
            },
            classification: read.classification,
            policy: read.policy,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TlsAction;

    #[test]
    fn every_field_is_read_as_it_is_written() {
        let facts = ClientHelloFacts {
            sni: Some("a.example".to_owned()),
            alpn: vec!["h2".to_owned()],
            versions: vec![0x0304],
            suites: vec![0x1301],
            groups: vec![0x001d],
            signature_algorithms: vec![0x0403],
            resumes: Some(Resumption::Psk),
            ech: true,
            sslv2: true,
            ja3: "3".to_owned(),
            ja4: "4".to_owned(),
        };
        let policy = Verdict { action: TlsAction::Tunnel, because: "it is pinned".to_owned() };
        let (classification, policy) = (Some(Box::default()), Some(Box::new(policy)));
        let hello = Hello { facts, classification, policy };
        let text = serde_json::to_string(&hello).unwrap();
        assert_eq!(serde_json::from_str::<Hello>(&text).unwrap(), hello);
    }
}
