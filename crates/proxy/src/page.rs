//! The proxy's own pages, for the browser of a console: <http://consoletap.test/> through the proxy,
//! and the proxy's address itself. They say as what the console is seen, whether its HTTPS can be
//! opened, where the certificate is, and what was seen of this client.
//!
//! A browser of 2006 must be able to show them: HTML 3.2, ASCII, no script, no style, nothing to
//! load. And nothing can be changed here: every page is an answer to GET, and tells a client of
//! itself alone.

mod html;
mod seen;
mod start;
mod tested;
#[cfg(test)]
#[cfg(feature = "interception")]
mod tests;

use std::net::IpAddr;

use consoletap_flow::{Authority, Headers, Host, Platform, RequestHead, Scheme, Url, Version};
use consoletap_tls::{Authority as CertificateAuthority, CertificateForm, ConsoleFile};

use crate::headers;
use crate::serve::reason;
use html::Html;
pub use seen::Seen;
pub(crate) use tested::{Outcome, Tested};

/// The name of the pages. The domain `test` is nobody's (RFC 6761 6.2), so nothing is taken from
/// anybody, and no name server can lead it elsewhere.
const HOST: &str = "consoletap.test";
/// The name whose HTTPS is always opened, with a certificate of ours.
pub(crate) const TEST_HOST: &str = "test.consoletap.test";

/// Whether a host is one of ours, to which nothing is ever sent on.
pub(crate) fn is_ours(host: &Host) -> bool {
    let Host::Name(name) = host else { return false };
    let name = name.strip_suffix('.').unwrap_or(name);
    let Some(before) = name.len().checked_sub(HOST.len()) else { return false };
    name.is_char_boundary(before)
        && name[before..].eq_ignore_ascii_case(HOST)
        && (before == 0 || name.as_bytes()[before - 1] == b'.')
}

/// Whether a request that names a path alone was meant for the proxy itself. A page of the web
/// whose name was made to lead here (DNS rebinding) says its own name in `Host`, and gets nothing.
pub(crate) fn is_for_us(head: &RequestHead) -> bool {
    let Some(host) = head.headers.text("host") else {
        // Nobody after 1999 leaves it out, and HTTP/1.1 forbids it.
        return head.version == Version::Http10;
    };
    let Ok(authority) = Authority::parse(host, Some(80)) else { return false };
    match &authority.host {
        Host::V4(_) | Host::V6(_) => true,
        Host::Name(name) => name.eq_ignore_ascii_case("localhost") || is_ours(&authority.host),
    }
}

/// The URL of a page that was asked for by the proxy's address.
pub(crate) fn url(path: &str) -> Url {
    let authority = Authority { host: Host::Name(HOST.into()), port: 80 };
    Url { scheme: Scheme::Http, authority, path: path.to_owned() }
}

/// What the pages tell.
pub(crate) struct Facts<'a> {
    /// Who asks.
    pub(crate) client: IpAddr,
    /// Which console that is, by its user agent.
    pub(crate) platform: Option<Platform>,
    /// Our certificates, where there are any.
    pub(crate) authority: Option<&'a CertificateAuthority>,
    /// Whether any TLS is to be opened.
    pub(crate) intercepts: bool,
    /// How this client's last test ended.
    pub(crate) tested: Option<Outcome>,
    /// Who remembers what was seen.
    pub(crate) seen: Option<&'a dyn Seen>,
    /// Whether this came through TLS that was opened.
    pub(crate) secure: bool,
}

/// A page, or a file.
pub(crate) struct Document {
    pub(crate) status: u16,
    media_type: &'static str,
    file_name: Option<&'static str>,
    pub(crate) body: Vec<u8>,
}

impl Document {
    fn page(status: u16, page: Html) -> Self {
        let media_type = "text/html; charset=iso-8859-1";
        Self { status, media_type, file_name: None, body: page.finish() }
    }

    fn certificate(facts: &Facts<'_>, file: ConsoleFile) -> Option<Self> {
        let body = facts.authority?.export(file.form);
        let media_type = file.form.media_type();
        Some(Self { status: 200, media_type, file_name: Some(file.name), body })
    }

    /// The fields of the answer, without its length.
    pub(crate) fn fields(&self) -> Headers {
        let mut fields = Headers::with_capacity(8);
        let mut push = |name, value: &str| headers::push(&mut fields, name, value);
        push("Content-Type", self.media_type);
        if let Some(name) = self.file_name {
            push("Content-Disposition", &format!("attachment; filename=\"{name}\""));
        }
        if self.status == 405 {
            push("Allow", "GET, HEAD");
        }
        push("Cache-Control", "no-store");
        push("X-Content-Type-Options", "nosniff");
        push("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'");
        push("Referrer-Policy", "no-referrer");
        fields
    }
}

/// Answers a request for one of our hosts. `host` is which, and `path` may have a query, which
/// says nothing here.
pub(crate) fn answer(facts: &Facts<'_>, method: &str, host: &Host, path: &str) -> Document {
    if method != "GET" && method != "HEAD" {
        return message(405, "These pages can be looked at, and nothing else.");
    }
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let is_test = matches!(host, Host::Name(name) if name.eq_ignore_ascii_case(TEST_HOST));
    match path {
        "/" | "" if is_test && facts.secure => Document::page(200, tested::it_works()),
        "/" | "" => Document::page(200, start::page(facts)),
        "/seen" => Document::page(200, seen::page(facts)),
        _ => file(path)
            .and_then(|file| Document::certificate(facts, file))
            .unwrap_or_else(|| message(404, "There is no such page.")),
    }
}

/// The certificate by the names that consoles want.
fn file(path: &str) -> Option<ConsoleFile> {
    let file = |name, form| ConsoleFile { name, form };
    let files = [
        file("consoletap-ca.pem", CertificateForm::Pem),
        file("consoletap-ca.cer", CertificateForm::Der),
        file("consoletap-ca.p12", CertificateForm::P12),
        file("CA60.cer", CertificateForm::Pem),
        file("CA_LIST.cer", CertificateForm::Pem),
    ];
    let name = path.strip_prefix('/')?;
    files.into_iter().find(|file| file.name == name)
}

fn message(status: u16, text: &str) -> Document {
    let mut page = Html::begin("consoletap");
    page.heading(reason(status));
    page.paragraph(text);
    page.link("/", "To the first page");
    Document::page(status, page)
}
