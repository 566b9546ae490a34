#![no_main]

use libfuzzer_sys::fuzz_target;

// Whatever the first bytes show.
fuzz_target!(|data: &[u8]| consoletap_fuzz::document(None, data));
