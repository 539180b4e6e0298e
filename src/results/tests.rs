//! Results from journals, written and read back.

use std::borrow::Cow;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::properties::WriterProperties;
use tempfile::TempDir;

use super::*;
use crate::campaign::Compression;
use crate::journal::{
    ConnectionInfo, Intent, Journal, MemoryJournal, Outcome, Reader, RowState, RunKey, Verdict, Writer,
};
use crate::mail::{Address, Class, Disposition, EnhancedStatus, Reply, Timestamp};
use crate::suppression::AddressKey;

const SECOND: i64 = 1_000_000;

fn at(second: i64) -> Timestamp {
    Timestamp(1_780_000_000_000_000 + second * SECOND)
}

struct Run {
    folder: TempDir,
    journal: MemoryJournal,
    rows: u32,
}

impl Run {
    fn new(rows: u32) -> (Self, Writer<()>) {
        let key = RunKey {
            run_id: "spring-4f2a".into(),
            plan_rows: rows,
            plan_hash: "c0ffee".into(),
            has_passwords: false,
        };
        let run = Self { folder: tempfile::tempdir().unwrap(), journal: MemoryJournal::new(&key), rows };
        let journal = Journal::new(Box::new(run.journal.clone()), &key).unwrap();
        (run, Writer::spawn(journal, |_| (), |_| (), |error| panic!("{error}")).unwrap())
    }

    fn reader(&self) -> Reader {
        Reader::new(Box::new(self.journal.clone()))
    }

    fn results(&self) -> PathBuf {
        self.folder.path().join("results")
    }

    /// Results of all planned rows, and one that screening took out.
    fn write(&self, options: Options) -> Result<Summary, ResultsError> {
        let reader = self.reader();
        let states = reader.states()?;
        let known = Known { states: &states, details: reader.details() };
        let mut results = Results::create(&self.results(), known, options)?;
        for index in 0..self.rows {
            let (email, id) = (format!("Bob{index}@Example.com"), index.to_string());
            results.push(&InputRow {
                file: "list.csv",
                row: u64::from(index) + 1,
                email: Some(&email),
                domain: Some("example.com"),
                id: Some(&id),
                screening: ScreeningOutcome::Planned { index },
            })?;
        }
        results.push(&InputRow {
            file: "late.parquet",
            row: 1,
            email: None,
            domain: None,
            id: None,
            screening: ScreeningOutcome::Screened {
                disposition: Disposition::Invalid,
                detail: Some("no address"),
            },
        })?;
        results.finish()
    }

    fn read(&self) -> Vec<ResultRow<'static>> {
        let files = ResultFiles::open(&self.results()).unwrap();
        assert_eq!(files.run_id(), "spring-4f2a");
        files.rows(&Column::ALL).map(Result::unwrap).collect()
    }
}

fn intent(row: u32, attempt: u16, second: i64, connection: u32) -> (Intent, ()) {
    (
        Intent {
            row,
            attempt,
            at: at(second),
            connection,
            message_id: format!("{row}.{attempt}@x"),
            is_copy: false,
        },
        (),
    )
}

fn outcome(row: u32, attempt: u16, verdict: Verdict, second: i64) -> Outcome {
    Outcome {
        first_attempt_at: Some(at(0)),
        last_attempt_at: Some(at(second)),
        message_id: Some(format!("{row}.{attempt}@x")),
        bytes: Some(1_000),
        latency_us: Some(40_000),
        ..Outcome::new(row, attempt, verdict, at(second))
    }
}

fn reply(code: u16, class: u8, subject: u16, detail: u16, text: &str) -> Option<Reply> {
    Some(Reply { code, enhanced: Some(EnhancedStatus { class, subject, detail }), text: text.to_owned() })
}

