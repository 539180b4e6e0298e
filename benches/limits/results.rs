//! Results from plan and journal beside the Parquet writer alone, given the same columns.

use std::fs::File;
use std::hint::black_box;
use std::path::Path;

use arrow_array::RecordBatch;
use criterion::{BenchmarkId, Criterion};
use mailrun::journal::Reader;
use mailrun::mail::Disposition;
use mailrun::results::{InputRow, Known, Options, Results, ScreeningOutcome};
use mailrun::run_dir::RunDir;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use super::cpu::{CpuTime, elements};
use super::journal::fill;
use super::scene::Scene;

const ROWS: u32 = 20_000;
/// The columns of which `mailrun` makes no dictionary, since hardly any two rows are the same.
const DISTINCT: [&str; 9] = [
    "row",
    "recipient_id",
    "email",
    "message_id",
    "reply",
    "first_attempt_at",
    "last_attempt_at",
    "latency_us",
    "archive",
];

/// Those that have bloom filters.
const LOOKED_UP: [&str; 3] = ["message_id", "email", "email_folded"];

pub(crate) fn results(c: &mut Criterion<CpuTime>) {
    let mut bench = c.benchmark_group("results");
    bench.throughput(elements(ROWS as usize)).sample_size(10);
    let scene = Scene::new();
    let run = RunDir::at(scene.path("."));
    fill(&*scene.state(), &run, ROWS);
    let journal = scene.state().read_journal(&run).expect("the journal is whole");
    let folder = scene.path("results");
    let emails: Vec<(String, String, String)> = (0..ROWS)
        .map(|n| {
            (
                format!("ann.evans{n}@post{}.example", n % 300),
                format!("post{}.example", n % 300),
                n.to_string(),
            )
        })
        .collect();
    let what = "20,000 rows, zstd";
    bench.bench_function(BenchmarkId::new("mailrun", what), |b| b.iter(|| write(&journal, &folder, &emails)));

    // Whether or not the filter of the command line let the above run.
    write(&journal, &folder, &emails);
    let file = File::open(folder.join("part-00000.parquet")).expect("it was just written");
    let batches = ParquetRecordBatchReaderBuilder::try_new(file).and_then(|builder| builder.build());
    let batches: Vec<RecordBatch> =
        batches.expect("it is whole").collect::<Result<_, _>>().expect("it is whole");
    let bare = scene.path("bare.parquet");
    bench.bench_function(BenchmarkId::new("limit: the parquet crate's writer", what), |b| {
        b.iter(|| {
            let level = ZstdLevel::try_new(3).expect("zstd has it");
            let properties = WriterProperties::builder()
                .set_compression(Compression::ZSTD(level))
                .set_statistics_enabled(EnabledStatistics::Chunk);
            let properties = DISTINCT.into_iter().fold(properties, |properties, name| {
                properties.set_column_dictionary_enabled(ColumnPath::from(name), false)
            });
            let properties = LOOKED_UP.into_iter().fold(properties, |properties, name| {
                let (path, rows) = (ColumnPath::from(name), 100_000);
                properties
                    .set_column_bloom_filter_fpp(path.clone(), 0.01)
                    .set_column_bloom_filter_max_ndv(path, rows)
            });
            let file = File::create(&bare).expect("the folder can be written to");
            let writer = ArrowWriter::try_new(file, batches[0].schema(), Some(properties.build()));
            let mut writer = writer.expect("its columns can be written");
            for batch in &batches {
                writer.write(black_box(batch)).expect("the disk has room");
            }
            writer.into_inner().and_then(|file| Ok(file.sync_all()?)).expect("the disk has room");
        });
    });
    bench.finish();
}

fn write(reader: &Reader, folder: &Path, emails: &[(String, String, String)]) {
    let states = reader.states().expect("the journal is whole");
    let known = Known { states: &states, details: reader.details() };
    let mut results = Results::create(folder, known, Options::default()).expect("the folder can be made");
    for (index, (email, domain, id)) in (0..).zip(emails) {
        let row = InputRow {
            file: "list.csv",
            row: u64::from(index) + 1,
            email: Some(email),
            domain: Some(domain),
            id: Some(id),
            screening: ScreeningOutcome::Planned { index },
        };
        results.push(&row).expect("the disk has room");
    }
    let summary = results.finish().expect("the disk has room");
    assert!(summary.dispositions.contains(&(Disposition::Accepted, u64::from(ROWS))), "{summary:?}");
}
