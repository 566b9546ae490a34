//! What a console is told to ask for.

use crate::error::Error;

/// What to ask for; the console adds what it always sends.
#[derive(Debug, Clone)]
pub struct Request {
    pub(super) method: &'static str,
    pub(super) url: String,
    pub(super) agent: Option<String>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Option<Vec<u8>>,
    pub(super) close: bool,
    pub(super) http_10: bool,
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
