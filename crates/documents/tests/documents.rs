//! Every sample of every format: recognised, written back, edited, cut and flipped.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use consoletap_documents::{Document, EditError, Field, Format};
use proptest::prelude::*;

/// Name, format, whether the first bytes show it, content.
macro_rules! samples {
    ($($name:literal $format:ident $sniffed:literal,)*) => {
        &[$(($name, Format::$format, $sniffed, include_bytes!(concat!("../samples/", $name)))),*]
    };
}

const SAMPLES: &[(&str, Format, bool, &[u8])] = samples![
    "ps3-updatelist.txt" UpdateList true,
    "psp-updatelist.txt" UpdateList true,
    "psp2-updatelist.xml" UpdateList true,
    "ps4-updatelist.xml" UpdateList true,
    "ps5-updatelist.xml" UpdateList true,
    "title-metadata.json" TitleMetadata true,
    "title-info.xml" TitleMetadata true,
    "ps3-ver.xml" TitleUpdate true,
    "psp2-ver.xml" TitleUpdate true,
    "ps4-ver.xml" TitleUpdate true,
    "no-such-key.xml" TitleUpdate false,
    "package-manifest.json" PackageManifest true,
    "app-manifest.json" PackageManifest true,
    "playgo-manifest.xml" PlayGoManifest true,
    "servicelist.xml" ServiceList true,
    "applaunchlink.xml" AppLaunchLink true,
    "icst.txt" ConnectionTest false,
    "conntest.html" ConnectionTest false,
    "ps4.pkg" Package true,
    "ps3.pkg" Package true,
    "psp2.pkg" Package true,
    "ps3.pup" UpdatePackage true,
    "psp2.pup" UpdatePackage true,
    "ps4.pup" UpdatePackage true,
    "param.sfo" ParamSfo true,
    "discovery-on.txt" Discovery true,
    "discovery-standby.txt" Discovery true,
    "discovery-wakeup.txt" Discovery true,
];

/// Reads as whatever the bytes could be taken for; nothing but errors may come of it.
fn read(format: Format, bytes: &[u8]) {
    for hint in [None, Some(format)] {
        match Document::recognise(hint, bytes) {
            Ok(document) => {
                assert_eq!(document.source(), bytes);
                assert!(document.summary().chars().count() <= 200);
                for field in document.fields() {
                    assert!(!document.values(field).is_empty());
                }
            }
            Err(error) => {
                assert!(error.offset <= bytes.len(), "{error}");
                assert!(error.position.is_none_or(|place| place.line > 0 && place.column > 0));
            }
        }
    }
}

/// A value that the field can hold and that is not the one that stands there.
fn other(field: Field, old: &str) -> String {
    let candidates = match field.holds() {
        "a whole number" => ["7", "8"],
        "hexadecimal digits" => ["00ff", "ff00"],
        text if text.starts_with("a version") => ["03.210.000", "04.560.000"],
        text if text.starts_with("a URL") => ["http://h/a?b=%20", "https://h/b&c"],
        text if text.starts_with("letters") => ["AB", "CD"],
        _ => ["A & <B>", "C"],
    };
    candidates.into_iter().find(|candidate| *candidate != old).unwrap().to_owned()
}

#[test]
fn every_sample_is_recognised_and_written_back_as_it_was() {
    for (name, format, sniffed, bytes) in SAMPLES {
        assert_eq!(Format::sniff(bytes), sniffed.then_some(*format), "{name}");
        let document = Document::recognise(Some(*format), bytes)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(document.format(), *format, "{name}");
        assert_eq!(document.source(), *bytes, "{name}");
        let same = document.edit(Field::all(), |_, old| Some(old.to_owned()));
        let same = same.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!((same.body, same.values), (None, 0), "{name}");
    }
}

