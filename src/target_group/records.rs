//! Splits a CSV file's text into records, as a stream in constant memory (RFC 4180, with any of the
//! usual delimiters and with LF, CRLF and CR line ends, mixed too).
//!
//! A record without quotes is split in place; one with quotes goes through the crate `csv`. Its
//! quoting is checked first, which `csv` does not do: an unclosed quote must not swallow the rows
//! after it. So a record with faulty quoting ends with its first line, and the next record starts
//! on the next line.
//!
//! An empty line is not a record.

use std::io::{self, Read};

use csv::ByteRecord;

/// Longer records are unreadable; the end of a quote is searched no further.
const MAX_RECORD_BYTES: usize = 4 * 1024 * 1024;

/// Fits the L2 cache.
const BUFFER_BYTES: usize = 256 * 1024;

/// The free space before each read.
const READ_BYTES: usize = 64 * 1024;

/// The records of a text.
pub(super) struct Records<R> {
    source: R,
    classes: [Class; 256],
    /// `at..filled` is read but not yet returned.
    buffer: Vec<u8>,
    at: usize,
    filled: usize,
    ended: bool,
    /// Whether the rest of an overlong line is being skipped.
    skipping: bool,
    /// The line at `at`.
    line: u64,
    /// Where the fields of a record without quotes end.
    ends: Vec<usize>,
    unquote: Unquote,
}

/// One record.
#[derive(Debug)]
pub(super) struct Record<'a> {
    /// The line it starts on, from 1.
    pub line: u64,
    /// How many lines it spans.
    pub lines: u64,
    /// Its fields, if they can be split.
    pub fields: Result<Fields<'a>, Fault<'a>>,
}

/// The fields of a record.
#[derive(Debug)]
pub(super) enum Fields<'a> {
    /// The text, and where each field ends.
    Plain(&'a [u8], &'a [usize]),
    /// Without their quotes.
    Unquoted(&'a ByteRecord),
}

/// A record whose fields can't be split.
#[derive(Debug)]
pub(super) struct Fault<'a> {
    pub what: FaultKind,
    /// Its first line.
    pub text: &'a [u8],
}

/// Why the fields of a record can't be split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum FaultKind {
    #[error("a quote inside a field that does not begin with one")]
    Stray,
    #[error("text after the closing quote of a field (a quote inside it is written twice)")]
    AfterClosing,
    #[error("a quote that is never closed")]
    Unclosed,
    #[error("longer than 4 MiB")]
    TooLong,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Other,
    Delimiter,
    LineFeed,
    Return,
    Quote,
}

/// What the text starts with. `length` is the record's without its line end, `next` is with it.
#[derive(Debug, PartialEq, Eq)]
enum Scan {
    Nothing,
    /// More text is needed.
    More,
    EmptyLine {
        next: usize,
    },
    Plain {
        length: usize,
        next: usize,
    },
    Quoted {
        length: usize,
        next: usize,
    },
    Fault(FaultKind),
}

impl<R: Read> Records<R> {
    pub(super) fn new(source: R, delimiter: u8) -> Self {
        Self {
            source,
            classes: classes(delimiter),
            buffer: vec![0; BUFFER_BYTES],
            at: 0,
            filled: 0,
            ended: false,
            skipping: false,
            line: 1,
            ends: Vec::new(),
            unquote: Unquote::new(delimiter),
        }
    }

