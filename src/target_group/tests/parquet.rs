use std::time::{Duration, Instant};

use arrow_array::builder::{Int64Builder, MapBuilder, StringBuilder};
use arrow_array::cast::*;
use arrow_array::types::{Decimal128Type, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::*;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{DataType, Field, Schema, TimeUnit};

use super::*;
use crate::target_group::BATCH_ROWS;
use crate::target_group::batch::LONGEST_CELL;

fn texts(values: &[&str]) -> ArrayRef {
    array(StringArray::from(values.to_vec()))
}

fn emails() -> (&'static str, ArrayRef) {
    ("email", texts(&["a@x.example", "b@x.example"]))
}

fn one(name: &str, column: ArrayRef) -> Kit {
    kit().parquet("p.parquet", vec![emails(), (name, column)])
}

fn list() -> ArrayRef {
    array(ListArray::from_iter_primitive::<Int32Type, _, _>(vec![Some(vec![Some(1), None]), None]))
}

#[test]
fn rows_are_numbered_through_the_batches() {
    let rows = BATCH_ROWS * 2 + 5;
    let emails = StringArray::from_iter_values((0..rows).map(|row| format!("{row}@x.example")));
    let read = kit().parquet("p.parquet", vec![("email", array(emails))]).contents();
    assert_eq!(read.rows.len(), rows);
    assert_eq!(read.places[rows - 1], Place { row: rows as u64, line: None });
    assert_eq!(read.rows[rows - 1][0].as_deref(), Some(format!("{}@x.example", rows - 1).as_str()));
}

#[test]
fn every_kind_of_text_is_an_address() {
    let values = ["a@x.example", "b@x.example"];
    for emails in [
        texts(&values),
        array(LargeStringArray::from(values.to_vec())),
        array(StringViewArray::from(values.to_vec())),
        array(DictionaryArray::<Int32Type>::from_iter(values)),
    ] {
        let read = kit().parquet("p.parquet", vec![("email", emails)]).contents();
        assert_eq!((read.types, read.rows.len()), (vec!["Utf8".to_owned()], 2));
        assert_eq!(read.rows[1][0].as_deref(), Some("b@x.example"));
    }
}

#[test]
fn ids_may_be_whole_numbers() {
    let decimal = Decimal128Array::from(vec![1, 2]).with_precision_and_scale(38, 0).unwrap();
    for ids in [
        array(Int64Array::from(vec![1, 2])),
        array(UInt8Array::from(vec![1, 2])),
        array(decimal),
        texts(&["1", "2"]),
    ] {
        let read = one("id", ids).keys("id = 'id'").contents();
        assert_eq!((read.types[1].as_str(), read.lines()[1].as_str()), ("Utf8", "b@x.example|2"));
    }
}

#[test]
fn a_role_refuses_types_that_it_can_not_use() {
    let binary = || array(BinaryArray::from(vec![&b"a"[..], b"b"]));
    let float = || array(Float64Array::from(vec![1.0, 2.0]));
    let number = || array(Int64Array::from(vec![1, 2]));
    for (keys, column, problem) in [
        ("email = 'x'", number(), "column `x` holds the addresses, which are text, but its type is Int64"),
        ("email = 'x'", binary(), "column `x` holds the addresses, which are text, but its type is Binary"),
        (
            "id = 'x'",
            float(),
            "column `x` holds the ids, which are text or whole numbers, but its type is Float64",
        ),
        (
            "id = 'x'",
            binary(),
            "column `x` holds the ids, which are text or whole numbers, but its type is Binary",
        ),
        ("name = 'x'", number(), "column `x` holds the names, which are text, but its type is Int64"),
        ("name = 'x'", list(), "column `x` holds the names, which are text, but its type is List(Int32)"),
    ] {
        let error = one("x", column).keys(keys).refused();
        assert_eq!(error.problem, problem);
        assert_eq!((error.file.as_deref(), error.column.as_deref()), (Some("p.parquet"), Some("x")));
    }
}

#[test]
fn what_templates_can_not_use_is_left_out_with_a_warning() {
    let kit = one("x", array(BinaryArray::from(vec![&b"a"[..], b"b"])));
    assert_eq!(
        kit.open().unwrap().warnings(),
        ["column `x` of `p.parquet` is left out: templates can't use its type, Binary"]
    );
    assert_eq!(kit.contents().columns, ["email"]);
    assert!(one("x", texts(&["1", "2"])).open().unwrap().warnings().is_empty());
    // Another file has it in a type that can be used.
    let both = kit.file("z.csv", "email,x\nz@x.example,1\n").contents();
    assert_eq!(both.lines(), ["a@x.example|-", "b@x.example|-", "z@x.example|1"]);
}

#[test]
fn values_keep_their_types() {
    let stamps = |zone: &str| array(TimestampMicrosecondArray::from(vec![Some(1), None]).with_timezone(zone));
    let people = StructArray::from(vec![
        (Arc::new(Field::new("n", DataType::Int64, false)), array(Int64Array::from(vec![1, 2]))),
        (
            Arc::new(Field::new("s", DataType::LargeUtf8, false)),
            array(LargeStringArray::from(vec!["x", "y"])),
        ),
    ]);
    let decimal = Decimal128Array::from(vec![125, 250]).with_precision_and_scale(10, 2).unwrap();
    for (column, data_type) in [
        (array(Int8Array::from(vec![1, 2])), "Int8"),
        (array(UInt64Array::from(vec![1, 2])), "UInt64"),
        (array(Float32Array::from(vec![1.0, 2.0])), "Float32"),
        (array(BooleanArray::from(vec![true, false])), "Boolean"),
        (array(decimal), "Decimal128(10, 2)"),
        (array(Date32Array::from(vec![1, 2])), "Date32"),
        (array(Time64MicrosecondArray::from(vec![1, 2])), "Time64(µs)"),
        (stamps("UTC"), "Timestamp(µs, \"UTC\")"),
        (stamps("Europe/Berlin"), "Timestamp(µs, \"Europe/Berlin\")"),
        (list(), "List(Int32)"),
        (array(people), "Struct(\"n\": Int64, \"s\": Utf8)"),
        (array(NullArray::new(2)), "Utf8"),
    ] {
        let kit = one("x", column);
        let group = kit.open().unwrap();
        assert_eq!(group.schema().field(1).data_type().to_string(), data_type);
        let batch = group.batches().next().unwrap().unwrap();
        assert_eq!(batch.records.num_rows(), 2, "{data_type}");
        assert!(batch.unreadable.is_empty());
    }
}

#[test]
fn lists_and_structs_are_read_in_depth() {
    let batch = one("x", list()).open().unwrap().batches().next().unwrap().unwrap();
    let lists = batch.records.column(1).as_list::<i32>();
    assert_eq!(lists.value(0).as_primitive::<Int32Type>(), &Int32Array::from(vec![Some(1), None]));
    assert!(lists.is_null(1));
}

#[test]
fn csv_values_take_the_type_of_parquet() {
    let time = |value: i64| array(Time64MicrosecondArray::from(vec![value, value]));
    for (column, good, shown, bad) in [
        (array(BooleanArray::from(vec![true, false])), "yes", "true", "x"),
        (array(Date32Array::from(vec![1, 2])), "2026-05-31", "2026-05-31", "31/05/2026"),
        (time(1), "12:30:00", "12:30:00", "noon"),
    ] {
        let data_type = column.data_type().clone();
        let csv = format!("email,x\ngood@x.example,{good}\nbad@x.example,{bad}\nnull@x.example,\n");
        let read = one("x", column).file("a.csv", csv).contents();
        assert_eq!(read.types[1], data_type.to_string());
        assert_eq!(read.lines()[..2], [format!("good@x.example|{shown}"), "null@x.example|-".into()]);
        assert_eq!(read.rows.len(), 4, "{data_type}");
        assert_eq!(read.unreadable.len(), 1);
        assert_eq!(read.unreadable[0].email.as_deref(), Some("bad@x.example"));
        let expected = format!("column `x`: `{bad}` does not read as ");
        assert!(read.unreadable[0].reason.starts_with(&expected), "{:?}", read.unreadable);
    }
}

#[test]
fn a_csv_time_is_the_moment_it_names_in_any_zone() {
    let stamps = TimestampMicrosecondArray::from(vec![1, 2]).with_timezone("Europe/Berlin");
    let kit = one("x", array(stamps)).file("a.csv", "email,x\na@x.example,2026-05-31T12:00:00+02:00\n");
    let batch = kit.open().unwrap().batches().next().unwrap().unwrap();
    let read = batch.records.column(1).as_primitive::<TimestampMicrosecondType>();
    assert_eq!(read.value(0), 1_780_221_600_000_000);
}

#[test]
fn numbers_of_several_files_widen() {
    let small = vec![emails(), ("x", array(Int32Array::from(vec![1, 2])))];
    let large = vec![emails(), ("x", array(Int64Array::from(vec![3, 4])))];
    let float = vec![emails(), ("x", array(Float64Array::from(vec![0.5, 1.5])))];
    let kit = kit().parquet("a.parquet", small).parquet("b.parquet", large);
    assert_eq!(kit.contents().types[1], "Int64");
    let batches: Vec<_> = kit.open().unwrap().batches().map(|batch| batch.unwrap().records).collect();
    assert_eq!(batches[0].column(1).as_primitive::<Int64Type>().values(), &[1, 2]);
    let kit = kit.parquet("c.parquet", float);
    let batches: Vec<_> = kit.open().unwrap().batches().map(|batch| batch.unwrap().records).collect();
    assert_eq!(batches[1].column(1).as_primitive::<Float64Type>().values(), &[3.0, 4.0]);
    let big = vec![emails(), ("x", array(UInt64Array::from(vec![u64::MAX, 4])))];
    let small = vec![emails(), ("x", array(Int64Array::from(vec![i64::MIN, 4])))];
    let kit = super::kit().parquet("a.parquet", big).parquet("b.parquet", small);
    let batches: Vec<_> = kit.open().unwrap().batches().map(|batch| batch.unwrap().records).collect();
    assert_eq!(batches[0].column(1).as_primitive::<Decimal128Type>().value(0), i128::from(u64::MAX));
    assert_eq!(batches[1].column(1).as_primitive::<Decimal128Type>().value(0), i128::from(i64::MIN));
}

#[test]
fn types_that_can_not_meet_are_an_error() {
    let error = one("x", list()).file("a.csv", "email,x\n").refused();
    assert_eq!(error.problem, "column `x` is List(Int32) in `p.parquet` and Utf8 in `a.csv`");
    assert_eq!(error.column.as_deref(), Some("x"));
    let dates = vec![emails(), ("x", array(Date32Array::from(vec![1, 2])))];
    let kit = one("x", array(Int64Array::from(vec![1, 2]))).parquet("q.parquet", dates);
    let error = kit.refused();
    assert_eq!(error.problem, "column `x` is Int64 in `p.parquet` and Date32 in `q.parquet`");
    assert_eq!(error.file.as_deref(), Some("q.parquet"));
    // Declared, they are read.
    assert_eq!(kit.keys("[types]\nx = 'text'").contents().lines()[2], "a@x.example|1970-01-02");
    let error = one("x", list()).keys("[types]\nx = 'text'").refused();
    assert_eq!(
        error.problem,
        "column `x` is List(Int32), which can't be read as Utf8, as `target-group.types` says"
    );
}

#[test]
fn a_declared_type_is_stronger_than_parquets() {
    let read = one("x", texts(&["7", "seven"])).keys("[types]\nx = 'integer'").contents();
    assert_eq!((read.types[1].as_str(), read.lines()), ("Int64", vec!["a@x.example|7".to_owned()]));
    assert_eq!(read.reasons(), ["2 column `x`: `seven` does not read as a whole number"]);
    assert_eq!(read.unreadable[0].email.as_deref(), Some("b@x.example"));
    let naive = array(TimestampMillisecondArray::from(vec![1, 2]));
    let kit = one("x", naive).keys("[types]\nx = 'timestamp'");
    let batch = kit.open().unwrap().batches().next().unwrap().unwrap();
    assert_eq!(batch.records.column(1).as_primitive::<TimestampMicrosecondType>().values(), &[1000, 2000]);
    let zoned = array(TimestampMicrosecondArray::from(vec![0, 1_000_000]).with_timezone("UTC"));
    let read = one("x", zoned).keys("[types]\nx = 'text'").contents();
    assert_eq!(read.lines()[1], "b@x.example|1970-01-01T00:00:01Z");
}

#[test]
fn two_columns_of_one_name_are_an_error() {
    let error = one(" email", texts(&["1", "2"])).refused();
    assert_eq!(error.problem, "two columns are called `email`: the 1st and the 2nd");
}

#[test]
fn damage_inside_a_file_is_an_error_that_says_where() {
    let rows = 3 * BATCH_ROWS;
    let emails = StringArray::from_iter_values((0..rows).map(|row| format!("{row}@x.example")));
    let kit = kit().parquet("p.parquet", vec![("email", array(emails))]);
    let mut bytes = fs::read(kit.path("p.parquet")).unwrap();
    let middle = bytes.len() / 2;
    bytes[4..middle].fill(0xff);
    let kit = kit.file("p.parquet", bytes);
    let error = kit.open().unwrap().batches().find_map(Result::err).expect("damage is found");
    assert_eq!(error.file.as_deref(), Some("p.parquet"));
    assert!(error.problem.contains("the file is damaged"), "{error}");
}

#[test]
fn an_empty_file_has_no_rows() {
    let schema = Arc::new(Schema::new(vec![
        Field::new("email", DataType::Utf8, true),
        Field::new("t", DataType::Timestamp(TimeUnit::Second, None), true),
    ]));
    let empty = RecordBatch::new_empty(schema);
    let columns = vec![("email", empty.column(0).clone()), ("t", empty.column(1).clone())];
    let read = kit().parquet("p.parquet", columns).contents();
    assert_eq!((read.rows.len(), read.columns.len()), (0, 2));
}

/// A hundred thousand columns open in a moment: nothing about them is quadratic.
#[test]
fn many_columns_are_looked_up_by_name() {
    let header: String = (0..50_000).map(|n| format!(",c{n}")).collect();
    let row = ",".repeat(50_000);
    let kit = kit().file("a.csv", format!("email{header}\na@x.example{row}\n"));
    let group = kit.open().unwrap();
    assert_eq!((group.schema().fields().len(), group.batches().count()), (50_001, 1));
    let times = |n: usize| (format!("t{n}"), array(TimestampNanosecondArray::from(vec![1])));
    let emails = ("email".to_owned(), array(StringArray::from(vec!["a@x.example"])));
    let columns: Vec<(String, ArrayRef)> = std::iter::once(emails).chain((0..20_000).map(times)).collect();
    let columns = columns.iter().map(|(name, column)| (name.as_str(), Arc::clone(column))).collect();
    let kit = super::kit().parquet("a.parquet", columns);
    let before = Instant::now();
    let group = kit.open().unwrap();
    assert_eq!((group.schema().fields().len(), group.batches().count()), (20_001, 1));
    assert!(before.elapsed() < Duration::from_secs(20), "{:?}", before.elapsed());
}

#[test]
fn text_that_a_dictionary_repeats_is_read_in_small_batches() {
    let long = "x".repeat(200_000);
    let rows = 400;
    let emails = StringArray::from_iter_values((0..rows).map(|row| format!("{row}@x.example")));
    let text = StringArray::from_iter_values((0..rows).map(|_| long.as_str()));
    let coded = DictionaryArray::<Int32Type>::from_iter((0..rows).map(|_| long.as_str()));
    let columns = |text: ArrayRef| vec![("email", array(emails.clone())), ("text", text)];
    let in_arrow = RecordBatch::try_from_iter(columns(array(coded.clone()))).unwrap();
    let mut writer = StreamWriter::try_new(Vec::new(), &in_arrow.schema()).unwrap();
    writer.write(&in_arrow).unwrap();
    for (name, kit) in [
        ("p.parquet", kit().parquet("p.parquet", columns(array(text)))),
        ("p.parquet", kit().parquet("p.parquet", columns(array(coded)))),
        ("a.arrow", kit().file("a.arrow", writer.into_inner().unwrap())),
    ] {
        let bytes = fs::metadata(kit.path(name)).unwrap().len();
        assert!(bytes < 1_000_000, "{bytes} bytes hold 80 MB of text");
        let group = kit.open().unwrap();
        let mut read = 0;
        for batch in group.batches() {
            let batch = batch.unwrap();
            let held = batch.records.get_array_memory_size();
            assert!(held < 16 * 1024 * 1024, "a batch of {} rows takes {held} bytes", batch.places.len());
            assert_eq!(batch.places[0].row, read + 1);
            read += batch.places.len() as u64;
        }
        assert_eq!(read, rows);
    }
}

#[test]
fn long_rows_are_read_a_few_at_once() {
    let numbers = 10..50_usize;
    let emails = StringArray::from_iter_values(numbers.clone().map(|row| format!("{row}@x.example")));
    let text = StringArray::from_iter_values(numbers.clone().map(|row| format!("{row}").repeat(500_000)));
    let group = kit().parquet("p.parquet", vec![("email", array(emails)), ("text", array(text))]);
    let group = group.open().unwrap();
    let sizes: Vec<usize> = group.batches().map(|batch| batch.unwrap().places.len()).collect();
    assert!(sizes.iter().all(|rows| (1..=4).contains(rows)), "{sizes:?}");
    assert_eq!(sizes.iter().sum::<usize>(), numbers.len());
}

#[test]
fn a_cell_that_is_too_long_costs_its_row() {
    let long = "x".repeat(LONGEST_CELL + 1);
    let coded = DictionaryArray::<Int32Type>::from_iter([long.as_str(), "short"]);
    for text in [texts(&[&long, "short"]), array(coded)] {
        let read = one("text", text).contents();
        assert_eq!(read.lines(), ["b@x.example|short"]);
        assert_eq!(
            read.reasons(),
            [format!("1 column `text` holds {} bytes, more than {LONGEST_CELL}", long.len())]
        );
    }
}

#[test]
fn a_page_that_is_too_large_is_refused_before_it_is_read() {
    let huge = "x".repeat(70_000_000);
    let error = one("text", texts(&["short", &huge])).refused();
    assert!(
        error.problem.starts_with("column `text`: the dictionary of the rows from 1 on takes 70 MB"),
        "{}",
        error.problem
    );
    assert_eq!(error.file.as_deref(), Some("p.parquet"));
}

#[test]
fn text_wins_over_numbers_in_a_mixed_column() {
    let numbers = array(Int64Array::from(vec![1234, 7]));
    let read = kit()
        .file("a.csv", "email,code\nc@x.example,01234\nd@x.example,K1A\n")
        .parquet("p.parquet", vec![emails(), ("code", numbers)])
        .contents();
    assert_eq!(read.types[1], "Utf8");
    assert_eq!(read.lines(), ["c@x.example|01234", "d@x.example|K1A", "a@x.example|1234", "b@x.example|7"]);
    assert_eq!(read.reasons(), Vec::<String>::new());
}

#[test]
fn uuids_and_maps_are_read() {
    let id = FixedSizeBinaryArray::try_from_iter(
        [[0x12_u8; 16], *b"\x01\x23\x45\x67\x89\xab\xcd\xef\x01\x23\x45\x67\x89\xab\xcd\xef"].iter(),
    );
    let mut map = MapBuilder::new(None, StringBuilder::new(), Int64Builder::new());
    map.keys().append_value("size");
    map.values().append_value(5);
    map.append(true).unwrap();
    map.append(false).unwrap();
    let columns = vec![emails(), ("id", array(id.unwrap())), ("traits", array(map.finish()))];
    let read = kit().parquet("p.parquet", columns).contents();
    assert_eq!(read.reasons(), Vec::<String>::new());
    assert_eq!(
        read.lines(),
        [
            "a@x.example|12121212-1212-1212-1212-121212121212|{size: 5}",
            "b@x.example|01234567-89ab-cdef-0123-456789abcdef|-"
        ]
    );
}

#[test]
fn a_number_that_its_type_would_change_costs_its_row() {
    for (column, kind, reason) in [
        (
            array(Float64Array::from(vec![7000.7, 7000.0])),
            "integer",
            "`7000.7` does not read as a whole number",
        ),
        (array(Float64Array::from(vec![-0.4, 2.0])), "integer", "`-0.4` does not read as a whole number"),
        (
            array(Int64Array::from(vec![9_007_199_254_740_993, 4])),
            "number",
            "`9007199254740993` does not read as a number",
        ),
    ] {
        let read = one("x", column).keys(&format!("types = {{ x = '{kind}' }}")).contents();
        assert_eq!(read.reasons(), [format!("1 column `x`: {reason}")]);
        assert_eq!(read.rows.len(), 1, "the other row is kept");
    }
    let whole = array(Float64Array::from(vec![7.0, -2.0]));
    assert_eq!(
        one("x", whole).keys("types = { x = 'integer' }").contents().lines(),
        ["a@x.example|7", "b@x.example|-2"]
    );
}