#[test]
fn every_format_has_a_sample_and_every_field_stands_in_one() {
    for format in Format::ALL {
        assert!(SAMPLES.iter().any(|(_, of, ..)| *of == format), "{format}");
    }
    for field in Field::all() {
        let stands = |(_, format, _, bytes): &&(_, Format, _, &'static [u8])| {
            let document = Document::recognise(Some(*format), bytes).unwrap();
            !document.values(field).is_empty()
        };
        assert!(SAMPLES.iter().find(stands).is_some(), "{field}");
    }
}

#[test]
fn an_edit_changes_the_bytes_of_its_field_and_no_others() {
    for (name, format, _, bytes) in SAMPLES {
        let document = Document::recognise(Some(*format), bytes).unwrap();
        for field in document.fields() {
            if field.name() == "test.answer" {
                continue; // The only other texts are those of other servers.
            }
            let old = document.values(field);
            let new = other(field, &old[0]);
            let replaced = document
                .set(field.name(), &new)
                .unwrap_or_else(|error| panic!("{name} {field}: {error}"));
            let body = replaced.body.unwrap_or_else(|| panic!("{name} {field}: nothing changed"));
            let changed = Document::recognise(Some(*format), &body).unwrap();
            // Written back where it stood, everything else was left alone.
            let mut values = old.iter();
            let back = changed.edit([field], |_, _| values.next().cloned()).unwrap();
            assert_eq!(back.body.as_deref(), Some(*bytes), "{name} {field}");
            for other in document.fields().filter(|other| *other != field) {
                assert_eq!(changed.values(other), document.values(other), "{name} {field} {other}");
            }
        }
    }
}

#[test]
fn every_cut_and_every_flipped_byte_is_read_or_refused() {
    for (_, format, _, bytes) in SAMPLES {
        for cut in 0..bytes.len() {
            read(*format, &bytes[..cut]);
        }
        let mut changed = bytes.to_vec();
        for at in 0..bytes.len() {
            for flip in [0xff, 0x01, 0x20, 0x80] {
                changed[at] ^= flip;
                read(*format, &changed);
                changed[at] = bytes[at];
            }
        }
    }
}

#[test]
fn text_in_another_encoding_is_told_and_nothing_expands() {
    let texts =
        SAMPLES.iter().filter(|(name, ..)| name.ends_with(".xml") || name.ends_with(".json"));
    for (name, format, _, bytes) in texts {
        let text = std::str::from_utf8(bytes).unwrap();
        for (bytes, expected) in [
            (text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>(), "UTF-16"),
            (text.encode_utf16().flat_map(u16::to_be_bytes).collect(), "UTF-16"),
            ([&[0xff, 0xfe][..], bytes].concat(), "UTF-16"),
            ([*bytes, &[0xe9]].concat(), "not UTF-8"),
            ([*bytes, b"\0"].concat(), "zero byte"),
        ] {
            let error = Document::recognise(Some(*format), &bytes).unwrap_err();
            assert!(error.to_string().contains(expected), "{name}: {error}");
        }
        let marked = [b"\xef\xbb\xbf", *bytes].concat();
        Document::recognise(Some(*format), &marked).unwrap();
        if name.ends_with(".xml") {
            let bomb = format!("<!DOCTYPE a [<!ENTITY b \"{}\">]>{text}", "&b;".repeat(1000));
            let declared =
                text.replacen("?>", "?><!DOCTYPE a [<!ENTITY b SYSTEM \"file:///\">]>", 1);
            for source in [bomb, declared] {
                let error = Document::recognise(Some(*format), source.as_bytes()).unwrap_err();
                assert!(error.position.is_some(), "{name}: {error}");
            }
            let latin = text.replacen("UTF-8", "ISO-8859-1", 1);
            if latin != text {
                let error = Document::recognise(Some(*format), latin.as_bytes()).unwrap_err();
                assert!(error.problem.contains("ISO-8859-1"), "{name}: {error}");
            }
        }
    }
}

