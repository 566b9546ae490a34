//! The names in a server's certificate, to be copied into ours where the user asks for it: a client
//! may look for more there than the name that it asked for.

use std::net::IpAddr;

use consoletap_flow::Host;
use rcgen::SanType;
use rustls_pki_types::CertificateDer;
use x509_parser::prelude::{FromDer as _, GeneralName, ParsedExtension, X509Certificate};

/// Some certificates carry thousands of names; ours must fit a handshake.
const MOST: usize = 100;

/// What a server's certificate says whom it is for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UpstreamNames {
    common_name: Option<String>,
    /// As they stand there: `*.example.net` is one of them.
    names: Vec<Host>,
}

impl UpstreamNames {
    /// Of a server that showed these certificates, its own first. `None` where that cannot be read.
    #[must_use]
    pub fn of(chain: &[CertificateDer<'_>]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(chain.first()?).ok()?;
        let common_name = certificate.subject().iter_common_name().next();
        let names = certificate.extensions().iter().filter_map(|extension| {
            match extension.parsed_extension() {
                ParsedExtension::SubjectAlternativeName(names) => Some(&names.general_names),
                _ => None,
            }
        });
        Some(Self {
            common_name: common_name.and_then(|name| name.as_str().ok()).map(str::to_owned),
            names: names.flatten().filter_map(host).take(MOST).collect(),
        })
    }

    /// The common name, where it fits into one (RFC 5280 appendix A.1: 64 characters).
    pub(crate) fn common_name(&self) -> Option<&str> {
        self.common_name.as_deref().filter(|name| (1..=64).contains(&name.chars().count()))
    }

    /// The alternative names, and `host` where none of them is for it: a server that is believed
    /// without a check may have a certificate for somebody else.
    pub(crate) fn alternative_names(&self, host: &Host) -> Vec<SanType> {
        let mut names: Vec<SanType> = self.names.iter().filter_map(alternative_name).collect();
        if !self.names.iter().any(|name| is_for(name, host)) {
            names.extend(crate::leaf::alternative_name(host).ok());
        }
        names
    }
}

fn host(name: &GeneralName<'_>) -> Option<Host> {
    match name {
        GeneralName::DNSName(name) => name.parse().ok(),
        GeneralName::IPAddress(octets) => match <[u8; 4]>::try_from(*octets) {
            Ok(octets) => Some(IpAddr::from(octets).into()),
            Err(_) => <[u8; 16]>::try_from(*octets).ok().map(|octets| IpAddr::from(octets).into()),
        },
        _ => None,
    }
}

/// A wildcard stays one here: the server has it, too.
fn alternative_name(host: &Host) -> Option<SanType> {
    match host {
        Host::Name(name) => Some(SanType::DnsName(String::from(&**name).try_into().ok()?)),
        Host::V4(ip) => Some(SanType::IpAddress(IpAddr::V4(*ip))),
        Host::V6(ip) => Some(SanType::IpAddress(IpAddr::V6(*ip))),
    }
}

/// RFC 6125 6.4.3: `*` is one label, the first.
fn is_for(pattern: &Host, host: &Host) -> bool {
    match (pattern, host) {
        (Host::Name(pattern), Host::Name(host)) => {
            pattern.eq_ignore_ascii_case(host)
                || pattern.strip_prefix("*.").is_some_and(|rest| {
                    host.split_once('.')
                        .is_some_and(|(_, parent)| parent.eq_ignore_ascii_case(rest))
                })
        }
        _ => pattern == host,
    }
}
