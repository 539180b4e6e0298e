//! Command lines: they end with CRLF, are text, and have a bounded length (RFC 5321 §2.3.8).

use memchr::memchr;

/// The longest command line with its CRLF; RFC 5321 §4.5.3.1.4 requires 512 and what extensions
/// add.
pub(crate) const LONGEST_COMMAND: usize = 2048;

/// What the input begins with.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line<'a> {
    /// No whole line yet.
    Part,
    /// A line: its bytes, and its text without CRLF.
    Whole(&'a [u8], &'a str),
    /// A line that is none, and why. It has been read.
    Refused(&'static str),
}

/// Reads lines from input that comes in pieces.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    /// The rest of a line that is too long is left.
    is_skipping: bool,
}

impl Lines {
    /// Reads one line: advances `input` past it.
    pub(crate) fn next<'a>(&mut self, input: &mut &'a [u8]) -> Line<'a> {
        if self.is_skipping {
            let Some(end) = memchr(b'\n', input) else {
                *input = &[];
                return Line::Part;
            };
            *input = &input[end + 1..];
            self.is_skipping = false;
            return Line::Refused("Error: line too long");
        }
        let Some(end) = memchr(b'\n', &input[..input.len().min(LONGEST_COMMAND)]) else {
            if input.len() < LONGEST_COMMAND {
                return Line::Part;
            }
            self.is_skipping = true;
            return self.next(input);
        };
        let (line, rest) = input.split_at(end + 1);
        *input = rest;
        // RFC 5321 §2.3.8: lines end with CRLF and nothing else.
        let Some(text) = line.strip_suffix(b"\r\n").filter(|text| memchr(b'\r', text).is_none()) else {
            return Line::Refused("Error: line does not end with <CR><LF>");
        };
        match std::str::from_utf8(text) {
            Ok(text) if !text.contains('\0') => Line::Whole(line, text),
            Ok(_) | Err(_) => Line::Refused("Error: line is not UTF-8 text"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_with_crlf_and_nothing_else() {
        let check = |input: &str, line, rest: &str| {
            let mut left = input.as_bytes();
            assert_eq!(Lines::default().next(&mut left), line, "{input:?}");
            assert_eq!(left, rest.as_bytes(), "{input:?}");
        };
        check("NOOP\r\nQUIT\r\n", Line::Whole(b"NOOP\r\n", "NOOP"), "QUIT\r\n");
        check("NOOP\r", Line::Part, "NOOP\r");
        for bad in ["NOOP\n", "NO\rOP\r\n", "NOOP\r\r\n"] {
            check(bad, Line::Refused("Error: line does not end with <CR><LF>"), "");
        }
        check("NO\0OP\r\n", Line::Refused("Error: line is not UTF-8 text"), "");
    }

    #[test]
    fn a_line_that_is_too_long_is_skipped_to_its_end() {
        let long = "x".repeat(3 * LONGEST_COMMAND);
        let mut lines = Lines::default();
        let mut input = long.as_bytes();
        assert_eq!(lines.next(&mut input), Line::Part);
        assert_eq!(input, b"", "nothing of it is kept");
        let mut input = &b"x\r\nNOOP\r\n"[..];
        assert_eq!(lines.next(&mut input), Line::Refused("Error: line too long"));
        assert_eq!(lines.next(&mut input), Line::Whole(b"NOOP\r\n", "NOOP"));
    }
}