#[test]
fn an_edit_that_cannot_be_says_why_and_changes_nothing() {
    let list = include_bytes!("../samples/ps4-updatelist.xml");
    let document = Document::recognise(None, list).unwrap();
    for (field, value, expected) in [
        ("updatelist.ofer", "9.00", "no document has a field"),
        ("updatelist.offer", "9.00'/>", "a version"),
        ("updatelist.image_size", "-1", "a whole number"),
        ("title.name", "x", "an update list without title.name"),
    ] {
        let error = document.set(field, value).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
    let ps3 = include_bytes!("../samples/ps3-updatelist.txt");
    let document = Document::recognise(None, ps3).unwrap();
    let error = document.set("updatelist.image", "http://h/;Dest=84").unwrap_err();
    assert!(matches!(error, EditError::Value(_)), "{error}");
    let sfo = Document::recognise(None, include_bytes!("../samples/param.sfo")).unwrap();
    let error = sfo.set("sfo.title_id", "CUSA0000100000").unwrap_err();
    assert!(error.to_string().contains("at most 11 bytes"), "{error}");
    assert!(document.set("updatelist.offer", "9.00").unwrap().body.is_some());
}

#[test]
fn a_version_takes_the_shape_of_its_place() {
    let set = |bytes: &[u8], field: &str, value: &str| {
        let document = Document::recognise(None, bytes).unwrap();
        let body = document.set(field, value).unwrap().body.unwrap();
        String::from_utf8_lossy(&body).into_owned()
    };
    let ps4 = set(include_bytes!("../samples/ps4-updatelist.xml"), "updatelist.offer", "9.00");
    assert!(
        ps4.contains("label=\"9.00\" sdk_version=\"05.050.001\" version=\"09.000.000\""),
        "{ps4}"
    );
    let ver = set(include_bytes!("../samples/ps4-ver.xml"), "update.system", "9.00");
    assert!(ver.contains("system_ver=\"150994944\""), "{ver}");
    let ver = set(include_bytes!("../samples/ps3-ver.xml"), "update.system", "3.55");
    assert_eq!(ver.matches("ps3_system_ver=\"03.5500\"").count(), 2, "{ver}");
    let told = set(include_bytes!("../samples/discovery-on.txt"), "discovery.system", "9.00");
    assert!(told.contains("system-version:09000000\n"), "{told}");
    let list = set(include_bytes!("../samples/ps3-updatelist.txt"), "updatelist.force", "3.55");
    assert!(list.contains("CompatibleSystemSoftwareVersion=3.5500-;\r\n"), "{list}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn any_text_goes_into_a_name_and_comes_back(name in "[^\\p{C}]{1,40}") {
        for (sample, _, _, bytes) in SAMPLES {
            let document = Document::recognise(Some(SAMPLES.iter().find(|(n, ..)| n == sample).unwrap().1), bytes).unwrap();
            for field in document.fields().filter(|field| field.name().ends_with(".name") || field.name() == "sfo.title") {
                // White space around it belongs to the markup.
                let Ok(replaced) = document.edit([field], |_, _| Some(name.trim().to_owned())) else {
                    prop_assert!(name.trim().is_empty() || name.len() > 127, "{}", sample);
                    continue;
                };
                let body = replaced.body.unwrap_or_else(|| bytes.to_vec());
                let changed = Document::recognise(Some(document.format()), &body).unwrap();
                let values = changed.values(field);
                prop_assert!(values.iter().all(|value| value == name.trim()), "{} {:?}", sample, values);
            }
        }
    }

    #[test]
    fn bytes_of_any_kind_are_read_or_refused(
        sample in prop::sample::select(SAMPLES),
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        at in any::<prop::sample::Index>(),
    ) {
        read(sample.1, &bytes);
        let mut changed = sample.3.to_vec();
        let at = at.index(changed.len());
        let end = (at + bytes.len() / 20).min(changed.len());
        changed.splice(at..end, bytes.iter().copied());
        read(sample.1, &changed);
    }
}
