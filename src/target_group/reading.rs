//! How a file is read, and why: what `plan` and `check` show of it.

use std::fmt;

use super::source::Packing;
use crate::campaign::Encoding;

/// How many values beyond ASCII are shown.
const SAMPLES: usize = 3;
/// They are cut after so many characters.
const SAMPLE_CHARACTERS: usize = 40;

/// The format of a file, as detected from its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// Delimited text.
    Csv,
    /// One JSON object a line.
    JsonLines,
    /// Parquet.
    Parquet,
    /// Arrow IPC: a file or a stream.
    Arrow,
    /// Batch SMTP: ready messages.
    Bsmtp,
}

/// How a file is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// Its format, seen in its content.
    pub kind: FileKind,
    /// How it is compressed as a whole, if it is.
    pub packing: Option<Packing>,
    /// How its text is read; none for Parquet, Arrow and batch SMTP.
    pub text: Option<TextReading>,
}

/// How a text is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextReading {
    /// The encoding, and how it is known.
    pub encoding: (Encoding, Known),
    /// CSV: what is between the fields, and how it is known.
    pub delimiter: Option<(char, Known)>,
    /// What is at the end of its first lines.
    pub line_ends: LineEnds,
    /// Where the names of its columns are.
    pub header: Header,
    /// A few values beyond ASCII, decoded.
    pub samples: Vec<String>,
}

/// How something about a file is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// From a byte order mark.
    Mark,
    /// From the campaign file.
    Named,
    /// From the first line, `sep=;`.
    FirstLine,
    /// From the content.
    Detected,
    /// The format allows no other.
    Format,
}

/// What is at the end of lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineEnds {
    /// Unix.
    Lf,
    /// Windows.
    CrLf,
    /// The Macs of old.
    Cr,
    /// Several of these.
    Mixed,
    /// One line without an end.
    None,
}

/// Where the names of a file's columns are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Header {
    /// In the first line.
    Line,
    /// A bare list of addresses has none.
    None,
    /// Each row has its own.
    Keys,
}

impl Known {
    /// A fragment for people and programs.
    pub fn text(self) -> &'static str {
        match self {
            Self::Mark => "byte order mark",
            Self::Named => "campaign file",
            Self::FirstLine => "first line",
            Self::Detected => "detected",
            Self::Format => "format",
        }
    }
}

impl Header {
    /// A fragment for people and programs.
    pub fn text(self) -> &'static str {
        match self {
            Self::Line => "header line",
            Self::None => "no header",
            Self::Keys => "keys",
        }
    }
}

impl LineEnds {
    /// What is at the end of the lines of `text`.
    pub(super) fn of(text: &[u8]) -> Self {
        let crlf = text.windows(2).filter(|pair| pair == b"\r\n").count();
        let cr = text.iter().filter(|&&byte| byte == b'\r').count() - crlf;
        let lf = text.iter().filter(|&&byte| byte == b'\n').count() - crlf;
        match (lf, crlf, cr) {
            (0, 0, 0) => Self::None,
            (_, 0, 0) => Self::Lf,
            (0, _, 0) => Self::CrLf,
            (0, 0, _) => Self::Cr,
            _ => Self::Mixed,
        }
    }
}

impl fmt::Display for LineEnds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lf => "LF",
            Self::CrLf => "CRLF",
            Self::Cr => "CR",
            Self::Mixed => "mixed",
            Self::None => "none",
        })
    }
}

/// The first few values of `text` beyond ASCII. They end at `delimiter`, quotes and line ends.
pub(super) fn samples(text: &str, delimiter: char) -> Vec<String> {
    let mut samples: Vec<String> = Vec::new();
    for value in text.split([delimiter, '"', '\r', '\n']) {
        let value = value.trim();
        if value.is_ascii() || value.contains(char::REPLACEMENT_CHARACTER) {
            continue;
        }
        let mut shown: String = value.chars().take(SAMPLE_CHARACTERS).collect();
        if shown.len() < value.len() {
            shown.push('…');
        }
        if !samples.contains(&shown) {
            samples.push(shown);
        }
        if samples.len() == SAMPLES {
            break;
        }
    }
    samples
}
