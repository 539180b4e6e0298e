//! The content of a message as it arrives: its size, violations of RFC 5321, and the part to keep.

use memchr::{memchr, memchr2_iter, memmem};

/// The longest line without its CRLF (RFC 5321 §4.5.3.1.6).
const LONGEST_LINE: usize = 998;

/// How much of the header section is searched for `Message-ID` if the message is not kept.
const SEARCHED_HEADER: usize = 64 * 1024;

/// What is wrong with a message's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Offence {
    BareCr,
    BareLf,
    Nul,
    LongLine,
    /// Bytes above 127 without `BODY=8BITMIME`.
    EightBit,
    /// Bytes above 127 in the header section without `SMTPUTF8`.
    Utf8Header,
}

/// How much of the content to keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Want {
    Nothing,
    MessageId,
    All,
}

/// The body type that the envelope has announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Body {
    SevenBit,
    EightBit,
    Binary,
}

/// The content so far.
#[derive(Debug)]
pub(crate) struct Content {
    /// Bytes without dot-stuffing.
    pub bytes: u64,
    /// The first violation.
    pub offence: Option<Offence>,
    max_size: u64,
    want: Want,
    kept: Vec<u8>,
    check: Option<Check>,
}

/// The state of the checks between two pieces.
#[derive(Debug)]
struct Check {
    body: Body,
    smtp_utf8: bool,
    /// Octets of the current line so far.
    line: usize,
    /// The last byte was a CR.
    cr: bool,
    in_header: bool,
}

impl Content {
    pub(crate) fn new(max_size: u64, want: Want, check: bool, body: Body, smtp_utf8: bool) -> Self {
        let check = check.then_some(Check { body, smtp_utf8, line: 0, cr: false, in_header: true });
        Self { bytes: 0, offence: None, max_size, want, kept: Vec::new(), check }
    }

    /// Adds the next piece.
    pub(crate) fn push(&mut self, slice: &[u8]) {
        self.bytes += slice.len() as u64;
        if self.too_large() {
            self.kept = Vec::new();
            return;
        }
        if let Some(check) = &mut self.check
            && self.offence.is_none()
        {
            self.offence = check.slice(slice);
        }
        match self.want {
            Want::Nothing => {}
            Want::MessageId => {
                let room = SEARCHED_HEADER.saturating_sub(self.kept.len());
                self.kept.extend_from_slice(&slice[..slice.len().min(room)]);
            }
            Want::All => self.kept.extend_from_slice(slice),
        }
    }

    /// True when the content exceeds the limit; then nothing is kept.
    pub(crate) fn too_large(&self) -> bool {
        self.bytes > self.max_size
    }

    /// Ends the content.
    pub(crate) fn end(&mut self) {
        if self.check.as_ref().is_some_and(|check| check.cr) && self.offence.is_none() {
            self.offence = Some(Offence::BareCr);
        }
    }

    /// The value of `Message-ID` without angle brackets; empty if there is none or it was not to be
    /// kept.
    pub(crate) fn message_id(&self) -> String {
        message_id(&self.kept).unwrap_or_default()
    }

    /// The whole content, if all of it was to be kept.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        if self.want == Want::All { self.kept } else { Vec::new() }
    }
}

impl Check {
    fn slice(&mut self, slice: &[u8]) -> Option<Offence> {
        if self.body == Body::Binary {
            return None;
        }
        if memchr(0, slice).is_some() {
            return Some(Offence::Nul);
        }
        let ascii = slice.is_ascii();
        if !ascii && self.body == Body::SevenBit {
            return Some(Offence::EightBit);
        }
        let mut from = 0;
        for at in memchr2_iter(b'\r', b'\n', slice) {
            if self.cr && at != from {
                return Some(Offence::BareCr);
            }
            let text = &slice[from..at];
            self.line += text.len();
            if self.in_header && !ascii && !self.smtp_utf8 && !text.is_ascii() {
                return Some(Offence::Utf8Header);
            }
            match (self.cr, slice[at]) {
                (false, b'\r') => self.cr = true,
                (true, b'\n') => {
                    if self.line > LONGEST_LINE {
                        return Some(Offence::LongLine);
                    }
                    self.in_header &= self.line > 0;
                    (self.cr, self.line) = (false, 0);
                }
                (true, _) => return Some(Offence::BareCr),
                (false, _) => return Some(Offence::BareLf),
            }
            from = at + 1;
        }
        let text = &slice[from..];
        if self.cr && !text.is_empty() {
            return Some(Offence::BareCr);
        }
        self.line += text.len();
        if self.line > LONGEST_LINE {
            return Some(Offence::LongLine);
        }
        (self.in_header && !ascii && !self.smtp_utf8 && !text.is_ascii()).then_some(Offence::Utf8Header)
    }
}

