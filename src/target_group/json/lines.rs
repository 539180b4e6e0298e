//! The lines of a text, as a stream in constant memory.

use std::io::{self, BufRead, BufReader, Read};

use super::text;

/// A longer line is no row.
const MAX_LINE_BYTES: usize = 4 * 1024 * 1024;
const BUFFER_BYTES: usize = 256 * 1024;

/// The lines of a text that hold more than white space.
pub(super) struct Lines<R> {
    source: BufReader<R>,
    /// The number of the last line.
    line: u64,
    text: Vec<u8>,
}

/// One line.
pub(super) struct Line<'a> {
    /// Its number, from 1.
    pub number: u64,
    /// Its text with its end; none if it is too long.
    pub text: Option<&'a [u8]>,
}

impl<R: Read> Lines<R> {
    pub(super) fn new(source: R) -> Self {
        Self { source: BufReader::with_capacity(BUFFER_BYTES, source), line: 0, text: Vec::new() }
    }

    /// The next line, or none at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        loop {
            self.text.clear();
            let most = MAX_LINE_BYTES as u64 + 1;
            if self.source.by_ref().take(most).read_until(b'\n', &mut self.text)? == 0 {
                return Ok(None);
            }
            self.line += 1;
            let is_whole = self.text.len() <= MAX_LINE_BYTES || self.text.ends_with(b"\n");
            if !is_whole {
                self.source.skip_until(b'\n')?;
            }
            if !is_whole || !self.text.trim_ascii().is_empty() {
                break;
            }
        }
        let is_whole = self.text.len() <= MAX_LINE_BYTES || self.text.ends_with(b"\n");
        Ok(Some(Line { number: self.line, text: is_whole.then_some(&self.text) }))
    }
}

/// Whether a text that starts with `head` holds objects, one a line.
pub(in crate::target_group) fn holds_objects(head: &[u8]) -> bool {
    let mut lines = head.split_inclusive(|&byte| byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
    let is_object = |line: &[u8]| std::str::from_utf8(line).is_ok_and(|line| text::object(line).is_ok());
    // A first line that is longer than what is known of the text.
    let is_cut = |line: &[u8]| !line.ends_with(b"\n") && begins_an_object(line);
    lines.next().is_some_and(|first| is_object(first) || is_cut(first)) || lines.any(is_object)
}

fn begins_an_object(line: &[u8]) -> bool {
    line.trim_ascii_start().strip_prefix(b"{").is_some_and(|rest| rest.trim_ascii_start().starts_with(b"\""))
}
