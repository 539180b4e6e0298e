//! Lists match their arguments exactly, and are always the same.

use std::collections::HashSet;
use std::fs;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_select::concat::concat_batches;

use std::path::PathBuf;

use super::people::{People, Row};
use super::quotas::{Kind, Quotas};
use super::spec::column_name;
use super::*;
use crate::campaign;
use crate::mail::Address;

fn spec(rows: u64, shares: [&str; 4]) -> Spec {
    let [duplicates, invalid, non_ascii, smtputf8] = shares.map(|share| share.parse().unwrap());
    Spec { rows, duplicates, invalid, non_ascii, smtputf8, ..Spec::default() }
}

fn rows(spec: &Spec) -> Vec<(Kind, Vec<String>)> {
    let people = People::new(spec, Quotas::new(spec).unwrap());
    let make = |number| {
        let mut row =
            Row { kind: Kind::Plain, domain: None, cells: vec!["left over".to_owned(); spec.columns] };
        people.make(number, &mut row);
        (row.kind, row.cells)
    };
    (0..spec.rows).map(make).collect()
}

/// Every row is of the kind it is counted as.
fn check(spec: &Spec) {
    let mut known = HashSet::new();
    let mut counts = [0; 5];
    for (kind, cells) in rows(spec) {
        let whole = cells.concat();
        let address = Address::parse(&cells[1]);
        let key = address.as_ref().map(|address| address.to_string().to_lowercase());
        counts[kind as usize] += 1;
        match kind {
            Kind::Invalid => assert!(address.is_err() && whole.is_ascii(), "{cells:?}"),
            Kind::Duplicate => {
                assert!(
                    known.contains(&key.unwrap()) && whole.is_ascii(),
                    "{cells:?} repeats no earlier row"
                );
            }
            Kind::Plain | Kind::NonAscii | Kind::Smtputf8 => {
                assert_eq!(whole.is_ascii(), kind == Kind::Plain, "{cells:?}");
                assert_eq!(address.as_ref().unwrap().needs_smtputf8(), kind == Kind::Smtputf8, "{cells:?}");
                assert!(known.insert(key.unwrap()), "{cells:?} was there before");
            }
        }
    }
    let quotas = Quotas::new(spec).unwrap();
    let Quotas { invalid, duplicates, smtputf8, non_ascii } = quotas;
    let plain = spec.rows - invalid - duplicates - smtputf8 - non_ascii;
    assert_eq!(counts, [invalid, duplicates, smtputf8, non_ascii, plain], "{spec:?}");
}

#[test]
fn every_row_is_what_it_is_counted_as() {
    check(&spec(5_000, ["1%", "0.5%", "2%", "0%"]));
    check(&spec(5_000, ["10%", "10%", "10%", "10%"]));
    check(&spec(1_000, ["99.9%", "0%", "0%", "0%"]));
    check(&spec(1_000, ["0%", "100%", "0%", "0%"]));
    check(&spec(1_000, ["0%", "0%", "50%", "50%"]));
    check(&spec(0, ["1%", "1%", "1%", "1%"]));
    for seed in 0..50 {
        for rows in 1..8 {
            check(&Spec { seed, ..spec(rows, ["40%", "20%", "0%", "0%"]) });
        }
    }
}

#[test]
fn shares_that_leave_nothing_to_repeat_are_refused() {
    let of = |shares| Quotas::new(&spec(1_000, shares)).unwrap_err().to_string();
    assert!(of(["60%", "41%", "0%", "0%"]).contains("1010 of 1000 rows"));
    assert!(of(["60%", "40%", "0%", "0%"]).contains("no plain row"));
}

#[test]
fn given_domains_have_exactly_their_share_of_the_addresses() {
    let mix = "gmail.com=40,gmx.de=20,*=40".parse().unwrap();
    let spec = Spec { domain_mix: mix, ..spec(10_000, ["10%", "10%", "10%", "0%"]) };
    let own = rows(&spec);
    let own = own.iter().filter(|(kind, _)| !matches!(kind, Kind::Invalid | Kind::Duplicate));
    let emails: Vec<&str> = own.map(|(_, cells)| cells[1].as_str()).collect();
    let count = |domain: &str| emails.iter().filter(|email| email.ends_with(domain)).count();
    assert_eq!((emails.len(), count("@gmail.com"), count("@gmx.de")), (8_000, 3_200, 1_600));
}

#[test]
fn columns_are_as_many_as_asked_for() {
    for columns in [2, 5, 8, 12] {
        let made = rows(&Spec { columns, ..spec(50, ["10%", "0%", "10%", "0%"]) });
        assert!(
            made.iter().all(|(_, cells)| cells.len() == columns && cells.iter().all(|cell| !cell.is_empty()))
        );
    }
    let names: Vec<String> = (7..=10).map(column_name).collect();
    assert_eq!(names, ["token", "segment", "text_9", "text_10"]);
}

