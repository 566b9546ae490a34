//! A session that stands in for servers: sessions written by hand and those of `tests/sessions`,
//! served by a real proxy, and asked by raw sockets, curl and the clients of others.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(clippy::print_stderr, reason = "what is skipped is told")]

mod served {
    pub(crate) mod harness;

    mod answers;
    mod damaged;
    mod matching;
    mod slices;
    mod tls;
}

mod test_proxy {
    mod assertions;
    mod clients;
    mod written;
}
