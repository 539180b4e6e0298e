use arrow_array::{Int64Array, StringArray};

use super::*;
use crate::target_group::FileKind;

#[test]
fn globs_are_sorted_and_each_file_is_read_once() {
    let kit = kit()
        .file("b.csv", "email\nb@x.example\n")
        .file("a.csv", "email\na@x.example\n")
        .file("sub/c.csv", "email\nc@x.example\n");
    std::os::unix::fs::symlink(kit.path("a.csv"), kit.path("link.csv")).unwrap();
    fs::hard_link(kit.path("b.csv"), kit.path("also-b.csv")).unwrap();
    let group = kit.open_files(&["sub/../sub/c.csv", "*.csv", "a.csv", "sub/*.csv", "sub/c.csv"]).unwrap();
    let shown: Vec<&str> = group.files().iter().map(|file| file.shown.as_str()).collect();
    assert_eq!(shown, ["sub/../sub/c.csv", "a.csv", "also-b.csv"]);
    assert_eq!(contents(&group).unwrap().lines(), ["c@x.example", "a@x.example", "b@x.example"]);
    assert_eq!(group.files()[1].bytes, 18);
    assert_eq!(group.files()[1].reading.kind, FileKind::Csv);
    let files: Vec<usize> = group.batches().map(|batch| batch.unwrap().file).collect();
    assert_eq!(files, [0, 1, 2]);
}

#[test]
fn names_with_the_characters_of_patterns_are_names() {
    let kit = kit().file("[2026]/a*b.csv", "email\n").file("[2026]/c.csv", "email\n");
    let shown = |patterns: &[&str]| {
        let group = kit.open_files(patterns).unwrap();
        group.files().iter().map(|file| file.shown.clone()).collect::<Vec<_>>()
    };
    assert_eq!(shown(&["[2026]/a*b.csv"]), ["[2026]/a*b.csv"]);
    assert_eq!(shown(&["[2026]/*.csv"]), ["[2026]/a*b.csv", "[2026]/c.csv"]);
}

#[test]
fn files_that_can_not_be_read() {
    let kit = kit().file("a.csv", "email\n").file("sub/b.csv", "email\n");
    for (pattern, problem) in [
        ("nothing-*.csv", "no file matches `nothing-*.csv`"),
        ("nothing.csv", "can't read `nothing.csv`"),
        ("sub", "`sub` is a folder"),
        ("***", "`***` is not a pattern: wildcards are either regular `*` or recursive `**`"),
    ] {
        let error = kit.open_files(&["a.csv", pattern]).unwrap_err();
        assert_eq!(error.problem, problem);
        assert!(error.hint.is_some(), "{pattern}");
    }
    let outside = open(&toml::from_str("files = ['/dev/null']").unwrap()).unwrap_err();
    assert_eq!(outside.problem, "`/dev/null` is not a regular file");
}

#[test]
fn a_file_that_is_not_what_it_says_is_refused() {
    for (name, bytes, problem) in [
        (
            "a.csv",
            &b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"[..],
            "the file is a PNG image, although it is named `.csv`",
        ),
        (
            "a.csv",
            b"email\0\nbob@x\n",
            "the file is binary data: it holds NUL bytes, although it is named `.csv`",
        ),
        ("a.parquet", b"PAR1 and then nothing", "a Parquet file that was cut short: its end is missing"),
        (
            "a.parquet",
            b"PAR1 xxxxxxxxxxxxxxx\x08\0\0\0PAR1",
            "the Parquet file can't be read: it is damaged or was cut short",
        ),
    ] {
        let error = kit().file("0.csv", "email\na@x.example\n").file(name, bytes).refused();
        assert_eq!(error.problem, problem);
        assert_eq!(error.file.as_deref(), Some(name));
        assert!(error.hint.is_some());
    }
}

#[test]
fn a_parquet_file_is_known_by_its_content() {
    let kit = kit().parquet("a.csv", vec![("email", array(arrow_array::StringArray::from(vec!["a@x"])))]);
    assert_eq!(kit.open().unwrap().files()[0].reading.kind, FileKind::Parquet);
    assert_eq!(kit.contents().lines(), ["a@x"]);
}