/// One row for each way a run can leave it.
fn every_kind() -> Run {
    let (run, writer) = Run::new(6);
    let connection = writer.register_connection(ConnectionInfo {
        remote_host: "mx.example.com".into(),
        remote_ip: Some("2001:db8::7".parse().unwrap()),
        local_ip: Some([127, 0, 0, 1].into()),
        tls: Some("TLSv1.3".into()),
        opened_at: at(0),
    });
    let done = |disposition| Verdict::Final(disposition);
    // 0: accepted at the fourth attempt.
    for (attempt, second) in [(1, 0), (2, 400), (3, 800)] {
        writer.intend(vec![intent(0, attempt, second, connection)]);
        let greylisted = Outcome {
            class: Some(Class::Greylisted),
            reply: reply(451, 4, 7, 1, "come back"),
            ..outcome(0, attempt, Verdict::Retry { at: at(second + 400) }, second)
        };
        writer.record(greylisted);
    }
    writer.intend(vec![intent(0, 4, 1_200, connection)]);
    writer.record(Outcome {
        connection: Some(connection),
        reply: reply(250, 2, 0, 0, "queued as 7"),
        archive: reply(550, 5, 7, 1, "not here"),
        ..outcome(0, 4, done(Disposition::Accepted), 1_200)
    });
    writer.flush().unwrap();
    // 1: refused.
    writer.intend(vec![intent(1, 1, 0, connection)]);
    writer.record(Outcome {
        connection: Some(connection),
        class: Some(Class::BadMailbox),
        reply: reply(550, 5, 1, 1, "no such user"),
        ..outcome(1, 1, done(Disposition::Bounced), 0)
    });
    // 2: to be tried again. 3: handed over, no reply. 4: suppressed since. 5: nothing.
    writer.intend(vec![intent(2, 1, 0, connection), intent(3, 1, 7, connection)]);
    writer.record(outcome(2, 1, Verdict::Retry { at: at(30) }, 0));
    writer.record(Outcome {
        detail: Some("suppressed".into()),
        ..Outcome::new(4, 0, done(Disposition::Suppressed), at(9))
    });
    writer.close().unwrap();
    run
}

#[test]
fn every_input_row_becomes_one_result_row() {
    let run = every_kind();
    let summary = run.write(Options::default()).unwrap();
    let rows = run.read();
    let dispositions: Vec<Disposition> = rows.iter().map(|row| row.disposition).collect();
    assert_eq!(
        dispositions,
        [
            Disposition::Accepted,
            Disposition::Bounced,
            Disposition::Deferred,
            Disposition::InDoubt,
            Disposition::Suppressed,
            Disposition::NotAttempted,
            Disposition::Invalid
        ]
    );
    assert_eq!(summary.rows, 7);
    assert_eq!(summary.dispositions.iter().map(|(_, count)| count).sum::<u64>(), 7);
    for disposition in Disposition::ALL {
        let rows = dispositions.iter().filter(|other| **other == disposition).count() as u64;
        assert_eq!(summary.count(disposition), rows, "{disposition}");
    }
}

#[test]
fn a_row_tells_all_that_is_known() {
    let run = every_kind();
    run.write(Options::default()).unwrap();
    let rows = run.read();
    let some = |text: &'static str| Some(Cow::Borrowed(text));
    assert_eq!(
        rows[0],
        ResultRow {
            row: 1,
            source_file: "list.csv".into(),
            recipient_id: some("0"),
            email: some("Bob0@Example.com"),
            domain: some("example.com"),
            message_id: some("0.4@x"),
            disposition: Disposition::Accepted,
            class: None,
            smtp_code: Some(250),
            enhanced_status: Some(EnhancedStatus { class: 2, subject: 0, detail: 0 }),
            reply: some("queued as 7"),
            remote_host: some("mx.example.com"),
            remote_ip: Some("2001:db8::7".parse().unwrap()),
            local_ip: Some([127, 0, 0, 1].into()),
            tls: some("TLSv1.3"),
            attempts: 4,
            first_attempt_at: Some(at(0)),
            last_attempt_at: Some(at(1_200)),
            latency_us: Some(40_000),
            bytes: Some(1_000),
            slot: Some(at(1_200).slot()),
            detail: None,
            attempts_at: vec![at(0), at(400), at(800), at(1_200)],
            archive: some("550 5.7.1 not here"),
            is_test: false,
            delivered_to: None,
            is_seed: false,
            variant: None,
            archive_attempts_at: vec![],
            password_disposition: None,
            password_reply: None,
            password_attempts_at: Vec::new(),
            password_bytes: None,
            email_folded: some("bob0@example.com"),
        }
    );
    assert_eq!((rows[1].class, rows[1].smtp_code), (Some(Class::BadMailbox), Some(550)));
    assert_eq!(rows[2].detail, Some(format!("to be tried again at {}", at(30)).into()));
    assert_eq!((rows[2].attempts, rows[2].attempts_at.len()), (1, 1));
    assert_eq!(rows[3].detail, some("handed over, and no reply was seen"));
    assert_eq!((rows[3].attempts, rows[3].last_attempt_at), (1, Some(at(7))));
    assert_eq!(
        (rows[3].message_id.clone(), rows[3].remote_host.clone()),
        (some("3.1@x"), some("mx.example.com"))
    );
    assert_eq!((rows[4].attempts, rows[4].attempts_at.len(), rows[4].slot), (0, 0, None));
    assert_eq!(rows[4].detail, some("suppressed"));
    assert_eq!(rows[5].detail, some("the run ended before its turn"));
    assert_eq!((rows[6].source_file.as_ref(), rows[6].email.clone()), ("late.parquet", None));
    assert_eq!(rows[6].detail, some("no address"));
}

