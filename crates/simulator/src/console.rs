//! Consoles: which bytes they send.
//!
//! User agents and request lines are the documented ones. The order of header lines is known for
//! the Switch (NintendoClients wiki) and the PS3 (a request behind a proxy: Host, Connection,
//! Accept-Encoding); the other PlayStation consoles share libhttp with the PS3 and are given its
//! order, for want of a capture. WebKit's order is our choice.

mod agent;
mod client;
mod download;
#[cfg(feature = "legacy-tls")]
mod exact_tls;
mod legacy_hello;
#[cfg(feature = "legacy-tls")]
mod legacy_tls;
mod request;
mod tunnel;
mod wire;

pub use client::{Client, GotAnswer};
pub use download::{Download, Downloaded};
#[cfg(feature = "legacy-tls")]
pub use exact_tls::ExactTls;
pub use legacy_hello::{HelloReply, LegacyHello};
#[cfg(feature = "legacy-tls")]
pub use legacy_tls::LegacyConsole;
#[cfg(feature = "legacy-tls")]
pub(crate) use legacy_tls::load_providers;
pub use request::Request;
pub use tunnel::{SecureClient, TlsVersion, Tunnel};
pub use wire::AnswerHead;

pub(crate) use request::split_url;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::error::Error;

/// Which console.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Model {
    /// PlayStation 3.
    Ps3,
    /// PS Vita.
    Vita,
    /// PlayStation 4.
    Ps4,
    /// PlayStation 5.
    Ps5,
    /// Nintendo Switch.
    Switch,
}

/// A console of some firmware.
#[derive(Debug, Clone)]
pub struct Console {
    model: Model,
    firmware: String,
    roots: RootCertStore,
}

impl Console {
    /// A PS4. With `1.51` and `1.61` it is one of the two on the page.
    #[must_use]
    pub fn ps4(firmware: &str) -> Self {
        Self::new(Model::Ps4, firmware)
    }

    /// A PS3.
    #[must_use]
    pub fn ps3(firmware: &str) -> Self {
        Self::new(Model::Ps3, firmware)
    }

    /// A PS Vita.
    #[must_use]
    pub fn vita(firmware: &str) -> Self {
        Self::new(Model::Vita, firmware)
    }

    /// A PS5.
    #[must_use]
    pub fn ps5(firmware: &str) -> Self {
        Self::new(Model::Ps5, firmware)
    }

    /// A Switch. Its requests do not tell the firmware.
    #[must_use]
    pub fn switch() -> Self {
        Self::new(Model::Switch, "")
    }

    fn new(model: Model, firmware: &str) -> Self {
        Self { model, firmware: firmware.to_owned(), roots: RootCertStore::empty() }
    }

    /// The same console with these roots built in. One that was given none refuses every
    /// certificate with `unknown_ca`, as a console refuses ours.
    #[must_use]
    pub fn trusting(self, roots: RootCertStore) -> Self {
        Self { roots, ..self }
    }

