//! Range requests become downloads, and slices that were kept become files.

use std::path::Path;

use consoletap_flow::{
    BodyCopy, BodySide, Event, Flow, FlowId, Happening, Header, Record, Recorder as _, Target,
    Timestamp,
};
use consoletap_session::{Check, Download, Options, Session, Writer};

use super::support::{about, exchange};

const URL: &str = "http://gs2.example/a/f/PIECE_0.pkg";

fn octets(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 31 + at / 253) as u8).collect()
}

struct Served<'a> {
    url: &'a str,
    status: u16,
    fields: Vec<(&'static str, String)>,
    body: &'a [u8],
    /// Whether a copy of it is kept.
    kept: bool,
}

impl<'a> Served<'a> {
    /// Octets of a file, as a slice of it.
    fn slice(file: &'a [u8], range: std::ops::Range<usize>) -> Self {
        let range_text = format!("bytes {}-{}/{}", range.start, range.end - 1, file.len());
        let fields = vec![("Content-Range", range_text), ("ETag", "\"one\"".to_owned())];
        Self { url: URL, status: 206, fields, body: &file[range], kept: true }
    }

    fn record(self, writer: &Writer, flow: u64) {
        let [mut opened, mut response, mut finished]: [Event; 3] =
            exchange(flow).try_into().unwrap();
        let second = i64::try_from(flow).unwrap() * 1_000_000;
        for event in [&mut opened, &mut response] {
            event.at = Timestamp(event.at.0 + second);
        }
        finished.at = Timestamp(finished.at.0 + second + 500_000);
        if let Happening::Opened(opened) = &mut opened.happening {
            opened.target = Some(Target::Url(self.url.parse().unwrap()));
        }
        if let Happening::Response(head) = &mut response.happening {
            head.status = self.status;
            let fields = self.fields.iter().map(|(name, value)| Header::new(*name, value.clone()));
            head.headers = fields.map(Result::unwrap).collect();
        }
        if let Happening::Finished(end) = &mut finished.happening {
            end.response_body.bytes = self.body.len() as u64;
        }
        writer.record(Record::new(opened));
        writer.record(Record::new(response));
        let mut record = Record::new(finished);
        if self.kept {
            record.response_copy = Some(BodyCopy { octets: self.body.to_vec(), whole: true });
        }
        writer.record(record);
    }
}

fn session(dir: &Path, served: Vec<Served<'_>>) -> Session {
    let writer = Writer::create(dir, about(), Options::default(), None).unwrap();
    for (flow, served) in (1..).zip(served) {
        served.record(&writer, flow);
    }
    assert_eq!(writer.close().lost_events, 0);
    Session::open(dir).unwrap()
}

fn is_package(flow: &Flow) -> bool {
    flow.target.as_ref().is_some_and(|target| target.to_string().contains(".pkg"))
}

fn downloads(session: &Session) -> Vec<Download> {
    let (downloads, problems) = session.downloads(is_package);
    assert!(problems.is_empty());
    downloads
}

fn manifest(file: &[u8]) -> String {
    use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
    let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, file);
    let hash: String = hash.as_ref().iter().map(|octet| format!("{octet:02X}")).collect();
    let size = file.len();
    format!(
        r#"{{"pieces":[{{"url":"{URL}","fileOffset":0,"fileSize":{size},"hashValue":"{hash}"}}]}}"#
    )
}

fn json(body: &[u8]) -> Served<'_> {
    Served {
        url: "http://gs2.example/a/f/PIECE.json",
        status: 200,
        fields: vec![],
        body,
        kept: true,
    }
}

#[test]
fn slices_in_any_order_with_overlaps_are_one_download_that_is_checked_and_saved() {
    let dir = tempfile::tempdir().unwrap();
    let file = octets(50_000);
    let manifest = manifest(&file);
    let with_token = format!("{URL}?downloadId=7");
    let session = session(
        dir.path(),
        vec![
            json(manifest.as_bytes()),
            Served::slice(&file, 20_000..50_000),
            Served { url: &with_token, ..Served::slice(&file, 0..10_000) },
            Served::slice(&file, 9_000..9_500),
            Served::slice(&file, 5_000..20_001),
        ],
    );
    let [download] = &downloads(&session)[..] else { panic!("one download") };
    assert_eq!((download.url.as_str(), download.file_name()), (URL, "PIECE_0.pkg"));
    assert_eq!((download.total, download.covered()), (Some(50_000), 50_000));
    assert!(download.is_complete() && download.missing().is_empty());
    assert_eq!(download.transferred(), 30_000 + 10_000 + 500 + 15_001);
    // Four requests of half a second each, with half a second between.
    assert_eq!(download.rate(), Some(55_501 / 2));
    let Check::Right(expected) = session.check(download) else { panic!("not right") };
    assert_eq!((expected.algorithm, expected.told_by), ("SHA-1", FlowId(1)));
    let mut written = Vec::new();
    assert_eq!(session.write_download(download, &mut written).unwrap(), 50_000);
    assert!(written == file);
}