#[test]
fn while_the_run_goes_on_a_row_under_way_is_called_so() {
    let run = every_kind();
    run.write(Options { running: true, not_attempted: "not yet".into(), ..Options::default() }).unwrap();
    let rows = run.read();
    assert_eq!(rows[3].detail.as_deref(), Some("under way when this was written"));
    assert_eq!(rows[5].detail.as_deref(), Some("not yet"));
}

#[test]
fn the_summary_counts_what_was_sent() {
    let run = every_kind();
    let summary = run.write(Options::default()).unwrap();
    // 0 has four attempts, 1 to 3 have one each; they start at 0, 400, 800, 1200 and 0, 0, 7.
    assert_eq!((summary.attempts, summary.bytes), (7, 3_000));
    assert_eq!((summary.first_attempt_at, summary.last_attempt_at), (Some(at(0)), Some(at(1_200))));
    assert_eq!(summary.per_second, Some(6.0 / 1_200.0));
    assert_eq!((summary.slots_used, summary.fullest_slot), (4, 4));
    assert_eq!(summary.archive_refused, 1);
    assert_eq!(summary.classes, [(Class::BadMailbox, 1)]);
    assert_eq!(summary.domains[0].domain, "example.com");
    assert_eq!((summary.domains[0].rows, summary.distinct_domains), (6, 1));
    let latency = summary.latency.unwrap();
    assert!(
        (39_900..=40_100).contains(&latency.p50.as_micros()) && latency.max.as_millis() >= 40,
        "{latency:?}"
    );
    let json = serde_json::to_value(&summary).unwrap();
    assert_eq!(json["dispositions"]["in_doubt"], 1);
    assert_eq!(json["dispositions"]["duplicate"], 0);
    assert_eq!(json["classes"]["bad_mailbox"], 1);
    // What failed last, in the order of the list, without addresses.
    let failed: Vec<_> = summary.failed_last.iter().map(|row| (row.row, row.disposition)).collect();
    let expected = [(2, Disposition::Bounced), (3, Disposition::Deferred), (4, Disposition::InDoubt)];
    assert_eq!((failed.as_slice(), summary.failed()), (expected.as_slice(), 3));
    assert!(!summary.failed_last.iter().any(|row| row.why.contains('@')), "{summary:?}");
    assert_eq!(json["last_attempt_at"], at(1_200).to_string());
}

#[test]
fn the_last_failures_and_the_most_frequent_reasons_are_listed() {
    let (run, writer) = Run::new(40);
    for row in 0..40 {
        let (second, why) = (i64::from(row * 7 % 40), format!("`n{}` has no value", row % 5));
        let disposition = if row % 2 == 0 { Disposition::Bounced } else { Disposition::RenderFailed };
        writer.intend(vec![intent(row, 1, second, 0)]);
        writer.record(Outcome { detail: Some(why), ..outcome(row, 1, Verdict::Final(disposition), second) });
    }
    writer.close().unwrap();
    let summary = run.write(Options::default()).unwrap();
    let failed: Vec<u64> = summary.failed_last.iter().map(|row| row.row).collect();
    let mut last: Vec<u64> = (0..40u64).filter(|row| row * 7 % 40 >= 30).map(|row| row + 1).collect();
    last.sort_unstable();
    assert_eq!((failed, summary.failed()), (last, 40));
    let causes = summary.causes.iter().map(|cause| (cause.disposition, cause.why.is_some(), cause.rows));
    let mut causes: Vec<_> = causes.collect();
    causes.sort();
    let of = |is_named, rows| (Disposition::RenderFailed, is_named, rows);
    let expected = [of(false, 8), of(true, 4), of(true, 4), of(true, 4)];
    assert_eq!(causes, [&[(Disposition::Invalid, true, 1)], expected.as_slice()].concat());
}

