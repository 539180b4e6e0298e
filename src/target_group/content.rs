//! Detects what a file is from its bytes, with its name as a hint. Never reads a row.

use std::path::Path;

use super::bsmtp;
use super::encoding;
use super::error::TargetGroupError;
use super::json;
use super::reading::FileKind;
use super::source::Packing;
use crate::campaign::Encoding;

const PARQUET: &[u8] = b"PAR1";
/// How an Arrow IPC file begins, and a stream: a marker, and the length of its first message, which
/// is less than 16 MB.
const ARROW_FILE: &[u8] = b"ARROW1\0\0";
const ARROW_STREAM: &[u8] = b"\xff\xff\xff\xff";
/// Two magic numbers and the length of the footer.
const SMALLEST_PARQUET: u64 = 12;
/// The extension of batch SMTP.
const BSMTP: &str = "bsmtp";
/// What text in JSON is called.
const JSON: &str = "JSON";

/// What to do about a file that can't be read.
#[derive(Debug, Clone, Copy)]
enum Hint {
    Say(&'static str),
    /// The same, or have DuckDB make a Parquet file of it with this table function.
    Duckdb(&'static str, &'static str),
}

const SAVE_AS_CSV: Hint = Hint::Say("save the sheet as CSV (UTF-8)");
const UNPACK: Hint = Hint::Say("unpack it first");
const NEITHER: Hint = Hint::Say("a list is CSV, JSON lines, Parquet or Arrow, or has one address a line");
const AS_PARQUET: Hint = Hint::Say("write it as Parquet");

/// Extensions of files that should be target groups.
const MEANT: [&str; 10] =
    ["csv", "tsv", "tab", "txt", "parquet", "jsonl", "ndjson", "arrow", "arrows", "feather"];

/// First bytes, what they indicate, and what to do.
const SIGNATURES: [(&[u8], &str, Hint); 19] = [
    (b"PARE", "an encrypted Parquet file", Hint::Say("write it without encryption")),
    (b"\x89PNG\r\n\x1a\n", "a PNG image", NEITHER),
    (b"\xff\xd8\xff", "a JPEG image", NEITHER),
    (b"GIF8", "a GIF image", NEITHER),
    (b"%PDF-", "a PDF document", NEITHER),
    (b"PK\x03\x04", "a zip archive", UNPACK),
    (b"PK\x05\x06", "an empty zip archive", NEITHER),
    (b"\x1f\x8b", "compressed with gzip twice", UNPACK),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd twice", UNPACK),
    (b"BZh", "compressed with bzip2", UNPACK),
    (b"\xfd7zXZ\0", "compressed with xz", UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", UNPACK),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Office document (xls, doc)", SAVE_AS_CSV),
    (
        b"SQLite format 3\0",
        "a SQLite database",
        Hint::Duckdb("export the table as CSV or Parquet", "sqlite_scan('FILE', 'TABLE')"),
    ),
    (b"FEA1", "a Feather file of version 1", AS_PARQUET),
    (b"ORC", "an ORC file", AS_PARQUET),
    (b"Obj\x01", "an Avro file", Hint::Duckdb("write it as Parquet", "read_avro('FILE')")),
    (b"\x7fELF", "a program", NEITHER),
    (b"{\\rtf", "an RTF document", NEITHER),
];

impl Hint {
    /// The hint for the file at `path`.
    fn text(self, path: &Path) -> String {
        let (hint, from) = match self {
            Self::Say(hint) => return hint.to_owned(),
            Self::Duckdb(hint, from) => (hint, from),
        };
        // A name that a shell or SQL takes apart is better typed by its owner.
        let name = path.to_str().filter(|name| !name.contains(['\'', '"', '$', '`', '\\', '!']));
        let (file, parquet) = match name {
            Some(name) => (name.to_owned(), path.with_extension("parquet").to_string_lossy().into_owned()),
            None => ("FILE".to_owned(), "FILE.parquet".to_owned()),
        };
        let from = from.replace("FILE", &file);
        format!("{hint}, such as with duckdb -c \"COPY (FROM {from}) TO '{parquet}'\"")
    }
}

/// What is known of a file.
pub(super) struct Content<'a> {
    pub path: &'a Path,
    /// How many bytes it has, unpacked.
    pub bytes: u64,
    /// Its first [`encoding::HEAD_BYTES`], unpacked.
    pub head: &'a [u8],
    /// Its last four bytes, as they are on disk.
    pub tail: &'a [u8],
    pub packing: Option<Packing>,
}

