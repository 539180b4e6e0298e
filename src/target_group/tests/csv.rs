use super::*;

const BOB: &str = "bob@example.com";

#[test]
fn values_are_exactly_as_given() {
    let read = csv("email,zip,city\nbob@example.com,01067, Dresden \namy@example.com,1e3,\n");
    assert_eq!(read.columns, ["email", "zip", "city"]);
    assert_eq!(read.types, ["Utf8", "Utf8", "Utf8"]);
    assert_eq!(read.lines(), ["bob@example.com|01067| Dresden ", "amy@example.com|1e3|-"]);
    assert_eq!(read.places(), [(1, Some(2)), (2, Some(3))]);
}

#[test]
fn quoted_fields() {
    let read = csv(
        "email,x,y\n\"bob@example.com\",\"a \"\"b\"\", c\",\"\"\nc@x.example,\"1\n2\r\n3\",4\r\nd@x.example,5,6",
    );
    assert_eq!(read.lines(), ["bob@example.com|a \"b\", c|-", "c@x.example|1\n2\r\n3|4", "d@x.example|5|6"]);
    assert_eq!(read.places(), [(1, Some(2)), (2, Some(3)), (3, Some(6))]);
}

#[test]
fn a_byte_order_mark_inside_is_text() {
    let read = csv("\u{feff}email,x\n\u{feff}a@x.example,\"1\"\n");
    assert_eq!((read.columns[0].as_str(), read.lines()), ("email", vec!["\u{feff}a@x.example|1".into()]));
}

#[test]
fn every_line_end_and_every_delimiter() {
    for delimiter in [",", ";", "\t", "|"] {
        for (end, lines) in [("\n", 1), ("\r\n", 1), ("\r", 1), ("\n\n", 2), ("\r\r", 2)] {
            for last in ["", end] {
                let text = format!("email,n{end}bob@example.com,1{end}amy@example.com,\"2,{end}\"{last}")
                    .replace(',', delimiter);
                let read = csv(&text);
                let quoted = format!("amy@example.com|2{delimiter}{end}");
                assert_eq!(read.lines(), ["bob@example.com|1", &quoted], "{text:?}");
                assert_eq!(read.places(), [(1, Some(1 + lines)), (2, Some(1 + 2 * lines))], "{text:?}");
            }
        }
    }
    let mixed = csv("email,n\r\na@x.example,1\rb@x.example,2\n\r\nc@x.example,3\n\rd@x.example,4");
    assert_eq!(mixed.lines(), ["a@x.example|1", "b@x.example|2", "c@x.example|3", "d@x.example|4"]);
    assert_eq!(mixed.places(), [(1, Some(2)), (2, Some(3)), (3, Some(5)), (4, Some(7))]);
}

#[test]
fn every_encoding() {
    let text = "email;Straße\r\nbob@example.com;Zoë €\r\namy@example.com;\"„Müller“\"\r\n";
    let unit = |bytes: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(bytes).collect::<Vec<u8>>();
    let with = |mark: &[u8], rest: &[u8]| [mark, rest].concat();
    let (windows_1252, _, lost) = encoding_rs::WINDOWS_1252.encode(text);
    assert!(!lost);
    let (le, be) = (unit(u16::to_le_bytes), unit(u16::to_be_bytes));
    for (bytes, declared) in [
        (text.as_bytes().to_vec(), ""),
        (with(b"\xef\xbb\xbf", text.as_bytes()), ""),
        (with(b"\xff\xfe", &le), ""),
        (with(b"\xfe\xff", &be), ""),
        (le.clone(), ""),
        (be.clone(), ""),
        (windows_1252.to_vec(), ""),
        (text.as_bytes().to_vec(), "encoding = 'utf-8'"),
        (le, "encoding = 'utf-16le'"),
        (be, "encoding = 'utf-16be'"),
        (windows_1252.to_vec(), "encoding = 'windows-1252'"),
    ] {
        let read = kit().keys(declared).file("a.csv", &bytes).contents();
        assert_eq!(read.columns, ["email", "Straße"], "{declared} {bytes:?}");
        assert_eq!(read.lines(), ["bob@example.com|Zoë €", "amy@example.com|„Müller“"], "{declared}");
    }
}

