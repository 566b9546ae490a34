//! Events a second through the whole writer, `write(2)` included: one exchange is three events.
#![allow(missing_docs, clippy::unwrap_used)] // test code throughout, not only in #[test] functions

#[path = "../tests/session/support.rs"]
mod support;

use consoletap_flow::{Record, Recorder as _};
use consoletap_session::{Options, Writer};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};

const EXCHANGES: u64 = 10_000;

fn append(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("append");
    group.throughput(Throughput::Elements(EXCHANGES * 3)).sample_size(10);
    group.bench_function("events of exchanges", |bencher| {
        bencher.iter_batched(
            || {
                let dir = tempfile::tempdir().unwrap();
                let options = Options::default();
                let writer = Writer::create(dir.path(), support::about(), options, None).unwrap();
                let events: Vec<_> = (1..=EXCHANGES).flat_map(support::exchange).collect();
                (dir, writer, events)
            },
            |(dir, writer, events)| {
                let (sender, written) = std::sync::mpsc::channel();
                let last = events.len() - 1;
                for (index, event) in events.into_iter().enumerate() {
                    let mut record = Record::new(event);
                    if index == last {
                        let sender = sender.clone();
                        record.written = Some(Box::new(move || sender.send(()).unwrap()));
                    }
                    writer.record(record);
                }
                writer.flush();
                written.recv().unwrap();
                (dir, writer)
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group!(benches, append);
criterion_main!(benches);
