#![no_main]

use consoletap_filter::Filter;
use libfuzzer_sys::fuzz_target;

// An error shows where it is; what was read reads again.
fuzz_target!(|data: &str| match Filter::parse(data) {
    Ok(filter) => {
        filter.needs();
        assert!(Filter::parse(filter.as_str()).is_ok());
    }
    Err(error) => drop(error.to_string()),
});
