//! Reads replies (RFC 5321 §4.2, §4.3.2): an incremental parser that takes bytes as they come,
//! split or joined, and never holds more than one bounded reply.
//!
//! `smtp-proto` has such a parser, but it keeps each number of an enhanced status in one byte:
//! `5.7.515` becomes `5.7.255`, and that status may decide whether a run stops.

use crate::kit::outside_text;
use crate::mail::{EnhancedStatus, Reply};

/// The longest line. RFC 5321 §4.5.3.1.5 has 512 octets; servers in the wild write more.
const LINE_BYTES: usize = 4_096;
/// The longest reply with all its lines.
const REPLY_BYTES: usize = 64 * 1_024;
/// The longest text that is kept of a reply.
pub(crate) const TEXT_BYTES: usize = 1_000;
/// How much of a malformed line is shown.
const SHOWN_BYTES: usize = 80;

/// Turns bytes into replies.
#[derive(Debug, Default)]
pub(crate) struct ReplyParser {
    /// The beginning of a line whose end has not come yet.
    line: Vec<u8>,
    /// Bytes of the reply so far.
    bytes: usize,
    /// The code of the reply's lines so far; 0 before the first.
    code: u16,
    enhanced: Option<EnhancedStatus>,
    text: String,
}

/// The bytes are no reply.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Malformed {
    /// A line without a code, or with another code than the reply's first line.
    #[error("not a reply: `{0}`")]
    Line(String),
    /// A line or a reply that is too long.
    #[error("reply too long")]
    TooLong,
}

impl ReplyParser {
    /// The next reply in `input`, which is advanced by the bytes used; `None` if all bytes were
    /// used and the reply is incomplete. After an error nothing more can be read.
    pub(crate) fn next(&mut self, input: &mut &[u8]) -> Result<Option<Reply>, Malformed> {
        while let Some(end) = memchr::memchr(b'\n', input) {
            let (head, rest) = input.split_at(end + 1);
            *input = rest;
            self.count(head.len())?;
            let last = if self.line.is_empty() {
                self.take_line(head)?
            } else {
                let mut line = std::mem::take(&mut self.line);
                line.extend_from_slice(head);
                let last = self.take_line(&line)?;
                line.clear();
                self.line = line;
                last
            };
            if last {
                return Ok(Some(self.finish()));
            }
        }
        let rest = std::mem::take(input);
        self.count(rest.len())?;
        self.line.extend_from_slice(rest);
        // Garbage need not have a line end: bytes that can't become a reply are refused at once.
        let digits = &self.line[..self.line.len().min(3)];
        if !digits.iter().all(u8::is_ascii_digit) {
            return Err(malformed(&self.line));
        }
        if self.line.len() > LINE_BYTES { Err(Malformed::TooLong) } else { Ok(None) }
    }

    fn count(&mut self, bytes: usize) -> Result<(), Malformed> {
        self.bytes += bytes;
        if self.bytes > REPLY_BYTES { Err(Malformed::TooLong) } else { Ok(()) }
    }

    /// Takes one line with its end; true when it is the reply's last.
    fn take_line(&mut self, line: &[u8]) -> Result<bool, Malformed> {
        if line.len() > LINE_BYTES {
            return Err(Malformed::TooLong);
        }
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let (code, last, text) = match line {
            [a @ b'2'..=b'5', b @ b'0'..=b'9', c @ b'0'..=b'9', rest @ ..] => {
                let code = [a, b, c].iter().fold(0, |code, digit| code * 10 + u16::from(**digit - b'0'));
                match rest {
                    [] => (code, true, rest),
                    [b' ', text @ ..] => (code, true, text),
                    [b'-', text @ ..] => (code, false, text),
                    _ => return Err(malformed(line)),
                }
            }
            _ => return Err(malformed(line)),
        };
        // RFC 5321 §4.2.1: every line of a reply has the same code.
        if self.code != 0 && self.code != code {
            return Err(malformed(line));
        }
        self.code = code;
        self.take_text(&String::from_utf8_lossy(text));
        Ok(last)
    }

    /// RFC 2034 §4: each line begins with the enhanced status.
    fn take_text(&mut self, line: &str) {
        let mut line = line.trim();
        if let Some((status, rest)) = EnhancedStatus::split(line)
            && self.enhanced.is_none_or(|known| known == status)
        {
            self.enhanced = Some(status);
            line = rest.trim_start();
        }
        if !line.is_empty() && !self.text.is_empty() && self.text.len() < TEXT_BYTES {
            self.text.push(' ');
        }
        if self.text.is_empty() {
            self.text.reserve(line.len().min(TEXT_BYTES));
        }
        for c in line.chars() {
            let c = if c == '\t' { ' ' } else { c };
            if !outside_text::push_within(&mut self.text, c, TEXT_BYTES) {
                break;
            }
        }
    }

    fn finish(&mut self) -> Reply {
        self.bytes = 0;
        Reply {
            code: std::mem::take(&mut self.code),
            enhanced: self.enhanced.take(),
            text: std::mem::take(&mut self.text),
        }
    }
}

