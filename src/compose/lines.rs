//! The lines of a text part.
//!
//! Most lines of a template contain nothing from the row. They are the same in every message, so
//! they are encoded once, when the run begins. Only lines with a value from the row are encoded for
//! each message.
//!
//! Quoted-printable (RFC 2045 §6.7) looks at one line at a time, so lines encoded one by one give
//! what the whole text would. The encoding is the one that `mail-builder` chooses: `7bit` where
//! lines are short and ASCII, otherwise quoted-printable or base64, whichever is shorter.

use std::ops::Range;

use encodify::base64::MIME;
use encodify::qp;
use memchr::memmem::Finder;

use super::line_ends::{self, BLANK};
use crate::template::Output;

/// Fewer bytes are encoded with their neighbours: a piece of their own would cost more.
const WORTH_KEEPING: usize = 64;
/// The most bytes of a line of `7bit` text, its CRLF counted: what `mail-builder` takes for short.
const LONGEST_PLAIN: usize = 77;

/// The texts of a template, their whole lines encoded.
#[derive(Debug)]
pub(super) struct Lines {
    texts: Vec<Text>,
}

/// A text of a template, cut at its line ends.
#[derive(Debug)]
struct Text {
    /// Up to the first line end, that one counted.
    head: String,
    /// The whole lines after it; empty when they are few.
    whole: Whole,
    /// What is left.
    tail: String,
}

/// Whole lines, ready for a message.
#[derive(Debug, Default)]
struct Whole {
    /// With CRLF, not encoded.
    plain: String,
    /// In quoted-printable.
    quoted: Vec<u8>,
    /// They can stay as they are.
    is_plain: bool,
    /// The last line holds more than white space.
    ends_firmly: bool,
}

/// How a part is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Plain,
    Quoted,
}

/// The text of a part of one message.
pub(super) enum Leaf<'a> {
    /// Its lines ended by CRLF.
    Whole(String),
    /// Most of its lines are encoded already.
    Lines(Written<'a>, Encoding),
}

/// What a template gives for one row, in lines.
pub(super) struct Written<'a> {
    lines: &'a Lines,
    pieces: Vec<Piece>,
    /// Lines of this message, their ends set.
    own: String,
    /// The line that is being written, and what was added to it.
    open: String,
}

#[derive(Debug)]
enum Piece {
    /// Whole lines of a text.
    Common(usize),
    /// Lines of this message: a range of `own`.
    Own(Range<usize>),
}

impl Lines {
    /// `texts` in the order of their numbers.
    pub(super) fn new(texts: &[String]) -> Self {
        Self { texts: texts.iter().map(|text| Text::new(text)).collect() }
    }

    /// Bytes that a part will have at least, in any encoding.
    pub(super) fn bytes(&self) -> usize {
        self.texts.iter().map(|text| text.whole.quoted.len().max(text.whole.plain.len())).sum()
    }

    pub(super) fn start(&self) -> Written<'_> {
        Written { lines: self, pieces: Vec::new(), own: String::new(), open: String::new() }
    }
}

impl Text {
    fn new(text: &str) -> Self {
        let all = || Self { head: text.to_owned(), whole: Whole::default(), tail: String::new() };
        // Texts with line ends other than LF are normalised row by row.
        if text.contains(['\r', '\0']) {
            return all();
        }
        let (Some(first), Some(last)) = (text.find('\n'), text.rfind('\n')) else { return all() };
        let (first, last) = (first + 1, last + 1);
        if last - first < WORTH_KEEPING {
            return all();
        }
        let lines = &text[first..last];
        let plain = lines.replace('\n', "\r\n");
        let quoted = qp::BODY.encode(&plain).into_bytes();
        let is_plain = is_plain(&plain);
        let last_line = lines[..lines.len() - 1].rsplit('\n').next().unwrap_or_default();
        let ends_firmly = !last_line.trim_end_matches(BLANK).is_empty()
            && last_line.trim_end_matches(BLANK).len() == last_line.len();
        Self {
            head: text[..first].to_owned(),
            whole: Whole { plain, quoted, is_plain, ends_firmly },
            tail: text[last..].to_owned(),
        }
    }
}

/// True when lines can go into a message as is. Every line ends in CRLF.
fn is_plain(lines: &str) -> bool {
    let mut rest = lines.as_bytes();
    while let Some(end) = memchr::memchr(b'\n', rest) {
        let (line, after) = rest.split_at(end + 1);
        let text = &line[..end.saturating_sub(1)];
        if line.len() > LONGEST_PLAIN
            || matches!(text.last(), Some(b' ' | b'\t'))
            || !text.iter().all(|&byte| byte < 0x7F)
        {
            return false;
        }
        rest = after;
    }
    true
}

