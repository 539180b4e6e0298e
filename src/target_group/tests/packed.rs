//! Files that are compressed as a whole.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;
use crate::target_group::{FileKind, Packing};

fn gz(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes.as_ref()).unwrap();
    encoder.finish().unwrap()
}

fn zst(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    zstd::encode_all(bytes.as_ref(), 1).unwrap()
}

/// Rows that do not compress to nothing.
fn rows(count: u64) -> String {
    let mut text = "email,name\n".to_owned();
    for n in 0..count {
        let hash = blake3::hash(&n.to_le_bytes()).to_hex();
        text.push_str(&format!("{n}@{}.example,{}\n", &hash[..20], &hash[20..40]));
    }
    text
}

#[test]
fn a_packed_list_is_the_list_that_is_in_it() {
    let plain = rows(3_000);
    let expected = csv(&plain);
    for (name, packed, packing) in [
        ("a.csv.gz", gz(&plain), Packing::Gzip),
        ("a.csv.zst", zst(&plain), Packing::Zstd),
        ("named-otherwise.csv", gz(&plain), Packing::Gzip),
        // Several members or frames are one text.
        ("a.gz", [gz(&plain[..5_000]), gz(""), gz(&plain[5_000..])].concat(), Packing::Gzip),
        ("a.zst", [zst(&plain[..5_000]), zst(&plain[5_000..])].concat(), Packing::Zstd),
    ] {
        let kit = kit().file(name, &packed);
        let group = kit.open().unwrap();
        let file = &group.files()[0];
        assert_eq!((file.reading.kind, file.reading.packing), (FileKind::Csv, Some(packing)), "{name}");
        assert_eq!(file.bytes, packed.len() as u64);
        // A run is known by what is on disk.
        assert_eq!(file.content_hash().unwrap(), blake3::hash(&packed));
        let read = contents(&group).unwrap();
        assert_eq!((read.lines(), read.places()), (expected.lines(), expected.places()), "{name}");
    }
}

#[test]
fn what_is_in_it_is_found_out_as_in_any_file() {
    let mut late = b"email;name\n".to_vec();
    late.extend(b"a@x.example;plain\n".repeat(20_000));
    late.extend(b"b@x.example;Zo\xeb\n");
    late.extend(b"c@x.example;plain\n".repeat(2_000));
    let read = kit().file("a.csv.gz", gz(&late)).contents();
    assert_eq!(read.lines(), csv(&late).lines());
    let lines = "{\"email\":\"a@x.example\",\"n\":1}\n{\"email\":\"b@x.example\"}\n";
    let read = kit().file("a.jsonl.zst", zst(lines)).contents();
    assert_eq!(read.lines(), ["a@x.example|1", "b@x.example|-"]);
    let parquet = kit().parquet("p", vec![("email", array(arrow_array::StringArray::from(vec!["a@x"])))]);
    let parquet = fs::read(parquet.path("p")).unwrap();
    for (bytes, problem) in [
        (gz(""), "the file is empty"),
        (gz(gz("email\n")), "the file is compressed with gzip twice, although it is named `.csv`"),
        (zst(&parquet), "the file is Parquet compressed with zstd"),
        (gz("PK\x03\x04abc"), "the file is a zip archive, although it is named `.csv`"),
    ] {
        let error = kit().file("a.csv.gz", bytes).refused();
        assert_eq!((error.problem.as_str(), error.file.as_deref()), (problem, Some("a.csv.gz")));
        assert!(error.hint.is_some());
    }
}

#[test]
fn a_packed_list_that_was_cut_short_is_refused_with_the_place() {
    let plain = rows(10_000);
    for (packed, packing) in [(gz(&plain), "gzip"), (zst(&plain), "zstd")] {
        for kept in [packed.len() / 2, packed.len() - 1, packed.len() - 5] {
            let error = kit().file("a.csv", &packed[..kept]).refused();
            let begins = format!("the file was cut short: its {packing} data can't be unpacked after ");
            assert!(error.problem.starts_with(&begins), "{}", error.problem);
            assert_eq!(error.file.as_deref(), Some("a.csv"));
        }
        let half = kit().file("a.csv", &packed[..packed.len() / 2]).refused().problem;
        assert!(!half.contains("after 0 lines"), "{half}");
    }
    let mut damaged = gz(&plain);
    let middle = damaged.len() / 2;
    damaged[middle..middle + 8].fill(0xaa);
    let error = kit().file("a.csv", damaged).refused();
    assert!(error.problem.starts_with("the file is damaged: its gzip data"), "{}", error.problem);
    let trailing = [gz(&plain), b"more".to_vec()].concat();
    assert!(kit().file("a.csv", trailing).open().is_err());
}

#[test]
fn a_bomb_is_refused_before_a_row_is_read() {
    let bomb = zst(vec![b'\n'; 80 * 1024 * 1024]);
    assert!(bomb.len() < 60_000, "{}", bomb.len());
    let error = kit().file("a.csv.zst", &bomb).refused();
    assert!(
        error.problem.starts_with("the file unpacks to more than 1000 times its size"),
        "{}",
        error.problem
    );
}
