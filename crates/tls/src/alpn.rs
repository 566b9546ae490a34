//! Which protocols are offered for what is inside TLS (RFC 7301).

/// The protocols offered, on both sides the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Alpn {
    /// None at all: the client does not know of ALPN. It speaks HTTP/1.1.
    Nothing,
    /// HTTP/1.1 alone.
    Http1,
    /// HTTP/2 alone.
    Http2,
    /// HTTP/2 first, then HTTP/1.1.
    Http2AndHttp1,
}

impl Alpn {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Nothing, Self::Http1, Self::Http2, Self::Http2AndHttp1];

    /// What a client offers, of what HTTP is.
    #[must_use]
    pub fn offered(protocols: &[String]) -> Self {
        let offers = |wanted: &str| protocols.iter().any(|protocol| protocol == wanted);
        match (offers("h2"), offers("http/1.1")) {
            (false, false) => Self::Nothing,
            (false, true) => Self::Http1,
            (true, false) => Self::Http2,
            (true, true) => Self::Http2AndHttp1,
        }
    }

    /// Whether HTTP/2 may come of it.
    #[must_use]
    pub fn has_http2(self) -> bool {
        matches!(self, Self::Http2 | Self::Http2AndHttp1)
    }

    /// The same for who does not speak HTTP/2; who offered that alone is offered what it refuses.
    #[must_use]
    pub fn without_http2(self) -> Self {
        if self.has_http2() { Self::Http1 } else { self }
    }
}
