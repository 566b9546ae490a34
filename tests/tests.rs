//! The binary from outside: a real process, real sockets, real clients, and the session on disk.
//!
//! Every test has a home of its own, port 0 and its own servers, so that they all run at once.
//! What the parts do by themselves is tested in the crates; here it is what a person would see.

#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "a test may stop, and may say why")]

mod end_to_end {
    mod clients;
    mod harness;

    mod catalog;
    mod certs;
    mod crash;
    mod demo;
    mod documents;
    mod downloads;
    mod explain;
    mod exports;
    mod filters;
    mod fixtures;
    mod flat;
    mod full_disk;
    mod http;
    mod intercept;
    mod keeping;
    mod log;
    mod mistakes;
    mod packs;
    mod replay_page;
    mod rules;
    mod rules_work;
    mod send;
    mod serve;
    mod session;
    mod settings;
    mod stop;
    mod tls;
    mod transfers;
    mod trim;
    mod tunnel;
    mod unknown;
    mod websocket;
}