#[test]
fn a_file_that_changes_while_it_is_read_is_found_out() {
    let problem = Some("`a.csv` changed while it was read".to_owned());
    let new = || kit().file("a.csv", "email\na@x.example\n").file("b.csv", "email\nb@x.example\n");
    type Change = fn(&Kit);
    let changes: [(&str, Change); 3] = [
        ("replaced by one of the same size", |kit| {
            fs::write(kit.path("new"), "email\nc@x.example\n").unwrap();
            fs::rename(kit.path("new"), kit.path("a.csv")).unwrap();
        }),
        ("longer", |kit| fs::write(kit.path("a.csv"), "email\na@x.example\nc@x.example\n").unwrap()),
        ("touched", |kit| {
            let file = File::options().write(true).open(kit.path("a.csv")).unwrap();
            file.set_modified(std::time::UNIX_EPOCH).unwrap();
        }),
    ];
    for (what, change) in changes {
        let kit = new();
        let group = kit.open().unwrap();
        let mut batches = group.batches();
        assert_eq!(batches.next().unwrap().unwrap().records.num_rows(), 1);
        change(&kit);
        assert_eq!(batches.next().unwrap().err().map(|error| error.problem), problem, "{what}");
        assert!(batches.next().is_none());
        // Before it is read, too.
        assert_eq!(group.batches().next().unwrap().err().map(|error| error.problem), problem, "{what}");
        assert_eq!(group.files()[0].content_hash().err().map(|error| error.problem), problem, "{what}");
        assert!(group.files()[1].content_hash().is_ok());
    }
    let kit = new();
    let group = kit.open().unwrap();
    fs::remove_file(kit.path("b.csv")).unwrap();
    let error = group.batches().last().unwrap().unwrap_err();
    assert_eq!((error.problem.as_str(), error.file.as_deref()), ("can't read `b.csv`", Some("b.csv")));
}

#[test]
fn the_content_hash_is_that_of_the_bytes() {
    let text = format!("email\n{}", "a@x.example\n".repeat(100_000));
    let group = kit().file("a.csv", &text);
    let group = group.open().map(|open| (open, group)).unwrap();
    assert_eq!(group.0.files()[0].content_hash().unwrap(), blake3::hash(text.as_bytes()));
}

#[test]
fn columns_of_several_files_are_unified() {
    let kit =
        kit().file("a.csv", "email,x\na@x.example,1\n").file("b.csv", "y;email\n2;b@x.example\n").parquet(
            "c.parquet",
            vec![
                (" z ", array(arrow_array::Int64Array::from(vec![3]))),
                ("email", array(arrow_array::StringArray::from(vec!["c@x.example"]))),
            ],
        );
    let read = kit.contents();
    assert_eq!(read.columns, ["email", "x", "y", "z"]);
    assert_eq!(read.lines(), ["a@x.example|1|-|-", "b@x.example|-|2|-", "c@x.example|-|-|3"]);
    let error = kit.file("d.csv", "x,y\n").refused();
    assert_eq!(error.problem, "no column `email`, which `target-group.email` names");
    assert_eq!(error.file.as_deref(), Some("d.csv"));
}

#[test]
fn of_columns_that_nobody_asks_for_nothing_is_read() {
    let kit = kit()
        .file("a.csv", b"id,email,x,name\n1,a@x.example,\xff,Ann\n2,b@x.example,,\xff\n3,c@x.example,x\n")
        .parquet(
            "b.parquet",
            vec![
                ("name", array(StringArray::from(vec!["Bob"]))),
                ("y", array(Int64Array::from(vec![7]))),
                ("email", array(StringArray::from(vec!["d@x.example"]))),
            ],
        )
        .keys("id = \"id\"\nencoding = \"utf-8\"");
    let mut group = kit.open().unwrap();
    group.keep_columns(&["name".to_owned(), "none".to_owned()].into());
    assert_eq!((group.email_column(), group.id_column(), group.name_column()), (1, Some(0), None));
    let read = contents(&group).unwrap();
    assert_eq!(read.columns, ["id", "email", "name"]);
    assert_eq!(read.lines(), ["1|a@x.example|Ann", "-|d@x.example|Bob"]);
    // What is asked for is checked as ever, and so is the number of fields.
    assert_eq!(read.reasons().len(), 2);
    assert!(read.reasons()[0].starts_with("2:3 column `name` holds the byte 0xFF"), "{:?}", read.reasons());
    assert_eq!(read.reasons()[1], "3:4 3 fields, the header has 4");
    // The whole of it has a fault more.
    assert_eq!(kit.contents().unreadable.len(), 3);
}
