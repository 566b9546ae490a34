//! Consoles: which bytes they send.
//!
//! User agents and request lines are the documented ones. The order of header lines is known for
//! the Switch (NintendoClients wiki) and the PS3 (a request behind a proxy: Host, Connection,
//! Accept-Encoding); the other PlayStation consoles share libhttp with the PS3 and are given its
//! order, for want of a capture. WebKit's order is our choice.

mod client;
mod download;
mod legacy_hello;
mod tunnel;
mod wire;

pub use client::{Client, GotAnswer};
pub use download::{Download, Downloaded};
pub use legacy_hello::{HelloReply, LegacyHello};
pub use tunnel::{SecureClient, TlsVersion, Tunnel};
pub use wire::AnswerHead;

use rustls::RootCertStore;

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
                "CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\nUser-Agent: {agent}\r\n\
                 Proxy-Connection: Keep-Alive\r\n\r\n"
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

/// The documented user agents.
impl Console {
    /// Of package downloads.
    #[must_use]
    pub fn agent(&self) -> String {
        let version = self.libhttp();
        match self.model {
            Model::Ps3 => "PS3Application libhttp/4.8.1-000 (CellOS)".to_owned(),
            Model::Vita => format!("libhttp/{version} (PS Vita)"),
            Model::Ps4 => format!("libhttp/{version} (PlayStation 4)"),
            Model::Ps5 => format!("libhttp/{version} (PlayStation 5)"),
            Model::Switch => "Nintendo NX".to_owned(),
        }
    }

    /// Of update checks.
    #[must_use]
    pub fn update_agent(&self) -> String {
        match self.model {
            Model::Ps3 => "PS3Update-agent/1.0.0 libhttp/1.0.0".to_owned(),
            Model::Ps4 => format!("Download/1.00 {}", self.agent()),
            _ => self.agent(),
        }
    }

    /// Of connection tests.
    #[must_use]
    pub fn network_test_agent(&self) -> String {
        match self.model {
            Model::Ps3 => "PS3Netconf-agent/1.0.0 libhttp/1.0.0".to_owned(),
            Model::Ps4 => format!("btest/1.0 {}", self.agent()),
            Model::Switch => "NX NIFM/00".to_owned(),
            _ => self.agent(),
        }
    }

    /// Of a PS4's logger, which asks for the update list as well.
    #[must_use]
    pub fn system_logger_agent(&self) -> String {
        let system = match self.firmware.as_str() {
            "1.51" => "1.501".to_owned(),
            firmware => format!("{firmware}0"),
        };
        format!("SystemLogger/1.0 (PlayStation 4 {system}) {}", self.agent())
    }

    /// Of a PS4 that wants to know what a title is called.
    #[must_use]
    pub fn title_metadata_agent(&self) -> String {
        format!("PS4TitleMetadata/1.00 {}", self.agent())
    }

    /// Of the WebKit in a PS4's shell.
    #[must_use]
    pub fn webkit_agent(&self) -> String {
        let firmware = &self.firmware;
        format!("Mozilla/5.0 (PlayStation 4 {firmware}) AppleWebKit/536.26 (KHTML, like Gecko)")
    }

    /// The page has libhttp/1.50 beside a WebKit of 1.51.
    fn libhttp(&self) -> &str {
        match (self.model, self.firmware.as_str()) {
            (Model::Ps4, "1.51") => "1.50",
            (_, firmware) => firmware,
        }
    }
}

/// What to ask for; the console adds what it always sends.
#[derive(Debug, Clone)]
pub struct Request {
    method: &'static str,
    url: String,
    agent: Option<String>,
    headers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
    close: bool,
    http_10: bool,
}

impl Request {
    /// A GET.
    #[must_use]
    pub fn get(url: &str) -> Self {
        Self {
            method: "GET",
            url: url.to_owned(),
            agent: None,
            headers: Vec::new(),
            body: None,
            close: false,
            http_10: false,
        }
    }

    /// A POST with a body.
    #[must_use]
    pub fn post(url: &str, body: Vec<u8>) -> Self {
        Self { method: "POST", body: Some(body), ..Self::get(url) }
    }

    /// With this user agent; without one no such header is sent.
    #[must_use]
    pub fn agent(self, agent: impl Into<String>) -> Self {
        Self { agent: Some(agent.into()), ..self }
    }

    /// With one more header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With `Connection: close`.
    #[must_use]
    pub fn close(self) -> Self {
        Self { close: true, ..self }
    }

    /// As HTTP/1.0, the speed tests of the Switch.
    #[must_use]
    pub fn http_10(self) -> Self {
        Self { http_10: true, ..self }
    }

    /// Method and URL.
    #[must_use]
    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.url)
    }
}

/// Host (with port, if there is one) and the rest from the path on.
pub(crate) fn split_url<'a>(url: &'a str, scheme: &str) -> Result<(&'a str, &'a str), Error> {
    let rest = url.strip_prefix(scheme).unwrap_or_default();
    match rest.find('/') {
        Some(slash) if slash > 0 => Ok(rest.split_at(slash)),
        _ => Err(Error::Url(url.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: Vec<u8>) -> String {
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn the_user_agents_are_those_of_the_page() {
        let (early, late) = (Console::ps4("1.51"), Console::ps4("1.61"));
        assert_eq!(early.network_test_agent(), "btest/1.0 libhttp/1.50 (PlayStation 4)");
        assert_eq!(early.update_agent(), "Download/1.00 libhttp/1.50 (PlayStation 4)");
        assert_eq!(late.update_agent(), "Download/1.00 libhttp/1.61 (PlayStation 4)");
        assert_eq!(
            early.system_logger_agent(),
            "SystemLogger/1.0 (PlayStation 4 1.501) libhttp/1.50 (PlayStation 4)"
        );
        assert_eq!(
            late.system_logger_agent(),
            "SystemLogger/1.0 (PlayStation 4 1.610) libhttp/1.61 (PlayStation 4)"
        );
        assert_eq!(
            early.title_metadata_agent(),
            "PS4TitleMetadata/1.00 libhttp/1.50 (PlayStation 4)"
        );
        assert_eq!(
            early.webkit_agent(),
            "Mozilla/5.0 (PlayStation 4 1.51) AppleWebKit/536.26 (KHTML, like Gecko)"
        );
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
        assert!(webkit.starts_with(
            "CONNECT themis.dl.playstation.net:443 HTTP/1.1\r\nHost: themis.dl.playstation.net:443\r\n"
        ));
    }

    #[test]
    fn a_url_that_no_console_sends_is_refused() {
        for url in ["https://x/", "http:///x", "http://host", "x", ""] {
            assert!(matches!(Console::switch().to_proxy(&Request::get(url)), Err(Error::Url(_))));
        }
    }
}
