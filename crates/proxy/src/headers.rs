//! What a proxy must do to the fields of a head, and no more (RFC 9110 7.6): pure functions.

use consoletap_flow::{Authority, Header, Headers, RequestHead, Scheme, Version};

use crate::http1::Framing;

/// Fields that concern one connection only (RFC 9110 7.6.1), whether `Connection` names them or
/// not. `Proxy-Authenticate` stays: an upstream proxy's challenge is no business of ours to hide.
const HOP_BY_HOP: [&str; 7] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authorization",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// Fields that go on even if `Connection` names them: without them a message would mean something
/// else to the next reader.
const NEVER_DROPPED: [&str; 5] =
    ["content-length", "host", "content-encoding", "content-range", "content-type"];

/// Fields that may not come behind a body (RFC 9110 6.5.1): they say how to read it, or whose it is.
const NOT_IN_TRAILERS: [&str; 4] = ["content-length", "host", "trailer", "content-encoding"];

/// Removes what concerns the connection only. `Trailer` stays: trailers are passed on.
pub(crate) fn strip_hop_by_hop(headers: &mut Headers) {
    let named: Vec<Vec<u8>> = headers
        .elements("connection")
        .chain(headers.elements("proxy-connection"))
        .map(<[u8]>::to_ascii_lowercase)
        .filter(|name| !NEVER_DROPPED.iter().any(|kept| kept.as_bytes() == name))
        .collect();
    headers.retain(|field| {
        let name = field.name();
        !HOP_BY_HOP.iter().any(|hop| name.eq_ignore_ascii_case(hop))
            && !named.iter().any(|named| name.as_bytes().eq_ignore_ascii_case(named))
    });
}

/// Removes from trailers what a reader could take for a part of the head.
pub(crate) fn clean_trailers(trailers: &mut Headers) {
    strip_hop_by_hop(trailers);
    trailers.retain(|field| !NOT_IN_TRAILERS.iter().any(|name| field.is(name)));
}

/// Whether the connection stays open after this message (RFC 9112 9.3).
pub(crate) fn keeps_alive(version: Version, headers: &Headers) -> bool {
    let says = |token: &str| {
        ["connection", "proxy-connection"].into_iter().any(|name| {
            headers.elements(name).any(|element| element.eq_ignore_ascii_case(token.as_bytes()))
        })
    };
    match version {
        Version::Http10 => says("keep-alive") && !says("close"),
        Version::Http11 | Version::Http2 => !says("close"),
    }
}

/// The protocol that a request asks to upgrade to, where it does so properly (RFC 9110 7.8) and
/// it is WebSocket. Other wishes are not passed on, as that section allows: h2c is HTTP that would
/// go by unseen (RFC 9113 3.1 has retired it), and of the rest nobody knows what it carries.
pub(crate) fn upgrade(head: &RequestHead) -> Option<String> {
    let headers = &head.headers;
    let asked = headers.elements("connection").any(|token| token.eq_ignore_ascii_case(b"upgrade"));
    let proper = asked && head.version == Version::Http11 && head.method == "GET";
    let mut protocols = headers.elements("upgrade").filter(|_| proper);
    let websocket = protocols.find(|protocol| protocol.eq_ignore_ascii_case(b"websocket"))?;
    std::str::from_utf8(websocket).ok().map(str::to_owned)
}

/// The fields for a server that speaks HTTP/2. `TE: trailers` is said anew where the client said
/// it, since trailers are passed on: gRPC servers take its absence for a proxy that loses them.
pub(crate) fn for_http2(fields: &Headers, sent: &Headers) -> Headers {
    let mut fields = fields.clone();
    if sent.elements("te").any(|element| element.eq_ignore_ascii_case(b"trailers")) {
        push(&mut fields, "te", "trailers");
    }
    fields
}

/// Puts the fields of an upgrade back, which [`strip_hop_by_hop`] removed.
pub(crate) fn restore_upgrade(headers: &mut Headers, protocol: &str) {
    push(headers, "Connection", "Upgrade");
    push(headers, "Upgrade", protocol);
}

/// Says how the body is framed, where `Content-Length` does not say it already.
pub(crate) fn announce(headers: &mut Headers, framing: Framing) {
    if framing == Framing::Chunked {
        push(headers, "Transfer-Encoding", "chunked");
    }
}

