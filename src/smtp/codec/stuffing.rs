//! Transparency for DATA (RFC 5321 §4.5.2): a dot at the beginning of a line is doubled, and a line
//! with one dot ends the message. Segments are split, never copied.
//!
//! Only CRLF ends a line. A bare CR or LF is content: stuffing after it would change a signed body.

use std::collections::VecDeque;

use bytes::Bytes;
use memchr::memmem;

/// The position in a line after the bytes so far.
#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    LineStart,
    AfterCr,
    Inside,
}

/// Appends `segments` to `out` with dots doubled, and the dot that ends the message. Returns the
/// number of bytes appended.
pub(crate) fn stuff(segments: impl IntoIterator<Item = Bytes>, out: &mut VecDeque<Bytes>) -> usize {
    let mut appended = 0;
    let mut append = |bytes: Bytes| {
        appended += bytes.len();
        if !bytes.is_empty() {
            out.push_back(bytes);
        }
    };
    let finder = memmem::Finder::new(b"\r\n.");
    let mut at = At::LineStart;
    for mut segment in segments {
        if segment.is_empty() {
            continue;
        }
        if let Some(dot) = leading_dot(at, &segment) {
            append(segment.slice(..=dot));
            let _ = segment.split_to(dot);
        }
        at = after(at, &segment);
        let mut from = 0;
        while let Some(found) = finder.find(&segment[from..]) {
            // Everything up to the dot, and the dot; the rest begins with the same dot.
            let dot = from + found + 2;
            append(segment.slice(..=dot));
            let _ = segment.split_to(dot);
            from = 1;
        }
        append(segment);
    }
    append(Bytes::from_static(if at == At::LineStart { b".\r\n" } else { b"\r\n.\r\n" }));
    appended
}

/// The position of a dot that begins a line, if that line, or the line end before it, began before
/// this segment.
fn leading_dot(at: At, segment: &[u8]) -> Option<usize> {
    match (at, segment) {
        (At::LineStart, [b'.', ..]) => Some(0),
        (At::AfterCr, [b'\n', b'.', ..]) => Some(1),
        _ => None,
    }
}

fn after(at: At, segment: &[u8]) -> At {
    match segment {
        [.., b'\r', b'\n'] => At::LineStart,
        [b'\n'] if at == At::AfterCr => At::LineStart,
        [.., b'\r'] => At::AfterCr,
        _ => At::Inside,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same, byte by byte.
    fn plainly(content: &[u8]) -> Vec<u8> {
        let mut wire = Vec::new();
        for (at, &byte) in content.iter().enumerate() {
            if byte == b'.' && (at == 0 || content[..at].ends_with(b"\r\n")) {
                wire.push(b'.');
            }
            wire.push(byte);
        }
        if !(content.is_empty() || content.ends_with(b"\r\n")) {
            wire.extend_from_slice(b"\r\n");
        }
        wire.extend_from_slice(b".\r\n");
        wire
    }

    fn stuffed(segments: Vec<Bytes>) -> Vec<u8> {
        let mut out = VecDeque::new();
        let appended = stuff(segments, &mut out);
        let wire: Vec<u8> = out.iter().flatten().copied().collect();
        assert_eq!(appended, wire.len());
        wire
    }

    #[test]
    fn dots_are_doubled_at_line_starts_only() {
        let check = |content: &str, wire: &str| {
            assert_eq!(String::from_utf8(stuffed(vec![Bytes::from(content.to_owned())])).unwrap(), wire);
        };
        check("", ".\r\n");
        check("a\r\n", "a\r\n.\r\n");
        check("a", "a\r\n.\r\n");
        check(".\r\n", "..\r\n.\r\n");
        check("a\r\n.\r\nb\r\n", "a\r\n..\r\nb\r\n.\r\n");
        check("a.b\r\n..c\r\n", "a.b\r\n...c\r\n.\r\n");
        check("a\n.b\r.c\r\n", "a\n.b\r.c\r\n.\r\n");
        check("\r\n.\r\n.\r\n", "\r\n..\r\n..\r\n.\r\n");
    }

    #[test]
    fn every_content_of_few_bytes_in_every_pair_of_cuts() {
        let alphabet = [b'.', b'\r', b'\n', b'a'];
        for number in 0..4_usize.pow(6) {
            let content: Vec<u8> = (0..6).map(|place| alphabet[number / 4_usize.pow(place) % 4]).collect();
            let expected = plainly(&content);
            let content = Bytes::from(content);
            for first in 0..=6 {
                for second in first..=6 {
                    let segments =
                        vec![content.slice(..first), content.slice(first..second), content.slice(second..)];
                    assert_eq!(stuffed(segments), expected, "{content:?} cut at {first} and {second}");
                }
            }
        }
    }

    #[test]
    fn segments_are_not_copied() {
        let segment = Bytes::from_static(b"one\r\n.two\r\n");
        let mut out = VecDeque::new();
        stuff([segment.clone()], &mut out);
        assert_eq!(out[0].as_ptr(), segment.as_ptr());
        assert_eq!(out[1].as_ptr(), segment[5..].as_ptr());
    }
}