fn malformed(line: &[u8]) -> Malformed {
    let shown = String::from_utf8_lossy(&line[..line.len().min(SHOWN_BYTES)]);
    Malformed::Line(outside_text::line(&shown).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All replies in `pieces`, and the error that ended them.
    fn read(pieces: &[&[u8]]) -> (Vec<Reply>, Option<Malformed>) {
        let mut parser = ReplyParser::default();
        let mut replies = Vec::new();
        for mut piece in pieces.iter().copied() {
            loop {
                match parser.next(&mut piece) {
                    Ok(Some(reply)) => replies.push(reply),
                    Ok(None) => break,
                    Err(error) => return (replies, Some(error)),
                }
            }
            assert!(piece.is_empty());
        }
        (replies, None)
    }

    fn one(bytes: &str) -> Reply {
        let (replies, error) = read(&[bytes.as_bytes()]);
        assert_eq!((replies.len(), error), (1, None), "{bytes}");
        replies.into_iter().next().unwrap()
    }

    fn check(bytes: &str, code: u16, enhanced: &str, text: &str) {
        let reply = one(bytes);
        let status = reply.enhanced.map(|status| status.to_string()).unwrap_or_default();
        assert_eq!((reply.code, status.as_str(), reply.text.as_str()), (code, enhanced, text), "{bytes:?}");
    }

    #[test]
    fn code_status_and_text() {
        check("250 2.0.0 Ok: queued as 4F1\r\n", 250, "2.0.0", "Ok: queued as 4F1");
        check("250 Ok\r\n", 250, "", "Ok");
        check("250\r\n", 250, "", "");
        check("250 \n", 250, "", "");
        check("550 5.7.515 Access denied\r\n", 550, "5.7.515", "Access denied");
        check("550 5.1.1\r\n", 550, "5.1.1", "");
        check("554 5.7.1.2 is no status\r\n", 554, "", "5.7.1.2 is no status");
        check("550 #5.1.0 Address rejected\r\n", 550, "", "#5.1.0 Address rejected");
    }

    #[test]
    fn lines_are_joined_without_their_status() {
        check(
            "550-5.1.1 The email account\r\n550-5.1.1 does not exist.\r\n550 5.1.1 See help\r\n",
            550,
            "5.1.1",
            "The email account does not exist. See help",
        );
        check("550-Blocked.\r\n550 5.7.1 By policy\r\n", 550, "5.7.1", "Blocked. By policy");
        check("550-5.1.1 One\r\n550 5.2.2 other\r\n", 550, "5.1.1", "One 5.2.2 other");
        check("250-\r\n250-a\r\n250-\r\n250 b\r\n", 250, "", "a b");
    }

    #[test]
    fn what_is_not_visible_is_written_out() {
        check("250 a\tb\x00\x1b[31mc\rd\u{85}e\r\n", 250, "", "a b\\u{0}\\u{1b}[31mc\\rd\\u{85}e");
        check("550 5.1.1 \u{202e}oo\u{2028}t\r\n", 550, "5.1.1", "\\u{202e}oo\\u{2028}t");
        let (replies, _) = read(&[b"250 caf\xe9 \xff\r\n"]);
        assert_eq!(replies[0].text, "caf\u{fffd} \u{fffd}");
    }

    #[test]
    fn split_at_every_byte_and_joined() {
        let bytes = b"250-2.1.0 Sender\r\n250 2.1.0 ok\r\n550 5.1.1 no\r\n354 go\n421 bye\r\n";
        let (whole, error) = read(&[bytes]);
        assert_eq!((whole.len(), error), (4, None));
        for cut in 0..bytes.len() {
            assert_eq!(read(&[&bytes[..cut], &bytes[cut..]]), (whole.clone(), None), "cut at {cut}");
        }
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(read(&single), (whole, None));
    }

    #[test]
    fn text_is_capped() {
        let long = format!("550 {}\r\n", "é".repeat(900));
        assert_eq!(one(&long).text, "é".repeat(500));
        let many = "250-0123456789\r\n".repeat(500) + "250 end\r\n";
        assert!(one(&many).text.len() <= TEXT_BYTES);
    }

    #[test]
    fn garbage_is_refused_at_once() {
        let refused = |bytes: &[u8]| {
            let (replies, error) = read(&[bytes]);
            assert!(replies.is_empty());
            assert!(matches!(error, Some(Malformed::Line(_))), "{bytes:?}: {error:?}");
        };
        for bytes in [
            "HTTP/1.1 400 Bad Request\r\n",
            "\x15\x03\x01",
            "2x",
            "\r\n",
            "\n",
            "25\r\n",
            "150 early\r\n",
            "650 late\r\n",
            "2500 ok\r\n",
            "250_ok\r\n",
            "250-a\r\n251 b\r\n",
            "250-a\r\nb\r\n",
        ] {
            refused(bytes.as_bytes());
        }
    }

    #[test]
    fn over_long_lines_and_replies_are_refused() {
        let refused = |bytes: &[u8]| {
            for piece in [bytes.len(), 1_000] {
                let pieces: Vec<&[u8]> = bytes.chunks(piece).collect();
                assert_eq!(read(&pieces), (vec![], Some(Malformed::TooLong)));
            }
        };
        refused(format!("250 {}\r\n", "x".repeat(LINE_BYTES)).as_bytes());
        refused(format!("250 {}", "x".repeat(LINE_BYTES)).as_bytes());
        refused("250-more\r\n".repeat(REPLY_BYTES / 10 + 1).as_bytes());
    }
}
