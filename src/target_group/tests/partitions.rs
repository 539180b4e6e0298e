//! Columns from the names of folders.

use arrow_array::{Int64Array, StringArray};

use super::*;

fn emails(one: &str) -> Vec<(&'static str, ArrayRef)> {
    vec![("email", array(StringArray::from(vec![one]))), ("n", array(Int64Array::from(vec![1])))]
}

#[test]
fn folders_give_columns_in_all_formats() {
    let kit = kit()
        .file("country=de/a.csv", "email,n\na@x.example,7\nb@x.example\n")
        .file("country=fr/year=2026/b.jsonl", "{\"email\":\"c@x.example\",\"n\":8}\n")
        .file("country=__HIVE_DEFAULT_PARTITION__/c.csv", "email,n\nd@x.example,9\n")
        .file("country=C%C3%B4te/x=y.csv", "email,n\ne@x.example,9\n")
        .file("country=it/p", "")
        .parquet("country=it/p", emails("f@x.example"));
    let group = kit.open_files(&["country=*/*.csv", "**/*.jsonl", "country=it/p"]).unwrap();
    let read = contents(&group).unwrap();
    assert_eq!(read.columns, ["email", "n", "country", "year"]);
    let expected = [
        "e@x.example|9|Côte|-",
        "d@x.example|9|-|-",
        "a@x.example|7|de|-",
        "c@x.example|8|fr|2026",
        "f@x.example|1|it|-",
    ];
    assert_eq!(read.lines(), expected);
    assert_eq!(read.reasons(), ["2:3 1 field, the header has 2"]);
    let columns: Vec<_> = group.files()[3].partition.columns().collect();
    assert_eq!(columns, [("country", Some("fr")), ("year", Some("2026"))]);
    // What nobody asks for is left out.
    let mut group = kit.open_files(&["**/*.jsonl"]).unwrap();
    group.keep_columns(&["year".to_owned()].into());
    assert_eq!(contents(&group).unwrap().lines(), ["c@x.example|2026"]);
}

#[test]
fn they_have_types_as_other_columns_do() {
    let kit = kit().file("year=2026/a.csv", "email\na@x.example\n");
    let typed = kit.keys("[types]\nyear = \"integer\"");
    let read = contents(&typed.open_files(&["*/*.csv"]).unwrap()).unwrap();
    assert_eq!((read.types[1].as_str(), read.lines()), ("Int64", vec!["a@x.example|2026".to_owned()]));
    let wrong = typed.file("year=soon/a.csv", "email\na@x.example\n");
    let error = wrong.open_files(&["*/*.csv"]).unwrap_err();
    assert_eq!(error.problem, "a folder's column `year`: `soon` does not read as a whole number");
    assert_eq!(error.file.as_deref(), Some("year=soon/a.csv"));
}

#[test]
fn a_column_has_one_source() {
    let clash = kit().file("n=1/a.csv", "email,n\na@x.example,2\n");
    let error = clash.open_files(&["*/*.csv"]).unwrap_err();
    assert_eq!(error.problem, "column `n` is in the file, and the folder `n=1` gives it too");
    assert_eq!(error.file.as_deref(), Some("n=1/a.csv"));
    let twice = kit().file("n=1/n=2/a.csv", "email\na@x.example\n");
    assert_eq!(twice.open_files(&["**/*.csv"]).unwrap_err().problem, "two folders give the column `n`");
}
