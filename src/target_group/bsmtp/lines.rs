//! The lines of a batch SMTP file, with their places, as a stream in constant memory.

use std::io::{self, BufRead, BufReader, Read};

/// Of longer lines only so much is kept: both commands and text are shorter (RFC 5321 §4.5.3.1).
const KEPT_BYTES: usize = 8 * 1024;
const BUFFER_BYTES: usize = 256 * 1024;

/// What a line ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Lf,
    CrLf,
    /// The file ends.
    None,
}

/// One line.
#[derive(Debug)]
pub(super) struct Line<'a> {
    /// From 1.
    pub number: u64,
    /// The byte of the file that it starts with.
    pub start: u64,
    /// Its text without its end, cut where it is too long.
    pub text: &'a [u8],
    /// With its end, as it is in the file, cut where it is too long.
    pub whole: &'a [u8],
    /// How many bytes it has without its end.
    pub bytes: u64,
    pub end: End,
}

pub(super) struct Lines<R> {
    source: BufReader<R>,
    number: u64,
    at: u64,
    text: Vec<u8>,
}

impl<R: Read> Lines<R> {
    pub(super) fn new(source: R) -> Self {
        let source = BufReader::with_capacity(BUFFER_BYTES, source);
        Self { source, number: 0, at: 0, text: Vec::new() }
    }

    /// The byte after the last line.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    /// The next line, or none at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        self.text.clear();
        let kept = self.source.by_ref().take(KEPT_BYTES as u64).read_until(b'\n', &mut self.text)?;
        if kept == 0 {
            return Ok(None);
        }
        let start = self.at;
        let mut bytes = kept as u64;
        let mut end = match self.text.as_slice() {
            [.., b'\r', b'\n'] => End::CrLf,
            [.., b'\n'] => End::Lf,
            _ => End::None,
        };
        if end == End::None && kept == KEPT_BYTES {
            (bytes, end) = self.pass_over(bytes)?;
        }
        self.at += bytes;
        self.number += 1;
        let ended_by = match end {
            End::Lf => 1,
            End::CrLf => 2,
            End::None => 0,
        };
        let length = bytes - ended_by;
        let text = &self.text[..self.text.len().min(length as usize)];
        Ok(Some(Line { number: self.number, start, text, whole: &self.text, bytes: length, end }))
    }

    /// Passes over the rest of a line that is too long: how many bytes it has in all, and its end.
    fn pass_over(&mut self, mut bytes: u64) -> io::Result<(u64, End)> {
        let mut last = self.text.last().copied();
        loop {
            let buffer = match self.source.fill_buf() {
                Ok(buffer) => buffer,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if buffer.is_empty() {
                return Ok((bytes, End::None));
            }
            let found = memchr::memchr(b'\n', buffer);
            let taken = found.map_or(buffer.len(), |at| at + 1);
            let before = taken.checked_sub(2).map(|at| buffer[at]).or(last);
            last = Some(buffer[taken - 1]);
            self.source.consume(taken);
            bytes += taken as u64;
            if found.is_some() {
                return Ok((bytes, if before == Some(b'\r') { End::CrLf } else { End::Lf }));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_their_places_whatever_their_length() {
        let long = "x".repeat(3 * KEPT_BYTES);
        let text = format!("HELO a\r\n\n{long}\r\nb\n{long}");
        let mut lines = Lines::new(text.as_bytes());
        let mut seen = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            assert!(line.text.len() <= KEPT_BYTES && !line.text.contains(&b'\n'));
            seen.push((line.number, line.start, line.bytes, line.end));
        }
        let length = long.len() as u64;
        let expected = [
            (1, 0, 6, End::CrLf),
            (2, 8, 0, End::Lf),
            (3, 9, length, End::CrLf),
            (4, 11 + length, 1, End::Lf),
            (5, 13 + length, length, End::None),
        ];
        assert_eq!(seen, expected);
        assert_eq!(lines.at(), text.len() as u64);
    }
}
