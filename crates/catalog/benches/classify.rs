//! What one classification costs: with fields, by host alone, unknown, by user agent alone, by a
//! handshake; with the tables as they are, and beside ten and a hundred times as many rows, which
//! lie on hosts of their own and on the very hosts and user agents that are asked for. Then what
//! the documented requests cost together, and what reading all tables costs.

use std::fmt::Write as _;
use std::hint::black_box;

use consoletap_catalog::{Catalog, Question};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const FIELDS: &str = "http://gs2.ww.prod.dl.playstation.net/gs2/ppkgo/prod/CUSA00135_00/21/f_06da3b33d65c72bc25dac70c5d3c5669addbe50a94e87cc644e5b9471101303f/f/EP1018-CUSA00135_00-BATMANARKHAMKNHT-A0118-V0100_0.pkg";
const HASH: &str = "http://tmdb.np.dl.playstation.net/tmdb2/CUSA00080_00_4ED0D1374CB128AC8E277C9A3145505220D6D93A/CUSA00080_00.json";
const AGENT: &str = "SystemLogger/1.0 (PlayStation 4 1.501) libhttp/1.50 (PlayStation 4)";

fn classify(criterion: &mut Criterion) {
    let builtin = Catalog::builtin().entries().count();
    for times in [1, 10, 100] {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::write(dir.path().join("more.toml"), synthetic(builtin * (times - 1)))
            .expect("a file");
        let catalog = Catalog::load(&[dir.path().to_owned()]).expect("sound rows");
        let ask = |target, agent| Question::parse(None, target, agent).expect("a question");
        let requests = [
            ("fields", ask(Some(FIELDS), None)),
            ("fields-and-agent", ask(Some(FIELDS), Some("libhttp/9.00 (PlayStation 4)"))),
            ("fields-and-hash", ask(Some(HASH), None)),
            ("host", ask(Some("fswitch.dl.playstation.net:443"), None)),
            ("unknown", ask(Some("http://www.nothing.example/a/b/c?d=e"), None)),
            (
                "unknown-agent",
                ask(Some("http://www.nothing.example/"), Some("Mozilla/5.0 (X11) Y/1")),
            ),
            ("user-agent", ask(None, Some(AGENT))),
            ("handshake", Question::default().with_ja3("4f193c90be6e0aed1752e8aa0daee95a")),
        ];
        for (name, question) in requests {
            criterion.bench_function(&format!("{name}/{times}x"), |bencher| {
                bencher.iter(|| catalog.classify(black_box(&question.query())));
            });
        }
    }
}

/// Every request of the test vectors, each as it is documented: what one of them costs on average.
fn documented(criterion: &mut Criterion) {
    let vectors =
        [include_str!("../tests/vectors/seed.tsv"), include_str!("../tests/vectors/facts.tsv")];
    let questions: Vec<_> = vectors
        .into_iter()
        .flat_map(str::lines)
        .filter_map(|line| {
            let mut cells = line.split('\t').map(|cell| Some(cell).filter(|cell| !cell.is_empty()));
            let kind = cells.next()??;
            let (method, target, agent) = (cells.next()?, cells.next()?, cells.next()?);
            matches!(kind, "url" | "request")
                .then(|| Question::parse(method, target, agent).ok())?
        })
        .collect();
    let catalog = Catalog::builtin();
    let mut group = criterion.benchmark_group("documented");
    group.throughput(Throughput::Elements(questions.len() as u64));
    group.bench_function(format!("{} requests", questions.len()), |bencher| {
        bencher.iter(|| {
            for question in &questions {
                black_box(catalog.classify(&question.query()));
            }
        });
    });
    group.finish();
}

fn load(criterion: &mut Criterion) {
    criterion.bench_function("load", |bencher| bencher.iter(Catalog::builtin));
}

/// Of each eight rows six have hosts of their own; the others crowd around what is asked for.
fn synthetic(rows: usize) -> String {
    (0..rows).fold(String::new(), |mut text, row| {
        let place = match row % 8 {
            0 => format!(
                "host = \"gs2.ww.prod.dl.playstation.net\"\npath = \"/gs2/made/{row}/{{id:digits}}.x\""
            ),
            1 => format!("user_agent = \"SystemLogger/{row}.{row} {{id:dotted}} (Made)\""),
            _ => format!(
                "host = \"h{}.made.example\"\npath = \"/a/{row}/{{id:digits}}.x\"",
                row / 8
            ),
        };
        let _ = write!(
            text,
            "[[entry]]\nid = \"made-{row}\"\n{place}\ncategory = \"c\"\nsummary = \"s\"\n"
        );
        text
    })
}

criterion_group!(benches, classify, documented, load);
criterion_main!(benches);
