//! Asking somebody else: another scheme, host or path.

use consoletap_flow::{Authority, Scheme, Url};

use crate::template::{Template, Values};

/// Where a request goes instead. What is not said stays as it was asked for.
#[derive(Debug, Clone)]
pub(crate) struct RemoteRule {
    pub(crate) scheme: Option<Scheme>,
    /// Host, and port where one is said.
    pub(crate) host: Option<Template>,
    /// Path; with a `?` in it also the query.
    pub(crate) path: Option<Template>,
    /// Whether `Host` keeps saying what the client asked for.
    pub(crate) keep_host: bool,
}

impl RemoteRule {
    /// The URL to ask instead.
    pub(crate) fn map(&self, url: &Url, values: &Values<'_>) -> Result<Url, String> {
        let scheme = self.scheme.unwrap_or(url.scheme);
        let authority = match &self.host {
            Some(host) => {
                let host = host.fill(values)?;
                Authority::parse(&host, Some(scheme.default_port()))
                    .map_err(|error| format!("{host:?} is no host: {error}"))?
            }
            None if scheme != url.scheme && url.authority.port == url.scheme.default_port() => {
                Authority { port: scheme.default_port(), ..url.authority.clone() }
            }
            None => url.authority.clone(),
        };
        let path = match &self.path {
            Some(path) => {
                let path = path.fill(values)?;
                let query = url.path.split_once('?').map(|(_, query)| query);
                let mut path = if path.starts_with('/') { path } else { format!("/{path}") };
                if let Some(query) = query.filter(|_| !path.contains('?')) {
                    path = format!("{path}?{query}");
                }
                path
            }
            None => url.path.clone(),
        };
        // What a request line can carry, and no more.
        if !path.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(format!("{path:?} is no path of a URL"));
        }
        Ok(Url { scheme, authority, path })
    }

    pub(super) fn describe(&self) -> String {
        let scheme = self.scheme.map_or_else(|| "{scheme}".to_owned(), |scheme| scheme.to_string());
        let host = self.host.as_ref().map_or_else(|| "{host}".to_owned(), ToString::to_string);
        let path = self.path.as_ref().map_or_else(|| "{path}".to_owned(), ToString::to_string);
        format!("ask {scheme}://{host}/{} instead", path.trim_start_matches('/'))
    }
}
