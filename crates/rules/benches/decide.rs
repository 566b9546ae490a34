//! A decision, from the facts of a request to the rules that act, with few and with many rules.
#![allow(missing_docs, clippy::unwrap_used)] // test code throughout, not only in #[test] functions

use std::fmt::Write as _;
use std::fs;
use std::hint::black_box;

use consoletap_filter::Subject;
use consoletap_flow::{Category, Classification, Details, Header, Headers, Platform, Target};
use consoletap_rules::Rules;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};

/// Rules as people write them: most for a title or a host, some for a category, a URL or a console,
/// a few for everything.
fn rules(count: usize) -> Rules {
    let mut source = String::new();
    for number in 0..count {
        let when = match number % 10 {
            0..=2 => format!("~cat title-update-json & ~title CUSA{number:05}"),
            3 | 4 => format!("~d \"^host{number:04}\\\\.(np|dl)\\\\.playstation\\\\.net$\""),
            5 => format!("~cat fw-updatelist|title-metadata & ~client 192.168.1.{}", number % 250),
            6 => format!("~u \"/gs2/ppkgo/prod/CUSA{number:05}_00/\" & ~m GET"),
            7 => format!("~cat category-{number} & !~console ps5"),
            8 => format!("~console switch & ~hq \"^x-number: {number}$\""),
            _ => format!("~m POST & ~port {number}"),
        };
        let _ = write!(
            source,
            "[[rule]]\nname = \"r{number}\"\nwhen = '{}'\ntag = \"t\"\n",
            when.replace("\\\\", "\\")
        );
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("many.toml");
    fs::write(&file, source).unwrap();
    Rules::load(&[file.to_str().unwrap().to_owned()]).unwrap()
}

fn decide(criterion: &mut Criterion) {
    let url = |text: &str| Target::Url(text.parse().unwrap());
    let class = |category: &str, title: Option<&str>| Classification {
        category: Category::from(category),
        platform: Platform::Ps4.into(),
        details: Details { np_title_id: title.map(Into::into), ..Details::default() },
        ..Classification::default()
    };
    let flows = [
        (
            "one fits",
            url(
                "http://gs2.ww.prod.dl.playstation.net/gs2/ppkgo/prod/CUSA00002_00/33/f_206683f6/f/UP4134-CUSA00002_00-8013847526978797.json?product=0287&serverIpAddr=10.0.0.2",
            ),
            class("title-update-json", Some("CUSA00002_00")),
        ),
        (
            "none fits",
            url(
                "http://gst.prod.dl.playstation.net/gst/prod/00/PPSA01590_00/app/pkg/33/f_206683f6/UP4134-PPSA01590_00-8013847526978797_2.pkg?&product=0287&serverIpAddr=10.0.0.2",
            ),
            class("title-update-pkg", Some("PPSA01590_00")),
        ),
    ];
    let fields =
        [("Host", "gs2"), ("User-Agent", "libhttp/9.00 (PlayStation 4)"), ("Range", "bytes=0-9")];
    let headers: Headers =
        fields.map(|(name, value)| Header::new(name, value).unwrap()).into_iter().collect();
    let mut group = criterion.benchmark_group("decide");
    group.sample_size(30);
    for count in [0, 10, 100, 1000] {
        let rules = rules_or_none(count);
        for (name, target, class) in &flows {
            let id = BenchmarkId::new(*name, count);
            group.bench_function(id, |bencher| {
                bencher.iter(|| {
                    let client = [192, 168, 1, 20].into();
                    let subject = Subject::request("GET", target, class, client);
                    let decision = rules.decide(&subject.with_headers(&headers));
                    black_box(decision.is_pass())
                });
            });
        }
    }
    group.finish();
}

fn rules_or_none(count: usize) -> Rules {
    if count == 0 { Rules::none() } else { rules(count) }
}

criterion_group!(benches, decide);
criterion_main!(benches);
