//! Files that are nearly CSV.

use std::fs;

use super::*;
use crate::fuzzing::{fuzz, texts};

#[test]
fn a_file_is_read_to_its_end_or_refused() {
    let mut seeds = texts(&[
        "email,name,n\na@x.example,Ann,1\n\"b@x.example\",\"Bo \"\"B\"\" Smith\",2\n",
        "\u{feff}email;name\r\na@x.example;\"two\r\nlines\"\r\nb@x.example;ü\r\n",
        "sep=|\nemail|n\ra@x.example|1\rb@x.example|2\r",
        "email\tn\na@x.example\t1\n\nb@x.example\n",
        "email,n\n\"a@x.example,1\nb@x.example,2\nc@x.example,3\n",
    ]);
    seeds.push("email,n\na@x.example,é\n".encode_utf16().flat_map(u16::to_le_bytes).collect());
    seeds.push("\u{feff}email,n\na@x.example,é\n".encode_utf16().flat_map(u16::to_be_bytes).collect());
    seeds.push(b"email,name\na@x.example,Ren\xe9e\n".to_vec());
    let kit = kit();
    fuzz("CSV sniffing and reading", &seeds, |bytes| {
        fs::write(kit.path("a.csv"), bytes).unwrap();
        let Ok(group) = kit.open() else { return };
        // Every record once, in the order of the file, on a line that the file has.
        let read = contents(&group).unwrap();
        let mut places: Vec<Place> =
            read.places.iter().chain(read.unreadable.iter().map(|row| &row.place)).copied().collect();
        places.sort_by_key(|place| place.row);
        assert!(places.iter().map(|place| place.row).eq(1..=places.len() as u64));
        assert!(places.windows(2).all(|pair| pair[0].line < pair[1].line));
        assert!(places.last().and_then(|place| place.line) <= Some(bytes.len() as u64 + 1));
        assert!(read.rows.iter().all(|row| row.len() == read.columns.len()));
    });
}
