//! The wire, octet by octet: raw clients and raw servers on real sockets, with the proxy between.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod wire {
    mod harness;
    mod tls_peers;

    mod basics;
    mod connect;
    mod hellos;
    mod http;
    #[cfg(not(feature = "http2"))]
    mod http1_alone;
    #[cfg(feature = "http2")]
    mod http2;
    mod intercept;
    #[cfg(feature = "legacy-tls")]
    mod legacy;
    #[cfg(feature = "legacy-tls")]
    mod legacy_upstream;
    mod page;
    mod refusals;
    mod rules;
    mod tunnel;
    mod upgrade;
    mod upstream;
    mod upstream_tls;
}
