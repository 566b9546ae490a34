#![no_main]

use consoletap_documents::{JsonPath, TitleMetadata};
use libfuzzer_sys::fuzz_target;

// A path, a line end, a document: what is replaced by itself changes nothing.
fuzz_target!(|data: (&str, &[u8])| {
    let (path, body) = data;
    let Ok(path) = path.parse::<JsonPath>() else { return };
    let Ok(document) = TitleMetadata::parse(body) else { return };
    let replaced = document.replace([&path], |_, old| Some(old.clone()));
    assert_eq!(replaced.body, None);
});