/// Makes one field of a length that was said more than once (RFC 9112 6.3). The framing was read
/// already, so they all say the same.
pub(crate) fn say_length_once(headers: &mut Headers) {
    let length = headers.elements("content-length").next().map(<[u8]>::to_vec);
    let Some(length) = length.filter(|length| {
        headers.all("content-length").count() > 1
            || headers.get("content-length").is_some_and(|value| value.len() > length.len())
    }) else {
        return;
    };
    if let Ok(field) = Header::new("Content-Length", length) {
        headers.set(field);
    }
}

/// Whether the client waits with its body until the server has asked for it (RFC 9110 10.1.1).
pub(crate) fn expects_continue(headers: &Headers) -> bool {
    headers.elements("expect").any(|element| element.eq_ignore_ascii_case(b"100-continue"))
}

/// Makes `Host` say what the target says (RFC 9112 3.2.2): a field that agrees stays as it was
/// sent, whatever its case and port.
pub(crate) fn set_host(headers: &mut Headers, scheme: Scheme, authority: &Authority) {
    let default = Some(scheme.default_port());
    let agrees = headers
        .text("host")
        .and_then(|host| Authority::parse(host, default).ok())
        .is_some_and(|host| host == *authority);
    if agrees {
        return;
    }
    let value = if authority.port == scheme.default_port() {
        authority.host.to_string()
    } else {
        authority.to_string()
    };
    if let Ok(field) = Header::new("Host", value) {
        headers.set(field);
    }
}

/// Whether `Host` can be relied on: one field, one host (RFC 9112 3.2). What is wrong otherwise.
pub(crate) fn check_host(version: Version, headers: &Headers) -> Result<(), &'static str> {
    let mut hosts = headers.all("host");
    match (hosts.next(), hosts.next()) {
        (_, Some(_)) => Err("there is more than one Host field"),
        (None, None) if version == Version::Http11 => Err("the Host field is missing"),
        (None, None) => Ok(()),
        (Some([]), None) => Ok(()),
        (Some(host), None) => std::str::from_utf8(host)
            .ok()
            .and_then(|host| Authority::parse(host, Some(80)).ok())
            .map(|_| ())
            .ok_or("the Host field is not a host with an optional port"),
    }
}

/// How we name ourselves in `Via` (RFC 9110 7.6.3).
#[derive(Debug)]
pub(crate) struct Pseudonym {
    name: String,
    /// The whole field, for a message received in HTTP/1.0, 1.1 and 2.
    fields: [Header; 3],
}

impl Pseudonym {
    /// `name` must be a token; anything else is replaced.
    pub(crate) fn new(name: &str) -> Self {
        let name: String =
            name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        let field = |version: &str| {
            // Letters, digits, dots and a space can stand in a field.
            #[expect(clippy::unwrap_used, reason = "the line above")]
            Header::new("Via", format!("{version} {name}")).unwrap()
        };
        Self { fields: [field("1.0"), field("1.1"), field("2")], name }
    }

    /// Adds us to `Via`.
    pub(crate) fn add(&self, headers: &mut Headers, received: Version) {
        let [http10, http11, http2] = &self.fields;
        headers.push(match received {
            Version::Http10 => http10.clone(),
            Version::Http11 => http11.clone(),
            Version::Http2 => http2.clone(),
        });
    }
}

/// Whether a message came through us before.
pub(crate) fn passed_here(headers: &Headers, pseudonym: &Pseudonym) -> bool {
    headers.elements("via").any(|element| {
        element.split(|&byte| byte == b' ').nth(1).is_some_and(|by| by == pseudonym.name.as_bytes())
    })
}

/// Whether a request may not be sent on (RFC 9110 7.6.2).
pub(crate) fn goes_no_further(method: &str, headers: &Headers) -> bool {
    counts(method) && headers.text("max-forwards").is_some_and(|left| left.trim() == "0")
}

/// Counts a request's way down by one, where it is counted.
pub(crate) fn count_down(method: &str, headers: &mut Headers) {
    if !counts(method) {
        return;
    }
    let left = headers.text("max-forwards").and_then(|left| left.trim().parse::<u64>().ok());
    if let Some(field) = left
        .and_then(|left| left.checked_sub(1))
        .and_then(|left| Header::new("Max-Forwards", left.to_string()).ok())
    {
        headers.set(field);
    }
}