#[test]
fn rows_are_spread_over_parts_and_parts_of_earlier_results_go() {
    let (run, writer) = Run::new(25);
    writer.close().unwrap();
    for compression in [Compression::Zstd, Compression::Snappy, Compression::None] {
        let summary = run.write(Options { compression, rows_per_part: 10, ..Options::default() }).unwrap();
        assert_eq!(summary.files, 3);
        let mut names: Vec<String> = fs::read_dir(run.results())
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["part-00000.parquet", "part-00001.parquet", "part-00002.parquet"]);
        let rows: Vec<u64> = run.read().iter().map(|row| row.row).collect();
        assert_eq!(rows[..25], (1..=25).collect::<Vec<u64>>());
    }
    assert_eq!(run.write(Options { rows_per_part: 13, ..Options::default() }).unwrap().files, 2);
    assert_eq!(run.read().len(), 26);
}

#[test]
fn results_of_nothing_have_the_columns() {
    let (run, writer) = Run::new(0);
    writer.close().unwrap();
    let reader = run.reader();
    let states = reader.states().unwrap();
    let known = Known { states: &states, details: reader.details() };
    let summary = Results::create(&run.results(), known, Options::default()).unwrap().finish().unwrap();
    assert_eq!((summary.rows, summary.files, summary.latency, summary.per_second), (0, 1, None, None));
    assert_eq!(run.read(), []);
}

#[test]
fn columns_that_are_not_asked_for_stay_empty() {
    let run = every_kind();
    run.write(Options::default()).unwrap();
    let files = ResultFiles::open(&run.results()).unwrap();
    let columns = [Column::Disposition, Column::AttemptsAt];
    let rows: Vec<ResultRow<'_>> = files.rows(&columns).map(Result::unwrap).collect();
    assert_eq!(rows[0].disposition, Disposition::Accepted);
    assert_eq!(rows[0].attempts_at.len(), 4);
    assert_eq!((rows[0].row, rows[0].email.clone(), rows[0].attempts), (0, None, 0));
}

/// Files of this version from before the column are read without it; without another one they are
/// no results.
#[test]
fn only_the_archive_column_may_be_missing() {
    let run = every_kind();
    run.write(Options::default()).unwrap();
    let part = run.results().join("part-00000.parquet");
    let whole = fs::read(&part).unwrap();
    let without = |column: Column| {
        let builder = ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(whole.clone())).unwrap();
        let metadata = builder.metadata().file_metadata().key_value_metadata().cloned();
        let batch = builder.build().unwrap().next().unwrap().unwrap();
        let kept: Vec<usize> = (0..Column::ALL.len()).filter(|at| *at != column as usize).collect();
        let batch = batch.project(&kept).unwrap();
        let properties = WriterProperties::builder().set_key_value_metadata(metadata).build();
        let file = File::create(&part).unwrap();
        let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
    };
    without(Column::Archive);
    let rows = run.read();
    assert_eq!((rows.len(), rows[0].archive.clone(), rows[0].attempts), (7, None, 4));
    without(Column::Detail);
    let error = ResultFiles::open(&run.results()).unwrap_err();
    assert!(error.to_string().contains("column `detail` is missing"), "{error}");
}

#[test]
fn what_stood_there_stays_until_the_new_results_are_whole() {
    let run = every_kind();
    run.write(Options::default()).unwrap();
    let before = fs::read(run.results().join("part-00000.parquet")).unwrap();
    let reader = run.reader();
    let states = reader.states().unwrap();
    let known = Known { states: &states, details: reader.details() };
    let results = Results::create(&run.results(), known, Options::default()).unwrap();
    assert_eq!(fs::read(run.results().join("part-00000.parquet")).unwrap(), before);
    drop(results);
    assert_eq!(fs::read_dir(run.results()).unwrap().count(), 1);
}

