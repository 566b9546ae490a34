#![no_main]

use consoletap_documents::Format;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| consoletap_fuzz::document(Some(Format::Package), data));
