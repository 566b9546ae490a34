#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &str| consoletap_rules::fuzzing::rule_file(data));