#[test]
fn a_file_that_can_not_be_begun_leaves_what_stood_there() {
    let run = every_kind();
    run.write(Options::default()).unwrap();
    fs::create_dir(run.results().join("part-00000.parquet.new")).unwrap();
    let error = run.write(Options::default()).unwrap_err();
    assert!(matches!(error, ResultsError::Io { .. }), "{error:?}");
    assert_eq!(run.read().len(), 7);
}

#[test]
fn a_full_disk_is_called_so() {
    let full = std::io::Error::from_raw_os_error(28); // ENOSPC
    let error = ResultsError::io("write", Path::new("results"), full);
    assert!(matches!(error, ResultsError::Full { .. }), "{error:?}");
    assert!(error.hint().unwrap().contains("free some space"));
}

#[test]
fn files_that_are_no_results_say_what_they_are() {
    let run = every_kind();
    let open = || ResultFiles::open(&run.results()).unwrap_err();
    assert!(matches!(open(), ResultsError::Missing(_)));
    run.write(Options::default()).unwrap();
    let path = run.results().join("part-00000.parquet");
    let length = fs::metadata(&path).unwrap().len();
    File::options().write(true).open(&path).unwrap().set_len(length / 2).unwrap();
    assert!(matches!(open(), ResultsError::NotResults { .. }), "{}", open());
    let other = arrow_array::RecordBatch::try_from_iter([(
        "row",
        std::sync::Arc::new(arrow_array::Int32Array::from(vec![1])) as arrow_array::ArrayRef,
    )])
    .unwrap();
    let mut writer =
        parquet::arrow::ArrowWriter::try_new(File::create(&path).unwrap(), other.schema(), None).unwrap();
    writer.write(&other).unwrap();
    writer.close().unwrap();
    assert!(open().to_string().ends_with("its metadata has no `mailrun.schema`"), "{}", open());
}

#[test]
fn rows_that_a_damaged_journal_does_not_know_are_in_doubt() {
    let run = every_kind();
    // The last outcome of row 0: what comes before it is readable, and says that the row was to be
    // tried again.
    run.journal.spoil(|records| {
        if let Some(place) = records.windows(11).position(|window| window == b"queued as 7") {
            records[place] ^= 1;
        }
    });
    // The names of the hosts can't be read either.
    run.journal.lose_connections();
    assert_eq!(run.reader().states().unwrap().state(0), RowState::Unknown);
    let summary = run.write(Options::default()).unwrap();
    assert_eq!(summary.count(Disposition::NotAttempted), 0);
    assert_eq!(summary.rows, 7);
    let rows = run.read();
    assert_eq!(rows[0].disposition, Disposition::InDoubt);
    assert_eq!((rows[1].disposition, rows[1].remote_host.clone()), (Disposition::Bounced, None));
    assert!(
        rows[0].detail.as_deref().unwrap().starts_with("the journal is damaged: "),
        "{:?}",
        rows[0].detail
    );
}

fn found(files: &ResultFiles, sought: &Sought, from: u64) -> Vec<u64> {
    let mut found = Vec::new();
    files
        .find(sought, &[Column::Row, Column::Email], from, &mut |number, row| {
            assert!(row.row > 0 && row.reply.is_none(), "only what is asked for is read");
            found.push(number);
            true
        })
        .unwrap();
    found
}

