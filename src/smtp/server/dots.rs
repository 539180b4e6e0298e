//! Content as DATA sends it: finds its end and removes the stuffed dots (RFC 5321 §4.5.2).
//!
//! Only CRLF `.` CRLF ends the content. A bare CR or LF is content like any other byte, so no
//! message can be smuggled in after a dot between them.

use memchr::memmem;

/// The position of the next byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// At the start of a line: after 354 or a CRLF.
    Start,
    /// Within a line.
    Text,
    /// After a CR within a line.
    Cr,
    /// After a dot at the start of a line; the dot is dropped.
    Dot,
    /// After such a dot and a CR that has not been passed on yet.
    DotCr,
}

/// Reads the content of one message, in pieces of any size.
#[derive(Debug)]
pub(crate) struct Dots {
    at: At,
}

impl Dots {
    pub(crate) fn new() -> Self {
        Self { at: At::Start }
    }

    /// Reads on: passes the content to `sink` in slices and advances `input` past what it has read.
    /// Returns true when the end has been read; what is left of `input` are commands.
    pub(crate) fn read(&mut self, input: &mut &[u8], mut sink: impl FnMut(&[u8])) -> bool {
        while let Some(&byte) = input.first() {
            match self.at {
                At::Start if byte == b'.' => {
                    self.at = At::Dot;
                    *input = &input[1..];
                }
                At::Start => self.at = At::Text,
                At::Dot if byte == b'\r' => {
                    self.at = At::DotCr;
                    *input = &input[1..];
                }
                At::Dot => self.at = At::Text,
                At::DotCr if byte == b'\n' => {
                    *input = &input[1..];
                    return true;
                }
                At::DotCr => {
                    sink(b"\r");
                    self.at = At::Cr;
                }
                At::Cr if byte == b'\n' => {
                    sink(b"\n");
                    self.at = At::Start;
                    *input = &input[1..];
                }
                At::Cr => self.at = At::Text,
                At::Text => self.text(input, &mut sink),
            }
        }
        false
    }

    /// The fast path: up to the next line that starts with a dot, or to the end of the input.
    fn text(&mut self, input: &mut &[u8], sink: &mut impl FnMut(&[u8])) {
        let (content, rest) = match memmem::find(input, b"\r\n.") {
            Some(end) => input.split_at(end + 2),
            None => (*input, &[][..]),
        };
        sink(content);
        *input = rest;
        self.at = match content {
            [.., b'\r', b'\n'] => At::Start,
            [.., b'\r'] => At::Cr,
            _ => At::Text,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Reads `wire` in pieces cut at `cuts`: the content and what is left after its end.
    fn read(wire: &[u8], cuts: &[usize]) -> (Vec<u8>, Option<Vec<u8>>) {
        let (mut dots, mut content, mut from) = (Dots::new(), Vec::new(), 0);
        for &cut in cuts.iter().chain([&wire.len()]) {
            let mut piece = &wire[from..cut];
            if dots.read(&mut piece, |slice| content.extend_from_slice(slice)) {
                return (content, Some([piece, &wire[cut..]].concat()));
            }
            assert!(piece.is_empty(), "everything is read until the end has come");
            from = cut;
        }
        (content, None)
    }

    /// Whole, in two pieces cut anywhere, and byte by byte.
    fn reads(wire: &str, content: &str, rest: Option<&str>) {
        let expected = (content.as_bytes().to_vec(), rest.map(|rest| rest.as_bytes().to_vec()));
        for cut in 0..=wire.len() {
            assert_eq!(read(wire.as_bytes(), &[cut]), expected, "{wire:?} cut at {cut}");
        }
        let every: Vec<usize> = (0..wire.len()).collect();
        assert_eq!(read(wire.as_bytes(), &every), expected, "{wire:?} byte by byte");
    }

    #[test]
    fn dots_are_removed_and_the_end_is_found() {
        reads("a\r\n.\r\nQUIT\r\n", "a\r\n", Some("QUIT\r\n"));
        reads(".\r\n", "", Some(""));
        reads("\r\n.\r\n", "\r\n", Some(""));
        reads("..\r\n...a\r\nb..c\r\n.\r\n", ".\r\n..a\r\nb..c\r\n", Some(""));
        reads(".a\r\n.\r\n", "a\r\n", Some(""));
        reads("a\r\n.b\r\n..\r\n.\r\nMAIL", "a\r\nb\r\n.\r\n", Some("MAIL"));
        reads("a\r\r\n.\r\n", "a\r\r\n", Some(""));
        reads("a\r\n", "a\r\n", None);
    }

    #[test]
    fn nothing_else_ends_the_content() {
        reads("a\n.\nb\r\n.\r\n", "a\n.\nb\r\n", Some(""));
        reads("a\r\n.\nb\r\n.\r\n", "a\r\n\nb\r\n", Some(""));
        reads("a\n.\r\nb\r\n.\r\n", "a\n.\r\nb\r\n", Some(""));
        reads("a\r.\rb\r\n.\r\n", "a\r.\rb\r\n", Some(""));
        reads("a\r\n.\rb\r\n.\r\n", "a\r\n\rb\r\n", Some(""));
        reads("a\r.\r\nb\r\n.\r\n", "a\r.\r\nb\r\n", Some(""));
        reads("a\r\n.\r\r\nb\r\n.\r\n", "a\r\n\r\r\nb\r\n", Some(""));
        reads("a\r\n.\r.\r\n", "a\r\n\r.\r\n", None);
        reads("\n.\r\n", "\n.\r\n", None);
    }

    /// The rule of RFC 5321 §4.5.2, by lines: what a sender does to content that ends in CRLF.
    fn stuffed(content: &[u8]) -> Vec<u8> {
        let mut wire = Vec::new();
        for (i, &byte) in content.iter().enumerate() {
            if byte == b'.' && (i == 0 || content[..i].ends_with(b"\r\n")) {
                wire.push(b'.');
            }
            wire.push(byte);
        }
        [wire, b".\r\n".to_vec()].concat()
    }

    proptest! {
        #[test]
        fn what_was_stuffed_comes_out_however_it_is_cut(
            text in "[a.\r\n]{0,40}",
            mut cuts in prop::collection::vec(0..60_usize, 0..6),
        ) {
            let content = if text.is_empty() { String::new() } else { format!("{text}\r\n") };
            let wire = [stuffed(content.as_bytes()), b"NOOP\r\n".to_vec()].concat();
            cuts.iter_mut().for_each(|cut| *cut = (*cut).min(wire.len()));
            cuts.sort_unstable();
            prop_assert_eq!(read(&wire, &cuts), (content.into_bytes(), Some(b"NOOP\r\n".to_vec())));
        }
    }
}
