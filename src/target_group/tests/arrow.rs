//! Arrow IPC files and streams.

use std::io::Cursor;

use arrow_array::types::Int8Type;
use arrow_array::{DictionaryArray, Int64Array, StringArray};
use arrow_ipc::CompressionType;
use arrow_ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};

use super::*;
use crate::target_group::FileKind;

fn records(rows: std::ops::Range<i64>) -> RecordBatch {
    let emails = StringArray::from_iter_values(rows.clone().map(|n| format!("{n}@x.example")));
    let city: DictionaryArray<Int8Type> = rows.clone().map(|n| ["Bern", "Oslo"][n as usize % 2]).collect();
    let columns: [(&str, ArrayRef); 3] =
        [("email", array(emails)), ("n", array(Int64Array::from_iter_values(rows))), ("city", array(city))];
    RecordBatch::try_from_iter(columns).unwrap()
}

fn options(compression: Option<CompressionType>) -> IpcWriteOptions {
    IpcWriteOptions::default().try_with_compression(compression).unwrap()
}

fn stream(batches: &[RecordBatch], compression: Option<CompressionType>) -> Vec<u8> {
    let schema = batches[0].schema();
    let mut writer = StreamWriter::try_new_with_options(Vec::new(), &schema, options(compression)).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.into_inner().unwrap()
}

fn file(batches: &[RecordBatch], compression: Option<CompressionType>) -> Vec<u8> {
    let (out, schema) = (Cursor::new(Vec::new()), batches[0].schema());
    let mut writer = FileWriter::try_new_with_options(out, &schema, options(compression)).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.into_inner().unwrap().into_inner()
}

#[test]
fn files_and_streams_are_lists_in_any_compression() {
    let batches = [records(0..10_000), records(10_000..10_003)];
    let line = |n: i64| format!("{n}@x.example|{n}|{}", ["Bern", "Oslo"][n as usize % 2]);
    let expected: Vec<String> = (0..10_003).map(line).collect();
    for compression in [None, Some(CompressionType::LZ4_FRAME), Some(CompressionType::ZSTD)] {
        for bytes in [file(&batches, compression), stream(&batches, compression)] {
            let kit = kit().file("a.feather", &bytes);
            let group = kit.open().unwrap();
            assert_eq!(group.files()[0].reading.kind, FileKind::Arrow);
            let read = contents(&group).unwrap();
            assert_eq!(read.types, ["Utf8", "Int64", "Utf8"]);
            assert_eq!(read.lines(), expected, "{compression:?}");
            assert!(group.batches().all(|batch| batch.unwrap().places.len() <= 8_192));
            let mut group = kit.open().unwrap();
            group.keep_columns(&["city".to_owned()].into());
            assert_eq!(contents(&group).unwrap().lines()[2], "2@x.example|Bern");
        }
    }
}

#[test]
fn what_was_cut_short_or_damaged_is_refused_as_a_whole() {
    let batches = [records(0..2_000)];
    for bytes in [file(&batches, None), stream(&batches, Some(CompressionType::ZSTD))] {
        for kept in [9, 200, bytes.len() / 2, bytes.len() * 9 / 10] {
            let error = kit().file("a.arrow", &bytes[..kept]).refused();
            let problem = "the Arrow file can't be read: it is damaged or was cut short";
            assert_eq!(error.problem, problem, "{kept} of {}", bytes.len());
        }
    }
    let error = kit().file("a.arrow", "email\na@x.example\n").refused();
    assert_eq!(error.problem, "the file is not Arrow IPC, although it is named so");
    let packed = zstd::encode_all(&stream(&batches, None)[..], 1).unwrap();
    let error = kit().file("a.arrows.zst", packed).refused();
    assert_eq!(error.problem, "the file is Arrow IPC compressed with zstd");
}

#[test]
fn a_batch_that_unpacks_to_too_much_is_refused_before_it_is_unpacked() {
    let text = "x".repeat(300 * 1024 * 1024);
    let columns: [(&str, ArrayRef); 2] = [
        ("email", array(StringArray::from(vec!["a@x.example"]))),
        ("text", array(StringArray::from(vec![text]))),
    ];
    let bytes = stream(&[RecordBatch::try_from_iter(columns).unwrap()], Some(CompressionType::ZSTD));
    assert!(bytes.len() < 1024 * 1024, "{}", bytes.len());
    let error = kit().file("a.arrows", bytes).refused();
    let problem = "record batch 1 takes 314 MB, more than the 268 MB that are read at once";
    assert_eq!(error.problem, problem);
}