    /// The same console with the certificates of a PEM file added to its roots, as a modified
    /// console has them.
    ///
    /// # Errors
    /// If the text is no PEM or a certificate in it cannot be a root.
    pub fn also_trusting_pem(mut self, pem: &str) -> Result<Self, Error> {
        for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            let certificate = certificate.map_err(|error| Error::Root(error.to_string()))?;
            self.roots.add(certificate).map_err(|error| Error::Root(error.to_string()))?;
        }
        Ok(self)
    }

    /// Which console it is.
    #[must_use]
    pub fn model(&self) -> Model {
        self.model
    }

    /// Its firmware.
    #[must_use]
    pub fn firmware(&self) -> &str {
        &self.firmware
    }

    pub(crate) fn roots(&self) -> &RootCertStore {
        &self.roots
    }

    /// The bytes of a request to a proxy: absolute-form.
    ///
    /// # Errors
    /// If the URL has no `http` scheme or no host.
    pub fn to_proxy(&self, request: &Request) -> Result<Vec<u8>, Error> {
        let (host, _) = split_url(&request.url, "http://")?;
        Ok(self.bytes(request, &request.url, host))
    }

    /// The bytes of the same request inside a tunnel: origin-form, for an `https` URL.
    ///
    /// # Errors
    /// If the URL has no `https` scheme or no host.
    pub fn to_origin(&self, request: &Request) -> Result<Vec<u8>, Error> {
        let (host, path) = split_url(&request.url, "https://")?;
        Ok(self.bytes(request, path, host))
    }

    /// The bytes of a CONNECT. The page shows `host:443` in the Host of those that name a user
    /// agent (WebKit) and the bare host for the others; lines that it prints without a version
    /// are taken for an abbreviation of the wiki and sent with `HTTP/1.1`.
    #[must_use]
    pub fn connect(&self, host: &str, agent: Option<&str>) -> Vec<u8> {
        let head = match agent {
            Some(agent) => format!(
                "CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\nUser-Agent: {agent}\r\n\r\n"
            ),
            None => format!("CONNECT {host}:443 HTTP/1.1\r\nHost: {host}\r\n\r\n"),
        };
        head.into_bytes()
    }

    fn bytes(&self, request: &Request, target: &str, host: &str) -> Vec<u8> {
        let Request { method, agent, headers, body, close, http_10, .. } = request;
        let version = if *http_10 { "HTTP/1.0" } else { "HTTP/1.1" };
        let mut lines = vec![format!("{method} {target} {version}"), format!("Host: {host}")];
        let agent = agent.as_ref().map(|agent| match self.model {
            // Two spaces, as in the captures of a Vita.
            Model::Vita => format!("User-Agent:  {agent}"),
            _ => format!("User-Agent: {agent}"),
        });
        if self.model == Model::Switch {
            lines.extend(agent);
            lines.push("Accept: */*".to_owned());
            lines.extend(self.extra(headers, body));
            lines.push(format!("Connection: {}", if *close { "close" } else { "keep-alive" }));
        } else {
            lines.push(format!("Connection: {}", if *close { "close" } else { "Keep-Alive" }));
            lines.extend(self.extra(headers, body));
            lines.push("Accept-Encoding: identity".to_owned());
            lines.extend(agent);
        }
        let mut bytes = lines.join("\r\n").into_bytes();
        bytes.extend_from_slice(b"\r\n\r\n");
        bytes.extend_from_slice(body.as_deref().unwrap_or_default());
        bytes
    }

    fn extra(&self, headers: &[(String, String)], body: &Option<Vec<u8>>) -> Vec<String> {
        let length = body.as_ref().map(|body| format!("Content-Length: {}", body.len()));
        let headers = headers.iter().map(|(name, value)| format!("{name}: {value}"));
        length.into_iter().chain(headers).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: Vec<u8>) -> String {
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_ps3_sends_what_was_seen_behind_a_proxy() {
        let ps3 = Console::ps3("4.81");
        let url = "http://fuk01.ps3.update.playstation.net/update/ps3/list/uk/ps3-updatelist.txt";
        let request = Request::get(url).agent(ps3.update_agent());
        assert_eq!(
            text(ps3.to_proxy(&request).unwrap()),
            "GET http://fuk01.ps3.update.playstation.net/update/ps3/list/uk/ps3-updatelist.txt HTTP/1.1\r\n\
             Host: fuk01.ps3.update.playstation.net\r\n\
             Connection: Keep-Alive\r\n\
             Accept-Encoding: identity\r\n\
             User-Agent: PS3Update-agent/1.0.0 libhttp/1.0.0\r\n\r\n"
        );
    }

    #[test]
    fn a_switch_sends_what_the_wiki_shows() {
        let switch = Console::switch();
        let test =
            Request::get("http://ctest.cdn.nintendo.net/").agent(switch.network_test_agent());
        assert_eq!(
            text(switch.to_proxy(&test).unwrap()),
            "GET http://ctest.cdn.nintendo.net/ HTTP/1.1\r\n\
             Host: ctest.cdn.nintendo.net\r\n\
             User-Agent: NX NIFM/00\r\n\
             Accept: */*\r\n\
             Connection: keep-alive\r\n\r\n"
        );
        let up =
            Request::post("http://ctest-ul-lp1.cdn.nintendo.net/1m", b"abc".to_vec()).http_10();
        assert_eq!(
            text(switch.to_proxy(&up.agent("Nintendo NX")).unwrap()),
            "POST http://ctest-ul-lp1.cdn.nintendo.net/1m HTTP/1.0\r\n\
             Host: ctest-ul-lp1.cdn.nintendo.net\r\n\
             User-Agent: Nintendo NX\r\n\
             Accept: */*\r\n\
             Content-Length: 3\r\n\
             Connection: keep-alive\r\n\r\nabc"
        );
    }

    #[test]
    fn a_vita_has_two_spaces_before_its_agent() {
        let vita = Console::vita("3.73");
        let request =
            Request::get("http://fus01.psp2.update.playstation.net/x").agent(vita.agent());
        let bytes = text(vita.to_proxy(&request).unwrap());
        assert!(bytes.contains("\r\nUser-Agent:  libhttp/3.73 (PS Vita)\r\n"), "{bytes}");
    }

    #[test]
    fn a_connect_is_as_the_page_has_it() {
        let ps4 = Console::ps4("1.51");
        assert_eq!(
            text(ps4.connect("asm.np.community.playstation.net", None)),
            "CONNECT asm.np.community.playstation.net:443 HTTP/1.1\r\n\
             Host: asm.np.community.playstation.net\r\n\r\n"
        );
        let webkit = text(ps4.connect("themis.dl.playstation.net", Some(&ps4.webkit_agent())));
        assert_eq!(
            webkit,
            "CONNECT themis.dl.playstation.net:443 HTTP/1.1\r\n\
             Host: themis.dl.playstation.net:443\r\n\
             User-Agent: Mozilla/5.0 (PlayStation 4 1.51) AppleWebKit/536.26 (KHTML, like Gecko)\r\n\r\n"
        );
    }

    #[test]
    fn a_url_that_no_console_sends_is_refused() {
        for url in ["https://x/", "http:///x", "http://host", "x", ""] {
            assert!(matches!(Console::switch().to_proxy(&Request::get(url)), Err(Error::Url(_))));
        }
    }
}
