//! How files are read, and why: encodings, control characters, stray quotes, names of files.

use std::os::unix::ffi::OsStrExt;

use arrow_array::StringArray;
use encoding_rs::Encoding;

use super::*;
use crate::target_group::{Header, Known, LineEnds, TextReading};

/// A list with these names in this encoding.
fn list(label: &str, names: &[&str]) -> Vec<u8> {
    let table = Encoding::for_label(label.as_bytes()).unwrap();
    let mut text = b"email;name\n".to_vec();
    for (number, name) in names.iter().enumerate() {
        text.extend_from_slice(format!("a{number}@x.example;").as_bytes());
        text.extend_from_slice(&table.encode(name).0);
        text.push(b'\n');
    }
    text
}

fn reading(kit: &Kit) -> TextReading {
    kit.open().unwrap().files()[0].reading.text.clone().unwrap()
}

#[test]
fn names_in_other_encodings_are_read_or_the_encoding_is_asked_for() {
    let names = ["Иван Петров", "Ольга Сидорова", "Мария Волкова"];
    for label in ["windows-1251", "koi8-r", "iso-8859-5", "x-mac-cyrillic"] {
        let kit = kit().file("a.csv", list(label, &names));
        let read = kit.contents();
        assert_eq!(read.rows.iter().map(|row| row[1].as_deref().unwrap()).collect::<Vec<_>>(), names);
        assert_eq!(reading(&kit).samples, names);
    }
    let unclear = kit().file("a.csv", list("gb18030", &["刘洋"]));
    let error = unclear.refused();
    assert!(error.problem.starts_with("the file's encoding can't be told: it reads "), "{}", error.problem);
    assert!(error.problem.contains("`刘洋` in gb18030"), "{}", error.problem);
    assert!(error.hint.unwrap().contains("`encoding = "));
    // Any label of the standard names it.
    for label in ["gbk", "GB2312", "chinese"] {
        let kit = kit().file("a.csv", list("gb18030", &["刘洋"])).keys(&format!("encoding = \"{label}\""));
        assert_eq!(kit.contents().lines(), ["a0@x.example|刘洋"]);
    }
    let unknown = toml::from_str::<campaign::TargetGroupSource>("files = []\nencoding = \"utf-7\"");
    assert!(unknown.unwrap_err().to_string().contains("`utf-7` is no encoding that is known here"));
}

#[test]
fn what_was_used_and_why_is_kept_for_each_file() {
    let detected =
        kit().file("a.csv", list("windows-1252", &["Zoë", "Zoë", "plain", "Müller", "Jürgen", "Köhl"]));
    let expected = TextReading {
        encoding: (campaign::Encoding::of(encoding_rs::WINDOWS_1252), Known::Detected),
        delimiter: Some((';', Known::Detected)),
        line_ends: LineEnds::Lf,
        header: Header::Line,
        samples: vec!["Zoë".into(), "Müller".into(), "Jürgen".into()],
    };
    assert_eq!(reading(&detected), expected);
    let marked = kit().file("a.csv", "\u{feff}sep=|\r\nemail|name\r\na@x.example|Zoë\r\n");
    let expected = TextReading {
        encoding: (campaign::Encoding::UTF_8, Known::Mark),
        delimiter: Some(('|', Known::FirstLine)),
        line_ends: LineEnds::CrLf,
        header: Header::Line,
        samples: vec!["Zoë".into()],
    };
    assert_eq!(reading(&marked), expected);
    let bare = kit().file("a.txt", "a@x.example\r").keys("encoding = \"koi8-r\"\ndelimiter = \"|\"");
    let expected = TextReading {
        encoding: (campaign::Encoding::of(encoding_rs::KOI8_R), Known::Named),
        delimiter: Some(('|', Known::Named)),
        line_ends: LineEnds::Cr,
        header: Header::None,
        samples: vec![],
    };
    assert_eq!(reading(&bare), expected);
    let json = kit().file("a.jsonl", "{\"email\": \"a@x.example\", \"name\": \"Zoë\"}\n");
    let read = reading(&json);
    assert_eq!(
        (read.encoding.1, read.header, read.samples),
        (Known::Format, Header::Keys, vec!["Zoë".into()])
    );
    let wide = "\u{feff}email;name\na@x.example;日本\n".encode_utf16().flat_map(u16::to_le_bytes);
    assert_eq!(reading(&kit().file("a.csv", wide.collect::<Vec<u8>>())).samples, ["日本"]);
}

#[test]
fn what_looks_like_ascii_and_is_not_is_not_passed_on() {
    let japanese = list("iso-2022-jp", &["山田太郎", "鈴木花子"]);
    assert!(japanese.is_ascii());
    let read = kit().file("a.csv", japanese).contents();
    assert_eq!(read.lines(), ["a0@x.example|山田太郎", "a1@x.example|鈴木花子"]);
    let utf7 = "email,name\na+tag-x@x.example,Plain\nb@x.example,M+APw-ller\n";
    let error = kit().file("a.csv", utf7).refused();
    assert_eq!(error.problem, "the file seems to be UTF-7: it holds `M+APw-ller`");
    let named = kit().file("a.csv", utf7).keys("encoding = \"utf-8\"");
    assert_eq!(named.contents().lines()[1], "b@x.example|M+APw-ller");
    let escapes = "email,name\na@x.example,\u{1b}[31mred\nb@x.example,Bob\n";
    let read = kit().file("a.csv", escapes).contents();
    assert_eq!(read.lines(), ["b@x.example|Bob"]);
    assert_eq!(read.reasons(), ["1:2 column `name` holds an escape character (0x1B)"]);
    let header = kit().file("a.csv", "email,na\u{1b}me\na@x.example,x\n").refused();
    assert!(header.problem.contains("control character"), "{}", header.problem);
}

