//! Reading a target group beside the bare readers of its formats, and screening it beside the least
//! that finds duplicates.

use std::fs::{self, File};
use std::hash::Hasher;
use std::hint::black_box;
use std::sync::Arc;

use criterion::{BatchSize, BenchmarkId, Criterion};
use mailrun::screen::{Columns, Limits, Screener};
use mailrun::suppression::{Checker, NewEntry, Reason, Scope, Term};
use mailrun::target_group::{self, BATCH_ROWS, Batch};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use rustc_hash::{FxHashSet, FxHasher};

use super::cpu::{CpuTime, elements};
use super::scene::{NOW, Scene, group};

const ROWS: usize = 20_000;
/// Every so many-th address is suppressed.
const SUPPRESSED_EVERY: usize = 50;

pub(crate) fn read(c: &mut Criterion<CpuTime>) {
    let scene = Scene::new();
    let mut bench = c.benchmark_group("read");
    bench.throughput(elements(ROWS));

    let csv = scene.list("list.csv", ROWS);
    bench.bench_function(BenchmarkId::new("mailrun", "CSV, 8 columns"), |b| {
        b.iter(|| read_all(&csv, |batch| drop(black_box(batch))));
    });
    bench.bench_function(BenchmarkId::new("limit: the csv crate's fields", "CSV, 8 columns"), |b| {
        b.iter(|| {
            let bytes = fs::read(&csv).expect("the list is there");
            let mut reader = csv::Reader::from_reader(bytes.as_slice());
            let mut record = csv::ByteRecord::new();
            while reader.read_byte_record(&mut record).expect("the list is whole") {
                black_box(&record);
            }
        });
    });
    bench.bench_function(BenchmarkId::new("limit: memcpy", "CSV, 8 columns"), |b| {
        b.iter(|| black_box(fs::read(&csv).expect("the list is there").clone()));
    });

    let parquet = scene.list("list.parquet", ROWS);
    bench.bench_function(BenchmarkId::new("mailrun", "Parquet, 8 columns"), |b| {
        b.iter(|| read_all(&parquet, |batch| drop(black_box(batch))));
    });
    bench.bench_function(BenchmarkId::new("limit: the parquet crate's batches", "Parquet, 8 columns"), |b| {
        b.iter(|| {
            let file = File::open(&parquet).expect("the list is there");
            let builder = ParquetRecordBatchReaderBuilder::try_new(file).expect("the list is whole");
            for batch in builder.with_batch_size(BATCH_ROWS).build().expect("its columns can be read") {
                black_box(batch.expect("the list is whole"));
            }
        });
    });
    bench.finish();
}

fn read_all(path: &std::path::Path, mut take: impl FnMut(Batch)) {
    let group = target_group::open(&group(path)).expect("the list can be read");
    for batch in group.batches() {
        take(batch.expect("the list is whole"));
    }
}

pub(crate) fn screen(c: &mut Criterion<CpuTime>) {
    let scene = Scene::new();
    let path = scene.list("list.csv", ROWS);
    let opened = target_group::open(&group(&path)).expect("the list can be read");
    let mut batches = Vec::new();
    read_all(&path, |batch| batches.push(batch));
    let emails: Vec<String> = batches
        .iter()
        .flat_map(|batch| {
            let column = batch.records.column(opened.email_column());
            let column = arrow_array::cast::AsArray::as_string::<i32>(column);
            column.iter().map(|email| email.unwrap_or_default().to_owned()).collect::<Vec<_>>()
        })
        .collect();
    let list = scene.suppression();
    for email in emails.iter().step_by(SUPPRESSED_EVERY) {
        let Ok(address) = email.parse() else { continue };
        let (email, source) = (email.clone(), "bench".to_owned());
        let (reason, scope, term) = (Reason::Manual, Scope::All, Term::Permanent);
        let entry = NewEntry { address, scope, email, reason, source, term };
        list.add(entry, NOW).expect("the list can be written");
    }

    let mut bench = c.benchmark_group("screen");
    bench.throughput(elements(ROWS));
    let columns =
        Columns { email: opened.email_column(), id: opened.id_column(), name: opened.name_column() };
    bench.bench_function(BenchmarkId::new("mailrun", "20,000 rows"), |b| {
        let setup = || {
            let checker = Checker::open(Arc::clone(&list), None, NOW).expect("the list can be read");
            let files = vec!["list.csv".to_owned()];
            let screener = Screener::new(&opened.schema(), columns, Limits::default(), files, checker);
            (screener.expect("the columns are text"), batches.clone())
        };
        b.iter_batched(
            setup,
            |(mut screener, batches)| {
                let parser = screener.parser();
                for batch in batches {
                    let parsed = parser.parse(batch).expect("the columns are text");
                    black_box(screener.accept(parsed).expect("the list can be read"));
                }
                screener.counts()
            },
            BatchSize::LargeInput,
        );
    });
    bench.bench_function(BenchmarkId::new("limit: lower case, hash and set", "20,000 rows"), |b| {
        b.iter(|| {
            let mut seen = FxHashSet::default();
            for email in &emails {
                let mut hasher = FxHasher::default();
                hasher.write(email.to_ascii_lowercase().as_bytes());
                seen.insert(hasher.finish());
            }
            seen.len()
        });
    });
    bench.finish();
}
