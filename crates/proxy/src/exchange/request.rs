//! What is asked for: the URL that is meant, what speaks against it, and what the server gets to
//! see of it.

use consoletap_catalog::Query;
use consoletap_flow::{Classification, Headers, RequestHead, Scheme, Target, Url, Version};
use consoletap_rules::{Context, Decision};
use consoletap_tls::Alpn;

use crate::exchange::{Inlet, Inside};
use crate::headers;
use crate::open_flow::{FlowLog, OpenFlow};
use crate::page;
use crate::rewrite;
use crate::shared::Shared;
use crate::upstream::Key;

/// A request that is going to be sent on.
pub(crate) struct Request<'a> {
    pub(crate) head: RequestHead,
    /// What the server is asked for; another URL than the client's where a rule maps it.
    pub(crate) url: Url,
    /// The same as the rest of the house names it.
    pub(crate) target: Target,
    pub(crate) classification: Classification,
    pub(crate) decision: Decision<'a>,
    /// Its body was read here: nobody waits for leave to send it any more.
    pub(super) is_held: bool,
    /// How long the body is that a rule made of the client's.
    pub(super) sent_length: Option<u64>,
    mapped: Option<Mapped>,
}

/// A rule sends the request to somebody else.
struct Mapped {
    /// Whether `Host` still says what the client said.
    keeps_host: bool,
}

impl<'a> Request<'a> {
    pub(super) fn new(
        head: RequestHead,
        url: Url,
        target: Target,
        classification: Classification,
        decision: Decision<'a>,
    ) -> Self {
        Self {
            head,
            url,
            target,
            classification,
            decision,
            is_held: false,
            sent_length: None,
            mapped: None,
        }
    }

    /// Sends the request to somebody else.
    pub(super) fn map(&mut self, url: Url, keeps_host: bool) {
        self.url = url;
        self.mapped = Some(Mapped { keeps_host });
    }

    /// What rules may want to know.
    pub(super) fn context<'c>(&'c self, inlet: &Inlet) -> Context<'c> {
        Context {
            classification: &self.classification,
            target: &self.target,
            method: &self.head.method,
            client: inlet.client.address.ip(),
        }
    }

    pub(super) fn is_head(&self) -> bool {
        self.head.method == "HEAD"
    }

    /// RFC 9110 9.2.2. Only such a request may be sent again, and only while it has no body.
    pub(super) fn is_idempotent(&self) -> bool {
        matches!(self.head.method.as_str(), "GET" | "HEAD" | "OPTIONS" | "TRACE" | "PUT" | "DELETE")
    }

    /// Whether the client may hold its body back until the server asks for it.
    pub(super) fn awaits_continue(&self) -> bool {
        self.head.version == Version::Http11
            && !self.is_held
            && headers::expects_continue(&self.head.headers)
    }

    /// The tunnel that this request goes on through. What names a whole URL does not: it goes
    /// where the URL says.
    pub(super) fn tunnel<'i>(&self, inlet: &'i Inlet) -> Option<&'i Inside> {
        let through = !self.head.target.contains("://") && self.mapped.is_none();
        inlet.inside.as_ref().filter(|_| through)
    }

    /// The fields for the server.
    pub(super) fn fields(&self, inlet: &Inlet, upgrade: Option<&str>, log: &FlowLog) -> Headers {
        let mut fields = self.head.headers.clone();
        headers::strip_hop_by_hop(&mut fields);
        headers::say_length_once(&mut fields);
        headers::count_down(&self.head.method, &mut fields);
        if self.head.version == Version::Http10 || self.is_held {
            // RFC 9110 10.1.1: there is no 100 in HTTP/1.0, so nobody waits for one.
            fields.remove("expect");
        }
        if let Some(length) = self.sent_length {
            rewrite::forget_what_was(&mut fields);
            headers::push(&mut fields, "Content-Length", &length.to_string());
        }
        // Inside a tunnel `Host` is all that is said of the authority, and stays as it is.
        let says_all =
            self.tunnel(inlet).is_some() && fields.get("host").is_some_and(|host| !host.is_empty());
        let keeps_host = self.mapped.as_ref().is_some_and(|mapped| mapped.keeps_host);
        let stays = says_all || keeps_host && fields.contains("host");
        if !stays {
            headers::set_host(&mut fields, self.url.scheme, &self.url.authority);
        }
        if self.decision.edits_headers() {
            log.acted(self.decision.edit_request(&mut fields, &self.context(inlet)));
        }
        if self.decision.rewrites() {
            rewrite::ask_for_all(&mut fields);
        }
        if let Some(protocol) = upgrade {
            headers::restore_upgrade(&mut fields, protocol);
        }
        if inlet.shared.settings.via {
            inlet.shared.pseudonym.add(&mut fields, self.head.version);
        }
        fields
    }
}