#[test]
fn declared_utf16_without_latin_letters_is_text() {
    let text = format!("email\n{}", "日本語\n".repeat(2000));
    let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    assert_eq!(kit().keys("encoding = 'utf-16be'").file("a.csv", bytes).contents().rows.len(), 2000);
}

#[test]
fn a_late_byte_that_is_no_utf8_costs_its_row_only() {
    let mut bytes = b"email,city\n".to_vec();
    bytes.extend("zoe@example.com,Müller\n".repeat(20_000).into_bytes());
    bytes.extend(b"bad@example.com,M\xfcller\n\xe9@example.com,x\nlast@example.com,x\n");
    let read = csv(&bytes);
    assert_eq!(read.rows.len(), 20_001);
    assert_eq!(read.rows[20_000][0].as_deref(), Some("last@example.com"));
    assert_eq!(
        read.reasons(),
        [
            "20001:20002 column `city` holds the byte 0xFC, which is not UTF-8 (is it Windows-1252?)",
            "20002:20003 column `email` holds the byte 0xE9, which is not UTF-8 (is it Windows-1252?)"
        ]
    );
    assert_eq!(read.unreadable[0].email.as_deref(), Some("bad@example.com"));
    assert_eq!(read.unreadable[1].email, None);
}

#[test]
fn half_a_surrogate_pair_costs_its_row_only() {
    let mut units: Vec<u16> = "email,x\na@x.example,1".encode_utf16().collect();
    units.push(0xd800);
    units.extend("\nb@x.example,2\n".encode_utf16());
    let read = csv(units.iter().flat_map(|unit| unit.to_le_bytes()).collect::<Vec<u8>>());
    assert_eq!(read.lines(), ["b@x.example|2"]);
    assert_eq!(read.reasons(), ["1:2 column `x` holds what is not UTF-16"]);
}

#[test]
fn ragged_rows_are_unreadable_and_the_others_stay() {
    let read = csv(
        "email,id,a,b\n1@x.example,7,1\n2@x.example,8,1,2,3\nSmith,9\n3@x.example,1,2,3\n\n,,,\n4,\"1\n2\"\n",
    );
    assert_eq!(read.lines(), ["3@x.example|1|2|3", "-|-|-|-"]);
    assert_eq!(
        read.reasons(),
        [
            "1:2 3 fields, the header has 4",
            "2:3 5 fields, the header has 4",
            "3:4 2 fields, the header has 4",
            "6:8 2 fields, the header has 4; a quoted field runs on to line 9"
        ]
    );
    let emails: Vec<_> = read.unreadable.iter().map(|row| row.email.as_deref()).collect();
    assert_eq!(emails, [Some("1@x.example"), Some("2@x.example"), None, None]);
    let read = kit().keys("id = 'id'").file("a.csv", "email,id,a\n1@x.example,7\nSmith,9\n").contents();
    assert_eq!(read.unreadable[0].id.as_deref(), Some("7"));
    assert_eq!(read.unreadable[1].id, None);
}

#[test]
fn a_faulty_quote_costs_its_line_only() {
    for (bad, reason) in [
        ("bob@example.com,\"never closed,3", "a quote that is never closed"),
        (
            "bob@example.com,\"Hey \" you\",3",
            "text after the closing quote of a field (a quote inside it is written twice)",
        ),
        ("bob@example.com,5\" pipe,3", "a quote inside a field that does not begin with one"),
        ("bob@example.com, \"x\",3", "a quote inside a field that does not begin with one"),
    ] {
        let text = format!("email,x,y\na@x.example,1,2\n{bad}\nb@x.example,3,4\nc@x.example,5,6\n");
        let read = csv(&text);
        assert_eq!(read.lines(), ["a@x.example|1|2", "b@x.example|3|4", "c@x.example|5|6"], "{bad}");
        assert_eq!(read.reasons(), [format!("2:3 {reason}")]);
        assert_eq!(read.unreadable[0].email.as_deref(), Some(BOB));
        assert_eq!(read.places(), [(1, Some(2)), (3, Some(4)), (4, Some(5))]);
    }
    // A later quote does not close it either, wherever it stands.
    let read = csv("email,x\na@x.example,\"open\nb@x.example,\"closed\"\nc@x.example,2\n");
    assert_eq!(read.lines(), ["b@x.example|closed", "c@x.example|2"]);
    assert_eq!(read.reasons(), ["1:2 a quote that is never closed"]);
}