/// The first `Message-ID` field of the header section, which may be folded.
fn message_id(content: &[u8]) -> Option<String> {
    const NAME: &[u8] = b"Message-ID:";
    let mut at = 0;
    loop {
        let line = &content[at..];
        if line.is_empty() || line.starts_with(b"\r\n") {
            return None;
        }
        if line.get(..NAME.len()).is_some_and(|name| name.eq_ignore_ascii_case(NAME)) {
            let mut value = Vec::new();
            for (i, part) in line[NAME.len()..].split(|&b| b == b'\n').enumerate() {
                if i > 0 && !part.starts_with(b" ") && !part.starts_with(b"\t") {
                    break;
                }
                value.extend_from_slice(part);
            }
            let value = String::from_utf8_lossy(&value);
            let value = value.trim();
            let inner = value.strip_prefix('<').and_then(|value| value.strip_suffix('>'));
            return Some(inner.unwrap_or(value).to_owned());
        }
        at += memmem::find(line, b"\r\n")? + 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The violation, which must be the same however the content is cut: in two anywhere, and byte
    /// by byte.
    fn offence(content: &[u8], body: Body, smtp_utf8: bool) -> Option<Offence> {
        let of = |pieces: &mut dyn Iterator<Item = &[u8]>| {
            let mut all = Content::new(1 << 20, Want::Nothing, true, body, smtp_utf8);
            pieces.for_each(|piece| all.push(piece));
            all.end();
            all.offence
        };
        let mut found = vec![of(&mut content.chunks(1))];
        found.extend((0..=content.len()).map(|cut| of(&mut [&content[..cut], &content[cut..]].into_iter())));
        assert!(found.iter().all(|one| *one == found[0]), "depends on the cut: {found:?}");
        found[0]
    }

    #[test]
    fn forbidden_content_is_found() {
        let check = |content: &str, found| {
            assert_eq!(offence(content.as_bytes(), Body::EightBit, false), found, "{content:?}");
        };
        check("A: b\r\n\r\ntext\r\n", None);
        check("", None);
        check("A: b\r\n\r\nte\nxt\r\n", Some(Offence::BareLf));
        check("A: b\r\n\r\nte\rxt\r\n", Some(Offence::BareCr));
        check("A: b\r\n\r\ntext\r\r\n", Some(Offence::BareCr));
        check("A: b\r\n\r\nte\rx\n", Some(Offence::BareCr));
        check("A: b\r\n\r\ntext\r", Some(Offence::BareCr));
        check("A: b\r\n\r\nte\0xt\r\n", Some(Offence::Nul));
        check("A: é\r\n\r\n", Some(Offence::Utf8Header));
        check("A: b\r\n\r\né\r\n", None);
        check(&format!("A: b\r\n\r\n{}\r\n", "x".repeat(998)), None);
        check(&format!("A: b\r\n\r\n{}\r\n", "x".repeat(999)), Some(Offence::LongLine));
    }

    #[test]
    fn what_the_envelope_announced_may_come() {
        let text = "A: é\r\n\r\nü\r\n".as_bytes();
        assert_eq!(offence(text, Body::SevenBit, false), Some(Offence::EightBit));
        assert_eq!(offence(text, Body::EightBit, false), Some(Offence::Utf8Header));
        assert_eq!(offence(text, Body::EightBit, true), None);
        assert_eq!(offence(b"A: b\r\n\r\n\0\r\n\n\r", Body::Binary, false), None);
    }

    #[test]
    fn only_what_is_wanted_is_kept() {
        let message = b"Subject: x\r\nmessage-id:\r\n <a.b@c>\r\n\r\nMessage-ID: <no>\r\n";
        for (want, id, kept) in
            [(Want::Nothing, "", &b""[..]), (Want::MessageId, "a.b@c", b""), (Want::All, "a.b@c", message)]
        {
            let mut content = Content::new(1000, want, true, Body::SevenBit, false);
            message.chunks(3).for_each(|piece| content.push(piece));
            assert_eq!((content.bytes, content.message_id().as_str()), (message.len() as u64, id));
            assert_eq!(content.into_bytes(), kept);
        }
    }

    #[test]
    fn a_message_id_in_the_body_is_none() {
        assert_eq!(message_id(b"A: b\r\n\r\nMessage-ID: <x>\r\n"), None);
        assert_eq!(message_id(b"Message-ID: x@y\r\nA: b\r\n"), Some("x@y".to_owned()));
        assert_eq!(message_id(b"A: b"), None);
    }

    #[test]
    fn too_large_content_is_not_kept() {
        let mut content = Content::new(4, Want::All, true, Body::SevenBit, false);
        content.push(b"1234");
        assert!(!content.too_large());
        content.push(b"5");
        assert!(content.too_large());
        assert!(content.into_bytes().is_empty());
    }
}