impl Content<'_> {
    /// Which format it is; anything else is an error that says what was found. `declared` is the
    /// encoding that the campaign file names.
    pub(super) fn detect(&self, declared: Option<Encoding>) -> Result<FileKind, TargetGroupError> {
        let Self { path, bytes, head, tail, packing } = *self;
        if self.extension() == BSMTP {
            return self.detect_bsmtp();
        }
        if bytes == 0 {
            return Err(TargetGroupError::new("the file is empty").hint("a header line at least is needed"));
        }
        let extension = self.extension();
        if head.starts_with(PARQUET) {
            if let Some(packing) = packing {
                let problem = format!("the file is Parquet compressed with {}", packing.name());
                return Err(TargetGroupError::new(problem)
                    .hint("unpack it first: a Parquet file compresses its columns itself"));
            }
            if bytes < SMALLEST_PARQUET || tail != PARQUET {
                return Err(TargetGroupError::new("a Parquet file that was cut short: its end is missing")
                    .hint("copy or write it again"));
            }
            return Ok(FileKind::Parquet);
        }
        let is_stream = head.starts_with(ARROW_STREAM) && head.get(7) == Some(&0) && head.len() > 8;
        if head.starts_with(ARROW_FILE) || is_stream {
            if let Some(packing) = packing {
                let problem = format!("the file is Arrow IPC compressed with {}", packing.name());
                return Err(TargetGroupError::new(problem)
                    .hint("unpack it first: an Arrow file compresses its columns itself"));
            }
            return Ok(FileKind::Arrow);
        }
        let (what, hint) = match known(head, declared) {
            Some((JSON, _)) if self.is_json_lines(&extension) => return Ok(FileKind::JsonLines),
            Some(known) => known,
            None if extension == "parquet" => ("not Parquet, although it is named so", AS_PARQUET),
            None if matches!(extension.as_str(), "arrow" | "arrows" | "feather") => {
                ("not Arrow IPC, although it is named so", AS_PARQUET)
            }
            None => return Ok(FileKind::Csv),
        };
        // A name such as `list.xlsx` or `list.json` says what the file is.
        let misleads = MEANT.contains(&extension.as_str()) && !what.starts_with("not ");
        let named = if misleads { format!(", although it is named `.{extension}`") } else { String::new() };
        Err(TargetGroupError::new(format!("the file is {what}{named}")).hint(hint.text(path)))
    }

    /// A file of batch SMTP may be empty, and its first message faulty.
    fn detect_bsmtp(&self) -> Result<FileKind, TargetGroupError> {
        let what = known(self.head, None).map(|(what, _)| what);
        let is_other = what.filter(|what| !what.starts_with("binary") && !bsmtp::looks_like(self.head));
        match is_other {
            Some(what) => {
                Err(TargetGroupError::new(format!("the file is {what}, although it is named `.{BSMTP}`"))
                    .hint("a file of batch SMTP begins with `HELO` or `MAIL FROM`"))
            }
            None => Ok(FileKind::Bsmtp),
        }
    }

    /// In lower case; that of `list.csv.gz` is `csv`.
    fn extension(&self) -> String {
        let name = self.packing.and(self.path.file_stem()).map_or(self.path, Path::new);
        name.extension().map(|extension| extension.to_string_lossy().to_lowercase()).unwrap_or_default()
    }

    fn is_json_lines(&self, extension: &str) -> bool {
        let text = text_of(self.head);
        text.starts_with(b"{") && (matches!(extension, "jsonl" | "ndjson") || json::holds_objects(text))
    }
}

/// A text without its byte order mark and the white space before it.
fn text_of(head: &[u8]) -> &[u8] {
    head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start()
}