#[test]
fn the_address_before_a_faulty_quote_is_kept() {
    for (bad, email) in [
        ("7,\"bob@example.com\",5\" x", Some(BOB)),
        ("\"7,8\",bob@example.com,\"open", Some(BOB)),
        ("\"7\"\"\",bob@example.com,\"open", None),
        ("7,bob\"@example.com,x", None),
        ("\"7,bob@example.com,x", None),
    ] {
        let read = csv(format!("id,email,x\n{bad}\n"));
        assert_eq!(read.unreadable.len(), 1, "{bad}");
        assert_eq!(read.unreadable[0].email.as_deref(), email, "{bad}");
    }
}

#[test]
fn an_open_quote_swallows_no_more_than_its_line_however_long_the_file() {
    let mut text = String::from("email,x\nfirst@x.example,\"open\n");
    let rows = 10_000;
    let long = "1".repeat(1000);
    for row in 0..rows {
        text.push_str(&format!("r{row}@x.example,{long}\n"));
    }
    assert!(text.len() > 8 * 1024 * 1024);
    let read = csv(&text);
    assert_eq!(read.reasons(), ["1:2 a quote that is never closed"]);
    assert_eq!(read.rows.len(), rows);
    assert_eq!(read.places[rows - 1], Place { row: rows as u64 + 1, line: Some(rows as u64 + 2) });
}

#[test]
fn an_overlong_line_is_passed_over() {
    for end in ["\n", "\r\n", "\r"] {
        for length in [4 * 1024 * 1024, 9_000_000] {
            let long = "x".repeat(length);
            let text = format!("email,x{end}a@x.example,1{end}b@x.example,{long}{end}c@x.example,3{end}");
            let read = csv(&text);
            assert_eq!(read.lines(), ["a@x.example|1", "c@x.example|3"]);
            assert_eq!(read.reasons(), ["2:3 longer than 4 MiB"]);
            assert_eq!(read.places(), [(1, Some(2)), (3, Some(4))]);
            assert_eq!(read.unreadable[0].email.as_deref(), Some("b@x.example"));
        }
    }
    let read = csv(format!("email\na@x.example\n{}", "x".repeat(9_000_000)));
    assert_eq!((read.rows.len(), read.reasons()), (1, vec!["2:3 longer than 4 MiB".to_owned()]));
}

#[test]
fn batches_are_bounded() {
    let rows = 20_000;
    let kit = kit().file("a.csv", format!("email\n{}", "a@x.example\n".repeat(rows)));
    let sizes: Vec<usize> =
        kit.open().unwrap().batches().map(|batch| batch.unwrap().records.num_rows()).collect();
    assert_eq!(sizes, [8192, 8192, 3616]);
    let big = format!("a@x.example,{}\n", "y".repeat(1_000_000));
    let kit = super::kit().file("a.csv", format!("email,y\n{}", big.repeat(40)));
    let sizes: Vec<usize> =
        kit.open().unwrap().batches().map(|batch| batch.unwrap().records.num_rows()).collect();
    assert_eq!(sizes, [5; 8]);
}

#[test]
fn headers() {
    let read = csv(" email ,\"  full name\",,x\na@x.example,1,2,3\n");
    assert_eq!(read.columns, ["email", "full name", "column_3", "x"]);
    assert_eq!(csv("\r\n\nemail\n\na@x.example\n").places(), [(1, Some(5))]);
    assert_eq!(csv("sep=;\r\nemail;a,b\r\na@x.example;1\r\n").columns, ["email", "a,b"]);
    assert_eq!(csv("email,x").rows.len(), 0);
    assert_eq!(csv("email").columns, ["email"]);

    for (text, line, problem) in [
        ("", None, "the file is empty"),
        ("\n\n", None, "the file has no header: it holds empty lines only"),
        ("email,x,email\n", Some(1), "two columns are called `email`: the 1st and the 3rd"),
        ("\nemail,\"x\n", Some(2), "the header can't be read: a quote that is never closed"),
        ("emial,x\na,b\n", None, "no column `email`, which `target-group.email` names"),
    ] {
        let error = kit().file("a.csv", text).refused();
        assert_eq!((error.line, error.problem.as_str()), (line, problem), "{text:?}");
        assert_eq!(error.file.as_deref(), Some("a.csv"));
    }
    let error = kit().file("a.csv", "emial,x\n").refused();
    assert_eq!(error.hint.as_deref(), Some("did you mean `emial`? the columns are `emial`, `x`"));
    let error = kit().keys("encoding = 'utf-8'").file("a.csv", b"email,\xfc\n").refused();
    assert_eq!(error.problem, "the header is not UTF-8");
}