#[test]
fn rows_are_found_by_each_thing_that_is_known_of_them() {
    let run = every_kind();
    run.write(Options { rows_per_part: 4, ..Options::default() }).unwrap();
    let files = ResultFiles::open(&run.results()).unwrap();
    let check =
        |sought: Sought, numbers: &[u64]| assert_eq!(found(&files, &sought, 0), numbers, "{sought:?}");
    let to = |text: &str| Sought { recipient: Some(Recipient::of(text)), ..Sought::default() };
    check(Sought::default(), &[0, 1, 2, 3, 4, 5, 6]);
    check(Sought { message_id: Some("3.1@x".into()), ..Sought::default() }, &[3]);
    check(Sought { message_id: Some("3.2@x".into()), ..Sought::default() }, &[]);
    check(to("BOB4@example.COM"), &[4]);
    check(to("bob4@example.com"), &[4]);
    check(to("bob44@example.com"), &[]);
    check(to("OB5@exam"), &[5]);
    check(to("@EXAMPLE.com"), &[0, 1, 2, 3, 4, 5]);
    check(Sought { class: Some(Class::BadMailbox), ..Sought::default() }, &[1]);
    check(Sought { disposition: Some(Disposition::Invalid), ..Sought::default() }, &[6]);
    let then = |first, end| Sought { period: Some(at(first)..at(end)), ..Sought::default() };
    check(then(1_100, 2_000), &[0]);
    check(then(1_300, 2_000), &[]);
    check(Sought { with_untried: true, ..then(1_300, 2_000) }, &[4, 5, 6]);
    // What came later counts for messages only: row 4 was never sent.
    let key = |n: u32| AddressKey::from(&Address::parse(&format!("bob{n}@example.com")).unwrap());
    check(Sought { also: [key(1), key(4)].into(), ..then(1_300, 2_000) }, &[1]);
    assert_eq!(found(&files, &Sought::default(), 3), [3, 4, 5, 6]);
    assert_eq!(found(&files, &to("@example.com"), 5), [5]);
    assert_eq!(found(&files, &to("@example.com"), 7), [] as [u64; 0]);
}

#[test]
fn files_without_bloom_filters_are_searched_too_and_those_with_them_not_in_vain() {
    let run = every_kind();
    run.write(Options::default()).unwrap();
    let part = run.results().join("part-00000.parquet");
    let filters = || {
        let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(&part).unwrap()).unwrap();
        let columns = builder.metadata().row_group(0).columns().to_vec();
        let has =
            |column: &&parquet::file::metadata::ColumnChunkMetaData| column.bloom_filter_offset().is_some();
        columns.iter().filter(has).map(|column| column.column_path().string()).collect::<Vec<_>>()
    };
    assert_eq!(filters(), ["email", "message_id", "email_folded"]);
    let file = super::find::ResultFile::open(&part).unwrap();
    let id = |text: &str| Sought { message_id: Some(text.into()), ..Sought::default() };
    let to = |text: &str| Sought { recipient: Some(Recipient::of(text)), ..Sought::default() };
    let then = |first, end| Sought { period: Some(at(first)..at(end)), ..Sought::default() };
    for there in
        [id("1.1@x"), to("bob2@example.com"), to("BOB4@example.COM"), to("b2@exam"), then(1_100, 2_000)]
    {
        assert!(file.may_hold(0, &there).unwrap(), "{there:?}");
    }
    let before = Sought { period: Some(Timestamp(0)..Timestamp(1)), ..Sought::default() };
    for elsewhere in [id("1.2@x"), to("bob22@example.com"), then(9_000, 9_999), before] {
        assert!(!file.may_hold(0, &elsewhere).unwrap(), "{elsewhere:?}");
    }
    let bytes = fs::metadata(&part).unwrap().len();
    assert!(bytes < 20_000, "the filters of few rows are small: {bytes}");
    let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(&part).unwrap()).unwrap();
    let (schema, metadata) =
        (builder.schema().clone(), builder.metadata().file_metadata().key_value_metadata().cloned());
    let batch = builder.build().unwrap().next().unwrap().unwrap();
    // As before there were filters, and the column with what they need.
    let kept: Vec<usize> = (0..schema.fields().len() - 1).collect();
    let batch = batch.project(&kept).unwrap();
    let properties = WriterProperties::builder().set_key_value_metadata(metadata).build();
    let mut writer =
        ArrowWriter::try_new(File::create(&part).unwrap(), batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    assert!(filters().is_empty());
    let files = ResultFiles::open(&run.results()).unwrap();
    let to = Sought { recipient: Some(Recipient::of("bob2@example.com")), ..Sought::default() };
    assert_eq!(found(&files, &to, 0), [2]);
    assert_eq!(found(&files, &Sought { message_id: Some("1.1@x".into()), ..Sought::default() }, 0), [1]);
}
