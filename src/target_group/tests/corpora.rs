//! Files that nobody on this project wrote.

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use arrow_schema::{DataType, Field, Schema};
use serde_json::Value;

use super::*;
use crate::target_group::parquet_file::ParquetFile;
use crate::target_group::schema::{Given, Unified};

/// The records of a file as JSON objects have them: null is the empty text.
fn objects(read: &Contents) -> Vec<Value> {
    let object = |row: &Vec<Option<String>>| {
        let values = row.iter().map(|value| Value::from(value.clone().unwrap_or_default()));
        Value::Object(read.columns.iter().cloned().zip(values).collect())
    };
    read.rows.iter().map(object).collect()
}

/// The file at `path`, with its first column as the address.
fn read(path: &Path, email: &str) -> Result<Contents, TargetGroupError> {
    let spec = toml::from_str(&format!("files = [{path:?}]\nemail = '{email}'")).unwrap();
    contents(&open(&spec)?)
}

#[test]
fn csv_spectrum() {
    let Some(folder) = corpora().map(|folder| folder.join("csv-spectrum")) else { return };
    let names = names_in(&folder.join("csvs"));
    assert_eq!(names.len(), 11);
    for name in names {
        let json = folder.join("json").join(name.replace(".csv", ".json"));
        let expected: Vec<Value> = serde_json::from_str(&fs::read_to_string(json).unwrap()).unwrap();
        let email = expected[0].as_object().unwrap().keys().next().unwrap().clone();
        let mut text = fs::read_to_string(folder.join("csvs").join(&name)).unwrap();
        if name.ends_with("_crlf.csv") && !text.contains('\r') {
            // This copy of the file has lost what it is named after.
            text = text.replace('\n', "\r\n");
        }
        let read = kit().keys(&format!("email = '{email}'")).file(&name, text).contents();
        assert_eq!(objects(&read), expected, "{name}");
        assert_eq!(read.unreadable, [], "{name}");
    }
}

/// What a file must give: its rows, and the reasons of the others; or why it is refused as a whole.
type Expected = Result<(&'static [&'static str], &'static [&'static str]), &'static str>;