#[test]
fn a_set_delimiter_is_used() {
    let text = "email;x,y\na@x.example;1,2\n";
    assert_eq!(kit().file("a.csv", text).contents().columns, ["email", "x,y"]);
    let read = kit().keys("email = 'email;x'\ndelimiter = ','").file("a.csv", text).contents();
    assert_eq!(read.columns, ["email;x", "y"]);
}

#[test]
fn declared_types() {
    let keys = "[types]\nn = 'integer'\nf = 'number'\nb = 'boolean'\nd = 'date'\nt = 'timestamp'\ns = 'text'";
    let text = "email,n,f,b,d,t,s\n\
        1@x,12,1.5,true,2026-05-31,2026-05-31T12:00:00+02:00,007\n\
        2@x, -3 ,2,no,,2026-05-31 12:00:00,x\n\
        3@x,,,,,,\n\
        4@x,1.0,1,1,2026-05-31,,\n\
        5@x,1,\"1,5\",1,2026-05-31,,\n\
        6@x,1,nan,1,2026-05-31,,\n\
        7@x,1,1,maybe,2026-05-31,,\n\
        8@x,1,1,1,31.05.2026,,\n\
        9@x,1,1,1,2026-05-31 10:00:00,,\n\
        10@x,1,1,1,2026-02-30,,\n\
        11@x,1,1,1,,noon,\n\
        12@x,x,x,x,x,x,\n\
        13@x,99999999999999999999,,,,,\n";
    let read = kit().keys(keys).file("a.csv", text).contents();
    assert_eq!(
        read.types,
        ["Utf8", "Int64", "Float64", "Boolean", "Date32", "Timestamp(µs, \"UTC\")", "Utf8"]
    );
    let micros = 1_780_221_600_000_000_i64;
    assert_eq!(read.rows.len(), 3);
    assert_eq!(read.places(), [(1, Some(2)), (2, Some(3)), (3, Some(4))]);
    assert_eq!(read.lines()[2], "3@x|-|-|-|-|-|-");
    let kit = kit().keys(keys).file("a.csv", text);
    let batch = kit.open().unwrap().batches().next().unwrap().unwrap();
    use arrow_array::cast::AsArray;
    use arrow_array::types::{Date32Type, Int64Type, TimestampMicrosecondType};
    let times = batch.records.column(5).as_primitive::<TimestampMicrosecondType>();
    assert_eq!((times.value(0), times.value(1)), (micros, micros + 7_200_000_000));
    assert_eq!(batch.records.column(1).as_primitive::<Int64Type>().values()[..2], [12, -3]);
    assert_eq!(batch.records.column(4).as_primitive::<Date32Type>().value(0), 20_604);
    assert!(batch.records.column(3).as_boolean().value(0) && !batch.records.column(3).as_boolean().value(1));
    assert_eq!(
        read.reasons(),
        [
            "4:5 column `n`: `1.0` does not read as a whole number",
            "5:6 column `f`: `1,5` does not read as a number",
            "6:7 column `f`: `nan` does not read as a number",
            "7:8 column `b`: `maybe` does not read as true or false",
            "8:9 column `d`: `31.05.2026` does not read as a date (2026-05-31)",
            "9:10 column `d`: `2026-05-31 10:00:00` does not read as a date (2026-05-31)",
            "10:11 column `d`: `2026-02-30` does not read as a date (2026-05-31)",
            "11:12 column `t`: `noon` does not read as a timestamp (2026-05-31T12:00:00Z)",
            "12:13 column `n`: `x` does not read as a whole number",
            "13:14 column `n`: `99999999999999999999` does not read as a whole number",
        ]
    );
    assert_eq!(read.unreadable[0].email.as_deref(), Some("4@x"));
}

