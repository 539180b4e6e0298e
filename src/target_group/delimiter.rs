//! Detects the delimiter of a CSV file: the one that yields the campaign's column and the same
//! number of fields in every row.

use std::io::Read;

use super::records::Records;

/// In order of preference if nothing else decides.
const CANDIDATES: [u8; 4] = [b',', b';', b'\t', b'|'];

/// How many records of the sample are examined.
const RECORDS: usize = 200;

/// How well a delimiter fits: larger is better, compared field by field.
#[derive(Debug, PartialEq, PartialOrd)]
struct Fit {
    names_the_column: bool,
    separates: bool,
    even: f64,
    fields: usize,
}

/// The delimiter of `sample`, UTF-8 text from a file's start. `column` is a name that its header
/// should hold.
pub(super) fn find(sample: &[u8], column: &str) -> u8 {
    let mut best = (CANDIDATES[0], fit(sample, CANDIDATES[0], column));
    for candidate in &CANDIDATES[1..] {
        let fit = fit(sample, *candidate, column);
        if fit > best.1 {
            best = (*candidate, fit);
        }
    }
    best.0
}

fn fit(sample: &[u8], delimiter: u8, column: &str) -> Fit {
    let mut records = Records::new(sample, delimiter);
    let mut fit = Fit { names_the_column: false, separates: false, even: 1.0, fields: 0 };
    let (mut seen, mut even) = (0, 0);
    while let Some(record) = records.next().expect("a slice can always be read") {
        let Ok(fields) = record.fields else {
            seen += 1;
            continue;
        };
        if fit.fields == 0 {
            fit.fields = fields.len();
            fields.each(|_, name| fit.names_the_column |= name.trim_ascii() == column.as_bytes());
            continue;
        }
        seen += 1;
        even += usize::from(fields.len() == fit.fields);
        if seen == RECORDS {
            break;
        }
    }
    if seen > 0 {
        fit.even = even as f64 / seen as f64;
    }
    // If half the rows are ragged, the character is part of a header's name.
    fit.separates = fit.fields > 1 && fit.even >= 0.5;
    fit
}

/// Excel's first line `sep=;`: the declared delimiter.
pub(super) fn told(sample: &[u8]) -> Option<u8> {
    let line = sample.split(|byte| matches!(byte, b'\n' | b'\r')).next()?;
    let line = line.strip_prefix(b"\"").and_then(|line| line.strip_suffix(b"\"")).unwrap_or(line);
    match line {
        [b's' | b'S', b'e' | b'E', b'p' | b'P', b'=', delimiter] if CANDIDATES.contains(delimiter) => {
            Some(*delimiter)
        }
        _ => None,
    }
}

/// Reads the start of a text, up to its last line end when there is more than `bytes` of it.
pub(super) fn sample(text: &mut impl Read, bytes: usize) -> std::io::Result<Vec<u8>> {
    let mut sample = vec![0; bytes];
    let mut filled = 0;
    // The decoder needs some room to continue.
    while filled + 8 < bytes {
        match text.read(&mut sample[filled..]) {
            Ok(0) => {
                sample.truncate(filled);
                return Ok(sample);
            }
            Ok(count) => filled += count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    sample.truncate(filled);
    if let Some(end) = sample.iter().rposition(|byte| matches!(byte, b'\n' | b'\r')) {
        sample.truncate(end + 1);
    }
    Ok(sample)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delimiter_is_found() {
        for (sample, expected) in [
            ("email,name\nbob@x.example,Bob\n", b','),
            ("email;name\nbob@x.example;Smith, Bob\namy@x.example;Jones, Amy\n", b';'),
            ("name;email\n\"Smith; Bob\";bob@x.example\n", b';'),
            ("email\tname\nbob@x.example\tBob, Jr; III\n", b'\t'),
            ("email|name\nbob@x.example|Bob\n", b'|'),
            ("id,email;name\r1,2;bob@x.example;Bob\r", b','),
            (" email ; name \n", b';'),
            ("email\nbob@x.example\n", b','),
            ("email\nbob,1@x.example\nbob,2@x.example\n", b';'),
            ("\"email\";\"a,b,c\"\n\"x\";\"1,2,3\"\n", b';'),
            // If the campaign misspells the column's name, the shape of the rows decides.
            ("mail;text\nbob@x.example;a, b\nbob@x.example;c\n", b';'),
            ("mail;text,more\nbob@x.example;a\nbob@x.example;c\n", b';'),
            ("email;note\nb@x.example;\"one,\ntwo,\nthree\"\nc@x.example;x\n", b';'),
            ("\n\nemail;name\n", b';'),
            ("", b','),
        ] {
            assert_eq!(char::from(find(sample.as_bytes(), "email")), char::from(expected), "{sample:?}");
        }
    }

    #[test]
    fn excel_tells_it() {
        assert_eq!(told(b"sep=;\r\nemail;name\r\n"), Some(b';'));
        assert_eq!(told(b"\"SEP=|\"\nemail"), Some(b'|'));
        assert_eq!(told(b"sep=x\n"), None);
        assert_eq!(told(b"email;name\n"), None);
    }

    #[test]
    fn a_sample_ends_with_a_line() {
        let text = "email;name\n".repeat(100);
        assert_eq!(sample(&mut text.as_bytes(), 30).unwrap(), "email;name\n".repeat(2).as_bytes());
        assert_eq!(sample(&mut &text.as_bytes()[..15], 30).unwrap(), &text.as_bytes()[..15]);
    }
}