#[test]
fn csv_test_data() {
    let Some(folder) = corpora().map(|folder| folder.join("csv-test-data/csv")) else { return };
    let expected: Vec<(&str, Expected)> = vec![
        ("all-empty.csv", Err("the file has no header: it holds empty lines only")),
        ("bad-header-less-fields.csv", Ok((&[], &["1:2 2 fields, the header has 3"]))),
        ("bad-header-more-fields.csv", Ok((&[], &["1:2 4 fields, the header has 3"]))),
        ("bad-header-no-header.csv", Err("the file is empty")),
        ("bad-header-wrong-header.csv", Err("no column `foo`, which `target-group.email` names")),
        ("bad-missing-quote.csv", Ok((&[], &["1:2 a quote that is never closed"]))),
        (
            "bad-quotes-with-unescaped-quote.csv",
            Ok((&[], &["1:2 text after the closing quote of a field (a quote inside it is written twice)"])),
        ),
        ("bad-unescaped-quote.csv", Ok((&[], &["1:2 a quote inside a field that does not begin with one"]))),
        ("empty-field.csv", Ok((&["1|-|3"], &[]))),
        // The one row is an empty line, which is no row here.
        ("empty-one-column.csv", Ok((&[], &[]))),
        ("header-no-rows.csv", Ok((&[], &[]))),
        ("header-simple.csv", Ok((&["1|2|3"], &[]))),
        ("leading-space.csv", Ok((&["1| leading space|3"], &[]))),
        ("one-column.csv", Ok((&["1"], &[]))),
        ("quotes-empty.csv", Ok((&["1|-|3"], &[]))),
        ("quotes-with-comma.csv", Ok((&["1|Luke, I am your father.|3"], &[]))),
        ("quotes-with-escaped-quote.csv", Ok((&["1|The \" must be escaped|3"], &[]))),
        ("quotes-with-newline.csv", Ok((&["1|No man is an island,\nEntire of itself|3"], &[]))),
        ("quotes-with-space.csv", Ok((&["1|Field with spaces|3"], &[]))),
        ("simple-crlf.csv", Ok((&["1|2|3"], &[]))),
        ("simple-lf.csv", Ok((&["1|2|3"], &[]))),
        ("trailing-newline-one-field.csv", Ok((&["1"], &[]))),
        ("trailing-newline.csv", Ok((&["1|2|3"], &[]))),
        ("trailing-space.csv", Ok((&["1|trailing space |3"], &[]))),
        ("utf8.csv", Ok((&["1|😎|3"], &[]))),
    ];
    assert_eq!(names_in(&folder), expected.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    for (name, expected) in expected {
        let file = folder.join(name);
        match (read(&file, "foo"), expected) {
            (Ok(read), Ok((rows, reasons))) => {
                assert_eq!((read.lines(), read.reasons()), (strings(rows), strings(reasons)), "{name}");
            }
            (Err(error), Err(problem)) => assert_eq!(error.problem, problem, "{name}"),
            (read, expected) => panic!("{name}: {read:?} instead of {expected:?}"),
        }
        if name.starts_with("bad-") && expected.is_ok() {
            // With other rows around the bad one.
            let bad = fs::read_to_string(&file).unwrap();
            let (header, row) = bad.split_once('\n').unwrap();
            let kit = kit()
                .keys("email = 'foo'")
                .file("a.csv", format!("{header}\nbefore,1,2\n{row}\nafter,3,4\n\"last\",\"5\",\"6\"\n"));
            assert_eq!(kit.contents().lines(), ["before|1|2", "after|3|4", "last|5|6"], "{name}");
            assert_eq!(kit.contents().unreadable.len(), 1, "{name}");
        }
    }
}

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

#[test]
fn parquet_customers() {
    let Some(folder) = corpora().map(|folder| folder.join("parquet")) else { return };
    let read = read(&folder.join("delta_byte_array.parquet"), "c_email_address").unwrap();
    let expected = fs::read_to_string(folder.join("delta_byte_array_expect.csv")).unwrap();
    // Their CSV is older than its own format's rules in nothing but the order of its columns.
    let mut reader = ::csv::Reader::from_reader(expected.as_bytes());
    assert_eq!(reader.headers().unwrap().iter().collect::<Vec<_>>(), read.columns);
    let rows: Vec<Vec<Option<String>>> = reader
        .records()
        .map(|row| row.unwrap().iter().map(|v| (!v.is_empty()).then(|| v.to_owned())).collect())
        .collect();
    assert_eq!(rows.len(), 1000);
    assert_eq!(read.rows, rows);
    let email = read.columns.iter().position(|name| name == "c_email_address").unwrap();
    assert!(read.rows.iter().any(|row| row[email].is_none()));
}

#[test]
fn parquet_others_are_read_or_refused_by_column_and_type() {
    let Some(folder) = corpora().map(|folder| folder.join("parquet")) else { return };
    for (name, email, problem) in [
        (
            "alltypes_plain.parquet",
            "string_col",
            "column `string_col` holds the addresses, which are text, but its type is Binary",
        ),
        (
            "alltypes_plain.snappy.parquet",
            "id",
            "column `id` holds the addresses, which are text, but its type is Int32",
        ),
        (
            "byte_stream_split.zstd.parquet",
            "f32",
            "column `f32` holds the addresses, which are text, but its type is Float32",
        ),
        (
            "int96_from_spark.parquet",
            "a",
            "column `a` holds the addresses, which are text, but its type is Timestamp(µs)",
        ),
        (
            "rle_boolean_encoding.parquet",
            "datatype_boolean",
            "column `datatype_boolean` holds the addresses, which are text, but its type is Boolean",
        ),
    ] {
        let error = read(&folder.join(name), email).unwrap_err();
        assert_eq!(error.problem, problem, "{name}");
        assert_eq!(error.column.as_deref(), Some(email));
    }
    let error = read(&folder.join("nested_maps.snappy.parquet"), "a").unwrap_err();
    assert!(error.problem.contains("its type is Map("), "{error}");
}

/// Every column that templates can use, whether or not there is one with addresses.
#[test]
fn parquet_columns_of_every_encoding_are_read() {
    let Some(folder) = corpora().map(|folder| folder.join("parquet")) else { return };
    for (name, rows, columns) in [
        ("alltypes_plain.parquet", 8, 9),
        ("alltypes_plain.snappy.parquet", 2, 9),
        ("byte_stream_split.zstd.parquet", 300, 2),
        ("delta_byte_array.parquet", 1000, 9),
        ("int96_from_spark.parquet", 6, 1),
        ("nested_maps.snappy.parquet", 6, 3),
        ("rle_boolean_encoding.parquet", 68, 1),
    ] {
        let read = usable_columns(&folder.join(name));
        assert_eq!((read.num_rows(), read.num_columns()), (rows, columns), "{name} {}", read.schema());
    }
    // Parquet's test files say what is in this one; nanoseconds would not hold it.
    let times = usable_columns(&folder.join("int96_from_spark.parquet"));
    let times = times.column(0).as_primitive::<TimestampMicrosecondType>();
    assert_eq!(
        times.iter().collect::<Vec<_>>(),
        [
            Some(1_704_141_296_123_456),
            Some(1_704_070_800_000_000),
            Some(253_402_225_200_000_000),
            Some(1_735_599_600_000_000),
            None,
            Some(9_089_380_393_200_000_000)
        ]
    );
}

fn usable_columns(path: &Path) -> RecordBatch {
    let file = File::open(path).unwrap();
    let parquet = ParquetFile::open(&file).unwrap();
    let fields = parquet.columns().into_iter().filter_map(|(name, given)| match given {
        Given::Typed(data_type) => Some(Field::new(name, data_type, true)),
        Given::Text | Given::Unusable(_) => None,
    });
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let id_type = DataType::Utf8;
    let written = Default::default();
    let unified = Unified { schema, email: 0, id: None, name: None, id_type, written, warnings: Vec::new() };
    let mut reader = parquet.read(file, 0, &unified).unwrap();
    let batch = reader.next().unwrap().unwrap().read().unwrap();
    assert_eq!(batch.unreadable, []);
    assert!(reader.next().unwrap().is_none());
    batch.records
}