#[test]
fn a_nul_in_a_cell_costs_its_row() {
    let text = "email,name\na@x.example,A\0nn\nb@x.example,Bob\nc\0@x.example,Cid\n";
    let read = kit().file("a.csv", text).contents();
    assert_eq!(read.lines(), ["b@x.example|Bob"]);
    let reasons = ["1:2 column `name` holds a NUL character", "3:4 column `email` holds a NUL character"];
    assert_eq!(read.reasons(), reasons);
    let json = "{\"email\":\"a@x.example\",\"tags\":[\"x\",\"y\\u0000\"]}\n{\"email\":\"b@x.example\"}\n";
    let read = kit().file("a.jsonl", json).contents();
    assert_eq!(read.reasons(), ["1:1 column `tags` holds a NUL character"]);
    let kit = kit().parquet(
        "a.parquet",
        vec![
            ("email", array(StringArray::from(vec!["a@x.example", "b@x.example"]))),
            ("name", array(StringArray::from(vec![Some("A\0nn"), None]))),
        ],
    );
    assert_eq!(kit.contents().reasons(), ["1 column `name` holds a NUL character"]);
    assert_eq!(kit.contents().lines(), ["b@x.example|-"]);
}

#[test]
fn rows_between_stray_quotes_are_found() {
    let stray = |text: &str| {
        let kit = kit().file("a.csv", text);
        let group = kit.open().unwrap();
        let places =
            group.batches().flat_map(|batch| batch.unwrap().stray).map(|place| (place.row, place.line));
        places.collect::<Vec<_>>()
    };
    let merged = "email,name\na@x.example,\"Ann\nb@x.example,Bob\"\nc@x.example,Cid\n";
    assert_eq!(stray(merged), [(1, Some(2))]);
    assert_eq!(stray("email,name\na@x.example,\"two\nlines @ night\"\n"), []);
    assert_eq!(stray("email,name\na@x.example,\"see b@x.example\"\n"), []);
    // Without an address: far longer than the rest of the column.
    let rows = |count: usize| "a@x.example,Ann Jones\n".repeat(count);
    let long = format!("email,name\n{}a@x.example,\"{}\"\n", rows(30), "Ann\n".repeat(400));
    assert_eq!(stray(&long), [(31, Some(32))]);
    let late = format!("email,name\n{}a@x.example,\"{}\"\n", rows(20_000), "Ann\n".repeat(400));
    assert_eq!(stray(&late), [(20_001, Some(20_002))]);
    let usual = format!("email,note\n{}", format!("a@x.example,\"{}\"\n", "line\n".repeat(400)).repeat(30));
    assert_eq!(stray(&usual), []);
}

#[test]
fn a_name_that_is_not_utf8_is_refused_and_not_dropped() {
    let kit = kit().file("a.csv", "email\na@x.example\n").file("sub/b.csv", "email\nb@x.example\n");
    let name = std::ffi::OsStr::from_bytes(b"b\xff.csv");
    fs::write(kit.folder.path().join(name), "email\nb@x.example\n").unwrap();
    for pattern in ["*.csv", "**/*.csv", "b?.csv"] {
        let error = kit.open_files(&[pattern]).unwrap_err();
        let expected = format!("b\\xff.csv` is not UTF-8, and `{pattern}` matches it");
        assert!(error.problem.ends_with(&expected), "{}", error.problem);
    }
    // What the pattern does not match is nobody's list.
    assert_eq!(kit.open_files(&["a*.csv"]).unwrap().files().len(), 1);
    let folder = kit.folder.path().join(std::ffi::OsStr::from_bytes(b"f\xff"));
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("c.txt"), "email\n").unwrap();
    assert!(kit.open_files(&["*/*.txt"]).is_err());
}

#[test]
fn folders_in_patterns_are_followed_once() {
    let kit = kit().file("x/a.csv", "email\na@x.example\n").file("x/y/b.csv", "email\nb@x.example\n");
    std::os::unix::fs::symlink(kit.path("x"), kit.path("x/y/loop")).unwrap();
    std::os::unix::fs::symlink(kit.path("x/y"), kit.path("z")).unwrap();
    let shown = |pattern: &str| {
        let group = kit.open_files(&[pattern]).unwrap();
        group.files().iter().map(|file| file.shown.clone()).collect::<Vec<_>>()
    };
    assert_eq!(shown("x/**/*.csv"), ["x/a.csv", "x/y/b.csv"]);
    assert_eq!(shown("z/*.csv"), ["z/b.csv"]);
    assert_eq!(shown("?/y/../*.csv"), ["x/y/../a.csv"]);
}