/// The URL that is meant (RFC 9112 3.2), or our answer's status and why.
pub(super) fn target(inlet: &Inlet, head: &RequestHead) -> Result<Url, (u16, String)> {
    let text = head.target.as_str();
    if let Some(inside) = &inlet.inside {
        if text.starts_with('/') || (text == "*" && head.method == "OPTIONS") {
            return Ok(Url {
                scheme: inside.scheme,
                authority: inside.meant(head),
                path: text.to_owned(),
            });
        }
    } else if text.starts_with('/') && page::is_for_us(head) {
        return Ok(page::url(text));
    } else if text.starts_with('/') || text == "*" {
        return Err((
            400,
            "this is a proxy: set its address and port on the console's proxy page, \
             and open no page here"
                .to_owned(),
        ));
    }
    if !text.contains("://") {
        return Err((400, "the request target is neither a URL nor a path".to_owned()));
    }
    let url: Url = text
        .parse()
        .map_err(|error| (400, format!("the request target is no http or https URL: {error}")))?;
    // A browser that uses the proxy and was told the proxy's own address means the page.
    let is_outside = inlet.inside.is_none();
    if is_outside && url.scheme == Scheme::Http && inlet.shared.upstreams.is_us(&url.authority) {
        return Ok(page::url(&url.path));
    }
    // RFC 9112 3.2.4: OPTIONS for the server itself becomes `*` on the last leg.
    let has_path = text.split_once("://").is_some_and(|(_, rest)| rest.contains(['/', '?']));
    if head.method == "OPTIONS" && !has_path {
        return Ok(Url { path: "*".to_owned(), ..url });
    }
    Ok(url)
}

/// What speaks against serving a request, whatever it is for.
pub(super) fn objection(inlet: &Inlet, head: &RequestHead) -> Option<(u16, String)> {
    if let Err(cause) = headers::check_host(head.version, &head.headers) {
        return Some((400, cause.to_owned()));
    }
    if headers::passed_here(&head.headers, &inlet.shared.pseudonym) {
        return Some((508, "the request came back to this proxy".to_owned()));
    }
    if headers::goes_no_further(&head.method, &head.headers) {
        // To be answered as the last one on the way does (RFC 9110 7.6.2), which is we.
        let status = if head.method == "OPTIONS" { 200 } else { 405 };
        return Some((status, "Max-Forwards is 0: the request ends here".to_owned()));
    }
    None
}

pub(super) fn classify(shared: &Shared, head: &RequestHead, url: &Url) -> Classification {
    shared.catalog.classify(&Query {
        method: Some(&head.method),
        host: Some(&url.authority.host),
        port: Some(url.authority.port),
        path: Some(&url.path),
        user_agent: head.headers.text("user-agent"),
        headers: Some(&head.headers),
        ..Query::default()
    })
}

/// What a connection must be good for to serve this request.
pub(super) fn key(inlet: &Inlet, request: &Request<'_>, upgrade: bool) -> Key {
    let (authority, server_name) = match request.tunnel(inlet) {
        Some(inside) => (inside.authority.clone(), inside.server_name.clone()),
        None => (request.url.authority.clone(), request.url.authority.host.clone()),
    };
    Key {
        scheme: request.url.scheme,
        authority,
        server_name,
        alpn: match &inlet.inside {
            // A protocol can be switched to in HTTP/1.1 only.
            Some(inside) if !(upgrade && inside.alpn.has_http2()) => inside.alpn,
            _ => Alpn::Http1,
        },
        local: inlet.client.address.ip().to_canonical().is_loopback(),
    }
}

/// Tells in the row what its URL does not.
pub(super) fn note_what_differs(inlet: &Inlet, request: &Request<'_>, key: &Key, flow: &OpenFlow) {
    if key.scheme == Scheme::Https && inlet.shared.tls.trust.is_insecure(&key.server_name) {
        flow.log.note(format!("the certificate of {} is not checked", key.server_name));
    }
    let host = &request.url.authority.host;
    if *host != key.authority.host && *host != key.server_name {
        flow.log.note(format!("asks for {host}, in a tunnel to {}", key.authority));
    }
}