fn known(head: &[u8], declared: Option<Encoding>) -> Option<(&'static str, Hint)> {
    if let Some((magic, what, hint)) = SIGNATURES.iter().find(|(magic, ..)| head.starts_with(magic)) {
        // OpenDocument archives start with their type, Office ones with a list of parts.
        return Some(match *magic {
            b"PK\x03\x04" if contains(head, b"opendocument.spreadsheet") => {
                ("a spreadsheet (ods)", SAVE_AS_CSV)
            }
            b"PK\x03\x04" if contains(head, b"xl/") || contains(head, b"[Content_Types].xml") => {
                let hint =
                    Hint::Duckdb("save the sheet as CSV (UTF-8) or write it as Parquet", "read_xlsx('FILE')");
                ("an Excel workbook (xlsx)", hint)
            }
            _ => (*what, *hint),
        });
    }
    if head.starts_with(b"\xff\xfe\0\0") || head.starts_with(b"\0\0\xfe\xff") {
        return Some(("text in UTF-32", Hint::Say("write it in UTF-8")));
    }
    let utf16 = declared.is_some_and(|named| [Encoding::UTF_16LE, Encoding::UTF_16BE].contains(&named))
        || encoding::mark(head).is_some()
        || encoding::looks_like_utf16(head);
    if !utf16 && is_binary(head) {
        return Some(("binary data: it holds NUL bytes", NEITHER));
    }
    let text = text_of(head);
    let starts =
        |with: &str| text.len() >= with.len() && text[..with.len()].eq_ignore_ascii_case(with.as_bytes());
    if starts("<!doctype html") || starts("<html") {
        return Some(("an HTML page", Hint::Say("the download may have been an error or a login page")));
    }
    if starts("<?xml") {
        return Some(("an XML document", NEITHER));
    }
    let inner = text.get(1..).unwrap_or_default().trim_ascii_start();
    let json = match text.first() {
        Some(b'{') => inner.starts_with(b"\"") || inner.starts_with(b"}"),
        Some(b'[') => inner.starts_with(b"{"),
        _ => false,
    };
    json.then_some((
        JSON,
        Hint::Duckdb("write one object a line, or write it as Parquet", "read_json('FILE')"),
    ))
}

/// A NUL in a cell costs its row. One in the first line, or many of them, are no text at all.
fn is_binary(head: &[u8]) -> bool {
    let first_line = head.split(|byte| matches!(byte, b'\n' | b'\r')).next().unwrap_or_default();
    let nuls = head.iter().filter(|&&byte| byte == 0).count();
    first_line.contains(&0) || nuls * 10 > head.len()
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(name: &str, head: &[u8]) -> String {
        let tail = &head[head.len().saturating_sub(4)..];
        let content = Content { path: Path::new(name), bytes: head.len() as u64, head, tail, packing: None };
        match content.detect(None) {
            Ok(kind) => format!("{kind:?}"),
            Err(error) => error.problem,
        }
    }

    #[test]
    fn content_decides() {
        for (name, head, expected) in [
            ("a.csv", &b"email\nbob@example.com\n"[..], "Csv"),
            ("noextension", b"email;name\n", "Csv"),
            ("a.csv", b"\xff\xfee\0m\0a\0i\0l\0\n\0", "Csv"),
            ("a.csv", b"\0e\0m\0a\0i\0l\0\n\0b\0@\0x", "Csv"),
            ("a.csv", b"PAR1........PAR1", "Parquet"),
            ("a.parquet", b"PAR1........", "a Parquet file that was cut short: its end is missing"),
            ("a.parquet", b"PAR1", "a Parquet file that was cut short: its end is missing"),
            ("a.parquet", b"email\n", "the file is not Parquet, although it is named so"),
            ("a.parquet", b"<html><body>403", "the file is an HTML page, although it is named `.parquet`"),
            ("a.csv", b"", "the file is empty"),
            (
                "a.csv",
                b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
                "the file is a PNG image, although it is named `.csv`",
            ),
            ("a.csv", b"PK\x03\x04abc", "the file is a zip archive, although it is named `.csv`"),
            (
                "a.csv",
                b"PK\x03\x04\x14[Content_Types].xml",
                "the file is an Excel workbook (xlsx), although it is named `.csv`",
            ),
            ("a.gz", b"\x1f\x8b\x08\0", "the file is compressed with gzip twice"),
            ("a.csv", b" \n<!DOCTYPE HTML>", "the file is an HTML page, although it is named `.csv`"),
            (
                "a.csv",
                b"email\0\nbob@example.com\n",
                "the file is binary data: it holds NUL bytes, although it is named `.csv`",
            ),
            ("a.csv", b"\xff\xfe\0\0e\0\0\0", "the file is text in UTF-32, although it is named `.csv`"),
            ("a.json", b"[ {\"email\": 1}]", "the file is JSON"),
            ("a.json", b"{\n  \"email\": 1\n}\n", "the file is JSON"),
            ("a.json", b"\xef\xbb\xbf {\"email\": \"a\"}\n", "JsonLines"),
            ("a.json", b"{\"email\": oops}\n{\"email\": \"a\"}\n", "JsonLines"),
            ("a.json", b"{\"email\": \"a", "JsonLines"),
            ("a.jsonl", b"{\"email\": oops}\n", "JsonLines"),
        ] {
            assert_eq!(says(name, head), expected, "{name} {:?}", head.escape_ascii().to_string());
        }
    }
}
