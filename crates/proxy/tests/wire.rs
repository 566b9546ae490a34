//! The wire, octet by octet: raw clients and raw servers on real sockets, with the proxy between.

mod wire {
    mod harness;

    mod basics;
    mod connect;
    mod intercept;
}