/// The methods for which `Max-Forwards` means something.
fn counts(method: &str) -> bool {
    matches!(method, "OPTIONS" | "TRACE")
}

/// Whether a message carries authentication that is bound to its connection (NTLM, Negotiate):
/// such a connection may serve nobody else.
pub(crate) fn binds_connection(headers: &Headers) -> bool {
    ["authorization", "www-authenticate"].into_iter().any(|name| {
        headers.all(name).any(|value| {
            ["ntlm", "negotiate"].into_iter().any(|scheme| {
                value
                    .get(..scheme.len())
                    .is_some_and(|start| start.eq_ignore_ascii_case(scheme.as_bytes()))
            })
        })
    })
}

/// Adds a field that is known to be right.
pub(crate) fn push(headers: &mut Headers, name: &'static str, value: &str) {
    // The names are tokens of ours, and the values come from heads that were read already.
    if let Ok(field) = Header::new(name, value) {
        headers.push(field);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&'static str, &'static str)]) -> Headers {
        fields.iter().map(|(name, value)| Header::new(*name, *value).unwrap()).collect()
    }

    #[test]
    fn what_concerns_the_connection_goes_and_the_rest_stays_in_order() {
        let mut fields = headers(&[
            ("Host", "h"),
            ("Connection", "X-Hop, close, content-length, host"),
            ("X-Hop", "1"),
            ("Keep-Alive", "5"),
            ("Proxy-Connection", "keep-alive, X-Other"),
            ("x-other", "1"),
            ("Proxy-Authorization", "Basic x"),
            ("TE", "trailers"),
            ("Content-Length", "0"),
            ("Trailer", "x"),
            ("X-End", "1"),
        ]);
        strip_hop_by_hop(&mut fields);
        let kept =
            headers(&[("Host", "h"), ("Content-Length", "0"), ("Trailer", "x"), ("X-End", "1")]);
        assert_eq!(fields, kept);
    }

    #[test]
    fn persistence_follows_version_and_tokens() {
        let keeps = |version, value| keeps_alive(version, &headers(&[("Connection", value)]));
        assert!(keeps(Version::Http11, "x"));
        assert!(!keeps(Version::Http11, "x, Close"));
        assert!(keeps(Version::Http10, "Keep-Alive"));
        assert!(!keeps_alive(Version::Http10, &Headers::default()));
        assert!(keeps_alive(Version::Http10, &headers(&[("Proxy-Connection", "keep-alive")])));
    }

    #[test]
    fn host_follows_the_target_but_keeps_its_spelling_when_it_agrees() {
        let authority = "h.example:80".parse().unwrap();
        for (sent, passed) in
            [("H.Example", "H.Example"), ("h.example:80", "h.example:80"), ("evil", "h.example")]
        {
            let mut fields = headers(&[("hOST", sent)]);
            set_host(&mut fields, Scheme::Http, &authority);
            assert_eq!(fields, headers(&[("hOST", passed)]));
        }
    }

    #[test]
    fn max_forwards_is_counted_down_for_trace_and_options_alone() {
        let one = [("Max-Forwards", "1")];
        for (method, left) in [("OPTIONS", "0"), ("TRACE", "0"), ("GET", "1")] {
            let mut fields = headers(&one);
            assert!(!goes_no_further(method, &fields));
            count_down(method, &mut fields);
            assert_eq!(fields, headers(&[("Max-Forwards", left)]), "{method}");
            assert_eq!(goes_no_further(method, &fields), left == "0", "{method}");
        }
        let mut nonsense = headers(&[("Max-Forwards", "-1")]);
        count_down("TRACE", &mut nonsense);
        assert_eq!(nonsense, headers(&[("Max-Forwards", "-1")]));
    }

    #[test]
    fn two_hosts_and_none_are_refused() {
        let check = |fields: &[_]| check_host(Version::Http11, &headers(fields));
        assert!(check(&[("Host", "a"), ("host", "a")]).is_err());
        assert!(check(&[]).is_err());
        assert!(check(&[("Host", "a b")]).is_err());
        assert!(check_host(Version::Http10, &Headers::default()).is_ok());
    }
}