    /// The next record, or none at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<Record<'_>>> {
        if self.skipping && !self.pass_over_line()? {
            return Ok(None);
        }
        let fault = loop {
            let text = &self.buffer[self.at..self.filled];
            match scan(text, self.ended, &self.classes, &mut self.ends) {
                Scan::Nothing => return Ok(None),
                Scan::EmptyLine { next } => {
                    self.at += next;
                    self.line += 1;
                }
                Scan::More if text.len() > MAX_RECORD_BYTES => {
                    break if line_end(text, true).is_some() {
                        FaultKind::Unclosed
                    } else {
                        FaultKind::TooLong
                    };
                }
                Scan::More => self.fill()?,
                Scan::Plain { length, .. } | Scan::Quoted { length, .. } if length > MAX_RECORD_BYTES => {
                    break FaultKind::TooLong;
                }
                Scan::Plain { length, next } => {
                    let start = self.advance(next, 1);
                    let text = &self.buffer[start..start + length];
                    let fields = Ok(Fields::Plain(text, &self.ends));
                    return Ok(Some(Record { line: self.line - 1, lines: 1, fields }));
                }
                Scan::Quoted { length, next } => {
                    let lines = 1 + line_ends(&text[..length]);
                    let start = self.advance(next, lines);
                    let record = self.unquote.fields(&self.buffer[start..start + length])?;
                    let fields = Ok(Fields::Unquoted(record));
                    return Ok(Some(Record { line: self.line - lines, lines, fields }));
                }
                Scan::Fault(what) => break what,
            }
        };
        self.end_with_line(fault).map(Some)
    }

    /// Skips a record and its line end; returns where it started.
    fn advance(&mut self, next: usize, lines: u64) -> usize {
        let start = self.at;
        self.at += next;
        self.line += lines;
        start
    }

    /// Ends a faulty record with its first line.
    fn end_with_line(&mut self, what: FaultKind) -> io::Result<Record<'_>> {
        let (length, next) = loop {
            let text = &self.buffer[self.at..self.filled];
            if let Some(end) = line_end(text, self.ended) {
                break end;
            }
            if self.ended {
                break (text.len(), text.len());
            }
            if text.len() > MAX_RECORD_BYTES {
                self.skipping = true;
                break (text.len(), text.len());
            }
            self.fill()?;
        };
        let start = self.advance(next, 1);
        let fault = Fault { what, text: &self.buffer[start..start + length] };
        Ok(Record { line: self.line - 1, lines: 1, fields: Err(fault) })
    }

    /// Skips the rest of a line that is already counted; false if the text ends with it.
    fn pass_over_line(&mut self) -> io::Result<bool> {
        loop {
            let text = &self.buffer[self.at..self.filled];
            if let Some((_, next)) = line_end(text, self.ended) {
                self.at += next;
                self.skipping = false;
                return Ok(true);
            }
            if self.ended {
                self.at = self.filled;
                return Ok(false);
            }
            // A carriage return at the end needs the next byte.
            self.at = if text.ends_with(b"\r") { self.filled - 1 } else { self.filled };
            self.fill()?;
        }
    }

    /// Appends more text.
    fn fill(&mut self) -> io::Result<()> {
        self.buffer.copy_within(self.at..self.filled, 0);
        self.filled -= self.at;
        self.at = 0;
        if self.buffer.len() - self.filled < READ_BYTES {
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
        loop {
            match self.source.read(&mut self.buffer[self.filled..]) {
                Ok(count) => {
                    self.filled += count;
                    self.ended = count == 0;
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

fn classes(delimiter: u8) -> [Class; 256] {
    let mut classes = [Class::Other; 256];
    classes[usize::from(delimiter)] = Class::Delimiter;
    classes[usize::from(b'\n')] = Class::LineFeed;
    classes[usize::from(b'\r')] = Class::Return;
    classes[usize::from(b'"')] = Class::Quote;
    classes
}

/// Finds the end of the first record in `text`; if it has no quotes, `ends` gets the ends of its
/// fields.
fn scan(text: &[u8], ended: bool, classes: &[Class; 256], ends: &mut Vec<usize>) -> Scan {
    ends.clear();
    for (index, &byte) in text.iter().enumerate() {
        match classes[usize::from(byte)] {
            Class::Other => {}
            Class::Delimiter => ends.push(index),
            Class::Quote => return scan_quoted(text, ended, classes),
            Class::LineFeed | Class::Return => {
                let Some(next) = after_line_end(text, index, ended) else { return Scan::More };
                if index == 0 {
                    return Scan::EmptyLine { next };
                }
                ends.push(index);
                return Scan::Plain { length: index, next };
            }
        }
    }
    match text.len() {
        _ if !ended => Scan::More,
        0 => Scan::Nothing,
        length => {
            ends.push(length);
            Scan::Plain { length, next: length }
        }
    }
}

/// Finds the end of a record with a quote in it, if its quoting is that of RFC 4180 §2.5 to §2.7.
fn scan_quoted(text: &[u8], ended: bool, classes: &[Class; 256]) -> Scan {
    let mut at = 0;
    loop {
        let quoted = text.get(at) == Some(&b'"');
        if quoted {
            at = match closing_quote(text, at + 1) {
                Some(closing) => closing + 1,
                None if ended => return Scan::Fault(FaultKind::Unclosed),
                None => return Scan::More,
            };
        } else {
            at += text[at..]
                .iter()
                .position(|&byte| classes[usize::from(byte)] != Class::Other)
                .unwrap_or(text.len() - at);
        }
        let Some(&byte) = text.get(at) else {
            return if ended { Scan::Quoted { length: at, next: at } } else { Scan::More };
        };
        match classes[usize::from(byte)] {
            Class::Delimiter => at += 1,
            Class::LineFeed | Class::Return => {
                return match after_line_end(text, at, ended) {
                    Some(next) => Scan::Quoted { length: at, next },
                    None => Scan::More,
                };
            }
            Class::Other | Class::Quote if quoted => {
                // On a later line, the supposed closing quote opens a field there.
                let later = line_end(&text[..at], true).is_some();
                return Scan::Fault(if later { FaultKind::Unclosed } else { FaultKind::AfterClosing });
            }
            Class::Other | Class::Quote => return Scan::Fault(FaultKind::Stray),
        }
    }
}

/// The quote that closes the field whose text begins at `at`; a doubled one is text.
fn closing_quote(text: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let quote = at + text.get(at..)?.iter().position(|&byte| byte == b'"')?;
        if text.get(quote + 1) != Some(&b'"') {
            return Some(quote);
        }
        at = quote + 2;
    }
}

/// Where the next line starts after the line end at `at`; none if more text is needed.
fn after_line_end(text: &[u8], at: usize, ended: bool) -> Option<usize> {
    match (text[at], text.get(at + 1)) {
        (b'\r', Some(b'\n')) => Some(at + 2),
        (b'\r', None) if !ended => None,
        _ => Some(at + 1),
    }
}

/// The first line of `text`: its length without and with its line end.
fn line_end(text: &[u8], ended: bool) -> Option<(usize, usize)> {
    let length = text.iter().position(|&byte| matches!(byte, b'\n' | b'\r'))?;
    Some((length, after_line_end(text, length, ended)?))
}

fn line_ends(text: &[u8]) -> u64 {
    let mut count = 0;
    let mut previous = 0;
    for &byte in text {
        count += u64::from(byte == b'\r' || (byte == b'\n' && previous != b'\r'));
        previous = byte;
    }
    count
}

impl<'a> Fields<'a> {
    pub(super) fn len(&self) -> usize {
        match self {
            Fields::Plain(_, ends) => ends.len(),
            Fields::Unquoted(record) => record.len(),
        }
    }

    pub(super) fn get(&self, index: usize) -> Option<&'a [u8]> {
        match self {
            Fields::Plain(text, ends) => {
                let start = if index == 0 { 0 } else { ends.get(index - 1)? + 1 };
                Some(&text[start..*ends.get(index)?])
            }
            Fields::Unquoted(record) => record.get(index),
        }
    }

    /// Calls `take` with each field in turn.
    #[inline]
    pub(super) fn each(&self, mut take: impl FnMut(usize, &'a [u8])) {
        match self {
            Fields::Plain(text, ends) => {
                let mut start = 0;
                for (index, &end) in ends.iter().enumerate() {
                    take(index, &text[start..end]);
                    start = end + 1;
                }
            }
            Fields::Unquoted(record) => {
                record.iter().enumerate().for_each(|(index, field)| take(index, field))
            }
        }
    }
}

impl<'a> Fault<'a> {
    /// The field at `index`, if it is before the fault and contains no quote.
    pub(super) fn get(&self, index: usize, delimiter: u8) -> Option<&'a [u8]> {
        let mut rest = self.text;
        for _ in 0..index {
            rest = split_field(rest, delimiter)?.1;
        }
        split_field(rest, delimiter).map(|(field, _)| field)
    }
}

/// The first field of `text` and the text after its delimiter; none if its quoting is faulty or not
/// closed here.
fn split_field(text: &[u8], delimiter: u8) -> Option<(&[u8], &[u8])> {
    let (field, rest) = match text.strip_prefix(b"\"") {
        Some(inner) => {
            let closing = closing_quote(inner, 0)?;
            (&inner[..closing], &inner[closing + 1..])
        }
        None => text.split_at(text.iter().position(|&byte| byte == delimiter)?),
    };
    (!field.contains(&b'"') && rest.first() == Some(&delimiter)).then(|| (field, &rest[1..]))
}

/// The crate `csv`, one record at a time: its reader never reaches the end, so it is reused for the
/// next record.
struct Unquote {
    reader: csv::Reader<Feed>,
    record: ByteRecord,
}

/// One record and its line feed.
#[derive(Default)]
struct Feed {
    text: Vec<u8>,
    at: usize,
}

impl Read for Feed {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = (&self.text[self.at..]).read(out)?;
        self.at += count;
        Ok(count)
    }
}

impl Unquote {
    fn new(delimiter: u8) -> Self {
        let reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(delimiter)
            .from_reader(Feed::default());
        let mut unquote = Self { reader, record: ByteRecord::new() };
        // `csv` strips a byte order mark from the first record; make that this one.
        unquote.fields(b"x").expect("a word in memory is a record");
        unquote
    }

    fn fields(&mut self, record: &[u8]) -> io::Result<&ByteRecord> {
        let feed = self.reader.get_mut();
        feed.text.clear();
        feed.text.extend_from_slice(record);
        feed.text.push(b'\n');
        feed.at = 0;
        self.reader.read_byte_record(&mut self.record).map_err(io::Error::other)?;
        Ok(&self.record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_bounded_whatever_the_text() {
        let line = format!("b,{}\n", "c".repeat(5000));
        for (first, rest) in [("a,\"", line.as_str()), ("a,", "x"), ("", &line)] {
            let text: Vec<u8> =
                first.bytes().chain(rest.bytes().cycle()).take(3 * MAX_RECORD_BYTES).collect();
            let mut records = Records::new(&text[..], b',');
            while records.next().unwrap().is_some() {}
            assert!(records.buffer.len() <= 2 * MAX_RECORD_BYTES, "{first:?} {}", records.buffer.len());
        }
    }
}
