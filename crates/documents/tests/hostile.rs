//! Documents as a broken, a hostile or a strange server may send them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::{Duration, Instant};

use consoletap_documents::{Document, Firmware, Format, TitleMetadata, UpdateList};
use proptest::prelude::*;

const LISTS: [&[u8]; 4] = [
    include_bytes!("../samples/ps3-updatelist.txt"),
    include_bytes!("../samples/psp2-updatelist.xml"),
    include_bytes!("../samples/ps4-updatelist.xml"),
    include_bytes!("../samples/ps5-updatelist.xml"),
];
const METADATA: &[u8] = include_bytes!("../samples/title-metadata.json");

/// Everything that reads, on the same bytes.
fn read_all(bytes: &[u8]) {
    if let Ok(list) = UpdateList::parse(bytes) {
        let _ = (list.summary(), list.hide(None));
    }
    if let Ok(document) = TitleMetadata::parse(bytes) {
        let _ = document.summary();
    }
    for hint in Format::ALL.into_iter().map(Some).chain([None]) {
        let _ = Document::recognise(hint, bytes).map(|document| document.summary());
    }
}

/// A sample with some bytes overwritten, some put in, and its end cut off.
fn mutated(samples: &'static [&'static [u8]]) -> impl Strategy<Value = Vec<u8>> {
    let change = (
        any::<prop::sample::Index>(),
        prop_oneof![any::<u8>(), prop::sample::select(b"0159.\"'<>/&;=\r\n {}[],".as_slice()),],
        any::<bool>(),
    );
    let cut = prop_oneof![3 => Just(None), 1 => any::<prop::sample::Index>().prop_map(Some)];
    (prop::sample::select(samples), prop::collection::vec(change, 0..4), cut).prop_map(
        |(sample, changes, cut)| {
            let mut bytes = sample.to_vec();
            for (place, byte, insert) in changes {
                let at = place.index(bytes.len());
                if insert {
                    bytes.insert(at, byte);
                } else {
                    bytes[at] = byte;
                }
            }
            if let Some(cut) = cut {
                bytes.truncate(cut.index(bytes.len()));
            }
            bytes
        },
    )
}

/// The text without what an edit of versions may change.
fn frame(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().copied().filter(|byte| !byte.is_ascii_hexdigit()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        read_all(&bytes);
    }

    #[test]
    fn a_hidden_list_is_still_a_list_and_offers_nothing_newer(
        bytes in mutated(&LISTS), own in prop::option::of("[0-9]{1,2}\\.[0-9]{2,3}"),
    ) {
        read_all(&bytes);
        let Ok(list) = UpdateList::parse(&bytes) else { return Ok(()) };
        let own: Option<Firmware> = own.map(|own| own.parse().unwrap());
        let Some(hidden) = list.hide(own) else { return Ok(()) };
        let again = UpdateList::parse(&hidden).unwrap();
        prop_assert_eq!(again.hide(own), None, "{}", hidden.escape_ascii());
        // Nothing but digits changes in XML, whatever else stands there.
        if !matches!(list, UpdateList::Ps3(_)) {
            prop_assert_eq!(frame(&hidden), frame(&bytes));
        }
    }

    #[test]
    fn metadata_without_a_changed_field_stays_as_it_is(bytes in mutated(&[METADATA])) {
        let Ok(document) = TitleMetadata::parse(&bytes) else { return Ok(()) };
        let paths = ["names.*.name", "icons.*.icon", "revision"].map(|path| path.parse().unwrap());
        let same = document.replace(&paths, |_, old| Some(old.clone()));
        prop_assert_eq!(same.body, None);
    }
}

#[test]
fn lists_without_an_edit_come_out_as_they_went_in() {
    let newest: Firmware = "99.00".parse().unwrap();
    for list in &LISTS[1..3] {
        let without_force = String::from_utf8(list.to_vec()).unwrap();
        let without_force = without_force.replace("\"04.550.000\"", "\"00.000.000\"");
        assert_eq!(UpdateList::parse(without_force.as_bytes()).unwrap().hide(Some(newest)), None);
    }
}

#[test]
fn a_mark_crlf_and_strange_spacing_survive_an_edit() {
    let list = "\u{feff}<?xml  version='1.0'?>\r\n<update_data_list ><region\tid = 'jp' >\r\n\
                <system_pup\r\n version = '05.050.000'   label='5.05'/></region ></update_data_list>\r\n\r\n";
    let hidden = UpdateList::parse(list.as_bytes()).unwrap().hide(None).unwrap();
    let expected = list.replace("05.050.000", "00.000.000").replace("5.05", "0.00");
    assert_eq!(String::from_utf8(hidden).unwrap(), expected);
}

#[test]
fn references_in_a_version_stay_references_and_summaries_steer_no_terminal() {
    let list = "<update_data_list><region id='us'/>\
                <system_pup version='5&lt;&apos;6' label='\u{1b}[2J'/></update_data_list>";
    let parsed = UpdateList::parse(list.as_bytes()).unwrap();
    assert_eq!(parsed.summary(), "offers \u{fffd}[2J, region us");
    let hidden = String::from_utf8(parsed.hide(None).unwrap()).unwrap();
    assert!(hidden.contains("version='0&lt;&apos;0'"), "{hidden}");
}

/// A PS4's list with this version.
fn list_of_version(version: &str) -> Vec<u8> {
    format!(
        "<update_data_list><region id='us'/><system_pup version='{version}'/></update_data_list>"
    )
    .into_bytes()
}

#[test]
fn huge_and_dense_bodies_are_refused_or_read_in_linear_time() {
    let megabyte = 1 << 20;
    let bombs = [
        vec![b'<'; 16 << 20],
        b"<a>".repeat(megabyte / 3),
        b"<a/>".repeat(megabyte / 4),
        [b"<update_data_list>".as_slice(), &b"<a/>".repeat(megabyte / 5)].concat(),
        [b"<a ".as_slice(), &b"b='' ".repeat(megabyte / 6)].concat(),
        b"&".repeat(megabyte),
        b"[".repeat(megabyte),
        b"{\"a\":".repeat(megabyte / 5),
        [b"{".as_slice(), &b"\"a\":1,".repeat(megabyte / 7)].concat(),
        b"Dest=1;ImageVersion=1;\r\n".repeat(megabyte / 25),
        [b"Dest=1;ImageVersion=1;".as_slice(), &b"a=b;".repeat(megabyte / 5)].concat(),
        b"\"\\u0000".repeat(megabyte / 8),
        list_of_version(&"5".repeat(megabyte / 2)),
        list_of_version(&format!("05.000.{}", "1".repeat(megabyte / 2))),
        list_of_version(&"&lt;".repeat(megabyte / 8)),
    ];
    for bomb in bombs {
        let started = Instant::now();
        read_all(&bomb);
        // A quadratic step would take minutes; the limit leaves room for a busy machine.
        let shown = bomb[..20].escape_ascii();
        assert!(started.elapsed() < Duration::from_secs(20), "{shown} {:?}", started.elapsed());
    }
}
