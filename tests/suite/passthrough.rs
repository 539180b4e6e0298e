//! Columns of the target group in the results.

use std::fs::{self, File};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Int32Type, Int64Type};
use arrow_array::{ArrayRef, Date32Array, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow_schema::DataType;
use mailrun::sandbox::Options;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::kit::{Dir, Relay, campaign};

/// A campaign whose ids are in the column `customer`, with these columns in its results.
fn with_columns(dir: &Dir, port: u16, files: &str, columns: &str) -> String {
    let file = campaign(
        dir,
        "c",
        port,
        "",
        &format!("[stop]\nmax-invalid-percent = 100\n[results]\ncolumns = {columns}\n"),
    );
    let text = fs::read_to_string(dir.path().join(&file)).unwrap();
    dir.write(&file, text.replace("files = [\"c.csv\"]", &format!("files = {files}\nid = \"customer\"")));
    file
}

/// The only result file of the only run.
fn result_file(dir: &Dir) -> (RecordBatch, Vec<String>) {
    let file = File::open(dir.run_of("c").join("results/part-00000.parquet")).unwrap();
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let batch = builder.build().unwrap().next().unwrap().unwrap();
    let dispositions = batch.column_by_name("disposition").unwrap().as_string::<i32>();
    let dispositions = dispositions.iter().map(|word| word.unwrap().to_owned()).collect();
    (batch, dispositions)
}

#[test]
fn every_row_of_a_parquet_list_keeps_its_columns_and_their_types() {
    let relay = Relay::start(Options::default());
    let dir = Dir::new();
    let emails = ["ann@x.example", "no address", "bob@x.example", "ANN@x.example"];
    let columns: [(&str, ArrayRef); 5] = [
        ("email", Arc::new(StringArray::from(emails.to_vec()))),
        ("customer", Arc::new(Int64Array::from(vec![7, 8, 9_000_000_000, -1]))),
        ("n", Arc::new(StringArray::from(vec!["a", "b", "c", "d"]))),
        ("points", Arc::new(Int32Array::from(vec![Some(1), Some(2), None, Some(4)]))),
        ("joined", Arc::new(Date32Array::from(vec![20_000, 20_001, 20_002, 20_003]))),
    ];
    let records = RecordBatch::try_from_iter(columns).unwrap();
    let list = File::create(dir.path().join("list.parquet")).unwrap();
    let mut writer = ArrowWriter::try_new(list, records.schema(), None).unwrap();
    writer.write(&records).unwrap();
    writer.close().unwrap();
    let file = with_columns(&dir, relay.port(), "[\"list.parquet\"]", "[\"joined\", \"points\"]");
    let ran = dir.run(&["send", &file]);
    relay.stop();

    let (results, dispositions) = result_file(&dir);
    assert_eq!(dispositions, ["accepted", "invalid", "accepted", "duplicate"], "{}", ran.stderr());
    let column = |name: &str| results.column_by_name(name).unwrap_or_else(|| panic!("no column {name}"));
    let ids: Vec<_> = column("recipient_id").as_primitive::<Int64Type>().iter().flatten().collect();
    assert_eq!(ids, [7, 8, 9_000_000_000, -1]);
    let points: Vec<_> = column("points").as_primitive::<Int32Type>().iter().collect();
    assert_eq!(points, [Some(1), Some(2), None, Some(4)]);
    let joined: Vec<_> = column("joined").as_primitive::<Date32Type>().iter().flatten().collect();
    assert_eq!(joined, [20_000, 20_001, 20_002, 20_003]);
    let schema = results.schema();
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(names[names.len() - 2..], ["joined", "points"], "after the results' own columns");
    // The program reads its own files, whatever the type of the ids.
    let rows = dir.results("c");
    assert_eq!(rows[2].recipient_id.as_deref(), Some("9000000000"));
    dir.run(&["results", "c"]).ended(0);
    assert_eq!(result_file(&dir).0, results, "written again from plan and journal");

    let retried = dir.run(&["retry", "c", "--disposition", "bounced"]).ended(2);
    retried.says("no rows with these dispositions");
}

#[test]
fn ids_of_a_csv_list_stay_texts_and_declared_columns_keep_their_types() {
    let relay = Relay::start(Options::default());
    let dir = Dir::new();
    dir.write("c.csv", "email,customer,n,points\nann@x.example,007,a,5\nbob@x.example,K1A,b,\nbad,9,c,7\n");
    let file = with_columns(&dir, relay.port(), "[\"c.csv\"]", "[\"points\", \"n\"]");
    let text = fs::read_to_string(dir.path().join(&file)).unwrap();
    dir.write(&file, format!("{text}[target-group.types]\npoints = \"integer\"\n"));
    dir.run(&["send", &file]);
    relay.stop();
    let (results, dispositions) = result_file(&dir);
    assert_eq!(dispositions, ["accepted", "accepted", "invalid"]);
    let ids: Vec<_> = results.column_by_name("recipient_id").unwrap().as_string::<i32>().iter().collect();
    assert_eq!(ids, [Some("007"), Some("K1A"), Some("9")]);
    let points = results.column_by_name("points").unwrap();
    assert_eq!(*points.data_type(), DataType::Int64);
    assert_eq!(points.as_primitive::<Int64Type>().iter().collect::<Vec<_>>(), [Some(5), None, Some(7)]);
    let letters: Vec<_> = results.column_by_name("n").unwrap().as_string::<i32>().iter().flatten().collect();
    assert_eq!(letters, ["a", "b", "c"]);
}

#[test]
fn columns_that_do_not_exist_or_that_results_have_are_refused() {
    let dir = Dir::new();
    dir.write("c.csv", "email,customer,n,points\nann@x.example,007,a,5\n");
    let file = with_columns(&dir, 9, "[\"c.csv\"]", "[\"pionts\"]");
    let ran = dir.run(&["plan", &file]).ended(2);
    ran.says("column `pionts` of [results] not found").says("did you mean `points`?");
    let file = with_columns(&dir, 9, "[\"c.csv\"]", "[\"email\"]");
    dir.run(&["plan", &file]).ended(2).says("the results have a column `email` of their own");
    let file = with_columns(&dir, 9, "[\"c.csv\"]", "[\"n\", \"N\"]");
    dir.run(&["plan", &file]).ended(2).says("`N` is named twice");
}
