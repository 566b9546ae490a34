#![no_main]

use consoletap_catalog::Catalog;
use libfuzzer_sys::fuzz_target;

// A table of a user; what is sound can be asked.
fuzz_target!(|data: &str| match Catalog::from_text("fuzz.toml", data) {
    Ok(catalog) => drop(catalog.check()),
    Err(error) => drop(error.to_string()),
});
