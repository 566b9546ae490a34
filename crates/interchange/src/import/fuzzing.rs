//! Files of other tools, read without a session: what the fuzzer makes up ends in flows that hold
//! together, or in an error.

use std::io::Cursor;
use std::sync::{Arc, OnceLock};

use consoletap_catalog::Catalog;
use consoletap_flow::{BodyCopy, Flow, Kind};

use super::{Broken, Import};

/// Reads a HAR file that is not packed.
pub fn har(octets: &[u8]) -> u64 {
    flows(|import| super::har::read(Cursor::new(octets), import))
}

/// Reads a flow file of mitmproxy.
pub fn mitmproxy(octets: &[u8]) -> u64 {
    flows(|import| super::mitmproxy::read(Box::new(Cursor::new(octets.to_vec())), import))
}

/// Reads a capture of packets.
pub fn capture(octets: &[u8]) -> u64 {
    flows(|import| super::capture::read(octets, import))
}

/// How many flows there are; each is looked at.
fn flows(read: impl FnOnce(&mut Import<'_>) -> Result<(), Broken>) -> u64 {
    static CATALOG: OnceLock<Arc<Catalog>> = OnceLock::new();
    let catalog = Arc::clone(CATALOG.get_or_init(|| Arc::new(Catalog::builtin())));
    let mut keep = check;
    let mut import = Import::new(catalog, &mut keep);
    // An error is an answer, too.
    let _ = read(&mut import);
    import.flows
}

fn check(flow: Flow, bodies: [Option<BodyCopy>; 2]) {
    let sizes = [flow.request_bytes, flow.response_bytes];
    for (copy, bytes) in bodies.iter().zip(sizes) {
        let Some(copy) = copy else { continue };
        assert!(copy.octets.len() as u64 <= bytes || copy.whole, "{flow:?}");
        assert!(copy.octets.len() as u64 == bytes || !copy.whole, "{flow:?}");
    }
    // Only what is no request may be without: port 0 in a capture is no place to go to.
    assert!(flow.target.is_some() || flow.kind != Kind::Http, "{flow:?}");
    assert!(flow.finished.is_some(), "{flow:?}");
    // Its events are lines of a log, and read back.
    for event in crate::recorder::events(flow) {
        let line = serde_json::to_string(&event).expect("every event is JSON");
        let again: consoletap_flow::Event = serde_json::from_str(&line).expect("and reads back");
        assert_eq!(again, event);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Read = fn(&[u8]) -> u64;

    #[test]
    fn the_seeds_of_the_targets_are_read() {
        let seeds: [(&str, Read); 3] = [
            ("../../fuzz/seeds/har", har),
            ("tests/files", mitmproxy),
            ("../../fuzz/seeds/capture", capture),
        ];
        for (folder, read) in seeds {
            let folder = format!("{}/{folder}", env!("CARGO_MANIFEST_DIR"));
            for entry in std::fs::read_dir(&folder).expect("there are seeds") {
                let path = entry.expect("a file").path();
                let octets = std::fs::read(&path).expect("it is read");
                assert!(read(&octets) > 0, "{}", path.display());
            }
        }
    }
}
