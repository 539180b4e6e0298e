//! JSON lines.

use std::fs;

use arrow_array::{Float64Array, Int64Array, StringArray};

use super::*;
use crate::fuzzing::{fuzz, texts};
use crate::target_group::FileKind;

/// One file of these lines, read to its end.
fn json(lines: &[&str]) -> Contents {
    one(lines).contents()
}

fn one(lines: &[&str]) -> Kit {
    kit().file("a.jsonl", lines.join("\n"))
}

#[test]
fn keys_are_columns_and_missing_ones_are_null() {
    let read = json(&[
        r#"{"email":"a@x.example","points":7,"vip":true,"share":0.5}"#,
        "",
        r#" { "share" : 2 , "name" : "Zo\u00eb \ud83d\ude00" , "email" : "b@x.example" } "#,
        r#"{"email":"c@x.example","points":null,"none":null}"#,
    ]);
    assert_eq!(read.columns, ["email", "points", "vip", "share", "name", "none"]);
    assert_eq!(read.types, ["Utf8", "Int64", "Boolean", "Float64", "Utf8", "Utf8"]);
    assert_eq!(
        read.lines(),
        ["a@x.example|7|true|0.5|-|-", "b@x.example|-|-|2.0|Zoë 😀|-", "c@x.example|-|-|-|-|-"]
    );
    assert_eq!(read.places(), [(1, Some(1)), (2, Some(3)), (3, Some(4))]);
    assert_eq!(
        one(&[r#"{"email":"a@x.example"}"#]).open().unwrap().files()[0].reading.kind,
        FileKind::JsonLines
    );
}

#[test]
fn lists_and_objects_are_as_they_are_in_parquet() {
    let read = json(&[
        r#"{"email":"a@x.example","tags":["x",null],"who":{"name":"Ann","pets":[{"age":3},{"name":"Rex"}]}}"#,
        r#"{"email":"b@x.example","tags":[],"who":{"name":null}}"#,
        r#"{"email":"c@x.example"}"#,
    ]);
    assert_eq!(read.types[1], "List(Utf8)");
    assert_eq!(
        read.types[2],
        "Struct(\"name\": Utf8, \"pets\": List(Struct(\"age\": Int64, \"name\": Utf8)))"
    );
    assert_eq!(
        read.lines(),
        [
            "a@x.example|[x, ]|{name: Ann, pets: [{age: 3, name: }, {age: , name: Rex}]}",
            "b@x.example|[]|{name: , pets: }",
            "c@x.example|-|-",
        ]
    );
}

#[test]
fn text_wins_and_numbers_stay_as_they_are_written() {
    let lines = [
        r#"{"email":"a@x.example","x":"01234","id":9223372036854775808}"#,
        r#"{"email":"b@x.example","x":1.50,"id":1}"#,
        r#"{"email":"c@x.example","x":true,"id":2}"#,
    ];
    assert_eq!(
        json(&lines).lines(),
        ["a@x.example|01234|9223372036854775808", "b@x.example|1.50|1", "c@x.example|true|2"]
    );
    // Between files too.
    let kit = one(&[r#"{"email":"a@x.example","x":1.50}"#]).file("b.csv", "email,x\nb@x.example,01234\n");
    assert_eq!(kit.contents().lines(), ["a@x.example|1.50", "b@x.example|01234"]);
    let column = vec![
        ("email", array(StringArray::from(vec!["b@x.example"]))),
        ("x", array(Int64Array::from(vec![7]))),
    ];
    let kit = one(&[r#"{"email":"a@x.example","x":"01"}"#]).parquet("b.parquet", column);
    assert_eq!(kit.contents().lines(), ["a@x.example|01", "b@x.example|7"]);
    let column = vec![
        ("email", array(StringArray::from(vec!["b@x.example"]))),
        ("x", array(Float64Array::from(vec![0.5]))),
    ];
    let kit = one(&[r#"{"email":"a@x.example","x":7}"#]).parquet("b.parquet", column);
    assert_eq!(
        (kit.contents().types[1].as_str(), kit.contents().lines()[0].as_str()),
        ("Float64", "a@x.example|7.0")
    );
}

#[test]
fn nothing_is_rounded() {
    let read = json(&[
        r#"{"email":"a@x.example","x":0.5}"#,
        r#"{"email":"b@x.example","x":9007199254740993}"#,
        r#"{"email":"c@x.example","x":9007199254740992}"#,
    ]);
    assert_eq!(read.reasons(), ["2:2 column `x`: `9007199254740993` does not read as a number"]);
    assert_eq!(read.unreadable[0].email.as_deref(), Some("b@x.example"));
    let declared = one(&[r#"{"email":"a@x.example","x":7000.7}"#, r#"{"email":"b@x.example","x":7e3}"#])
        .keys("[types]\nx = 'integer'");
    assert_eq!(declared.contents().lines(), ["b@x.example|7000"]);
    assert_eq!(declared.contents().reasons(), ["1:1 column `x`: `7000.7` does not read as a whole number"]);
    let declared =
        one(&[r#"{"email":"a@x.example","x":"2026-05-31"}"#, r#"{"email":"b@x.example","x":"soon"}"#])
            .keys("[types]\nx = 'date'");
    assert_eq!(declared.contents().lines(), ["a@x.example|2026-05-31"]);
    assert_eq!(
        declared.contents().reasons(),
        ["2:2 column `x`: `soon` does not read as a date (2026-05-31)"]
    );
    let text = one(&[r#"{"email":"a@x.example","x":1.50}"#]).keys("[types]\nx = 'text'");
    assert_eq!(text.contents().lines(), ["a@x.example|1.50"]);
}

#[test]
fn a_line_that_is_no_row_costs_one_row() {
    let long = format!("{{\"email\":\"{}\"}}", "a".repeat(4 * 1024 * 1024));
    let many = format!("{{\"email\":\"d@x.example\",\"l\":[{}{{}}]}}", "{},".repeat(400_000));
    let keys = format!(
        "{{\"email\":\"e@x.example\",\"l\":[{{{}\"z\":1}}]}}",
        (0..20).map(|n| format!("\"{n}\":1,")).collect::<String>()
    );
    let mut bytes = [r#"{"email":"a@x.example"}"#, "{\"email\":\"b@x.example\"", &long, &many, &keys]
        .join("\n")
        .into_bytes();
    bytes.extend(b"\n{\"email\":\"\xff\"}\r\n[1]\r\n{\"email\":\"f@x.example\",\"email\":\"\"}\n");
    let read = kit().file("a.jsonl", bytes).contents();
    assert_eq!(read.places(), [(1, Some(1)), (5, Some(5))]);
    assert_eq!(
        read.reasons(),
        [
            "2:2 not JSON at character 24: `,` or `}` is missing",
            "3:3 longer than 4 MiB",
            "4:4 400002 objects in a row, too many for a file with 23 different keys",
            "6:6 the byte 0xFF at byte 11 is not UTF-8, which JSON is",
            "7:7 not JSON at character 1: a row is an object in braces",
            "8:8 not JSON at character 24: `email` is there twice",
        ]
    );
}

#[test]
fn files_that_can_not_be_read() {
    for (lines, problem, line) in [
        (&[r#"{"mail":"a@x.example"}"#][..], "no column `email`, which `target-group.email` names", None),
        (
            &[r#"{"email":"a@x.example","x":[1]}"#, "{", r#"{"email":"b@x.example","x":"y"}"#],
            "`x` is a list in earlier rows and a single value here",
            Some(3),
        ),
        (
            &["", "{\"email\": oops}"],
            "no line can be read as a row: not JSON at character 11: a value is missing",
            Some(2),
        ),
        (&[r#"[{"email":"a@x.example"}]"#], "the file is JSON, although it is named `.jsonl`", None),
        (
            &[r#"{"email":7}"#],
            "column `email` holds the addresses, which are text, but its type is Int64",
            None,
        ),
    ] {
        let error = one(lines).refused();
        assert_eq!((error.problem.as_str(), error.line), (problem, line));
        assert_eq!(error.file.as_deref(), Some("a.jsonl"));
        assert!(error.hint.is_some(), "{problem}");
    }
    let error = kit().file("all.json", "[\n{\"email\":\"a@x.example\"}\n]\n").refused();
    let hint = error.hint.unwrap();
    assert!(
        hint.contains("duckdb -c \"COPY (FROM read_json('/") && hint.ends_with("/all.parquet'\""),
        "{hint}"
    );
}

#[test]
fn a_file_of_lines_is_read_to_its_end_or_refused() {
    let seeds = texts(&[
        "{\"email\":\"a@x.example\",\"n\":1,\"l\":[1,{\"a\":null}]}\n{\"email\":\"b@x.example\",\"n\":\"x\"}\n",
        "\u{feff}{\"email\":\"a@x.example\",\"o\":{\"p\":[[]]}}\r\n\n{\"o\":{\"q\":1e5}}",
    ]);
    let kit = kit();
    fuzz("JSON lines files", &seeds, |bytes| {
        fs::write(kit.path("a.jsonl"), bytes).unwrap();
        let Ok(group) = kit.open() else { return };
        let read = contents(&group).unwrap();
        let rows = read.places.len() + read.unreadable.len();
        let mut places: Vec<u64> = read
            .places
            .iter()
            .chain(read.unreadable.iter().map(|row| &row.place))
            .map(|place| place.row)
            .collect();
        places.sort_unstable();
        assert!(places.into_iter().eq(1..=rows as u64));
    });
}
