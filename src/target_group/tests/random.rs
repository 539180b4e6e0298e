use std::io::{self, Read};

use proptest::prelude::*;

use super::*;
use crate::target_group::records::Records;

/// Every record is in a batch once, in the order of the file.
fn every_record_is_accounted_for(kit: &Kit) {
    let Ok(group) = kit.open() else { return };
    let read = contents(&group).unwrap();
    let mut rows: Vec<u64> = read
        .places
        .iter()
        .chain(read.unreadable.iter().map(|row| &row.place))
        .map(|place| place.row)
        .collect();
    rows.sort_unstable();
    let expected: Vec<u64> = (1..=rows.len() as u64).collect();
    assert_eq!(rows, expected);
}

/// Text of what CSV is made of.
fn odd_text() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        4 => prop::sample::select(vec![&b","[..], b";", b"\"", b"\"\"", b"\n", b"\r", b"\r\n", b"\t", b"|"]),
        3 => prop::sample::select(vec![&b"a@x.example"[..], b"b", b" ", b"email", b"\xff", b"\xc3\xbc", b"\xef\xbb\xbf"]),
    ];
    prop::collection::vec(part, 0..60).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        every_record_is_accounted_for(&kit().file("a.csv", &bytes));
        every_record_is_accounted_for(&kit().file("a.csv", [b"email,x\n", &bytes[..]].concat()));
        every_record_is_accounted_for(&kit().file("a.parquet", [b"PAR1", &bytes[..], b"PAR1"].concat()));
    }

    #[test]
    fn any_text_is_read_or_refused(text in odd_text()) {
        every_record_is_accounted_for(&kit().file("a.csv", &text));
        every_record_is_accounted_for(&kit().file("a.csv", [b"email,x\n", &text[..]].concat()));
    }

    /// The text between the records is nothing but line ends, so no line is lost; and each record
    /// starts on the line that it says.
    #[test]
    fn records_cover_the_text(text in odd_text()) {
        let lines = physical_lines(&text);
        let mut records = Records::new(&text[..], b',');
        let mut covered = vec![false; lines.len()];
        while let Some(record) = records.next().unwrap() {
            let first = usize::try_from(record.line).unwrap() - 1;
            let last = first + usize::try_from(record.lines).unwrap();
            for line in &mut covered[first..last] {
                prop_assert!(!*line, "line in two records");
                *line = true;
            }
            if let Ok(fields) = &record.fields && record.lines == 1 {
                // A single line without quotes gives itself back.
                let mut joined = Vec::new();
                fields.each(|index, field| {
                    if index > 0 { joined.push(b','); }
                    joined.extend_from_slice(field);
                });
                if !lines[first].contains(&b'"') {
                    prop_assert_eq!(&joined, lines[first]);
                }
            }
        }
        for (line, covered) in lines.iter().zip(covered) {
            prop_assert!(covered || line.is_empty());
        }
    }

    #[test]
    fn records_do_not_depend_on_how_the_text_arrives(text in odd_text()) {
        prop_assert_eq!(debug_records(Drip(&text)), debug_records(&text[..]));
    }

    /// What another program writes as CSV is read as it was.
    #[test]
    fn written_values_come_back(
        rows in prop::collection::vec(prop::collection::vec("[ -~üñ\r\n\"]{0,12}", 3), 0..12),
        delimiter in prop::sample::select(vec![b',', b';', b'\t', b'|']),
        windows in any::<bool>(),
        always in any::<bool>(),
    ) {
        let mut writer = ::csv::WriterBuilder::new()
            .delimiter(delimiter)
            .terminator(if windows { ::csv::Terminator::CRLF } else { ::csv::Terminator::Any(b'\n') })
            .quote_style(if always { ::csv::QuoteStyle::Always } else { ::csv::QuoteStyle::Necessary })
            .from_writer(Vec::new());
        writer.write_record(["email", "b", "c"]).unwrap();
        for row in &rows {
            writer.write_record(row).unwrap();
        }
        let text = writer.into_inner().unwrap();
        let keys = format!("encoding = 'utf-8'\ndelimiter = {:?}", char::from(delimiter).to_string());
        let read = kit().keys(&keys).file("a.csv", text).contents();
        let written: Vec<Vec<Option<String>>> = rows
            .into_iter()
            .map(|row| row.into_iter().map(|value| (!value.is_empty()).then_some(value)).collect())
            .collect();
        prop_assert_eq!(read.rows, written);
        prop_assert_eq!(read.unreadable, vec![]);
    }
}

/// Gives one byte at a time.
struct Drip<'a>(&'a [u8]);

impl Read for Drip<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.0.read(&mut out[..1])
    }
}

fn debug_records(text: impl Read) -> Vec<String> {
    let mut records = Records::new(text, b',');
    let mut shown = Vec::new();
    while let Some(record) = records.next().unwrap() {
        let mut fields = Vec::new();
        let fault = match record.fields {
            Ok(each) => {
                each.each(|_, field| fields.push(field.escape_ascii().to_string()));
                None
            }
            Err(fault) => Some((fault.what, fault.text.escape_ascii().to_string())),
        };
        shown.push(format!("{} {} {fields:?} {fault:?}", record.line, record.lines));
    }
    shown
}

fn physical_lines(text: &[u8]) -> Vec<&[u8]> {
    let mut lines = Vec::new();
    let mut rest = text;
    while let Some(length) = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
        lines.push(&rest[..length]);
        rest = &rest[length + if rest[length..].starts_with(b"\r\n") { 2 } else { 1 }..];
    }
    if !rest.is_empty() {
        lines.push(rest);
    }
    lines
}