fn written(spec: &Spec, name: &str, kind: ListFormat) -> (tempfile::TempDir, PathBuf, Written) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    let written = write(spec, &path, kind, false, |_| ()).unwrap();
    (folder, path, written)
}

/// Pins the bytes: a change of the generator changes everybody's load tests.
#[test]
fn the_same_arguments_give_the_same_bytes() {
    let spec = Spec { seed: 7, columns: 10, ..spec(5_000, ["5%", "5%", "5%", "5%"]) };
    let (_folder, path, counts) = written(&spec, "a.csv", ListFormat::Csv);
    let bytes = fs::read(path).unwrap();
    assert_eq!(counts.bytes, bytes.len() as u64);
    assert_eq!(
        blake3::hash(&bytes).to_hex().as_str(),
        "bf36aab6f3cd8e240187d724c99c7991edd38a26b992c79ac9cf5ab41c51d54c",
        "{}",
        String::from_utf8_lossy(&bytes[..2_000])
    );
    let parquet = |spec| fs::read(written(spec, "a", ListFormat::Parquet).1).unwrap();
    assert_eq!(parquet(&spec), parquet(&spec));
}

#[test]
fn both_formats_hold_the_same_rows() {
    let spec = Spec { columns: 9, ..spec(20_000, ["1%", "5%", "5%", "1%"]) };
    let read = |name: &str, kind| {
        let (_folder, path, counts) = written(&spec, name, kind);
        let files = vec![path.to_str().unwrap().to_owned()];
        let group =
            crate::target_group::open(&campaign::TargetGroupSource::of_files(files, "email")).unwrap();
        let batches: Vec<RecordBatch> = group
            .batches()
            .map(|batch| {
                let batch = batch.unwrap();
                assert_eq!(batch.unreadable, []);
                batch.records
            })
            .collect();
        (concat_batches(&group.schema(), &batches).unwrap(), Written { bytes: 0, ..counts })
    };
    let (csv, csv_counts) = read("a.csv", ListFormat::Csv);
    let (parquet, parquet_counts) = read("a.parquet", ListFormat::Parquet);
    assert_eq!(csv_counts, parquet_counts);
    assert_eq!(csv.num_rows(), 20_000);
    for (column, field) in csv.schema().fields().iter().enumerate() {
        let cells = |batch: &RecordBatch| -> Vec<String> {
            let texts = batch.column(column).as_string::<i32>();
            texts.iter().map(|text| text.unwrap_or_default().to_owned()).collect()
        };
        assert_eq!(cells(&csv), cells(&parquet), "{field}");
    }
}

#[test]
fn a_file_that_is_there_is_left_alone() {
    let (folder, path, _) = written(&spec(10, ["0%"; 4]), "a.csv", ListFormat::Csv);
    let before = fs::read(&path).unwrap();
    let other = Spec { seed: 2, ..spec(10, ["0%"; 4]) };
    let error = write(&other, &path, ListFormat::Csv, false, |_| ()).unwrap_err();
    assert!(matches!(error, SynthError::Exists(_)), "{error}");
    assert_eq!(fs::read(&path).unwrap(), before);
    write(&other, &path, ListFormat::Csv, true, |_| ()).unwrap();
    assert_ne!(fs::read(&path).unwrap(), before);
    let error =
        write(&Spec { columns: 1, ..other.clone() }, &path, ListFormat::Csv, true, |_| ()).unwrap_err();
    assert_eq!(error.to_string(), "the number of columns must be from 2 to 1000, not 1");
    let error = write(&other, &folder.path().join("none/a.csv"), ListFormat::Csv, false, |_| ()).unwrap_err();
    assert!(matches!(error, SynthError::Io { .. }), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left behind");
}

#[test]
fn numbers_as_they_are_typed() {
    let rows = |text: &str| text.parse::<RowCount>().map(|rows| rows.0).ok();
    for (text, number) in [
        ("0", 0),
        ("1000", 1_000),
        ("1_000_000", 1_000_000),
        ("10k", 10_000),
        ("1.5M", 1_500_000),
        ("2m", 2_000_000),
    ] {
        assert_eq!(rows(text), Some(number), "{text}");
    }
    for bad in ["", "k", "-1", "1.5", "1G", "1e6", "ten"] {
        assert_eq!(rows(bad), None, "{bad}");
    }
    let share = |text: &str| text.parse::<Share>().map(|share| share.to_string()).ok();
    for text in ["0%", "1%", "0.5%", "100%", "12.3456%"] {
        assert_eq!(share(text).as_deref(), Some(text));
    }
    for bad in ["", "1", "101%", "-1%", "%", "1%%"] {
        assert_eq!(share(bad), None, "{bad}");
    }
    assert_eq!("0.5%".parse::<Share>().unwrap().of(1_000), 5);
    assert_eq!("33.3333%".parse::<Share>().unwrap().of(3), 1);
    assert_eq!("100%".parse::<Share>().unwrap().of(MOST_ROWS), MOST_ROWS);
}
