//! A session that stands in for servers: sessions written by hand and those of `tests/sessions`,
//! served by a real proxy, and asked by raw sockets and curl.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod served {
    mod harness;

    mod answers;
    mod damaged;
    mod matching;
    mod slices;
    mod tls;
}
