//! The wire, octet by octet: raw clients and raw servers on real sockets, with the proxy between.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod wire {
    mod harness;

    mod basics;
    mod connect;
    mod http;
    mod intercept;
}