#[test]
fn what_is_missing_is_told_exactly_and_nothing_is_made_up() {
    let dir = tempfile::tempdir().unwrap();
    let file = octets(50_000);
    let manifest = manifest(&file);
    let session = session(
        dir.path(),
        vec![
            json(manifest.as_bytes()),
            Served::slice(&file, 100..10_000),
            Served { kept: false, ..Served::slice(&file, 30_000..49_000) },
        ],
    );
    let download = &downloads(&session)[0];
    assert_eq!(download.missing(), [0..100, 10_000..30_000, 49_000..50_000]);
    assert_eq!(download.not_kept(), [0..100, 10_000..50_000]);
    assert_eq!(session.check(download), Check::Incomplete);
    let error = session.write_download(download, &mut Vec::new()).unwrap_err();
    assert!(error.to_string().contains("octets from 0 on"), "{error}");
}

#[test]
fn a_file_that_is_not_what_the_manifest_says_or_was_not_kept_is_told() {
    let file = octets(20_000);
    let right = manifest(&file);
    let hash_at = right.find("hashValue").unwrap() + 12;
    let wrong = format!("{}{}{}", &right[..hash_at], "0000", &right[hash_at + 4..]);
    let check = |manifest: &str, kept| {
        let dir = tempfile::tempdir().unwrap();
        let whole = Served {
            url: URL,
            status: 200,
            fields: vec![("Content-Length", "20000".to_owned())],
            body: &file,
            kept,
        };
        let session = session(dir.path(), vec![whole, json(manifest.as_bytes())]);
        session.check(&downloads(&session)[0])
    };
    assert!(matches!(check(&right, true), Check::Right(_)));
    assert!(matches!(check(&wrong, true), Check::Wrong { .. }));
    assert!(matches!(check(&right.replace("20000", "20001"), true), Check::Wrong { .. }));
    assert_eq!(check(&right, false), Check::NotKept);
    assert_eq!(check("{}", true), Check::NoManifest);
}

#[test]
fn another_version_of_a_file_is_another_download() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (octets(9000), octets(9500));
    let mut changed = Served::slice(&one, 0..10);
    changed.fields[1].1 = "\"two\"".to_owned();
    let slices = vec![
        Served::slice(&one, 0..4500),
        Served::slice(&two, 0..4500),
        Served::slice(&one, 4500..9000),
        changed,
        // No validators: it fits the first of its size.
        Served {
            fields: vec![("Content-Range", "bytes 0-9/9000".into())],
            ..Served::slice(&one, 0..10)
        },
        // Answers that are no part of any file.
        Served { status: 416, ..Served::slice(&one, 0..10) },
        Served {
            fields: vec![("Content-Range", "bytes 9-1/9000".into())],
            ..Served::slice(&one, 0..10)
        },
    ];
    let session = session(dir.path(), slices);
    let downloads = downloads(&session);
    let flows: Vec<Vec<u64>> =
        downloads.iter().map(|it| it.slices.iter().map(|slice| slice.flow.0).collect()).collect();
    assert_eq!(flows, [vec![1, 3, 5], vec![2], vec![4]]);
    assert!(downloads[0].is_complete() && !downloads[1].is_complete());
}

#[test]
fn a_slice_that_a_crash_cut_off_counts_as_far_as_it_was_kept() {
    let dir = tempfile::tempdir().unwrap();
    let file = octets(400_000);
    let writer = Writer::create(dir.path(), about(), Options::default(), None).unwrap();
    let [mut opened, mut response, _]: [Event; 3] = exchange(1).try_into().unwrap();
    if let Happening::Opened(opened) = &mut opened.happening {
        opened.target = Some(Target::Url(URL.parse().unwrap()));
    }
    if let Happening::Response(head) = &mut response.happening {
        head.headers = [Header::new("Content-Length", "400000").unwrap()].into_iter().collect();
    }
    writer.record(Record::new(opened));
    writer.record(Record::new(response));
    let mut stream = writer.stream_body(FlowId(1), BodySide::Response).unwrap();
    stream.push(&file[..300_000]);
    writer.close();
    Served::slice(&file, 250_000..400_000)
        .record(&Writer::create(dir.path(), about(), Options::default(), None).unwrap(), 2);
    let session = Session::open(dir.path()).unwrap();
    let download = &downloads(&session)[0];
    assert!(download.is_complete() && download.not_kept().is_empty(), "{:?}", download.not_kept());
    let mut written = Vec::new();
    session.write_download(download, &mut written).unwrap();
    assert!(written == file);
}