impl Output for Written<'_> {
    fn text(&mut self, number: usize) {
        let text = &self.lines.texts[number];
        self.open.push_str(&text.head);
        if !text.whole.plain.is_empty() {
            self.close();
            self.pieces.push(Piece::Common(number));
            self.open.push_str(&text.tail);
        }
    }

    fn value(&mut self, text: &str) {
        self.open.push_str(text);
    }

    fn restart(&mut self) {
        self.pieces.clear();
        self.own.clear();
        self.open.clear();
    }
}

impl Leaf<'_> {
    /// A text with any line ends.
    pub(super) fn whole(text: &str) -> Self {
        Self::Whole(line_ends::normalize(text))
    }

    /// The text, its lines ended by CRLF.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Whole(text) => text.clone(),
            Self::Lines(written, _) => written.text(),
        }
    }

    /// Whether a line with a value from the row contains `needle`.
    pub(super) fn holds(&self, needle: &Finder<'_>) -> bool {
        let own = match self {
            Self::Whole(text) => text,
            Self::Lines(written, _) => &written.own,
        };
        needle.find(own.as_bytes()).is_some()
    }
}

impl<'a> Written<'a> {
    /// Ends the lines that are being written: the last one is whole.
    fn close(&mut self) {
        let start = self.own.len();
        line_ends::set_line_ends(&self.open, &mut self.own);
        self.open.clear();
        if start < self.own.len() {
            self.pieces.push(Piece::Own(start..self.own.len()));
        }
    }

    /// Ends the part: white space after its last word is dropped, and its encoding chosen.
    pub(super) fn finish(mut self) -> Leaf<'a> {
        match self.end().and_then(|()| self.encoding()) {
            Some(encoding) => Leaf::Lines(self, encoding),
            None => Leaf::whole(&self.text()),
        }
    }

    /// Ends the last line. `None` where the white space to drop may begin in a text of the
    /// template.
    fn end(&mut self) -> Option<()> {
        let end = self.open.trim_end_matches(BLANK).len();
        if end > 0 {
            self.open.truncate(end);
            self.open.push('\n');
            self.close();
            return Some(());
        }
        match self.pieces.last() {
            Some(Piece::Common(number)) if self.whole(*number).ends_firmly => Some(()),
            Some(_) | None => None,
        }
    }

    /// The lines one after the other.
    fn text(&self) -> String {
        let mut out = String::new();
        for piece in &self.pieces {
            out.push_str(match piece {
                Piece::Common(number) => &self.whole(*number).plain,
                Piece::Own(range) => &self.own[range.clone()],
            });
        }
        out + &self.open
    }

    fn whole(&self, number: usize) -> &Whole {
        &self.lines.texts[number].whole
    }

    /// How the part is encoded: as `mail-builder` would, `None` where that is base64.
    fn encoding(&self) -> Option<Encoding> {
        let plain = |piece: &Piece| match piece {
            Piece::Common(number) => self.whole(*number).is_plain,
            Piece::Own(range) => is_plain(&self.own[range.clone()]),
        };
        if self.pieces.iter().all(plain) {
            return Some(Encoding::Plain);
        }
        let (mut raw, mut quoted) = (0, 0);
        for piece in &self.pieces {
            let (plain, encoded) = match piece {
                Piece::Common(number) => (self.whole(*number).plain.len(), self.whole(*number).quoted.len()),
                Piece::Own(range) => (range.len(), qp::BODY.encoded_len(&self.own[range.clone()])),
            };
            raw += plain;
            quoted += encoded;
        }
        (quoted < MIME.encoded_len(raw)).then_some(Encoding::Quoted)
    }

    /// Appends the encoded part to `out`.
    pub(super) fn write(&self, encoding: Encoding, out: &mut Vec<u8>) {
        for piece in &self.pieces {
            match (piece, encoding) {
                (Piece::Common(number), Encoding::Plain) => {
                    out.extend_from_slice(self.whole(*number).plain.as_bytes());
                }
                (Piece::Common(number), Encoding::Quoted) => {
                    out.extend_from_slice(&self.whole(*number).quoted)
                }
                (Piece::Own(range), Encoding::Plain) => {
                    out.extend_from_slice(&self.own.as_bytes()[range.clone()]);
                }
                (Piece::Own(range), Encoding::Quoted) => {
                    qp::BODY.encode_append(&self.own[range.clone()], out);
                }
            }
        }
    }
}
