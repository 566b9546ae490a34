#![no_main]

use consoletap_tls::{Peek, peek};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Peek::Hello(hello) = peek(data) {
        drop(format!("{hello:?}"));
    }
});