#[test]
fn dates_and_numbers_are_read_as_people_write_them() {
    let keys = "[types]\nd = { type = 'date', format = '%d.%m.%Y' }\nn = { type = 'number', decimal = ',' }\n\
         i = { type = 'integer', decimal = ',' }\nt = { type = 'timestamp', format = '%d/%m/%y %H:%M' }";
    let text = "email;d;n;i;t\n\
        1@x;29.04.2015;90498,00;1.234.567;31/05/26 12:00\n\
        2@x;\u{20}1.2.2026 ;-1.234,5;7;\n\
        3@x;;;;\n\
        4@x;2026-05-31;;;\n\
        5@x;31.02.2026;;;\n\
        6@x;;1,234.5;;\n\
        7@x;;1.23;;\n\
        8@x;;;1,5;\n\
        9@x;;;;31.05.2026\n\
        10@x;;1 234 567,25;12 345;01/02/03 23:59\n";
    let read = kit().keys(keys).file("a.csv", text).contents();
    assert_eq!(
        read.lines(),
        [
            "1@x|2015-04-29|90498.0|1234567|2026-05-31T12:00:00Z",
            "2@x|2026-02-01|-1234.5|7|-",
            "3@x|-|-|-|-",
            "10@x|-|1234567.25|12345|2003-02-01T23:59:00Z"
        ]
    );
    assert_eq!(
        read.reasons(),
        [
            "4:5 column `d`: `2026-05-31` is not written as `%d.%m.%Y`",
            "5:6 column `d`: `31.02.2026` is not written as `%d.%m.%Y`",
            "6:7 column `n`: `1,234.5` does not read as a number",
            "7:8 column `n`: `1.23` does not read as a number",
            "8:9 column `i`: `1,5` does not read as a whole number",
            "9:10 column `t`: `31.05.2026` is not written as `%d/%m/%y %H:%M`",
        ]
    );
}

#[test]
fn unreadable_rows_come_in_the_order_of_the_file() {
    let text = "email,n\na@x.example,x\nb@x.example,1,2\nc@x.example,\"y\"\nd@x.example\n";
    let read = kit().keys("[types]\nn = 'integer'").file("a.csv", text).contents();
    let rows: Vec<u64> = read.unreadable.iter().map(|row| row.place.row).collect();
    assert_eq!(rows, [1, 2, 3, 4]);
}

#[test]
fn declared_types_are_held_against_the_columns() {
    let error = kit().keys("[types]\nagee = 'integer'").file("a.csv", "email,age\n").refused();
    assert_eq!(error.problem, "no column `agee`, which `target-group.types` names");
    assert_eq!(error.hint.as_deref(), Some("did you mean `age`? the columns are `email`, `age`"));
    let error = kit().keys("[types]\nemail = 'integer'").file("a.csv", "email\n").refused();
    assert!(error.problem.contains("holds the addresses, which are text, but"), "{error}");
    let error = kit().keys("id = 'idd'").file("a.csv", "email,id\n").refused();
    assert_eq!(error.problem, "no column `idd`, which `target-group.id` names");
}

#[test]
fn a_bare_list_of_addresses_has_no_header() {
    let text = "a@x.example\n b@x.example \nnobody\n\n\"c@x.example\"\nd@x.example,Dan\n";
    let read = kit().file("a.csv", text).keys("delimiter = ','").contents();
    assert_eq!(read.columns, ["email"]);
    assert_eq!(read.lines(), ["a@x.example", " b@x.example ", "nobody", "c@x.example"]);
    assert_eq!(read.reasons(), ["5:6 2 fields, the list has 1"]);
    assert_eq!(read.places()[0], (1, Some(1)));
    // Where nothing says that it separates, a comma is part of what is no address then.
    assert_eq!(csv(text).lines()[4], "d@x.example,Dan");
    let kit = kit().file("a.txt", "a@x.example\r\nb@x.example").keys("email = 'mail'");
    assert_eq!((kit.contents().columns, kit.contents().rows.len()), (vec!["mail".to_owned()], 2));
    // One with other columns needs a header, and a header is one whatever it is called.
    let error = super::kit().file("a.csv", "a@x.example,Ann\nb@x.example,Bob\n").refused();
    assert!(error.hint.unwrap().contains("looks like a row"));
    let read = super::kit().file("a.csv", "@mail\na@x.example\n").keys("email = '@mail'").contents();
    assert_eq!(read.lines(), ["a@x.example"]);
}
