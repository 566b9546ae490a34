//! Flow files of mitmproxy. `mitmproxy-11.flows` was written by mitmdump 11.0.2 (`-n -r FILE.har
//! -w`), of an exchange made up by hand.

#![expect(clippy::unwrap_used, reason = "a test may stop")]

use std::fs;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use consoletap_catalog::Catalog;
use consoletap_flow::Flow;
use consoletap_interchange::{Imported, import};
use consoletap_session::Session;

const SAMPLE: &[u8] = include_bytes!("files/mitmproxy-11.flows");

fn imported(octets: &[u8], folder: &Path) -> (Result<Imported, String>, Vec<Flow>) {
    static CATALOG: OnceLock<Arc<Catalog>> = OnceLock::new();
    let catalog = Arc::clone(CATALOG.get_or_init(|| Arc::new(Catalog::builtin())));
    let (file, out) = (folder.join("flows"), folder.join("session"));
    fs::write(&file, octets).unwrap();
    let told = import(&file, catalog, &out).map_err(|error| error.to_string());
    let flows = Session::open(&out).map(|session| session.flows().map(Result::unwrap).collect());
    (told, flows.unwrap_or_default())
}

#[test]
fn a_flow_of_mitmdump_is_read_to_the_octet() {
    let folder = tempfile::tempdir().unwrap();
    // Two flows, and one of a kind that is left out.
    let tcp = b"13:4:type;3:tcp;}".as_slice();
    let (told, flows) = imported(&[SAMPLE, tcp, SAMPLE].concat(), folder.path());
    let told = told.unwrap();
    assert_eq!((told.flows, told.remarks.len()), (2, 1));
    assert!(told.remarks[0].contains("a flow of tcp"), "{:?}", told.remarks);
    let flow = &flows[0];
    assert_eq!(flow.classification.category.as_str(), "fw-updatelist");
    let request = flow.request.as_ref().unwrap();
    assert_eq!(
        request.headers.text("user-agent"),
        Some("Download/1.00 libhttp/5.05 (PlayStation 4)")
    );
    let response = flow.response.as_ref().unwrap();
    assert_eq!(response.headers.all("x-twice").count(), 2);
    let session = Session::open(&folder.path().join("session")).unwrap();
    let end = flow.finished.as_ref().unwrap();
    assert_eq!(session.body(&end.request_body.digest.unwrap()).unwrap(), b"a=b");
    assert_eq!(session.body(&end.response_body.digest.unwrap()).unwrap(), b"<a/>\n");
}

#[test]
fn cut_and_flipped_anywhere_a_file_is_read_or_refused_and_what_was_before_stays() {
    let folder = tempfile::tempdir().unwrap();
    for at in (1..SAMPLE.len()).step_by(11) {
        let below = folder.path().join(at.to_string());
        fs::create_dir(&below).unwrap();
        let (told, flows) = imported(&[SAMPLE, &SAMPLE[..at]].concat(), &below);
        assert!(told.is_err() && flows.len() == 1, "{at}: {told:?}");
        fs::remove_dir_all(&below).unwrap();
        fs::create_dir(&below).unwrap();
        let mut flipped = SAMPLE.to_vec();
        flipped[at] ^= 0x81;
        let _ = imported(&flipped, &below);
        fs::remove_dir_all(&below).unwrap();
    }
}
